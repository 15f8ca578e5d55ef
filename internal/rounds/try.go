package rounds

import (
	"context"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// try asks for f until it is decided.
func (e *Engine) try(ctx context.Context, f *flight, asker crew.Asker) {
	a := crew.Answer{Result: pending}
	for n := 1; ctx.Err() == nil; n++ {
		a = asker.Ask(ctx, crew.Try{To: f.t.Addr, Host: f.t.Host, N: int(f.seq), Timeout: e.cfg.Timeout + e.cfg.Late})
		if !crew.Shortage(&a.Result) {
			break
		}
		wait, ok := crew.Respite(n)
		e.lack(f, &a.Result)
		if !ok {
			break
		}
		a = crew.Answer{Result: pending}
		if sleep(ctx, wait) {
			e.leaveAgain(f)
		}
	}
	e.decide(f, asker, &a)
}

// pending is what becomes of a try that the end of the run overtook.
var pending = probe.Result{Status: probe.Pending, Reason: probe.Canceled}

// sleep returns after d, or false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lack notes that this host lacked what the last try of f needed, as r says.
func (e *Engine) lack(f *flight, r *probe.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.left = probe.Never
	e.counters.Shortages++
	e.bears.Learn(r, e.open)
}

func (e *Engine) leaveAgain(f *flight) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leave(f, e.now())
	e.rouse()
}

// leave notes that a try of f begins now.
func (e *Engine) leave(f *flight, now time.Duration) {
	f.left = now
	e.waits = append(e.waits, wait{f, now})
}

// nextExpiry returns when the next probe is overdue; Never if none is waited for.
func (e *Engine) nextExpiry() time.Duration {
	for len(e.waits) > 0 {
		w := e.waits[0]
		if !w.f.decided && !w.f.overdue && w.f.left == w.left {
			return w.left + e.cfg.Timeout
		}
		e.waits = e.waits[1:]
	}
	return probe.Never
}

// expire tells which probes are overdue at now.
func (e *Engine) expire(now time.Duration) {
	for e.nextExpiry() <= now {
		e.overdue(e.waits[0].f)
	}
}

// overdue tells that the timeout of f passed.
func (e *Engine) overdue(f *flight) {
	if f.overdue {
		return
	}
	f.overdue = true
	r := probe.Result{Interim: true, Status: probe.Lost, Reason: probe.NoResponse}
	r.Sent = time.Now().Add(f.left - e.now()) // counted back, so that it follows a wall clock that was set
	e.emit(f.fill(r, e.start))
	e.hurry(f)
}

// decide gives f its one outcome.
func (e *Engine) decide(f *flight, asker crew.Asker, a *crew.Answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.judge(f, a)
	if a.Status == probe.Lost {
		e.overdue(f) // not after its outcome
	}
	f.decided = true
	e.open--
	e.idle = append(e.idle, asker)
	if !a.Sent.IsZero() {
		e.counters.Sent++
	}
	r := f.fill(a.Result, e.start)
	e.counters.Lag = max(e.counters.Lag, r.Lag)
	if !crew.Shortage(&r) { // lack has learned from those
		e.bears.Learn(&r, e.open)
	}
	e.emit(r)
	if r.Status != probe.Failed { // or what is broken here would have us spin
		e.hurry(f)
	}
	e.rouse()
}

// judge completes what an Asker said: how long the answer took, and whether it
// was in time.
func (e *Engine) judge(f *flight, a *crew.Answer) {
	at := a.At
	if at.IsZero() {
		at = time.Now()
	}
	switch {
	case a.Status == probe.Pending && f.left != probe.Never && e.now()-f.left >= e.cfg.Timeout:
		a.Status, a.Reason = probe.Lost, probe.NoResponse
	case a.From.IsValid() && a.RTT == 0:
		a.RTT = at.Sub(a.Sent)
	}
	took := a.RTT
	if a.Retrans > 0 {
		took += a.Host // it was not the first SYN that was answered
	}
	if a.Status == probe.Reply && took > e.cfg.Timeout {
		a.Status = probe.Late
	}
}

// fill adds what is known of f to r.
func (f *flight) fill(r probe.Result, start time.Time) probe.Result {
	r.Target, r.Seq = f.t, f.seq
	if !r.Sent.IsZero() {
		r.Lag = max(0, r.Sent.Sub(start)-f.due)
	}
	return r
}
