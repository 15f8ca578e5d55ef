package lab

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// maxPartial bounds the packets being put together at once.
const maxPartial = 256

// partial is a packet of which some fragments have come.
type partial struct {
	first  []byte // the first fragment, whole
	start  int    // where its payload begins
	next   int
	proto  uint8
	pieces []piece // by offset
	wire   int     // bytes of the largest fragment
}

type piece struct {
	offset int
	data   []byte
	last   bool
}

type partialKey struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

// reassembler joins fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
type reassembler struct {
	partials map[partialKey]*partial
	order    []partialKey
}

// add takes one fragment and reports whether p is now the whole packet, which
// is still to be parsed.
func (r *reassembler) add(p *Packet, f *fragment) bool {
	key := partialKey{p.Src, p.Dst, f.id, p.proto}
	if r.partials == nil {
		r.partials = make(map[partialKey]*partial)
	}
	part := r.partials[key]
	if part == nil {
		if len(r.order) == maxPartial {
			delete(r.partials, r.order[0])
			r.order = r.order[1:]
		}
		part = &partial{proto: p.proto}
		r.partials[key] = part
		r.order = append(r.order, key)
	}
	part.wire = max(part.wire, len(p.Raw))
	if f.offset == 0 {
		part.first, part.start, part.next = slices.Clone(p.Raw), f.start, f.next
	}
	at, _ := slices.BinarySearchFunc(part.pieces, f.offset, func(p piece, offset int) int { return p.offset - offset })
	part.pieces = slices.Insert(part.pieces, at, piece{f.offset, slices.Clone(p.Raw[f.start:]), !f.more})
	payload, ok := part.join()
	if !ok {
		return false
	}
	delete(r.partials, key)
	r.order = slices.DeleteFunc(r.order, func(k partialKey) bool { return k == key })
	p.quote, p.quoteL, p.wire = part.first, part.start, part.wire
	p.flags |= Fragmented
	p.Raw = part.header(len(payload))
	p.Raw = append(p.Raw, payload...)
	return true
}

// join returns the payload, and false while something is missing.
func (part *partial) join() ([]byte, bool) {
	if part.first == nil {
		return nil, false
	}
	var payload []byte
	for _, x := range part.pieces {
		if x.offset > len(payload) {
			return nil, false
		}
		if end := x.offset + len(x.data); end > len(payload) {
			payload = append(payload[:x.offset], x.data...)
		}
	}
	return payload, part.pieces[len(part.pieces)-1].last
}

// header returns the header of the whole packet: that of the first fragment
// without what made it one.
func (part *partial) header(payload int) []byte {
	if part.first[0]>>4 == 4 {
		b := slices.Clone(part.first[:part.start])
		binary.BigEndian.PutUint16(b[2:], uint16(part.start+payload))
		b[6], b[7] = 0, 0
		sumHeader4(b)
		return b
	}
	b := slices.Clone(part.first[:part.start-8]) // the fragment header is the last one
	b[part.next] = part.proto
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40+payload))
	return b
}
