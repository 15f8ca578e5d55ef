package probe

import (
	"testing"
	"time"
)

// Without any answer the rate comes back to the start rate after an overflow,
// and no further; a table that overflows for good is used, not left idle.
func TestGovernorMends(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true})
	for range 5 {
		g.Choke(time.Second)
		g.Choke(time.Second + chokeGap/2) // the same overflow
	}
	if got := g.Rate(); got != 500 {
		t.Errorf("%v packets per second after one overflow, want 500", got)
	}
	for now := time.Second; now < 10*time.Second; now += 10 * time.Millisecond {
		g.Next(now)
		if got, most := g.Rate(), 500+40*float64((now-time.Second)/mendGap); got > most {
			t.Fatalf("%v packets per second at %v, want %v at most", got, now, most)
		}
	}
	if got := g.Rate(); got != 1000 {
		t.Errorf("%v packets per second in the end, want 1000", got)
	}

	// 340 a second find room, as in a table of 1,024 addresses that are
	// forgotten after three seconds.
	g = NewGovernor(GovernorConfig{Adaptive: true})
	sent, room := 0, 1024.
	const tick, length = time.Millisecond, time.Minute
	for now := time.Duration(0); now < length; now += tick {
		room = min(room+0.34, 1024)
		for g.Next(now) <= now {
			g.pacer.Take(now)
			if room < 1 {
				g.Choke(now)
				break
			}
			room--
			sent++
		}
	}
	if got := float64(sent) / length.Seconds(); got < 250 {
		t.Errorf("%.0f packets per second found room, of 340", got)
	}
}
