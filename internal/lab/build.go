package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Longest length that an IP header can say: of the packet in IPv4, of what
// follows the header in IPv6.
const maxLength = 1<<16 - 1

// packer puts packets together, one at a time: each is valid until the next one
// is begun. The zero value works.
type packer struct{ buf []byte }

// header is the IP header of a packet to build.
type header struct {
	src, dst netip.Addr
	ttl, tos uint8
}

// size returns how long the header is: it has no options.
func (h header) size() int {
	if h.src.Is4() {
		return 20
	}
	return 40
}

// begin returns an IP header (RFC 791 section 3.1, RFC 8200 section 3) to which
// a transport protocol is to be appended. Its length and checksum are open.
func (k *packer) begin(h header, proto uint8) []byte {
	if h.src.Is4() {
		src, dst := h.src.As4(), h.dst.As4()
		b := append(k.buf[:0], 4<<4|20/4, h.tos, 0, 0, 0, 0, 0, 0, h.ttl, proto, 0, 0)
		return append(append(b, src[:]...), dst[:]...)
	}
	src, dst := h.src.As16(), h.dst.As16()
	b := append(k.buf[:0], 6<<4|h.tos>>4, h.tos<<4, 0, 0, 0, 0, proto, h.ttl)
	return append(append(b, src[:]...), dst[:]...)
}

// seal fills in what begin and the transport protocol left open: lengths of IP
// and all checksums.
func (k *packer) seal(b []byte, h header, proto uint8) []byte {
	k.buf = b
	part := b[h.size():]
	length, at := len(b), 2
	if h.src.Is6() {
		length, at = len(part), 4
	}
	if length > maxLength {
		// What is built here answers a packet that had a length, by no longer one.
		panic(fmt.Sprintf("lab: %d octets are more than an IP packet holds", len(b)))
	}
	binary.BigEndian.PutUint16(b[at:], uint16(length))
	if h.src.Is4() {
		sumHeader4(b)
	}
	s := ones(0).plus(part)
	if proto != protoICMP { // which alone covers no addresses: RFC 792
		s = s.plusPseudo(h.src, h.dst, proto, len(part))
	}
	sum := s.checksum()
	if proto == protoUDP && sum == 0 {
		sum = 0xffff // 0 means none: RFC 768
	}
	binary.BigEndian.PutUint16(part[sumAt(proto):], sum)
	return b
}

// icmp builds an ICMP message of the family of h. Those of both families begin
// with type, code and checksum; second is the word behind that.
func (k *packer) icmp(h header, code Code, second uint32, body []byte) []byte {
	proto := protoICMPv6
	if h.src.Is4() {
		proto = protoICMP
	}
	b := append(k.begin(h, proto), code.Type, code.Code, 0, 0)
	b = append(binary.BigEndian.AppendUint32(b, second), body...)
	return k.seal(b, h, proto)
}

// echo builds an echo request or reply (RFC 792, RFC 4443 section 4).
func (k *packer) echo(h header, kind Kind, id, seq uint16, payload []byte) []byte {
	var t uint8
	switch {
	case h.src.Is4() && kind == EchoRequest:
		t = echoRequest4
	case h.src.Is4():
		t = echoReply4
	case kind == EchoRequest:
		t = echoRequest6
	default:
		t = echoReply6
	}
	return k.icmp(h, Code{Type: t}, uint32(id)<<16|uint32(seq), payload)
}

// redirect6 builds an ICMPv6 redirect (RFC 4861 section 4.5) to gateway. Of the
// quote it takes whole units of 8 octets.
func (k *packer) redirect6(h header, gateway, dst netip.Addr, quote []byte) []byte {
	target, asked := gateway.As16(), dst.As16()
	body := append(target[:], asked[:]...)
	// The option Redirected Header: its length counts units of 8 octets, itself
	// included, and the quote starts after 6 reserved octets (section 4.6.3).
	units := len(quote) / 8
	body = append(body, 4, byte(1+units), 0, 0, 0, 0, 0, 0)
	return k.icmp(h, Code{Type: redirect6}, 0, append(body, quote[:8*units]...))
}

// datagram builds a UDP datagram (RFC 768).
func (k *packer) datagram(h header, from, to uint16, payload []byte) []byte {
	b := k.begin(h, protoUDP)
	b = binary.BigEndian.AppendUint16(b, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	return k.seal(b, h, protoUDP)
}
