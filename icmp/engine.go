package icmp

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// conn is what the engine needs of a socket; *rawsock.Conn is the real one.
type conn interface {
	IDs() (first, n uint16)
	KernelClock() bool
	Send([]rawsock.Packet) (int, error)
	Wait() error
	Drain(func(*rawsock.Message)) error
	Dropped() uint32
	RecvBuf() int
	Shutdown()
	Close() error
}

// An Engine sends echo requests to many targets over one socket per family and
// matches what comes back. It is a probe.Prober that runs once.
type Engine struct {
	cfg    Config
	kind   rawsock.Kind
	opened time.Time // when the sockets began to ask for timestamps

	// All below is guarded by mu once Probe runs. Results are emitted under it:
	// that gives them one order, so an outcome never overtakes its interim.
	mu       sync.Mutex
	start    time.Time // the run's zero on the monotonic clock
	rows     []row
	lanes    map[rawsock.Family]*lane
	sched    *probe.Schedule
	pacer    probe.Pacer // the user's cap: it moves what is planned
	spread   probe.Pacer // how fast a run that fell behind catches up
	open     int         // probes without an outcome
	full     bool        // the sender waits for room in a table
	wall     engine.Wall
	cookies  cookies
	payload  payload
	counters Counters
	lesson   probe.Result // what the Sizer is being told
	emit     func(probe.Result)
	alarm    alarm         // wakes the sender; also when the schedule changed
	waited   time.Duration // for full queues, by the sender alone
	broken   error         // why a socket failed for good; the run ends then
	expected bool          // Expect: Retarget may bring more
	closed   bool
}

// row is the state of one target.
type row struct {
	t      *probe.Target
	seq    uint64        // of the last probe
	best   uint64        // highest sequence number answered
	bestAt int64         // kernel timestamp of that answer, ns since 1970; 0 if unknown
	open   int           // probes without an outcome
	last   time.Duration // when the last probe left
	done   bool          // no more probes
}

// lane is one family: its sockets and what is in flight on them.
type lane struct {
	family rawsock.Family
	ports  []*port
	err    error // why the family cannot be used; ports is empty then

	home home
	flights
}

// port is one socket with the packets about to leave through it.
type port struct {
	conn
	lane  *lane
	index int // of its first identifier among those of the lane
	first uint16
	ids   uint16 // how many there are
	// Where the sender cannot watch the socket itself, a reader waits on it. A
	// batch leaves under sending, and the reader passes through it before it
	// drains: on a fast path the first answer wakes it while the rest still
	// leaves, and it would be woken for each answer in turn.
	watched bool
	sending sync.Mutex
	drain   sync.Mutex // Drain calls must not overlap
	visit   func(*rawsock.Message)
	batch   batch
}

// warmUp is how long the kernel may take to switch receive timestamps on: it
// patches its own code from a work queue (net_enable_timestamp), and a packet
// that arrives before has no stamp. 1 to 3 ms were measured.
const warmUp = 4 * time.Millisecond

// recvBuf is the receive buffer asked for: room for the answers and departures
// of about 500 probes, since a process that is kept from running for a moment
// must not drop answers. Without privileges the system may allow less.
const recvBuf = 1 << 20

// sendBuf is the send buffer asked for: packets to neighbours that do not answer
// ARP stay in it for three seconds, and must leave room for the others.
const sendBuf = 8 << 20

// manyIDs is how many identifiers a run takes that may have more than 65,536
// probes in flight. Others keep to one, so that a flow stays a flow.
const manyIDs = 16

// Open opens the sockets for families (those of cfg.Targets if none is named).
// A family that this host lacks is an error only if no other could be opened;
// its targets then fail with that error. Errors are *rawsock.PermissionError
// where privileges are missing, else wrap an *os.SyscallError.
func Open(cfg Config, families ...rawsock.Family) (*Engine, error) {
	a, err := rawsock.NewAlarm()
	if err != nil {
		return nil, err
	}
	e, err := newEngine(cfg, socketAlarm{a})
	if err != nil {
		a.Close()
		return nil, err
	}
	if len(families) == 0 {
		families = familiesOf(e.cfg.Targets)
	}
	var firstErr error
	usable := len(families) == 0
	for _, f := range families {
		l := &lane{family: f, home: home{socket: e.cfg.Socket}}
		e.lanes[f] = l
		if l.err = e.openLane(l); l.err != nil {
			firstErr = cmp.Or(firstErr, l.err)
			// Permission is a matter of the process, not of the family.
			if _, ok := errors.AsType[*rawsock.PermissionError](l.err); ok {
				e.Close()
				return nil, l.err
			}
			continue
		}
		usable = true
	}
	if !usable {
		e.Close()
		return nil, firstErr
	}
	return e, nil
}

func newEngine(cfg Config, a alarm) (*Engine, error) {
	cfg.Interval = defaultTo(cfg.Interval, time.Second)
	cfg.Timeout = defaultTo(cfg.Timeout, time.Second)
	cookies, err := newCookies()
	return &Engine{
		cfg:     cfg,
		opened:  time.Now(),
		lanes:   map[rawsock.Family]*lane{},
		cookies: cookies,
		payload: payload{pattern: cfg.Pattern},
		alarm:   a,
	}, err
}

func defaultTo(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func familiesOf(targets []*probe.Target) []rawsock.Family {
	var fs []rawsock.Family
	for _, f := range []rawsock.Family{rawsock.IPv4, rawsock.IPv6} {
		for _, t := range targets {
			if t.Err == nil && rawsock.FamilyOf(t.Addr.Addr()) == f {
				fs = append(fs, f)
				break
			}
		}
	}
	return fs
}

// openLane opens the sockets of one family.
func (e *Engine) openLane(l *lane) error {
	cfg := e.cfg.Socket
	cfg.Family, cfg.IDs = l.family, e.idsNeeded()
	cfg.MaxSize = rawsock.EchoHeaderLen + e.maxSize()
	conns, err := openConns(cfg)
	for _, c := range conns {
		e.kind = c.Kind()
		e.addPort(l, c)
	}
	return err
}

// openConns opens the sockets for the cfg.IDs identifiers of one family: one raw
// socket with all of them, or one datagram socket for each.
func openConns(cfg rawsock.Config) ([]*rawsock.Conn, error) {
	if src := cfg.Source; src.IsValid() && rawsock.FamilyOf(src) != cfg.Family {
		return nil, fmt.Errorf("icmp: source address %v is not IPv%d", src, cfg.Family)
	}
	cfg.RecvBuf = cmp.Or(cfg.RecvBuf, recvBuf)
	cfg.SendBuf = cmp.Or(cfg.SendBuf, sendBuf)
	var conns []*rawsock.Conn
	for n := uint16(0); n < cfg.IDs; {
		cfg.ID = randomID(cfg.IDs)
		c, err := openConn(cfg)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, err
		}
		_, ids := c.IDs()
		n += ids
		conns = append(conns, c)
	}
	return conns, nil
}

// openConn opens a raw socket for cfg.IDs identifiers if it may, else a
// datagram socket for one of them. An identifier somebody else has is not worth
// an error: the kernel then picks one.
func openConn(cfg rawsock.Config) (*rawsock.Conn, error) {
	var refused *rawsock.PermissionError
	if cfg.Kind != rawsock.Datagram {
		raw := cfg
		raw.Kind = rawsock.Raw
		c, err := rawsock.Open(raw)
		denied, ok := errors.AsType[*rawsock.PermissionError](err)
		if !ok || cfg.Kind == rawsock.Raw {
			return c, err
		}
		refused = denied
	}
	dgram := cfg
	dgram.Kind, dgram.IDs = rawsock.Datagram, 1
	c, err := rawsock.Open(dgram)
	if errors.Is(err, syscall.EADDRINUSE) {
		dgram.ID = 0
		c, err = rawsock.Open(dgram)
	}
	if err != nil && refused != nil {
		// Whatever is wrong with the second choice, the first needs privileges.
		return nil, &rawsock.PermissionError{Kind: rawsock.Auto, Err: refused.Err}
	}
	return c, err
}

func (e *Engine) addPort(l *lane, c conn) {
	first, n := c.IDs()
	p := &port{conn: c, lane: l, index: len(l.flights.ids), first: first, ids: n}
	p.visit = func(m *rawsock.Message) { e.take(p, m) }
	for i := range n {
		l.flights.ids = append(l.flights.ids, first+i)
	}
	l.ports = append(l.ports, p)
	e.lanes[l.family] = l
}

// idsNeeded estimates how many probes can be in flight at once.
func (e *Engine) idsNeeded() uint16 {
	rounds := float64(e.cfg.Timeout+e.cfg.Late)/float64(e.cfg.Interval) + 1
	if e.cfg.Pace == Lockstep {
		rounds = 1
	}
	inFlight := float64(len(e.cfg.Targets)) * rounds
	if e.cfg.Rate > 0 {
		inFlight = min(inFlight, e.cfg.Rate*(e.cfg.Timeout+e.cfg.Late).Seconds())
	}
	if inFlight > 1<<15 {
		return manyIDs
	}
	return 1
}

// randomID returns the first of n identifiers, not 0, which means "any".
func randomID(n uint16) uint16 {
	var b [2]byte
	rand.Read(b[:])
	return max(binary.NativeEndian.Uint16(b[:])&^(n-1), n)
}

// maxSize is the largest payload this run sends at first.
func (e *Engine) maxSize() int {
	if s, ok := e.cfg.Sizer.(interface{ MaxSize() int }); ok {
		return s.MaxSize()
	}
	return e.cfg.Size
}

// SetTargets replaces Config.Targets before Probe: sockets are opened first,
// then privileges are dropped, then names are looked up.
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
		e.wake()
	}
}

// Expect says whether Retarget is about to bring addresses of targets that have
// none yet: while it is, the run goes on though no row has work left. It may be
// called before Probe and while it runs, but not from within emit.
func (e *Engine) Expect(more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expected = more
	e.wake()
}

// Kind is the socket kind in use.
func (e *Engine) Kind() rawsock.Kind { return e.kind }

// Clock is the clock its RTTs will have unless a stamp is missing or not believed.
func (e *Engine) Clock() probe.Clock {
	for p := range e.ports() {
		if p.KernelClock() {
			return probe.Kernel
		}
	}
	return probe.User
}

// RecvBuf is the size of one socket's receive buffer in bytes, as the kernel
// accounts it; 0 if unknown.
func (e *Engine) RecvBuf() int {
	for p := range e.ports() {
		return p.RecvBuf()
	}
	return 0
}

// Counters may be called while Probe runs.
func (e *Engine) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.counters
	for p := range e.ports() {
		c.Dropped += uint64(p.Dropped())
	}
	return c
}

// Source returns the address packets to dst will leave from; invalid if there
// is no route.
func (e *Engine) Source(dst netip.Addr) netip.Addr {
	r, err := rawsock.RouteTo(dst, e.cfg.Socket)
	if err != nil {
		return netip.Addr{}
	}
	return r.Source
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
	for p := range e.ports() {
		err = errors.Join(err, p.Close())
	}
	return err
}

// now is the time since the start of the run on the monotonic clock.
func (e *Engine) now() time.Duration { return time.Since(e.start) }

// wake tells the sender to look at the schedule again.
func (e *Engine) wake() { e.alarm.Wake() }
