package rawsock

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// halves runs f for each family, in a network of its own whose far end is a
// kernel: 192.0.2.2 and 2001:db8::2, which is silent for 203.0.113.0/24 and
// 2001:db8:7::/48.
func halves(t *testing.T, f func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr)) {
	for _, far := range lab.Addrs("192.0.2.2", "2001:db8::2") {
		t.Run(fmt.Sprintf("IPv%d", FamilyOf(far)), func(t *testing.T) {
			l := lab.Pair(t, lab.Veth{Neighbours: true})
			l.Must(l.AddRoute(netip.PrefixFrom(beyond(far), beyond(far).BitLen()), far))
			f(t, l, Config{Family: FamilyOf(far)}, far)
		})
	}
}

// halfOpenIn opens a HalfOpen in the near namespace of l and closes it with the
// test.
func halfOpenIn(t testing.TB, l *lab.Lab, cfg Config) *HalfOpen {
	t.Helper()
	var h *HalfOpen
	var err error
	l.Do(func() { h, err = OpenHalfOpen(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	stampsOn()
	return h
}

// ask sends a SYN of try 1 to each port and fails unless the kernel takes it.
func (h *HalfOpen) ask(t testing.TB, to ...netip.AddrPort) {
	t.Helper()
	var ps []SYN
	for _, a := range to {
		ps = append(ps, SYN{To: a, Try: 1})
	}
	if n, err := h.Send(ps); n != len(ps) || err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(ps), err)
	}
}

// hears drains h until it has told of n answers, but those from any of not, and
// returns them.
func (h *HalfOpen) hears(t testing.TB, n int, not ...netip.Addr) []SYNAnswer {
	t.Helper()
	a, err := NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.WatchHalfOpen(h) {
		t.Fatal("cannot watch")
	}
	var got []SYNAnswer
	for deadline := time.Now().Add(patience); len(got) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing more came than %+v", got)
		}
		a.Wait(50 * time.Millisecond)
		if err := h.Drain(func(s *SYNAnswer) {
			if !slices.Contains(not, s.From) {
				got = append(got, *s)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// serve listens in n on a port of addr.
func serve(t testing.TB, n *lab.Namespace, addr netip.Addr) (*net.TCPListener, netip.AddrPort) {
	t.Helper()
	var l *net.TCPListener
	var err error
	if e := n.Do(func() { l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().(*net.TCPAddr).AddrPort()
}

// An open port and a closed one answer; the kernel resets what was half open, and
// the server never hears of it.
func TestHalfOpen(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		server, open := serve(t, l.Far, far)
		s := sniff(t, l.Far)
		h := halfOpenIn(t, l, cfg)
		closed := netip.AddrPortFrom(far, 9)
		before := time.Now().UnixNano()
		h.ask(t, open, closed)
		for _, a := range h.hears(t, 2) {
			if a.Event != Echo || a.From != far || a.TTL != 64 || a.Try != 1 || a.Size < 20 ||
				a.Stamp < before || a.Stamp > time.Now().UnixNano() || a.Arrived.UnixNano() < a.Stamp {
				t.Errorf("%+v", a)
			}
			if a.To != open && a.To != closed || a.Reset != (a.To == closed) {
				t.Errorf("%v reset %v", a.To, a.Reset)
			}
		}
		var seen []string
		for range 3 {
			p := decode(t, s.from(cfg.Family, TCP)).TransportLayer().(*layers.TCP)
			if p.SrcPort != layers.TCPPort(h.SourcePort()) {
				t.Errorf("from port %d", p.SrcPort)
			}
			seq, _ := h.cookies.of(far, 0, uint16(p.DstPort), h.SourcePort())
			seen = append(seen, fmt.Sprint(netip.AddrPortFrom(far, uint16(p.DstPort)) == open, p.SYN, p.RST, p.Seq-seq))
		}
		got := fmt.Sprint(seen)
		// The answer of the open port may overtake the SYN to the closed one.
		syn, other, rst := "true true false 0", "false true false 0", "true false true 1"
		if got != fmt.Sprint([]string{syn, other, rst}) && got != fmt.Sprint([]string{syn, rst, other}) {
			t.Errorf("on the wire: %v", seen)
		}
		_ = server.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if c, err := server.Accept(); err == nil {
			t.Errorf("the server accepted %v", c.RemoteAddr())
		}
		if h.Dropped() != 0 || h.RecvBuf() == 0 {
			t.Errorf("%d dropped, buffer %d", h.Dropped(), h.RecvBuf())
		}
	})
}

// Each try leaves from a port of its own, and its answer says which it was.
func TestHalfOpenTriesOnTheWire(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		_, open := serve(t, l.Far, far)
		h := halfOpenIn(t, l, cfg)
		var ps []SYN
		for try := range SourcePorts {
			ps = append(ps, SYN{To: open, Try: try + 1})
		}
		if n, err := h.Send(ps); n != SourcePorts || err != nil {
			t.Fatal(n, err)
		}
		seen := map[int]int{}
		for _, a := range h.hears(t, SourcePorts) {
			seen[a.Try]++
		}
		for try := range SourcePorts {
			if seen[try+1] != 1 {
				t.Errorf("try %d answered %d times", try+1, seen[try+1])
			}
		}
	})
}

// forger sends whatever packets from a namespace.
type forger struct {
	t  testing.TB
	fd int
	to netip.Addr
}

func forge(t testing.TB, n *lab.Namespace, to netip.Addr) *forger {
	t.Helper()
	f := &forger{t: t, to: to}
	var err error
	domain := (&Config{Family: FamilyOf(to)}).domain()
	if e := n.Do(func() { f.fd, err = unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	t.Cleanup(func() { unix.Close(f.fd) })
	return f
}

func (f *forger) send(b []byte) {
	f.t.Helper()
	sa, err := sockaddrOf(f.to, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := unix.Sendto(f.fd, b, 0, sa); err != nil {
		f.t.Fatal(err)
	}
}

// Somebody on the path who has not seen the SYN cannot answer it: what
// acknowledges or quotes another sequence number, or does not add up, is nothing.
// What is right is told each time it comes.
func TestHalfOpenForged(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		to := netip.AddrPortFrom(beyond(far), 443)
		s := sniff(t, l.Far)
		f := forge(t, l.Far, mine(far))
		h := halfOpenIn(t, l, cfg)
		h.ask(t, to)
		var q []byte
		for q == nil {
			b, ok := s.packet()
			if hd, _, whole := parsePacket(b); ok && whole && hd.dst == to.Addr() {
				q = append(q, b...)
			}
		}
		sent := decode(t, q).TransportLayer().(*layers.TCP)
		p := &Probe{From: mine(far), To: to.Addr()}
		reply := func(change func(*layers.TCP)) []byte {
			tcp := layers.TCP{SrcPort: 443, DstPort: sent.SrcPort, SYN: true, ACK: true, Ack: sent.Seq + 1, Window: 1000}
			change(&tcp)
			return answer(t, p, to.Addr(), layers.IPProtocolTCP, &tcp)
		}
		quote := func(at int) []byte {
			b := append([]byte(nil), q...)
			b[len(q)-synLen+at] ^= 0x10
			return exceeded(t, p, b)
		}
		right := reply(func(*layers.TCP) {})
		damaged := append([]byte(nil), right...)
		damaged[len(damaged)-5] ^= 1 // its window
		for _, b := range [][]byte{
			reply(func(tcp *layers.TCP) { tcp.Ack++ }),
			reply(func(tcp *layers.TCP) { tcp.Ack-- }),
			reply(func(tcp *layers.TCP) { tcp.Ack = 0 }),
			reply(func(tcp *layers.TCP) { tcp.SYN, tcp.RST, tcp.Ack = false, true, tcp.Ack^1<<31 }),
			reply(func(tcp *layers.TCP) { tcp.SYN, tcp.ACK, tcp.RST, tcp.Ack = false, false, true, 0 }),
			reply(func(tcp *layers.TCP) { tcp.DstPort++ }),
			reply(func(tcp *layers.TCP) { tcp.SrcPort++ }),
			damaged, quote(0), quote(2), quote(4), quote(7),
			exceeded(t, p, q[:len(q)-synLen+7]),
			right, right, exceeded(t, p, q[:len(q)-synLen+8]),
		} {
			f.send(b)
		}
		// The far end may say that it does not forward.
		got := map[string]int{}
		for _, a := range h.hears(t, 3, far) {
			if a.To != to || a.Try != 1 || a.Reset || (a.Event == Error) != (a.From == hop(far)) {
				t.Errorf("%+v", a)
			}
			got[a.From.String()]++
		}
		if want := map[string]int{to.Addr().String(): 2, hop(far).String(): 1}; !maps.Equal(got, want) {
			t.Errorf("answers by sender %v, want %v", got, want)
		}
	})
}

// packet returns the next packet, whatever it is.
func (s *sniffer) packet() ([]byte, bool) {
	s.t.Helper()
	buf := make([]byte, 1<<16)
	n, _, err := unix.Recvfrom(s.fd, buf, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return buf[:n], n > 0
}

// Ports and hosts of this very machine are asked as others are.
func TestHalfOpenOwnHost(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		lo := netip.MustParseAddr("127.0.0.1")
		if far.Is6() {
			lo = netip.IPv6Loopback()
		}
		h := halfOpenIn(t, l, cfg)
		for _, addr := range []netip.Addr{lo, mine(far)} {
			server, open := serve(t, l.Namespace, addr)
			closed := netip.AddrPortFrom(addr, 9)
			own := netip.AddrPortFrom(addr, h.SourcePort()) // asked from itself
			h.ask(t, open, closed, own)
			for _, a := range h.hears(t, 3) {
				if a.Event != Echo || a.From != addr || a.Reset != (a.To != open) {
					t.Errorf("%+v", a)
				}
			}
			_ = server.SetDeadline(time.Now().Add(50 * time.Millisecond))
			if c, err := server.Accept(); err == nil {
				t.Errorf("the server accepted %v", c.RemoteAddr())
			}
		}
	})
}

// What Config says is on the wire.
func TestHalfOpenOnTheWire(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		s := sniff(t, l.Far)
		l.Must(l.Sysctl("net.ipv4.ip_default_ttl", "77"))
		l.Must(l.Sysctl("net.ipv6.conf.all.hop_limit", "77"))
		l.Must(l.Sysctl("net.ipv6.conf.default.hop_limit", "77"))
		second := netip.MustParsePrefix("192.0.2.77/24")
		if cfg.Family == IPv6 {
			second = netip.MustParsePrefix("2001:db8::77/64")
		}
		l.Must(l.AddAddr(second))
		var first netip.Addr
		l.Do(func() {
			route, err := RouteTo(far, cfg)
			l.Must(err)
			first = route.Source
		})
		for _, tc := range []struct {
			name     string
			change   func(*Config)
			ttl, tos uint8
			from     netip.Addr
		}{
			{"defaults", func(*Config) {}, 77, 0, first},
			{"TTL and TOS", func(c *Config) { c.TTL, c.TOS = 9, 0xb8 }, 9, 0xb8, first},
			{"source", func(c *Config) { c.Source = second.Addr() }, 77, 0, second.Addr()},
			{"interface and mark", func(c *Config) { c.Interface, c.Mark = l.Device(), 42 }, 77, 0, first},
		} {
			cfg := cfg
			tc.change(&cfg)
			h := halfOpenIn(t, l, cfg)
			h.ask(t, netip.AddrPortFrom(far, 9))
			b := s.from(cfg.Family, TCP)
			hd, body, _ := parsePacket(b)
			tos := b[1]
			if cfg.Family == IPv6 {
				tos = tclass(b)
			}
			if hd.ttl != tc.ttl || tos != tc.tos || hd.src != tc.from || !hd.sumAddsUp(cfg.Family, body) {
				t.Errorf("%s: ttl %d, tos %#x, from %v", tc.name, hd.ttl, tos, hd.src)
			}
			for _, fd := range []int{(*h.t.outlets.Load())[0].fd, h.t.routes.fd} {
				if mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK); err != nil || mark != cfg.Mark {
					t.Errorf("%s: mark %d, %v", tc.name, mark, err)
				}
			}
			h.hears(t, 1)
		}
	})
}

// The source ports are nobody else's while they are in use.
func TestHalfOpenHoldsItsPorts(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		var h *HalfOpen
		var err error
		l.Do(func() { h, err = OpenHalfOpen(cfg) })
		l.Must(err)
		bind := func(port uint16) error {
			var err error
			l.Do(func() {
				var c net.Listener
				if c, err = net.Listen("tcp", netip.AddrPortFrom(mine(far), port).String()); err == nil {
					c.Close()
				}
			})
			return err
		}
		for i := range uint16(SourcePorts) {
			if err := bind(h.SourcePort() + i); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("port %d: %v", i, err)
			}
		}
		first := h.SourcePort()
		l.Must(h.Close())
		for i := range uint16(SourcePorts) {
			if err := bind(first + i); err != nil {
				t.Errorf("port %d is not given back: %v", i, err)
			}
		}
	})
}

// Our own host's refusals come back as what they are, and later SYNs leave.
func TestHalfOpenLocalFailures(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		h := halfOpenIn(t, l, cfg)
		good := SYN{To: netip.AddrPortFrom(far, 9), Try: 1}
		bad := map[string]Cause{"198.51.100.77": NoRoute, "192.0.2.255": Denied, "224.0.0.1": NoRoute, "0.0.0.0": NoRoute}
		if far.Is6() {
			bad = map[string]Cause{"2001:db8:99::1": NoRoute, "ff02::1": NoRoute, "::": NoRoute, "fe80::1%nosuch0": LinkDown}
		}
		for addr, want := range bad {
			nowhere := SYN{To: netip.AddrPortFrom(netip.MustParseAddr(addr), 9), Try: 1}
			if n, err := h.Send([]SYN{good, nowhere, good}); n != 1 || CauseOf(err) != want {
				t.Errorf("%s: sent %d, %v", addr, n, err)
			}
			if n, err := h.Send([]SYN{nowhere, good}); n != 0 || CauseOf(err) != want {
				t.Errorf("%s: sent %d, %v", addr, n, err)
			}
			h.ask(t, good.To)
			h.hears(t, 2)
		}
		l.Deny(netip.PrefixFrom(far, far.BitLen()))
		if n, err := h.Send([]SYN{good}); n != 0 || CauseOf(err) != Denied {
			t.Errorf("denied: sent %d, %v", n, err)
		}
		l.Must(l.Allow())
		h.ask(t, good.To)
		h.hears(t, 1)
		l.Must(l.Down())
		if n, err := h.Send([]SYN{good}); n != 0 || CauseOf(err) != LinkDown && CauseOf(err) != NoRoute {
			t.Errorf("without a link: sent %d, %v", n, err)
		}
	})
}

// What waits for a neighbour that does not answer fills the send buffer: then
// fewer are taken, and more when the kernel has given it up.
func TestHalfOpenFull(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	h := halfOpenIn(t, l, Config{SendBuf: 8 << 10})
	var ps []SYN
	for i := range uint16(200) {
		ps = append(ps, SYN{To: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.99"), i+1), Try: 1})
	}
	n, err := h.Send(ps)
	if n == 0 || n >= len(ps) || CauseOf(err) != Full {
		t.Fatalf("sent %d of %d: %v", n, len(ps), err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if n, err = h.Send(ps[:1]); n == 1 {
			break
		}
		if CauseOf(err) != Full || time.Now().After(deadline) {
			t.Fatalf("sent %d: %v", n, err)
		}
	}
	// Our own kernel says that nobody is there, and quotes the SYN.
	a := h.hears(t, 1)[0]
	if a.Event != Error || a.Type != typeUnreachable4 || a.Code != 1 || a.From != me4 || a.Source != me4 {
		t.Errorf("%+v", a)
	}
}

// Without an IPv6 address but ::1 nothing leaves, as no answer could come.
func TestHalfOpenHomeless(t *testing.T) {
	l := lab.Start(t, lab.Topology{})
	l.Must(l.RemoveAddr(me6))
	h := halfOpenIn(t, l, Config{Family: IPv6})
	if n, err := h.Send([]SYN{{To: netip.AddrPortFrom(target6, 9), Try: 1}}); n != 0 || !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("sent %d, %v", n, err)
	}
}

// A source address that this host has no more is not used for long.
func TestHalfOpenNewAddress(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Neighbours: true})
	h := halfOpenIn(t, l, Config{Family: IPv4})
	to := netip.AddrPortFrom(hopOf(me4), 9)
	h.ask(t, to)
	h.hears(t, 1)
	l.Must(l.AddAddr(netip.MustParsePrefix("192.0.2.77/24")))
	l.Must(l.RemoveAddr(me4))
	h.routed = h.routed.Add(-2 * sourcesFor)
	l.Must(l.Namespace.Up())
	h.ask(t, to)
	h.hears(t, 1)
}

// A link-local target is reached through its zone.
func TestHalfOpenLinkLocal(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Neighbours: true})
	l.Must(l.AddAddr(netip.MustParsePrefix("fe80::4e50:1/64")))
	l.Must(l.Far.AddAddr(netip.MustParsePrefix("fe80::4e50:2/64")))
	h := halfOpenIn(t, l, Config{Family: IPv6})
	there := netip.MustParseAddr("fe80::4e50:2")
	to := netip.AddrPortFrom(there.WithZone(l.Device()), 9)
	var n int
	var err error
	l.Do(func() { n, err = h.Send([]SYN{{To: to, Try: 1}}) }) // asks which interface that is
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if a := h.hears(t, 1)[0]; a.To != to || a.From != there || !a.Reset {
		t.Errorf("%+v", a)
	}
}

// Sending and receiving allocate nothing.
func TestHalfOpenAllocatesNothingLive(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		h := halfOpenIn(t, l, cfg)
		_, open := serve(t, l.Far, far)
		ps := []SYN{{To: netip.AddrPortFrom(far, 9), Try: 1}, {To: open, Try: 2}}
		answers := 0
		visit := func(*SYNAnswer) { answers++ }
		round := func() {
			clear(h.t.sources) // the route is asked again
			if n, err := h.Send(ps); n != 2 || err != nil {
				t.Errorf("sent %d, %v", n, err)
			}
			if err := h.Drain(visit); err != nil {
				t.Error(err)
			}
		}
		round()
		if n := testing.AllocsPerRun(100, round); n != 0 || answers == 0 {
			t.Errorf("%v allocations a round, %d answers", n, answers)
		}
	})
}

// Once open, a HalfOpen needs no privileges, nor does its mark.
func TestHalfOpenWithoutPrivileges(t *testing.T) {
	halves(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		_, open := serve(t, l.Far, far)
		cfg.Mark, cfg.Interface = 7, l.Device()
		h := halfOpenIn(t, l, cfg)
		sent := make(chan error)
		go func() {
			// Never unlocked: the thread ends with what it has lost.
			runtime.LockOSThread()
			hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&hdr, &none[0]); err != nil {
				sent <- err
				return
			}
			if _, err := OpenHalfOpen(cfg); err == nil {
				sent <- errors.New("there are privileges left")
				return
			}
			_, err := h.Send([]SYN{{To: open, Try: 1}, {To: netip.AddrPortFrom(far, 9), Try: 1}})
			sent <- err
		}()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		h.hears(t, 2)
	})
}

// An ordinary user is told what is missing.
func TestHalfOpenPermissions(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	c := l.Command(t.Context(), "/proc/self/exe", "-test.run=^TestHelperHalfOpen$", "-test.v").Ordinary()
	c.Env = append(os.Environ(), "RAWSOCK_TEST_HALFOPEN=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Skipf("cannot start a process as an ordinary user: %v: %s", err, out)
	}
	const want = "raw tcp no permission to open a raw TCP socket: operation not permitted"
	if strings.Count(string(out), want) != 2 {
		t.Errorf("%s", out)
	}
}

// TestHelperHalfOpen is not a test: TestHalfOpenPermissions runs it as another
// user.
func TestHelperHalfOpen(t *testing.T) {
	if os.Getenv("RAWSOCK_TEST_HALFOPEN") == "" {
		t.Skip("helper of TestHalfOpenPermissions")
	}
	for _, f := range []Family{IPv4, IPv6} {
		_, err := OpenHalfOpen(Config{Family: f})
		if denied, ok := errors.AsType[*PermissionError](err); ok {
			t.Log(denied.Kind, denied.Proto, denied)
		} else {
			t.Log(err)
		}
	}
}

// Only what may be about a SYN of ours passes the filter.
func TestHalfOpenFilter(t *testing.T) {
	eachFamily(t, func(t *testing.T, h *HalfOpen, to netip.AddrPort) {
		passes := func(b []byte) bool {
			return passesProgram(t, b, func(f Family, heard uint8) []bpf.Instruction {
				return halfOpenFilter(f, heard, 61000, SourcePorts)
			})
		}
		for port, ours := range map[layers.TCPPort]bool{61000: true, 61009: true, 60999: false, 61010: false, 0: false, 65535: false} {
			for _, tc := range []struct {
				tcp layers.TCP
				may bool
			}{
				{layers.TCP{SYN: true, ACK: true}, true},
				{layers.TCP{SYN: true, ACK: true, ECE: true, PSH: true}, true},
				{layers.TCP{RST: true}, true},
				{layers.TCP{RST: true, ACK: true}, true},
				{layers.TCP{SYN: true}, false},
				{layers.TCP{ACK: true}, false},
				{layers.TCP{ACK: true, FIN: true}, false},
				{layers.TCP{}, false},
			} {
				tc.tcp.DstPort = port
				if got := passes(segment(t, h, to, tc.tcp)); got != (ours && tc.may) {
					t.Errorf("port %d: %v passes: %v", port, tc.tcp, got)
				}
			}
			p := &Probe{From: h.cfg.Source, To: to.Addr(), Port: 443, TTL: 9, Flow: uint16(port), N: 1, Cookie: 1}
			q := AppendProbe(nil, TCP, p)
			for _, quote := range [][]byte{q, q[:len(q)-synLen+8]} {
				if got := passes(exceeded(t, p, quote)); got != ours {
					t.Errorf("an error about port %d passes: %v", port, got)
				}
			}
			if passes(exceeded(t, p, AppendProbe(nil, UDP, p))) || passes(exceeded(t, p, AppendProbe(nil, ICMP, p))) {
				t.Error("an error about another protocol passes")
			}
			if passes(echoReply(t, p, []byte("0123456789"))) || passes(icmpProbe(*p)) {
				t.Error("an echo passes")
			}
			longer := longerQuote(q)
			if got := passes(exceeded(t, p, longer)); got != (ours || to.Addr().Is6()) {
				t.Errorf("a longer quote about port %d passes: %v", port, got)
			}
		}
	})
}

// longerQuote is q with an option or extension header put in on its way.
func longerQuote(q []byte) []byte {
	if q[0]>>4 == 4 {
		b := append(append(append([]byte{}, q[:20]...), 1, 1, 1, 0), q[20:]...)
		b[0]++
		return b
	}
	b := append(append(append([]byte{}, q[:40]...), q[6], 0, 0, 0, 0, 0, 0, 0), q[40:]...)
	b[6] = extDestination
	return b
}

// SYNs to closed ports over a veth, answers read as they come.
func BenchmarkHalfOpen(b *testing.B) {
	for _, far := range lab.Addrs("192.0.2.2", "2001:db8::2") {
		b.Run(fmt.Sprintf("IPv%d", FamilyOf(far)), func(b *testing.B) {
			l := lab.Pair(b, lab.Veth{Neighbours: true})
			h := halfOpenIn(b, l, Config{Family: FamilyOf(far), RecvBuf: 4 << 20, SendBuf: 8 << 20})
			ps := make([]SYN, 64)
			answers := 0
			visit := func(*SYNAnswer) { answers++ }
			port := uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := range ps {
					port++
					ps[i] = SYN{To: netip.AddrPortFrom(far, port), Try: 1}
				}
				if n, err := h.Send(ps); n != len(ps) || err != nil {
					b.Fatal(n, err)
				}
				_ = h.Drain(visit)
			}
			b.ReportMetric(float64(answers)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}
