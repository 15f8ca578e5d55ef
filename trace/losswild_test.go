package trace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
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

// wildSeeds is how many networks a test makes up: a few, or as many as
// TRACE_TEST_SEEDS says.
func wildSeeds(few int) uint64 {
	if n, err := strconv.Atoi(os.Getenv("TRACE_TEST_SEEDS")); err == nil {
		return uint64(n)
	}
	return uint64(few)
}

func TestWildMeasure(t *testing.T) {
	type kind struct {
		name   string
		bursts float64
		share  func(r *rand.Rand) (float64, float64)
	}
	both := func(lo, hi float64) func(r *rand.Rand) (float64, float64) {
		return func(r *rand.Rand) (float64, float64) {
			return lo + (hi-lo)*r.Float64(), lo + (hi-lo)*r.Float64()
		}
	}
	for _, k := range []kind{{"chance", 0, both(.02, .2)}, {"low", 0, both(.01, .05)}, {"runs", 3, both(.02, .2)}} {
		for _, hopsN := range []int{5, 9} {
			t.Run(fmt.Sprint(k.name, hopsN), func(t *testing.T) {
				t.Parallel()
				kinds := map[string]int{}
				var total, longest time.Duration
				n := wildSeeds(300)
				for seed := range n {
					r := rand.New(rand.NewPCG(seed, 77))
					w := &wild{chain: newChain(seed, hops(hopsN)...), bursts: k.bursts}
					w.out, w.back = k.share(r)
					w.sway = time.Duration(r.IntN(20)) * time.Millisecond
					w.reorder = float64(r.IntN(3)) * 0.03
					known, begin := w.look(t, []int{3, 10, 20}[r.IntN(3)])
					p := newLoss(known)
					_, end := playPhase(t, p, w, begin)
					total, longest = total+end-begin, max(longest, end-begin)
					some := map[string]bool{}
					for ttl, v := range p.verdicts() {
						s := v.Kind.String()
						if v.Kind == probe.PathLoss {
							s = fmt.Sprint(s, min(ttl, 2))
						}
						some[s] = true
					}
					for s := range some {
						kinds[s]++
					}
				}
				t.Logf("%v of %d; mean %v longest %v", kinds, n, total/time.Duration(n), longest)
			})
		}
	}
}

func TestWildLimits(t *testing.T) {
	for _, b := range []bucket{{1, 6}, {2, 1}, {2, 6}, {10, 10}, {100, 1}, {100, 2}} {
		for _, share := range []float64{0, 0.02, 0.1, 0.2} {
			t.Run(fmt.Sprintf("%v/s burst %d loss %v", b.rate, b.burst, share), func(t *testing.T) {
				t.Parallel()
				kinds := map[string]int{}
				var total, longest time.Duration
				n := wildSeeds(100)
				asked := 0
				for seed := range n {
					r := rand.New(rand.NewPCG(seed, 77))
					w := &wild{chain: newChain(seed, hops(8)...)}
					w.out, w.back = share, share
					w.sway = time.Duration(r.IntN(5)) * time.Millisecond
					w.reorder = float64(r.IntN(3)) * 0.03
					w.hops[3].rate, w.hops[3].burst = b.rate, b.burst
					w.hops[5].rate, w.hops[5].burst = b.rate, b.burst
					known, begin := w.look(t, []int{3, 10, 20}[r.IntN(3)])
					p := newLoss(known)
					list, end := playPhase(t, p, w, begin)
					if len(list) == 0 {
						continue
					}
					asked++
					total, longest = total+end-begin, max(longest, end-begin)
					for ttl, v := range p.verdicts() {
						s := v.Kind.String()
						if ttl == 4 || ttl == 6 {
							s = "L-" + s
							if v.Kind == probe.RateLimited {
								if math.Abs(v.Rate-b.rate*(1-share)) > 0.2*b.rate {
									s += "!rate"
								}
								if v.Burst == b.burst {
									kinds["L-burst"]++
								}
							}
						} else if v.Kind == probe.PathLoss {
							s = fmt.Sprint(s, min(ttl, 2))
						} else if v.Kind == probe.NoLoss {
							continue
						}
						kinds[s]++
					}
				}
				t.Logf("%v of %d; mean %v longest %v", kinds, asked, total/time.Duration(max(asked, 1)), longest)
			})
		}
	}
}
