package probe

import (
	"fmt"
	"math/bits"
)

// Order is the order in which n things numbered from 0 are taken: as they are
// numbered, or shuffled so that neighbours lie far apart. It holds no table:
// it is a permutation that is computed, keyed by a seed, the same on every
// machine for ever, since sweeps are split over machines and resumed by it.
//
// The permutation is a Feistel network: a number is split into a low part, of
// half the bits, and a high part, and the parts take turns at changing each
// other. It permutes the least multiple of the low part's size that is not below
// n. Results beyond n, which are rare, are sent through it again until they fall
// below n: that walks along a cycle, which must come back to its start, so every
// number below n is reached from exactly one. (Black and Rogaway, "Ciphers with
// Arbitrary Finite Domains", 2002.) It spreads load; it is no cipher.
type Order struct {
	n        uint64
	key, mul uint64
	high     uint64 // how many high parts there are
	low      uint8  // bits of the low part
	ordered  bool
}

// rounds is how often each part is changed.
const rounds = 3

// golden is 2^64 divided by the golden ratio, odd: it tells round keys apart.
const golden = 0x9e3779b97f4a7c15

// NewOrder returns an order of the numbers below n: the natural one if ordered,
// else the permutation that belongs to seed.
func NewOrder(n, seed uint64, ordered bool) Order {
	o := Order{n: n, ordered: ordered || n < 2}
	if !o.ordered {
		o.low = uint8(bits.Len64(n-1) / 2)
		o.high = (n-1)>>o.low + 1
		o.key, o.mul = scramble(seed), scramble(seed+golden)|1
	}
	return o
}

// Len returns n.
func (o Order) Len() uint64 { return o.n }

// At returns the number at position i, which is less than n.
func (o Order) At(i uint64) uint64 {
	if i >= o.n {
		panic(fmt.Sprintf("probe: position %d in an order of %d", i, o.n))
	}
	if o.ordered {
		return i
	}
	for {
		if i = o.forward(i); i < o.n {
			return i
		}
	}
}

// Index returns the position of the number v, which is less than n.
func (o Order) Index(v uint64) uint64 {
	if v >= o.n {
		panic(fmt.Sprintf("probe: number %d in an order of %d", v, o.n))
	}
	if o.ordered {
		return v
	}
	for {
		if v = o.backward(v); v < o.n {
			return v
		}
	}
}

func (o *Order) forward(v uint64) uint64 {
	mask := uint64(1)<<o.low - 1
	low, high := v&mask, v>>o.low
	key := o.key
	for range rounds {
		if high += o.below(o.mix(low + key)); high >= o.high {
			high -= o.high
		}
		low ^= o.mix(high-key) >> (64 - o.low)
		key += golden
	}
	return high<<o.low | low
}

func (o *Order) backward(v uint64) uint64 {
	mask := uint64(1)<<o.low - 1
	low, high := v&mask, v>>o.low
	key := o.key + (rounds*golden)&(1<<64-1)
	for range rounds {
		key -= golden
		low ^= o.mix(high-key) >> (64 - o.low)
		if sub := o.below(o.mix(low + key)); high >= sub {
			high -= sub
		} else {
			high += o.high - sub
		}
	}
	return high<<o.low | low
}

// below scales x to a high part.
func (o *Order) below(x uint64) uint64 {
	hi, _ := bits.Mul64(x, o.high)
	return hi
}

// mix spreads x over the high bits of its result. The product with a key is
// folded, which no sum of inputs gets through, and what then differs in any bit
// is carried up by another product.
func (o *Order) mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x, o.mul)
	return (hi ^ lo) * golden
}

// scramble spreads every bit of x over all bits (the output of SplitMix64:
// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
func scramble(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Shard is one of N parts of a sweep, so that N machines share it. The zero
// value is the whole.
type Shard struct {
	I, N uint64 // I from 1 to N
}

// Valid reports whether s is one of its N parts.
func (s Shard) Valid() bool { return s == Shard{} || 1 <= s.I && s.I <= s.N }

// String returns "I/N".
func (s Shard) String() string {
	if s.N == 0 {
		return "1/1"
	}
	return fmt.Sprintf("%d/%d", s.I, s.N)
}

// Owns reports whether the thing numbered i belongs to s: things are dealt out
// like cards, so no shard depends on any seed.
func (s Shard) Owns(i uint64) bool { return s.N < 2 || i%s.N == s.I-1 }

// Part returns what s owns of the n things numbered from base on: count of
// them, first, first+N, first+2N and so on. base+n must not overflow.
func (s Shard) Part(base, n uint64) (first, count uint64) {
	if s.N < 2 {
		return base, n
	}
	skip, at := s.I-1, base%s.N
	if skip >= at {
		skip -= at
	} else {
		skip += s.N - at
	}
	if skip >= n {
		return base, 0
	}
	return base + skip, (n-skip-1)/s.N + 1
}

// Step returns how far apart the numbers of a shard are.
func (s Shard) Step() uint64 { return max(s.N, 1) }
