package trace

import (
	"math"
	"slices"
	"time"

	"netprobe/probe"
)

// What a verdict takes.
const (
	surely = 7.0 // nats by which a limit must explain better than chance

	enough     = 20    // probes to a hop before it says something about the path
	leastLost  = 3     // of the target's probes before the path loses any
	background = 0.002 // share that may vanish on a path without a fault
	differ     = 0.002 // chance of a mistake in calling a hop worse than one behind it
	stepGain   = 7.0   // nats by which one more level of loss must explain better

	longestHistory = 300 // probes of a hop that are looked at, the latest ones
)

// passiveLoss returns verdicts by what was seen anyhow, without asking again.
func passiveLoss(k known, now time.Duration) map[uint8]probe.HopLoss {
	return lossVerdicts(&k, k.attempts, now)
}

// lossRow is what is known about one hop.
type lossRow struct {
	ttl     uint8
	list    []asked
	n, lost int
	verdict probe.HopLoss
	open    bool // loses, and it is not clear why
}

// lossVerdicts judges the fate of all usual probes.
func lossVerdicts(k *known, attempts []*attempt, now time.Duration) map[uint8]probe.HopLoss {
	rows := lossRows(k, attempts, now)
	for _, r := range rows {
		r.judge()
	}
	judgePath(k, rows)
	found := map[uint8]probe.HopLoss{}
	for _, r := range rows {
		if r.n > 0 && !r.open {
			found[r.ttl] = r.verdict
		}
	}
	return found
}

// lossRows sorts the probes by hop. Failed ones and those that may still be
// answered say nothing.
func lossRows(k *known, attempts []*attempt, now time.Duration) []*lossRow {
	var rows []*lossRow
	for ttl := int(k.first); ttl <= int(k.last); ttl++ {
		rows = append(rows, &lossRow{ttl: uint8(ttl)})
	}
	for _, a := range attempts {
		i := int(k.row(a)) - int(k.first)
		gone := k.unanswered(a, now)
		if i < 0 || i >= len(rows) || !k.usual(a) || !gone && a.state != answered {
			continue
		}
		rows[i].list = append(rows[i].list, asked{a.sent, !gone})
	}
	for _, r := range rows {
		slices.SortStableFunc(r.list, func(a, b asked) int { return int(a.sent - b.sent) })
		r.list = r.list[max(0, len(r.list)-longestHistory):]
		r.n = len(r.list)
		r.lost = r.n - answers(r.list)
	}
	return rows
}

// judge says what can be said of the hop alone.
func (r *lossRow) judge() {
	if r.n == 0 {
		return
	}
	r.verdict.Percent = 100 * float64(r.lost) / float64(r.n)
	switch {
	case r.lost == 0:
		r.verdict.Kind = probe.NoLoss
	case r.lost == r.n && r.n >= 3:
		r.verdict.Kind = probe.SilentHop
	case r.lost == r.n:
		r.verdict.Kind = probe.LossUnknown
	default:
		b, gain := fitBucket(r.list)
		if r.open = gain < surely; !r.open {
			r.verdict.Kind, r.verdict.Rate, r.verdict.Burst = probe.RateLimited, b.rate, b.burst
		}
	}
}

// judgePath decides what depends on the hops behind.
func judgePath(k *known, rows []*lossRow) {
	var target *lossRow
	if k.reached && len(rows) > 0 {
		target = rows[len(rows)-1]
	}
	members := pathMembers(rows)
	if target == nil || !slices.Contains(members, target) {
		for _, r := range rows {
			r.settle(probe.LossUnknown)
		}
		return
	}
	members = dropOwnLoss(members)
	if target.lost >= leastLost {
		placeLoss(members, 0)
	}
	begun := false
	for _, r := range rows {
		begun = begun || r.verdict.Kind == probe.PathLoss
		switch {
		case begun:
			// What it loses is explained by the hop where that begins.
		case target.lost == 0 && target.n >= enough:
			r.settle(probe.HopLossOnly)
		default:
			r.settle(probe.LossUnknown)
		}
	}
}

// settle gives a row that is still open its verdict.
func (r *lossRow) settle(kind probe.LossKind) {
	if r.open {
		r.verdict.Kind, r.open = kind, false
	}
}

// pathMembers returns the rows whose losses may be those of the path.
func pathMembers(rows []*lossRow) (members []*lossRow) {
	for _, r := range rows {
		if r.n >= enough && (r.open || r.verdict.Kind == probe.NoLoss) {
			members = append(members, r)
		}
	}
	return members
}

// dropOwnLoss takes out rows that lose clearly more than one behind them: what
// passed them was not lost, so it is their own answers that are missing.
func dropOwnLoss(members []*lossRow) (kept []*lossRow) {
	for i, r := range members {
		worse := func(behind *lossRow) bool { return lossier(r, behind) < differ/float64(len(members)) }
		if r.open && slices.ContainsFunc(members[i+1:], worse) {
			r.settle(probe.HopLossOnly)
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// placeLoss finds the hop from which on packets are lost: the first of those
// that are explained best by one level of loss, with the background level
// before, or that of an earlier loss. It goes on behind it.
func placeLoss(members []*lossRow, before float64) {
	best, gain, level := -1, 0.0, 0.0
	flat := levelFit(members, max(before, background))
	for i := range members {
		_, share := pooled(members[i:])
		g := levelFit(members[:i], max(before, background)) + levelFit(members[i:], share) - flat
		if share > before && g > gain {
			best, gain, level = i, g, share
		}
	}
	if best < 0 || gain < stepGain {
		return
	}
	r := members[best]
	r.verdict = probe.HopLoss{Kind: probe.PathLoss, Percent: 100 * (level - before) / (1 - before)}
	r.open = false
	if best+1 < len(members) {
		placeLoss(members[best+1:], level)
	}
}

// levelFit returns the logarithm of how likely the losses are if each probe is
// lost with the given probability.
func levelFit(members []*lossRow, share float64) float64 {
	n, got := pooled(members)
	lost := n - n*(1-got)
	if share <= 0 || share >= 1 {
		return 0
	}
	return lost*math.Log(share) + (n-lost)*math.Log(1-share)
}

// pooled returns how many probes went to the members, and the share lost.
func pooled(members []*lossRow) (n, share float64) {
	lost := 0.0
	for _, m := range members {
		n += float64(m.n)
		lost += float64(m.lost)
	}
	if n == 0 {
		return 0, 0
	}
	return n, lost / n
}

// lossier returns the chance that a loses so much more than b although both lose
// the same share (Fisher's exact test, one-sided).
func lossier(a, b *lossRow) float64 {
	lost, all := a.lost+b.lost, a.n+b.n
	sum := 0.0
	for x := a.lost; x <= min(lost, a.n); x++ {
		sum += math.Exp(logChoose(a.n, x) + logChoose(b.n, lost-x) - logChoose(all, lost))
	}
	return min(sum, 1)
}

// logChoose returns the logarithm of the number of ways to choose k of n.
func logChoose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
