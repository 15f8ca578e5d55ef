package trace

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// randomPaths is how many networks TestRandomPaths makes up.
const randomPaths = 1000

// randomLink is a link with everything that may happen on one.
func randomLink(r *rand.Rand) lab.Link {
	l := lab.Link{Delay: time.Duration(r.IntN(6000)) * time.Microsecond}
	if r.IntN(3) == 0 {
		l.Jitter = time.Duration(1+r.IntN(5000)) * time.Microsecond
	}
	if r.IntN(6) == 0 {
		l.Loss = r.Float64() * 0.08
	}
	if r.IntN(6) == 0 {
		l.Duplicate = r.Float64() * 0.3
	}
	if r.IntN(6) == 0 {
		l.Reorder, l.ReorderDelay = r.Float64()*0.3, time.Duration(1+r.IntN(20))*ms
	}
	return l
}

// randomPath is a network of up to 25 hops.
func randomPath(seed uint64) lab.Topology {
	r := rand.New(rand.NewPCG(seed, 7))
	t := lab.Topology{Seed: seed, Out: randomLink(r), Back: randomLink(r)}
	for i := range r.IntN(26) {
		h := lab.Hop{Addrs: hopAddrs(i + 1), Out: randomLink(r), Back: randomLink(r)}
		switch r.IntN(12) {
		case 0:
			h.Silent = true
		case 1:
			h.Delay = time.Duration(r.IntN(300)) * ms
		case 2:
			h.RateLimit = lab.RateLimit{PerSecond: 1, Burst: 1 + r.IntN(6)}
		case 3:
			h.Quote.Transport = 8
		}
		t.Hops = append(t.Hops, h)
	}
	host := lab.Host{Out: randomLink(r), Back: randomLink(r)}
	if r.IntN(3) == 0 {
		host.TCP = []uint16{80}
	}
	switch r.IntN(10) {
	case 0:
		host.Silent = true
	case 1:
		host.RateLimit = lab.RateLimit{PerSecond: 1, Burst: 6}
	}
	t.Hosts = []lab.Host{host}
	return t
}

// No false hop, no missing hop and none out of order, whatever the network
// does: what is told is what the network's own log says.
func TestRandomPaths(t *testing.T) {
	n := randomPaths
	if testing.Short() {
		n /= 10
	}
	for seed := range uint64(n) {
		proto := []rawsock.Proto{rawsock.ICMP, rawsock.UDP, rawsock.TCP}[seed%3]
		addr := []string{target4, target6}[seed/3%2]
		t.Run(fmt.Sprintf("%d %v %s", seed, proto, addr), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				topo := randomPath(seed)
				p := newRehearsal(t, topo, Config{Targets: targets(addr), Proto: proto}).run(t.Context())
				agree(t, p, len(topo.Hops))
			})
		})
	}
}

// agree holds what p found out against the log of its network of that many hops.
func agree(t *testing.T, p *rehearsal, hops int) {
	t.Helper()
	path := p.paths[0]
	trips := p.mem.Log().Truth()
	told := map[uint64]probe.Result{} // by number of the probe
	for _, r := range p.results {
		if r.Outcome() {
			told[r.Seq] = r
		}
	}
	if len(told) != len(trips) {
		t.Fatalf("%d probes told of %d sent", len(told), len(trips))
	}
	target := path.Target.Addr.Addr()
	nearest := 0
	for i := range trips {
		trip := &trips[i]
		// Probes leave in the order of their numbers.
		r := told[uint64(i+1)]
		if h := r.Detail.(*probe.Hop); h.TTL != trip.TTL {
			t.Fatalf("probe %d left with TTL %d, not %d", r.Seq, trip.TTL, h.TTL)
		}
		agreeProbe(t, p, trip, r)
		if a, ok := trip.Answer(); ok && a.Src == target && r.From.IsValid() && (nearest == 0 || int(trip.TTL) < nearest) {
			nearest = int(trip.TTL)
		}
	}
	agreePath(t, path, hops, nearest)
}

// agreeProbe checks one probe against its trip.
func agreeProbe(t *testing.T, p *rehearsal, trip *lab.Trip, r probe.Result) {
	t.Helper()
	answer, ok := trip.Answer()
	switch {
	case !ok && r.From.IsValid():
		t.Errorf("probe %d (TTL %d): answered by %v, says the tracer; by nobody, says the network", r.Seq, trip.TTL, r.From)
	case !ok:
	case !r.From.IsValid():
		// The run may have ended before it came, but then it was not waited long.
		if answer.Time < p.took-5*ms {
			t.Errorf("probe %d (TTL %d): %v, but %v answered after %v", r.Seq, trip.TTL, r.Status, answer.Src, answer.Time-trip.Time)
		}
	case r.From != answer.Src, r.RTT != answer.Time-trip.Time:
		t.Errorf("probe %d (TTL %d): %v after %v, want %v after %v", r.Seq, trip.TTL, r.From, r.RTT, answer.Src, answer.Time-trip.Time)
	}
}

// agreePath checks the rows of a path of that many hops whose target answered
// from the TTL nearest on, 0 if it did not.
func agreePath(t *testing.T, path *probe.Path, hops, nearest int) {
	t.Helper()
	target := path.Target.Addr.Addr()
	if path.Reached() != (nearest > 0) {
		t.Fatalf("reached is %v, but the nearest answer of the target has TTL %d", path.Reached(), nearest)
	}
	if path.Reached() && len(path.Hops) != hops+1 {
		t.Errorf("the target is shown at distance %d, not %d", len(path.Hops), hops+1)
	}
	for i, h := range path.Hops {
		if int(h.TTL) != i+1 {
			t.Errorf("row %d is of TTL %d", i+1, h.TTL)
		}
		for _, a := range h.Addrs() {
			if want := rowAddr(i+1, hops, target); a != want {
				t.Errorf("hop %d is %v, want %v", h.TTL, a, want)
			}
		}
	}
}

// rowAddr is who is at a distance on a path of that many hops.
func rowAddr(ttl, hops int, target netip.Addr) netip.Addr {
	if ttl > hops {
		return target
	}
	return netip.MustParseAddr(hopOf(ttl, target.String()))
}
