package crew

import (
	"net/netip"
	"testing"
)

// TestQueueThatIsNeverEmpty keeps more tries waiting than a worker takes.
func TestQueueThatIsNeverEmpty(t *testing.T) {
	const waiting, rounds = 4 * takesMost, 2000
	// The one worker is the test, which takes a batch a round.
	p := &Jugglers{basket: newBasket(2*waiting, 1)}
	defer p.Close()
	w := new(juggling)
	begun, last := 0, 0
	start := func(n int) {
		for range n {
			begun++
			if p.Start([]Try{{To: netip.MustParseAddrPort("192.0.2.1:80"), N: begun}}) != 1 {
				t.Fatal("no room")
			}
		}
	}
	start(waiting)
	for range rounds {
		if !p.take(w) || len(w.takes) != takesMost {
			t.Fatalf("%d tries taken, want %d", len(w.takes), takesMost)
		}
		for _, job := range w.takes {
			if last++; job.N != last {
				t.Fatalf("try %d after %d", job.N, last-1)
			}
			w.over, w.told = append(w.over, job), append(w.told, Answer{})
		}
		start(takesMost)
		p.Collect(func(netip.AddrPort, int, *Answer) {})
	}
	if n := cap(p.jobs); n > 8*waiting {
		t.Errorf("room for %d tries is kept, though %d at most were waiting", n, waiting)
	}
}
