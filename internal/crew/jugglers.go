package crew

import (
	"errors"
	"sync"
	"time"
)

// A Juggler makes many tries at a time in one goroutine. Only Wake may be called
// from another.
type Juggler interface {
	// Begin begins t. It reports whether t is over at once, with that answer.
	Begin(t Try) (a Answer, over bool)
	// Poll waits until something came of a try, or for d, and tells over; of each
	// try within its Timeout.
	Poll(d time.Duration, over func(t Try, a *Answer))
	Wake()
	Close() error
}

// Jugglers are a Pool whose workers make many tries each.
type Jugglers struct {
	basket
	all  []*juggling
	crew sync.WaitGroup

	// Guarded by mu:
	jobs   []Try // that nobody has begun, from head on
	head   int
	closed bool
}

// juggling is one worker.
type juggling struct {
	Juggler
	waits bool  // for something to come, with nothing to begin; guarded by Jugglers.mu
	takes []Try // what it is about to begin
	over  []Try
	told  []Answer
}

// takesMost is how many tries a Juggler begins before it looks at what came of
// those before, and that another one may not find any.
const takesMost = 32

// NewJugglers returns a pool of those jugglers, which it closes in the end. At
// most limit tries (0 means MaxLimit) are under way, which take each descriptors.
func NewJugglers(limit, each int, all ...Juggler) *Jugglers {
	p := &Jugglers{basket: newBasket(limit, each)}
	for _, j := range all {
		w := &juggling{Juggler: j}
		p.all = append(p.all, w)
		p.crew.Go(func() { p.work(w) })
	}
	return p
}

// Start begins tries in order, as many as there is room for, and returns how many.
func (p *Jugglers) Start(tries []Try) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(tries), p.room())
	p.open += n
	p.jobs = append(p.jobs, tries[:n]...)
	p.share(len(p.jobs) - p.head)
	return n
}

// share wakes as many workers as n tries are worth. p.mu is locked.
func (p *Jugglers) share(n int) {
	for _, w := range p.all {
		if n <= 0 {
			return
		}
		if w.waits {
			w.waits = false
			w.Wake()
			n -= takesMost
		}
	}
}

// work lets w juggle until the pool is closed.
func (p *Jugglers) work(w *juggling) {
	for p.take(w) {
		wait := time.Hour
		for _, t := range w.takes {
			if a, over := w.Begin(t); over {
				w.over, w.told = append(w.over, t), append(w.told, a)
			}
		}
		if len(w.takes) > 0 {
			wait = 0
		}
		w.Poll(wait, func(t Try, a *Answer) {
			if a.At.IsZero() {
				a.At = time.Now()
			}
			w.over, w.told = append(w.over, t), append(w.told, *a)
		})
	}
}

// take hands over what came to w, and gives it what it may begin. It is false if
// the pool is closed.
func (p *Jugglers) take(w *juggling) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := false
	for i := range w.over {
		first = p.put(w.over[i], &w.told[i]) || first
	}
	clear(w.told)
	w.over, w.told = w.over[:0], w.told[:0]
	n := min(len(p.jobs)-p.head, takesMost)
	w.takes = append(w.takes[:0], p.jobs[p.head:p.head+n]...)
	// The queue may never be empty: what was begun has to go before.
	if p.head += n; p.head >= len(p.jobs)/2 {
		p.jobs, p.head = p.jobs[:copy(p.jobs, p.jobs[p.head:])], 0
	}
	w.waits = n == 0
	if first {
		p.Wake()
	}
	return !p.closed
}

// Close ends the tries under way and waits for the workers.
func (p *Jugglers) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, w := range p.all {
		w.Wake()
	}
	p.crew.Wait()
	budget.leave()
	var err error
	for _, w := range p.all {
		err = errors.Join(err, w.Close())
	}
	return err
}
