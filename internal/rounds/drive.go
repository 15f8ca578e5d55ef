package rounds

import (
	"context"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// Probe implements probe.Prober. It may be called once and returns nil: whatever
// goes wrong is the outcome of a probe. If ctx ends first, a probe without an
// outcome is Lost if its timeout has passed, else Pending.
func (e *Engine) Probe(ctx context.Context, emit func(probe.Result)) error {
	defer crew.Join()()
	e.begin(emit)
	e.drive(ctx)
	e.tries.Wait()
	return e.Close()
}

// rowGap is how far apart the first probes of few targets are.
const rowGap = 10 * time.Millisecond

func (e *Engine) begin(emit func(probe.Result)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.emit = emit
	e.start = time.Now()
	e.pacer = probe.NewPacer(e.cfg.Rate)
	if !e.cfg.Adaptive {
		e.spread = probe.NewPacer(probe.CatchUpRate(len(e.cfg.Targets), e.cfg.Interval))
	}
	e.sched = probe.NewSchedule(len(e.cfg.Targets))
	e.rows = make([]row, len(e.cfg.Targets))
	for i, t := range e.cfg.Targets {
		e.rows[i].t = t
		if t.Err == nil {
			e.sched.Set(i, probe.Phase(i, len(e.rows), e.cfg.Interval, rowGap))
		}
	}
}

// drive begins probes and says which are overdue, until all are decided or ctx ends.
func (e *Engine) drive(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		at, over := e.turn(ctx)
		if over {
			return
		}
		wait := at - e.now()
		if wait <= 0 {
			continue
		}
		timer.Reset(min(wait, time.Hour))
		select {
		case <-e.roused:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// turn says what is overdue and begins what is due. It returns when to look
// again, or that the run is over.
func (e *Engine) turn(ctx context.Context) (at time.Duration, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.expire(now)
	at = e.collect(ctx, now)
	over = e.open == 0 && at == probe.Never && !e.awaiting()
	return min(at, e.nextExpiry()), over
}

// collect begins the probes that are due, and returns when the next one is.
func (e *Engine) collect(ctx context.Context, now time.Duration) time.Duration {
	for {
		i, due := e.sched.Next()
		if due == probe.Never {
			return probe.Never
		}
		due = max(due, e.pacer.Next())
		if next := max(due, e.spread.Next()); next > now {
			return next
		}
		if e.open >= e.bears.Room() {
			e.full = true
			return probe.Never // whoever is decided rouses
		}
		e.launch(ctx, i, due, now)
	}
}

// awaiting reports whether Retarget may still bring the run work. What Expect
// announced is waited for; with Await and a count, a run that has probed all it
// could does not wait for the rest.
func (e *Engine) awaiting() bool {
	if e.expected || !e.cfg.Await {
		return e.expected
	}
	missing, done := 0, 0
	for i := range e.rows {
		if e.rows[i].done {
			done++
		} else {
			missing++
		}
	}
	return missing > 0 && (e.cfg.Count == 0 || done == 0)
}

// launch begins the next probe of row i, due at due, unless it has none now.
func (e *Engine) launch(ctx context.Context, i int, due, now time.Duration) {
	r := &e.rows[i]
	if r.t.Err != nil {
		e.sched.Set(i, probe.Never) // a row that lost its address may get another one
		return
	}
	r.seq++
	e.open++
	if e.full {
		e.full = false
		e.counters.Waited++
	}
	f := &flight{t: r.t, seq: r.seq, due: due}
	e.leave(f, now)
	e.pacer.Take(now)
	e.spread.Take(now)
	e.advance(i, now)
	asker := e.asker()
	e.tries.Go(func() { e.try(ctx, f, asker) })
}

// asker returns an Asker that asks nobody.
func (e *Engine) asker() crew.Asker {
	n := len(e.idle)
	if n == 0 {
		return e.cfg.Asker()
	}
	a := e.idle[n-1]
	e.idle = e.idle[:n-1]
	return a
}

// advance sets when row i is due again after a probe that left at now.
func (e *Engine) advance(i int, now time.Duration) {
	r := &e.rows[i]
	if e.cfg.Count > 0 && r.seq >= uint64(e.cfg.Count) {
		r.done = true
		e.sched.Set(i, probe.Never)
		return
	}
	if e.cfg.Adaptive {
		e.sched.Set(i, now+e.cfg.Interval)
		return
	}
	e.sched.Follow(i, e.cfg.Interval, now)
}

// hurry lets the row of f go on where that depends on f alone: it is the newest
// of its row, and was decided or is overdue.
func (e *Engine) hurry(f *flight) {
	if row := &e.rows[f.t.ID]; e.cfg.Adaptive && f.seq == row.seq && !row.done {
		e.sched.Set(f.t.ID, min(e.sched.Due(f.t.ID), e.now()))
	}
}
