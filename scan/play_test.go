package scan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

const ms = time.Millisecond

// A world is a fake network under virtual time, and the Transport into it.
type world struct {
	rtt    time.Duration
	loss   float64 // of each direction
	timed  bool    // answers every try, as a Pool does
	room   int     // 0 for plenty
	random *rand.Rand

	// answer is what the host says to a try; the zero Answer for nothing.
	answer func(to netip.AddrPort, n int) crew.Answer
	// lose decides what chance would, if it is not nil.
	lose func(to netip.AddrPort, n int) bool

	kick chan struct{}
	end  chan struct{}
	in   chan word
	open int
	most int
	sent []shot
	from time.Time
}

type word struct {
	to netip.AddrPort
	n  int
	crew.Answer
}

// shot is a try that left.
type shot struct {
	at time.Duration
	to netip.AddrPort
	n  int
}

func newWorld(seed uint64) *world {
	return &world{
		rtt: ms, random: rand.New(rand.NewPCG(seed, 1)), kick: make(chan struct{}, 1), end: make(chan struct{}),
		in: make(chan word, 1<<17), from: time.Now(),
	}
}

func (w *world) Room() int {
	if w.room == 0 {
		return 1 << 16
	}
	return w.room - w.open
}

func (w *world) Start(tries []crew.Try) int {
	n := min(len(tries), w.Room())
	for _, t := range tries[:n] {
		w.sent = append(w.sent, shot{time.Since(w.from), t.To, t.N})
		w.most = max(w.most, w.open+1)
		w.one(t)
	}
	return n
}

func (w *world) one(t crew.Try) {
	a := w.answer(t.To, t.N)
	lost := a == (crew.Answer{})
	if w.lose != nil {
		lost = lost || w.lose(t.To, t.N)
	} else if a.Status != probe.Failed {
		lost = lost || w.random.Float64() < w.loss || w.random.Float64() < w.loss
	}
	after := w.rtt
	switch {
	case a.Status == probe.Failed:
		after = 0
	case lost && !w.timed:
		return
	case lost:
		after, a = t.Timeout, crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}
	case a.RTT > 0:
		after = a.RTT
	}
	w.open++
	tell := func() {
		a.At = time.Now()
		select {
		case <-w.end:
		default:
			w.in <- word{t.To, t.N, a}
			w.Wake()
		}
	}
	if after == 0 {
		tell()
		return
	}
	time.AfterFunc(after, tell)
}

func (w *world) Wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.kick:
	case <-timer.C:
	}
}

func (w *world) Wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *world) Collect(visit func(netip.AddrPort, int, *crew.Answer)) {
	for {
		select {
		case a := <-w.in:
			w.open--
			visit(a.to, a.n, &a.Answer)
		default:
			return
		}
	}
}

func (w *world) Timed() bool  { return w.timed }
func (w *world) Close() error { close(w.end); return nil }

// list is a Source of hosts.
type list struct {
	hosts []probe.Candidate
	next  int
}

func hostsOf(addrs ...string) *list {
	l := &list{}
	for i, a := range addrs {
		l.hosts = append(l.hosts, probe.Candidate{Index: uint64(i), Addr: netip.MustParseAddr(a)})
	}
	return l
}

func (l *list) Next() (probe.Candidate, probe.Supply) {
	if l.next == len(l.hosts) {
		return probe.Candidate{}, probe.Over
	}
	l.next++
	return l.hosts[l.next-1], probe.Ready
}

func (l *list) Notify(func()) {}

func portsTo(n int) []uint16 {
	ports := make([]uint16, n)
	for i := range ports {
		ports[i] = uint16(i + 1)
	}
	return ports
}

// ran is what a scan told.
type ran struct {
	states map[netip.AddrPort]probe.PortState
	tries  map[netip.AddrPort]uint64
	all    []probe.Result
	took   time.Duration
	*Engine
}

// play runs cfg against w inside a bubble. Each port must get exactly one outcome.
func (w *world) play(t *testing.T, ctx context.Context, cfg Config) *ran {
	t.Helper()
	return w.playEngine(t, ctx, cfg, New(cfg, w))
}

// playEngine plays with an engine that somebody else may look at meanwhile.
func (w *world) playEngine(t *testing.T, ctx context.Context, cfg Config, e *Engine) *ran {
	t.Helper()
	r := &ran{states: map[netip.AddrPort]probe.PortState{}, tries: map[netip.AddrPort]uint64{}}
	r.Engine = e
	start := time.Now()
	left := map[int]int{}
	err := r.Probe(ctx, func(res probe.Result) {
		to := res.Target.Addr
		if _, twice := r.states[to]; twice {
			t.Errorf("%v: a second outcome: %+v", to, res)
		}
		r.states[to] = probe.StateOfPort(&res, cfg.UDP)
		r.tries[to] = res.Seq
		if res.From.IsValid() && res.RTT <= 0 {
			t.Errorf("%v: no round-trip time: %+v", to, res)
		}
		word := res.Detail.(*probe.ScannedHost)
		if before, ok := left[res.Target.ID]; ok && word.Left != before-1 {
			t.Errorf("%v: %d ports left after %d", to, word.Left, before)
		}
		left[res.Target.ID] = word.Left
		res.Target, res.Detail = nil, nil
		r.all = append(r.all, res)
	})
	if err != nil {
		t.Error(err)
	}
	r.took = time.Since(start)
	w.Close()
	return r
}

// count is how many ports are in a state.
func (r *ran) count(s probe.PortState) (n int) {
	for _, have := range r.states {
		if have == s {
			n++
		}
	}
	return n
}

func (r *ran) String() string {
	return fmt.Sprintf("%d ports: %d open, %d closed, %d filtered, %d unknown in %v; %+v", len(r.states),
		r.count(probe.PortOpen), r.count(probe.PortClosed), r.count(probe.PortFiltered), r.count(probe.PortUnknown), r.took, r.Counters())
}

func openPort(to netip.AddrPort) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Reply, Reason: probe.SynAck, From: to.Addr()}}
}

func closedPort(to netip.AddrPort) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Refused, Reason: probe.RST, From: to.Addr()}}
}

// opens answers for a host with those ports open, and the others closed or silent.
func opens(closed bool, ports ...uint16) func(netip.AddrPort, int) crew.Answer {
	return func(to netip.AddrPort, _ int) crew.Answer {
		switch {
		case slices.Contains(ports, to.Port()):
			return openPort(to)
		case closed:
			return closedPort(to)
		}
		return crew.Answer{}
	}
}

// both plays with a Transport that tells silence and with one that does not.
func both(t *testing.T, f func(t *testing.T, timed bool)) {
	for _, timed := range []bool{true, false} {
		t.Run(fmt.Sprintf("timed %v", timed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, timed) })
		})
	}
}
