package probe

import (
	"math"
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	const ms = time.Millisecond
	cases := []struct {
		name string
		rate float64
		now  []time.Duration // when packets leave; never before Next
		next []time.Duration // what Next says after each
	}{
		{"on time", 100, []time.Duration{0, 10 * ms, 20 * ms}, []time.Duration{10 * ms, 20 * ms, 30 * ms}},
		{"a little late, made up for", 100, []time.Duration{3 * ms, 12 * ms, 20 * ms}, []time.Duration{10 * ms, 20 * ms, 30 * ms}},
		{"idle for long, not made up for", 1000, []time.Duration{0, 500 * ms, 500 * ms, 500 * ms}, []time.Duration{ms, 491 * ms, 492 * ms, 493 * ms}},
		{"a fraction", 3, []time.Duration{0}, []time.Duration{time.Second / 3}},
		{"no cap", 0, []time.Duration{0, 0, 5 * ms}, []time.Duration{0, 0, 0}},
		{"less than none", -1, []time.Duration{0, 0}, []time.Duration{0, 0}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p := NewPacer(tc.rate)
			for i, now := range tc.now {
				p.Take(now)
				if got := p.Next(); got != tc.next[i] {
					t.Errorf("after packet %d at %v: next at %v, want %v", i+1, now, got, tc.next[i])
				}
			}
		})
	}
}

// A sender that wakes late by up to a few milliseconds holds the rate over an
// hour, and never exceeds it by more than a burst.
func TestPacerHoldsItsRate(t *testing.T) {
	for _, rate := range []float64{1, 33, 1000, 12_345.6, 1_000_000} {
		p := NewPacer(rate)
		now, n := time.Duration(0), 0
		for n < 20_000 {
			now = max(now, p.Next())
			if n%7 == 0 {
				now += time.Duration(n%4) * time.Millisecond
			}
			for ; p.Next() <= now; n++ {
				p.Take(now)
			}
			if most := rate*(now.Seconds()+burst.Seconds()) + 1; float64(n) > most+1e-6*most {
				t.Fatalf("%v/s: %d packets by %v", rate, n, now)
			}
		}
		if got := float64(n-1) / now.Seconds(); math.Abs(got-rate) > rate/50 {
			t.Errorf("%v/s: got %v", rate, got)
		}
	}
}
