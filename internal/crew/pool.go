package crew

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"netprobe/probe"
)

// A Pool makes tries when it is told to, many at a time, each by a worker with
// an Asker of its own. Whoever tells it keeps the order, the pace and the count.
// Its methods but Wake are for one goroutine.
//
// Every try is answered, with the Status Lost if nothing came in its Timeout.
type Pool struct {
	ctx    context.Context
	cancel context.CancelFunc
	asker  func() Asker
	kick   chan struct{} // holds one
	jobs   chan Try
	crew   sync.WaitGroup

	mu    sync.Mutex
	bears allowance
	open  int // tries under way
	idle  int // workers that wait
	done  []answered
	spare []answered // what Collect has handed over, to be used again
}

type answered struct {
	to netip.AddrPort
	n  int
	Answer
}

// NewPool returns a Pool of at most limit workers (0 means MaxLimit), whose tries
// take each descriptors. Close must follow.
func NewPool(limit, each int, asker func() Asker) *Pool {
	p := &Pool{asker: asker, kick: make(chan struct{}, 1), bears: newAllowance(limit, each)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.jobs = make(chan Try, p.bears.limit)
	budget.join()
	return p
}

// Room is how many more tries may begin now: what this host lacked makes it less.
func (p *Pool) Room() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.bears.room()-p.open)
}

// Start begins tries in order, as many as there is room for, and returns how many.
func (p *Pool) Start(tries []Try) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(tries), p.bears.room()-p.open)
	if n <= 0 {
		return 0
	}
	p.open += n
	for _, t := range tries[:n] {
		if p.idle > 0 {
			p.idle--
			p.jobs <- t // which holds as many as there can be
			continue
		}
		p.crew.Go(func() { p.work(t) })
	}
	return n
}

// work makes t, then what comes.
func (p *Pool) work(t Try) {
	asker := p.asker()
	for ok := true; ok; t, ok = <-p.jobs {
		a := asker.Ask(p.ctx, t)
		if a.At.IsZero() {
			a.At = time.Now()
		}
		p.mu.Lock()
		first := len(p.done) == 0
		p.done = append(p.done, answered{t.To, t.N, a})
		p.bears.learn(&a.Result, p.open)
		p.open--
		p.idle++
		p.mu.Unlock()
		if first {
			p.Wake()
		}
	}
}

// Collect hands over what has come. The Answer is valid while visit runs.
func (p *Pool) Collect(visit func(to netip.AddrPort, n int, a *Answer)) {
	p.mu.Lock()
	done := p.done
	p.done = p.spare[:0]
	p.mu.Unlock()
	for i := range done {
		visit(done[i].to, done[i].n, &done[i].Answer)
	}
	clear(done)
	p.spare = done
}

// Wait returns when there may be something to Collect, after Wake, or after d.
func (p *Pool) Wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.kick:
	case <-timer.C:
	}
}

// Wake ends a Wait, or the next one. Any goroutine may call it.
func (p *Pool) Wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Timed reports that every try is answered in its time.
func (p *Pool) Timed() bool { return true }

// Close ends the tries under way and waits for the workers.
func (p *Pool) Close() error {
	p.cancel()
	close(p.jobs)
	p.crew.Wait()
	budget.leave()
	return nil
}

// Short reports whether r is the failure of a try for which this host lacked
// something that it may have again soon.
func Short(r *probe.Result) bool { return shortage(r) }
