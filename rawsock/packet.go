package rawsock

import (
	"encoding/binary"
	"net/netip"
)

// EchoHeaderLen is the length of an ICMP echo header in octets (RFC 792).
const EchoHeaderLen = 8

// ICMP types this package reads, from IANA's registries "ICMP Type Numbers"
// and "ICMPv6 type Numbers".
const (
	typeEchoReply4    = 0
	typeUnreachable4  = 3
	typeRedirect4     = 5
	typeEcho4         = 8
	typeExceeded4     = 11
	typeParameter4    = 12
	typeUnreachable6  = 1
	typeTooBig6       = 2
	typeExceeded6     = 3
	typeParameter6    = 4
	typeEcho6         = 128
	typeEchoReply6    = 129
	codeFragNeeded4   = 4
	protoICMP4        = 1
	protoICMP6        = 58
	headerLen4        = 20 // IPv4 header without options (RFC 791)
	headerLen6        = 40 // IPv6 header (RFC 8200)
	maxExtensions     = 8  // IPv6 extension headers walked before giving up
	extHopByHop       = 0
	extRouting        = 43
	extFragment       = 44
	extAuthentication = 51
	extDestination    = 60
)

// PutEcho writes an echo request header of family f into the first
// EchoHeaderLen bytes of msg, whose rest is the payload, and for IPv4 the
// checksum over all of msg (the kernel computes that of ICMPv6).
func PutEcho(f Family, msg []byte, id, seq uint16) {
	_ = msg[EchoHeaderLen-1]
	msg[0], msg[1], msg[2], msg[3] = typeEcho4, 0, 0, 0
	binary.BigEndian.PutUint16(msg[4:], id)
	binary.BigEndian.PutUint16(msg[6:], seq)
	if f == IPv6 {
		msg[0] = typeEcho6
		return
	}
	binary.BigEndian.PutUint16(msg[2:], ^sum(msg))
}

// validSum reports whether b with its checksum adds up. One's complement has two
// zeros: 0 comes out only if all octets are 0.
func validSum(b []byte) bool {
	s := sum(b)
	return s == 0xffff || s == 0
}

// sum is the Internet checksum's one's complement sum of b (RFC 1071), eight
// octets at a time.
func sum(b []byte) uint16 {
	var s uint64
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		s += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// ParseIPv4 reads an IPv4 packet, header first, as a raw socket hands it over.
// It reports whether the packet is an echo reply, or an error or redirect
// about an echo request. m.Payload points into b.
func ParseIPv4(b []byte, m *Message) bool {
	h, ok := parseHeader4(b)
	if !ok || h.proto != protoICMP4 || h.fragment {
		return false
	}
	m.From, m.TTL = h.src, h.ttl
	body := b[h.len:]
	// Octets after the total length are link-layer padding. A total length
	// beyond b means that b was cut by the receive buffer.
	if n := h.total - h.len; n >= 0 && n < len(body) {
		body = body[:n]
	}
	if !ParseICMP(IPv4, body, m) {
		return false
	}
	m.BadSum = h.total <= len(b) && !validSum(body)
	m.Size = max(m.Size, h.total-h.len)
	return true
}

// ParseICMP reads an ICMP message of family f without its IP header, as
// datagram and ICMPv6 sockets hand it over, and leaves From and TTL alone. It
// reports whether it is an echo reply, or an error or redirect about an echo
// request. m.Payload points into b.
func ParseICMP(f Family, b []byte, m *Message) bool {
	if len(b) < EchoHeaderLen {
		return false
	}
	m.Type, m.Code, m.Size, m.MTU = b[0], b[1], len(b), 0
	m.Event = eventOf(f, m.Type)
	switch m.Event {
	case Echo:
		parseEcho(b, m)
		return true
	case Error, Redirect:
		if f == IPv4 && m.Type == typeUnreachable4 && m.Code == codeFragNeeded4 {
			m.MTU = int(binary.BigEndian.Uint16(b[6:]))
		}
		if f == IPv6 && m.Type == typeTooBig6 {
			m.MTU = clampMTU(binary.BigEndian.Uint32(b[4:]))
		}
		return parseQuote(f, b[8:], m)
	}
	return false
}

// clampMTU bounds an MTU from the wire to what a packet can be.
func clampMTU(n uint32) int { return int(min(n, 1<<16+headerLen6)) }

// notOurs is the event of a message this package does not read.
const notOurs = Event(0xff)

func eventOf(f Family, typ uint8) Event {
	if f == IPv6 {
		switch typ {
		case typeEchoReply6:
			return Echo
		case typeUnreachable6, typeTooBig6, typeExceeded6, typeParameter6:
			return Error
		}
		return notOurs
	}
	switch typ {
	case typeEchoReply4:
		return Echo
	case typeUnreachable4, typeExceeded4, typeParameter4:
		return Error
	case typeRedirect4:
		return Redirect
	}
	return notOurs
}

func parseEcho(b []byte, m *Message) {
	m.ID = binary.BigEndian.Uint16(b[4:])
	m.Seq = binary.BigEndian.Uint16(b[6:])
	m.Payload = b[EchoHeaderLen:]
}

// parseQuote reads the start of our own packet out of an ICMP error. RFC 792
// promises its header and 8 octets, RFC 1812 and RFC 4443 as much as fits.
func parseQuote(f Family, b []byte, m *Message) bool {
	parse, proto := parseHeader4, uint8(protoICMP4)
	if f == IPv6 {
		parse, proto = parseHeader6, protoICMP6
	}
	h, ok := parse(b)
	if !ok || h.proto != proto || h.fragment {
		return false
	}
	m.Dst = h.dst
	body := b[h.len:]
	// What follows the quoted packet may be extensions (RFC 4884), not payload.
	if n := h.total - h.len; n >= EchoHeaderLen && n < len(body) {
		body = body[:n]
	}
	return parseQuotedEcho(f, body, m)
}

// parseQuotedEcho reads our own echo request, or the start of one.
func parseQuotedEcho(f Family, b []byte, m *Message) bool {
	if len(b) < EchoHeaderLen || b[0] != echoType(f) {
		return false
	}
	parseEcho(b, m)
	return true
}

func echoType(f Family) byte {
	if f == IPv6 {
		return typeEcho6
	}
	return typeEcho4
}

// header is what matters of an IP header with its options or extensions.
type header struct {
	len      int // octets before the transport header
	total    int // octets of the whole packet, as the header claims
	proto    uint8
	ttl      uint8
	fragment bool // not the first fragment: no transport header follows
	src, dst netip.Addr
}

func parseHeader4(b []byte) (h header, ok bool) {
	if len(b) < headerLen4 || b[0]>>4 != 4 {
		return h, false
	}
	h.len = int(b[0]&0xf) * 4
	if h.len < headerLen4 || h.len > len(b) {
		return h, false
	}
	h.total = int(binary.BigEndian.Uint16(b[2:]))
	h.fragment = binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	h.ttl, h.proto = b[8], b[9]
	h.src = netip.AddrFrom4([4]byte(b[12:16]))
	h.dst = netip.AddrFrom4([4]byte(b[16:20]))
	return h, true
}

func parseHeader6(b []byte) (h header, ok bool) {
	if len(b) < headerLen6 || b[0]>>4 != 6 {
		return h, false
	}
	h.len = headerLen6
	h.total = headerLen6 + int(binary.BigEndian.Uint16(b[4:]))
	h.proto, h.ttl = b[6], b[7]
	h.src = netip.AddrFrom16([16]byte(b[8:24]))
	h.dst = netip.AddrFrom16([16]byte(b[24:40]))
	return h, h.skipExtensions(b)
}

// skipExtensions moves h past the extension headers of RFC 8200, section 4,
// and the authentication header of RFC 4302, whose length counts in 4 octets.
func (h *header) skipExtensions(b []byte) bool {
	for range maxExtensions {
		var n int
		switch h.proto {
		case extHopByHop, extRouting, extDestination, extFragment, extAuthentication:
			if len(b) < h.len+8 {
				return false
			}
		default:
			return true
		}
		switch h.proto {
		case extFragment:
			n = 8
			if binary.BigEndian.Uint16(b[h.len+2:])&0xfff8 != 0 {
				h.fragment = true
			}
		case extAuthentication:
			n = (int(b[h.len+1]) + 2) * 4
		default:
			n = (int(b[h.len+1]) + 1) * 8
		}
		h.proto = b[h.len]
		h.len += n
		if h.len > len(b) {
			return false
		}
	}
	return false
}
