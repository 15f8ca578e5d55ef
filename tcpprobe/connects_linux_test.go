package tcpprobe

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// newConnects returns a Juggler, closed at the end of the test.
func newConnects(t *testing.T) *connects {
	t.Helper()
	c, err := rawsock.OpenConnector(rawsock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	j := &connects{conn: c}
	t.Cleanup(func() { j.Close() })
	return j
}

// solo asks by a Juggler, one host at a time, inside a lab if there is one.
type solo struct {
	*lab.Lab
	*connects
}

func (s solo) Ask(ctx context.Context, t crew.Try) (answer crew.Answer) {
	ask := func() {
		a, over := s.Begin(t)
		for answer = a; !over && ctx.Err() == nil; {
			s.Poll(time.Second, func(_ crew.Try, a *crew.Answer) { answer, over = *a, true })
		}
	}
	if s.Lab == nil {
		ask()
	} else if err := s.Namespace.Do(ask); err != nil {
		panic(err)
	}
	return answer
}

// connectIn runs a sweep of cfg inside l, by connects.
func connectIn(t *testing.T, l *lab.Lab, cfg SweepConfig, list *crewtest.List) map[int]crewtest.Outcome {
	t.Helper()
	cfg.Source = list
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return crewtest.Run(t, ctx, newSweep(cfg, func() crew.Asker { return solo{l, newConnects(t)} }), list)
}

// What a Connector tells of ICMP errors is what a dial tells.
func TestConnectsRejected(t *testing.T) {
	for _, e := range crewtest.Rejections {
		t.Run(e.Name, func(t *testing.T) {
			l := lab.Start(t, crewtest.Rejecting(e))
			got := connectIn(t, l, SweepConfig{Port: 443, Timeout: 5 * time.Second}, both(1, 2))
			crewtest.CheckRejected(t, e, got)
		})
	}
}

// So is what it tells of open, closed and silent ports; and of a SYN lost once.
func TestConnectsAnswered(t *testing.T) {
	var lost sync.Map
	l := lab.Start(t, lab.Topology{
		Out:  lab.Link{Delay: 10 * ms},
		Back: lab.Link{Delay: 10 * ms},
		Hops: []lab.Hop{{Addrs: crewtest.Routers}},
		Hosts: []lab.Host{
			{At: crewtest.At(1), TCP: []uint16{443}},
			{At: crewtest.At(2)},
			{At: crewtest.At(3), Silent: true},
			{At: crewtest.At(4), TCP: []uint16{443}},
		},
		Hook: func(p *lab.Packet) lab.Verdict {
			slow := crewtest.At(4)[0].Contains(p.Dst) || crewtest.At(4)[1].Contains(p.Dst)
			if !slow || p.Dir != lab.Out || p.Kind != lab.TCP {
				return lab.Verdict{}
			}
			_, again := lost.LoadOrStore(p.Dst, true)
			return lab.Verdict{Drop: !again}
		},
	})
	got := connectIn(t, l, SweepConfig{Port: 443, Timeout: 2500 * ms}, both(1, 2, 3, 4))
	want := []probe.Result{
		{Status: probe.Reply, Reason: probe.Connected},
		{Status: probe.Refused, Reason: probe.RST},
		{Status: probe.Lost, Reason: probe.NoResponse, Retrans: 2},
		{Status: probe.Reply, Reason: probe.Connected, Retrans: 1},
	}
	for i, o := range got {
		w := want[i/2]
		if o.Status != w.Status || o.Reason != w.Reason || o.Seq != 1 || w.Status == probe.Reply && o.Retrans != w.Retrans || w.Status == probe.Lost && o.Retrans == 0 {
			t.Errorf("%v: %v %v, try %d, %d SYNs again, want %+v", o.Addr, o.Status, o.Reason, o.Seq, o.Retrans, w)
		}
		if o.From.IsValid() && (o.From != o.Addr.Addr() || o.RTT < 20*ms || o.RTT > time.Second) {
			t.Errorf("%v: from %v after %v", o.Addr, o.From, o.RTT)
		}
	}
}

// What this host cannot send is its failure.
func TestConnectsLocalFailures(t *testing.T) {
	l := lab.Start(t, lab.Topology{})
	l.Must(l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0")))
	o := connectIn(t, l, SweepConfig{Port: 443, Timeout: time.Second}, crewtest.Of("203.0.113.1"))[0]
	if o.Status != probe.Failed || o.Reason != probe.NoRoute {
		t.Errorf("without a route: %v %v: %v", o.Status, o.Reason, o.Err)
	}
}

// One socket is refused, connects, is refused again, thousands of times, and
// each answer belongs to its own try. No connection is left behind.
func TestConnectsMany(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
		if err != nil {
			t.Skip(err)
		}
		open := netip.MustParseAddrPort(listener.Addr().String())
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		p, err := OpenConnects(rawsock.Config{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		const n = 5000
		got, left := map[netip.AddrPort]crew.Answer{}, n
		var tries []crew.Try
		closed := closedPorts(t, addr)
		for i := range n {
			to := netip.AddrPortFrom(netip.MustParseAddr(addr), closed[i%len(closed)])
			if i%10 == 0 {
				to = open
			}
			tries = append(tries, crew.Try{To: to, N: 1, Timeout: 10 * time.Second})
		}
		for deadline := time.Now().Add(time.Minute); left > 0 && time.Now().Before(deadline); {
			tries = tries[p.Start(tries[:min(len(tries), p.Room())]):]
			p.Wait(time.Second)
			p.Collect(func(to netip.AddrPort, n int, a *crew.Answer) {
				left--
				if (to == open) != (a.Status == probe.Reply) || (to != open) != (a.Status == probe.Refused) || n != 1 {
					t.Errorf("%v: %v %v: %v", to, a.Status, a.Reason, a.Err)
				}
				got[to] = *a
			})
		}
		if left != 0 || len(got) != 1+len(closed) {
			t.Errorf("%d answers are missing", left)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		listener.Close()
	}
}

// closedPorts returns some ports of addr on which nobody listens.
func closedPorts(t *testing.T, addr string) []uint16 {
	t.Helper()
	var ports []uint16
	for range 8 {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, netip.MustParseAddrPort(l.Addr().String()).Port())
	}
	return ports
}

// A Poll that waits is woken, and a closed pool ends what is under way.
func TestConnectsWake(t *testing.T) {
	p, err := OpenConnects(rawsock.Config{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	go p.Wake()
	p.Wait(time.Minute)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("woke after %v", took)
	}
}

// A listener whose queue is full is silent, and is given up in time; the
// descriptor is given back.
func TestConnectsGivenUp(t *testing.T) {
	port := fullListener(t)
	before := descriptors(t)
	l := crewtest.Count("127.0.2.1", 20)
	j := newConnects(t)
	s := newSweep(SweepConfig{Source: l, Port: port, Timeout: 100 * ms, Limit: 1}, func() crew.Asker { return solo{nil, j} })
	for i, o := range crewtest.Run(t, t.Context(), s, l) {
		if o.Status != probe.Lost {
			t.Errorf("host %d: %v %v: %v", i, o.Status, o.Reason, o.Err)
		}
	}
	if after := descriptors(t); after > before+2 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// A source address that is not here is this host's failure, by its name.
func TestConnectsSource(t *testing.T) {
	c, err := rawsock.OpenConnector(rawsock.Config{Source: netip.MustParseAddr("192.0.2.77")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	j := &connects{cfg: rawsock.Config{Source: netip.MustParseAddr("192.0.2.77")}, conn: c}
	a, over := j.Begin(crew.Try{To: netip.MustParseAddrPort("127.0.0.1:9"), Timeout: time.Second})
	if !over || a.Status != probe.Failed || a.Err == nil {
		t.Errorf("%v %v: %v", a.Status, a.Reason, a.Err)
	}
	if _, over := j.Begin(crew.Try{To: netip.MustParseAddrPort("[::1]:9"), Timeout: time.Second}); !over {
		t.Error("IPv6 from an IPv4 address")
	}
}
