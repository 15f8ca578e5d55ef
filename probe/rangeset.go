package probe

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"sort"
)

// maxChunk is how many ranges of a RangeSet lie in one slice. A single long
// slice would make each insertion move all ranges behind it.
const maxChunk = 512

// RangeSet is a set of addresses, kept as ranges that neither overlap nor
// touch. Addresses in different zones are different addresses. The zero value
// is empty. It is not safe for concurrent use, except for reading.
type RangeSet struct {
	chunks [][]Range // sorted, none empty
	ranges int
}

// Len returns how many ranges the set consists of.
func (s *RangeSet) Len() int { return s.ranges }

// All returns the ranges of the set, sorted by family, zone and address.
func (s *RangeSet) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for _, chunk := range s.chunks {
			for _, r := range chunk {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Contains reports whether a is in the set.
func (s *RangeSet) Contains(a netip.Addr) bool {
	at := s.find(a)
	return s.has(at) && compareAddrs(s.get(at).First, a) <= 0
}

// Subtract returns the parts of r that are not in the set, in order.
func (s *RangeSet) Subtract(r Range) []Range {
	if !r.IsValid() {
		return nil
	}
	var rest []Range
	from := r.First
	for at := s.find(r.First); s.has(at); at = s.after(at) {
		x := s.get(at)
		if compareAddrs(x.First, r.Last) > 0 {
			break
		}
		if compareAddrs(from, x.First) < 0 {
			rest = append(rest, Range{from, x.First.Prev()})
		}
		if compareAddrs(x.Last, r.Last) >= 0 {
			return rest
		}
		from = x.Last.Next()
	}
	return append(rest, Range{from, r.Last})
}

// Add puts r into the set and returns the parts of r that were not in it, in
// order.
func (s *RangeSet) Add(r Range) (fresh []Range) {
	fresh = s.Subtract(r)
	if len(fresh) > 0 {
		s.join(r)
	}
	return fresh
}

// AddAddr puts a into the set and reports whether it was not in it. It is Add
// for many single addresses: it seldom allocates.
func (s *RangeSet) AddAddr(a netip.Addr) (fresh bool) {
	if s.Contains(a) {
		return false
	}
	s.join(Range{a, a})
	return true
}

// join puts r into the set, in place of the ranges it overlaps or touches.
func (s *RangeSet) join(r Range) {
	from, to := r.First, r.Last
	if a := from.Prev(); a.IsValid() {
		from = a
	}
	if a := to.Next(); a.IsValid() {
		to = a
	}
	start := s.find(from)
	count := 0
	for at := start; s.has(at) && compareAddrs(s.get(at).First, to) <= 0; at = s.after(at) {
		x := s.get(at)
		r.First, r.Last = lower(r.First, x.First), upper(r.Last, x.Last)
		count++
	}
	s.replace(start, count, r)
}

// place is where a range lies in a RangeSet.
type place struct{ chunk, i int }

func (s *RangeSet) has(at place) bool  { return at.chunk < len(s.chunks) }
func (s *RangeSet) get(at place) Range { return s.chunks[at.chunk][at.i] }

func (s *RangeSet) after(at place) place {
	if at.i++; at.i == len(s.chunks[at.chunk]) {
		return place{at.chunk + 1, 0}
	}
	return at
}

// find returns the place of the first range that ends at a or after it.
func (s *RangeSet) find(a netip.Addr) place {
	chunk := sort.Search(len(s.chunks), func(i int) bool {
		c := s.chunks[i]
		return compareAddrs(c[len(c)-1].Last, a) >= 0
	})
	if chunk == len(s.chunks) {
		return place{chunk, 0}
	}
	c := s.chunks[chunk]
	return place{chunk, sort.Search(len(c), func(i int) bool { return compareAddrs(c[i].Last, a) >= 0 })}
}

// replace puts r where count ranges from at on are now.
func (s *RangeSet) replace(at place, count int, r Range) {
	if count == 0 {
		s.insert(at, r)
		return
	}
	s.chunks[at.chunk][at.i] = r
	s.ranges -= count - 1
	at.i++
	for count--; count > 0; {
		c := s.chunks[at.chunk]
		n := min(count, len(c)-at.i)
		count -= n
		c = slices.Delete(c, at.i, at.i+n)
		s.chunks[at.chunk] = c
		switch {
		case len(c) == 0:
			s.chunks = slices.Delete(s.chunks, at.chunk, at.chunk+1)
		case at.i == len(c):
			at = place{at.chunk + 1, 0}
		}
	}
}

// insert puts r before the range at at.
func (s *RangeSet) insert(at place, r Range) {
	s.ranges++
	if at.chunk == len(s.chunks) {
		last := len(s.chunks) - 1
		if last < 0 || len(s.chunks[last]) >= maxChunk {
			s.chunks = append(s.chunks, append(make([]Range, 0, maxChunk), r))
			return
		}
		s.chunks[last] = append(s.chunks[last], r)
		return
	}
	c := slices.Insert(s.chunks[at.chunk], at.i, r)
	s.chunks[at.chunk] = c
	if len(c) > maxChunk {
		half := append(make([]Range, 0, maxChunk), c[len(c)/2:]...)
		s.chunks[at.chunk] = slices.Delete(c, len(c)/2, len(c))
		s.chunks = slices.Insert(s.chunks, at.chunk+1, half)
	}
}

// compareAddrs orders addresses by family, zone and number, so that the
// addresses of one zone lie together. (netip orders by family, number, zone.)
func compareAddrs(a, b netip.Addr) int {
	if a.Is6() && b.Is6() {
		if c := cmp.Compare(a.Zone(), b.Zone()); c != 0 {
			return c
		}
	}
	return a.Compare(b)
}

func lower(a, b netip.Addr) netip.Addr {
	if compareAddrs(b, a) < 0 {
		return b
	}
	return a
}

func upper(a, b netip.Addr) netip.Addr {
	if compareAddrs(b, a) > 0 {
		return b
	}
	return a
}
