package icmp

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// hosts is a Source of the addresses of a prefix, or of whatever next returns.
type hosts struct {
	mu    sync.Mutex
	left  []probe.Candidate
	ended bool
	wake  func()
}

// hostsOf returns a Source of n addresses from first on.
func hostsOf(first string, n int) *hosts {
	h := &hosts{ended: true}
	a := netip.MustParseAddr(first)
	for i := range n {
		h.left = append(h.left, probe.Candidate{Index: uint64(i), Addr: a})
		a = a.Next()
	}
	return h
}

func (h *hosts) Notify(wake func()) { h.wake = wake }

func (h *hosts) Next() (c probe.Candidate, s probe.Supply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.left) > 0:
		c, h.left = h.left[0], h.left[1:]
		return c, probe.Ready
	case h.ended:
		return c, probe.Over
	}
	return c, probe.Later
}

// more brings further hosts; the last ones if ended.
func (h *hosts) more(ended bool, cs ...probe.Candidate) {
	h.mu.Lock()
	h.left, h.ended = append(h.left, cs...), ended
	h.mu.Unlock()
	h.wake()
}

// told is a Result with a Target of its own, and when it was emitted.
type told struct {
	probe.Result
	who probe.Target
	at  time.Duration
}

// sweepPlay is one run of a Sweep over a network.
type sweepPlay struct {
	*network
	*Sweep
	t       *testing.T
	results []told
	ended   time.Duration
	emitted func(*told) // may be nil
}

// newSweepPlay prepares a run with a raw socket of ids identifiers per family.
// It must be called in a synctest bubble.
func newSweepPlay(t *testing.T, topo lab.Topology, cfg SweepConfig, ids uint16) *sweepPlay {
	t.Helper()
	return newSweepPlayOn(t, topo, cfg, func(p *sweepPlay, f rawsock.Family) conn { return p.socket(f, 0x4000, ids) })
}

// newSweepPlayOn is newSweepPlay with sockets of the caller's.
func newSweepPlayOn(t *testing.T, topo lab.Topology, cfg SweepConfig, sockets ...func(*sweepPlay, rawsock.Family) conn) *sweepPlay {
	t.Helper()
	s, err := newSweep(cfg, newTimerAlarm())
	if err != nil {
		t.Fatal(err)
	}
	p := &sweepPlay{t: t, network: newNetwork(t, topo), Sweep: s}
	for _, f := range []rawsock.Family{rawsock.IPv4, rawsock.IPv6} {
		l := s.addLane(f)
		l.home.until = probe.Never // this host's own routes are not asked
		for _, socket := range sockets {
			s.addPort(l, socket(p, f))
		}
	}
	return p
}

func (p *sweepPlay) run(ctx context.Context) *sweepPlay {
	p.t.Helper()
	err := p.Probe(ctx, func(r probe.Result) {
		e := told{r, *r.Target, time.Since(p.start)}
		e.Target = &e.who
		p.results = append(p.results, e)
		if p.emitted != nil {
			p.emitted(&e)
		}
	})
	p.ended = time.Since(p.start)
	p.network.close()
	if err != nil {
		p.t.Errorf("run: %v", err)
	}
	return p
}

// outcomes returns the one outcome of each host, and fails the test if a host
// has another number of them, or something further came before it.
func (p *sweepPlay) outcomes(want int) map[netip.Addr]told {
	p.t.Helper()
	got := map[netip.Addr]told{}
	for _, r := range p.results {
		addr := r.who.Addr.Addr()
		_, decided := got[addr]
		switch {
		case !r.Outcome() && !decided:
			p.t.Errorf("%v: %v %v before its outcome", addr, r.Status, r.Flags)
		case r.Outcome() && decided:
			p.t.Errorf("%v has a second outcome: %v", addr, r.Status)
		case r.Outcome():
			got[addr] = r
		}
		if failed := r.Err != nil; failed != (r.Status == probe.Failed) {
			p.t.Errorf("%v: %v with error %v", addr, r.Status, r.Err)
		}
	}
	if len(got) != want {
		p.t.Errorf("%d hosts have an outcome, want %d", len(got), want)
	}
	if n := p.Counters().InFlight; n != 0 {
		p.t.Errorf("%d hosts still in flight", n)
	}
	return got
}

// count returns how many outcomes have each status.
func (p *sweepPlay) count(hosts int) map[probe.Status]int {
	p.t.Helper()
	n := map[probe.Status]int{}
	for _, r := range p.outcomes(hosts) {
		n[r.Status]++
	}
	return n
}

// sweep runs cfg over topo in virtual time and hands the play to look.
func sweep(t *testing.T, topo lab.Topology, cfg SweepConfig, look func(*testing.T, *sweepPlay)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		look(t, newSweepPlay(t, topo, cfg, 1).run(t.Context()))
	})
}
