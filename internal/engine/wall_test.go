package engine

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// Slewing and noise are no steps; the slightest set of the clock is.
func TestWall(t *testing.T) {
	const base = int64(1_800_000_000_000_000_000)
	var w Wall
	at, off := time.Duration(0), base
	tell := func(d time.Duration, move time.Duration) bool {
		before := w.stepped
		at += d
		off += int64(move)
		w.observe(at, off+int64(at))
		return w.stepped != before
	}
	if tell(0, 0) {
		t.Error("the first reading is no step")
	}
	for range 1000 {
		if tell(time.Second, 500*time.Microsecond) || tell(time.Second, -500*time.Microsecond) || tell(ms, 20*time.Microsecond) || tell(ms, -20*time.Microsecond) {
			t.Fatal("slewing taken for a step")
		}
	}
	for _, step := range []time.Duration{200 * time.Microsecond, -200 * time.Microsecond, time.Second, -time.Hour, time.Hour} {
		if !tell(10*ms, step) {
			t.Errorf("a step of %v was missed", step)
		}
	}
	// A reading that comes late does not take the step back.
	stepped := w.stepped
	w.observe(at-5*ms, base)
	if w.stepped < stepped {
		t.Errorf("step moved back from %v to %v", stepped, w.stepped)
	}
}
