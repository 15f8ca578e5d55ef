package lab

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// A packet at position i of its route has just crossed links[i-1]: on the way
// out it is at hops[i-1], or past the last hop and before the host's own link;
// on the way back, at hops[i-1], or at the prober if i is 0.

// atHost is the position of a packet that has crossed its host's own link.
func (r *course) atHost() int { return len(r.links) + 1 }

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
	w := p.next()
	p.node = netip.Addr{}
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
func (p *Packet) next() *wire {
	w := p.ahead()
	if p.Dir == Out {
		p.pos++
	} else {
		p.pos--
	}
	return w
}

// ahead returns the wire p is about to cross.
func (p *Packet) ahead() *wire {
	links := p.route.links
	switch {
	case p.Dir == Out && p.pos == len(links):
		return &p.host.link[Out]
	case p.Dir == Out:
		return &links[p.pos][Out]
	case p.pos > len(links):
		return &p.host.link[Back]
	}
	return &links[p.pos-1][Back]
}

// arriveAt lets p arrive at its next node at an instant, now if that is now.
func (s *sim) arriveAt(p *Packet, at time.Duration) {
	at = s.glide(p, at)
	if at <= s.clock {
		s.arrive(p)
		return
	}
	s.events.push(event{at: at, p: p})
}

// glide moves p, which arrives at a node at an instant, past all nodes and links
// that do nothing but forward and delay. It returns the instant at which p
// arrives at the first one that does more. Nothing that others could notice
// happens on the way, so it need not happen in the order of time.
func (s *sim) glide(p *Packet, at time.Duration) time.Duration {
	ttl := p.TTL
	for s.passes(p) {
		w := p.ahead()
		if !w.plain || w.MTU > 0 && p.wire > w.MTU {
			break
		}
		if p.pos <= len(p.route.hops) {
			p.TTL--
		}
		p.next()
		at += w.Delay
	}
	if p.TTL != ttl {
		setTTL(p.Raw, p.TTL)
	}
	return at
}

// passes reports whether the node at which p arrives does nothing but forward it.
func (s *sim) passes(p *Packet) bool {
	hops := p.route.hops
	switch {
	case p.pos == 0 || p.pos > len(p.route.links):
		return false
	case p.pos > len(hops):
		if p.Dir == Out {
			p.host = s.hostOf(p.Dst)
		}
		return p.host != nil
	case p.TTL <= 1:
		return false
	}
	h := hops[p.pos-1]
	if p.Dir == Back {
		return h.nat == nil
	}
	return h.plain && h.addr(p.Dst) != p.Dst && !(s.narrow && p.pos == len(hops))
}

// arrive is p at the node behind the link it has just crossed.
func (s *sim) arrive(p *Packet) {
	p.Time = s.clock
	hops := p.route.hops
	switch {
	case p.Dir == Out && p.pos <= len(hops):
		s.forward(p, hops[p.pos-1])
	case p.Dir == Out && p.pos == len(p.route.links):
		s.findHost(p)
	case p.Dir == Out:
		s.visit(p)
	case p.pos == 0:
		s.finish(p)
	case p.pos <= len(hops):
		s.forwardBack(p, hops[p.pos-1])
	default:
		s.cross(p, 0)
	}
}

// forward is p at h on its way out.
func (s *sim) forward(p *Packet, h *hop) {
	p.node = h.addr(p.Dst)
	switch {
	case p.node == p.Dst:
		s.answerAsHop(p, h)
		return
	case p.TTL == 0, p.TTL == 1 && !h.ZeroTTL:
		s.refuse(p, h, TimeExceeded, Expired)
		return
	case h.Drop.drops(p):
		s.settle(p, Dropped)
		return
	case h.Error != (ICMPError{}) && contains(h.ErrorFor, p.Dst):
		s.refuse(p, h, h.Error, Refused)
		return
	}
	if g, ok := addressFor(h.Redirect, p.Dst); ok && p.node.IsValid() && !h.Silent {
		s.originate(p, s.packer.redirectPacket(p.node, g, h.Quote, p), p.pos, h.Delay, h.tokens.take(s.clock), nil)
	}
	if s.tooBig(p, h, h.Out) {
		return
	}
	if p.pos == len(p.route.hops) {
		if to := s.hostOf(p.Dst); to != nil && s.tooBig(p, h, to.Out) {
			return
		}
	}
	if h.nat != nil {
		h.nat.outward(p)
	}
	if h.TOS != nil {
		setTOS(p.Raw, *h.TOS)
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
	if p.Kind == UDP && !h.Silent {
		s.refuse(p, h, PortUnreachable, Refused)
		return
	}
	hdr := header{src: p.Dst, dst: p.Src, ttl: orDefault(h.TTL, 255)}
	var raw []byte
	fate := Delivered
	switch {
	case h.Silent:
	case p.Kind == EchoRequest:
		hdr.tos = tos(p.Raw)
		raw = s.packer.echo(hdr, EchoReply, p.ID, p.Seq, p.payload())
	case p.Kind == TCP:
		if tcp, whole := p.tcp(); whole {
			raw = s.packer.refusal(hdr, tcp)
		}
	}
	if p.Kind == TCP && raw != nil {
		fate = Refused
	}
	s.decide(p, fate)
	if raw != nil {
		s.originate(p, raw, p.pos, h.Delay, h.tokens.take(s.clock), nil)
	}
	s.release(p)
}

// refuse ends the way of p at h with an ICMP error, if h sends one.
func (s *sim) refuse(p *Packet, h *hop, e ICMPError, f Fate) {
	s.decide(p, f)
	if p.node.IsValid() && !h.Silent && p.Kind != Error {
		raw := s.packer.errorPacket(p.node, orDefault(h.TTL, 255), e, h.Quote, p, h.told)
		s.originate(p, raw, p.pos, h.Delay, h.tokens.take(s.clock), nil)
	}
	s.release(p)
}

// forwardBack is p at h on its way back.
func (s *sim) forwardBack(p *Packet, h *hop) {
	if p.TTL <= 1 {
		s.settle(p, Expired)
		return
	}
	if h.nat != nil && !h.nat.inward(p) {
		s.settle(p, NoHost)
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
	if _, err := parse(a); err != nil {
		panic("lab: built a malformed packet: " + err.Error())
	}
	a.Dir, a.Target, a.N, a.probe, a.flags = Back, p.Target, p.N, p.probe, p.flags&^Fragmented
	a.free, a.pos, a.host, a.route = p.free, pos, from, p.route
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
