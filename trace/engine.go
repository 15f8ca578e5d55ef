package trace

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// conn is what the engine needs of a socket; *rawsock.Tracer is the real one.
type conn interface {
	Kind() rawsock.Kind
	KernelClock() bool
	Send([]rawsock.Probe) (int, error)
	Drain(func(*rawsock.Reply)) error
	Dropped() uint32
	Close() error
}

// alarm is what the engine waits with. socketAlarm is the real one.
type alarm interface {
	// Wait returns after the given time, or sooner for Wake or a watched conn.
	Wait(time.Duration) (readable bool)
	Wake()
	Close() error
}

// An Engine traces the paths to many targets over one socket set per family. It
// is a probe.Prober that runs once. One goroutine does all of it: it sends,
// takes in what has come and asks the phases what is next.
type Engine struct {
	cfg    Config
	kind   rawsock.Kind
	opened time.Time

	start   time.Time // the run's zero on the monotonic clock
	tracks  []*track  // by Target.ID; nil without an address
	active  int       // tracks under way
	begun   int       // tracks that were given a start, by ID
	lanes   map[rawsock.Family]*lane
	sched   *probe.Schedule // when those that wait want to be asked
	ready   []*track        // those that want to be asked now, in turn
	pacer   probe.Pacer
	gate    time.Duration // nothing leaves before, for the sake of the rate
	timers  timers
	held    []held        // answers that wait to be matched
	chance  *rand.ChaCha8 // makes cookies
	wall    engine.Wall
	alarm   alarm
	emit    func(probe.Result)
	route   func(dst netip.Addr) (netip.Addr, error) // the address packets to dst leave from
	linkMTU func(dst netip.Addr) int                 // of the interface towards dst, bytes; 0 if unknown

	mu       sync.Mutex // guards what follows
	counters Counters
	inbox    []*probe.Target // what Retarget brought
	expected bool
	closed   bool
}

// warmUp is how long the kernel may take to switch receive timestamps on: it
// patches its own code from a work queue (net_enable_timestamp).
const warmUp = 4 * time.Millisecond

// Buffers hold the answers of a burst while this process does not get to run.
const (
	recvBuf = 4 << 20
	sendBuf = 8 << 20
)

// newEngine makes an engine without sockets.
func newEngine(cfg Config, a alarm) *Engine {
	cfg.setDefaults()
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	return &Engine{
		cfg: cfg, alarm: a, opened: time.Now(),
		lanes: make(map[rawsock.Family]*lane), chance: rand.NewChaCha8(seed),
	}
}

func (c *Config) setDefaults() {
	if c.Proto == 0 {
		c.Proto = rawsock.ICMP
	}
	if c.Port == 0 {
		c.Port = map[rawsock.Proto]uint16{rawsock.UDP: 33434, rawsock.TCP: 80}[c.Proto]
	}
	c.First, c.Max = max(c.First, 1), orDefault(c.Max, 30)
	if !c.Monitor {
		c.Count = orDefault(c.Count, 3)
	}
	c.Rate = orDefault(c.Rate, 5000)
	c.Confidence = orDefault(c.Confidence, 0.95)
	if c.Interval == 0 {
		c.Interval = 100 * time.Millisecond
		if c.Monitor {
			c.Interval = time.Second
		}
	}
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func (e *Engine) addLane(f rawsock.Family, c conn, flow uint16) {
	l := &lane{family: f, conn: c, flow: flow, flights: make([]*flight, 1<<16)}
	l.n = uint16(e.chance.Uint64())
	l.visit = func(r *rawsock.Reply) { e.take(l, r) }
	e.lanes[f] = l
}

// familiesOf returns the families of targets that have an address.
func familiesOf(targets []*probe.Target) []rawsock.Family {
	var list []rawsock.Family
	seen := map[rawsock.Family]bool{}
	for _, t := range targets {
		if t.Err != nil {
			continue
		}
		if f := rawsock.FamilyOf(t.Addr.Addr()); !seen[f] {
			seen[f] = true
			list = append(list, f)
		}
	}
	return list
}

// routeTo asks the kernel from which address packets to dst leave.
func (e *Engine) routeTo(dst netip.Addr) (netip.Addr, error) {
	r, err := rawsock.RouteTo(dst, e.via())
	return r.Source, err
}

// via is the way of all packets, for questions about routes.
func (e *Engine) via() rawsock.Config {
	s := e.cfg.Socket
	return rawsock.Config{Source: s.Source, Interface: s.Interface, Mark: s.Mark}
}

// SetTargets replaces Config.Targets before Probe: sockets are opened first,
// then privileges are dropped, then names are looked up.
func (e *Engine) SetTargets(targets []*probe.Target) { e.cfg.Targets = targets }

// Retarget gives the row t.ID its address, if it had none so far; a trace that
// has begun keeps to its own. It may be called while Probe runs, but not from
// within emit.
func (e *Engine) Retarget(t *probe.Target) {
	e.mu.Lock()
	e.inbox = append(e.inbox, t)
	e.mu.Unlock()
	e.alarm.Wake()
}

// Expect says whether Retarget is about to bring addresses of targets that have
// none yet: while it is, the run goes on. It may be called before Probe and
// while it runs, but not from within emit.
func (e *Engine) Expect(more bool) {
	e.mu.Lock()
	e.expected = more
	e.mu.Unlock()
	e.alarm.Wake()
}

// Kind is the socket kind in use.
func (e *Engine) Kind() rawsock.Kind { return e.kind }

// Proto is the protocol of the probes.
func (e *Engine) Proto() rawsock.Proto { return e.cfg.Proto }

// Port is the destination port; 0 for ICMP.
func (e *Engine) Port() uint16 { return e.cfg.Port }

// Flow is what load balancers see of the probes: see probe.Path.
func (e *Engine) Flow() uint16 {
	for _, l := range e.lanes {
		if l.conn != nil {
			return l.flow
		}
	}
	return e.cfg.Socket.Flow
}

// Clock is the clock its RTTs will have unless a stamp is missing or not believed.
func (e *Engine) Clock() probe.Clock {
	for _, l := range e.lanes {
		if l.conn != nil && l.conn.KernelClock() {
			return probe.Kernel
		}
	}
	return probe.User
}

// Source returns the address packets to dst will leave from; invalid if there
// is no route.
func (e *Engine) Source(dst netip.Addr) netip.Addr {
	a, err := e.routeTo(dst)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// Counters may be called while Probe runs.
func (e *Engine) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.counters
	for _, l := range e.lanes {
		if l.conn != nil {
			c.Dropped += uint64(l.conn.Dropped())
		}
	}
	return c
}

// count changes the counters.
func (e *Engine) count(f func(*Counters)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(&e.counters)
}

// Close closes the sockets. Probe does so itself.
func (e *Engine) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return nil
	}
	err := e.alarm.Close()
	for _, l := range e.lanes {
		if l.conn != nil {
			err = errors.Join(err, l.conn.Close())
		}
	}
	return err
}

// now is the time since the start of the run on the monotonic clock.
func (e *Engine) now() time.Duration { return time.Since(e.start) }

// stopFor says how a run ends that ctx has ended.
func stopFor(ctx context.Context) probe.Stop {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return probe.StopDeadline
	}
	return probe.StopCanceled
}
