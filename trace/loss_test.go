package trace

import (
	"fmt"
	"maps"
	"math"
	"os"
	"testing"
	"time"

	"netprobe/probe"
)

// judged plays a first look and the loss phase on c.
func judged(t *testing.T, c *chain, count int) (*lossPhase, map[uint8]probe.HopLoss, int, time.Duration) {
	t.Helper()
	k, begin := c.look(t, count)
	p := newLoss(k)
	list, end := playPhase(t, p, c, begin)
	return p, p.verdicts(), len(list), end - begin
}

// seeds returns how many made-up networks a test goes through: a few, or with the
// environment variable TRACE_TEST_LONG set to anything, many.
func seeds(few, many int) int {
	if os.Getenv("TRACE_TEST_LONG") != "" {
		return many
	}
	return few
}

// hops returns n ordinary hops.
func hops(n int) []chainHop { return make([]chainHop, n) }

// Nothing is asked where nothing was lost.
func TestLossNothing(t *testing.T) {
	p, v, n, _ := judged(t, newChain(1, hops(8)...), 3)
	if n != 0 || !p.done(0) {
		t.Errorf("sent %d probes", n)
	}
	for ttl, l := range v {
		if l != (probe.HopLoss{}) {
			t.Errorf("hop %d: %+v", ttl, l)
		}
	}
	if len(v) != 8 {
		t.Errorf("verdicts for %d hops: %v", len(v), v)
	}
}

// Hops that limit what they say are told from the path, whatever else is lost.
// Where nothing is, that does not take long.
func TestLossLimits(t *testing.T) {
	limits := []struct {
		rate  float64
		burst int
		count int // probes of the first look
	}{{1, 6, 10}, {1, 1, 3}, {2, 1, 3}, {10, 1, 3}, {100, 1, 3}, {1, 6, 20}, {5, 2, 3}}
	runs := seeds(5, 1000/len(limits)/2+1) // of each, with and without loss
	for _, l := range limits {
		for _, loss := range []float64{0, 0.1} {
			t.Run(fmt.Sprintf("%v per s burst %d loss %v", l.rate, l.burst, loss), func(t *testing.T) {
				t.Parallel()
				wrong, blamed, burst := 0, 0, 0
				var longest time.Duration
				most := 0
				for seed := range uint64(runs) {
					c := newChain(seed, hops(8)...)
					c.jitter = 2 * time.Millisecond
					for _, i := range []int{1, 3, 4} {
						c.hops[i].rate, c.hops[i].burst = l.rate, l.burst
					}
					c.hops[6].loss = loss
					_, v, n, d := judged(t, c, l.count)
					longest, most = max(longest, d), max(most, n)
					for _, ttl := range []uint8{2, 4, 5} {
						got := v[ttl]
						if got.Kind != probe.RateLimited || math.Abs(got.Rate-l.rate) > 0.2*l.rate {
							wrong++
							t.Logf("seed %d hop %d: %+v", seed, ttl, got)
						}
						if got.Kind == probe.RateLimited && got.Burst != l.burst {
							burst++
						}
					}
					for ttl, got := range v {
						if got.Kind == probe.PathLoss && (loss == 0 || ttl < 7) {
							blamed++
							t.Logf("seed %d hop %d: %+v", seed, ttl, got)
						}
					}
				}
				t.Logf("of %d: not told or rate wrong %d, burst other %d, path blamed %d; at most %v, %d probes", 3*runs, wrong, burst, blamed, longest, most)
				if blamed > 0 || wrong > runs*3/50+1 {
					t.Errorf("path blamed %d, wrong %d", blamed, wrong)
				}
				if longest > 10*time.Second || loss == 0 && l.rate <= 10 && longest > 3*time.Second {
					t.Errorf("took %v", longest)
				}
			})
		}
	}
}

// A loss of the path is told at the hop where it begins.
func TestLossOfPath(t *testing.T) {
	for _, loss := range []float64{0.03, 0.05, 0.1, 0.2, 0.3} {
		for _, at := range []int{0, 3, 7} {
			t.Run(fmt.Sprintf("%v from hop %d on", loss, at+1), func(t *testing.T) {
				t.Parallel()
				right, elsewhere, asked, off := 0, 0, 0, 0.0
				runs := seeds(5, 40)
				for seed := range uint64(runs) {
					c := newChain(seed, hops(8)...)
					c.jitter = 2 * time.Millisecond
					c.hops[at].loss = loss
					c.hops[2].rate, c.hops[2].burst = 1, 6
					_, v, n, _ := judged(t, c, 10)
					if n == 0 {
						continue
					}
					asked++
					for ttl, l := range v {
						if l.Kind != probe.PathLoss {
							continue
						}
						if int(ttl) == at+1 {
							right++
							off = max(off, math.Abs(l.Percent-100*loss))
						} else {
							elsewhere++
							t.Logf("seed %d: hop %d %+v", seed, ttl, v)
						}
					}
				}
				t.Logf("right %d, elsewhere %d of %d asked, off by at most %.1f %%", right, elsewhere, asked, off)
				if elsewhere > 0 && loss >= 0.1 || elsewhere > 1+runs/8 || loss >= 0.1 && right < asked*95/100 {
					t.Errorf("right %d, elsewhere %d of %d", right, elsewhere, asked)
				}
			})
		}
	}
}

// What a hop loses of its own is not presented as loss of the path, nor is what
// a target does not answer because it limits.
func TestLossNotOfPath(t *testing.T) {
	tests := []struct {
		name  string
		build func(c *chain)
		want  map[uint8]probe.LossKind
	}{
		{"own loss", func(c *chain) { c.hops[3].own = 0.4 }, map[uint8]probe.LossKind{4: probe.HopLossOnly}},
		{"silent", func(c *chain) { c.hops[3].silent = true }, map[uint8]probe.LossKind{4: probe.SilentHop}},
		{"target limits", func(c *chain) { c.hops[7].rate, c.hops[7].burst = 1, 6 }, map[uint8]probe.LossKind{8: probe.RateLimited}},
		{"all limit", func(c *chain) {
			for i := range c.hops {
				c.hops[i].rate, c.hops[i].burst = 1, 6
			}
		}, map[uint8]probe.LossKind{1: probe.RateLimited, 4: probe.RateLimited, 8: probe.RateLimited}},
		{"own loss and path loss", func(c *chain) { c.hops[3].own, c.hops[5].loss = 0.5, 0.1 },
			map[uint8]probe.LossKind{4: probe.HopLossOnly, 6: probe.PathLoss}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			runs := seeds(8, 50)
			bad := 0
			for seed := range uint64(runs) {
				c := newChain(seed, hops(8)...)
				c.jitter = 2 * time.Millisecond
				tt.build(c)
				_, v, _, _ := judged(t, c, 10)
				want := maps.Clone(tt.want)
				wrong := false
				for ttl, l := range v {
					if kind, ok := want[ttl]; ok && kind != l.Kind || !ok && l.Kind == probe.PathLoss {
						wrong = true
					}
				}
				if wrong {
					bad++
					t.Logf("seed %d: %+v", seed, v)
				}
			}
			if bad > runs/25 {
				t.Errorf("wrong %d of %d", bad, runs)
			}
		})
	}
}

// A phase whose sends all fail ends, and says nothing about the network.
func TestLossCannotSend(t *testing.T) {
	c := newChain(1, hops(5)...)
	c.hops[2].own = 0.5
	k, begin := c.look(t, 10)
	c.fail = 1
	p := newLoss(k)
	list, end := playPhase(t, p, c, begin)
	if end-begin > 12*time.Second {
		t.Errorf("took %v, %d probes", end-begin, len(list))
	}
	for ttl, v := range p.verdicts() {
		if v.Kind == probe.PathLoss {
			t.Errorf("hop %d: %+v", ttl, v)
		}
	}
}

// What was seen anyhow is judged too, and with too few probes not at all.
func TestPassiveLoss(t *testing.T) {
	tests := []struct {
		name  string
		count int
		build func(h []chainHop)
		want  []probe.LossKind // of some hops, by index
	}{
		{"too few", 10, func(h []chainHop) { h[2].loss = 0.3 }, []probe.LossKind{2: probe.LossUnknown}},
		{"many", 100, func(h []chainHop) { h[2].loss = 0.2 }, []probe.LossKind{2: probe.PathLoss}},
		{"limits", 30, func(h []chainHop) {
			for i := range h {
				h[i].rate, h[i].burst = 1, 6
			}
		}, []probe.LossKind{probe.RateLimited, probe.RateLimited, probe.RateLimited, probe.RateLimited}},
		{"silent", 3, func(h []chainHop) { h[1].silent = true }, []probe.LossKind{1: probe.SilentHop}},
		{"own loss", 100, func(h []chainHop) { h[1].own = 0.3 }, []probe.LossKind{1: probe.HopLossOnly}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(20) {
				c := newChain(seed, hops(6)...)
				tt.build(c.hops)
				k, end := c.look(t, tt.count)
				got := passiveLoss(k, end)
				for i, want := range tt.want {
					if l := got[uint8(i+1)]; want != probe.NoLoss && l.Kind != want && l.Percent > 0 {
						t.Errorf("seed %d hop %d: %+v, want %v", seed, i+1, l, want)
					}
				}
				for ttl, l := range got {
					if l.Kind == probe.PathLoss && int(ttl) != 3 {
						t.Errorf("seed %d hop %d: %+v", seed, ttl, l)
					}
				}
			}
		})
	}
}

// Answers that come after their time are answers.
func TestLossLate(t *testing.T) {
	for seed := range uint64(20) {
		c := newChain(seed, hops(6)...)
		c.hops[1].rate, c.hops[1].burst = 1, 6
		k, begin := c.look(t, 10)
		c.late = 0.2
		p := newLoss(k)
		playPhase(t, p, c, begin)
		for ttl, l := range p.verdicts() {
			if l.Kind == probe.PathLoss || ttl != 2 && l.Percent > 5 {
				t.Errorf("seed %d hop %d: %+v", seed, ttl, l)
			}
		}
	}
}
