package crew

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"netprobe/probe"
)

// run is one run of a crew: what its dispatcher and its workers share.
type run struct {
	*Crew
	ctx   context.Context
	emit  func(probe.Result)
	start time.Time     // zero of all times
	wake  chan struct{} // rouses the dispatcher
	jobs  chan *host    // to workers that wait
	crew  sync.WaitGroup

	// Of the dispatcher alone:
	over bool // the source has no more

	// Guarded by Crew.mu:
	queue queue
	open  int // tries in flight
	idle  int // workers that wait
	bears Allowance
}

// host is a candidate that has no outcome yet.
type host struct {
	probe.Candidate
	tries  int           // that left
	shorts int           // tries for which this host lacked something
	taken  bool          // the Pacer was told of its first try
	at     time.Duration // when it may be asked again
}

func newRun(c *Crew, ctx context.Context, emit func(probe.Result)) *run {
	bears := NewAllowance(c.cfg.Limit, c.cfg.Each)
	return &run{
		Crew: c, ctx: ctx, emit: emit, start: time.Now(), bears: bears,
		wake: make(chan struct{}, 1), jobs: make(chan *host, bears.limit), queue: newQueue(),
	}
}

// now is the time since the start of the run on the monotonic clock.
func (r *run) now() time.Duration { return time.Since(r.start) }

// poke has the dispatcher look again.
func (r *run) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// drive dispatches until nothing is left or ctx ends.
func (r *run) drive() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for r.ctx.Err() == nil {
		at, done := r.dispatch()
		if done {
			return
		}
		timer.Reset(min(at-r.now(), time.Hour))
		select {
		case <-r.wake:
		case <-timer.C:
		case <-r.ctx.Done():
		}
	}
}

// end waits for the workers, and decides what waited for its turn.
func (r *run) end() {
	close(r.jobs)
	r.crew.Wait()
	for h := range r.queue.all() {
		r.outcome(new(probe.Target), h, probe.Result{Status: probe.Pending, Reason: probe.Canceled})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters.Deferred = 0
}

// dispatch sends out whoever may be asked now. It returns when to look again,
// at the latest, or that all is done.
func (r *run) dispatch() (at time.Duration, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.ctx.Err() == nil {
		now := r.now()
		if r.open >= r.bears.Room() {
			return probe.Never, false // whoever is done pokes
		}
		if at := r.cfg.Pace.Next(now); at > now && (r.open > 0 || r.queue.len() > 0 || !r.over) {
			return at, false
		}
		h := r.pick(now)
		if h == nil {
			return r.queue.next(), r.over && r.open == 0 && r.queue.len() == 0
		}
		if at := r.cfg.Pace.Turn(h.Addr, now); at > now {
			r.queue.hold(h, at)
			continue
		}
		if !h.taken {
			h.taken = true
			r.cfg.Pace.Take(h.Addr, now)
		} else {
			r.cfg.Pace.Again(h.Addr, now)
		}
		r.launch(h)
	}
	return 0, false
}

// pick returns whom to ask next; nil if there is nobody now. Who was asked
// before comes first.
func (r *run) pick(now time.Duration) *host {
	if h := r.queue.pop(now); h != nil {
		return h
	}
	for !r.over && r.queue.len() < r.waiting() {
		c, supply := r.next()
		switch supply {
		case probe.Over:
			r.over = true
			return nil
		case probe.Later:
			return nil
		}
		h := &host{Candidate: c}
		if !r.queue.join(h) { // else its subnet has its turns already
			return h
		}
	}
	return nil
}

// next asks the source, which may call poke from where it is.
func (r *run) next() (probe.Candidate, probe.Supply) {
	r.mu.Unlock()
	defer r.mu.Lock()
	return r.cfg.Source.Next()
}

// waiting bounds the hosts that were taken from the source and wait for their
// turn: enough that one slow subnet does not hold up the others.
func (r *run) waiting() int { return max(4*r.bears.limit, 1<<12) }

func (r *run) launch(h *host) {
	r.open++
	r.counters.InFlight = r.open
	r.counters.Deferred = r.queue.len()
	if r.idle > 0 {
		r.idle--
		r.jobs <- h
		return
	}
	r.crew.Go(func() { r.work(h) })
}

// work is one worker: it asks h, then whoever it is told to.
func (r *run) work(h *host) {
	asker, target := r.asker(), new(probe.Target)
	for ok := true; ok; h, ok = <-r.jobs {
		sent := r.now()
		a := asker.Ask(r.ctx, Try{
			To: netip.AddrPortFrom(h.Addr, r.cfg.Port), N: h.tries + 1, Timeout: r.timeout(h.tries + 1),
		})
		r.learn(h, &a, sent)
		if r.again(h, &a) {
			r.done(h)
			continue
		}
		r.outcome(target, h, a.Result)
		r.done(nil)
	}
}

// done frees a worker; h is not nil if it is to be asked again.
func (r *run) done(h *host) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	r.idle++
	if h != nil && !r.queue.join(h) {
		r.queue.put(h)
	}
	r.counters.InFlight, r.counters.Deferred = r.open, r.queue.len()
	r.poke()
}

// outcome emits the one outcome of h. target is only for the time of that.
func (r *run) outcome(target *probe.Target, h *host, res probe.Result) {
	*target = probe.Target{ID: int(h.Index), Name: h.Name, Addr: netip.AddrPortFrom(h.Addr, r.cfg.Port)}
	res.Target, res.Seq = target, uint64(h.tries)
	r.emit(res)
}
