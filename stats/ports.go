package stats

import (
	"math/bits"
	"slices"
	"strconv"
)

// fewPorts is how many port numbers a portSet keeps one by one: with more of
// them a bitmap of all is smaller.
const fewPorts = 1 << 12

// portSet is a set of port numbers in at most 8 KiB. The zero value is empty.
type portSet struct {
	few []uint16         // in the order in which they came
	all *[1 << 10]uint64 // a bit for each; nil while few suffices
}

// add puts in a port that is not in the set.
func (s *portSet) add(port uint16) {
	if s.all == nil {
		if len(s.few) < fewPorts {
			s.few = append(s.few, port)
			return
		}
		s.all = new([1 << 10]uint64)
		for _, p := range s.few {
			s.set(p)
		}
		s.few = nil
	}
	s.set(port)
}

func (s *portSet) set(port uint16) { s.all[port/64] |= 1 << (port % 64) }

// reset empties the set and keeps the room of a short list.
func (s *portSet) reset() { s.few, s.all = s.few[:0], nil }

// sorted returns the ports in ascending order.
func (s *portSet) sorted() []uint16 {
	if s.all == nil {
		return slices.Sorted(slices.Values(s.few))
	}
	var ports []uint16
	for i, word := range s.all {
		for ; word != 0; word &= word - 1 {
			ports = append(ports, uint16(i*64+bits.TrailingZeros64(word)))
		}
	}
	return ports
}

// AppendPorts appends ports, which must ascend, as lists of ports are written:
// "22,80,8000-8100". Of more than most ranges it appends that many and how many
// ports follow: "22,80 and 101 more"; 0 stands for no such limit.
func AppendPorts(b []byte, ports []uint16, most int) []byte {
	for i, ranges := 0, 0; i < len(ports); ranges++ {
		if most > 0 && ranges == most {
			b = append(b, " and "...)
			b = strconv.AppendInt(b, int64(len(ports)-i), 10)
			return append(b, " more"...)
		}
		last := i
		for last+1 < len(ports) && ports[last+1] == ports[last]+1 {
			last++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(ports[i]), 10)
		switch last - i {
		case 0:
		case 1:
			b = append(b, ',')
			b = strconv.AppendUint(b, uint64(ports[last]), 10)
		default:
			b = append(b, '-')
			b = strconv.AppendUint(b, uint64(ports[last]), 10)
		}
		i = last + 1
	}
	return b
}
