package lab

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// Longest ICMP error as a whole: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4.
const (
	maxError4 = 576
	maxError6 = 1280
)

// quoted returns what an ICMP error quotes of p: the packet as the node
// received it, in the manner of q and in at most limit octets.
func (q Quote) quoted(p *Packet, limit int) []byte {
	raw, l4 := p.Raw, p.l4
	if p.quote != nil {
		raw, l4 = p.quote, p.quoteL
	}
	var head []byte
	if raw[0]>>4 == 4 {
		hlen := int(raw[0]&0xf) * 4
		head, l4 = q.header4(raw[:hlen]), hlen
	} else {
		head = q.header6(raw[:l4])
	}
	switch {
	case q.TTL > 0:
		setTTL(head, q.TTL)
	case p.quote != nil:
		setTTL(head, p.TTL)
	}
	rest := raw[l4:]
	if q.BrokenSum {
		rest = unfinished(p, rest)
	}
	if q.Transport > 0 {
		rest = rest[:min(q.Transport, len(rest))]
	}
	return append(head, rest[:max(0, min(limit-len(head), len(rest)))]...)
}

// unfinished returns a copy of the transport part of p in which the checksum is
// that of the pseudo-header alone, for protocols of which network cards finish it.
func unfinished(p *Packet, part []byte) []byte {
	at := 6
	switch {
	case p.Kind == TCP:
		at = 16
	case p.Kind != UDP:
		return part
	}
	if len(part) < at+2 {
		return part
	}
	b := bytes.Clone(part)
	sum := ones(0).plusPseudo(p.Src, p.Dst, p.proto, len(p.Raw)-p.l4)
	binary.BigEndian.PutUint16(b[at:], sum.fold())
	return b
}

// header4 returns a copy of an IPv4 header with q.Options inserted.
func (q Quote) header4(header []byte) []byte {
	opts := append([]byte(nil), q.Options...)
	for len(opts)%4 != 0 {
		opts = append(opts, 0) // end of option list
	}
	opts = opts[:min(len(opts), 60-len(header))]
	b := append(append([]byte(nil), header...), opts...)
	b[0] = 4<<4 | byte(len(b)/4)
	binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(b[2:])+uint16(len(opts)))
	sumHeader4(b)
	return b
}

// header6 returns a copy of an IPv6 header (with the extension headers it has)
// with q.Extensions inserted right behind the fixed part.
func (q Quote) header6(header []byte) []byte {
	b := append([]byte(nil), header[:40]...)
	next := b[6]
	for i, x := range q.Extensions {
		if i == 0 {
			b[6] = byte(x)
		}
		after := next
		if i+1 < len(q.Extensions) {
			after = byte(q.Extensions[i+1])
		}
		b = append(b, x.header(after)...)
	}
	binary.BigEndian.PutUint16(b[4:], binary.BigEndian.Uint16(b[4:])+uint16(8*len(q.Extensions)))
	return append(b, header[40:]...)
}

// header returns an extension header of 8 octets (RFC 8200 section 4).
func (x Extension) header(next uint8) []byte {
	switch x {
	case Fragment:
		return []byte{next, 0, 0, 1, 0x4e, 0x50, 0x4c, 0x42}
	case Routing:
		return []byte{next, 0, 253, 0, 0, 0, 0, 0} // type 253: for experiments (RFC 4727), no segments left
	}
	return []byte{next, 0, 1, 4, 0, 0, 0, 0} // PadN
}

// errorPacket builds e about p, from src to the sender of p. What the sender
// tells beside it goes where the error has room for it.
func (k *packer) errorPacket(src netip.Addr, ttl uint8, e ICMPError, q Quote, p *Packet, told []byte) []byte {
	h := header{src: src, dst: p.Src, ttl: ttl}
	limit, unit := maxError4-20-8, 4
	if src.Is6() {
		limit, unit = maxError6-40-8, 8
	}
	var quote []byte
	words := 0
	if told != nil && e.tells(src.Is4()) {
		quote, words = q.extended(p, limit, unit, told)
	} else {
		quote = q.quoted(p, limit)
	}
	if src.Is4() {
		rest := uint32(words) << 16
		switch e.V4.Type {
		case unreachable4:
			rest |= uint32(e.MTU) & 0xffff // RFC 1191 section 4
		case parameter4:
			rest |= uint32(e.Pointer) << 24
		}
		return k.icmp(h, e.V4, rest, quote)
	}
	rest := uint32(words) << 24
	switch e.V6.Type {
	case tooBig6:
		rest = uint32(e.MTU)
	case parameter6:
		rest = uint32(e.Pointer)
	}
	return k.icmp(h, e.V6, rest, quote)
}

// redirectPacket builds a redirect of p to gateway. In IPv6 it comes from the
// link-local address of the router with hop limit 255 (RFC 4861 section 8.1).
func (k *packer) redirectPacket(src netip.Addr, gateway netip.Addr, q Quote, p *Packet) []byte {
	if src.Is4() {
		h := header{src: src, dst: p.Src, ttl: 64}
		a := gateway.As4()
		return k.icmp(h, Code{redirect4, 1}, binary.BigEndian.Uint32(a[:]), q.quoted(p, maxError4-20-8))
	}
	b := src.As16()
	copy(b[:8], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0})
	h := header{src: netip.AddrFrom16(b), dst: p.Src, ttl: 255}
	return k.redirect6(h, gateway, p.Dst, q.quoted(p, maxError6-40-40-8))
}
