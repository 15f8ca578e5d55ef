package probe

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"net/netip"
)

// Range is a run of addresses: First, Last and all between them. Both have the
// same family and zone, and First is not after Last. The zero Range is none.
type Range struct{ First, Last netip.Addr }

// PrefixRange returns all addresses of p, the ends included.
func PrefixRange(p netip.Prefix) Range {
	first := p.Masked().Addr()
	n := number(first)
	if host := uint(first.BitLen() - p.Bits()); host > 64 {
		n.hi |= 1<<(host-64) - 1
		n.lo = math.MaxUint64
	} else {
		n.lo |= math.MaxUint64 >> (64 - host)
	}
	return Range{first, n.like(first)}
}

// IsValid reports whether r is any range at all.
func (r Range) IsValid() bool { return r.First.IsValid() }

// Size returns how many addresses r has; math.MaxUint64 if there are more.
func (r Range) Size() uint64 {
	if !r.IsValid() {
		return 0
	}
	d := number(r.Last).minus(number(r.First))
	if d.hi != 0 || d.lo == math.MaxUint64 {
		return math.MaxUint64
	}
	return d.lo + 1
}

// Count returns how many addresses r has, exactly.
func (r Range) Count() *big.Int {
	if !r.IsValid() {
		return new(big.Int)
	}
	d := number(r.Last).minus(number(r.First))
	n := new(big.Int).SetUint64(d.hi)
	n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(d.lo))
	return n.Add(n, big.NewInt(1))
}

// At returns the i'th address of r, from 0; i is less than Size.
func (r Range) At(i uint64) netip.Addr { return number(r.First).plus(i).like(r.First) }

// Contains reports whether a is in r. Zones must be the same.
func (r Range) Contains(a netip.Addr) bool {
	return r.IsValid() && compareAddrs(r.First, a) <= 0 && compareAddrs(a, r.Last) <= 0
}

// String returns "first-last", or the address if r has only one.
func (r Range) String() string {
	switch {
	case !r.IsValid():
		return "no range"
	case r.First == r.Last:
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// uint128 is an address as a number; IPv4 addresses are in the low 32 bits.
type uint128 struct{ hi, lo uint64 }

func number(a netip.Addr) uint128 {
	if a.Is4() {
		b := a.As4()
		return uint128{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// like returns the address n in the family and zone of a.
func (n uint128) like(a netip.Addr) netip.Addr {
	if a.Is4() {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(n.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	if zone := a.Zone(); zone != "" {
		return netip.AddrFrom16(b).WithZone(zone)
	}
	return netip.AddrFrom16(b)
}

func (n uint128) plus(i uint64) uint128 {
	lo, carry := bits.Add64(n.lo, i, 0)
	return uint128{n.hi + carry, lo}
}

func (n uint128) minus(m uint128) uint128 {
	lo, borrow := bits.Sub64(n.lo, m.lo, 0)
	return uint128{n.hi - m.hi - borrow, lo}
}
