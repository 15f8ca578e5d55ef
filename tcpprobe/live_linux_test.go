package tcpprobe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/internal/rounds"
	"netprobe/probe"
	"netprobe/rawsock"
)

const ms = time.Millisecond

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
	return crewtest.Run(t, ctx, newSweep(cfg, func() crew.Asker {
		return inside{l, newDialer(&cfg.Socket)}
	}), list)
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
			got := sweepIn(t, l, SweepConfig{Port: 443, Timeout: 5 * time.Second}, both(1, 2))
			crewtest.CheckRejected(t, e, got)
		})
	}
}

// answering has an open host, a closed one and two silent ones.
var answering = lab.Topology{
	Out:  lab.Link{Delay: 10 * ms},
	Back: lab.Link{Delay: 10 * ms},
	Hops: []lab.Hop{{Addrs: crewtest.Routers}},
	Hosts: []lab.Host{
		{At: crewtest.At(1), TCP: []uint16{443}},
		{At: crewtest.At(2)},
		{At: crewtest.At(3), Silent: true},
		{At: crewtest.At(4), Drop: lab.Filter{TCP: true}},
	},
}

// Open, closed and silent hosts are told apart, over real round trips.
func TestLiveAnswers(t *testing.T) {
	l := lab.Start(t, answering)
	got := sweepIn(t, l, SweepConfig{Port: 443, Timeout: time.Second, Retries: 1}, both(1, 2, 3, 4))
	want := []probe.Result{
		{Status: probe.Reply, Reason: probe.Connected, Seq: 1},
		{Status: probe.Refused, Reason: probe.RST, Seq: 1},
		{Status: probe.Lost, Reason: probe.NoResponse, Seq: 2},
		{Status: probe.Lost, Reason: probe.NoResponse, Seq: 2},
	}
	for i, o := range got {
		w := want[i/2]
		if o.Status != w.Status || o.Reason != w.Reason || o.Seq != w.Seq {
			t.Errorf("%v: %v %v, try %d, want %v %v, try %d", o.Addr, o.Status, o.Reason, o.Seq, w.Status, w.Reason, w.Seq)
		}
		if o.From.IsValid() && (o.From != o.Addr.Addr() || o.RTT < 20*ms || o.RTT > time.Second) {
			t.Errorf("%v: from %v after %v", o.Addr, o.From, o.RTT)
		}
		if o.Status == probe.Reply && o.Clock != probe.Kernel {
			t.Errorf("%v: clock %v", o.Addr, o.Clock)
		}
	}
}

// A SYN that is lost once does not make a second of the round trip, whether
// the target sends TCP timestamps, as a real kernel does, or not.
func TestLiveRetransmission(t *testing.T) {
	for _, kernel := range []bool{false, true} {
		var lost sync.Map
		l := lab.Start(t, lab.Topology{
			Out:   lab.Link{Delay: 10 * ms},
			Hosts: []lab.Host{{At: crewtest.At(1), TCP: []uint16{443}, Kernel: kernel}},
			Hook: func(p *lab.Packet) lab.Verdict {
				_, again := lost.LoadOrStore(p.Dst, true)
				return lab.Verdict{Drop: p.Dir == lab.Out && p.Kind == lab.TCP && !again}
			},
		})
		if kernel {
			serveTCP(t, l.Far)
		}
		for _, o := range sweepIn(t, l, SweepConfig{Port: 443, Timeout: 10 * time.Second}, both(1)) {
			if o.Status != probe.Reply || o.Seq != 1 || o.At < time.Second || o.RTT < 10*ms || o.RTT > 500*ms || (o.Clock == probe.Kernel) != kernel {
				t.Errorf("%v: %v after %v, rtt %v by %v", o.Addr, o.Status, o.At, o.RTT, o.Clock)
			}
			if wait := o.RTT + o.Host; o.Retrans != 1 || wait < time.Second || wait > o.At {
				t.Errorf("%v: retrans %d, host %v, waited %v", o.Addr, o.Retrans, o.Host, wait)
			}
		}
	}
}

// Who refuses, rejects or keeps silent has been asked again, too, when the
// first SYN was lost.
func TestLiveRetransmissionUnanswered(t *testing.T) {
	var lost sync.Map
	l := lab.Start(t, lab.Topology{
		Out: lab.Link{Delay: 10 * ms},
		Hosts: []lab.Host{
			{At: crewtest.At(1)},
			{At: crewtest.At(2), Error: lab.AdminProhibited},
			{At: crewtest.At(3), Silent: true},
		},
		Hook: func(p *lab.Packet) lab.Verdict {
			_, again := lost.LoadOrStore(p.Dst, true)
			return lab.Verdict{Drop: p.Dir == lab.Out && p.Kind == lab.TCP && !again}
		},
	})
	want := []probe.Status{probe.Refused, probe.Unreachable, probe.Lost}
	for i, o := range sweepIn(t, l, SweepConfig{Port: 443, Timeout: 1700 * ms}, both(1, 2, 3)) {
		if o.Status != want[i/2] || o.Retrans != 1 {
			t.Errorf("%v: %v %v, retrans %d", o.Addr, o.Status, o.Reason, o.Retrans)
		}
		if o.Status != probe.Lost && (o.RTT < 10*ms || o.RTT > 500*ms || o.Clock != probe.User || o.Host != time.Second) {
			t.Errorf("%v: rtt %v by %v, host %v", o.Addr, o.RTT, o.Clock, o.Host)
		}
	}
}

// serveTCP listens in n on port 443 of every address.
func serveTCP(t *testing.T, n *lab.Namespace) {
	t.Helper()
	var l net.Listener
	var err error
	if e := n.Do(func() { l, err = net.Listen("tcp", ":443") }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
}

// What this host refuses is its failure, said in words.
func TestLiveLocalFailures(t *testing.T) {
	cases := []struct {
		name   string
		mend   func(l *lab.Lab) error
		socket rawsock.Config
		addr   string
		reason probe.Reason
		why    string
	}{
		{"no route", func(l *lab.Lab) error { return l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0")) }, rawsock.Config{},
			"203.0.113.1", probe.NoRoute, "no route from this host"},
		{"no route, IPv6", func(l *lab.Lab) error { return l.RemoveRoute(netip.MustParsePrefix("::/0")) }, rawsock.Config{},
			"2001:db8:7::1", probe.NoRoute, "no route from this host"},
		{"no address, IPv6", func(l *lab.Lab) error { return l.RemoveAddr(netip.MustParseAddr("2001:db8::1")) }, rawsock.Config{},
			"2001:db8:7::1", probe.NoRoute, "no IPv6 source address on this host"},
		{"source is elsewhere", nil, rawsock.Config{Source: netip.MustParseAddr("192.0.2.77")},
			"203.0.113.1", probe.NoRoute, "source address 192.0.2.77 is not on this host"},
		{"source of another family", nil, rawsock.Config{Source: netip.MustParseAddr("192.0.2.1")},
			"2001:db8:7::1", probe.NoRoute, "source address 192.0.2.1 is not IPv6"},
		{"no such interface", nil, rawsock.Config{Interface: "eth77"}, "203.0.113.1", probe.LinkDown, "the interface is down"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l := lab.Start(t, lab.Topology{})
			if tc.mend != nil {
				l.Must(tc.mend(l))
			}
			o := sweepIn(t, l, SweepConfig{Port: 443, Timeout: 300 * ms, Socket: tc.socket}, crewtest.Of(tc.addr))[0]
			if o.Status != probe.Failed || o.Reason != tc.reason || o.Err == nil || !strings.Contains(o.Err.Error(), tc.why) || o.Seq != 0 {
				t.Errorf("%v %v, try %d: %v", o.Status, o.Reason, o.Seq, o.Err)
			}
		})
	}
}

// A neighbour that is not there is told of by our own kernel.
func TestLiveAbsentNeighbour(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	got := sweepIn(t, l, SweepConfig{Port: 443, Timeout: 20 * time.Second}, crewtest.Of("192.0.2.99", "2001:db8::99"))
	for i, own := range lab.Addrs("192.0.2.1", "2001:db8::1") {
		if o := got[i]; o.Status != probe.Unreachable || o.Reason != probe.HostUnreachable || o.From != own {
			t.Errorf("%v: %v %v from %v after %v", o.Addr, o.Status, o.Reason, o.From, o.RTT)
		}
	}
}

// A source address on this host is used, and costs no ports; so are interface
// and mark.
func TestLiveSocketOptions(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Serve: lab.At("203.0.113.0/24")})
	l.Must(l.AddRoute(netip.MustParsePrefix("203.0.113.0/24"), netip.MustParseAddr("192.0.2.2")))
	l.Must(l.Sysctl("net.ipv4.ip_local_port_range", "40000 40019"))
	cfg := SweepConfig{Port: 443, Timeout: 10 * time.Second, Limit: 100, Socket: rawsock.Config{
		Source: netip.MustParseAddr("192.0.2.1"), Interface: l.Device(), Mark: 7, TTL: 9, TOS: 0x20,
	}}
	for _, o := range sweepIn(t, l, cfg, crewtest.Count("203.0.113.0", 250)) {
		if o.Status != probe.Refused || o.Reason != probe.RST {
			t.Errorf("%v: %v %v, %v", o.Addr, o.Status, o.Reason, o.Err)
		}
	}
}

// Where local ports run out, probes wait for them.
func TestLiveFewPorts(t *testing.T) {
	l := lab.Start(t, lab.Topology{Hosts: []lab.Host{{At: crewtest.At(3), Silent: true}}})
	l.Must(l.Sysctl("net.ipv4.ip_local_port_range", "40000 40019"))
	same := targets("203.0.113.3", 60, 443)
	for _, t := range same {
		t.Addr = same[0].Addr
	}
	e := rounds.New(rounds.Config{
		Targets: same, Count: 1, Interval: 100 * ms, Timeout: 200 * ms, Each: rawsock.DialCost,
		Asker: func() crew.Asker { return inside{l, newDialer(&rawsock.Config{})} },
	})
	checkAllLost(t, e, 60)
}

// Probes that repeat keep their interval, whatever becomes of each, and the
// kernel's clock says how long the answers took.
func TestLiveRounds(t *testing.T) {
	l := lab.Start(t, lab.Topology{
		Out:  lab.Link{Delay: 10 * ms},
		Back: lab.Link{Delay: 10 * ms},
		Hosts: []lab.Host{
			{At: crewtest.At(1), TCP: []uint16{443}}, {At: crewtest.At(2)}, {At: crewtest.At(3), Silent: true},
		},
	})
	var all []*probe.Target
	for _, n := range []int{1, 2, 3} {
		for _, addr := range crewtest.Hosts(n) {
			all = append(all, targets(addr, 1, 443)[0])
			all[len(all)-1].ID = len(all) - 1
		}
	}
	e := rounds.New(rounds.Config{
		Targets: all, Count: 3, Interval: 200 * ms, Timeout: 600 * ms, Late: 100 * ms, Each: rawsock.DialCost,
		Asker: func() crew.Asker { return inside{l, newDialer(&rawsock.Config{})} },
	})
	want := []probe.Status{probe.Reply, probe.Refused, probe.Lost}
	interims, outcomes := 0, 0
	err := e.Probe(t.Context(), func(r probe.Result) {
		if r.Interim {
			interims++
			return
		}
		outcomes++
		w := want[r.Target.ID/2]
		if r.Status != w || w != probe.Lost && (r.RTT < 20*ms || r.RTT > 600*ms || r.From != r.Target.Addr.Addr()) {
			t.Errorf("%v seq %d: %v %v from %v after %v", r.Target.Name, r.Seq, r.Status, r.Reason, r.From, r.RTT)
		}
		if (r.Clock == probe.Kernel) != (w == probe.Reply) {
			t.Errorf("%v: %v by %v", r.Target.Name, r.Status, r.Clock)
		}
	})
	if err != nil || outcomes != 18 || interims < 6 {
		t.Errorf("%d outcomes, %d interims, %v", outcomes, interims, err)
	}
}
