package rawsock

import (
	"encoding/binary"
)

// ParseReply reads a whole IP packet as it arrives at the prober, IP header
// first. It reports whether that is an answer to a probe of the protocol, or an
// ICMP error or redirect that quotes one; whether to one of ours is for the
// caller to tell, by Flow and the numbers. What does not add up is not an answer,
// as it would not be for a kernel.
//
// It overwrites all of r, but reuses its slices, and so does not allocate once
// these are large enough. Nothing in r points into ip.
func ParseReply(ip []byte, proto Proto, r *Reply) bool {
	r.reset(proto)
	h, body, ok := parsePacket(ip)
	if !ok {
		return false
	}
	r.From, r.TTL = h.src, h.ttl
	f := FamilyOf(h.dst)
	if h.total == h.len+len(body) && !h.sumAddsUp(f, body) {
		return false
	}
	r.Size = max(len(body), h.total-h.len)
	return r.parse(f, h.proto, body)
}

// reset forgets everything but the memory of the slices.
func (r *Reply) reset(proto Proto) {
	*r = Reply{Proto: proto, MPLS: r.MPLS[:0], Interfaces: r.Interfaces[:0]}
}

// parsePacket reads the header of an IP packet and returns what follows, which
// may be cut, but not padded.
func parsePacket(b []byte) (h header, body []byte, ok bool) {
	if len(b) > 0 && b[0]>>4 == 4 {
		h, ok = parseHeader4(b)
	} else {
		h, ok = parseHeader6(b)
	}
	if !ok || h.fragment {
		return h, nil, false
	}
	body = b[h.len:]
	if n := h.total - h.len; n >= 0 && n < len(body) {
		body = body[:n]
	}
	return h, body, true
}

// sumAddsUp checks the checksum of a whole transport header and payload.
func (h *header) sumAddsUp(f Family, body []byte) bool {
	s := sum(body)
	switch {
	case f == IPv4 && h.proto == protoICMP4:
	case f == IPv4 && h.proto == uint8(UDP) && len(body) >= udpHeaderLen && body[6] == 0 && body[7] == 0:
		return true // none was computed (RFC 768)
	default:
		s = add(s, pseudoSum(h.src, h.dst, h.proto, len(body)))
	}
	return s == 0xffff || s == 0
}

// unfinishedSum reports whether body has the checksum that a sender leaves to
// its network card: that of the pseudo-header alone. Between two namespaces of
// one host nobody finishes it.
func (h *header) unfinishedSum(body []byte) bool {
	at := 6
	if h.proto == uint8(TCP) {
		at = 16
	}
	return len(body) >= at+2 && binary.BigEndian.Uint16(body[at:]) == pseudoSum(h.src, h.dst, h.proto, len(body))
}

// udpHeaderLen is the length of a UDP header (RFC 768).
const udpHeaderLen = 8

// parse reads what follows the IP header.
func (r *Reply) parse(f Family, proto uint8, b []byte) bool {
	switch {
	case proto == ICMP.number(f):
		return r.parseICMP(f, b)
	case proto != r.Proto.number(f):
		return false
	case r.Proto == UDP:
		return r.parseUDP(b)
	}
	return r.parseTCP(b)
}

func (r *Reply) parseUDP(b []byte) bool {
	if len(b) < udpHeaderLen {
		return false
	}
	r.Event = Echo
	r.Port = binary.BigEndian.Uint16(b)
	r.Flow = binary.BigEndian.Uint16(b[2:])
	// Only an echo service (RFC 862) sends the cookie back.
	r.setCookie(b[udpHeaderLen:])
	return true
}

// parseTCP takes a SYN-ACK or an RST for an answer to a SYN.
func (r *Reply) parseTCP(b []byte) bool {
	if len(b) < headerLenTCP {
		return false
	}
	flags := b[13]
	if flags&flagRST == 0 && flags&(flagSYN|flagACK) != flagSYN|flagACK {
		return false
	}
	r.Event, r.TCPFlags = Echo, flags
	r.Port = binary.BigEndian.Uint16(b)
	r.Flow = binary.BigEndian.Uint16(b[2:])
	if flags&flagACK != 0 {
		r.setSequence(binary.BigEndian.Uint32(b[8:]) - 1)
	}
	return true
}

func (r *Reply) setSequence(seq uint32) {
	r.N, r.Check, r.HasN = uint16(seq>>16), uint16(seq), true
}

// setCookie reads the cookie at the start of a payload. Zeros are what a router
// that quotes 8 octets pads its quote with (RFC 4884, section 5.1).
func (r *Reply) setCookie(payload []byte) {
	if len(payload) >= 8 {
		r.Cookie = binary.BigEndian.Uint64(payload)
		r.HasCookie = r.Cookie != 0
	}
}

// parseICMP reads an ICMP message of family f.
func (r *Reply) parseICMP(f Family, b []byte) bool {
	if len(b) < EchoHeaderLen {
		return false
	}
	r.Type, r.Code, r.Event = b[0], b[1], eventOf(f, b[0])
	switch r.Event {
	case Echo:
		if r.Proto != ICMP {
			return false
		}
		r.setEcho(b)
		return true
	case Error, Redirect:
		r.MTU = mtuOf(f, b)
		quote, ext := splitExtension(f, b)
		if !r.parseQuote(f, quote) {
			return false
		}
		r.parseExtension(ext)
		return true
	}
	return false
}

func (r *Reply) setEcho(b []byte) {
	r.Flow = binary.BigEndian.Uint16(b[4:])
	r.N, r.HasN = binary.BigEndian.Uint16(b[6:]), true
	r.setCookie(b[EchoHeaderLen:])
}

// mtuOf returns the next-hop MTU of an ICMP error (RFC 1191, section 4;
// RFC 4443, section 3.2); 0 if it names none.
func mtuOf(f Family, b []byte) int {
	switch {
	case f == IPv4 && b[0] == typeUnreachable4 && b[1] == codeFragNeeded4:
		return int(binary.BigEndian.Uint16(b[6:]))
	case f == IPv6 && b[0] == typeTooBig6:
		return clampMTU(binary.BigEndian.Uint32(b[4:]))
	}
	return 0
}

// parseQuote reads the start of our own packet. What is quoted as IPv4 options
// or IPv6 extension headers was put in on the way.
func (r *Reply) parseQuote(f Family, b []byte) bool {
	parse := parseHeader4
	if f == IPv6 {
		parse = parseHeader6
	}
	h, ok := parse(b)
	if !ok || h.fragment || h.proto != r.Proto.number(f) {
		return false
	}
	q := &r.Quoted
	q.Seen, q.Src, q.Dst, q.TTL = true, h.src, h.dst, h.ttl
	if f == IPv4 {
		q.TOS = b[1]
		r.IPID, r.HasIPID = binary.BigEndian.Uint16(b[4:]), true
	} else {
		q.TOS = b[0]<<4 | b[1]>>4
	}
	body := b[h.len:]
	// What follows the quoted packet is padding (RFC 4884, section 5.1).
	if n := h.total - h.len; n >= EchoHeaderLen && n < len(body) {
		body = body[:n]
	}
	return r.parseQuotedTransport(f, body)
}

// parseQuotedTransport reads the first 8 octets at least of our own transport
// header.
func (r *Reply) parseQuotedTransport(f Family, b []byte) bool {
	if len(b) < EchoHeaderLen {
		return false
	}
	q := &r.Quoted
	switch r.Proto {
	case UDP:
		r.Flow, r.Port = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		q.Sum, q.HasSum = binary.BigEndian.Uint16(b[6:]), true
		// Some translators clear what they cannot mend.
		r.N, r.HasN = q.Sum, q.Sum != 0
		r.setCookie(b[cookieAt:])
	case TCP:
		r.Flow, r.Port = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		r.setSequence(binary.BigEndian.Uint32(b[4:]))
		if len(b) >= 18 {
			q.Sum = binary.BigEndian.Uint16(b[16:])
			q.HasSum = q.Sum != 0 // as with cookies
		}
	default:
		if b[0] != echoType(f) {
			return false
		}
		q.Sum, q.HasSum = binary.BigEndian.Uint16(b[2:]), true
		r.setEcho(b)
	}
	return true
}
