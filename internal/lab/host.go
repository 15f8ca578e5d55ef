package lab

import (
	"slices"
	"time"
)

// visit is p at its host.
func (s *sim) visit(p *Packet) {
	h := p.host
	p.node = p.Dst
	if h.Drop.drops(p) {
		s.settle(p, Dropped)
		return
	}
	if h.Kernel && s.kernel != nil {
		s.ask(p)
		return
	}
	if p.flags.Has(Corrupted) {
		s.settle(p, Damaged)
		return
	}
	e := h.errorFor(p)
	if p.Kind == TCP && e == (ICMPError{}) && !h.Silent {
		s.answerSegment(p)
		s.release(p)
		return
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
	case p.Kind == EchoRequest, p.Kind == UDP:
		s.reply(p)
	}
	s.forge(p, false)
	s.release(p)
}

// errorFor returns the ICMP error that p gets for an answer; none if it gets another.
func (h *host) errorFor(p *Packet) ICMPError {
	if h.Error == (ICMPError{}) && p.Kind == UDP && !slices.Contains(h.UDP, p.Seq) {
		return PortUnreachable
	}
	return h.Error
}

// answer sends raw from the host of p after wait.
func (s *sim) answer(p *Packet, raw []byte, wait time.Duration, allowed bool) {
	s.originate(p, raw, p.route.atHost(), wait, allowed, p.host)
}

// payload returns what follows the echo header of p.
func (p *Packet) payload() []byte { return p.Raw[min(len(p.Raw), p.l4+8):] }

// header returns that of the answer to p. Like Linux it keeps the TOS octet.
func (h *host) header(p *Packet) header {
	hdr := header{src: p.Dst, dst: p.Src, ttl: orDefault(h.TTL, 64), tos: tos(p.Raw)}
	if a, ok := addressFor(h.From, p.Dst); ok {
		hdr.src = a
		p.flags |= Misaddress
	}
	return hdr
}

// reply answers an echo request or a datagram by its like.
func (s *sim) reply(p *Packet) {
	h := p.host
	hdr := h.header(p)
	payload := p.payload()
	if h.Payload != nil {
		payload = h.Payload(payload)
		p.flags |= Altered
	}
	var raw []byte
	if p.Kind == UDP {
		raw = s.packer.datagram(hdr, p.Seq, p.ID, payload)
	} else {
		raw = s.packer.echo(hdr, EchoReply, p.ID, p.Seq, payload)
	}
	s.answer(p, raw, h.Delay, true)
	p.flags &^= Misaddress | Altered
}

// answerSegment answers a TCP segment: a SYN to an open port by a handshake that
// leads nowhere, what ends a connection and what comes to a closed port by an RST.
func (s *sim) answerSegment(p *Packet) {
	h := p.host
	hdr := h.header(p)
	tcp, whole := p.tcp()
	open := slices.Contains(h.TCP, p.Seq)
	var raw []byte
	fate := Delivered
	switch {
	case !whole:
	case open && tcp.has(flagSYN) && !tcp.has(flagACK|flagRST):
		raw = s.packer.handshake(hdr, tcp)
	case open && !tcp.has(flagFIN):
	default:
		if raw = s.packer.refusal(hdr, tcp); raw != nil && !open {
			fate = Refused
		}
	}
	s.decide(p, fate)
	if raw != nil {
		s.answer(p, raw, h.Delay, true)
	}
	p.flags &^= Misaddress
}

// reflect sends an echo request back to where it came from.
func (s *sim) reflect(p *Packet) {
	hdr := header{src: p.Dst, dst: p.Src, ttl: orDefault(p.host.TTL, 64), tos: tos(p.Raw)}
	p.flags |= Forged
	s.answer(p, s.packer.echo(hdr, EchoRequest, p.ID, p.Seq, p.payload()), p.host.Delay, true)
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
	raw := s.packer.errorPacket(src, orDefault(h.TTL, 64), e, h.Quote, p, nil)
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
			raw = s.packer.errorPacket(hdr.src, hdr.ttl, f.Error, h.Quote, p, nil)
		default:
			kind, change := EchoReply, f.Payload
			if f.Request {
				kind = EchoRequest
			}
			if change == nil {
				change = Foreign
			}
			raw = s.packer.echo(hdr, kind, p.ID+f.ID, p.Seq+f.Seq, change(p.payload()))
		}
		p.flags |= Forged
		s.answer(p, raw, h.Delay+f.Shift, true)
		p.flags &^= Forged
	}
}
