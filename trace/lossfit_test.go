package trace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// paced returns probes at the paces of the loss phase, sent to a hop.
func paced(h *chainHop, loss float64, rng *rand.Rand) (list []asked) {
	now := time.Second
	ask := func(n int, gap func(left int) time.Duration) {
		for left := range n {
			out := rng.Float64() < loss/2
			ok := !out && h.take(now+time.Duration(rng.IntN(2_000_000))) && rng.Float64() >= loss/2
			list = append(list, asked{sent: now, answered: ok})
			now += gap(left)
		}
	}
	ask(3, func(int) time.Duration { return time.Millisecond })
	now += 300 * time.Millisecond
	ask(mediumProbes, medium.gap)
	ask(48, calm.gap)
	return list
}

// A bucket is recognized by the fate of probes, and its rate and burst with it.
func TestFitBucket(t *testing.T) {
	for _, b := range []bucket{{0.5, 1}, {1, 6}, {1, 1}, {2, 1}, {4, 10}, {10, 1}, {10, 5}, {20, 2}} {
		for _, loss := range []float64{0, 0.02, 0.1} {
			t.Run(fmt.Sprintf("%v per s burst %d loss %v", b.rate, b.burst, loss), func(t *testing.T) {
				wrong, missed, burst := 0, 0, 0
				runs := seeds(15, 50)
				for seed := range uint64(runs) {
					rng := rand.New(rand.NewPCG(seed, 3))
					list := paced(&chainHop{rate: b.rate, burst: b.burst}, loss, rng)
					got := fitBucket(list)
					if got.gain < limitWorse {
						missed++
						continue
					}
					if math.Abs(got.rate-b.rate) > 0.2*b.rate {
						wrong++
					}
					if got.burst != b.burst {
						burst++
					}
				}
				t.Logf("not recognized %d, rate wrong %d, burst other %d of %d", missed, wrong, burst, runs)
				if missed > runs/25 || wrong > runs/15 {
					t.Errorf("not recognized %d, rate wrong %d of %d", missed, wrong, runs)
				}
			})
		}
	}
}

// Loss that does not care for the pace is not taken for a limit.
func TestFitNoBucket(t *testing.T) {
	for _, loss := range []float64{0.01, 0.03, 0.1, 0.2, 0.3, 0.5} {
		wrong, worst := 0, 0.0
		runs := seeds(30, 200)
		for seed := range uint64(runs) {
			rng := rand.New(rand.NewPCG(seed, 4))
			list := paced(&chainHop{}, loss, rng)
			gain := fitBucket(list).gain
			worst = max(worst, gain)
			if gain >= limitAlone {
				wrong++
			}
		}
		t.Logf("loss %v: taken for a limit %d of %d, highest gain %.1f", loss, wrong, runs, worst)
		if wrong > 0 {
			t.Errorf("loss %v: taken for a limit %d of %d", loss, wrong, runs)
		}
	}
}
