package trace

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"netprobe/probe"
)

// web is a world with several paths: nodes and where they lead.
type web struct {
	rng    *rand.Rand
	seed   uint64
	nodes  []webNode // the last one is the target; 0 is the first hop
	loss   float64
	late   float64       // share of answers that take lateBy longer
	delay  time.Duration // round trip per hop; 0 means 1 ms
	perSec float64       // answers a second of every hop; 0 for no limit
	burst  int
	limits map[int]*chainHop
	fail   int // flows from this on cannot be sent; 0 for all can
}

type webNode struct {
	next      []int
	perPacket bool
	silent    bool
}

func newWeb(seed uint64) *web {
	return &web{rng: rand.New(rand.NewPCG(seed, 99)), seed: seed, limits: map[int]*chainHop{}}
}

// add adds a node and returns its number.
func (w *web) add() int {
	w.nodes = append(w.nodes, webNode{})
	return len(w.nodes) - 1
}

// link lets from lead to.
func (w *web) link(from, to int) {
	if !slices.Contains(w.nodes[from].next, to) {
		w.nodes[from].next = append(w.nodes[from].next, to)
	}
}

func (w *web) target() int { return len(w.nodes) - 1 }

// addr is the address of a node; not valid if it is silent.
func (w *web) addr(node int) netip.Addr {
	if w.nodes[node].silent {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{198, 51, 100 + byte(node>>8), byte(node)})
}

// step returns the node behind one, for a packet of a flow.
func (w *web) step(node int, flow uint16) int {
	n := &w.nodes[node]
	switch {
	case len(n.next) == 0:
		return node
	case n.perPacket:
		return n.next[w.rng.IntN(len(n.next))]
	}
	h := rand.New(rand.NewPCG(w.seed<<20|uint64(node), uint64(flow)*0x9e3779b97f4a7c15))
	return n.next[h.IntN(len(n.next))]
}

func (w *web) send(now time.Duration, a *attempt) fate {
	if w.fail > 0 && int(a.flow) >= w.fail {
		return fate{res: probe.Result{Status: probe.Failed, Reason: probe.NoDescriptors}}
	}
	node := 0
	for range a.ttl - 1 {
		node = w.step(node, a.flow)
	}
	if w.nodes[node].silent || w.rng.Float64() < w.loss || !w.allowed(node, now) {
		return fate{}
	}
	delay := w.delay
	if delay == 0 {
		delay = time.Millisecond
	}
	r := probe.Result{Status: probe.Expired, Reason: probe.TTLExceeded, From: w.addr(node)}
	if node == w.target() {
		r.Status, r.Reason = probe.Reply, probe.EchoReply
	}
	after := time.Duration(a.ttl)*delay + time.Duration(w.rng.Int64N(int64(delay)))
	if w.rng.Float64() < w.late {
		after += lateBy
	}
	return fate{after, r}
}

func (w *web) allowed(node int, now time.Duration) bool {
	if w.perSec == 0 {
		return true
	}
	if w.limits[node] == nil {
		w.limits[node] = &chainHop{rate: w.perSec, burst: w.burst}
	}
	return w.limits[node].take(now)
}

// truth returns every link that packets can take, without flows.
func (w *web) truth() map[probe.PathLink]bool {
	links := map[probe.PathLink]bool{}
	here := map[int]bool{0: true}
	for ttl := uint8(1); len(here) > 0; ttl++ {
		behind := map[int]bool{}
		for node := range here {
			for _, to := range w.nodes[node].next {
				behind[to] = true
				links[probe.PathLink{TTL: ttl, From: w.addr(node), To: w.addr(to)}] = true
			}
		}
		here = behind
	}
	return links
}

// distance returns the TTL with which flow 0 reaches the target.
func (w *web) distance() uint8 {
	node, ttl := 0, uint8(1)
	for ; node != w.target(); ttl++ {
		node = w.step(node, 0)
	}
	return ttl
}

// chain adds n nodes in a row behind the ends.
func (w *web) chain(ends []int, n int) []int {
	for range n {
		node := w.add()
		for _, e := range ends {
			w.link(e, node)
		}
		ends = []int{node}
	}
	return ends
}

// diamond adds so many ways behind a node, of up to long hops each.
func (w *web) diamond(end, ways, long int) (ends []int) {
	for range ways {
		ends = append(ends, w.chain([]int{end}, 1+w.rng.IntN(long))...)
	}
	return ends
}

// mesh adds a level of nodes, each behind two or more of the ends.
func (w *web) mesh(ends []int, n int) (list []int) {
	for range n {
		list = append(list, w.add())
	}
	for _, e := range ends {
		for _, i := range w.rng.Perm(n)[:2+w.rng.IntN(n-1)] {
			w.link(e, list[i])
		}
	}
	return list
}

// random adds parts of all sorts, and the target.
func (w *web) random(most int) *web {
	ends := w.chain(nil, 1+w.rng.IntN(2))
	for range 1 + w.rng.IntN(3) {
		switch w.rng.IntN(4) {
		case 0:
			ends = w.diamond(ends[0], 2+w.rng.IntN(most-1), 1)
		case 1:
			ends = w.diamond(ends[0], 2+w.rng.IntN(3), 3)
		case 2:
			var inner []int
			for _, e := range w.diamond(ends[0], 2+w.rng.IntN(3), 1) {
				inner = append(inner, w.diamond(e, 1+w.rng.IntN(4), 1)...)
			}
			ends = inner
		case 3:
			ends = w.mesh(w.diamond(ends[0], 2+w.rng.IntN(3), 1), 2+w.rng.IntN(4))
		}
		ends = w.chain(ends, 1+w.rng.IntN(2))
	}
	w.chain(ends, 1)
	return w
}

// traced is what a search for all paths found.
type traced struct {
	*mdaPhase
	sent  int
	took  time.Duration
	links map[probe.PathLink]int // flows by link without flows
}

// trace plays a first look and the search.
func (w *web) trace(t *testing.T, confidence float64) traced {
	t.Helper()
	list, begin := playPhase(t, newPlayLook(w.distance(), 3), w, 0)
	p := newMDA(known{first: 1, last: w.distance(), reached: true, size: 60, attempts: list}, confidence)
	sent, end := playPhase(t, p, w, begin)
	links := map[probe.PathLink]int{}
	for _, l := range p.links() {
		flows := l.Flows
		l.Flows = 0
		links[l] = flows
	}
	return traced{p, len(sent), end - begin, links}
}

// missed compares what was found with the truth: how many of the hops with
// several next hops are not known in full, of how many that were found; and
// links that do not exist.
func (w *web) missed(found traced) (failed, hops int, wrong []probe.PathLink) {
	type hop struct {
		ttl  uint8
		from netip.Addr
	}
	truth := w.truth()
	ways := map[hop]int{}
	for l := range truth {
		ways[hop{l.TTL, l.From}]++
	}
	got := map[hop]int{}
	for l := range found.links {
		got[hop{l.TTL, l.From}]++
		if !truth[l] {
			wrong = append(wrong, l)
		}
	}
	for h, n := range got {
		if ways[h] > 1 {
			hops++
			if n < ways[h] {
				failed++
			}
		}
	}
	return failed, hops, wrong
}

// The chance to miss a next hop is what was asked for, whatever the paths are
// like.
func TestMDARandom(t *testing.T) {
	for _, confidence := range []float64{0.95, 0.99} {
		for _, loss := range []float64{0, 0.1} {
			t.Run(fmt.Sprintf("%v loss %v", confidence, loss), func(t *testing.T) {
				t.Parallel()
				failed, hops, most, wrongs, lacking := 0, 0, 0, 0, 0
				var longest time.Duration
				for seed := range uint64(seeds(40, 150)) {
					w := newWeb(seed).random(16)
					w.loss = loss
					found := w.trace(t, confidence)
					f, h, wrong := w.missed(found)
					if len(wrong) > 0 {
						wrongs++
						t.Logf("seed %d: links that do not exist: %v", seed, wrong)
					}
					if found.incomplete() {
						lacking++
					}
					failed, hops = failed+f, hops+h
					longest, most = max(longest, found.took), max(most, found.sent)
				}
				share := float64(failed) / float64(hops)
				t.Logf("missed a next hop at %d of %d hops: %.4f; wrong %d, incomplete %d; at most %v, %d probes", failed, hops, share, wrongs, lacking, longest, most)
				if share > 1-confidence {
					t.Errorf("missed at %.4f of the hops", share)
				}
				if wrongs > 2 || lacking > 3 {
					t.Errorf("links that do not exist in %d runs, incomplete %d", wrongs, lacking)
				}
			})
		}
	}
}

// A diamond takes few round trips.
func TestMDADiamond(t *testing.T) {
	tests := []struct {
		ways, probes int
		time         time.Duration
	}{{2, 150, 500 * time.Millisecond}, {4, 250, 500 * time.Millisecond}, {16, 800, time.Second}, {64, 6000, 3 * time.Second}}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.ways), func(t *testing.T) {
			full, lacking := 0, 0
			runs := seeds(max(3, 60/tt.ways), 20)
			for seed := range uint64(runs) {
				w := newWeb(seed)
				w.delay = 4 * time.Millisecond
				w.chain(w.diamond(w.chain(nil, 2)[0], tt.ways, 1), 2)
				found := w.trace(t, 0.99)
				failed, _, wrong := w.missed(found)
				if failed == 0 {
					full++
				}
				if found.incomplete() {
					lacking++
				}
				if len(wrong) > 0 || found.took > tt.time || found.sent > tt.probes {
					t.Errorf("seed %d: %d probes in %v, incomplete %v, wrong %v", seed, found.sent, found.took, found.incomplete(), wrong)
				}
				if seed == 0 {
					t.Logf("%d probes in %v", found.sent, found.took)
				}
				if b := found.balance(3); b != probe.BalancePerFlow || found.balance(2) != probe.BalanceNone {
					t.Errorf("seed %d: balance %v", seed, b)
				}
			}
			if lacking > 0 && tt.ways < 64 {
				t.Errorf("incomplete in %d runs", lacking)
			}
			if full < runs*9/10 {
				t.Errorf("found all ways in %d of %d runs", full, runs)
			}
		})
	}
}

// Packets balanced one by one are told from flows.
func TestMDAPerPacket(t *testing.T) {
	failed := 0
	runs := seeds(60, 200)
	for seed := range uint64(runs) {
		w := newWeb(seed)
		ends := w.chain(w.diamond(w.chain(nil, 2)[0], 3, 1), 1) // per flow
		w.nodes[ends[0]].perPacket = true
		w.chain(w.chain(w.diamond(ends[0], 4, 1), 1), 1)
		found := w.trace(t, 0.95)
		var got []probe.Balance
		for ttl := uint8(1); ttl <= 7; ttl++ {
			got = append(got, found.balance(ttl))
		}
		none, flow, packet := probe.BalanceNone, probe.BalancePerFlow, probe.BalancePerPacket
		want := []probe.Balance{none, none, flow, none, packet, none, none}
		f, _, wrong := w.missed(found)
		if !slices.Equal(got, want) || f > 0 {
			failed++
		}
		if len(wrong) > 0 {
			t.Errorf("seed %d: links that do not exist: %v", seed, wrong)
		}
	}
	if failed > runs/10 {
		t.Errorf("wrong in %d of %d runs", failed, runs)
	}
}

// A silent hop in a diamond is one of its ways.
func TestMDASilent(t *testing.T) {
	for _, loss := range []float64{0, 0.05, 0.2} {
		failed, wrongs := 0, 0
		runs := seeds(20, 100)
		for seed := range uint64(runs) {
			w := newWeb(seed)
			ways := w.diamond(w.chain(nil, 2)[0], 4, 1)
			w.nodes[ways[1]].silent = true
			w.chain(ways, 2)
			w.loss = loss
			f, _, wrong := w.missed(w.trace(t, 0.95))
			if f > 0 {
				failed++
			}
			if len(wrong) > 0 {
				wrongs++
			}
		}
		t.Logf("loss %v: missed in %d, wrong in %d of %d runs", loss, failed, wrongs, runs)
		if failed > runs/10 || wrongs > runs/20 {
			t.Errorf("loss %v: missed in %d, wrong in %d of %d runs", loss, failed, wrongs, runs)
		}
	}
}

// Hops that answer one packet a second are waited for, in bounds.
func TestMDALimited(t *testing.T) {
	var longest time.Duration
	failed, wrongs, lacking := 0, 0, 0
	runs := seeds(10, 50)
	for seed := range uint64(runs) {
		w := newWeb(seed)
		w.chain(w.diamond(w.chain(nil, 2)[0], 4, 1), 2)
		w.perSec, w.burst = 1, 6
		found := w.trace(t, 0.95)
		f, _, wrong := w.missed(found)
		if f > 0 {
			failed++
		}
		if len(wrong) > 0 {
			wrongs++
		}
		if found.incomplete() {
			lacking++
		}
		longest = max(longest, found.took)
	}
	t.Logf("missed in %d, wrong in %d, incomplete %d of %d runs; at most %v", failed, wrongs, lacking, runs, longest)
	if failed > runs/5 || wrongs > runs/10 || longest > mdaTime+5*time.Second {
		t.Errorf("missed in %d, wrong in %d of %d runs; at most %v", failed, wrongs, runs, longest)
	}
}

// Without branches it takes a few flows, and beyond what sockets can play it
// says that it is incomplete.
func TestMDABounds(t *testing.T) {
	w := newWeb(1)
	w.chain(nil, 10)
	found := w.trace(t, 0.95)
	if found.sent != 50 || found.incomplete() || len(found.links) != 9 {
		t.Errorf("%d probes, incomplete %v, links %v", found.sent, found.incomplete(), found.links)
	}
	w = newWeb(1)
	w.chain(w.diamond(w.chain(nil, 1)[0], 16, 1), 2)
	w.fail = 20
	if found = w.trace(t, 0.95); !found.incomplete() {
		t.Errorf("16 ways with 20 flows are complete")
	}
	w = newWeb(1)
	w.chain(w.diamond(w.chain(nil, 1)[0], 200, 1), 2)
	if found = w.trace(t, 0.95); !found.incomplete() || found.sent > mdaProbes {
		t.Errorf("200 ways with %d flows are complete, %d probes", mdaFlows, found.sent)
	}
	if got := slices.Collect(maps.Keys(found.links)); len(got) < 300 {
		t.Errorf("%d links", len(got))
	}
}

// Where nothing answered there is nothing to search.
func TestMDANothing(t *testing.T) {
	p := newMDA(known{first: 1, size: 60}, 0.95)
	if !p.done(0) || len(p.links()) != 0 || p.balance(1) != probe.BalanceUnknown {
		t.Errorf("done %v, links %v", p.done(0), p.links())
	}
}

// Answers that come after their time make no hops that are not there.
func TestMDALate(t *testing.T) {
	for seed := range uint64(20) {
		w := newWeb(seed)
		w.chain(w.diamond(w.chain(nil, 2)[0], 4, 1), 2)
		w.late = 0.2
		found := w.trace(t, 0.99)
		if failed, _, wrong := w.missed(found); failed > 0 || len(wrong) > 0 || found.incomplete() {
			t.Errorf("seed %d: missed %d, wrong %v, incomplete %v", seed, failed, wrong, found.incomplete())
		}
	}
}
