package lab

import "time"

// visit is p at its host.
func (s *sim) visit(p *Packet) {
	h := p.host
	if h.Kernel && s.kernel != nil {
		s.asked[askedKey{p.Dst, p.ID, p.Seq}] = asked{p.N, p.probe, p.flags &^ Fragmented}
		s.decide(p, Delivered)
		s.kernel(p.Raw)
		s.release(p)
		return
	}
	if p.flags.Has(Corrupted) {
		s.settle(p, Damaged)
		return
	}
	e := h.Error
	if e == (ICMPError{}) && p.Kind == UDP {
		e = PortUnreachable
	}
	refuses := e != (ICMPError{}) && !h.Silent
	if refuses {
		s.decide(p, Refused)
	} else {
		s.decide(p, Delivered)
	}
	s.forge(p, true)
	switch {
	case refuses:
		s.hostError(p, e)
	case h.Silent:
	case p.Kind == EchoRequest && h.Reflect:
		s.reflect(p)
	case p.Kind == EchoRequest:
		s.reply(p)
	}
	s.forge(p, false)
	s.release(p)
}

// answer sends raw from the host of p after wait.
func (s *sim) answer(p *Packet, raw []byte, wait time.Duration, allowed bool) {
	s.originate(p, raw, s.atHost()+1, wait, allowed, p.host)
}

// payload returns what follows the echo header of p.
func (p *Packet) payload() []byte { return p.Raw[min(len(p.Raw), p.l4+8):] }

// reply answers an echo request. Like Linux it keeps the TOS octet.
func (s *sim) reply(p *Packet) {
	h := p.host
	hdr := header{src: p.Dst, dst: p.Src, ttl: orDefault(h.TTL, 64), tos: tos(p.Raw)}
	if a, ok := addressFor(h.From, p.Dst); ok {
		hdr.src = a
		p.flags |= Misaddress
	}
	payload := p.payload()
	if h.Payload != nil {
		payload = h.Payload(payload)
		p.flags |= Altered
	}
	s.answer(p, s.codec.echo(hdr, EchoReply, p.ID, p.Seq, payload), h.Delay, true)
	p.flags &^= Misaddress | Altered
}

// reflect sends an echo request back to where it came from.
func (s *sim) reflect(p *Packet) {
	hdr := header{src: p.Dst, dst: p.Src, ttl: orDefault(p.host.TTL, 64), tos: tos(p.Raw)}
	p.flags |= Forged
	s.answer(p, s.codec.echo(hdr, EchoRequest, p.ID, p.Seq, p.payload()), p.host.Delay, true)
	p.flags &^= Forged
}

// hostError answers p with an ICMP error.
func (s *sim) hostError(p *Packet, e ICMPError) {
	h := p.host
	if p.Kind == Error {
		return // RFC 1122 section 3.2.2: never about an error
	}
	src := p.Dst
	if a, ok := addressFor(h.From, p.Dst); ok {
		src = a
	}
	raw := s.codec.errorPacket(src, orDefault(h.TTL, 64), e, h.Quote, p)
	s.answer(p, raw, h.Delay, h.tokens.take(s.clock))
}

// forge sends the forgeries of the host of p: those that precede its own
// answer, or those that follow it.
func (s *sim) forge(p *Packet, before bool) {
	if p.Kind != EchoRequest {
		return
	}
	h := p.host
	for _, f := range h.Forge {
		if (f.Shift < 0) != before {
			continue
		}
		hdr := header{src: p.Dst, dst: p.Src, ttl: orDefault(h.TTL, 64), tos: tos(p.Raw)}
		if f.From.IsValid() {
			hdr.src = f.From
		}
		raw := []byte(nil)
		switch {
		case f.Error != (ICMPError{}):
			raw = s.codec.errorPacket(hdr.src, hdr.ttl, f.Error, h.Quote, p)
		default:
			kind, change := EchoReply, f.Payload
			if f.Request {
				kind = EchoRequest
			}
			if change == nil {
				change = Foreign
			}
			raw = s.codec.echo(hdr, kind, p.ID+f.ID, p.Seq+f.Seq, change(p.payload()))
		}
		p.flags |= Forged
		s.answer(p, raw, h.Delay+f.Shift, true)
		p.flags &^= Forged
	}
}

// fromKernel takes a packet that the kernel playing the hosts sent. raw is copied.
func (s *sim) fromKernel(raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.advance(s.now())
	s.enterBack(raw)
	s.arm()
}

func (s *sim) enterBack(raw []byte) {
	a := s.fresh(raw)
	f, err := s.codec.parse(a)
	if err == nil && f != nil {
		if !s.joiner.add(a, f) {
			s.release(a)
			return
		}
		_, err = s.codec.parse(a)
	}
	h := s.hostOf(a.Src)
	if err != nil || s.local(a) || h == nil {
		s.log.count(&s.log.totals.Ignored)
		s.release(a)
		return
	}
	a.Dir, a.Target, a.host, a.pos = Back, a.Src, h, s.atHost()+1
	q := s.asked[askedKey{a.Src, a.ID, a.Seq}]
	a.N, a.probe = q.n, q.probe
	a.flags |= q.flags
	s.launch(a, h.Delay, true)
}
