package trace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"netprobe/probe"
)

// wild is a chain behind a first link as a bad Wi-Fi has it: packets are lost,
// those of each way apart from the other, jitter, and overtake each other.
type wild struct {
	*chain
	out, back float64       // shares lost on the first link, from and to us
	sway      time.Duration // added on the first link, each way, uniform
	reorder   float64       // share of packets that take reorderBy longer, each way
	bursts    float64       // mean length of a run of losses in a stream at the medium pace; 0 for chance alone

	bad   [2]bool // whether a run of losses is on, by way
	since [2]time.Duration
}

// reorderBy is longer than the gap of the medium pace is, with sway.
const reorderBy = 20 * time.Millisecond

func (w *wild) send(now time.Duration, a *attempt) fate {
	if w.gone(0, w.out, now) {
		return fate{}
	}
	late := w.delay()
	f := w.chain.send(now+late, a)
	if f.res.Status == probe.Failed || w.gone(1, w.back, now) {
		return fate{}
	}
	f.after += late + w.delay()
	return f
}

// look is the first look at w.
func (w *wild) look(t *testing.T, count int) (known, time.Duration) {
	t.Helper()
	list, end := playPhase(t, newPlayLook(uint8(len(w.hops)), count), w, 0)
	k := known{first: 1, max: 30, size: 60, attempts: list}
	for _, a := range list {
		if a.state == answered {
			k.last = max(k.last, a.ttl)
			k.reached = k.reached || a.fromTarget()
		}
	}
	return k, end
}

// delay is what the first link adds, one way.
func (w *wild) delay() (d time.Duration) {
	if w.sway > 0 {
		d = time.Duration(w.rng.Int64N(int64(w.sway)))
	}
	if w.rng.Float64() < w.reorder {
		d += reorderBy
	}
	return d
}

// gone says whether a packet is lost on a way that loses the share: by chance,
// or in runs, whoever else's packets are between.
func (w *wild) gone(way int, share float64, now time.Duration) bool {
	if w.bursts == 0 || share == 0 {
		return w.rng.Float64() < share
	}
	// The state fades with time: a run lasts so many gaps of the medium pace.
	keep := math.Exp(-float64(now-w.since[way]) / float64(mediumGap) / w.bursts)
	w.since[way] = now
	if w.rng.Float64() >= keep {
		w.bad[way] = w.rng.Float64() < share
	}
	return w.bad[way]
}

// newWild makes up a first link, and the hops behind it.
func newWild(seed uint64, n int) (*wild, *rand.Rand) {
	r := rand.New(rand.NewPCG(seed, 77))
	return &wild{
		chain: newChain(seed, hops(n)...),
		sway:  time.Duration(r.IntN(20)) * time.Millisecond, reorder: float64(r.IntN(3)) * 0.03,
	}, r
}

// judged plays a first look at w and the loss phase.
func (w *wild) judged(t *testing.T, count int) (v map[uint8]probe.HopLoss, sent int, took time.Duration) {
	t.Helper()
	k, begin := w.look(t, count)
	p := newLoss(k)
	list, end := playPhase(t, p, w, begin)
	return p.verdicts(), len(list), end - begin
}

// counts are those of probes to a hop that people ask for.
var counts = []int{3, 10, 20}

// A first link that loses, sways and reorders is where the loss begins, and no hop
// behind it is said to limit: in not one of a thousand networks of each kind, if
// so many are asked for.
func TestWildNoLimit(t *testing.T) {
	tests := []struct {
		name     string
		from, to float64 // share lost, each way
		bursts   float64
	}{{"chance", 0.02, 0.2, 0}, {"little", 0.01, 0.05, 0}, {"runs", 0.02, 0.2, 3}, {"long runs", 0.02, 0.2, 20}}
	for _, tt := range tests {
		for _, n := range []int{5, 9} {
			t.Run(fmt.Sprintf("%s, %d hops", tt.name, n), func(t *testing.T) {
				t.Parallel()
				var asked, first, elsewhere, own int
				var sum, longest time.Duration
				for seed := range uint64(seeds(30, 1000)) {
					w, r := newWild(seed, n)
					w.out, w.back = tt.from+(tt.to-tt.from)*r.Float64(), tt.from+(tt.to-tt.from)*r.Float64()
					w.bursts = tt.bursts
					v, sent, took := w.judged(t, counts[r.IntN(3)])
					if sent == 0 {
						continue
					}
					asked++
					sum, longest = sum+took, max(longest, took)
					for ttl, l := range v {
						switch {
						case l.Kind == probe.RateLimited:
							t.Errorf("seed %d hop %d: %+v", seed, ttl, l)
						case l.Kind == probe.HopLossOnly:
							own++
						case l.Kind == probe.PathLoss && ttl == 1:
							first++
						case l.Kind == probe.PathLoss:
							elsewhere++
						}
					}
				}
				t.Logf("of %d: from the first hop on %d, elsewhere %d, hops alone %d; mean %v, longest %v", asked, first, elsewhere, own, sum/time.Duration(asked), longest)
				if elsewhere > 1+asked/50 || own > 1+asked/100 || tt.bursts == 0 && first < asked*9/10 {
					t.Errorf("of %d: from the first hop on %d, elsewhere %d, hops alone %d", asked, first, elsewhere, own)
				}
			})
		}
	}
}

// Real limits behind such a link are found all the same.
func TestWildLimits(t *testing.T) {
	for _, b := range []bucket{{1, 6}, {2, 1}, {10, 10}, {100, 1}} {
		for _, share := range []float64{0, 0.02, 0.1, 0.2} {
			t.Run(fmt.Sprintf("%v per s burst %d loss %v", b.rate, b.burst, share), func(t *testing.T) {
				t.Parallel()
				var asked, missed, off, path int
				for seed := range uint64(seeds(5, 100)) {
					w, r := newWild(seed, 8)
					w.sway /= 4
					w.out, w.back = share, share
					for _, i := range []int{3, 5} {
						w.hops[i].rate, w.hops[i].burst = b.rate, b.burst
					}
					v, _, _ := w.judged(t, counts[r.IntN(3)])
					for _, ttl := range []uint8{4, 6} {
						l, ok := v[ttl]
						switch {
						case !ok && share == 0, l.Kind == probe.NoLoss && ok, l.Kind == probe.LossUnknown:
							continue // it was not asked, or the target was not reached
						case l.Kind != probe.RateLimited:
							missed++
							t.Logf("seed %d hop %d: %+v", seed, ttl, l)
						case math.Abs(l.Rate-b.rate) > 0.25*b.rate:
							off++
						}
						asked++
					}
					for ttl, l := range v {
						if l.Kind == probe.PathLoss && (share == 0 || ttl > 2) || l.Kind == probe.RateLimited && ttl != 4 && ttl != 6 {
							path++
							t.Logf("seed %d hop %d: %+v", seed, ttl, l)
						}
					}
				}
				t.Logf("of %d: missed %d, rate off %d, other hops blamed %d", asked, missed, off, path)
				most := asked / 50
				if share > 0.1 { // where so much is lost, a fast bucket hardly differs
					most = 1 + asked/10
				}
				if missed > most || path > 0 || b.rate <= 10 && off > asked/4 {
					t.Errorf("of %d: missed %d, rate off %d, other hops blamed %d", asked, missed, off, path)
				}
			})
		}
	}
}
