package crew

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// basket is where the answers to tries gather until whoever began them collects
// them. It also knows how many tries this host bears at a time.
type basket struct {
	kick chan struct{} // holds one

	mu    sync.Mutex
	bears Allowance
	open  int // tries under way
	done  []answered
	spare []answered // what Collect has handed over, to be used again
}

type answered struct {
	to netip.AddrPort
	n  int
	Answer
}

func newBasket(limit, each int) basket {
	budget.join()
	return basket{kick: make(chan struct{}, 1), bears: NewAllowance(limit, each)}
}

// Room is how many more tries may begin now: what this host lacked makes it less.
func (b *basket) Room() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.room()
}

func (b *basket) room() int { return max(0, b.bears.Room()-b.open) }

// put adds the answer to t. b.mu is locked. It reports whether Wake is due.
func (b *basket) put(t Try, a *Answer) (first bool) {
	if a.At.IsZero() {
		a.At = time.Now()
	}
	b.done = append(b.done, answered{t.To, t.N, *a})
	b.bears.Learn(&a.Result, b.open)
	b.open--
	return len(b.done) == 1
}

// Collect hands over what has come. The Answer is valid while visit runs.
func (b *basket) Collect(visit func(to netip.AddrPort, n int, a *Answer)) {
	b.mu.Lock()
	done := b.done
	b.done = b.spare[:0]
	b.mu.Unlock()
	for i := range done {
		visit(done[i].to, done[i].n, &done[i].Answer)
	}
	clear(done)
	b.spare = done
}

// Wait returns when there may be something to Collect, after Wake, or after d.
func (b *basket) Wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-b.kick:
	case <-timer.C:
	}
}

// Wake ends a Wait, or the next one. Any goroutine may call it.
func (b *basket) Wake() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// Timed reports that every try is answered in its time.
func (b *basket) Timed() bool { return true }

// A Pool makes tries when it is told to, many at a time, each by a worker with
// an Asker of its own. Whoever tells it keeps the order, the pace and the count.
// Its methods but Wake are for one goroutine.
//
// Every try is answered, with the Status Lost if nothing came in its Timeout.
type Pool struct {
	basket
	ctx    context.Context
	cancel context.CancelFunc
	asker  func() Asker
	jobs   chan Try
	crew   sync.WaitGroup
	idle   int // workers that wait; guarded by mu
}

// NewPool returns a Pool of at most limit workers (0 means MaxLimit), whose tries
// take each descriptors. Close must follow.
func NewPool(limit, each int, asker func() Asker) *Pool {
	p := &Pool{basket: newBasket(limit, each), asker: asker}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.jobs = make(chan Try, p.bears.limit)
	return p
}

// Start begins tries in order, as many as there is room for, and returns how many.
func (p *Pool) Start(tries []Try) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(tries), p.room())
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
		p.mu.Lock()
		first := p.put(t, &a)
		p.idle++
		p.mu.Unlock()
		if first {
			p.Wake()
		}
	}
}

// Close ends the tries under way and waits for the workers.
func (p *Pool) Close() error {
	p.cancel()
	close(p.jobs)
	p.crew.Wait()
	budget.leave()
	return nil
}
