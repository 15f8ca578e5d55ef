// Package rounds asks the same targets again and again by ordinary sockets, as
// the verbs tcp, udp and dns do: it keeps the schedule, gives each probe exactly
// one outcome, and says when a timeout passed without one. What asking is, a
// crew.Asker knows.
//
//	Schedule ──► dispatcher ──► tries (a goroutine and an Asker each) ──► emit
//	                 ▲            │      ▲
//	                 └── decided ─┘      └ asked again: this host lacked something
//
// What surprises: a try may take Timeout and Late together. When Timeout passes,
// the try goes on, and an Interim Result says that there is no answer yet. And
// what this host lacks (descriptors, ports, buffers) says nothing about a target:
// the try waits and is made again, for some two seconds, before the probe Failed.
package rounds

import (
	"slices"
	"sync"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// Config is one run.
type Config struct {
	Targets  []*probe.Target // those with Err set are skipped until Retarget mends them
	Count    int             // probes per target; 0 until ctx ends
	Interval time.Duration   // between probes to one target; 0 means 1 s
	Timeout  time.Duration   // before a probe is overdue; 0 means 1 s
	Late     time.Duration   // how much longer an answer still counts as late; may be 0
	Rate     float64         // probes per second for the whole run; 0 for no cap

	// Adaptive has the next probe to a target leave when the last one is decided
	// or overdue, at the latest after Interval.
	Adaptive bool

	// Await keeps the run going while no target can be probed, since Retarget
	// may mend that.
	Await bool

	Limit int          // tries at a time; 0 means crew.MaxLimit. The descriptor limit caps both
	Each  int          // descriptors that a try takes; 0 means 1
	Asker func() Asker // called for each try that there is at a time
}

// An Asker asks one thing at a time.
type Asker = crew.Asker

// Counters are what the engine did beside its Results.
type Counters struct {
	Sent      uint64        // tries that left
	Shortages uint64        // tries that had to be made again, as this host lacked something
	Waited    uint64        // how often probes that were due had to wait until fewer were under way
	Lag       time.Duration // the most that a probe left later than planned
}

// An Engine is a probe.Prober that runs once.
type Engine struct {
	cfg Config

	// All below is guarded by mu. Results are emitted under it: that gives them
	// one order, so an outcome never overtakes its interim.
	mu       sync.Mutex
	start    time.Time // zero of all times, on the monotonic clock; zero before Probe
	rows     []row
	sched    *probe.Schedule
	pacer    probe.Pacer // the user's cap: it moves what is planned
	spread   probe.Pacer // how fast a run that fell behind catches up
	waits    []wait      // for answers, in the order in which they are overdue
	open     int         // probes without an outcome
	bears    crew.Allowance
	full     bool         // what is due waits for room
	idle     []crew.Asker // that ask nobody
	counters Counters
	emit     func(probe.Result)
	expected bool // Expect: Retarget may bring more
	closed   bool

	roused chan struct{}  // has the dispatcher look again
	tries  sync.WaitGroup // under way
}

// row is the state of one target.
type row struct {
	t    *probe.Target
	seq  uint64 // of the last probe
	done bool   // no more probes
}

// flight is a probe without an outcome.
type flight struct {
	t       *probe.Target
	seq     uint64
	due     time.Duration
	left    time.Duration // when its last try began; probe.Never while there is none
	overdue bool          // its Interim was told
	decided bool
}

// wait is a try's wait for an answer. It counts only if the flight still has
// the try that left then.
type wait struct {
	f    *flight
	left time.Duration
}

// New returns an Engine. Nothing is opened before Probe.
func New(cfg Config) *Engine {
	for _, d := range []*time.Duration{&cfg.Interval, &cfg.Timeout} {
		if *d <= 0 {
			*d = time.Second
		}
	}
	cfg.Late = max(cfg.Late, 0)
	return &Engine{cfg: cfg, bears: crew.NewAllowance(cfg.Limit, cfg.Each), roused: make(chan struct{}, 1)}
}

// SetTargets replaces Config.Targets before Probe: privileges are dropped, then
// names are looked up.
func (e *Engine) SetTargets(targets []*probe.Target) { e.cfg.Targets = targets }

// Retarget continues the row t.ID at t's address from its next probe on; a row
// that had none so far gets its full Count. It may be called after SetTargets
// and while Probe runs, but not from within emit.
func (e *Engine) Retarget(t *probe.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.ID >= len(e.cfg.Targets) || e.closed {
		return
	}
	if e.rows == nil { // Probe has not begun
		e.cfg.Targets = slices.Clone(e.cfg.Targets)
		e.cfg.Targets[t.ID] = t
		return
	}
	r := &e.rows[t.ID]
	wasDown := r.t.Err != nil
	r.t = t
	if wasDown && t.Err == nil && !r.done {
		e.sched.Set(t.ID, e.now())
		e.rouse()
	}
}

// Expect says whether Retarget is about to bring addresses of targets that have
// none yet: while it is, the run goes on though no row has work left. It may be
// called before Probe and while it runs, but not from within emit.
func (e *Engine) Expect(more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expected = more
	e.rouse()
}

// Counters may be called while Probe runs.
func (e *Engine) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counters
}

// Close has Retarget do nothing more. Nothing is open outside Probe.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

// now is the time since the start of the run on the monotonic clock.
func (e *Engine) now() time.Duration { return time.Since(e.start) }

// rouse has the dispatcher look at the schedule again.
func (e *Engine) rouse() {
	select {
	case e.roused <- struct{}{}:
	default:
	}
}
