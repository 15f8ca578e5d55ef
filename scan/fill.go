package scan

import (
	"slices"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// fill sends what may leave at now, and returns when to look again at the latest.
func (e *Engine) fill(now time.Duration) time.Duration {
	wake := now + time.Hour
	hurry, finish := e.hurries(), e.finishes()
	for {
		e.batch, e.sender = e.batch[:0], e.sender[:0]
		room := min(batchMost, e.window.room(), e.carrier.Room())
		for len(e.batch) < room {
			if at := e.pacer.Next(); at > now {
				wake = min(wake, at)
				break
			}
			h := e.next(now, finish)
			if h == nil {
				break
			}
			e.give(h, now, min(room-len(e.batch), turn), hurry, finish)
		}
		if len(e.batch) == 0 {
			return wake
		}
		if n := e.launch(); n < room {
			if n < len(e.batch) {
				wake = min(wake, now+time.Millisecond) // a queue of this host is full
			}
			return wake
		}
	}
}

// next returns the host whose turn it is; nil if none has anything to send.
func (e *Engine) next(now time.Duration, finish bool) *host {
	for len(e.queue) > 0 {
		h := e.queue[0]
		e.queue = e.queue[1:]
		h.queued = false
		if !h.done {
			return h
		}
	}
	if finish {
		return nil
	}
	return e.admit(now)
}

// ready has h looked at when it is its turn.
func (e *Engine) ready(h *host) {
	if !h.queued && !h.done {
		h.queued = true
		e.queue = append(e.queue, h)
	}
}

// admit begins a further host, if there is one and memory allows.
func (e *Engine) admit(now time.Duration) *host {
	for len(e.active) < e.cfg.Hosts && !e.over || e.held != nil {
		var c probe.Candidate
		if e.held != nil {
			if e.hosts[e.held.Addr] != nil {
				return nil
			}
			c, e.held = *e.held, nil
		} else {
			var supply probe.Supply
			if c, supply = e.cfg.Source.Next(); supply != probe.Ready {
				e.over = supply == probe.Over
				return nil
			}
			if e.hosts[c.Addr] != nil { // by another name, and not finished
				e.held = &c
				return nil
			}
		}
		h := e.newHost(c)
		delete(e.from, hostKey{c.Index, c.Addr})
		if h.word.Left == 0 {
			e.finish(h)
			continue
		}
		e.hosts[c.Addr] = h
		e.active = append(e.active, h)
		e.mu.Lock()
		e.counters.Hosts++
		e.mu.Unlock()
		return h
	}
	return nil
}

// give puts up to most tries of h into the batch.
func (e *Engine) give(h *host, now time.Duration, most int, hurry, finish bool) {
	for range most {
		if h.window.room() <= 0 || e.waitsTurn(h, now) {
			return // an answer, silence or time makes it ready again
		}
		if e.pacer.Next() > now {
			break
		}
		p, ok := h.take(hurry, finish)
		if !ok {
			return
		}
		e.pacer.Take(now)
		if h.limit != nil {
			h.limit.Sent(now, h.ports[p].tries == 0, h.asked)
		}
		h.window.open++
		e.window.open++
		e.batch = append(e.batch, crew.Try{To: e.addrPort(h, p), N: int(h.ports[p].tries) + 1, Timeout: e.settle(h)})
		e.sender = append(e.sender, sending{h, p, now})
	}
	e.ready(h)
}

// waitsTurn reports whether another try at h would be in vain now, as h tells of
// closed ports only so often.
func (e *Engine) waitsTurn(h *host, now time.Duration) bool {
	if h.limit == nil {
		return false
	}
	at := h.limit.Next(now)
	if at <= now {
		return false
	}
	e.rest(h, at)
	return true
}

// rest lets h wait until at, or until something of it is heard.
func (e *Engine) rest(h *host, at time.Duration) {
	if !h.rests {
		h.rests = true
		e.arm(timer{at: at, h: h, stage: rested})
	}
}

// launch starts the batch. It returns how many tries began; the others are asked
// first next time.
func (e *Engine) launch() int {
	n := e.carrier.Start(e.batch)
	for _, s := range e.sender[:n] {
		s.h.left(s.p, s.at)
		e.arm(timer{at: s.at + s.h.rtt.slot(), h: s.h, p: s.p, n: s.h.ports[s.p].tries, stage: slotOver})
	}
	for _, s := range slices.Backward(e.sender[n:]) {
		s.h.window.open--
		e.window.open--
		if st := &s.h.ports[s.p]; !st.waits {
			st.waits = true
			s.h.first = append(s.h.first, s.p)
		}
		e.ready(s.h)
	}
	retried, timed := 0, e.carrier.Timed()
	for _, s := range e.sender[:n] {
		if s.h.ports[s.p].tries > 1 {
			retried++
		}
		if timed {
			s.h.out++
		}
	}
	e.mu.Lock()
	e.counters.Sent += uint64(n)
	e.counters.Retried += uint64(retried)
	e.counters.InFlight = e.window.open
	e.mu.Unlock()
	return n
}
