package icmp

import (
	"bytes"
	"slices"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// take matches one message from p with the probe it is about.
func (s *Sweep) take(p *sweepPort, m *rawsock.Message) {
	l := p.lane
	if m.Event == rawsock.Stamp {
		if a := l.byWire(m.Key); a != nil {
			a.tx = m.Stamp
		}
		return
	}
	if m.Arrived != s.seen {
		s.seen = m.Arrived
		s.wall.Observe(m.Arrived, s.start)
	}
	i := m.ID - p.first
	if i >= p.count { // not every system keeps others out
		s.counters.strays.Add(1)
		return
	}
	wire := uint32(p.index+int(i))<<16 | uint32(m.Seq)
	a := l.byWire(wire)
	switch m.Event {
	case rawsock.Echo:
		s.takeEcho(l, a, wire, m)
	case rawsock.Error:
		s.takeError(l, a, wire, m)
	case rawsock.Redirect:
		if a == nil || !engine.SameHost(m.Dst, a.addr) {
			s.counters.strays.Add(1)
			return
		}
		s.counters.redirects.Add(1)
	}
}

// takeEcho judges an echo reply to a. The cookie proves that whoever sent it has
// seen the request.
func (s *Sweep) takeEcho(l *sweepLane, a *ask, wire uint32, m *rawsock.Message) {
	cur := l.current(a)
	if cur == nil {
		s.takeForgotten(wire, m)
		return
	}
	cookie := s.cookies.of(wire, a.addr)
	flags, proven := s.payload.verify(m, s.cfg.Size, cookie)
	host := m.From == a.addr || engine.SameHost(m.From, a.addr)
	if !host {
		flags |= probe.WrongSource
	}
	if !host && (!proven || s.cfg.Size < cookieLen) {
		s.counters.strays.Add(1)
		return
	}
	r := probe.Result{
		Status: probe.Reply, Reason: probe.EchoReply, Flags: flags,
		From: m.From, TTL: m.TTL, Type: m.Type, Code: m.Code, Size: m.Size,
	}
	if host {
		r.From = a.addr
	}
	s.clock(a, m, &r)
	if r.RTT > s.waits[a.try] {
		r.Status = probe.Late
	}
	if !proven {
		s.takeBad(l, cur, r)
		return
	}
	if cur.undecided() && (!cur.held || l.held[cur.n].responder == nil) {
		s.cfg.Pace.Heard(a.addr, a.sent, s.seen.Sub(s.start), int(a.try))
	}
	s.answer(l, cur, r, host)
}

// answer decides the host of a by a proven reply, or says what else it means.
func (s *Sweep) answer(l *sweepLane, a *ask, r probe.Result, host bool) {
	switch {
	case a.state == askAnswered:
		r.Flags |= probe.Dup
		s.tell(l, a, r)
	case !a.undecided():
		s.late(l, a, r)
	case !host:
		l.hold(a).add(r)
	default:
		held := l.release(a)
		s.settle(l, a, r)
		for _, from := range held.responders.Addrs {
			extra := *held.responder
			extra.From, extra.Flags = from, extra.Flags|probe.Dup
			s.tell(l, a, extra)
		}
	}
}

// add counts whoever sent r among those that answer for another address.
func (h *heldAnswers) add(r probe.Result) {
	if h.responder == nil {
		h.responder = &r
	}
	if slices.Contains(h.responders.Addrs, r.From) {
		return
	}
	if len(h.responders.Addrs) < maxResponders {
		h.responders.Addrs = append(h.responders.Addrs, r.From)
	}
	h.responders.Count++
}

// late tells once that the host of a answered after it was given up.
func (s *Sweep) late(l *sweepLane, a *ask, r probe.Result) {
	s.counters.late.Add(1)
	if a.state == askTold {
		return
	}
	a.state = askTold
	r.Status, r.Interim = probe.Late, true
	s.tell(l, a, r)
}

// takeBad keeps a reply of the host itself that does not show our cookie: it is
// an answer to something, but not to what we asked.
func (s *Sweep) takeBad(l *sweepLane, a *ask, r probe.Result) {
	if !a.undecided() {
		s.counters.strays.Add(1)
		return
	}
	r.Status, r.Reason = probe.Lost, probe.BadReply
	if h := l.hold(a); h.bad == nil {
		h.bad = new(r)
	}
}

// takeForgotten counts an answer to a probe that the table no longer has. If it
// proves itself it is late or a duplicate; nobody knows which.
func (s *Sweep) takeForgotten(wire uint32, m *rawsock.Message) {
	if s.cfg.Size >= cookieLen && bytes.HasPrefix(m.Payload, s.cookies.of(wire, m.From)) {
		s.counters.late.Add(1)
		return
	}
	s.counters.strays.Add(1)
}

// takeError judges an ICMP error about a. Its quote must be of a packet to the
// host, and carry the cookie if it is long enough to. One that is too short is
// held: a real answer in time beats it, and nobody is there for its word alone.
func (s *Sweep) takeError(l *sweepLane, a *ask, wire uint32, m *rawsock.Message) {
	cur := l.current(a)
	if cur == nil || !cur.undecided() || !engine.SameHost(m.Dst, a.addr) {
		s.counters.strays.Add(1)
		return
	}
	proven := s.cfg.Size >= cookieLen && len(m.Payload) >= cookieLen
	if proven && !bytes.HasPrefix(m.Payload, s.cookies.of(wire, a.addr)) {
		s.counters.strays.Add(1)
		return
	}
	r := probe.Result{From: m.From, TTL: m.TTL, Type: m.Type, Code: m.Code, MTU: m.MTU}
	var ok bool
	if r.Status, r.Reason, ok = engine.Verdict(l.family, m.Type, m.Code); !ok {
		return
	}
	s.clock(a, m, &r)
	if !proven {
		if h := l.hold(cur); h.err == nil {
			h.err = new(r)
		}
		return
	}
	if r.Reason == probe.PortUnreachable && engine.SameHost(m.From, a.addr) {
		r.Status = probe.Refused // by the host itself, which thus is there
	}
	s.cfg.Pace.Heard(a.addr, a.sent, s.seen.Sub(s.start), int(a.try))
	s.settle(l, cur, r)
}

// clock sets how long the answer m to a took.
func (s *Sweep) clock(a *ask, m *rawsock.Message, r *probe.Result) {
	r.RTT, r.Clock, r.Host = s.wall.RTT(a.tx, m.Stamp, a.sent, m.Arrived.Sub(s.start))
	r.Sent = s.at(a.sent)
}
