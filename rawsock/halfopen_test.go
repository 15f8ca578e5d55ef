package rawsock

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// asker returns a HalfOpen without sockets, with a key of zeros.
func asker(t testing.TB, f Family) *HalfOpen {
	t.Helper()
	h := &HalfOpen{t: &Tracer{family: f, proto: TCP, flow: 61000}, zones: []string{""}}
	h.cfg = Config{Family: f, Source: me4, TTL: 64}
	if f == IPv6 {
		h.cfg.Source = me6
	}
	var err error
	if h.cookies, err = synCookiesOf(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	h.sort = h.sorted
	return h
}

// asked returns the packet of a SYN.
func (h *HalfOpen) asked(t testing.TB, s SYN) []byte {
	t.Helper()
	p, err := h.probe(&s)
	if err != nil {
		t.Fatal(err)
	}
	return AppendProbe(nil, TCP, &p)
}

// heard returns what h makes of a packet; ok is false if it is not about a SYN.
func (h *HalfOpen) heard(b []byte) (a SYNAnswer, ok bool) {
	var r Reply
	if !ParseReply(b, TCP, &r) {
		return a, false
	}
	h.visit = func(s *SYNAnswer) { a, ok = *s, true }
	h.sorted(&r)
	return a, ok
}

// eachFamily runs f for a target of each.
func eachFamily(t *testing.T, f func(t *testing.T, h *HalfOpen, to netip.AddrPort)) {
	for _, to := range []netip.Addr{target4, target6} {
		t.Run(fmt.Sprintf("IPv%d", FamilyOf(to)), func(t *testing.T) {
			f(t, asker(t, FamilyOf(to)), netip.AddrPortFrom(to, 443))
		})
	}
}

// What leaves is a SYN as hosts send it, octet for octet, and gopacket reads it
// as that.
func TestSYN(t *testing.T) {
	want := map[Family]string{
		IPv4: "4548003c93d640004006a894c0000201cb007107" +
			"ee4901bb93d6fb0f00000000a002faf093d60000" + "020405b4" + "0402" + "080ae4a357a000000000" + "01" + "030307",
		IPv6: "6480ee490028064020010db800000000000000000000000120010db8000700000000000000000007" +
			"ee4901bbaef9eddd00000000a002faf0aef90000" + "020405a0" + "0402" + "080a21b8941400000000" + "01" + "030307",
	}
	eachFamily(t, func(t *testing.T, h *HalfOpen, to netip.AddrPort) {
		h.cfg.TOS = 0x48
		b := h.asked(t, SYN{To: to, Try: 2})
		if got := hex.EncodeToString(b); got != want[h.Family()] {
			t.Errorf("got  %s\nwant %s", got, want[h.Family()])
		}
		pkt := decode(t, b)
		if errs, bad := pkt.VerifyChecksums(); errs != nil || len(bad) != 0 {
			t.Errorf("checksums %v %v", errs, bad)
		}
		seq, _ := h.cookies.of(to.Addr(), 0, 443, 61001)
		l := pkt.TransportLayer().(*layers.TCP)
		if l.SrcPort != 61001 || l.DstPort != 443 || !l.SYN || l.ACK || l.RST || l.FIN || l.Seq != seq || l.Ack != 0 || l.Window != 64240 || len(l.Payload) != 0 {
			t.Errorf("%+v", l)
		}
		var kinds []layers.TCPOptionKind
		for _, o := range l.Options {
			kinds = append(kinds, o.OptionType)
		}
		if fmt.Sprint(kinds) != fmt.Sprint([]layers.TCPOptionKind{2, 4, 8, 1, 3}) {
			t.Errorf("options %v", kinds)
		}
	})
}

// Every part of what is asked counts, and every key.
func TestSYNCookies(t *testing.T) {
	a, err := newSYNCookies()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newSYNCookies()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]string{}
	for _, to := range []netip.Addr{target4, target4.Next(), target6, target6.Next(), netip.MustParseAddr("cb00:7107::"), netip.IPv6Unspecified()} {
		for zone := range 3 {
			for _, ports := range [][2]uint16{{443, 61000}, {444, 61000}, {443, 61001}, {61000, 443}, {0, 0}} {
				for i, c := range []*synCookies{&a, &b} {
					what := fmt.Sprint(to, zone, ports, i)
					seq, _ := c.of(to, zone, ports[0], ports[1])
					if other, twice := seen[seq]; twice {
						t.Errorf("%s and %s have the same", other, what)
					}
					seen[seq] = what
					if again, _ := c.of(to, zone, ports[0], ports[1]); again != seq {
						t.Errorf("%s: %#x, then %#x", what, seq, again)
					}
				}
			}
		}
	}
}

// segment builds a TCP segment from the port asked.
func segment(t testing.TB, h *HalfOpen, from netip.AddrPort, tcp layers.TCP) []byte {
	t.Helper()
	tcp.SrcPort = layers.TCPPort(from.Port())
	return answer(t, &Probe{From: h.cfg.Source, To: h.cfg.Source}, from.Addr(), layers.IPProtocolTCP, &tcp)
}

// An answer counts if it acknowledges the very SYN, and from the port asked.
func TestHalfOpenAnswers(t *testing.T) {
	eachFamily(t, func(t *testing.T, h *HalfOpen, to netip.AddrPort) {
		const port = 61002
		seq, _ := h.cookies.of(to.Addr(), 0, 443, port)
		other := netip.AddrPortFrom(to.Addr().Next(), 443)
		cases := []struct {
			name string
			from netip.AddrPort
			tcp  layers.TCP
			want string
		}{
			{"SYN-ACK", to, layers.TCP{DstPort: port, SYN: true, ACK: true, Ack: seq + 1}, "open"},
			{"SYN-ACK with ECN", to, layers.TCP{DstPort: port, SYN: true, ACK: true, ECE: true, Ack: seq + 1}, "open"},
			{"RST", to, layers.TCP{DstPort: port, RST: true, ACK: true, Ack: seq + 1}, "closed"},
			{"RST and SYN-ACK at once", to, layers.TCP{DstPort: port, RST: true, SYN: true, ACK: true, Ack: seq + 1}, "closed"},
			{"RST that acknowledges nothing", to, layers.TCP{DstPort: port, RST: true, Ack: seq + 1}, ""},
			{"RST one less", to, layers.TCP{DstPort: port, RST: true, ACK: true, Ack: seq}, ""},
			{"SYN-ACK one less", to, layers.TCP{DstPort: port, SYN: true, ACK: true, Ack: seq}, ""},
			{"SYN-ACK one more", to, layers.TCP{DstPort: port, SYN: true, ACK: true, Ack: seq + 2}, ""},
			{"to another source port", to, layers.TCP{DstPort: port + 1, SYN: true, ACK: true, Ack: seq + 1}, ""},
			{"to a port that is not ours", to, layers.TCP{DstPort: 61010, SYN: true, ACK: true, Ack: seq + 1}, ""},
			{"to a port below ours", to, layers.TCP{DstPort: 60999, SYN: true, ACK: true, Ack: seq + 1}, ""},
			{"from another host", other, layers.TCP{DstPort: port, SYN: true, ACK: true, Ack: seq + 1}, ""},
			{"from another port", netip.AddrPortFrom(to.Addr(), 444), layers.TCP{DstPort: port, SYN: true, ACK: true, Ack: seq + 1}, ""},
			{"SYN", to, layers.TCP{DstPort: port, SYN: true, Ack: seq + 1}, ""},
			{"ACK", to, layers.TCP{DstPort: port, ACK: true, Ack: seq + 1}, ""},
			{"FIN", to, layers.TCP{DstPort: port, FIN: true, ACK: true, Ack: seq + 1}, ""},
		}
		for _, tc := range cases {
			b := segment(t, h, tc.from, tc.tcp)
			a, ok := h.heard(b)
			got := ""
			if ok {
				got = "open"
				if a.Reset {
					got = "closed"
				}
				if a.Event != Echo || a.To != to || a.From != to.Addr() || a.Try != 3 || a.TTL != 57 || a.Size != 20 {
					t.Errorf("%s: %+v", tc.name, a)
				}
			}
			if got != tc.want {
				t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			}
			// A bit less of it, or one that flipped, is nothing.
			b[len(b)-2] ^= 4
			if _, ok := h.heard(b); ok {
				t.Errorf("%s: read although its checksum is wrong", tc.name)
			}
		}
	})
}

// An ICMP error counts if it quotes the sequence number of the very SYN, which 8
// octets show.
func TestHalfOpenErrors(t *testing.T) {
	eachFamily(t, func(t *testing.T, h *HalfOpen, to netip.AddrPort) {
		q := h.asked(t, SYN{To: to, Try: 10})
		head := len(q) - synLen
		p := &Probe{From: h.cfg.Source, To: to.Addr()}
		for _, n := range []int{len(q), head + 20, head + 8} {
			a, ok := h.heard(exceeded(t, p, q[:n]))
			if !ok || a.Event != Error || a.To != to || a.Try != 10 || a.From != hop(to.Addr()) || a.Source != h.cfg.Source || a.Reset {
				t.Errorf("%d octets quoted: %v %+v", n, ok, a)
			}
		}
		if _, ok := h.heard(exceeded(t, p, q[:head+7])); ok {
			t.Error("7 octets are enough")
		}
		// What stands in them counts: ports and sequence number.
		for i := range 8 {
			b := append([]byte(nil), q...)
			b[head+i] ^= 1
			if _, ok := h.heard(exceeded(t, p, b)); ok {
				t.Errorf("read although octet %d of what is quoted is another", i)
			}
		}
		// So does the address.
		b := append([]byte(nil), q...)
		b[head-1] ^= 1
		if _, ok := h.heard(exceeded(t, p, b)); ok {
			t.Error("read although another address is quoted")
		}
		if to.Addr().Is4() {
			if _, ok := h.heard(icmpError(t, p, typeRedirect4, 1, 0, q)); ok {
				t.Error("a redirect is an answer")
			}
		}
	})
}

// Late answers are told from those to later tries, as long as these have a source
// port of their own.
func TestHalfOpenTries(t *testing.T) {
	eachFamily(t, func(t *testing.T, h *HalfOpen, to netip.AddrPort) {
		reply := func(try int) []byte {
			q := decode(t, h.asked(t, SYN{To: to, Try: try})).TransportLayer().(*layers.TCP)
			return segment(t, h, to, layers.TCP{DstPort: q.SrcPort, SYN: true, ACK: true, Ack: q.Seq + 1})
		}
		for try := 1; try <= 20; try++ {
			want := try
			if try > SourcePorts {
				want = 0
			}
			if a, ok := h.heard(reply(try)); !ok || a.Try != want {
				t.Errorf("try %d: told as %d, %v", try, a.Try, ok)
			}
		}
		if a, _ := h.heard(reply(SourcePorts)); a.Try != 0 {
			t.Errorf("nobody knows, but it is told as %d", a.Try)
		}
		if a, _ := h.heard(reply(1)); a.Try != 1 {
			t.Errorf("try 1 told as %d", a.Try)
		}
	})
}

// The same link-local address in two zones is two hosts.
func TestHalfOpenZones(t *testing.T) {
	h := asker(t, IPv6)
	bare := netip.MustParseAddr("fe80::1")
	for _, zone := range []string{"", "eth0", "7"} {
		to := netip.AddrPortFrom(bare.WithZone(zone), 22)
		q := decode(t, h.asked(t, SYN{To: to, Try: 1})).TransportLayer().(*layers.TCP)
		a, ok := h.heard(segment(t, h, netip.AddrPortFrom(bare, 22), layers.TCP{DstPort: q.SrcPort, RST: true, ACK: true, Ack: q.Seq + 1}))
		if !ok || a.To != to || a.From != bare {
			t.Errorf("%v: %+v, %v", to, a, ok)
		}
	}
}

// What connect refuses is refused.
func TestHalfOpenRefuses(t *testing.T) {
	for _, a := range []string{"224.0.0.1", "0.0.0.0", "ff02::1", "::"} {
		to := netip.MustParseAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a), 80).String())
		h := asker(t, FamilyOf(to.Addr()))
		if _, err := h.probe(&SYN{To: to, Try: 1}); CauseOf(err) != NoRoute {
			t.Errorf("%v: %v", to, err)
		}
	}
}

// Building and reading allocate nothing.
func TestHalfOpenAllocatesNothing(t *testing.T) {
	eachFamily(t, func(t *testing.T, h *HalfOpen, to netip.AddrPort) {
		q := h.asked(t, SYN{To: to, Try: 1})
		tcp := decode(t, q).TransportLayer().(*layers.TCP)
		b := segment(t, h, to, layers.TCP{DstPort: tcp.SrcPort, SYN: true, ACK: true, Ack: tcp.Seq + 1})
		e := exceeded(t, &Probe{From: h.cfg.Source, To: to.Addr()}, q)
		var r Reply
		told := 0
		h.visit = func(*SYNAnswer) { told++ }
		syn := SYN{To: to, Try: 1}
		n := testing.AllocsPerRun(100, func() {
			p, err := h.probe(&syn)
			if err != nil {
				t.Error(err)
			}
			q = AppendProbe(q[:0], TCP, &p)
			for _, b := range [][]byte{b, e} {
				ParseReply(b, TCP, &r)
				h.sorted(&r)
			}
		})
		if n != 0 || told != 202 {
			t.Errorf("%v allocations, %d answers", n, told)
		}
	})
}

// Whatever arrives, nothing is read as an answer that does not carry the cookie
// of a SYN to where it is about, by gopacket's reading.
func FuzzHalfOpen(f *testing.F) {
	for _, to := range []netip.Addr{target4, target6} {
		h := asker(f, FamilyOf(to))
		at := netip.AddrPortFrom(to, 443)
		q := h.asked(f, SYN{To: at, Try: 3})
		tcp := decode(f, q).TransportLayer().(*layers.TCP)
		f.Add(q)
		f.Add(segment(f, h, at, layers.TCP{DstPort: 61002, SYN: true, ACK: true, Ack: tcp.Seq + 1}))
		f.Add(segment(f, h, at, layers.TCP{DstPort: 61002, RST: true, ACK: true, Ack: tcp.Seq + 1}))
		f.Add(segment(f, h, at, layers.TCP{DstPort: 61002, RST: true, ACK: true, Ack: tcp.Seq}))
		p := &Probe{From: h.cfg.Source, To: to}
		f.Add(exceeded(f, p, q))
		f.Add(exceeded(f, p, q[:len(q)-32]))
		f.Add(extended(f, p, q, extensions(p)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resum(append([]byte(nil), b...))
		family := IPv4
		if len(b) > 0 && b[0]>>4 == 6 {
			family = IPv6
		}
		h := asker(t, family)
		a, ok := h.heard(b)
		if !ok {
			return
		}
		if a.Try < 1 || a.Try > SourcePorts || FamilyOf(a.To.Addr()) != family || !a.From.IsValid() {
			t.Fatalf("%+v", a)
		}
		seq, _ := h.cookies.of(a.To.Addr(), 0, a.To.Port(), uint16(61000+a.Try-1))
		switch a.Event {
		case Echo:
			_, body, _ := parsePacket(b)
			var tcp layers.TCP
			if err := tcp.DecodeFromBytes(body, gopacket.NilDecodeFeedback); err != nil {
				return // gopacket is strict about options
			}
			if !tcp.ACK || tcp.Ack != seq+1 || a.From != a.To.Addr() || uint16(tcp.SrcPort) != a.To.Port() || tcp.RST != a.Reset || !tcp.RST && !tcp.SYN {
				t.Errorf("%+v: %+v", a, tcp)
			}
		case Error:
			if a.Reset || !a.Source.IsValid() {
				t.Errorf("%+v", a)
			}
		default:
			t.Errorf("%+v", a)
		}
	})
}
