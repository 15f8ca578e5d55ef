package lab

import (
	"math/rand/v2"
	"time"
)

// A packet at position i has just crossed links[i]: on the way out it is at hop
// i, or past the last hop and before the host's own link; on the way back it is
// at hop i-1, or at the prober.

// atHost is the position of a packet that has crossed its host's own link.
func (s *sim) atHost() int { return len(s.links) }

// send asks the hook about p and lets it cross its first link: on the way out
// that of the prober; on the way back it starts at position p.pos+1 and crosses
// links[p.pos], or its host's link if it is at the host.
func (s *sim) send(p *Packet) {
	var v Verdict
	if s.topo.Hook != nil {
		v = s.topo.Hook(p)
	}
	if v.Drop {
		s.settle(p, Dropped)
		return
	}
	if v.Corrupt {
		p.corrupt(s.chance)
	}
	if v.Delay > 0 {
		p.flags |= Delayed
		p.free = true
	}
	for range v.Copies {
		s.cross(s.copyOf(p), v.Delay)
	}
	s.cross(p, v.Delay)
}

// cross sends p over the next link, after it waited for extra.
func (s *sim) cross(p *Packet, extra time.Duration) {
	w := s.next(p)
	if w.MTU > 0 && p.wire > w.MTU && !mayFragment(p.Raw) {
		s.settle(p, Oversized)
		return
	}
	if w.Loss > 0 && w.chance.Float64() < w.Loss {
		s.settle(p, Lost)
		return
	}
	if w.Corrupt > 0 && w.chance.Float64() < w.Corrupt {
		p.corrupt(w.chance)
	}
	at := s.clock + extra + w.Delay
	if w.Jitter > 0 {
		at += time.Duration(w.chance.Int64N(int64(w.Jitter)))
	}
	switch {
	case w.Reorder > 0 && w.chance.Float64() < w.Reorder:
		p.flags |= Reordered
		p.free = true
		if w.ReorderDelay == 0 {
			at += 10 * time.Millisecond
		}
		at += w.ReorderDelay
	case w.Jitter > 0 && !p.free:
		w.last = max(w.last, at)
		at = w.last
	}
	var twin *Packet
	if w.Duplicate > 0 && w.chance.Float64() < w.Duplicate {
		twin = s.copyOf(p)
	}
	s.arriveAt(p, at)
	if twin != nil {
		s.arriveAt(twin, at)
	}
}

// next returns the wire p is about to cross and moves p behind it.
func (s *sim) next(p *Packet) *wire {
	if p.Dir == Out {
		if p.pos == len(s.links) {
			p.pos++
			return &p.host.link[Out]
		}
		p.pos++
		return &s.links[p.pos-1][Out]
	}
	p.pos--
	if p.pos == len(s.links) {
		return &p.host.link[Back]
	}
	return &s.links[p.pos][Back]
}

// arriveAt lets p arrive at its next node at an instant, now if that is now.
func (s *sim) arriveAt(p *Packet, at time.Duration) {
	if at <= s.clock {
		s.arrive(p)
		return
	}
	s.events.push(event{at: at, p: p})
}

// arrive is p at the node behind the link it has just crossed.
func (s *sim) arrive(p *Packet) {
	p.Time = s.clock
	switch {
	case p.Dir == Out && p.pos <= len(s.hops):
		s.forward(p, p.pos-1)
	case p.Dir == Out && p.pos == len(s.links):
		s.findHost(p)
	case p.Dir == Out:
		s.visit(p)
	case p.pos == 0:
		s.finish(p)
	case p.pos <= len(s.hops):
		s.forwardBack(p)
	default:
		s.cross(p, 0)
	}
}

// forward is p at hop i on its way out.
func (s *sim) forward(p *Packet, i int) {
	h := &s.hops[i]
	if a, ok := addressFor(h.Addrs, p.Dst); ok && a == p.Dst {
		s.answerAsHop(p, h)
		return
	}
	if p.TTL <= 1 {
		s.refuse(p, h, TimeExceeded, Expired)
		return
	}
	if h.Error != (ICMPError{}) && contains(h.ErrorFor, p.Dst) {
		s.refuse(p, h, h.Error, Refused)
		return
	}
	if g, ok := addressFor(h.Redirect, p.Dst); ok {
		if src, ok := addressFor(h.Addrs, p.Dst); ok && !h.Silent {
			s.originate(p, s.codec.redirectPacket(src, g, h.Quote, p), p.pos, 0, h.tokens.take(s.clock), nil)
		}
	}
	if s.tooBig(p, h, h.Out) {
		return
	}
	if i == len(s.hops)-1 {
		if to := s.hostOf(p.Dst); to != nil && s.tooBig(p, h, to.Out) {
			return
		}
	}
	p.TTL--
	setTTL(p.Raw, p.TTL)
	s.cross(p, 0)
}

// findHost is p behind the last shared link.
func (s *sim) findHost(p *Packet) {
	p.host = s.hostOf(p.Dst)
	if p.host == nil {
		s.settle(p, NoHost)
		return
	}
	s.cross(p, 0)
}

// tooBig deals with a packet that exceeds the MTU of l, the next link of hop h.
func (s *sim) tooBig(p *Packet, h *hop, l Link) bool {
	if l.MTU == 0 || p.wire <= l.MTU || mayFragment(p.Raw) {
		return false
	}
	if l.BlackHole {
		s.settle(p, Oversized)
	} else {
		s.refuse(p, h, TooBig(l.MTU), Oversized)
	}
	return true
}

// answerAsHop is p at the hop it is addressed to.
func (s *sim) answerAsHop(p *Packet, h *hop) {
	ttl := orDefault(h.TTL, 255)
	if p.Kind == UDP && !h.Silent {
		s.refuse(p, h, PortUnreachable, Refused)
		return
	}
	s.decide(p, Delivered)
	if p.Kind == EchoRequest && !h.Silent {
		hdr := header{src: p.Dst, dst: p.Src, ttl: ttl, tos: tos(p.Raw)}
		raw := s.codec.echo(hdr, EchoReply, p.ID, p.Seq, p.payload())
		s.originate(p, raw, p.pos, 0, h.tokens.take(s.clock), nil)
	}
	s.release(p)
}

// refuse ends the way of p at h with an ICMP error, if h sends one.
func (s *sim) refuse(p *Packet, h *hop, e ICMPError, f Fate) {
	s.decide(p, f)
	if src, ok := addressFor(h.Addrs, p.Dst); ok && !h.Silent && p.Kind != Error {
		ttl := orDefault(h.TTL, 255)
		s.originate(p, s.codec.errorPacket(src, ttl, e, h.Quote, p), p.pos, 0, h.tokens.take(s.clock), nil)
	}
	s.release(p)
}

// forwardBack is p at a hop on its way back.
func (s *sim) forwardBack(p *Packet) {
	if p.TTL <= 1 {
		s.settle(p, Expired)
		return
	}
	p.TTL--
	setTTL(p.Raw, p.TTL)
	s.cross(p, 0)
}

// finish hands p to the prober.
func (s *sim) finish(p *Packet) {
	s.decide(p, Delivered)
	if !s.deliver(p.Raw) {
		s.log.count(&s.log.totals.Overflow)
		s.decide(p, Overflow)
	}
	s.release(p)
}

// originate sends raw, made because of p, from position pos back to the prober,
// after wait. If it is not allowed to, the log says so.
func (s *sim) originate(p *Packet, raw []byte, pos int, wait time.Duration, allowed bool, from *host) {
	a := s.fresh(raw)
	if _, err := s.codec.parse(a); err != nil {
		panic("lab: built a malformed packet: " + err.Error())
	}
	a.Dir, a.Target, a.N, a.probe, a.flags = Back, p.Target, p.N, p.probe, p.flags&^Fragmented
	a.free, a.pos, a.host = p.free, pos, from
	if a.Kind == Error || a.Kind == Redirect {
		a.ID, a.Seq = p.ID, p.Seq
	}
	s.launch(a, wait, allowed)
}

// launch logs a and sends it.
func (s *sim) launch(a *Packet, wait time.Duration, allowed bool) {
	a.entry = s.log.add(a.logEntry())
	if !allowed {
		s.settle(a, Limited)
		return
	}
	if wait <= 0 {
		s.send(a)
		return
	}
	s.events.push(event{at: s.clock + wait, do: func() { a.Time = s.clock; s.send(a) }})
}

// corrupt flips one bit behind the IP header.
func (p *Packet) corrupt(chance *rand.Rand) {
	n := len(p.Raw) - p.l4
	if n <= 0 {
		return
	}
	p.Raw[p.l4+chance.IntN(n)] ^= 1 << chance.IntN(8)
	p.flags |= Corrupted
}

func orDefault(ttl, d uint8) uint8 {
	if ttl == 0 {
		return d
	}
	return ttl
}
