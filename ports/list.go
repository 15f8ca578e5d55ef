package ports

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// List is distinct ports in order, two bytes each, for scans that keep all of them:
// first those of TCP, then those of UDP.
type List struct {
	TCP, UDP []uint16
}

// ListOf returns distinct ports as a List.
func ListOf(ports []Port) List {
	var l List
	for proto, numbers := range []*[]uint16{TCP: &l.TCP, UDP: &l.UDP} {
		n := 0
		for _, p := range ports {
			if p.Proto == Proto(proto) {
				n++
			}
		}
		*numbers = slices.Grow(*numbers, n)
	}
	for _, p := range ports {
		if p.Proto == UDP {
			l.UDP = append(l.UDP, p.Number)
		} else {
			l.TCP = append(l.TCP, p.Number)
		}
	}
	return l
}

// Len returns how many ports there are.
func (l List) Len() int { return len(l.TCP) + len(l.UDP) }

// At returns port i.
func (l List) At(i int) Port {
	if i < len(l.TCP) {
		return Port{TCP, l.TCP[i]}
	}
	return Port{UDP, l.UDP[i-len(l.TCP)]}
}

// All walks the ports with their indexes.
func (l List) All() iter.Seq2[int, Port] {
	return func(yield func(int, Port) bool) {
		for i := range l.Len() {
			if !yield(i, l.At(i)) {
				return
			}
		}
	}
}

// String returns the list in short: "22,80,8000-8100,u:53". Parse, told that TCP is
// meant where nothing is said, reads it back in the same order.
func (l List) String() string {
	var b strings.Builder
	appendRuns(&b, "", l.TCP)
	appendRuns(&b, UDP.prefix(), l.UDP)
	return b.String()
}

// appendRuns appends numbers, with what ascends by one as a range.
func appendRuns(b *strings.Builder, prefix string, numbers []uint16) {
	for i := 0; i < len(numbers); {
		end := i + 1
		for end < len(numbers) && numbers[end] == numbers[end-1]+1 {
			end++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(prefix)
		b.WriteString(strconv.Itoa(int(numbers[i])))
		if end-i > 1 {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(int(numbers[end-1])))
		}
		i = end
	}
}

// set is which ports are in a list, one bit each.
type set struct {
	bits [protos][(1 << 16) / 64]uint64
}

// add puts p in, and reports whether it was not there.
func (s *set) add(p Port) bool {
	word, bit := &s.bits[p.Proto][p.Number/64], uint64(1)<<(p.Number%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
