package scan

import (
	"net/netip"
	"slices"
	"time"

	"netprobe/internal/icmplimit"
	"netprobe/probe"
)

// host is one host whose ports are being decided. Ports are known by their place
// in Config.Ports here.
type host struct {
	probe.Candidate
	word probe.ScannedHost // what outcomes say of it

	order probe.Order
	next  uint64   // position in order: all before were begun
	first []uint16 // ports to ask before all others, the last first: there was no room for their tries
	again []uint16 // ports to ask before those not begun, the longest waiting first
	tail  []uint16 // ports whose last try is out: should more be allowed, they are asked again
	ports []port
	older map[uint16][]time.Duration // when the tries of a port but the last left

	window window
	rtt    roundTrip
	loss   lossRate
	limit  *icmplimit.Limit // of how often it tells of closed ports; nil for TCP, whose resets no host limits like that
	asked  int              // ports that were begun and have no outcome
	out    int              // tries that a Transport which is Timed has not answered
	queued bool             // in the engine's list of hosts that may have something to send
	rests  bool             // a timer says when limit lets go of it
	done   bool
}

// port is what is known of one port.
type port struct {
	sent    time.Duration // when the last try left
	tries   uint8         // that left
	shorts  uint8         // tries that did not for want of something here
	slot    bool          // the last try is on its way as far as the window goes
	waits   bool          // in first or again
	lacked  bool          // no try has left since one did not for want of something here
	decided bool
	other   bool // another machine's, or decided by an earlier run
}

// newHost begins a host, or goes on with it from where an earlier run was.
func (e *Engine) newHost(c probe.Candidate) *host {
	// Hosts differ in their seeds, so that not all are asked the same port at once.
	const apart = 0x9e3779b97f4a7c15
	n := len(e.cfg.Ports)
	h := &host{
		Candidate: c, ports: make([]port, n),
		order:  probe.NewOrder(uint64(n), e.cfg.Seed+(c.Index+1)*apart, e.cfg.Ordered),
		window: newWindow(hostStart, hostLeast, hostMost),
	}
	if e.cfg.UDP {
		h.limit = new(icmplimit.Limit)
	}
	h.word = probe.ScannedHost{Ports: n, Left: n}
	from, begun := e.from[hostKey{c.Index, c.Addr}]
	if begun || e.cfg.Shard.N > 1 {
		h.leaveOut(e, from)
	}
	return h
}

// leaveOut leaves out the ports that are another machine's, or were decided when
// an earlier run came as far as from says.
func (h *host) leaveOut(e *Engine, from Begun) {
	left := 0
	for i := range h.order.Len() {
		p := uint16(h.order.At(i))
		mine := e.owns(h.Index, p)
		if mine && i < uint64(from.Next) {
			if _, mine = slices.BinarySearch(from.Again, uint16(i)); mine {
				h.askAgain(p)
				h.asked++
			}
		}
		h.ports[p].other = !mine
		if mine {
			left++
		}
	}
	h.next = uint64(from.Next)
	h.word = probe.ScannedHost{Ports: left, Left: left}
}

// owns reports whether port p of the host of that index is this machine's.
func (e *Engine) owns(index uint64, p uint16) bool {
	return e.cfg.Shard.Owns(index + uint64(p))
}

// take returns the port to ask next: one that was asked before, unless fresh
// ones come first.
func (h *host) take(freshFirst, noFresh bool) (p uint16, ok bool) {
	for last := len(h.first) - 1; last >= 0; last-- {
		p, h.first = h.first[last], h.first[:last]
		h.ports[p].waits = false
		if !h.ports[p].decided {
			return p, true
		}
	}
	if freshFirst {
		if p, ok = h.fresh(); ok {
			return p, true
		}
	}
	for len(h.again) > 0 {
		p, h.again = h.again[0], h.again[1:]
		h.ports[p].waits = false
		if !h.ports[p].decided {
			return p, true
		}
	}
	if noFresh {
		return 0, false
	}
	return h.fresh()
}

// fresh returns the next port that was never asked.
func (h *host) fresh() (p uint16, ok bool) {
	for h.next < h.order.Len() {
		p = uint16(h.order.At(h.next))
		h.next++
		if !h.ports[p].other {
			h.asked++
			return p, true
		}
	}
	return 0, false
}

// askAgain lets p wait for its next try.
func (h *host) askAgain(p uint16) {
	if s := &h.ports[p]; !s.waits && !s.decided {
		s.waits = true
		h.again = append(h.again, p)
	}
}

// sentAt is when try n of p left; false if that is not known.
func (h *host) sentAt(p uint16, n int) (time.Duration, bool) {
	s := &h.ports[p]
	switch older := h.older[p]; {
	case n == int(s.tries):
		return s.sent, true
	case n >= 1 && n <= len(older):
		return older[n-1], true
	}
	return 0, false
}

// told is how many tries of p left of which silence tells something: too much was
// being sent before the window was cut, and a host that tells of closed ports only
// so often had none to tell of them for others.
func (h *host) told(p uint16) int {
	n := 0
	for i := 1; i <= int(h.ports[p].tries); i++ {
		sent, ok := h.sentAt(p, i)
		if ok && (sent > h.window.lastCut || h.window.lastCut == 0) && (h.limit == nil || h.limit.Covered(sent)) {
			n++
		}
	}
	return n
}

// left counts a try of p that left at now.
func (h *host) left(p uint16, now time.Duration) {
	s := &h.ports[p]
	if s.tries > 0 {
		if h.older == nil {
			h.older = map[uint16][]time.Duration{}
		}
		h.older[p] = append(h.older[p], s.sent)
	}
	s.tries++
	s.sent, s.slot, s.lacked = now, true, false
}

// begun is how far this run came with h, for a later one to go on from.
func (h *host) begun() Begun {
	b := Begun{Index: h.Index, Addr: h.Addr, Next: int(h.next)}
	for i := range h.next {
		if s := &h.ports[h.order.At(i)]; !s.other && !s.decided {
			b.Again = append(b.Again, uint16(i))
		}
	}
	return b
}

// addrPort is the address of p.
func (e *Engine) addrPort(h *host, p uint16) netip.AddrPort {
	return netip.AddrPortFrom(h.Addr, e.cfg.Ports[p])
}
