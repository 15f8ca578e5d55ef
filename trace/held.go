package trace

import (
	"slices"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// held is an answer that carries no number: a datagram from the target's port.
type held struct {
	until time.Duration
	track *track
	reply rawsock.Reply
}

// maxHeld bounds the held answers of a target: more than its quick probes could
// bring.
const maxHeld = 128

// anonymous takes in an answer that does not say to which probe it is, and
// reports whether it is for us.
//
// A router that quotes only eight octets says nothing to a socket that hides
// these: the hop is then asked by a flow of its own. What a UDP service answers
// says nothing to anybody: it is held until the nearer hops have answered.
func (e *Engine) anonymous(l *lane, r *rawsock.Reply) bool {
	switch {
	case r.Event == rawsock.Echo && r.Proto == rawsock.UDP:
		for _, tr := range e.tracks {
			if tr != nil && tr.lane == l && tr.begun && !tr.over && engine.SameHost(tr.addr(), r.From) && r.Port == e.cfg.Port {
				if tr.held >= maxHeld || tr.held >= tr.waiting() {
					return false // nobody asked that often
				}
				h := held{track: tr, reply: *r, until: e.now() + max(tr.look.trip, restWait)}
				h.reply.MPLS, h.reply.Interfaces = nil, nil
				e.held = append(e.held, h)
				tr.held++
				return true
			}
		}
	case r.Event == rawsock.Error && !r.HasN && !r.HasIPID && !r.HasCookie && r.Quoted.Dst.IsValid():
		return e.unidentified(l, r)
	}
	return false
}

// unidentified takes in an error about a packet to the target it names. It is
// matched if its flow has one probe in flight.
func (e *Engine) unidentified(l *lane, r *rawsock.Reply) bool {
	for _, tr := range e.tracks {
		if tr == nil || tr.lane != l || !tr.begun || tr.over || !engine.SameHost(tr.addr(), r.Quoted.Dst) {
			continue
		}
		if r.Flow == l.flow {
			tr.look.mute++
			e.count(func(c *Counters) { c.Unidentified++ })
			e.makeReady(tr)
			return true
		}
		if f := tr.only(r.Flow); f != nil {
			e.accept(f, r)
			return true
		}
	}
	return false
}

// only returns the one probe with that flow that has no answer; nil if there are
// none or several.
func (tr *track) only(flow uint16) (found *flight) {
	for _, f := range tr.flights {
		if f.flow == flow && f.state == inFlight {
			if found != nil {
				return nil
			}
			found = f
		}
	}
	return found
}

// heldUntil is when the first held answer is to be matched; Never if there is none.
func (e *Engine) heldUntil() time.Duration {
	next := probe.Never
	for i := range e.held {
		next = min(next, e.held[i].until)
	}
	return next
}

// release matches the held answers whose time has come, each with the first
// probe in order of sending that may have come so far.
func (e *Engine) release() {
	now := e.now()
	e.held = slices.DeleteFunc(e.held, func(h held) bool {
		if h.until > now && !h.track.over {
			return false
		}
		h.track.held--
		if f := h.track.beyond(); f != nil {
			e.accept(f, &h.reply)
		} else {
			e.stray(&h.reply)
		}
		e.makeReady(h.track)
		return true
	})
}

// waiting is how many probes may have come farther than any router answered
// from, and have no answer.
func (tr *track) waiting() (n int) {
	for _, f := range tr.flights {
		if f.state == inFlight && int(f.ttl) > tr.look.far {
			n++
		}
	}
	return n
}

// beyond returns the unanswered probe that was sent first among those that went
// farther than any router answered from.
func (tr *track) beyond() (found *flight) {
	if tr.over {
		return nil
	}
	for _, f := range tr.flights {
		if f.state == inFlight && int(f.ttl) > tr.look.far && (found == nil || f.ttl < found.ttl) {
			found = f
		}
	}
	return found
}
