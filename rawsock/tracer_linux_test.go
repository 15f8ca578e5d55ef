package rawsock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// tracers runs f for each protocol, family and kind of Tracer, in a network of
// its own whose far end is a kernel that forwards: 192.0.2.2 and 2001:db8::2
// answer as targets, and for 203.0.113.0/24 and 2001:db8:7::/48 as a hop.
func tracers(t *testing.T, f func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr)) {
	for _, kind := range []Kind{Raw, Datagram} {
		for _, proto := range protos {
			if kind == Datagram && proto == TCP {
				continue
			}
			for _, far := range lab.Addrs("192.0.2.2", "2001:db8::2") {
				t.Run(fmt.Sprintf("%v %v IPv%d", kind, proto, FamilyOf(far)), func(t *testing.T) {
					l := router(t)
					l.Must(l.PingGroups(0, 0))
					f(t, l, TracerConfig{Family: FamilyOf(far), Proto: proto, Kind: kind}, far)
				})
			}
		}
	}
}

// router is a Pair whose far end forwards, and limits none of its errors.
func router(t *testing.T) *lab.Lab {
	t.Helper()
	l := lab.Pair(t, lab.Veth{Neighbours: true})
	for name, value := range map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1",
		"net.ipv4.icmp_ratelimit": "0", "net.ipv6.icmp.ratelimit": "0",
		"net.ipv4.conf.all.send_redirects": "0", "net.ipv4.conf.lab0.send_redirects": "0",
		"net.ipv4.icmp_msgs_per_sec": "100000", "net.ipv4.icmp_msgs_burst": "100000",
	} {
		l.Must(l.Far.Sysctl(name, value))
	}
	for _, beyond := range []netip.Addr{target4, target6} {
		far := hopOf(beyond)
		l.Must(l.AddRoute(netip.PrefixFrom(beyond, beyond.BitLen()), far))
		l.Must(l.Far.AddRoute(netip.PrefixFrom(beyond, beyond.BitLen()), netip.Addr{}))
	}
	return l
}

// hopOf is the far end in the family of a.
func hopOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.MustParseAddr("192.0.2.2")
	}
	return netip.MustParseAddr("2001:db8::2")
}

// beyond is an address behind the router far.
func beyond(far netip.Addr) netip.Addr {
	if far.Is4() {
		return target4
	}
	return target6
}

// traceIn opens a Tracer in the near namespace of l and closes it with the test.
func traceIn(t testing.TB, l *lab.Lab, cfg TracerConfig) *Tracer {
	t.Helper()
	var tr *Tracer
	var err error
	l.Do(func() { tr, err = OpenTracer(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	stampsOn()
	return tr
}

// probe is one with all numbers derived from n.
func (t *Tracer) probe(to netip.Addr, ttl uint8, n uint16) Probe {
	return Probe{From: mine(to), To: to, Port: 33434, TTL: ttl, Flow: t.Flow(), N: n, Cookie: 0x1122334455660000 + uint64(n), Key: 7 * uint32(n)}
}

// must sends ps and fails unless the kernel takes them all.
func (t *Tracer) must(tb testing.TB, l *lab.Lab, ps ...Probe) {
	tb.Helper()
	var n int
	var err error
	// A flow that is new opens a socket.
	l.Do(func() { n, err = t.Send(ps) })
	if n != len(ps) || err != nil {
		tb.Fatalf("sent %d of %d: %v", n, len(ps), err)
	}
}

// replies drains tr until it has told of so many answers and departures, and
// returns them.
func replies(tb testing.TB, tr *Tracer, answers, departures int) (got, left []Reply) {
	tb.Helper()
	a, err := NewAlarm()
	if err != nil {
		tb.Fatal(err)
	}
	defer a.Close()
	if !a.WatchTracer(tr) {
		tb.Fatal("cannot watch")
	}
	for deadline := time.Now().Add(patience); len(got) < answers || len(left) < departures; {
		if time.Now().After(deadline) {
			tb.Fatalf("nothing more came than %d departures and %+v", len(left), got)
		}
		a.Wait(50 * time.Millisecond)
		err := tr.Drain(func(r *Reply) {
			keep := *r
			keep.MPLS = append([]Label(nil), r.MPLS...)
			keep.Interfaces = append([]InterfaceInfo(nil), r.Interfaces...)
			if r.Event == Stamp {
				left = append(left, keep)
			} else {
				got = append(got, keep)
			}
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return got, left
}

// A hop's error comes with all it shows, and both stamps are there.
func TestTracerHop(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		if tr.Kind() != cfg.Kind || tr.Family() != cfg.Family || tr.Proto() != cfg.Proto || !tr.KernelClock() {
			t.Errorf("kind %v, IPv%d, %v, kernel clock %v", tr.Kind(), tr.Family(), tr.Proto(), tr.KernelClock())
		}
		if f := tr.Flow(); f < firstFlow || f > lastFlow {
			t.Errorf("flow %d", f)
		}
		const n = 100 // more than a batch
		var ps []Probe
		for i := range uint16(n) {
			p := tr.probe(beyond(far), 1, i+1)
			p.TOS = 0x48
			ps = append(ps, p)
		}
		before := time.Now().UnixNano()
		tr.must(t, l, ps...)
		got, left := replies(t, tr, n, n)
		after := time.Now().UnixNano()
		tx := map[uint32]int64{}
		for _, r := range left {
			tx[r.Key] = r.Stamp
		}
		if len(got) != n || len(left) != n || len(tx) != n {
			t.Fatalf("%d answers, %d departures, %d of them different", len(got), len(left), len(tx))
		}
		for i, r := range got {
			p := ps[i]
			if r.Stamp < tx[p.Key] || tx[p.Key] < before || r.Stamp > after {
				t.Errorf("probe %d left at %d, was answered at %d", p.N, tx[p.Key], r.Stamp)
			}
			checkExpired(t, tr, &p, &r, far)
		}
		if tr.Dropped() != 0 {
			t.Errorf("%d dropped", tr.Dropped())
		}
	})
}

// checkExpired fails unless r is the time-exceeded of far about p.
func checkExpired(t *testing.T, tr *Tracer, p *Probe, r *Reply, far netip.Addr) {
	t.Helper()
	typ := uint8(typeExceeded4)
	if far.Is6() {
		typ = typeExceeded6
	}
	if r.Event != Error || r.Type != typ || r.Code != 0 || r.From != far || r.TTL != 64 || r.Proto != tr.Proto() || r.Size < 8 {
		t.Errorf("probe %d: %+v", p.N, r)
	}
	if r.Flow != p.Flow || r.Quoted.Dst != p.To || tr.Proto() != ICMP && r.Port != p.Port {
		t.Errorf("probe %d: flow %d to %v port %d", p.N, r.Flow, r.Quoted.Dst, r.Port)
	}
	raw := tr.Kind() == Raw
	if r.HasN != (raw || tr.Proto() == ICMP) || r.HasN && r.N != p.N {
		t.Errorf("probe %d: number %d, %v", p.N, r.N, r.HasN)
	}
	if r.HasIPID != (raw && far.Is4()) || r.HasIPID && r.IPID != p.N {
		t.Errorf("probe %d: IP ID %d, %v", p.N, r.IPID, r.HasIPID)
	}
	if tr.Proto() == TCP && r.Check != uint16(p.Cookie) {
		t.Errorf("probe %d: check %#x", p.N, r.Check)
	}
	if r.HasCookie != (tr.Proto() != TCP) || r.HasCookie && r.Cookie != p.Cookie {
		t.Errorf("probe %d: cookie %#x, %v", p.N, r.Cookie, r.HasCookie)
	}
	if r.Quoted.Seen != raw || raw && (r.Quoted.Src != p.From || r.Quoted.TTL != 1 || r.Quoted.TOS != p.TOS) {
		t.Errorf("probe %d: quoted %+v", p.N, r.Quoted)
	}
	want := p.N
	if tr.Proto() == ICMP {
		want = p.Flow
	}
	// With UDP and TCP, nobody computes the checksum of a datagram socket's packet on a veth.
	if r.Quoted.HasSum != (raw || tr.Proto() == ICMP) || r.Quoted.HasSum && r.Quoted.Sum != want {
		t.Errorf("probe %d: quoted checksum %#x, want %#x", p.N, r.Quoted.Sum, want)
	}
}

// The target answers as its kernel does.
func TestTracerTarget(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		open := listen(t, l, cfg.Proto, far)
		ps := []Probe{tr.probe(far, 9, 1), tr.probe(far, 9, 2)}
		ps[1].Port = open
		tr.must(t, l, ps...)
		got, _ := replies(t, tr, 2, 2)
		byPort := map[uint16]Reply{}
		for i, r := range got {
			if r.From != far || r.TTL != 64 || r.Flow != tr.Flow() || r.Stamp == 0 {
				t.Errorf("%+v", r)
			}
			if cfg.Proto == ICMP {
				byPort[ps[i].Port] = r
				continue
			}
			byPort[r.Port] = r
		}
		closed, answer := byPort[33434], byPort[open]
		switch cfg.Proto {
		case ICMP:
			for i, r := range got {
				if r.Event != Echo || !r.HasN || r.N != ps[i].N || r.Cookie != ps[i].Cookie {
					t.Errorf("%+v", r)
				}
			}
		case UDP:
			want := lab.PortUnreachable.V4
			if far.Is6() {
				want = lab.PortUnreachable.V6
			}
			if (lab.Code{Type: closed.Type, Code: closed.Code}) != want || closed.Event != Error || closed.Cookie != ps[0].Cookie {
				t.Errorf("a closed port answered %+v", closed)
			}
			if answer.Event != Echo || answer.HasN || answer.Cookie != ps[1].Cookie || answer.Size != 8+10 {
				t.Errorf("an echo service answered %+v", answer)
			}
		case TCP:
			if closed.Event != Echo || closed.TCPFlags != flagRST|flagACK || closed.N != 1 || closed.Check != uint16(ps[0].Cookie) {
				t.Errorf("a closed port answered %+v", closed)
			}
			if answer.Event != Echo || answer.TCPFlags != flagSYN|flagACK || answer.N != 2 || answer.Check != uint16(ps[1].Cookie) {
				t.Errorf("an open port answered %+v", answer)
			}
		}
	})
}

// listen opens a port at the far end, with an echo service if it is UDP, and
// returns it.
func listen(t *testing.T, l *lab.Lab, proto Proto, far netip.Addr) uint16 {
	t.Helper()
	at := netip.AddrPortFrom(far, 0)
	var err error
	var port uint16
	switch proto {
	case UDP:
		var c *net.UDPConn
		l.Must(l.Far.Do(func() { c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)) }))
		l.Must(err)
		t.Cleanup(func() { c.Close() })
		port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		go func() {
			b := make([]byte, 2048)
			for {
				n, from, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				_, _ = c.WriteToUDPAddrPort(b[:n], from)
			}
		}()
	case TCP:
		var c *net.TCPListener
		l.Must(l.Far.Do(func() { c, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)) }))
		l.Must(err)
		t.Cleanup(func() { c.Close() })
		port = c.Addr().(*net.TCPAddr).AddrPort().Port()
	}
	return port
}

// What is on the wire is what AppendProbe says: load balancers see one flow.
func TestTracerOnTheWire(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		s := sniff(t, l.Far)
		tr := traceIn(t, l, cfg)
		for n := range uint16(5) {
			p := tr.probe(far, 9+uint8(n), n+1)
			p.TOS, p.Size = 0xb8, 100*int(n)
			if n == 4 {
				p.Flow++
			}
			tr.must(t, l, p)
			b := s.from(cfg.Family, cfg.Proto)
			if cfg.Kind == Datagram {
				b = asRaw(t, b, cfg.Proto, &p)
			}
			checkBuilt(t, decode(t, b), cfg.Proto, &p, len(b))
		}
	})
}

// from returns the next packet of a protocol, IP header first.
func (s *sniffer) from(f Family, proto Proto) []byte {
	s.t.Helper()
	buf := make([]byte, 1<<16)
	for range 1000 {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		h, body, ok := parsePacket(buf[:n])
		if !ok || h.proto != proto.number(f) || h.dst != hopOf(h.dst) || FamilyOf(h.dst) != f {
			continue
		}
		if proto != ICMP || body[0] == echoType(f) {
			return buf[:n]
		}
	}
	s.t.Fatal("no probe among a thousand packets")
	return nil
}

// asRaw mends in a datagram socket's packet what it cannot have as the raw one:
// the IP ID, and the UDP checksum, which on a veth nobody finishes.
func asRaw(t *testing.T, b []byte, proto Proto, p *Probe) []byte {
	t.Helper()
	h, body, _ := parsePacket(b)
	if p.To.Is4() {
		b[4], b[5] = byte(p.N>>8), byte(p.N)
		b[10], b[11] = 0, 0
		s := ^sum(b[:20])
		b[10], b[11] = byte(s>>8), byte(s)
	}
	if proto == UDP && h.unfinishedSum(body) {
		body[6], body[7] = 0, 0
		s := ^add(sum(body), pseudoSum(h.src, h.dst, h.proto, len(body)))
		body[6], body[7] = byte(s>>8), byte(s)
	}
	return b
}

// Probes of other flows are sent and answered, each as its own.
func TestTracerFlows(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		var ps []Probe
		const n = 40
		for i := range uint16(n) {
			p := tr.probe(beyond(far), 1, i+1)
			p.Flow += i % 20
			ps = append(ps, p)
			q := tr.probe(far, 9, n+i+1)
			q.Flow += i % 20
			ps = append(ps, q)
		}
		tr.must(t, l, ps...)
		got, _ := replies(t, tr, 2*n, 2*n)
		flows := map[uint16]int{}
		for _, r := range got {
			flows[r.Flow-tr.Flow()]++
			if r.HasN && (r.N-1)%n%20 != r.Flow-tr.Flow() {
				t.Errorf("flow %d: %+v", r.Flow-tr.Flow(), r)
			}
		}
		for f := range uint16(20) {
			if flows[f] != 4 {
				t.Errorf("flow %d answered %d times", f, flows[f])
			}
		}
		beyondRange := tr.probe(far, 9, 1)
		if cfg.Kind == Raw {
			beyondRange.Flow += MaxFlows
		} else {
			for range 64 {
				beyondRange.Flow++
				l.Do(func() { _, _ = tr.Send([]Probe{beyondRange}) })
			}
		}
		if n, err := tr.Send([]Probe{beyondRange}); n != 0 || !errors.Is(err, ErrFlows) {
			t.Errorf("one flow too many: sent %d, %v", n, err)
		}
	})
}

// Probes may leave, and open sockets, while answers are read.
func TestTracerSendsWhileDraining(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		const n = 200
		sent := make(chan error, 1)
		go func() {
			var err error
			e := l.Namespace.Do(func() {
				for i := range uint16(n) {
					p := tr.probe(beyond(far), 1, i+1)
					p.Flow += i % 50
					if _, e := tr.Send([]Probe{p}); e != nil {
						err = e
					}
				}
			})
			sent <- errors.Join(e, err)
		}()
		got, left := replies(t, tr, n, n)
		if err := <-sent; err != nil || len(got) != n || len(left) != n || !tr.KernelClock() {
			t.Errorf("%d answers, %d departures, %v", len(got), len(left), err)
		}
	})
}

// Two Tracers beside each other hear nothing of what answers the other, but
// ICMP errors, which say by their flow whose they are.
func TestTracersBesideEachOther(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		cfg.Flow = 61000
		a := traceIn(t, l, cfg)
		cfg.Flow += MaxFlows
		b := traceIn(t, l, cfg)
		for n := range uint16(20) {
			a.must(t, l, a.probe(far, 9, n+1), a.probe(beyond(far), 1, n+101))
			b.must(t, l, b.probe(far, 9, n+1), b.probe(beyond(far), 1, n+101))
		}
		for _, tr := range []*Tracer{a, b} {
			want := 40
			if cfg.Kind == Raw {
				want += 20
				if cfg.Proto == UDP {
					want += 20 // port-unreachables of the other
				}
			}
			got, left := replies(t, tr, want, 40)
			own := 0
			for _, r := range got {
				if r.Flow == tr.Flow() {
					own++
				} else if r.Event != Error {
					t.Errorf("somebody else's answer: %+v", r)
				}
			}
			if own != 40 || len(left) != 40 || len(got) != want {
				t.Errorf("%d answers of its own among %d, %d departures", own, len(got), len(left))
			}
		}
	})
}

// A flow that is somebody else's is refused, where the system can tell.
func TestTracerFlowInUse(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		cfg.Flow = 61234
		first := traceIn(t, l, cfg)
		if first.Flow() != 61234 {
			t.Errorf("flow %d", first.Flow())
		}
		var second *Tracer
		var err error
		l.Do(func() { second, err = OpenTracer(cfg) })
		if cfg.Kind == Raw && cfg.Proto == ICMP {
			if err != nil {
				t.Error(err)
			} else {
				second.Close()
			}
			return
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("a second Tracer: %v", err)
		}
		// The other family has ports of its own, or is allowed to share.
		cfg.Family = IPv4 + IPv6 - cfg.Family
		cfg.Beside = first
		other := traceIn(t, l, cfg)
		l.Do(func() { second, err = OpenTracer(cfg) })
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("a third Tracer: %v", err)
		}
		there := hopOf(map[Family]netip.Addr{IPv4: me4, IPv6: me6}[cfg.Family])
		for n := range uint16(4) {
			// Both open flows before the other does.
			p, q := first.probe(beyond(far), 1, n+1), other.probe(beyond(there), 1, n+1)
			p.Flow, q.Flow = p.Flow+n, q.Flow+3-n
			first.must(t, l, p)
			other.must(t, l, q)
			got, _ := replies(t, first, 1, 1)
			checkExpired(t, first, &p, &got[0], far)
			got, _ = replies(t, other, 1, 1)
			checkExpired(t, other, &q, &got[0], there)
		}
	})
}

// Without a source the one of the route is taken.
func TestTracerPicksTheSource(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		s := sniff(t, l.Far)
		tr := traceIn(t, l, cfg)
		p := tr.probe(far, 9, 5)
		want := p.From
		p.From = netip.Addr{}
		tr.must(t, l, p)
		b := s.from(cfg.Family, cfg.Proto)
		p.From = want
		if cfg.Kind == Datagram {
			b = asRaw(t, b, cfg.Proto, &p)
		}
		checkBuilt(t, decode(t, b), cfg.Proto, &p, len(b))
	})
}

// A link-local target is reached through its zone.
func TestTracerLinkLocal(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		if cfg.Family == IPv4 {
			t.Skip("IPv4 has no zones")
		}
		l.Must(l.AddAddr(netip.MustParsePrefix("fe80::4e50:1/64")))
		l.Must(l.Far.AddAddr(netip.MustParsePrefix("fe80::4e50:2/64")))
		tr := traceIn(t, l, cfg)
		there := netip.MustParseAddr("fe80::4e50:2")
		for _, from := range []netip.Addr{netip.MustParseAddr("fe80::4e50:1"), {}} {
			p := tr.probe(there.WithZone(l.Device()), 9, 7)
			p.From = from
			tr.must(t, l, p)
			got, _ := replies(t, tr, 1, 1)
			if got[0].From != there || got[0].Flow != p.Flow {
				t.Errorf("from %v: %+v", from, got[0])
			}
		}
		nowhere := tr.probe(there.WithZone("nosuch0"), 9, 7)
		if n, err := tr.Send([]Probe{nowhere}); n != 0 || CauseOf(err) != LinkDown {
			t.Errorf("sent %d, %v", n, err)
		}
	})
}

// Our own host's refusals come back as what they are, and later probes leave.
func TestTracerLocalFailures(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		nowhere := netip.MustParseAddr("198.51.100.77")
		if far.Is6() {
			nowhere = netip.MustParseAddr("2001:db8:99::1")
		}
		for round := range uint16(3) {
			big := tr.probe(far, 9, 3*round+1)
			big.Size = 1501
			lost := tr.probe(nowhere, 9, 3*round+2)
			lost.From = netip.Addr{}
			for want, p := range map[Cause]Probe{TooBig: big, NoRoute: lost} {
				good := tr.probe(far, 9, 3*round+3)
				n, err := tr.Send([]Probe{good, p, good})
				if n != 1 || CauseOf(err) != want {
					t.Errorf("cause %d: sent %d, %v", want, n, err)
				}
			}
			if got, left := replies(t, tr, 2, 2); len(got) != 2 || len(left) != 2 {
				t.Errorf("%d answers, %d departures", len(got), len(left))
			}
		}
		l.Must(l.Down())
		p := tr.probe(far, 9, 1)
		if n, err := tr.Send([]Probe{p}); n != 0 || CauseOf(err) != LinkDown && CauseOf(err) != NoRoute {
			t.Errorf("without a link: sent %d, %v", n, err)
		}
	})
}

// An ICMP error about one probe loses no other: with errors pending, sends go on.
func TestTracerPendingErrors(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		const n = 60 // the receive buffer holds the errors and departures of twice as many
		for range 3 {
			for i := range uint16(n) {
				tr.must(t, l, tr.probe(beyond(far), 1, i+1))
				if i%10 == 0 {
					time.Sleep(time.Millisecond) // the error is pending by now, as often as not
				}
			}
			got, left := replies(t, tr, n, n)
			if len(got) != n || len(left) != n {
				t.Errorf("%d answers, %d departures", len(got), len(left))
			}
			for i, r := range got {
				p := tr.probe(beyond(far), 1, uint16(i)+1)
				checkExpired(t, tr, &p, &r, far)
			}
		}
	})
}

// Sending and receiving allocate nothing.
func TestTracerAllocatesNothing(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		for _, from := range []netip.Addr{mine(far), {}} {
			p, q := tr.probe(beyond(far), 1, 1), tr.probe(far, 9, 2)
			p.From, q.From = from, from
			ps := []Probe{p, q}
			tr.must(t, l, ps...)
			answers := 0
			visit := func(r *Reply) {
				if r.Event != Stamp {
					answers++
				}
			}
			n := testing.AllocsPerRun(100, func() {
				if n, err := tr.Send(ps); n != 2 || err != nil {
					t.Errorf("sent %d, %v", n, err)
				}
				if err := tr.Drain(visit); err != nil {
					t.Error(err)
				}
			})
			if n != 0 || answers == 0 {
				t.Errorf("%v allocations a round, %d answers", n, answers)
			}
		}
	})
}

// What the sockets are bound to, and refused.
func TestTracerConfig(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		for name, tc := range map[string]struct {
			change func(*TracerConfig)
			want   error
		}{
			"interface": {func(c *TracerConfig) { c.Interface = "nosuch0" }, unix.ENODEV},
			"source":    {func(c *TracerConfig) { c.Source = far }, unix.EADDRNOTAVAIL},
		} {
			cfg := cfg
			tc.change(&cfg)
			var err error
			l.Do(func() { _, err = OpenTracer(cfg) })
			if _, ok := errors.AsType[*os.SyscallError](err); !ok || !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", name, err, tc.want)
			}
		}
		cfg.Source, cfg.Interface, cfg.Mark, cfg.RecvBuf, cfg.SendBuf, cfg.NoStamps = mine(far), l.Device(), 42, 1<<20, 1<<20, true
		tr := traceIn(t, l, cfg)
		if tr.KernelClock() {
			t.Error("a kernel clock without departures")
		}
		tr.must(t, l, tr.probe(far, 9, 1), tr.probe(beyond(far), 1, 2))
		if got, left := replies(t, tr, 2, 0); len(got) != 2 || len(left) != 0 || got[0].Stamp == 0 {
			t.Errorf("%d departures, answers %+v", len(left), got)
		}
	})
}

// On kernels that count packets themselves, each departure is known by its key.
func TestTracerCountsStamps(t *testing.T) {
	tracers(t, func(t *testing.T, l *lab.Lab, cfg TracerConfig, far netip.Addr) {
		tr := traceIn(t, l, cfg)
		o := (*tr.outlets.Load())[0]
		o.out = sender{}
		o.out.init()
		o.out.keyed = false
		o.out.initCount()
		o.restartStamps()
		const n = 150
		var got, left []Reply
		for i := range uint16(n) {
			big := tr.probe(far, 9, i+1)
			big.Size = 1501
			if _, err := tr.Send([]Probe{tr.probe(beyond(far), 1, i+1), big}); CauseOf(err) != TooBig {
				t.Fatal(err)
			}
			more, stamps := replies(t, tr, 1, 1)
			got, left = append(got, more...), append(left, stamps...)
		}
		tx := map[uint32]int64{}
		for _, r := range left {
			tx[r.Key] = r.Stamp
		}
		for i, r := range got {
			if at, ok := tx[7*uint32(i+1)]; !ok || at > r.Stamp || i > 0 && at < tx[7*uint32(i)] {
				t.Errorf("probe %d left at %d, was answered at %d", i+1, at, r.Stamp)
			}
		}
	})
}

// An ordinary user traces with UDP always, with ICMP where the groups allow it,
// never with TCP.
func TestTracerPermissions(t *testing.T) {
	l := router(t)
	for _, tc := range []struct {
		open bool // a new namespace allows nobody
		icmp string
	}{
		{false, "auto=denied-auto raw=denied-raw dgram=denied-dgram"},
		{true, "auto=dgram raw=denied-raw dgram=dgram"},
	} {
		if tc.open {
			l.Must(l.PingGroups(0, 0))
		}
		c := l.Command(t.Context(), "/proc/self/exe", "-test.run=^TestHelperTrace$", "-test.v").Ordinary()
		c.Env = append(os.Environ(), "RAWSOCK_TEST_TRACE=1")
		out, err := c.CombinedOutput()
		if err != nil {
			if strings.Contains(string(out), "FAIL") {
				t.Fatalf("%s", out)
			}
			t.Skipf("cannot start a process as an ordinary user: %v: %s", err, out)
		}
		for _, want := range []string{
			"icmp IPv4 " + tc.icmp, "icmp IPv6 " + tc.icmp,
			"udp IPv4 auto=dgram raw=denied-raw dgram=dgram", "udp IPv6 auto=dgram raw=denied-raw dgram=dgram",
			"tcp IPv4 auto=denied-auto raw=denied-raw dgram=denied-raw", "tcp IPv6 auto=denied-auto raw=denied-raw dgram=denied-raw",
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("want %s in %s", want, out)
			}
		}
	}
}

// TestHelperTrace is not a test: TestTracerPermissions runs it as another user.
func TestHelperTrace(t *testing.T) {
	if os.Getenv("RAWSOCK_TEST_TRACE") == "" {
		t.Skip("helper of TestTracerPermissions")
	}
	for _, proto := range protos {
		for _, to := range []netip.Addr{target4, target6} {
			line := []string{fmt.Sprintf("%v IPv%d", proto, FamilyOf(to))}
			for _, k := range []Kind{Auto, Raw, Datagram} {
				tr, err := OpenTracer(TracerConfig{Family: FamilyOf(to), Proto: proto, Kind: k})
				if denied, ok := errors.AsType[*PermissionError](err); ok {
					line = append(line, fmt.Sprintf("%v=denied-%v", k, denied.Kind))
					continue
				}
				if err != nil {
					line = append(line, err.Error())
					continue
				}
				line = append(line, fmt.Sprintf("%v=%v", k, tr.Kind()))
				traceAsUser(t, tr, to)
				tr.Close()
			}
			t.Log(strings.Join(line, " "))
		}
	}
}

// traceAsUser finds the first hop to a target that is behind it.
func traceAsUser(t *testing.T, tr *Tracer, to netip.Addr) {
	t.Helper()
	p := tr.probe(to, 1, 77)
	stampsOn()
	if n, err := tr.Send([]Probe{p}); n != 1 || err != nil {
		t.Errorf("sent %d, %v", n, err)
	}
	got, left := replies(t, tr, 1, 1)
	if left[0].Key != p.Key || got[0].Stamp < left[0].Stamp {
		t.Errorf("left %+v, answered %+v", left, got)
	}
	checkExpired(t, tr, &p, &got[0], hopOf(to))
}
