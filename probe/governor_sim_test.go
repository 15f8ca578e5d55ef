package probe

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// A world is a network under virtual time, and a sender that asks all its hosts
// at the pace of a Governor, in random order, with retries.
type world struct {
	hosts   int
	seed    uint64
	config  GovernorConfig
	ordered bool
	rude    bool // the sender does not ask for Turn
	retries int
	tick    time.Duration // how often the sender wakes; 0 means 1 ms
	sender  float64       // packets per second the sender can do; 0 for any number
	until   time.Duration // when to stop; 0 means when all hosts are decided

	alive func(host int) bool
	carry carry
	each  func(w *world, now time.Duration) // called once a wake

	g      *Governor
	rnd    *rand.Rand
	now    time.Duration
	state  []hostState
	queue  eventHeap
	serial int

	sent, dropped, found int           // packets, packets that were lost, hosts
	tardy                int           // answers that took longer than half a second
	asked, done          time.Duration // when the last host was asked first, and the last packet left
	rates                []float64     // by wake
	times                []time.Duration
	drops                [][2]int // packets sent and lost by then
}

// A carry says when the answer to a packet that leaves at now is back; false if
// it never is.
type carry func(w *world, host int, now time.Duration) (back time.Duration, ok bool)

type hostState struct {
	tries int
	found bool
}

// An event is an answer that comes, a timeout that ends, or, with try 0, a turn.
type event struct {
	at     time.Duration
	serial int
	host   int
	try    int
	sent   time.Duration
	answer bool
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].serial < h[j].serial
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

func addrOf(host int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(host))
	return netip.AddrFrom4(b)
}

func (w *world) schedule(e event) {
	w.serial++
	e.serial = w.serial
	heap.Push(&w.queue, e)
}

// run plays the world to its end.
func (w *world) run() *world {
	w.config.Adaptive = true
	w.config.Ordered = w.ordered
	w.g = NewGovernor(w.config)
	w.rnd = rand.New(rand.NewPCG(w.seed, 2))
	w.state = make([]hostState, w.hosts)
	order := w.rnd.Perm(w.hosts)
	if w.ordered {
		for i := range order {
			order[i] = i
		}
	}
	if w.tick == 0 {
		w.tick = time.Millisecond
	}
	var ready []int
	for w.now = 0; w.until == 0 || w.now < w.until; w.now += w.tick {
		ready = w.arrive(ready)
		budget := -1
		if w.sender > 0 {
			budget = int(w.sender * w.tick.Seconds())
		}
		for budget != 0 && w.g.Next(w.now) <= w.now && len(ready)+len(order) > 0 {
			var host int
			if len(ready) > 0 {
				host, ready = ready[0], ready[1:]
			} else {
				host, order = order[0], order[1:]
			}
			if turn := w.g.Turn(addrOf(host), w.now); turn > w.now && !w.rude {
				w.schedule(event{at: turn, host: host})
				continue
			}
			w.send(host)
			budget--
		}
		if w.each != nil {
			w.each(w, w.now)
		}
		w.rates, w.times = append(w.rates, w.g.Rate()), append(w.times, w.now)
		w.drops = append(w.drops, [2]int{w.sent, w.dropped})
		if len(order)+len(ready)+len(w.queue) == 0 {
			break
		}
	}
	return w
}

func (w *world) send(host int) {
	s := &w.state[host]
	s.tries++
	w.sent++
	w.done = w.now
	if s.tries == 1 {
		w.asked = w.now
		w.g.Take(addrOf(host), w.now)
	} else {
		w.g.Again(addrOf(host), w.now)
	}
	wait := time.Second
	for range s.tries - 1 {
		wait += wait / 2 // a Backoff of 1.5
	}
	w.schedule(event{at: w.now + wait, host: host, try: s.tries})
	back, ok := w.carry(w, host, w.now)
	if !ok {
		w.dropped++
	} else if w.alive == nil || w.alive(host) {
		w.schedule(event{at: back, host: host, try: s.tries, sent: w.now, answer: true})
	}
}

// arrive takes what has happened by now, and returns the hosts to ask again.
func (w *world) arrive(again []int) []int {
	for len(w.queue) > 0 && w.queue[0].at <= w.now {
		e := heap.Pop(&w.queue).(event)
		s := &w.state[e.host]
		switch {
		case s.found:
		case e.answer:
			s.found = true
			w.found++
			if e.at-e.sent > 500*time.Millisecond {
				w.tardy++
			}
			w.g.Heard(addrOf(e.host), e.sent, e.at, e.try)
		case e.try == 0 || e.try == s.tries && s.tries <= w.retries:
			again = append(again, e.host)
		}
	}
	return again
}

// reached returns when the rate was first at least r; 0 if it never was.
func (w *world) reached(r float64) time.Duration {
	for i, x := range w.rates {
		if x >= r {
			return w.times[i]
		}
	}
	return 0
}

// mean returns the mean rate between two times.
func (w *world) mean(from, to time.Duration) float64 {
	sum, n := 0., 0
	for i, x := range w.rates {
		if w.times[i] >= from && w.times[i] < to {
			sum, n = sum+x, n+1
		}
	}
	return sum / float64(max(n, 1))
}

// loss returns the part of the packets that was lost from a time on.
func (w *world) loss(from time.Duration) float64 {
	i, _ := slices.BinarySearch(w.times, from)
	was := w.drops[i]
	return float64(w.dropped-was[1]) / float64(max(w.sent-was[0], 1))
}

// least returns the lowest rate between two times.
func (w *world) least(from, to time.Duration) float64 {
	low := math.Inf(1)
	for i, x := range w.rates {
		if w.times[i] >= from && w.times[i] < to {
			low = min(low, x)
		}
	}
	return low
}

// delay answers everything after d.
func delay(d time.Duration) carry {
	return func(_ *world, _ int, now time.Duration) (time.Duration, bool) { return now + d, true }
}

// bottleneck lets rate packets per second through, queues what is above, and
// drops what finds depth packets in the queue.
func bottleneck(rate float64, depth int, rtt time.Duration) carry {
	free := 0. // when the queue is empty, ns
	return func(_ *world, _ int, now time.Duration) (time.Duration, bool) {
		gap := 1e9 / rate
		free = max(free, float64(now))
		if free-float64(now) > float64(depth)*gap {
			return 0, false
		}
		free += gap
		return time.Duration(free) + rtt, true
	}
}

// lossy loses the part p each way.
func lossy(p float64, next carry) carry {
	return func(w *world, host int, now time.Duration) (time.Duration, bool) {
		if w.rnd.Float64() < p {
			return 0, false
		}
		back, ok := next(w, host, now)
		return back, ok && w.rnd.Float64() >= p
	}
}

// alone skips what the race detector makes slow and could say nothing about: a
// simulation is one goroutine.
func alone(t *testing.T) {
	t.Helper()
	if racing {
		t.Skip("one goroutine and nothing else: runs without -race")
	}
}
