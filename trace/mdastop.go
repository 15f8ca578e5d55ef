package trace

import "math"

// stopPoints says how many flows must have passed a hop before it counts as
// having no more next hops than were seen.
type stopPoints struct {
	alpha float64 // chance left of missing one
	n     []int   // by the number of next hops seen
}

func newStopPoints(confidence float64) *stopPoints {
	if !(confidence > 0 && confidence < 1) {
		confidence = 0.95
	}
	return &stopPoints{alpha: 1 - confidence, n: []int{0}}
}

// after returns how many flows it takes to stop at k next hops: the least number
// that leaves a hop which shares evenly between k+1 a chance of at most alpha to
// hide one of them (Augustin, Friedman and Teixeira, "Multipath Tracing with
// Paris Traceroute", 2007).
func (s *stopPoints) after(k int) int {
	for len(s.n) <= k {
		if last := s.n[len(s.n)-1]; last > mdaFlows {
			return last // more than anybody may ask: how many more does not matter
		}
		s.n = append(s.n, s.next(len(s.n)))
	}
	return s.n[k]
}

// next computes the stop at k: flow by flow, seen[i] is the chance that i of the
// k+1 next hops were seen.
func (s *stopPoints) next(k int) int {
	ways := float64(k + 1)
	seen := make([]float64, k+2)
	seen[0] = 1
	for n := 1; ; n++ {
		for i := k + 1; i > 0; i-- {
			seen[i] = seen[i]*float64(i)/ways + seen[i-1]*(ways-float64(i-1))/ways
		}
		seen[0] = 0
		if n > k && 1-seen[k+1] <= s.alpha {
			return n
		}
	}
}

// repeats returns how often one flow must have been answered by the same hop
// before that is no coincidence: packets shared evenly between two would differ.
func (s *stopPoints) repeats() int {
	return 1 + int(math.Ceil(-math.Log2(s.alpha)-1e-9))
}
