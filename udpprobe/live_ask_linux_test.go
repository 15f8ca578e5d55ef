package udpprobe

import (
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/udpprobe/payload"
)

// askIn asks inside l.
func askIn(t *testing.T, l *lab.Lab, cfg Config, to netip.AddrPort, timeout time.Duration) crew.Answer {
	t.Helper()
	return inside{l, newDialer(cfg)}.Ask(t.Context(), crew.Try{To: to, N: 1, Timeout: timeout})
}

// Each ICMP error is told with its reason, who sent it and how long it took by the
// kernel's clock, to sockets with a peer and to those without (TFTP).
func TestLiveAskRejected(t *testing.T) {
	stampsOn()
	for _, e := range crewtest.Rejections {
		t.Run(e.Name, func(t *testing.T) {
			l := lab.Start(t, crewtest.Rejecting(e))
			for _, proto := range []string{"ntp", "tftp"} {
				got := map[int]crewtest.Outcome{}
				for i, a := range lab.Addrs(append(crewtest.Hosts(1), crewtest.Hosts(2)...)...) {
					to := netip.AddrPortFrom(a, 53)
					answer := askIn(t, l, Config{Proto: payload.ByName(proto)}, to, 5*time.Second)
					answer.Seq = 1
					got[i] = crewtest.Outcome{Result: answer.Result, Addr: to}
					if answer.Own || answer.Clock != probe.Kernel || answer.Detail != nil {
						t.Errorf("%s %v: own %v, clock %v, %v", proto, to, answer.Own, answer.Clock, answer.Detail)
					}
				}
				crewtest.CheckRejected(t, e, got)
			}
		})
	}
}

// Silence is none but silence, and takes its time.
func TestLiveAskSilence(t *testing.T) {
	l := lab.Start(t, lab.Topology{Hops: []lab.Hop{{Addrs: crewtest.Routers}}, Hosts: []lab.Host{{At: crewtest.At(3), Silent: true}}})
	for _, a := range lab.Addrs(crewtest.Hosts(3)...) {
		start := time.Now()
		answer := askIn(t, l, Config{}, netip.AddrPortFrom(a, 123), 100*ms)
		if answer.Status != probe.Lost || answer.Reason != probe.NoResponse || answer.Sent.IsZero() || time.Since(start) < 100*ms {
			t.Errorf("%v: %s after %v", a, summary(answer), time.Since(start))
		}
	}
}

// What this host refuses is its failure, also for sockets without a peer.
func TestLiveAskFailed(t *testing.T) {
	to := netip.MustParseAddrPort("203.0.113.1:69")
	cases := []struct {
		name   string
		cfg    Config
		mend   func(l *lab.Lab)
		reason probe.Reason
	}{
		{"no route", Config{}, func(l *lab.Lab) { l.Must(l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0"))) }, probe.NoRoute},
		{"no route, connected", Config{Proto: payload.ByName("ntp")}, func(l *lab.Lab) { l.Must(l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0"))) }, probe.NoRoute},
		{"denied", Config{}, func(l *lab.Lab) { l.Deny(lab.At("203.0.113.0/24")...) }, probe.Permission},
		{"source of another family", Config{Socket: rawsock.Config{Source: netip.MustParseAddr("2001:db8::1")}}, func(*lab.Lab) {}, probe.NoRoute},
		{"source of somebody else", Config{Socket: rawsock.Config{Source: netip.MustParseAddr("192.0.2.77")}}, func(*lab.Lab) {}, probe.NoRoute},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l := lab.Start(t, lab.Topology{})
			tc.mend(l)
			a := askIn(t, l, tc.cfg, to, 300*ms)
			if a.Status != probe.Failed || a.Reason != tc.reason || a.Err == nil || !a.Sent.IsZero() {
				t.Errorf("%s: %v", summary(a), a.Err)
			}
		})
	}
}
