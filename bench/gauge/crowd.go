package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// span is a range of addresses of one family, both ends included.
type span struct {
	first, last netip.Addr
	base        uint64 // how many hosts the spans before it have
}

// parseSpan reads PREFIX, FIRST-LAST or ADDR. Ends may differ in their last 32
// bits only.
func parseSpan(s string) (span, error) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		first := prefix.Masked().Addr()
		if first.BitLen()-prefix.Bits() > 32 {
			return span{}, fmt.Errorf("%s: larger than 2^32 hosts", s)
		}
		last := first.AsSlice()
		for bit := prefix.Bits(); bit < first.BitLen(); bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		return span{first: first, last: end}, nil
	}
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		to = from
	}
	first, err := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	if err := errors.Join(err, err2); err != nil {
		return span{}, err
	}
	if first.BitLen() != last.BitLen() || last.Less(first) || last.Compare(plus(first, ^uint32(0)-tail(first))) > 0 {
		return span{}, fmt.Errorf("%s: not a range of at most 2^32 hosts", s)
	}
	return span{first: first, last: last}, nil
}

func (s span) size() uint64 { return uint64(tail(s.last)-tail(s.first)) + 1 }

// tail returns the last 32 bits of an address.
func tail(a netip.Addr) uint32 {
	b := a.As16()
	return binary.BigEndian.Uint32(b[12:])
}

// plus adds n to the last 32 bits of an address.
func plus(a netip.Addr, n uint32) netip.Addr {
	b := a.AsSlice()
	last := b[len(b)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)+n)
	sum, _ := netip.AddrFromSlice(b)
	return sum
}

// crowd is a set of hosts: spans in order that do not overlap.
type crowd struct {
	spans []span
	size  uint64
}

// parseCrowd reads spans that are separated by commas or white space.
func parseCrowd(text string) (*crowd, error) {
	c := new(crowd)
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(", \t\n", r) }) {
		s, err := parseSpan(word)
		if err != nil {
			return nil, err
		}
		c.spans = append(c.spans, s)
	}
	slices.SortFunc(c.spans, func(a, b span) int { return a.first.Compare(b.first) })
	for i := range c.spans {
		if i > 0 && c.spans[i].first.Compare(c.spans[i-1].last) <= 0 {
			return nil, fmt.Errorf("%v: in two of the ranges", c.spans[i].first)
		}
		c.spans[i].base = c.size
		c.size += c.spans[i].size()
	}
	return c, nil
}

// index returns which of the hosts, from 0, has the address a.
func (c *crowd) index(a netip.Addr) (i uint64, ok bool) {
	at, exact := slices.BinarySearchFunc(c.spans, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if !exact {
		at--
	}
	if at < 0 || c.spans[at].last.Less(a) {
		return 0, false
	}
	return c.spans[at].base + uint64(tail(a)-tail(c.spans[at].first)), true
}

// bitmap is a set of small numbers.
type bitmap []uint64

func newBitmap(n uint64) bitmap { return make(bitmap, (n+63)/64) }

// add puts i into the set. It tells whether i is new.
func (b bitmap) add(i uint64) bool {
	bit := uint64(1) << (i % 64)
	if b[i/64]&bit != 0 {
		return false
	}
	b[i/64] |= bit
	return true
}

// tally is what a sweep said about a crowd in which all are alive.
type tally struct {
	crowd     *crowd
	seen      bitmap
	found     uint64 // of the crowd
	again     uint64 // named a second time
	strangers uint64 // said to be alive, but not of the crowd
	claim     uint64 // how many are alive by the tool's own summary, if claimed
	claimed   bool
}

func newTally(c *crowd) *tally { return &tally{crowd: c, seen: newBitmap(c.size)} }

// alive notes that a tool calls a alive.
func (t *tally) alive(a netip.Addr) {
	switch i, ok := t.crowd.index(a); {
	case !ok:
		t.strangers++
	case t.seen.add(i):
		t.found++
	default:
		t.again++
	}
}

// aliveText is alive for an address as printed.
func (t *tally) aliveText(s []byte) error {
	a, err := netip.ParseAddr(string(s))
	if err == nil {
		t.alive(a)
	}
	return err
}

func (t *tally) missing() uint64 { return t.crowd.size - t.found }

// check fails if the summary does not fit the hosts that were named.
func (t *tally) check() error {
	if named := t.found + t.again + t.strangers; t.claimed && t.claim != named {
		return fmt.Errorf("the summary says that %d hosts are alive, but %d were named", t.claim, named)
	}
	return nil
}

// share returns a in percent of b; 0 if both are.
func share(a, b uint64) float64 { return 100 * float64(a) / float64(cmp.Or(b, 1)) }
