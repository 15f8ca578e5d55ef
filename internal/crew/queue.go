package crew

import (
	"container/heap"
	"iter"
	"net/netip"
	"time"

	"netprobe/probe"
)

// queue holds the hosts that wait: each for its own time, or, where a Pacer
// slows a subnet down, in line with the others of that subnet. A line has one
// entry in the heap however long it is, so that a slow subnet costs little.
type queue struct {
	heap  entries
	lines map[netip.Prefix]*entry
	hosts int
	n     uint64
}

// entry is one host, or one line of hosts.
type entry struct {
	at    time.Duration
	n     uint64 // among those of the same time
	host  *host
	head  *host // of a line: whose turn had not come when it was asked for
	line  []*host
	of    netip.Prefix
	index int // in the heap
}

func newQueue() queue { return queue{lines: map[netip.Prefix]*entry{}} }

func (q *queue) len() int { return q.hosts }

// put lets h wait for h.at.
func (q *queue) put(h *host) {
	q.hosts++
	q.push(&entry{at: h.at, host: h})
}

func (q *queue) push(e *entry) {
	q.n++
	e.n = q.n
	heap.Push(&q.heap, e)
}

// hold lets h wait at the head of its subnet's line, which moves on at at.
func (q *queue) hold(h *host, at time.Duration) {
	q.hosts++
	of := subnet(h.Addr)
	e := q.lines[of]
	switch {
	case e == nil:
		e = &entry{of: of, at: at, head: h}
		q.lines[of] = e
		q.push(e)
		return
	case e.head == nil:
		e.head = h
	default:
		e.line = append(e.line, h)
	}
	e.at = at
	heap.Fix(&q.heap, e.index)
}

// join lets h wait at the end of its subnet's line; false if there is none, or h
// has a time of its own to wait for.
func (q *queue) join(h *host) bool {
	e := q.lines[subnet(h.Addr)]
	if e == nil || h.shorts > 0 {
		return false
	}
	q.hosts++
	e.line = append(e.line, h)
	return true
}

// next returns when the first that waits is due; probe.Never if nobody waits.
func (q *queue) next() time.Duration {
	if len(q.heap) == 0 {
		return probe.Never
	}
	return q.heap[0].at
}

// pop returns a host that is due; nil if there is none.
func (q *queue) pop(now time.Duration) *host {
	if q.next() > now {
		return nil
	}
	q.hosts--
	e := q.heap[0]
	if e.host != nil {
		heap.Pop(&q.heap)
		return e.host
	}
	h := e.head
	if e.head = nil; h == nil {
		h, e.line[0] = e.line[0], nil
		e.line = e.line[1:]
	}
	if len(e.line) == 0 {
		heap.Pop(&q.heap)
		delete(q.lines, e.of)
		return h
	}
	// Behind the others that are due.
	q.n++
	e.at, e.n = now, q.n
	heap.Fix(&q.heap, 0)
	return h
}

// all returns whoever waits.
func (q *queue) all() iter.Seq[*host] {
	return func(yield func(*host) bool) {
		for _, e := range q.heap {
			for _, h := range append([]*host{e.host, e.head}, e.line...) {
				if h != nil && !yield(h) {
					return
				}
			}
		}
	}
}

// subnet is what a line is of: a /24 of IPv4 or a /112 of IPv6, as a Governor has them.
func subnet(a netip.Addr) netip.Prefix {
	bits := 112
	if a.Is4() {
		bits = 24
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// entries is a heap.Interface.
type entries []*entry

func (h entries) Len() int { return len(h) }

func (h entries) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}

func (h entries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *entries) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *entries) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
