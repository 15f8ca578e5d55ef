package trace

import (
	"math/rand/v2"
	"testing"
)

// The stopping points are those of the paper.
func TestStopPoints(t *testing.T) {
	tests := []struct {
		confidence float64
		want       []int // from one next hop on
	}{
		{0.95, []int{6, 11, 16, 21, 27, 33, 38, 44, 51, 57}},
		{0.99, []int{8, 15, 21, 28, 36, 43, 51, 58, 66, 74}},
	}
	for _, tt := range tests {
		s := newStopPoints(tt.confidence)
		var got []int
		for k := 1; k <= 20; k++ {
			got = append(got, s.after(k))
		}
		t.Logf("%v: %v, 64: %d, repeats %d", tt.confidence, got, s.after(64), s.repeats())
		for i, want := range tt.want {
			if got[i] != want {
				t.Errorf("confidence %v: after %d next hops %d flows, want %d", tt.confidence, i+1, got[i], want)
			}
		}
	}
}

// A hop with so many next hops is known in full as often as promised.
func TestStopPointsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, confidence := range []float64{0.95, 0.99} {
		s := newStopPoints(confidence)
		for _, ways := range []int{2, 3, 4, 8, 16} {
			failed := 0
			const runs = 20_000
			for range runs {
				seen := map[int]bool{}
				for n := 1; ; n++ {
					seen[rng.IntN(ways)] = true
					if n >= s.after(len(seen)) {
						break
					}
				}
				if len(seen) < ways {
					failed++
				}
			}
			if share := float64(failed) / runs; share > 1.1*(1-confidence)+0.001 {
				t.Errorf("confidence %v, %d ways: missed one in %.4f of the runs", confidence, ways, share)
			}
		}
	}
}
