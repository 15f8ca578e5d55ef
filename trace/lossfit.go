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
	rtt      time.Duration // if answered
	second   bool          // it is of the second look
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

// blur is by how much of a token a bucket may differ from what we think, however
// slowly it fills.
const blur = 0.08

// rare is how much rarer large buckets are than small ones: a bucket of n tokens
// by n to the power of that. With a large one, any run of losses looks like its
// end.
const rare = 1.5

// belief is one guess at how many tokens are left, and how likely that is. It
// takes several as nobody sees whether an unanswered probe got lost on its way
// there, or its answer on the way back and a token with it.
type belief struct{ tokens, weight float64 }

// beliefs is how many guesses are kept.
const beliefs = 4

// history is what a bucket is to explain.
type history struct {
	list  []asked
	got   int     // how many were answered
	slack float64 // by how much the times of probes may be shifted on their way, seconds
}

func newHistory(list []asked) *history { return &history{list, answers(list), slackOf(list)} }

// likelihood returns the logarithm of how likely the fate of the probes is if b
// limits answers and the share kept of what it lets pass arrives. What will be
// below floor is not worked out to the end: it is minus infinity.
func (h *history) likelihood(b bucket, kept, floor float64) float64 {
	var room [2 * beliefs]belief
	full, width := float64(b.burst), min(0.5, blur+b.rate*h.slack)
	now := append(room[:0], belief{full + width, 1})
	sum, total := 0.0, 1.0
	left, most := h.got, math.Log(kept) // what comes yet is no likelier than that
	for i := range h.list {
		left -= one(h.list[i].answered)
		if i > 0 {
			refill := b.rate * (h.list[i].sent - h.list[i-1].sent).Seconds()
			for j := range now {
				now[j].tokens = min(now[j].tokens+refill, full+width)
			}
		}
		now, total = step(now, h.list[i].answered, kept, full, width)
		if total < 1e-40 || i%8 == 7 {
			sum += math.Log(total)
			if sum+float64(left)*most < floor {
				return math.Inf(-1)
			}
			for j := range now {
				now[j].weight /= total
			}
			total = 1
		}
	}
	return sum + math.Log(total)
}

// step takes in one outcome, and returns the weight of all beliefs.
func step(now []belief, answered bool, kept, full, width float64) ([]belief, float64) {
	total := 0.0
	for j, n := 0, len(now); j < n; j++ {
		g := &now[j]
		token := hasToken(g.tokens, width)
		spent := belief{max(0, min(g.tokens, full)-1), g.weight}
		if answered {
			spent.weight *= token * kept
			*g = spent
			total += spent.weight
			continue
		}
		spent.weight *= token * (1 - kept) / 2
		g.weight *= 1 - token + token*(1-kept)/2
		total += g.weight
		if spent.weight > 1e-3*g.weight {
			now = append(now, spent)
			total += spent.weight
		}
	}
	for len(now) > beliefs {
		now = dropLeast(now)
	}
	return now, total
}

// dropLeast joins beliefs that have become the same, or else gives up the least.
func dropLeast(now []belief) []belief {
	least, last := 0, len(now)-1
	for j := range now {
		for i := range j {
			if now[i].tokens == now[j].tokens {
				now[i].weight += now[j].weight
				now[j] = now[last]
				return now[:last]
			}
		}
		if now[j].weight < now[least].weight {
			least = j
		}
	}
	now[least] = now[last]
	return now[:last]
}

// hasToken returns how likely it is that a bucket which should hold so much has
// a whole token.
func hasToken(tokens, width float64) float64 {
	return min(max(odd, (tokens-1+width)/(2*width)), 1-odd)
}

// chance returns the logarithm of how likely the fate of the probes is if each is
// lost with the same probability whatever the pace, or if losses come in runs,
// whichever is likelier.
func chance(list []asked) float64 {
	var n [2][2]float64 // by whether the probe before was answered, and this one
	got := 0
	for i, a := range list {
		got += one(a.answered)
		if i > 0 {
			n[one(list[i-1].answered)][one(a.answered)]++
		}
	}
	alone := outcomes(float64(got), float64(len(list)-got))
	runs := outcomes(n[0][1], n[0][0]) + outcomes(n[1][1], n[1][0]) - math.Ln2
	return max(alone, runs-0.5*math.Log(float64(len(list)+1)))
}

// outcomes returns the logarithm of how likely it is that got are answered and
// lost are not, in this order, with the share that suits best.
func outcomes(got, lost float64) float64 {
	kept := (got + 0.5) / (got + lost + 1)
	return got*math.Log(kept) + lost*math.Log(1-kept)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fit is a bucket that explains the fate of probes.
type fit struct {
	bucket
	kept    float64 // share of what it lets pass that arrives
	top     float64 // logarithm of the likelihood, with that of such a burst
	gain    float64 // by how much (in nats) it is likelier than loss that does not care for the pace
	refills int     // how many tokens are seen to have come back
}

// fitBucket returns the bucket that explains the fate of the probes best.
func fitBucket(list []asked) fit {
	h := newHistory(list)
	alone := chance(list)
	best := fit{top: alone} // what explains less is not of interest
	low, high := rates(list)
	for _, kept := range []float64{0.98, 0.8, 0.63} {
		if kept < float64(h.got)/float64(len(list))-0.1 {
			continue // more was answered
		}
		for rate := low; rate < high; rate *= 1.07 {
			h.try(&best, rate, kept)
		}
	}
	if best.rate == 0 {
		return best
	}
	for _, width := range []float64{0.04, 0.02, 0.01} {
		h.refine(&best, width)
	}
	best.gain = best.top - alone
	best.refills = refills(list)
	return best
}

// try takes a bucket with the rate for the best if it is better.
func (h *history) try(best *fit, rate, kept float64) {
	seen := burstFor(h.list, rate)
	b := max(1, int(math.Round(seen)))
	h.weigh(best, bucket{rate, b}, kept)
	if hidden := int(math.Round(seen / kept)); hidden > b {
		h.weigh(best, bucket{rate, hidden}, kept)
	}
}

// weigh takes b for the best if it is better.
func (h *history) weigh(best *fit, b bucket, kept float64) {
	surprise := rare * math.Log(float64(b.burst))
	if l := h.likelihood(b, kept, best.top+surprise) - surprise; l > best.top {
		best.bucket, best.kept, best.top = b, kept, l
	}
}

// refine looks around the best for a better one.
func (h *history) refine(best *fit, width float64) {
	was := *best
	h.weigh(best, bucket{was.rate * (1 + width), was.burst}, was.kept)
	h.weigh(best, bucket{was.rate / (1 + width), was.burst}, was.kept)
	for range 4 {
		was = *best
		h.weigh(best, bucket{was.rate, was.burst + 1}, was.kept)
		if was.burst > 1 {
			h.weigh(best, bucket{was.rate, was.burst - 1}, was.kept)
		}
		if best.burst == was.burst {
			break
		}
	}
	lost := 1 - best.kept
	h.weigh(best, best.bucket, 1-lost*1.5)
	h.weigh(best, best.bucket, 1-lost/1.5)
}

// tight reports whether the rate is known: a bucket that fills faster or slower
// by a share of far explains much less.
func (f *fit) tight(list []asked) bool {
	const far, less = 0.15, 3
	h := newHistory(list)
	for _, rate := range []float64{f.rate * (1 + far), f.rate / (1 + far)} {
		for burst := max(1, f.burst-2); burst <= f.burst+2; burst++ {
			for _, more := range []float64{0.7, 1, 1.4} {
				near := fit{top: f.top - less}
				if h.weigh(&near, bucket{rate, burst}, 1-more*(1-f.kept)); near.burst > 0 {
					return false
				}
			}
		}
	}
	return true
}

// slackOf returns by how much probes may have been shifted, seconds: half of what
// round trips differ.
func slackOf(list []asked) float64 {
	var trips []time.Duration
	for _, a := range list {
		if a.answered {
			trips = append(trips, a.rtt)
		}
	}
	if len(trips) == 0 {
		return 0
	}
	slices.Sort(trips)
	n := len(trips)
	return ((trips[n*9/10] - trips[n/10]) / 2).Seconds()
}

// rates returns the range of rates worth trying: around what was answered in
// parts of the time, down to an eighth of the probes.
func rates(list []asked) (low, high float64) {
	low = math.Inf(1)
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
			rate := max(float64(got), 0.5) / span.Seconds()
			low, high = min(low, rate), max(high, rate)
		}
	}
	return low / 1.5, high * 1.5
}

// refills counts answers that follow on a loss.
func refills(list []asked) (n int) {
	for i := 1; i < len(list); i++ {
		n += one(list[i].answered && !list[i-1].answered)
	}
	return n
}

// burstFor returns the least burst that, with the rate, allows every answer seen:
// so many more came than the rate alone explains. Long spans count less, as a
// small error of the rate grows there.
func burstFor(list []asked, rate float64) float64 {
	most, run := 1.0, 0.0
	last := time.Duration(0)
	for _, a := range list {
		if !a.answered {
			continue
		}
		run = max(0, run-1.05*rate*(a.sent-last).Seconds()) + 1
		most, last = max(most, run), a.sent
	}
	return most
}

func answers(list []asked) (n int) {
	for _, a := range list {
		n += one(a.answered)
	}
	return n
}
