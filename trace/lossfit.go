package trace

import (
	"math"
	"slices"
	"time"
)

// asked is one probe to a hop whose outcome is known.
type asked struct {
	sent     time.Duration
	answered bool
}

// bucket is the usual way of routers to limit what they say: every answer takes
// a token, there are never more than burst of them, and rate come back each
// second.
type bucket struct {
	rate  float64
	burst int
}

// odd is how likely an answer is that a bucket does not explain: other senders,
// a router that counts in ticks, a bucket that was not quite as we thought.
const odd = 0.005

// belief is one guess at how many tokens are left, and how likely that is. It
// takes several as nobody sees whether an unanswered probe got lost on its way
// there, or its answer on the way back and a token with it.
type belief struct{ tokens, weight float64 }

// beliefs is how many guesses are kept.
const beliefs = 4

// likelihood returns the logarithm of how likely the fate of the probes is if the
// bucket limits answers and the share kept of what it lets pass arrives.
func (b bucket) likelihood(list []asked, kept float64) float64 {
	var room [2 * beliefs]belief
	now := append(room[:0], belief{float64(b.burst), 1})
	sum := 0.0
	for i := range list {
		if i > 0 {
			refill := b.rate * (list[i].sent - list[i-1].sent).Seconds()
			for j := range now {
				now[j].tokens = min(now[j].tokens+refill, float64(b.burst))
			}
		}
		now = step(now, list[i].answered, kept)
		total := 0.0
		for _, g := range now {
			total += g.weight
		}
		for j := range now {
			now[j].weight /= total
		}
		sum += math.Log(total)
	}
	return sum
}

// step takes in one outcome.
func step(now []belief, answered bool, kept float64) []belief {
	for j, n := 0, len(now); j < n; j++ {
		g := &now[j]
		token := hasToken(g.tokens)
		spent := belief{max(0, g.tokens-1), g.weight}
		if answered {
			spent.weight *= token * kept
			*g = spent
			continue
		}
		spent.weight *= token * (1 - kept) / 2
		g.weight *= 1 - token + token*(1-kept)/2
		if spent.weight > 1e-4*g.weight {
			now = append(now, spent)
		}
	}
	if len(now) > beliefs {
		slices.SortFunc(now, func(a, b belief) int {
			if a.weight > b.weight {
				return -1
			}
			return 1
		})
		now = now[:beliefs]
	}
	return now
}

// hasToken returns how likely it is that a bucket which should hold so much has
// a whole token: jitter moves what we know by a little.
func hasToken(tokens float64) float64 {
	return min(max(odd, (tokens-0.8)/0.2), 1-odd)
}

// chance returns the logarithm of how likely the fate of the probes is if each is
// lost with the same probability, whatever the pace, and the share that arrives.
func chance(list []asked) (sum, kept float64) {
	got := answers(list)
	kept = (float64(got) + 0.5) / (float64(len(list)) + 1)
	return float64(got)*math.Log(kept) + float64(len(list)-got)*math.Log(1-kept), kept
}

func answers(list []asked) (n int) {
	for _, a := range list {
		if a.answered {
			n++
		}
	}
	return n
}

// fitBucket returns the bucket that explains the fate of the probes best, and by
// how much better (in nats) than loss that does not care for the pace.
func fitBucket(list []asked) (best bucket, gain float64) {
	alone, _ := chance(list)
	top := math.Inf(-1)
	try := func(rate float64) {
		b := burstFor(list, rate)
		for _, burst := range []int{b - 1, b, b + 1} {
			c := bucket{rate, burst}
			if burst < 1 {
				continue
			}
			if l := c.fit(list); l > top {
				best, top = c, l
			}
		}
	}
	for _, rate := range rates(list) {
		for _, f := range []float64{0.85, 1, 1.18} {
			try(rate * f)
		}
	}
	for _, width := range []float64{0.08, 0.04, 0.02} {
		if centre := best.rate; centre > 0 {
			try(centre * (1 - width))
			try(centre * (1 + width))
		}
	}
	return best, top - alone
}

// fit is the likelihood with the share kept that suits best.
func (b bucket) fit(list []asked) float64 {
	top := math.Inf(-1)
	for _, kept := range []float64{0.99, 0.9, 0.7} {
		top = max(top, b.likelihood(list, kept))
	}
	return top
}

// rates returns rates worth trying: what was answered in parts of the time, down
// to an eighth of the probes.
func rates(list []asked) (found []float64) {
	for parts := 1; parts <= 8; parts *= 2 {
		for i := range parts {
			part := list[i*len(list)/parts : (i+1)*len(list)/parts]
			if len(part) < 3 {
				continue
			}
			got, span := answers(part[1:]), part[len(part)-1].sent-part[0].sent
			if span <= 0 || got == len(part)-1 {
				continue
			}
			found = append(found, max(float64(got), 0.5)/span.Seconds())
		}
	}
	slices.Sort(found)
	return slices.CompactFunc(found, func(a, before float64) bool { return a < before*1.05 })
}

// burstFor returns the least burst that, with the rate, allows every answer seen:
// so many more came than the rate alone explains. Long spans count less, as a
// small error of the rate grows there.
func burstFor(list []asked, rate float64) int {
	most := 1.0
	for i := range list {
		if !list[i].answered || i > 0 && list[i-1].answered && list[i].sent-list[i-1].sent < time.Millisecond {
			continue
		}
		got := 0.0
		for j := i; j < len(list); j++ {
			if !list[j].answered {
				continue
			}
			got++
			most = max(most, got-1.05*rate*(list[j].sent-list[i].sent).Seconds())
		}
	}
	return int(math.Round(most))
}
