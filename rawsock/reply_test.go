package rawsock

import (
	"encoding/binary"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// answer builds a packet from router to the sender of p with gopacket: IP
// header and checksum, and what ls say behind it.
func answer(t testing.TB, p *Probe, from netip.Addr, proto layers.IPProtocol, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	var ip gopacket.SerializableLayer = &layers.IPv4{Version: 4, TTL: 57, Protocol: proto, SrcIP: from.AsSlice(), DstIP: p.From.AsSlice()}
	if p.To.Is6() {
		ip = &layers.IPv6{Version: 6, HopLimit: 57, NextHeader: proto, SrcIP: from.AsSlice(), DstIP: p.From.AsSlice()}
	}
	for _, l := range ls {
		if l, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := l.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return built(t, append([]gopacket.SerializableLayer{ip}, ls...)...)
}

// hop is who answers in these tests, in the family of a.
func hop(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.MustParseAddr("198.51.100.9")
	}
	return netip.MustParseAddr("2001:db8:100::9")
}

// icmpError builds an ICMP error about quote; rest is octets 4 to 8.
func icmpError(t testing.TB, p *Probe, typ, code uint8, rest uint32, quote []byte) []byte {
	t.Helper()
	if p.To.Is4() {
		return answer(t, p, hop(p.To), layers.IPProtocolICMPv4, &layers.ICMPv4{
			TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: uint16(rest >> 16), Seq: uint16(rest),
		}, gopacket.Payload(quote))
	}
	return answer(t, p, hop(p.To), layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)},
		gopacket.Payload(append(binary.BigEndian.AppendUint32(nil, rest), quote...)))
}

// exceeded builds a time-exceeded about quote.
func exceeded(t testing.TB, p *Probe, quote []byte) []byte {
	t.Helper()
	if p.To.Is4() {
		return icmpError(t, p, typeExceeded4, 0, 0, quote)
	}
	return icmpError(t, p, typeExceeded6, 0, 0, quote)
}

// Whatever a router quotes of a probe, down to 8 octets of transport header,
// tells which it was.
func TestParseReplyQuotes(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		p.Size = 100
		q := AppendProbe(nil, proto, &p)
		head := headerLen4
		if p.To.Is6() {
			head = headerLen6
		}
		var r Reply
		for n := range len(q) + 1 {
			ok := ParseReply(exceeded(t, &p, q[:n]), proto, &r)
			if ok != (n >= head+8) {
				t.Fatalf("%d octets quoted: %v", n, ok)
			}
			if !ok {
				continue
			}
			checkQuoted(t, proto, &p, &r, n-head)
		}
	})
}

// checkQuoted fails unless r is a time-exceeded about p with n octets of
// transport header and payload quoted.
func checkQuoted(t *testing.T, proto Proto, p *Probe, r *Reply, n int) {
	t.Helper()
	if r.Event != Error || r.Proto != proto || r.From != hop(p.To) || r.TTL != 57 || r.Code != 0 || r.MTU != 0 || r.TCPFlags != 0 || r.Stamp != 0 {
		t.Errorf("%d octets: %+v", n, r)
	}
	port := p.Port
	if proto == ICMP {
		port = 0
	}
	if r.Flow != p.Flow || r.Port != port || !r.HasN || r.N != p.N || r.HasIPID != p.To.Is4() || r.HasIPID && r.IPID != p.N {
		t.Errorf("%d octets: %+v", n, r)
	}
	if r.HasCookie != (proto != TCP && n >= 16) || r.HasCookie && r.Cookie != p.Cookie || proto == TCP && r.Check != uint16(p.Cookie) {
		t.Errorf("%d octets: cookie %v %#x, check %#x", n, r.HasCookie, r.Cookie, r.Check)
	}
	want := Quoted{Seen: true, Src: p.From, Dst: p.To, TTL: p.TTL, TOS: p.TOS, Sum: p.N, HasSum: true}
	if proto == ICMP {
		want.Sum = p.Flow
	}
	if proto == TCP && n < 18 {
		want.Sum, want.HasSum = 0, false
	}
	if r.Quoted != want {
		t.Errorf("%d octets: quoted %+v, want %+v", n, r.Quoted, want)
	}
}

// IPv4 options and IPv6 extension headers that came into the quote on the way
// do not hide the probe.
func TestParseReplyLongerQuotes(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		q := AppendProbe(nil, proto, &p)
		var longer [][]byte
		if p.To.Is4() {
			for _, opts := range [][]byte{make([]byte, 4), make([]byte, 40)} {
				b := append(append(append([]byte{}, q[:20]...), opts...), q[20:]...)
				b[0] += byte(len(opts) / 4)
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
				longer = append(longer, b)
			}
		} else {
			for _, ext := range []byte{extHopByHop, extRouting, extDestination, extFragment, extAuthentication} {
				b := append(append(append([]byte{}, q[:40]...), q[6], 0, 0, 0, 0, 0, 0, 0), q[40:]...)
				b[6] = ext
				binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
				longer = append(longer, b)
			}
		}
		for _, b := range longer {
			var r Reply
			if !ParseReply(exceeded(t, &p, b), proto, &r) {
				t.Errorf("% x: not read", b)
				continue
			}
			checkQuoted(t, proto, &p, &r, 100)
		}
	})
}

// What is no answer to a probe of the protocol is not read.
func TestParseReplyRefuses(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		q := AppendProbe(nil, proto, &p)
		good := exceeded(t, &p, q)
		var r Reply
		if !ParseReply(good, proto, &r) {
			t.Fatal("not read")
		}
		for i := range good {
			if p.To.Is4() && i < 20 || i < 8 || !p.To.Is4() && i < 40 {
				continue // the header, whose checksum is the kernel's business
			}
			b := append([]byte{}, good...)
			b[i] ^= 0x10
			if ParseReply(b, proto, &r) {
				t.Errorf("octet %d damaged: read %+v", i, &r)
			}
		}
		for _, other := range protos {
			if other != proto && ParseReply(good, other, &r) {
				t.Errorf("read as one about %v: %+v", other, &r)
			}
		}
		// A datagram does not tell who asked.
		if ParseReply(q, proto, &r) && proto != UDP {
			t.Errorf("the probe itself is read as %+v", &r)
		}
		for n := range len(good) {
			ParseReply(good[:n], proto, &r)
		}
	})
}

// Padding behind a short packet is not part of it, and one that was cut by the
// buffer is read without its checksum.
func TestParseReplyCutAndPadded(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		p.Size = 1000
		good := exceeded(t, &p, AppendProbe(nil, proto, &p))
		var r, cut Reply
		if !ParseReply(append(good[:len(good):len(good)], make([]byte, 18)...), proto, &r) || !ParseReply(good[:200], proto, &cut) {
			t.Fatal("not read")
		}
		for _, r := range []*Reply{&r, &cut} {
			checkQuoted(t, proto, &p, r, 900)
			if want := len(good) - map[bool]int{true: 20, false: 40}[p.To.Is4()]; r.Size != want {
				t.Errorf("size %d, want %d", r.Size, want)
			}
		}
	})
}

// A target answers by the protocol it was asked by.
func TestParseReplyAnswers(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		seq := uint32(p.N)<<16 | uint32(uint16(p.Cookie))
		tcp := func(flags uint8, ack uint32) []byte {
			return answer(t, &p, p.To, layers.IPProtocolTCP, &layers.TCP{
				SrcPort: layers.TCPPort(p.Port), DstPort: layers.TCPPort(p.Flow), Seq: 0x9999, Ack: ack,
				SYN: flags&flagSYN != 0, ACK: flags&flagACK != 0, RST: flags&flagRST != 0, FIN: flags&flagFIN != 0,
			})
		}
		udp := func(payload []byte) []byte {
			return answer(t, &p, p.To, layers.IPProtocolUDP, &layers.UDP{
				SrcPort: layers.UDPPort(p.Port), DstPort: layers.UDPPort(p.Flow),
			}, gopacket.Payload(payload))
		}
		cookie := binary.BigEndian.AppendUint64(nil, p.Cookie)
		base := Reply{Event: Echo, Proto: proto, TTL: 57, From: p.To, Flow: p.Flow, Port: p.Port}
		number := base
		number.N, number.Check, number.HasN = p.N, uint16(p.Cookie), true
		with := func(r Reply, change func(*Reply)) *Reply { change(&r); return &r }
		type tcase struct {
			name   string
			packet []byte
			want   *Reply // nil if it is no answer
		}
		cases := map[Proto][]tcase{
			ICMP: {
				{"echo reply", echoReply(t, &p, cookie), with(number, func(r *Reply) {
					r.Port, r.Check, r.Size, r.Cookie, r.HasCookie = 0, 0, 16, p.Cookie, true
					r.Type = map[bool]uint8{true: typeEchoReply4, false: typeEchoReply6}[p.To.Is4()]
				})},
				{"a UDP datagram", udp(cookie), nil},
			},
			UDP: {
				{"echo", udp(cookie), with(base, func(r *Reply) { r.Size, r.Cookie, r.HasCookie = 16, p.Cookie, true })},
				{"something else", udp([]byte("hi")), with(base, func(r *Reply) { r.Size = 10 })},
				{"nothing", udp(nil), with(base, func(r *Reply) { r.Size = 8 })},
				{"an echo reply", echoReply(t, &p, cookie), nil},
				{"TCP", tcp(flagSYN|flagACK, seq+1), nil},
			},
			TCP: {
				{"SYN-ACK", tcp(flagSYN|flagACK, seq+1), with(number, func(r *Reply) { r.Size, r.TCPFlags = 20, flagSYN|flagACK })},
				{"RST-ACK", tcp(flagRST|flagACK, seq+1), with(number, func(r *Reply) { r.Size, r.TCPFlags = 20, flagRST|flagACK })},
				{"RST", tcp(flagRST, 0), with(base, func(r *Reply) { r.Size, r.TCPFlags = 20, flagRST })},
				{"ACK", tcp(flagACK, seq+1), nil},
				{"SYN", tcp(flagSYN, 0), nil},
				{"FIN-ACK", tcp(flagFIN|flagACK, seq+1), nil},
				{"UDP", udp(cookie), nil},
			},
		}
		for _, tc := range cases[proto] {
			r := Reply{MPLS: make([]Label, 3), N: 99, HasIPID: true, MTU: 7} // of the packet before
			ok := ParseReply(tc.packet, proto, &r)
			if ok != (tc.want != nil) {
				t.Errorf("%s: read %v", tc.name, ok)
				continue
			}
			if !ok {
				continue
			}
			if len(r.MPLS) != 0 {
				t.Errorf("%s: labels %v", tc.name, r.MPLS)
			}
			if r.MPLS, r.Interfaces = nil, nil; !reflect.DeepEqual(&r, tc.want) {
				t.Errorf("%s: read\n%+v, want\n%+v", tc.name, &r, tc.want)
			}
		}
	})
}

func echoReply(t testing.TB, p *Probe, payload []byte) []byte {
	t.Helper()
	if p.To.Is4() {
		return answer(t, p, p.To, layers.IPProtocolICMPv4,
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(0, 0), Id: p.Flow, Seq: p.N}, gopacket.Payload(payload))
	}
	return answer(t, p, p.To, layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(129, 0)},
		&layers.ICMPv6Echo{Identifier: p.Flow, SeqNumber: p.N}, gopacket.Payload(payload))
}

// Types, codes and MTUs of errors, and which messages are none.
func TestParseReplyErrors(t *testing.T) {
	cases := []struct {
		family    Family
		typ, code uint8
		rest      uint32
		event     Event
		mtu       int
	}{
		{IPv4, 3, 3, 0, Error, 0}, {IPv4, 3, 4, 1400, Error, 1400}, {IPv4, 3, 13, 1400, Error, 0}, {IPv4, 11, 0, 0, Error, 0},
		{IPv4, 12, 0, 20 << 24, Error, 0}, {IPv4, 5, 1, 0xc6336409, Redirect, 0}, {IPv4, 4, 0, 0, notOurs, 0}, {IPv4, 8, 0, 0, notOurs, 0},
		{IPv6, 1, 4, 0, Error, 0}, {IPv6, 2, 0, 1280, Error, 1280}, {IPv6, 2, 0, 1<<32 - 1, Error, 1<<16 + 40}, {IPv6, 3, 0, 0, Error, 0},
		{IPv6, 4, 1, 6, Error, 0}, {IPv6, 137, 0, 0, notOurs, 0}, {IPv6, 128, 0, 0, notOurs, 0},
	}
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		q := AppendProbe(nil, proto, &p)
		for _, tc := range cases {
			if tc.family != FamilyOf(p.To) {
				continue
			}
			var r Reply
			ok := ParseReply(icmpError(t, &p, tc.typ, tc.code, tc.rest, q), proto, &r)
			if ok != (tc.event != notOurs) {
				t.Errorf("type %d code %d: read %v", tc.typ, tc.code, ok)
			}
			if ok && (r.Event != tc.event || r.Type != tc.typ || r.Code != tc.code || r.MTU != tc.mtu || r.N != p.N || r.Flow != p.Flow) {
				t.Errorf("type %d code %d: %+v", tc.typ, tc.code, &r)
			}
		}
	})
}

// A translator that clears the UDP checksum leaves no number there.
func TestParseReplyClearedChecksum(t *testing.T) {
	p := Probe{From: me4, To: target4, Port: 1, Flow: 2, N: 3, Cookie: 4}
	q := AppendProbe(nil, UDP, &p)
	q[26], q[27] = 0, 0
	var r Reply
	if !ParseReply(exceeded(t, &p, q), UDP, &r) || r.HasN || !r.HasIPID || r.IPID != 3 || !r.HasCookie || !r.Quoted.HasSum {
		t.Errorf("%+v", &r)
	}
}

// What the label stacks and interfaces of these tests are.
var (
	wantLabels     = []Label{{24001, 5, false, 1}, {0xfffff, 0, true, 255}}
	wantInterfaces = []InterfaceInfo{
		{Role: 0, Index: 7, Name: "ge-0/0/1", MTU: 9000}, // and Addr, in the family of the probe
		{Role: 2, Index: 1<<31 - 1, Name: "x"},
	}
)

// extensions are these as x/net/icmp writes them.
func extensions(p *Probe) []icmp.Extension {
	return []icmp.Extension{
		&icmp.MPLSLabelStack{Class: 1, Type: 1, Labels: []icmp.MPLSLabel{{Label: 24001, TC: 5, TTL: 1}, {Label: 0xfffff, S: true, TTL: 255}}},
		&icmp.InterfaceInfo{Class: 2, Type: 0x0f, Interface: &net.Interface{Index: 7, Name: "ge-0/0/1", MTU: 9000}, Addr: &net.IPAddr{IP: hop(p.To).AsSlice()}},
		&icmp.InterfaceInfo{Class: 2, Type: 0x8a, Interface: &net.Interface{Index: 1<<31 - 1, Name: "x"}},
	}
}

// extended builds an ICMP error with extensions by x/net/icmp.
func extended(t testing.TB, p *Probe, quote []byte, ext ...icmp.Extension) []byte {
	t.Helper()
	m := icmp.Message{Type: ipv4.ICMPTypeTimeExceeded, Body: &icmp.TimeExceeded{Data: quote, Extensions: ext}}
	proto := layers.IPProtocolICMPv4
	var pseudo []byte
	if p.To.Is6() {
		m.Type, proto = ipv6.ICMPTypeTimeExceeded, layers.IPProtocolICMPv6
		pseudo = icmp.IPv6PseudoHeader(hop(p.To).AsSlice(), p.From.AsSlice())
	}
	b, err := m.Marshal(pseudo)
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, p, hop(p.To), proto, gopacket.Payload(b))
}

// Extensions that x/net/icmp builds are read, behind quotes of any length, and
// behind those of routers older than RFC 4884, which do not tell it.
func TestParseReplyExtensions(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		at := map[bool]int{true: 20 + 5, false: 40 + 4}[p.To.Is4()] // the length field
		for _, size := range []int{0, 128, 200, 500} {
			p.Size = size
			q := AppendProbe(nil, proto, &p)
			var r Reply
			b := extended(t, &p, q, extensions(&p)...)
			if b[at] == 0 || !ParseReply(b, proto, &r) {
				t.Fatalf("size %d: length %d, not read", size, b[at])
			}
			checkExtensions(t, &p, proto, &r)
			if len(q) > oldQuote {
				q = q[:oldQuote]
			}
			b = withoutLength(extended(t, &p, q, extensions(&p)...), at)
			if !ParseReply(b, proto, &r) {
				t.Fatalf("size %d without length: not read", size)
			}
			checkExtensions(t, &p, proto, &r)
		}
	})
}

func checkExtensions(t *testing.T, p *Probe, proto Proto, r *Reply) {
	t.Helper()
	checkQuoted(t, proto, p, r, 100)
	want := slices.Clone(wantInterfaces)
	want[0].Addr = hop(p.To)
	if !slices.Equal(r.MPLS, wantLabels) || !slices.Equal(r.Interfaces, want) {
		t.Errorf("size %d: labels %v, interfaces %v", p.Size, r.MPLS, r.Interfaces)
	}
}

// withoutLength clears the length field at b[at] and mends the checksum.
func withoutLength(b []byte, at int) []byte {
	b[at] = 0
	return resum(b)
}

// resum computes the ICMP checksum of a packet anew.
func resum(b []byte) []byte {
	h, body, ok := parsePacket(b)
	if !ok || len(body) < 4 || h.proto != protoICMP4 && h.proto != protoICMP6 {
		return b
	}
	body[2], body[3] = 0, 0
	s := sum(body)
	if h.proto == protoICMP6 {
		s = add(s, pseudoSum(h.src, h.dst, h.proto, len(body)))
	}
	binary.BigEndian.PutUint16(body[2:], ^s)
	return b
}

// Structures that lie about themselves: the quote is read all the same.
func TestParseReplyHostileExtensions(t *testing.T) {
	ext := func(sum bool, objects string) []byte {
		b := append(unhex(t, "2000 0000"), unhex(t, objects)...)
		if sum {
			binary.BigEndian.PutUint16(b[2:], ^sumOf(b))
		}
		return b
	}
	label := "0008 0101 05dc11 01"
	cases := []struct {
		name       string
		ext        []byte
		labels     int
		interfaces int
	}{
		{"checksum 0", ext(false, label), 1, 0},
		{"right checksum", ext(true, label), 1, 0},
		{"wrong checksum", append(unhex(t, "2000 1234"), unhex(t, label)...), 0, 0},
		{"version 1", append(unhex(t, "1000 0000"), unhex(t, label)...), 0, 0},
		{"header alone", unhex(t, "2000 dfff"), 0, 0},
		{"object of length 0", ext(true, "0000 0101"+label), 0, 0},
		{"object of length 3", ext(true, "0003 0101"+label), 0, 0},
		{"object longer than the message", ext(true, label+"0100 0101 05dc11 01"), 1, 0},
		{"object of 65535 octets", ext(true, "ffff 0101 05dc11 01"), 0, 0},
		{"stack cut within an entry", ext(true, "000a 0101 05dc11 01 05dc"), 1, 0},
		{"empty stack", ext(true, "0004 0101"), 0, 0},
		{"other class", ext(true, "0008 0801 05dc11 01"+label), 1, 0},
		{"other sub-type of the class", ext(true, "0008 0102 05dc11 01"), 0, 0},
		{"a hundred labels", ext(true, "0194 0101"+strings.Repeat("05dc10 01", 100)), maxLabels, 0},
		{"many stacks", ext(true, strings.Repeat(label, 100)), maxLabels, 0},
		{"many empty objects", ext(true, strings.Repeat("0004 0900", 100)+label), 0, 0},
		{"many interfaces", ext(true, strings.Repeat("0008 0208 00000007", 100)), 0, maxInterfaces},
		{"bare interface", ext(true, "0004 0200"), 0, 1},
		{"interface with nothing it claims", ext(true, "0004 020f"), 0, 0},
		{"index cut", ext(true, "0006 0208 0000"), 0, 0},
		{"address of either family", ext(true, "000c 0204 00010000 c0000209 0018 0204 00020000 20010db8000000000000000000000009"), 0, 2},
		{"unknown address family", ext(true, "000c 0204 00030000 c0000209"), 0, 0},
		{"address cut", ext(true, "000c 0204 00020000 c0000209"), 0, 0},
		{"name of length 0", ext(true, "0008 0202 00 616263"), 0, 0},
		{"name longer than the object", ext(true, "0008 0202 08 616263"), 0, 0},
		{"name longer than a name", ext(true, "0048 0202 44"+strings.Repeat("61", 67)), 0, 0},
		{"longest name", ext(true, "0044 0202 40"+strings.Repeat("61", 63)), 0, 1},
		{"empty name", ext(true, "0008 0202 04 000000"), 0, 1},
		{"MTU of 4 GB", ext(true, "0008 0201 ffffffff"), 0, 1},
	}
	for _, tc := range cases {
		eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
			q := AppendProbe(nil, proto, &p)
			rest := append(append(append([]byte{}, q...), make([]byte, oldQuote-len(q))...), tc.ext...)
			for _, told := range []bool{true, false} {
				field := uint32(0)
				if told {
					field = 128 / 4 << 16
					if p.To.Is6() {
						field = 128 / 8 << 24
					}
				}
				typ := map[bool]uint8{true: typeExceeded4, false: typeExceeded6}[p.To.Is4()]
				var r Reply
				if !ParseReply(icmpError(t, &p, typ, 0, field, rest), proto, &r) {
					t.Fatalf("%s: not read", tc.name)
				}
				checkQuoted(t, proto, &p, &r, 100)
				if len(r.MPLS) != tc.labels || len(r.Interfaces) != tc.interfaces {
					t.Errorf("%s: %d labels, %d interfaces", tc.name, len(r.MPLS), len(r.Interfaces))
				}
				if tc.labels > 0 && (r.MPLS[0].Label != 0x5dc1 || r.MPLS[0].TTL != 1) {
					t.Errorf("%s: %v", tc.name, r.MPLS)
				}
			}
		})
	}
}

// The length field alone may lie, too.
func TestParseReplyHostileLengths(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		p.Size = 300
		q := AppendProbe(nil, proto, &p)
		at := map[bool]int{true: 20 + 5, false: 40 + 4}[p.To.Is4()]
		b := extended(t, &p, q, extensions(&p)...)
		unit := map[bool]int{true: 4, false: 8}[p.To.Is4()]
		right := int(b[at])
		for n := range 256 {
			var r Reply
			b[at] = byte(n)
			ok := ParseReply(resum(b), proto, &r)
			// A quote said to be shorter than a header is none.
			head := map[bool]int{true: 20, false: 40}[p.To.Is4()]
			if short := n > 0 && n*unit < head+8; ok == short {
				t.Errorf("length %d: read %v", n, ok)
			}
			if ok && (len(r.MPLS) > 0) != (n == right) {
				t.Errorf("length %d: labels %v", n, r.MPLS)
			}
			if ok && (r.N != p.N || r.Flow != p.Flow) {
				t.Errorf("length %d: %+v", n, &r)
			}
		}
	})
}

// Our own payload does not pass for an extension.
func TestParseReplyPayloadIsNoExtension(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		p.Size = 400
		q := AppendProbe(nil, proto, &p)
		copy(q[oldQuote:], unhex(t, "2000 0000 0008 0101 05dc11 01"))
		var r Reply
		if !ParseReply(exceeded(t, &p, q), proto, &r) || len(r.MPLS) != 0 {
			t.Errorf("%+v", &r)
		}
	})
}

// Reading what was read before allocates nothing.
func TestParseReplyAllocatesNothing(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		b := extended(t, &p, AppendProbe(nil, proto, &p), extensions(&p)...)
		var r Reply
		ParseReply(b, proto, &r)
		if n := testing.AllocsPerRun(100, func() {
			if !ParseReply(b, proto, &r) || len(r.Interfaces) != 2 {
				t.Error("not read")
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func BenchmarkParseReply(b *testing.B) {
	p := Probe{From: me4, To: target4, Port: 33434, TTL: 7, Flow: 0xf123, N: 7, Cookie: 7, Size: 60}
	packet := extended(b, &p, AppendProbe(nil, UDP, &p), extensions(&p)...)
	var r Reply
	b.ReportAllocs()
	for b.Loop() {
		if !ParseReply(packet, UDP, &r) {
			b.Fatal("not read")
		}
	}
}

// sumOf is the plain one's complement sum, two octets at a time.
func sumOf(b []byte) uint16 {
	s := uint32(0)
	for i, c := range b {
		s += uint32(c) << (8 * (1 - i%2))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
