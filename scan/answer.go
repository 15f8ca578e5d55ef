package scan

import (
	"net/netip"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// take is told what came of try n of the port to; n is 0 if that is not known.
func (e *Engine) take(to netip.AddrPort, n int, a *crew.Answer) {
	h, place := e.hosts[to.Addr()], e.place[to.Port()]
	if h == nil || place == 0 {
		e.late(a)
		return
	}
	if h.out > 0 {
		h.out--
	}
	p := place - 1
	s := &h.ports[p]
	now := e.now()
	switch {
	case h.done:
		e.late(a)
		e.forget(h)
	case s.decided || s.other || s.tries == 0:
		e.late(a)
	case a.Status == probe.Lost:
		e.quiet(h, p, n)
	case a.Status == probe.Pending: // the transport is being closed
	case crew.Shortage(&a.Result) && s.shorts < shortTries:
		e.short(h, p, n, now)
	default:
		e.answered(h, p, n, a, now)
	}
}

// late counts a, which came for a port that is decided, if it came from anybody.
func (e *Engine) late(a *crew.Answer) {
	switch a.Status {
	case probe.Lost, probe.Pending, probe.Failed:
		return
	}
	e.mu.Lock()
	e.counters.Late++
	e.mu.Unlock()
}

// answered decides p.
func (e *Engine) answered(h *host, p uint16, n int, a *crew.Answer, now time.Duration) {
	s := &h.ports[p]
	if n == 0 && s.tries == 1 {
		n = 1
	}
	sent, known := h.sentAt(p, n)
	r := a.Result
	if r.Status != probe.Failed && known {
		e.learn(h, p, n, a, sent, now)
	}
	if r.From.IsValid() && r.RTT == 0 {
		from := sent
		if !known {
			from = s.sent // which makes it shorter, never longer
		}
		r.RTT = max(e.arrival(a, now)-from, time.Microsecond)
	}
	e.freeSlot(h, s)
	e.ready(h)
	e.outcome(h, p, r)
}

// arrival is when a was there.
func (e *Engine) arrival(a *crew.Answer, now time.Duration) time.Duration {
	if a.At.IsZero() {
		return now
	}
	return min(a.At.Sub(e.start), now)
}

// learn draws from the answer to try n of p what it says of round trips and loss.
func (e *Engine) learn(h *host, p uint16, n int, a *crew.Answer, sent, now time.Duration) {
	if !a.From.IsValid() || a.Own {
		return
	}
	rtt := a.RTT
	if rtt == 0 {
		rtt = e.arrival(a, now) - sent
	}
	if rtt > 0 && a.Retrans == 0 {
		h.rtt.add(rtt)
	}
	lost := int(a.Retrans) + e.proven(h, p, n, now)
	h.window.answer(sent, now, h.rtt.slot())
	e.window.answer(sent, now, blindSlot)
	before := e.allowed(h)
	h.loss.answered++
	e.loss.answered++
	if lost > 0 {
		h.loss.lost += float64(lost)
		e.loss.lost += float64(lost)
		e.mu.Lock()
		e.counters.Lost += uint64(lost)
		e.mu.Unlock()
	}
	if h.limit != nil && a.Status == probe.Refused && a.Reason == probe.PortUnreachable {
		e.refused(h, p, n, sent, e.arrival(a, now))
	}
	if e.allowed(h) > before {
		e.reopen(h)
	}
}

// proven counts the tries of p before n as lost, which try n shows by its answer,
// but for those that h could not tell of.
func (e *Engine) proven(h *host, p uint16, n int, now time.Duration) (lost int) {
	for i := 1; i < n; i++ {
		at, ok := h.sentAt(p, i)
		if !ok || h.limit != nil && (h.limit.Suspect() || !h.limit.Covered(at)) {
			continue
		}
		lost++
		h.window.loss(at, now, h.rtt.slot())
		e.window.loss(at, now, blindSlot)
	}
	return lost
}

// refused notes that h told of a closed port.
func (e *Engine) refused(h *host, p uint16, n int, sent, at time.Duration) {
	missed := time.Duration(-1)
	if last, ok := h.sentAt(p, n-1); ok && n > 1 {
		missed = last
	}
	h.limit.Answered(sent, max(at, sent), missed)
}

// reopen asks the silent ports of h once more whose last try was out, as it
// turned out that more is lost than was thought.
func (e *Engine) reopen(h *host) {
	rest := h.tail[:0]
	for _, p := range h.tail {
		switch s := &h.ports[p]; {
		case s.decided:
		case s.slot || e.enough(h, p): // it may have been asked again since it came here
			rest = append(rest, p)
		default:
			h.askAgain(p)
		}
	}
	h.tail = rest
}

// allowed is how often a silent port of h is asked.
func (e *Engine) allowed(h *host) int {
	if e.cfg.Retries >= 0 {
		return min(e.cfg.Retries+1, 255)
	}
	return h.loss.tries(h.word.Ports, e.loss, e.cfg.UDP)
}

// enough reports whether p was asked so often that its silence counts.
func (e *Engine) enough(h *host, p uint16) bool {
	tries, allowed := int(h.ports[p].tries), e.allowed(h)
	switch {
	case e.cfg.Retries >= 0 || tries < allowed:
		return tries >= allowed
	case h.limit != nil:
		return tries >= hardMaxLimited || h.told(p) >= allowed
	}
	return tries >= hardMax || h.told(p) >= baseTries
}

// quiet is told that the transport has waited for try n of p as long as it
// should.
func (e *Engine) quiet(h *host, p uint16, n int) {
	s := &h.ports[p]
	if n != int(s.tries) || s.waits {
		return // a later try decides
	}
	e.freeSlot(h, s)
	e.ready(h)
	if !e.enough(h, p) {
		h.askAgain(p)
		return
	}
	e.silent(h, p)
}

// silent decides that nobody answers for p.
func (e *Engine) silent(h *host, p uint16) {
	e.freeSlot(h, &h.ports[p])
	e.outcome(h, p, probe.Result{Status: probe.Lost, Reason: probe.NoResponse})
}

// short takes try n of p back: this host lacked something for it.
func (e *Engine) short(h *host, p uint16, n int, now time.Duration) {
	s := &h.ports[p]
	e.mu.Lock()
	e.counters.Shortages++
	e.counters.Sent--
	if n > 1 {
		e.counters.Retried--
	}
	e.mu.Unlock()
	s.shorts++
	s.lacked = true
	e.freeSlot(h, s)
	if n == int(s.tries) {
		s.tries--
		if older := h.older[p]; len(older) > 0 {
			s.sent = older[len(older)-1]
			h.older[p] = older[:len(older)-1]
		}
	}
	e.arm(timer{at: now + shortWait, h: h, p: p, stage: retake})
}

// freeSlot lets windows know that the last try of s is no longer on its way.
func (e *Engine) freeSlot(h *host, s *port) {
	if s.slot {
		s.slot = false
		h.window.open--
		e.window.open--
	}
}

// outcome emits the one outcome of p.
func (e *Engine) outcome(h *host, p uint16, r probe.Result) {
	s := &h.ports[p]
	s.decided = true
	h.asked--
	h.word.Left--
	e.target = probe.Target{ID: int(h.Index), Name: h.Name, Addr: e.addrPort(h, p)}
	h.word.Layers, _ = r.Detail.(*probe.Layers)
	if h.limit != nil && r.Status == probe.Refused && r.Reason == probe.PortUnreachable {
		h.word.Tells = true
	}
	r.Target, r.Seq, r.Detail = &e.target, uint64(s.tries), &h.word
	if r.Status == probe.Pending {
		e.emit(r)
		return
	}
	e.mu.Lock()
	e.counters.Decided++
	if r.Status == probe.Reply {
		e.counters.Open++
	}
	e.counters.InFlight = e.window.open
	e.mu.Unlock()
	if h.word.Left == 0 {
		e.retire(h)
	}
	e.emit(r)
}

// retire lets go of a host that is done.
func (e *Engine) retire(h *host) {
	h.done = true
	e.forget(h)
	for i, other := range e.active {
		if other == h {
			last := len(e.active) - 1
			e.active[i], e.active[last] = e.active[last], nil
			e.active = e.active[:last]
			break
		}
	}
	h.older, h.first, h.again, h.tail = nil, nil, nil, nil
	e.finish(h)
}

// finish remembers that h is decided.
func (e *Engine) finish(h *host) {
	if e.cfg.Keep && h.Name != "" {
		e.finished = append(e.finished, Begun{Index: h.Index, Addr: h.Addr, Next: len(e.cfg.Ports)})
	}
}

// forget makes room for another host of the same address, unless tries are on
// their way that would be taken for tries at that one.
func (e *Engine) forget(h *host) {
	if h.out == 0 {
		delete(e.hosts, h.Addr)
	}
}
