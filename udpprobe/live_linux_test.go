package udpprobe

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/probe"
)

// inside is a dialer inside a lab: workers are goroutines, and those are outside.
type inside struct {
	*lab.Lab
	*dialer
}

func (i inside) Ask(ctx context.Context, t crew.Try) (a crew.Answer) {
	if err := i.Namespace.Do(func() { a = i.dialer.Ask(ctx, t) }); err != nil {
		panic(err)
	}
	return a
}

// sweepIn runs a sweep of cfg inside l.
func sweepIn(t *testing.T, l *lab.Lab, cfg SweepConfig, list *crewtest.List) map[int]crewtest.Outcome {
	t.Helper()
	cfg.Source = list
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := crewtest.Run(t, ctx, newSweep(cfg, func() crew.Asker { return inside{l, newDialer(Config{Socket: cfg.Socket, Any: true})} }), list)
	for _, o := range got {
		if o.Reason == probe.NoBuffers {
			t.Skip("the neighbour table, which all namespaces share, is full: ", o.Err)
		}
	}
	return got
}

// both returns the hosts n of both families.
func both(ns ...int) *crewtest.List {
	var all []string
	for _, n := range ns {
		all = append(all, crewtest.Hosts(n)...)
	}
	return crewtest.Of(all...)
}

// Each ICMP error is told with its reason and who sent it, and only a host's
// own port-unreachable means that it is there.
func TestLiveRejections(t *testing.T) {
	for _, e := range crewtest.Rejections {
		t.Run(e.Name, func(t *testing.T) {
			l := lab.Start(t, crewtest.Rejecting(e))
			got := sweepIn(t, l, SweepConfig{Port: 53, Timeout: 5 * time.Second}, both(1, 2))
			crewtest.CheckRejected(t, e, got)
		})
	}
}

// Hosts that answer, that have no such service and that are silent are told apart.
func TestLiveAnswers(t *testing.T) {
	l := lab.Start(t, lab.Topology{
		Back: lab.Link{Delay: 20 * ms},
		Hops: []lab.Hop{{Addrs: crewtest.Routers}},
		Hosts: []lab.Host{
			{At: crewtest.At(1), UDP: []uint16{123}},
			{At: crewtest.At(2)},
			{At: crewtest.At(3), Silent: true},
			{At: crewtest.At(4), Drop: lab.Filter{UDP: true}},
		},
	})
	got := sweepIn(t, l, SweepConfig{Port: 123, Timeout: time.Second, Retries: 1}, both(1, 2, 3, 4))
	want := []probe.Result{
		{Status: probe.Reply, Reason: probe.UDPReply, Seq: 1, Size: 56},
		{Status: probe.Refused, Reason: probe.PortUnreachable, Seq: 1},
		{Status: probe.Lost, Reason: probe.NoResponse, Seq: 2},
		{Status: probe.Lost, Reason: probe.NoResponse, Seq: 2},
	}
	for i, o := range got {
		w := want[i/2]
		if o.Status != w.Status || o.Reason != w.Reason || o.Seq != w.Seq || o.Size != w.Size {
			t.Errorf("%v: %v %v, try %d, %d bytes, want %+v", o.Addr, o.Status, o.Reason, o.Seq, o.Size, w)
		}
		if o.From.IsValid() && (o.From != o.Addr.Addr() || o.RTT < 20*ms || o.RTT > time.Second) {
			t.Errorf("%v: from %v after %v", o.Addr, o.From, o.RTT)
		}
	}
}

// What this host refuses is its failure.
func TestLiveLocalFailures(t *testing.T) {
	cases := []struct {
		name   string
		mend   func(l *lab.Lab) error
		addr   string
		reason probe.Reason
	}{
		{"no route", func(l *lab.Lab) error { return l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0")) }, "203.0.113.1", probe.NoRoute},
		{"no address, IPv6", func(l *lab.Lab) error { return l.RemoveAddr(netip.MustParseAddr("2001:db8::1")) }, "2001:db8:7::1", probe.NoRoute},
		{"link down", func(l *lab.Lab) error { return l.Down() }, "203.0.113.1", probe.NoRoute},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l := lab.Start(t, lab.Topology{})
			l.Must(tc.mend(l))
			o := sweepIn(t, l, SweepConfig{Port: 9, Timeout: 300 * ms}, crewtest.Of(tc.addr))[0]
			if o.Status != probe.Failed || o.Reason != tc.reason || o.Seq != 0 {
				t.Errorf("%v %v, try %d: %v", o.Status, o.Reason, o.Seq, o.Err)
			}
		})
	}
}

// A firewall of our own is no silence of the target.
func TestLiveDenied(t *testing.T) {
	l := lab.Start(t, lab.Topology{})
	l.Deny(lab.At("203.0.113.0/24", "2001:db8:7::/64")...)
	for _, o := range sweepIn(t, l, SweepConfig{Port: 9, Timeout: 300 * ms}, both(1)) {
		if o.Status != probe.Failed || o.Reason != probe.Permission || o.Seq != 0 {
			t.Errorf("%v: %v %v, try %d: %v", o.Addr, o.Status, o.Reason, o.Seq, o.Err)
		}
	}
}

// A neighbour that is not there is told of by our own kernel.
func TestLiveAbsentNeighbour(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	got := sweepIn(t, l, SweepConfig{Port: 9, Timeout: 20 * time.Second}, crewtest.Of("192.0.2.99", "2001:db8::99"))
	for i, own := range lab.Addrs("192.0.2.1", "2001:db8::1") {
		if o := got[i]; o.Status != probe.Unreachable || o.Reason != probe.HostUnreachable || o.From != own {
			t.Errorf("%v: %v %v from %v after %v", o.Addr, o.Status, o.Reason, o.From, o.RTT)
		}
	}
}
