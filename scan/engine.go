package scan

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// Windows, in tries on their way. Hosts begin with hostStart; silence alone makes
// a window grow no further than silentMost, answers as far as hostMost.
const (
	hostStart = 32
	hostLeast = 8
	hostMost  = 1024

	runStart = 256
	runLeast = 32
	runMost  = 4096

	silentMost    = 512
	silentMostAll = 2048

	batchMost = 256 // tries that start at a time
	turn      = 16  // tries of one host before the next host has its turn
)

// An Engine is one scan: a probe.Prober that runs once. Each outcome it emits has
// a *probe.ScannedHost for its Detail. Ports have the outcome Pending if the run
// ended before they were decided, those of hosts that were begun; a host that was
// not has none.
type Engine struct {
	cfg     Config
	carrier Transport
	start   time.Time
	ctx     context.Context
	emit    func(probe.Result)
	target  probe.Target // of the outcome being emitted

	from   map[hostKey]Begun // what is left of an earlier run's hosts
	place  []uint16          // by port number: its place in Config.Ports, plus 1
	hosts  map[netip.Addr]*host
	active []*host // begun and not finished, in no order
	queue  []*host // those that may have something to send
	held   *probe.Candidate
	over   bool // the source has no more
	timers timers
	batch  []crew.Try
	sender []sending // of each try in batch

	window window
	loss   lossRate
	pacer  probe.Pacer

	foreseen time.Duration // when foresee looked

	mu        sync.Mutex // guards what follows
	counters  Counters
	finishing bool
	freshOnly bool // Hurry
	left      []Begun

	finished []Begun // hosts with names, if Config.Keep says so
}

// hostKey tells hosts apart: several addresses of a name share an index.
type hostKey struct {
	index uint64
	addr  netip.Addr
}

// sending is whose a try is.
type sending struct {
	h  *host
	p  uint16
	at time.Duration // when it leaves
}

// New returns an Engine that scans by means of t, which is the caller's to close
// after Probe.
func New(cfg Config, t Transport) *Engine {
	cfg.complete()
	e := &Engine{
		cfg: cfg, carrier: t, pacer: probe.NewPacer(cfg.Rate), window: newWindow(runStart, runLeast, runMost),
		hosts: map[netip.Addr]*host{}, from: map[hostKey]Begun{}, place: make([]uint16, 1<<16),
	}
	for i, p := range cfg.Ports {
		e.place[p] = uint16(i) + 1 // at most 65,535 ports: 0 is none
	}
	for _, b := range cfg.From {
		e.from[hostKey{b.Index, b.Addr}] = b
	}
	return e
}

// Probe implements probe.Prober. Its error is always nil.
func (e *Engine) Probe(ctx context.Context, emit func(probe.Result)) error {
	e.start, e.ctx, e.emit = time.Now(), ctx, emit
	defer context.AfterFunc(ctx, e.carrier.Wake)()
	e.cfg.Source.Notify(e.carrier.Wake)
	for ctx.Err() == nil {
		now := e.now()
		e.expire(now)
		wake := e.fill(now)
		e.foresee(now)
		if e.idle() {
			break
		}
		if len(e.timers) > 0 {
			wake = min(wake, e.timers[0].at)
		}
		e.carrier.Wait(wake - e.now())
		e.carrier.Collect(e.take)
	}
	e.end()
	return nil
}

// foresee says now and then how long hosts take that tell of closed ports only so
// often.
func (e *Engine) foresee(now time.Duration) {
	const often = 200 * time.Millisecond
	if !e.cfg.UDP || now < e.foreseen+often {
		return
	}
	e.foreseen = now
	var longest time.Duration
	limited := 0
	for _, h := range e.active {
		if d, ok := h.limit.ETA(h.word.Left); ok {
			limited++
			longest = max(longest, d)
		}
	}
	e.mu.Lock()
	e.counters.Limited, e.counters.Ready = limited, longest
	e.mu.Unlock()
}

// now is the time since the start of the run on the monotonic clock.
func (e *Engine) now() time.Duration { return time.Since(e.start) }

// idle reports whether nothing is left to do.
func (e *Engine) idle() bool {
	if e.finishes() {
		for _, h := range e.active {
			if h.asked > 0 {
				return false
			}
		}
		return true
	}
	return e.over && e.held == nil && len(e.active) == 0
}

// Finish makes the run end as soon as those ports are decided that were asked: no
// other is. It may be called while Probe runs, from any goroutine.
func (e *Engine) Finish() {
	e.mu.Lock()
	e.finishing = true
	e.mu.Unlock()
	e.carrier.Wake()
}

func (e *Engine) finishes() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.finishing
}

// Hurry says whether time is short: then ports that were never asked come before
// silent ones. It may be called while Probe runs, from any goroutine.
func (e *Engine) Hurry(on bool) {
	e.mu.Lock()
	e.freshOnly = on
	e.mu.Unlock()
}

func (e *Engine) hurries() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.freshOnly
}

// Counters may be called while Probe runs.
func (e *Engine) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counters
}

// Left returns, after Probe, what is left of the hosts that were handed out, for
// Config.From of a later run.
func (e *Engine) Left() []Begun {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.left
}

// Finished returns, after Probe, the hosts with names that are decided, if
// Config.Keep was set. In Config.From of a later run they are not asked again.
func (e *Engine) Finished() []Begun { return e.finished }

// end tells what is undecided, and remembers it. What an earlier run had left and
// whose turn did not come is still left, unless all turns came: a name may have
// another address by now.
func (e *Engine) end() {
	var left []Begun
	if c := e.held; c != nil { // from may know of it
		key := hostKey{c.Index, c.Addr}
		if b, ok := e.from[key]; ok {
			left = append(left, b)
			delete(e.from, key)
		} else {
			left = append(left, Begun{Index: c.Index, Addr: c.Addr})
		}
	}
	for _, h := range e.active {
		left = append(left, h.begun())
		for i := range h.order.Len() {
			p := uint16(h.order.At(i))
			if s := &h.ports[p]; !s.decided && !s.other {
				e.outcome(h, p, probe.Result{Status: probe.Pending, Reason: probe.Canceled})
			}
		}
	}
	if !e.over || e.finishes() || e.ctx.Err() != nil {
		for _, b := range e.from {
			if b.Next == len(e.cfg.Ports) && len(b.Again) == 0 {
				e.finished = append(e.finished, b)
			} else {
				left = append(left, b)
			}
		}
	}
	e.mu.Lock()
	e.left = left
	e.mu.Unlock()
}
