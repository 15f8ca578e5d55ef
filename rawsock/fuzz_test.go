package rawsock

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// built serializes layers with gopacket.
func built(f testing.TB, ls ...gopacket.SerializableLayer) []byte {
	f.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		f.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// seeds4 are whole IPv4 packets: replies, errors and redirects, with and without options.
func seeds4(f testing.TB) [][]byte {
	f.Helper()
	me, far := net.IP{192, 0, 2, 1}, net.IP{203, 0, 113, 7}
	opts := []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	ip := func(src, dst net.IP, o ...layers.IPv4Option) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 57, Protocol: layers.IPProtocolICMPv4, SrcIP: src, DstIP: dst, Options: o}
	}
	icmp := func(typ, code uint8, id, seq uint16) *layers.ICMPv4 {
		return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code), Id: id, Seq: seq}
	}
	payload := gopacket.Payload("0123456789abcdef")
	var all [][]byte
	for _, o := range [][]layers.IPv4Option{nil, opts} {
		all = append(all, built(f, ip(far, me, o...), icmp(0, 0, 0x4e50, 7), payload))
		quote := gopacket.Payload(built(f, ip(me, far, o...), icmp(8, 0, 0x4e50, 7), payload))
		for _, tc := range [][2]uint8{{3, 1}, {3, 4}, {5, 1}, {11, 0}, {12, 0}, {4, 0}} {
			all = append(all, built(f, ip(far, me, o...), icmp(tc[0], tc[1], 0, 1400), quote))
		}
	}
	return all
}

// seeds6 are ICMPv6 messages: a reply, and errors with and without extension headers.
func seeds6(f testing.TB) [][]byte {
	f.Helper()
	me, far := net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8:7::7")
	ip := &layers.IPv6{Version: 6, HopLimit: 57, NextHeader: layers.IPProtocolICMPv6, SrcIP: me, DstIP: far}
	message := func(typ, code uint8, rest ...gopacket.SerializableLayer) []byte {
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}
		if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
			f.Fatal(err)
		}
		return built(f, append([]gopacket.SerializableLayer{icmp}, rest...)...)
	}
	echo := &layers.ICMPv6Echo{Identifier: 0x4e50, SeqNumber: 7}
	payload := gopacket.Payload("0123456789abcdef")
	all := [][]byte{message(129, 0, echo, payload)}
	request := message(128, 0, echo, payload)
	quote := built(f, ip, gopacket.Payload(request))
	longer := append(append(bytes.Clone(quote[:40]), 58, 0, 1, 4, 0, 0, 0, 0), request...)
	longer[6] = 60
	binary.BigEndian.PutUint16(longer[4:], uint16(len(longer)-40))
	for _, q := range [][]byte{quote, longer} {
		for _, tc := range [][2]uint8{{1, 3}, {2, 0}, {3, 0}, {4, 1}, {137, 0}} {
			all = append(all, message(tc[0], tc[1], gopacket.Payload{0, 0, 5, 0}, gopacket.Payload(q)))
		}
	}
	return all
}

// reparse builds the message m is about anew and fails unless that is read as
// the same again.
func reparse(t *testing.T, f Family, m *Message) {
	t.Helper()
	msg := append(make([]byte, EchoHeaderLen), m.Payload...)
	PutEcho(f, msg, m.ID, m.Seq)
	if f == IPv4 && !validSum(msg) {
		t.Errorf("built a packet with a bad checksum: %x", msg)
	}
	// A request differs from its reply in its type alone.
	msg[0] = typeEchoReply4
	if f == IPv6 {
		msg[0] = typeEchoReply6
	}
	var again Message
	if !ParseICMP(f, msg, &again) || again.ID != m.ID || again.Seq != m.Seq || !bytes.Equal(again.Payload, m.Payload) || again.Size != len(msg) {
		t.Errorf("read %+v, then %+v", m, &again)
	}
}

// sane fails unless what was read from b can be.
func sane(t *testing.T, f Family, b []byte, m *Message) {
	t.Helper()
	switch m.Event {
	case Echo:
	case Error, Redirect:
		if FamilyOf(m.Dst) != f {
			t.Errorf("a packet to %v quoted in IPv%d", m.Dst, f)
		}
	default:
		t.Errorf("event %d", m.Event)
	}
	if m.Size < EchoHeaderLen || len(m.Payload) > len(b)-EchoHeaderLen || m.MTU < 0 || m.MTU > 1<<16+headerLen6 {
		t.Errorf("size %d, MTU %d, payload of %d in %d octets", m.Size, m.MTU, len(m.Payload), len(b))
	}
}

func FuzzParseIPv4(f *testing.F) {
	for _, b := range seeds4(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)[:len(b):len(b)]
		var m Message
		if !ParseIPv4(b, &m) {
			return
		}
		sane(t, IPv4, b, &m)
		if !m.From.Is4() {
			t.Errorf("from %v", m.From)
		}
		reparse(t, IPv4, &m)
	})
}

func FuzzParseICMP(f *testing.F) {
	for _, b := range seeds4(f) {
		f.Add(b[int(b[0]&0xf)*4:], false)
	}
	for _, b := range seeds6(f) {
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		family := IPv4
		if six {
			family = IPv6
		}
		b = bytes.Clone(b)[:len(b):len(b)]
		m := Message{From: target4, TTL: 9}
		if !ParseICMP(family, b, &m) {
			return
		}
		if m.From != target4 || m.TTL != 9 {
			t.Error("From or TTL was touched")
		}
		sane(t, family, b, &m)
		reparse(t, family, &m)
	})
}

// The seeds are what they are meant to be: gopacket builds, we read.
func TestSeeds(t *testing.T) {
	count := map[Event]int{}
	for _, b := range seeds4(t) {
		var m Message
		if ParseIPv4(b, &m) {
			count[m.Event]++
			if m.BadSum || m.ID != 0x4e50 || m.Seq != 7 || string(m.Payload) != "0123456789abcdef" || m.TTL != 57 || m.From != target4 {
				t.Errorf("%x: read %+v", b, &m)
			}
		}
	}
	for _, b := range seeds6(t) {
		var m Message
		if ParseICMP(IPv6, b, &m) {
			count[m.Event]++
			if m.ID != 0x4e50 || m.Seq != 7 || string(m.Payload) != "0123456789abcdef" || m.Event == Error && m.Dst != target6 {
				t.Errorf("%x: read %+v", b, &m)
			}
		}
	}
	if count[Echo] != 3 || count[Error] != 16 || count[Redirect] != 2 {
		t.Errorf("read %v", count)
	}
}
