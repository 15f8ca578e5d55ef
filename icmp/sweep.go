package icmp

import (
	"cmp"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// SweepConfig is one run of a Sweep.
type SweepConfig struct {
	Source  probe.Source    // who is asked; see SetSource
	Planned uint64          // how many those are at most; 0 if unknown
	Retries int             // how often a silent host is asked again, at most 254 times
	Timeout time.Duration   // of the first probe to a host; 0 means 1 s
	Backoff float64         // how much longer each further one may take; 0 means 1.5
	Late    time.Duration   // how much longer than that the last one is waited for
	Pace    *probe.Governor // nil for no cap

	Size     int    // payload bytes; under 8 there is no room for the cookie
	Pattern  []byte // repeated over the payload; nil counts up as ping does
	NoStamps bool   // no transmit timestamps, which cost one receive a packet: RTTs are then by the user clock

	Socket rawsock.Config // Family, ID, IDs, MaxSize, NoStamps and Broadcast are the engine's to set
}

// SweepCounters are what a Sweep saw beside its Results.
type SweepCounters struct {
	Sent      uint64 // echo requests the kernel took
	Retried   uint64 // sends repeated because a queue was full (ENOBUFS)
	Strays    uint64 // ICMP messages that were not ours: foreign, forged, or about a host long forgotten
	Redirects uint64 // redirects for one of our probes
	Dropped   uint64 // messages the kernel dropped for want of receive buffer (SO_RXQ_OVFL)
	Late      uint64 // answers that came after the verdict
	Deferred  uint64 // probes that had to wait for their subnet's turn
	InFlight  int    // hosts without a verdict
}

// A Sweep is the echo engine for one pass over any number of hosts: what it
// remembers is bounded by what is in flight, not by what is asked. It is a
// probe.Prober that runs once.
//
// Each host has one outcome, whose Seq is the number of probes it took: Late if
// the answer came after the timeout of its own probe. Unlike ping's, an answer
// from another address is not believed at once: it counts when the timeout has
// passed and the host itself has not answered, and then has the
// *probe.Responders as Detail. A Result's Target is valid only during emit; its
// ID is the Candidate's Index. An answer after the verdict is an Interim Result
// with Status Late.
//
// One goroutine does it all, and it sends and receives in turn: two that share
// a socket are slower (bench/gauge blast shows it).
type Sweep struct {
	cfg    SweepConfig
	kind   rawsock.Kind
	opened time.Time // when the sockets began to ask for timestamps
	alarm  alarm
	lanes  [2]*sweepLane // see lane; nil for a family that was not asked for
	ports  []*sweepPort  // of all families
	closed atomic.Bool

	// Only the goroutine of Probe touches what follows.
	start     time.Time
	emit      func(probe.Result)
	target    probe.Target // of the Result being emitted
	wall      engine.Wall
	seen      time.Time // the last reading that wall was told
	cookies   sweepCookies
	payload   payload
	waits     []time.Duration // timeout by try, from 1
	over      bool            // the Source has no more
	waiting   turns           // probes whose turn has not come
	crowded   time.Duration   // full table: no further host is asked before this
	dropped   uint64          // as last told to the Governor
	stuck     time.Duration   // full queues: nothing leaves before this; 0 if something may
	wait      time.Duration   // full queues: how long the last wait was
	refused   int             // full queues: packets since one left
	fullSince time.Duration   // full queues: nothing has left since then; 0 if something has
	broken    error

	undrained int // packets sent since we looked for answers

	counters struct {
		sent, retried, strays, redirects, late, deferred atomic.Uint64
		inFlight                                         atomic.Int64
	}
}

// sweepLane is one family: its sockets and what is in flight on them.
type sweepLane struct {
	family rawsock.Family
	ports  []*sweepPort
	err    error // why the family cannot be used; ports is empty then
	home   home
	asks
}

// sweepPort is one socket with the packets about to leave through it.
type sweepPort struct {
	conn
	lane  *sweepLane
	index int // of its first identifier among those of the lane
	first uint16
	count uint16 // identifiers
	visit func(*rawsock.Message)
	pkts  []rawsock.Packet
	turns []turn   // what they are
	ns    []uint64 // their numbers
	bufs  [batchLen][]byte
}

// OpenSweep opens the sockets for families; both if none is named. A family that
// this host lacks is an error only if no other could be opened; its hosts then
// fail with that error. Errors are as those of Open.
func OpenSweep(cfg SweepConfig, families ...rawsock.Family) (*Sweep, error) {
	a, err := rawsock.NewAlarm()
	if err != nil {
		return nil, err
	}
	s, err := newSweep(cfg, socketAlarm{a})
	if err != nil {
		a.Close()
		return nil, err
	}
	if len(families) == 0 {
		families = []rawsock.Family{rawsock.IPv4, rawsock.IPv6}
	}
	var firstErr error
	usable := false
	for _, f := range families {
		l := s.addLane(f)
		if l.err = s.openLane(l); l.err == nil {
			usable = true
			continue
		}
		firstErr = cmp.Or(firstErr, l.err)
		if _, ok := errors.AsType[*rawsock.PermissionError](l.err); ok {
			s.Close()
			return nil, l.err
		}
	}
	if !usable {
		s.Close()
		return nil, firstErr
	}
	return s, nil
}

// defaultBackoff is fping's: long enough to matter, short enough to wait for.
const defaultBackoff = 1.5

func newSweep(cfg SweepConfig, a alarm) (*Sweep, error) {
	cfg.Timeout = defaultTo(cfg.Timeout, time.Second)
	cfg.Timeout, cfg.Late = min(cfg.Timeout, forever), max(0, min(cfg.Late, forever))
	cfg.Backoff = max(cmp.Or(cfg.Backoff, defaultBackoff), 1)
	cfg.Retries = max(0, min(cfg.Retries, math.MaxUint8-1)) // as ask.try counts
	cookies, err := newCookies()
	s := &Sweep{
		cfg: cfg, opened: time.Now(), alarm: a,
		cookies: sweepCookies{cookies},
		payload: payload{pattern: cfg.Pattern},
		waits:   []time.Duration{0},
	}
	wait := float64(cfg.Timeout)
	for range cfg.Retries + 1 {
		s.waits = append(s.waits, time.Duration(wait))
		wait = min(wait*cfg.Backoff, max(float64(cfg.Timeout), float64(maxWait)))
	}
	return s, err
}

const (
	maxWait = time.Hour            // of a retry, unless the first timeout is longer
	forever = 24 * 365 * time.Hour // sums of a few of them do not overflow
)

func (s *Sweep) addLane(f rawsock.Family) *sweepLane {
	l := &sweepLane{family: f, home: home{socket: s.cfg.Socket}, asks: newAsks(len(s.waits))}
	*s.lane(f) = l
	return l
}

func (s *Sweep) lane(f rawsock.Family) **sweepLane {
	if f == rawsock.IPv6 {
		return &s.lanes[1]
	}
	return &s.lanes[0]
}

func (s *Sweep) openLane(l *sweepLane) error {
	cfg := s.cfg.Socket
	cfg.Family, cfg.IDs, cfg.NoStamps = l.family, s.idsNeeded(), s.cfg.NoStamps
	cfg.MaxSize = rawsock.EchoHeaderLen + s.cfg.Size
	cfg.Broadcast = true // of several networks, some address may be one
	conns, err := openConns(cfg)
	for _, c := range conns {
		s.kind = c.Kind()
		s.addPort(l, c)
	}
	return err
}

// idsNeeded is one identifier for each 65,536 probes that may be in flight.
func (s *Sweep) idsNeeded() uint16 {
	if probes := s.cfg.Planned * uint64(len(s.waits)-1); s.cfg.Planned > 0 && probes <= 1<<15 {
		return 1
	}
	return manyIDs
}

func (s *Sweep) addPort(l *sweepLane, c conn) {
	first, n := c.IDs()
	p := &sweepPort{conn: c, lane: l, index: len(l.ids), first: first, count: n}
	p.visit = func(m *rawsock.Message) { s.take(p, m) }
	size := rawsock.EchoHeaderLen + s.cfg.Size
	octets := make([]byte, batchLen*size)
	for i := range p.bufs {
		p.bufs[i] = octets[i*size : (i+1)*size]
		copy(p.bufs[i][rawsock.EchoHeaderLen:], s.payload.template(s.cfg.Size))
	}
	for i := range n {
		l.ids = append(l.ids, first+i)
	}
	l.ports = append(l.ports, p)
	s.ports = append(s.ports, p)
}

// SetSource replaces SweepConfig.Source before Probe: sockets are opened first,
// then privileges are dropped, then files are read.
func (s *Sweep) SetSource(src probe.Source) { s.cfg.Source = src }

// Kind is the socket kind in use.
func (s *Sweep) Kind() rawsock.Kind { return s.kind }

// Clock is the clock its RTTs will have unless a stamp is missing or not believed.
func (s *Sweep) Clock() probe.Clock {
	for _, p := range s.ports {
		if p.KernelClock() {
			return probe.Kernel
		}
	}
	return probe.User
}

// RecvBuf is the size of one socket's receive buffer in bytes, as the kernel
// accounts it; 0 if unknown.
func (s *Sweep) RecvBuf() int {
	for _, p := range s.ports {
		return p.RecvBuf()
	}
	return 0
}

// Counters may be called while Probe runs.
func (s *Sweep) Counters() SweepCounters {
	c := &s.counters
	return SweepCounters{
		Sent: c.sent.Load(), Retried: c.retried.Load(), Strays: c.strays.Load(), Redirects: c.redirects.Load(),
		Late: c.late.Load(), Deferred: c.deferred.Load(), InFlight: int(c.inFlight.Load()), Dropped: s.drops(),
	}
}

func (s *Sweep) drops() uint64 {
	n := uint64(0)
	for _, p := range s.ports {
		n += uint64(p.Dropped())
	}
	return n
}

// Close closes the sockets. Probe does so itself.
func (s *Sweep) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.alarm.Close()
	for _, p := range s.ports {
		err = errors.Join(err, p.Close())
	}
	return err
}
