package dnsprobe

import (
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// askIn asks addr inside l, by UDP: calls have goroutines of their own, which are
// outside.
func askIn(t *testing.T, l *lab.Lab, addr string) (probe.Result, *probe.DNS) {
	t.Helper()
	var got []probe.Result
	l.Do(func() {
		a := netip.AddrPortFrom(netip.MustParseAddr(addr), 53)
		e, err := Open(Config{Questions: []Question{question4(t, "www.example.test", "A")}, Timeout: time.Second}, rawsock.FamilyOf(a.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		e.SetServers([]Asked{{Target: &probe.Target{Addr: a}}})
		if err := e.Probe(t.Context(), func(r probe.Result) { got = append(got, r) }); err != nil {
			t.Fatal(err)
		}
	})
	return one(t, got)
}

// Who rejects a query is told, with why, without privileges.
func TestLiveRejected(t *testing.T) {
	l := lab.Start(t, lab.Topology{
		Hops: []lab.Hop{
			{Addrs: lab.Addrs("198.51.100.1", "2001:db8:100::1")},
			{Addrs: lab.Addrs("198.51.100.5", "2001:db8:100::5"), Error: lab.AdminProhibited, ErrorFor: lab.At("203.0.113.9/32", "2001:db8:7::9/128")},
		},
		Hosts: []lab.Host{{At: lab.At("203.0.113.3/32", "2001:db8:7::3/128"), Silent: true}, {}},
	})
	for _, tc := range []struct {
		addr, from string
		status     probe.Status
		reason     probe.Reason
	}{
		{"203.0.113.9", "198.51.100.5", probe.Unreachable, probe.AdminProhibited},
		{"2001:db8:7::9", "2001:db8:100::5", probe.Unreachable, probe.AdminProhibited},
		{"203.0.113.1", "203.0.113.1", probe.Refused, probe.PortUnreachable},
		{"2001:db8:7::1", "2001:db8:7::1", probe.Refused, probe.PortUnreachable},
		{"203.0.113.3", "", probe.Lost, probe.NoResponse},
	} {
		r, d := askIn(t, l, tc.addr)
		var from netip.Addr
		if tc.from != "" {
			from = netip.MustParseAddr(tc.from)
		}
		if r.Status != tc.status || r.Reason != tc.reason || r.From != from || len(d.Attempts) != 1 || d.Attempts[0].Status != tc.status {
			t.Errorf("%s: %v %v from %v, %+v", tc.addr, r.Status, r.Reason, r.From, d.Attempts)
		}
	}
}

// What this host refuses is its failure.
func TestLiveLocalFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mend   func(l *lab.Lab)
		reason probe.Reason
	}{
		{"no route", func(l *lab.Lab) { l.Must(l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0"))) }, probe.NoRoute},
		{"own firewall", func(l *lab.Lab) { l.Deny(lab.At("203.0.113.0/24")...) }, probe.Permission},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := lab.Start(t, lab.Topology{})
			tc.mend(l)
			r, _ := askIn(t, l, "203.0.113.1")
			if r.Status != probe.Failed || r.Reason != tc.reason || r.Err == nil || !r.Sent.IsZero() {
				t.Errorf("%v %v, sent %v: %v", r.Status, r.Reason, r.Sent, r.Err)
			}
		})
	}
}
