package rawsock

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// unhex decodes hex with blanks.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPutEcho(t *testing.T) {
	cases := []struct {
		name    string
		family  Family
		id, seq uint16
		payload string
		want    string
	}{
		{"IPv4, no payload", IPv4, 0x1234, 1, "", "0800 e5ca 1234 0001"},
		{"IPv4", IPv4, 0x4e50, 0xffff, "01020304", "0800 a5a9 4e50 ffff 01020304"},
		{"IPv4, odd length", IPv4, 0, 0, "ff", "0800 f8fe 0000 0000 ff"},
		{"IPv4, sum with carries", IPv4, 0xffff, 0xffff, "ffffffff", "0800 f7ff ffff ffff ffffffff"},
		{"IPv6, the kernel sums", IPv6, 0x1234, 1, "0102", "8000 0000 1234 0001 0102"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			msg := append(bytes.Repeat([]byte{0xee}, EchoHeaderLen), unhex(t, tc.payload)...)
			PutEcho(tc.family, msg, tc.id, tc.seq)
			if want := unhex(t, tc.want); !bytes.Equal(msg, want) {
				t.Errorf("got  %x\nwant %x", msg, want)
			}
		})
	}
}

// The checksum agrees with one octet pair at a time, whatever the length.
func TestSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		for _, fill := range []int{-1, 0, 0xff} {
			b := make([]byte, n)
			for i := range b {
				if b[i] = byte(fill); fill < 0 {
					b[i] = byte(rnd.Uint32())
				}
			}
			var want uint32
			for i, v := range b {
				want += uint32(v) << (8 * uint(1-i&1))
			}
			for want > 0xffff {
				want = want>>16 + want&0xffff
			}
			if got := sum(b); uint32(got) != want {
				t.Fatalf("%d octets of %#x: got %#x, want %#x", n, fill, got, want)
			}
		}
	}
	big := bytes.Repeat([]byte{0xff}, 1<<16)
	if got := sum(big); got != 0xffff {
		t.Errorf("64 KiB of ones: %#x", got)
	}
}

func TestValidSum(t *testing.T) {
	for text, want := range map[string]bool{
		"0000 ffff 0000 0000":      true,
		"0000 0000 0000 0000":      true, // all zero: the other zero of one's complement
		"0000 fffe 0000 0001":      true,
		"0000 fffe 0000 0000":      false,
		"0800 e5ca 1234 0001":      true,
		"0800 e5ca 1234 0001 0100": false,
	} {
		if got := validSum(unhex(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

const (
	head4   = "4500 0020 0001 4000 3901 0000 cb007107 c0000201 " // 203.0.113.7 to 192.0.2.1, TTL 57, 32 octets
	quoted4 = "4500 0054 0001 4000 0101 0000 c0000201 cb007107 " // ours, 84 octets
	quoted6 = "6000 0000 0040 3a01 20010db8000000000000000000000001 20010db8000700000000000000000007 "
	echo4   = "0800 0000 4e50 0007 "
	echo6   = "8000 0000 4e50 0007 "
	cookie  = "0011223344556677"
)

var (
	target4 = netip.MustParseAddr("203.0.113.7")
	target6 = netip.MustParseAddr("2001:db8:7::7")
)

// parsed is what a table expects of a message.
type parsed struct {
	event     Event
	typ, code uint8
	id, seq   uint16
	mtu, size int
	dst       netip.Addr
	payload   string
	badSum    bool
	ttl       uint8
	from      netip.Addr
}

func check(t *testing.T, m *Message, want parsed) {
	t.Helper()
	got := parsed{m.Event, m.Type, m.Code, m.ID, m.Seq, m.MTU, m.Size, m.Dst, hex.EncodeToString(m.Payload), m.BadSum, m.TTL, m.From}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseIPv4(t *testing.T) {
	reply := parsed{event: Echo, id: 0x4e50, seq: 7, size: 12, payload: "01020304", ttl: 57, from: target4}
	with := func(change func(*parsed)) parsed { p := reply; change(&p); return p }
	cases := []struct {
		name, packet string
		ok           bool
		want         parsed
	}{
		{"reply", head4 + "0000 ada2 4e50 0007 01020304", true, reply},
		{"link-layer padding", head4 + "0000 ada2 4e50 0007 01020304 000000000000", true, reply},
		{"bad checksum", head4 + "0000 ada3 4e50 0007 01020304", true, with(func(p *parsed) { p.badSum = true })},
		{"options", "4600 0024 0001 0000 3901 0000 cb007107 c0000201 94040000 0000 ada2 4e50 0007 01020304", true, reply},
		{"cut by the buffer", "4500 0400 0001 0000 3901 0000 cb007107 c0000201 0000 ada2 4e50 0007 01020304", true, with(func(p *parsed) { p.size = 1004 })},
		{"total length of 0", "4500 0000 0001 0000 3901 0000 cb007107 c0000201 0000 ada2 4e50 0007 01020304", true, reply},
		{"no payload", "4500 001c 0001 0000 3901 0000 cb007107 c0000201 0000 b1a8 4e50 0007", true, with(func(p *parsed) { p.size, p.payload = 8, "" })},

		{"request", head4 + "0800 0000 4e50 0007 01020304", false, parsed{}},
		{"another protocol", strings.Replace(head4, "3901", "3911", 1) + "0000 ada2 4e50 0007 01020304", false, parsed{}},
		{"later fragment", strings.Replace(head4, "4000", "0001", 1) + "0000 ada2 4e50 0007 01020304", false, parsed{}},
		{"first fragment", strings.Replace(head4, "4000", "2000", 1) + "0000 ada2 4e50 0007 01020304", true, reply},
		{"header of 4 words", "4400" + head4[4:] + "0000 ada2 4e50 0007 01020304", false, parsed{}},
		{"header longer than the packet", "4f00" + head4[4:] + "0000 ada2 4e50 0007 01020304", false, parsed{}},
		{"IPv6", "6500" + head4[4:] + "0000 ada2 4e50 0007 01020304", false, parsed{}},
		{"empty", "", false, parsed{}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var m Message
			if ok := ParseIPv4(unhex(t, tc.packet), &m); ok != tc.ok {
				t.Fatalf("got %v", ok)
			}
			if tc.ok {
				check(t, &m, tc.want)
			}
		})
	}
}

func TestParseICMP(t *testing.T) {
	error4 := func(typ, code uint8, mtu, size int, payload string) parsed {
		return parsed{event: Error, typ: typ, code: code, id: 0x4e50, seq: 7, mtu: mtu, size: size, dst: target4, payload: payload}
	}
	error6 := func(typ, code uint8, mtu, size int, payload string) parsed {
		p := error4(typ, code, mtu, size, payload)
		p.dst = target6
		return p
	}
	cases := []struct {
		name, msg string
		family    Family
		ok        bool
		want      parsed
	}{
		{"reply", "0000 0000 4e50 0007 0102", IPv4, true, parsed{id: 0x4e50, seq: 7, size: 10, payload: "0102"}},
		{"reply", "8100 0000 4e50 0007 0102", IPv6, true, parsed{typ: 129, id: 0x4e50, seq: 7, size: 10, payload: "0102"}},
		{"request", "0800 0000 4e50 0007 0102", IPv4, false, parsed{}},
		{"request", "8000 0000 4e50 0007 0102", IPv6, false, parsed{}},
		{"reply of the other family", "8100 0000 4e50 0007", IPv4, false, parsed{}},

		{"host unreachable", "0301 0000 00000000" + quoted4 + echo4 + cookie, IPv4, true, error4(3, 1, 0, 44, cookie)},
		{"time exceeded", "0b00 0000 00000000" + quoted4 + echo4 + cookie, IPv4, true, error4(11, 0, 0, 44, cookie)},
		{"parameter problem", "0c00 0000 14000000" + quoted4 + echo4, IPv4, true, error4(12, 0, 0, 36, "")},
		{"frag needed", "0304 0000 00000578" + quoted4 + echo4, IPv4, true, error4(3, 4, 1400, 36, "")},
		{"frag needed without MTU", "0304 0000 00000000" + quoted4 + echo4, IPv4, true, error4(3, 4, 0, 36, "")},
		{"MTU of another code is none", "0303 0000 00000578" + quoted4 + echo4, IPv4, true, error4(3, 3, 0, 36, "")},
		{"redirect", "0501 0000 c0000263" + quoted4 + echo4, IPv4, true, parsed{event: Redirect, typ: 5, code: 1, id: 0x4e50, seq: 7, size: 36, dst: target4}},
		{"source quench", "0400 0000 00000000" + quoted4 + echo4, IPv4, false, parsed{}},

		{"unreachable", "0103 0000 00000000" + quoted6 + echo6 + cookie, IPv6, true, error6(1, 3, 0, 64, cookie)},
		{"too big", "0200 0000 00000500" + quoted6 + echo6 + cookie, IPv6, true, error6(2, 0, 1280, 64, cookie)},
		{"absurdly big", "0200 0000 ffffffff" + quoted6 + echo6, IPv6, true, error6(2, 0, 65576, 56, "")},
		{"time exceeded", "0300 0000 00000000" + quoted6 + echo6, IPv6, true, error6(3, 0, 0, 56, "")},
		{"parameter problem", "0400 0000 00000000" + quoted6 + echo6, IPv6, true, error6(4, 0, 0, 56, "")},
		{"redirect", "8900 0000 00000000" + quoted6 + echo6, IPv6, false, parsed{}},
		{"an unknown error", "6400 0000 00000000" + quoted6 + echo6, IPv6, false, parsed{}},

		{"quoted options", "0301 0000 00000000" + "4700 005c 0001 4000 0101 0000 c0000201 cb007107 0707040000000000" + echo4 + cookie, IPv4, true, error4(3, 1, 0, 52, cookie)},
		{"quoted extensions", "0103 0000 00000000" + strings.Replace(quoted6, "0040 3a01", "0060 0001", 1) +
			"2b00 010400000000 2c00 fd0000000000 3c00 0001 4e504c42 3300 010400000000 3a02 0000 00000000 00000000 00000000" + echo6 + cookie, IPv6, true, error6(1, 3, 0, 112, cookie)},
		{"quoted second fragment", "0103 0000 00000000" + strings.Replace(quoted6, "0040 3a01", "0060 2c01", 1) + "3a00 0008 4e504c42" + echo6, IPv6, false, parsed{}},
		{"more extensions than anybody has", "0103 0000 00000000" + strings.Replace(quoted6, "0040 3a01", "0080 3c01", 1) +
			strings.Repeat("3c00 010400000000", 12) + echo6, IPv6, false, parsed{}},
		{"quoted extension cut", "0103 0000 00000000" + strings.Replace(quoted6, "0040 3a01", "0060 3c01", 1) + "3a01 0104 0000 0000", IPv6, false, parsed{}},

		{"multi-part (RFC 4884)", "0301 0000 00200000" + strings.Replace(quoted4, "0054", "0024", 1) + echo4 + cookie + strings.Repeat("00", 92) +
			"2000 0000 0008 0101 00001234", IPv4, true, error4(3, 1, 0, 148, cookie)},
		{"7 octets of transport", "0301 0000 00000000" + quoted4 + "0800 0000 4e50 00", IPv4, false, parsed{}},
		{"quoted total length of 0", "0301 0000 00000000" + strings.Replace(quoted4, "0054", "0000", 1) + echo4 + cookie, IPv4, true, error4(3, 1, 0, 44, cookie)},
		{"quoted reply", "0301 0000 00000000" + quoted4 + "0000 0000 4e50 0007", IPv4, false, parsed{}},
		{"quoted UDP", "0301 0000 00000000" + strings.Replace(quoted4, "0101", "0111", 1) + echo4, IPv4, false, parsed{}},
		{"quoted later fragment", "0301 0000 00000000" + strings.Replace(quoted4, "4000", "0001", 1) + echo4, IPv4, false, parsed{}},
		{"quote of the other family", "0301 0000 00000000" + quoted6 + echo6, IPv4, false, parsed{}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var m Message
			if ok := ParseICMP(tc.family, unhex(t, tc.msg), &m); ok != tc.ok {
				t.Fatalf("got %v", ok)
			}
			if tc.ok {
				check(t, &m, tc.want)
			}
		})
	}
}

// Cut at any octet, a message is refused or its payload is shorter: nothing is
// read that is not there.
func TestCutAnywhere(t *testing.T) {
	whole := []struct {
		parse func([]byte, *Message) bool
		msg   string
	}{
		{ParseIPv4, head4 + "0000 ada2 4e50 0007 01020304"},
		{ParseIPv4, "4600 0054 0001 0000 3901 0000 cb007107 c0000201 94040000 0301 0000 00000000" + quoted4 + echo4 + cookie},
		{parse4, "0301 0000 00000000" + quoted4 + echo4 + cookie},
		{parse6, "0103 0000 00000000" + strings.Replace(quoted6, "0040 3a01", "0060 2c01", 1) + "3a00 0001 4e504c42" + echo6 + cookie},
	}
	for _, w := range whole {
		b := unhex(t, w.msg)
		for n := range len(b) + 1 {
			var m Message
			part := bytes.Clone(b[:n:n])
			if w.parse(part, &m) && (len(m.Payload) > n || n < EchoHeaderLen) {
				t.Errorf("%d of %d octets: a payload of %d", n, len(b), len(m.Payload))
			}
		}
	}
}

func parse4(b []byte, m *Message) bool { return ParseICMP(IPv4, b, m) }
func parse6(b []byte, m *Message) bool { return ParseICMP(IPv6, b, m) }

// x/net/icmp as second opinion: what one builds the other parses.
func TestSecondOpinion(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 9, 56, 1400, 65507} {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		msg := append(make([]byte, EchoHeaderLen), payload...)
		for f, proto := range map[Family]int{IPv4: 1, IPv6: 58} {
			PutEcho(f, msg, 0x4e50, uint16(size))
			theirs, err := icmp.ParseMessage(proto, msg)
			if err != nil {
				t.Fatal(err)
			}
			echo, ok := theirs.Body.(*icmp.Echo)
			if !ok || echo.ID != 0x4e50 || echo.Seq != size&0xffff || !bytes.Equal(echo.Data, payload) {
				t.Errorf("IPv%d, %d octets: they read %+v", f, size, theirs)
			}
			req := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 0x4e50, Seq: size & 0xffff, Data: payload}}
			reply := icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: req.Body}
			if f == IPv6 {
				req.Type, reply.Type = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
			}
			if b, err := req.Marshal(nil); err != nil || !bytes.Equal(b, msg) {
				t.Errorf("IPv%d, %d octets: they build %.20x, %v; we %.20x", f, size, b, err, msg)
			}
			b, err := reply.Marshal(nil)
			if err != nil {
				t.Fatal(err)
			}
			var m Message
			if !ParseICMP(f, b, &m) || m.Event != Echo || m.ID != 0x4e50 || m.Seq != uint16(size) || !bytes.Equal(m.Payload, payload) {
				t.Errorf("IPv%d, %d octets: we read %+v", f, size, m)
			}
		}
	}
}

// Errors built by x/net/icmp, with MPLS extensions behind the quote.
func TestSecondOpinionOnErrors(t *testing.T) {
	mpls := []icmp.Extension{&icmp.MPLSLabelStack{Class: 1, Type: 1, Labels: []icmp.MPLSLabel{{Label: 16014, TC: 4, S: true, TTL: 255}}}}
	quote4, quote6 := unhex(t, strings.Replace(quoted4, "0054", "0024", 1)+echo4+cookie), unhex(t, strings.Replace(quoted6, "0040", "0010", 1)+echo6+cookie)
	cases := []struct {
		family Family
		msg    icmp.Message
		mtu    int
	}{
		{IPv4, icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable, Code: 1, Body: &icmp.DstUnreach{Data: quote4}}, 0},
		{IPv4, icmp.Message{Type: ipv4.ICMPTypeTimeExceeded, Body: &icmp.TimeExceeded{Data: quote4, Extensions: mpls}}, 0},
		{IPv4, icmp.Message{Type: ipv4.ICMPTypeParameterProblem, Body: &icmp.ParamProb{Pointer: 20, Data: quote4}}, 0},
		{IPv6, icmp.Message{Type: ipv6.ICMPTypeDestinationUnreachable, Code: 3, Body: &icmp.DstUnreach{Data: quote6}}, 0},
		{IPv6, icmp.Message{Type: ipv6.ICMPTypeTimeExceeded, Body: &icmp.TimeExceeded{Data: quote6, Extensions: mpls}}, 0},
		{IPv6, icmp.Message{Type: ipv6.ICMPTypePacketTooBig, Body: &icmp.PacketTooBig{MTU: 1280, Data: quote6}}, 1280},
	}
	for _, tc := range cases {
		b, err := tc.msg.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		var m Message
		ok := ParseICMP(tc.family, b, &m)
		if !ok || m.Event != Error || m.ID != 0x4e50 || m.Seq != 7 || m.MTU != tc.mtu || hex.EncodeToString(m.Payload) != cookie {
			t.Errorf("%v: %v, %+v", tc.msg.Type, ok, m)
		}
	}
}
