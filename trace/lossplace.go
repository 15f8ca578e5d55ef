package trace

import (
	"math"
	"slices"

	"netprobe/probe"
)

// What a verdict about the path takes.
const (
	leastLost   = 3     // of the target's probes before the path loses any
	background  = 0.002 // share that may vanish on a path without a fault
	differ      = 0.001 // chance of a mistake in calling a hop worse than one behind it
	surelyApart = 0.01  // chance of a mistake in ending the search for a loss that the target shares
	stepGain    = 7.0   // nats by which one more level of loss must explain better
	stepClear   = 7.0   // nats by which the hop where it begins must be likelier than any other
	vague       = 0.04  // standard error of a share that is worth more probes
)

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
			r.clear = r.clear || r.again.lost == 0 && r.again.n >= plenty
		}
		return
	}
	members = dropOwnLoss(members)
	clean := target.all.lost == 0
	placed := target.all.lost >= leastLost && placeLoss(members, 0)
	begun := false
	for _, r := range rows {
		begun = begun || r.verdict.Kind == probe.PathLoss
		apart := clean && target.all.n >= plenty && (r.again.lost == 0 || lossier(r.all, target.all) < surelyApart)
		r.clear = r.clear || (placed || apart) && !r.doubtful && r.again.n >= plenty
		switch {
		case begun:
			// What it loses is explained by the hop where that begins.
		case clean && target.all.n >= enough:
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
		if r.all.n >= enough && (r.open || r.verdict.Kind == probe.NoLoss) {
			members = append(members, r)
		}
	}
	return members
}

// dropOwnLoss takes out rows that lose clearly more than one behind them: what
// passed them was not lost, so it is their own answers that are missing.
func dropOwnLoss(members []*lossRow) (kept []*lossRow) {
	for i, r := range members {
		worse := func(behind *lossRow) bool { return lossier(r.all, behind.all) < differ/float64(len(members)) }
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
// before, or that of an earlier loss. It goes on behind it, and reports whether
// it is all clear.
func placeLoss(members []*lossRow, before float64) (clear bool) {
	best, gain, second, level := -1, 0.0, 0.0, 0.0
	flat := levelFit(members, max(before, background))
	for i := range members {
		_, share := pooled(members[i:])
		g := levelFit(members[:i], max(before, background)) + levelFit(members[i:], share) - flat
		switch {
		case share <= before:
		case g > gain:
			best, gain, second, level = i, g, gain, share
		default:
			second = max(second, g)
		}
	}
	if best < 0 || gain < stepGain {
		return before > 0 && gain < stepGain/2
	}
	r := members[best]
	r.verdict = probe.HopLoss{Kind: probe.PathLoss, Percent: 100 * (level - before) / (1 - before)}
	r.open = false
	n, _ := pooled(members[best:])
	clear = gain-second >= stepClear && math.Sqrt(level*(1-level)/n) < vague
	if best+1 < len(members) {
		clear = placeLoss(members[best+1:], level) && clear
	}
	return clear
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
		n += float64(m.all.n)
		lost += float64(m.all.lost)
	}
	if n == 0 {
		return 0, 0
	}
	return n, lost / n
}

// lossier returns the chance that a loses so much more than b although both lose
// the same share (Fisher's exact test, one-sided); 1 if a loses no more.
func lossier(a, b tally) float64 {
	if a.lost*b.n <= b.lost*a.n {
		return 1
	}
	lost := a.lost + b.lost
	term := math.Exp(logChoose(a.n, a.lost) + logChoose(b.n, b.lost) - logChoose(a.n+b.n, lost))
	sum := 0.0
	for x := a.lost; x <= min(lost, a.n); x++ {
		sum += term
		term *= float64(a.n-x) / float64(x+1) * float64(lost-x) / float64(b.n-lost+x+1)
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
