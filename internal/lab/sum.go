package lab

import (
	"encoding/binary"
	"net/netip"
)

// ones is a sum of 16-bit words in one's complement arithmetic, which is what
// Internet checksums are made of (RFC 1071). There 1<<16 equals 1, so words of
// 32 bits may be added as they are: an IP packet has too few to overflow it.
type ones uint64

// plus adds b. If its length is odd, nothing may follow.
func (s ones) plus(b []byte) ones {
	for len(b) >= 8 {
		x := binary.BigEndian.Uint64(b)
		s += ones(x>>32) + ones(x&0xffffffff)
		b = b[8:]
	}
	for len(b) >= 2 {
		s += ones(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		s += ones(b[0]) << 8
	}
	return s
}

// plusAddr adds the octets of an address.
func (s ones) plusAddr(a netip.Addr) ones {
	if a.Is4() {
		b := a.As4()
		return s.plus(b[:])
	}
	b := a.As16()
	return s.plus(b[:])
}

// plusPseudo adds the pseudo-header before length octets of a transport
// protocol (RFC 9293 section 3.1, RFC 8200 section 8.1).
func (s ones) plusPseudo(src, dst netip.Addr, proto uint8, length int) ones {
	return s.plusAddr(src).plusAddr(dst) + ones(proto) + ones(length)
}

// fold returns the sum in 16 bits.
func (s ones) fold() uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// checksum returns what a checksum field holds: the complement of the sum.
func (s ones) checksum() uint16 { return ^s.fold() }

// sumHeader4 writes the checksum of an IPv4 header.
func sumHeader4(raw []byte) {
	raw[10], raw[11] = 0, 0
	binary.BigEndian.PutUint16(raw[10:], ones(0).plus(raw[:int(raw[0]&0xf)*4]).checksum())
}
