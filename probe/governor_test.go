package probe

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

func half(host int) bool { return host%2 == 0 }
func none(int) bool      { return false }

// A fixed rate is exact in any window: a burst's worth more at most, and no less
// as long as the sender wakes in time for the burst to make up for it.
func TestGovernorFixedRate(t *testing.T) {
	for _, rate := range []float64{0.5, 33, 1000, 150_000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			g := NewGovernor(GovernorConfig{Rate: rate})
			rnd := rand.New(rand.NewPCG(1, 2))
			var left []time.Duration
			for now := time.Duration(0); len(left) < 30_000; {
				for ; g.Next(now) <= now; g.Take(addrOf(1), now) {
					left = append(left, now)
				}
				now = max(g.Next(now), now) + time.Duration(rnd.IntN(int(2*ms)))
			}
			for range 1000 {
				i := rnd.IntN(len(left))
				j := i + rnd.IntN(len(left)-i)
				span, n := (left[j] - left[i]).Seconds(), float64(j-i)
				if slack := rate*burst.Seconds() + 1; n > rate*span+slack || n < rate*span-slack {
					t.Fatalf("%v packets in %v s, want %v within %v", n, span, rate*span, slack)
				}
			}
			g.Heard(addrOf(1), 0, ms, 3)
			g.Choke(ms)
			if g.Rate() != rate || g.Slowed() != 0 {
				t.Errorf("rate %v, slowed %d; want %v, 0", g.Rate(), g.Slowed(), rate)
			}
		})
	}
}

func TestGovernorWithoutCap(t *testing.T) {
	for _, g := range []*Governor{nil, NewGovernor(GovernorConfig{})} {
		for now := range time.Duration(1000) {
			if g.Next(now) > now || g.Turn(addrOf(1), now) > now {
				t.Fatalf("must wait at %v", now)
			}
			g.Take(addrOf(1), now)
			g.Again(addrOf(1), now)
			g.Heard(addrOf(1), now, now, 2)
			g.Choke(now)
		}
		if g.Rate() != 0 || g.Slowed() != 0 {
			t.Errorf("rate %v, slowed %d", g.Rate(), g.Slowed())
		}
	}
}

// How soon a rate is reached where nothing limits.
func TestGovernorGrows(t *testing.T) {
	alone(t)
	bimodal := func(_ *world, host int, now time.Duration) (time.Duration, bool) {
		if host%3 == 0 {
			return now + 200*ms, true
		}
		return now + 50*us, true
	}
	cases := []struct {
		name  string
		carry carry
		alive func(int) bool
		rate  float64
		in    time.Duration
	}{
		{"50 µs", delay(50 * us), nil, 100_000, 250 * ms},
		{"20 ms", delay(20 * ms), nil, 100_000, time.Second},
		{"100 ms", delay(100 * ms), nil, 100_000, 4 * time.Second},
		{"200 ms", delay(200 * ms), nil, 100_000, 6 * time.Second},
		{"near and far", bimodal, nil, 100_000, 6 * time.Second},
		{"half alive", delay(ms), half, 100_000, time.Second},
		{"one in a hundred alive", delay(ms), func(h int) bool { return h%100 == 7 }, 100_000, 5 * time.Second},
		{"5 % lost each way", lossy(.05, delay(ms)), nil, 50_000, time.Second},
		{"10 % lost each way", lossy(.10, delay(ms)), nil, 50_000, 2 * time.Second},
		{"5 % lost each way, half alive", lossy(.05, delay(ms)), half, 50_000, 2 * time.Second},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(5) {
				w := &world{hosts: 300_000, seed: seed, sender: 150_000, retries: 1, carry: tc.carry, alive: tc.alive, until: tc.in + ms}
				w.each = func(w *world, now time.Duration) {
					if w.g.Rate() >= tc.rate {
						w.until = now
					}
				}
				if w.run().reached(tc.rate) == 0 {
					t.Errorf("seed %d: %.0f/s after %v, want %.0f", seed, w.g.Rate(), tc.in, tc.rate)
				}
			}
		})
	}
}

// What is lost at any rate does not collapse a sweep, and retries find all but
// what chance takes: with three, a host is missed if four times in a row either
// packet is lost, which is 91 of 10^6.
func TestGovernorRandomLoss(t *testing.T) {
	alone(t)
	for seed := range uint64(5) {
		w := (&world{hosts: 65_536, seed: seed, sender: 150_000, retries: 3, carry: lossy(.05, delay(50*us))}).run()
		if w.asked > 1500*ms {
			t.Errorf("seed %d: all were asked once only after %v, at %.0f/s", seed, w.asked, w.g.Rate())
		}
		if w.found < 65_536-33 {
			t.Errorf("seed %d: found %d", seed, w.found)
		}
	}
}

// A loss that begins in the middle of a run and has nothing to do with the rate
// costs one cut, not the rate.
func TestGovernorLossThatSlowingDoesNotMend(t *testing.T) {
	alone(t)
	w := (&world{hosts: 400_000, sender: 100_000, until: 4 * time.Second, carry: func(w *world, _ int, now time.Duration) (time.Duration, bool) {
		return now + ms, now < time.Second || w.rnd.Float64() < 0.6
	}}).run()
	if low := w.least(time.Second, 2*time.Second); low > 90_000 {
		t.Errorf("never below %.0f/s: the loss was not noticed", low)
	}
	if w.mean(2*time.Second, 3*time.Second) < 50_000 {
		t.Errorf("%.0f/s a second later", w.mean(2*time.Second, 3*time.Second))
	}
}

// A bottleneck is used, and not overrun.
func TestGovernorBottleneck(t *testing.T) {
	alone(t)
	cases := []struct {
		rate  float64 // packets per second
		queue int     // packets
		rtt   time.Duration
		alive func(int) bool
		hosts int
	}{
		{2_000, 50, 10 * ms, nil, 60_000},
		{2_000, 50, 10 * ms, half, 60_000},
		{9_000, 300, ms, nil, 200_000},
		{10_000, 100, ms, nil, 200_000},
		{10_000, 3_000, 20 * ms, nil, 300_000},
		{13_000, 3_000, ms, nil, 300_000},
		{30_000, 300, 50 * us, half, 300_000},
		{50_000, 500, 100 * ms, nil, 1_000_000},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%.0f/s, queue %d, %v", tc.rate, tc.queue, tc.rtt), func(t *testing.T) {
			w := (&world{hosts: tc.hosts, retries: 1, alive: tc.alive, carry: bottleneck(tc.rate, tc.queue, tc.rtt)}).run()
			carried := float64(w.sent-w.dropped) / w.asked.Seconds()
			if carried < 0.75*tc.rate {
				t.Errorf("%.0f/s came through", carried)
			}
			mid := w.asked / 2
			if all, later := w.loss(0), w.loss(mid); all > 0.08 || later > 0.06 {
				t.Errorf("%.1f %% lost, %.1f %% in the second half", 100*all, 100*later)
			}
			if later := w.mean(mid, w.asked); later < 0.75*tc.rate || later > tc.rate*1.1 {
				t.Errorf("%.0f/s in the second half", later)
			}
		})
	}
}

// A queue of a second is not kept full: nothing is lost there, but answers come
// late. Without a look at that, two thirds take half a second.
func TestGovernorFindsADeepQueue(t *testing.T) {
	alone(t)
	for seed := range uint64(3) {
		w := (&world{hosts: 200_000, seed: seed, retries: 1, carry: bottleneck(10_000, 10_000, 20*ms)}).run()
		if part := float64(w.tardy) / float64(w.hosts); part > 0.5 {
			t.Errorf("seed %d: %.0f %% of the answers took half a second", seed, 100*part)
		}
	}
}

// Retries tell of loss even if the share that answers at once stays the same:
// half the hosts do, and from some time on the others answer, but only a retry.
func TestGovernorHearsOfRetries(t *testing.T) {
	w := &world{hosts: 300_000, sender: 20_000, retries: 1, until: 6 * time.Second}
	w.carry = func(w *world, host int, now time.Duration) (time.Duration, bool) {
		return now + ms, half(host) || w.state[host].tries > 1
	}
	w.alive = func(host int) bool { return half(host) || w.now > 3*time.Second }
	w.run()
	if before := w.least(1500*ms, 2*time.Second); w.least(2*time.Second, 5*time.Second) > before/2 {
		t.Errorf("never below %.0f/s, %.0f before", w.least(2*time.Second, 5*time.Second), before)
	}
}

// What a retry reveals is held against the time of the first packet.
func TestGovernorDatesLoss(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true, Timeout: time.Second})
	for now := time.Duration(0); now < 4*time.Second; now += ms {
		g.Take(addrOf(int(now/ms)), now)
	}
	for try, sent := range []time.Duration{1: 500 * ms, 2: 1500 * ms, 3: 3000 * ms} {
		if try > 0 {
			g.Heard(addrOf(500), sent, sent+ms, try)
		}
	}
	if e := g.epochs.find(500 * ms); e.prompt != 1 || e.again != 2 {
		t.Errorf("the epoch of the first packet: %d prompt, %d again; want 1, 2", e.prompt, e.again)
	}
}

// Where nobody answers, the rate stays where it began, to the end.
func TestGovernorDeadPrefix(t *testing.T) {
	for _, start := range []float64{0, 300} {
		w := (&world{hosts: 20_000, retries: 1, carry: delay(ms), alive: none, config: GovernorConfig{Start: start}}).run()
		want := start
		if start == 0 {
			want = 1000
		}
		for i, r := range w.rates {
			if r != want {
				t.Fatalf("start %v: %v/s at %v", start, r, w.times[i])
			}
		}
	}
}

// Hosts that stop answering altogether slow a run once; it comes back with them.
func TestGovernorBlackout(t *testing.T) {
	w := (&world{hosts: 600_000, sender: 50_000, until: 6 * time.Second, carry: func(_ *world, _ int, now time.Duration) (time.Duration, bool) {
		return now + ms, now < time.Second || now > 2*time.Second
	}}).run()
	if low := w.least(time.Second, 2*time.Second); low > 25_000 || low < 12_500 {
		t.Errorf("%.0f/s while nobody answers, 50,000 before", low)
	}
	if got := w.mean(5*time.Second, 6*time.Second); got < 40_000 {
		t.Errorf("%.0f/s in the end", got)
	}
}

// A sender that cannot do more is not allowed ever more.
func TestGovernorSenderIsTheLimit(t *testing.T) {
	alone(t)
	w := (&world{hosts: 300_000, sender: 20_000, carry: delay(50 * us)}).run()
	for i, r := range w.rates {
		if r > 20_000/used*2 {
			t.Fatalf("%.0f/s allowed at %v", r, w.times[i])
		}
	}
	if w.asked > 16*time.Second {
		t.Errorf("asked all only after %v", w.asked)
	}
}

func TestGovernorRateIsACap(t *testing.T) {
	w := (&world{hosts: 30_000, carry: delay(50 * us), config: GovernorConfig{Rate: 5_000}}).run()
	for i, r := range w.rates {
		if r > 5_000 {
			t.Fatalf("%.0f/s at %v", r, w.times[i])
		}
	}
	if w.reached(5_000) == 0 {
		t.Error("never at the cap")
	}
	if g := NewGovernor(GovernorConfig{Adaptive: true, Rate: 10}); g.Rate() != 10 {
		t.Errorf("starts at %v/s, above its cap", g.Rate())
	}
}

// Chokes of one moment are one; each halves, down to the floor.
func TestGovernorChoke(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true, Start: 16_000})
	for _, tc := range []struct {
		now  time.Duration
		rate float64
	}{
		{0, 8000}, {0, 8000}, {49 * ms, 8000}, {50 * ms, 4000}, {99 * ms, 4000}, {time.Second, 2000},
		{2 * time.Second, 1000}, {3 * time.Second, 1000},
	} {
		if g.Choke(tc.now); g.Rate() != tc.rate {
			t.Errorf("at %v: %v/s, want %v", tc.now, g.Rate(), tc.rate)
		}
	}
}

// A send buffer that overflows above some rate is a bottleneck like any other,
// but nothing is lost in it.
func TestGovernorNoBuffers(t *testing.T) {
	alone(t)
	w := (&world{hosts: 400_000, retries: 1, carry: delay(ms), each: func(w *world, now time.Duration) {
		if w.g.Rate() > 40_000 {
			w.g.Choke(now)
		}
	}}).run()
	if got := w.mean(w.asked/2, w.asked); got < 20_000 || got > 40_000 {
		t.Errorf("%.0f/s in the second half", got)
	}
}

// Without random order a rate is found by the retries alone, and a dead stretch
// is no loss.
func TestGovernorOrdered(t *testing.T) {
	alone(t)
	stretches := func(host int) bool { return host/4096%2 == 0 }
	w := (&world{hosts: 400_000, ordered: true, retries: 1, sender: 50_000, carry: delay(ms), alive: stretches}).run()
	for i := 1; i < len(w.rates); i++ {
		if w.rates[i] < w.rates[i-1] {
			t.Fatalf("slower at %v: %.0f/s after %.0f", w.times[i], w.rates[i], w.rates[i-1])
		}
	}
	if at := w.reached(40_000); at == 0 || at > 12*time.Second {
		t.Errorf("40,000/s at %v", at)
	}

	w = (&world{hosts: 400_000, ordered: true, retries: 3, carry: bottleneck(20_000, 200, 10*ms)}).run()
	if got := w.mean(w.asked/2, w.asked); got < 10_000 || got > 22_000 {
		t.Errorf("%.0f/s in the second half of a run through 20,000/s", got)
	}
	if w.found != 400_000 {
		t.Errorf("found %d", w.found)
	}
}

// A given seed gives the same run: the Governor has no clock and no dice.
func TestGovernorIsDeterministic(t *testing.T) {
	play := func() *world {
		return (&world{hosts: 50_000, retries: 1, carry: lossy(.02, bottleneck(20_000, 100, ms))}).run()
	}
	a, b := play(), play()
	if a.done != b.done || a.sent != b.sent || a.found != b.found {
		t.Errorf("%v, %d, %d and %v, %d, %d", a.done, a.sent, a.found, b.done, b.sent, b.found)
	}
}

// Times that come out of order, and answers from before anything is known, do
// no harm.
func TestGovernorOutOfOrder(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true})
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		now := time.Duration(i)*100*us + time.Duration(rnd.IntN(int(5*ms)))
		a := addrOf(rnd.IntN(1 << 16))
		g.Next(now)
		g.Turn(a, now)
		g.Take(a, now)
		g.Heard(a, now+time.Duration(rnd.IntN(int(ms))-int(2*time.Second)), now, rnd.IntN(40))
		if rnd.IntN(1000) == 0 {
			g.Choke(now)
		}
		if r := g.Rate(); r < g.floor || r > fastest {
			t.Fatalf("rate %v", r)
		}
	}
}

func TestGovernorConcurrent(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20_000 {
			g.Heard(addrOf(i), time.Duration(i)*us, time.Duration(i)*us+ms, 1+i%3)
			g.Rate()
			g.Slowed()
		}
	}()
	for i := range 20_000 {
		now := time.Duration(i) * us
		g.Next(now)
		g.Turn(addrOf(i), now)
		g.Take(addrOf(i), now)
		g.Choke(now)
	}
	<-done
}

func TestGovernorDoesNotAllocate(t *testing.T) {
	for _, c := range []GovernorConfig{{}, {Rate: 1000}, {Adaptive: true}} {
		g := NewGovernor(c)
		i := 0
		if n := testing.AllocsPerRun(20_000, func() { step(g, i); i++ }); n != 0 {
			t.Errorf("%+v: %v allocations a host", c, n)
		}
	}
}

// step asks a host and hears of an earlier one.
func step(g *Governor, i int) {
	now := time.Duration(i) * 7 * us
	a := addrOf(i * 7919 % (1 << 20))
	g.Next(now)
	g.Turn(a, now)
	g.Take(a, now)
	g.Heard(a, now-50*us, now, 1)
}

func BenchmarkGovernor(b *testing.B) {
	for _, bc := range []struct {
		name string
		c    GovernorConfig
	}{{"fixed", GovernorConfig{Rate: 1e6}}, {"adaptive", GovernorConfig{Adaptive: true}}} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			g, i := NewGovernor(bc.c), 0
			for b.Loop() {
				step(g, i)
				i++
			}
		})
	}
}
