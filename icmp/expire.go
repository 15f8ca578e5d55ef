package icmp

import (
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// nextExpiry returns when the next probe runs out of time; Never if none is
// open. Probes of a lane leave in order and wait equally long, so two marks
// that only move forward are all it takes.
func (e *Engine) nextExpiry() time.Duration {
	next := probe.Never
	for _, l := range e.lanes {
		if f := l.firstUndecided(&l.due, waiting); f != nil {
			next = min(next, f.sent+e.cfg.Timeout)
		}
		if f := l.firstUndecided(&l.gone, overdue); f != nil {
			next = min(next, f.sent+e.cfg.Timeout+e.cfg.Late)
		}
	}
	return next
}

// firstUndecided moves mark past probes that are beyond state s and returns the
// next one, nil if there is none.
func (fs *flights) firstUndecided(mark *uint64, s state) *flight {
	for *mark < fs.n {
		if f := fs.at(*mark + 1); f != nil && f.open() && f.state <= s {
			return f
		}
		*mark++
	}
	return nil
}

// expire moves every probe on that ran out of time by now.
func (e *Engine) expire(now time.Duration) {
	for _, l := range e.lanes {
		for {
			f := l.firstUndecided(&l.due, waiting)
			if f == nil || f.sent+e.cfg.Timeout > now {
				break
			}
			e.overdue(l, f)
		}
		for {
			f := l.firstUndecided(&l.gone, overdue)
			if f == nil || f.sent+e.cfg.Timeout+e.cfg.Late > now {
				break
			}
			e.lose(l, f)
		}
	}
}

// overdue tells that the timeout of f passed, unless an ICMP error that could
// not prove itself explains the silence.
func (e *Engine) overdue(l *lane, f *flight) {
	if f.held && !l.held[f.n].final {
		h, _ := l.release(f)
		e.settle(l, f, h.Result)
		return
	}
	if l.home.lost(f.t.Addr.Addr(), e.now()) {
		e.settle(l, f, l.home.failure())
		return
	}
	f.state = overdue
	e.emit(e.fill(f, probe.Result{Interim: true, Status: probe.Lost, Reason: probe.NoResponse}))
	// Adaptive goes on after its newest probe; Lockstep waits for the outcome.
	if row := &e.rows[f.t.ID]; e.cfg.Pace == Adaptive && f.seq == row.seq && !row.done {
		at := max(e.now(), row.last+e.cfg.MinGap)
		e.sched.Set(f.t.ID, min(e.sched.Due(f.t.ID), at))
	}
}

// lose decides that nobody answered f, or not in a way that counts.
func (e *Engine) lose(l *lane, f *flight) {
	if h, ok := l.release(f); ok {
		e.settle(l, f, h.Result)
		return
	}
	e.settle(l, f, probe.Result{Status: probe.Lost, Reason: probe.NoResponse})
}

// settle gives f its one outcome.
func (e *Engine) settle(l *lane, f *flight, r probe.Result) {
	f.state = decided
	if r.Status == probe.Reply || r.Status == probe.Late {
		f.state = answered
	}
	l.release(f)
	row := &e.rows[f.t.ID]
	row.open--
	e.open--
	r = e.fill(f, r)
	e.learn(&r)
	e.emit(r)
	e.hurry(&r, e.now())
	if e.full {
		e.full = false
		e.wake()
	}
	if _, due := e.sched.Next(); due == probe.Never && e.open == 0 {
		e.wake() // that was the last
	}
}

// learn tells the Sizer of r. What an interface is given the address of cannot
// stay on the stack: e.lesson spares every echo an allocation.
func (e *Engine) learn(r *probe.Result) {
	if e.cfg.Sizer == nil {
		return
	}
	e.lesson = *r
	e.cfg.Sizer.Learn(&e.lesson)
	*r = e.lesson
}

// fill adds what is known of f to r.
func (e *Engine) fill(f *flight, r probe.Result) probe.Result {
	r.Target, r.Seq = f.t, f.seq
	r.Lag += time.Duration(f.lag) * time.Microsecond
	if r.Size == 0 {
		r.Size = rawsock.EchoHeaderLen + int(f.size)
	}
	if r.Status != probe.Failed {
		// Counted back from now, so that it follows a wall clock that was set.
		now := time.Now()
		r.Sent = now.Add(f.sent - now.Sub(e.start))
	}
	return r
}
