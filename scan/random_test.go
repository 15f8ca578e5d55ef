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

// Whatever the network does, and whenever a run is cut: each port of each host
// that was begun has one outcome, none is said to be what it is not, the run
// ends, and one that goes on where it was asks just what is left.
func TestRandom(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			p := newPlan(seed)
			p.run(t)
			if t.Failed() {
				t.Fatalf("seed %d: %v", seed, p)
			}
		})
	}
}

// plan is one random scan.
type plan struct {
	r       *rand.Rand
	names   []named
	ports   []uint16
	cfg     Config
	timed   bool
	loss    float64
	rtt     time.Duration
	jitter  time.Duration
	twice   float64 // of the answers come twice
	blind   float64 // of the answers do not say which try they are for
	short   float64 // of the tries this host lacks something for
	refuses float64 // of the calls of Start take less than they are given
	room    int
	limited bool

	decided map[pair]int
}

// pair is one port of one address of one name.
type pair struct {
	index uint64
	to    netip.AddrPort
}

// named is what one line of a list stands for.
type named struct {
	index uint64
	addrs []netip.Addr
}

func oneOf[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 99))
	p := &plan{
		r: r, timed: r.IntN(2) == 0, loss: oneOf(r, 0.0, 0, 0, 0.1, 0.3, 0.6), decided: map[pair]int{},
		rtt: time.Duration(1 + r.Int64N(int64(oneOf(r, ms, 50*ms, 800*ms)))), twice: oneOf(r, 0.0, 0, 0.2), blind: oneOf(r, 0.0, 0, 0.3),
		short: oneOf(r, 0.0, 0, 0.2), refuses: oneOf(r, 0.0, 0, 0.5), room: oneOf(r, 0, 0, 1, 7, 64),
	}
	p.jitter = time.Duration(r.Int64N(int64(2*p.rtt))) + 1
	for i := range 1 + r.IntN(8) {
		n := named{index: uint64(i) * oneOf(r, uint64(1), 1, 3)}
		if len(p.names) > 0 && n.index <= p.names[len(p.names)-1].index {
			n.index = p.names[len(p.names)-1].index + 1
		}
		for range oneOf(r, 1, 1, 1, 2, 3) {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(12))})
			if r.IntN(4) == 0 {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", r.IntN(4)))
			}
			if !slices.Contains(n.addrs, a) {
				n.addrs = append(n.addrs, a)
			}
		}
		p.names = append(p.names, n)
	}
	for _, port := range r.Perm(65535)[:oneOf(r, 1, 2, 20, 20, 300)] {
		p.ports = append(p.ports, uint16(port+1))
	}
	p.cfg = Config{
		Ports: p.ports, Seed: r.Uint64(), Ordered: r.IntN(4) == 0, Keep: true,
		Retries: oneOf(r, Adaptive, Adaptive, 0, 1, 5), Settle: oneOf(r, 0*ms, 0, 300*ms, 4*time.Second),
		Rate: oneOf(r, 0.0, 0, 0, 200), Hosts: oneOf(r, 0, 0, 1, 2),
	}
	if r.IntN(4) == 0 {
		p.cfg.Shard = probe.Shard{I: 1 + r.Uint64N(3), N: 3}
	}
	if r.IntN(5) == 0 {
		p.limited = true
		p.cfg.UDP = true
	}
	return p
}

func (p *plan) String() string {
	return fmt.Sprintf("timed %v, loss %v, rtt %v+%v, twice %v, blind %v, short %v, refuses %v, room %d, limited %v, names %v, %d ports; %+v", p.timed, p.loss, p.rtt,
		p.jitter, p.twice, p.blind, p.short, p.refuses, p.room, p.limited, p.names, len(p.ports), Config{
			Retries: p.cfg.Retries, Settle: p.cfg.Settle, Rate: p.cfg.Rate, Hosts: p.cfg.Hosts, Shard: p.cfg.Shard, Ordered: p.cfg.Ordered})
}

// truth is what the host says of a port: the zero Answer for nothing.
func (p *plan) truth(to netip.AddrPort, _ int) crew.Answer {
	host := rand.New(rand.NewPCG(uint64(to.Addr().As16()[15]), 5))
	mode := host.IntN(5)
	port := rand.New(rand.NewPCG(uint64(to.Port()), host.Uint64()))
	open := port.IntN(10) == 0
	switch {
	case mode == 0:
		return crew.Answer{}
	case open:
		return openPort(to)
	case mode == 1:
		return crew.Answer{}
	case mode == 2:
		return crew.Answer{Result: probe.Result{Status: probe.Unreachable, Reason: probe.AdminProhibited, From: netip.MustParseAddr("198.51.100.1")}}
	case p.cfg.UDP:
		return crew.Answer{Result: probe.Result{Status: probe.Refused, Reason: probe.PortUnreachable, From: to.Addr()}}
	}
	return closedPort(to)
}

// A wild is a world of a plan.
type wild struct {
	*world
	p *plan
}

func (w *wild) Start(tries []crew.Try) int {
	n := min(len(tries), w.Room())
	if w.p.r.Float64() < w.p.refuses {
		n = w.p.r.IntN(n + 1)
		time.AfterFunc(ms, w.Wake)
	}
	return w.world.Start(tries[:n])
}

func (w *wild) Collect(visit func(netip.AddrPort, int, *crew.Answer)) {
	w.world.Collect(func(to netip.AddrPort, n int, a *crew.Answer) {
		if !w.timed && a.Status != probe.Failed && w.p.r.Float64() < w.p.blind {
			n = 0
		}
		b := *a
		visit(to, n, a)
		if !w.timed && w.p.r.Float64() < w.p.twice {
			visit(to, n, &b)
		}
	})
}

func (p *plan) world() *wild {
	w := newWorld(p.r.Uint64())
	w.timed, w.rtt, w.loss, w.room = p.timed, p.rtt, p.loss, p.room
	w.answer = func(to netip.AddrPort, n int) crew.Answer {
		if p.r.Float64() < p.short {
			return failed(oneOf(p.r, probe.NoBuffers, probe.NoDescriptors, probe.NoLocalPort))
		}
		a := p.truth(to, n)
		if a.Status != probe.Lost {
			a.RTT = p.rtt + time.Duration(p.r.Int64N(int64(p.jitter)))
		}
		return a
	}
	return &wild{w, p}
}

// A stream is a Source that stutters.
type stream struct {
	r    *rand.Rand
	list []probe.Candidate
	next int
	wake func()
}

func (s *stream) Notify(wake func()) { s.wake = wake }

func (s *stream) Next() (probe.Candidate, probe.Supply) {
	switch {
	case s.r.IntN(4) == 0:
		time.AfterFunc(time.Duration(1+s.r.Int64N(int64(100*ms))), s.wake)
		return probe.Candidate{}, probe.Later
	case s.next == len(s.list):
		return probe.Candidate{}, probe.Over
	}
	s.next++
	return s.list[s.next-1], probe.Ready
}

// run scans, is cut, goes on, and so forth until all is decided.
func (p *plan) run(t *testing.T) {
	todo := p.names
	var from []Begun
	for round := 0; len(todo) > 0; round++ {
		source := &stream{r: p.r}
		for _, n := range todo {
			for _, a := range n.addrs {
				source.list = append(source.list, probe.Candidate{Index: n.index, Addr: a, Name: fmt.Sprint("name", n.index)})
			}
		}
		cut := p.r.IntN(3)
		if round > 5 {
			cut = 0
		}
		cfg := p.cfg
		cfg.Source, cfg.From = source, from
		e := p.once(t, cfg, cut)
		if t.Failed() {
			return
		}
		from = append(slices.Clone(e.Left()), e.Finished()...)
		var left []named
		at := 0
		for _, n := range todo {
			at += len(n.addrs)
			if source.next < at || slices.ContainsFunc(e.Left(), func(b Begun) bool { return b.Index == n.index }) {
				left = append(left, n)
			}
		}
		if cut == 0 && len(left) > 0 {
			t.Errorf("round %d: left %v, %v", round, left, e.Left())
			return
		}
		todo = left
	}
	want := 0
	for _, n := range p.names {
		for _, a := range n.addrs {
			for place, port := range p.ports {
				if !p.cfg.Shard.Owns(n.index + uint64(place)) {
					continue
				}
				want++
				if got := p.decided[pair{n.index, netip.AddrPortFrom(a, port)}]; got != 1 {
					t.Errorf("name %d, port %d of %v: decided %d times", n.index, port, a, got)
				}
			}
		}
	}
	if len(p.decided) != want {
		t.Errorf("%d decided, want %d", len(p.decided), want)
	}
}

// once is one run, cut by a context (1), by Finish (2), or not at all.
func (p *plan) once(t *testing.T, cfg Config, cut int) *Engine {
	w := p.world()
	e := New(cfg, w)
	ctx, cancel := context.WithTimeout(t.Context(), 30*24*time.Hour)
	defer cancel()
	after := time.Duration(1 + p.r.Int64N(int64(3*time.Second)))
	switch cut {
	case 1:
		time.AfterFunc(after, cancel)
	case 2:
		time.AfterFunc(after, e.Finish)
	}
	if p.r.IntN(3) == 0 {
		e.Hurry(true)
	}
	seen := map[pair]bool{}
	left := map[hostKey]int{}
	_ = e.Probe(ctx, func(r probe.Result) {
		to := r.Target.Addr
		at := pair{uint64(r.Target.ID), to}
		if seen[at] {
			t.Errorf("%v: a second outcome: %+v", at, r)
		}
		seen[at] = true
		key := hostKey{at.index, to.Addr()}
		word := r.Detail.(*probe.ScannedHost)
		if before, ok := left[key]; ok && word.Left != before-1 || !ok && word.Left != word.Ports-1 {
			t.Errorf("%v: %d of %d ports left", at, word.Left, word.Ports)
		}
		left[key] = word.Left
		p.check(t, &r, cut)
		if r.Status != probe.Pending {
			p.decided[at]++
		}
	})
	if cut != 1 && ctx.Err() != nil {
		t.Errorf("the run does not end: %+v", e.Counters())
	}
	for key, n := range left {
		if n != 0 {
			t.Errorf("%v: %d ports without an outcome", key, n)
		}
	}
	if cut == 0 && (e.window.open != 0 || len(e.hosts) != 0 && !p.timed || len(e.active) != 0) {
		t.Errorf("%d tries on their way, %d hosts, %d active", e.window.open, len(e.hosts), len(e.active))
	}
	open := 0
	for _, h := range e.active {
		open += h.window.open
	}
	if open != e.window.open {
		t.Errorf("%d tries on their way to all hosts, %d in all", open, e.window.open)
	}
	w.Close()
	return e
}

// check sees whether r is true.
func (p *plan) check(t *testing.T, r *probe.Result, cut int) {
	is := p.truth(r.Target.Addr, 1)
	switch r.Status {
	case probe.Pending:
		if cut == 0 {
			t.Errorf("%v: pending, and nothing cut the run", r.Target.Addr)
		}
	case probe.Failed:
		t.Errorf("%v: failed (%v)", r.Target.Addr, r.Reason)
	case probe.Lost:
		settle := p.cfg.Settle
		if settle == 0 {
			settle = DefaultSettle
		}
		if is.Status != probe.Lost && p.loss == 0 && p.rtt+p.jitter < settle {
			t.Errorf("%v: silent, but it answers %v", r.Target.Addr, is.Status)
		}
	default:
		if r.Status != is.Status || r.Reason != is.Reason {
			t.Errorf("%v: %v %v, but it is %v %v", r.Target.Addr, r.Status, r.Reason, is.Status, is.Reason)
		}
	}
}
