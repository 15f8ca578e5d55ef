package trace

import (
	"math"
	"slices"
	"time"

	"netprobe/probe"
)

// What a verdict takes.
const (
	enough     = 20    // probes to a hop before it says something about the path
	plenty     = 60    // probes after which a hop that lost nothing is clear
	leastLost  = 3     // of the target's probes before the path loses any
	background = 0.002 // share that may vanish on a path without a fault
	differ     = 0.002 // chance of a mistake in calling a hop worse than one behind it
	stepGain   = 7.0   // nats by which one more level of loss must explain better
	stepClear  = 5.0   // nats by which the hop where it begins must be likelier than any other

	hurry          = 60 * time.Millisecond // after the one before it, a probe is hurried
	longestHistory = 300                   // probes of a hop that are looked at, the latest ones
)

// passiveLoss returns verdicts by what was seen anyhow, without asking again.
func passiveLoss(k known, now time.Duration) map[uint8]probe.HopLoss {
	return verdictsOf(judgeRows(&k, k.attempts, now))
}

// lossRow is what is known about one hop.
type lossRow struct {
	ttl      uint8
	list     []asked
	all      tally
	hurried  tally // of the probes that came soon after one before
	verdict  probe.HopLoss
	open     bool // loses, and it is not clear why
	doubtful bool // whether it limits may look different after more probes
	clear    bool // more probes would hardly change what is said
}

// tally counts probes.
type tally struct{ n, lost int }

func (t *tally) count(a asked) {
	t.n++
	t.lost += 1 - one(a.answered)
}

// judgeRows judges the fate of all usual probes.
func judgeRows(k *known, attempts []*attempt, now time.Duration) []*lossRow {
	rows := lossRows(k, attempts, now)
	for i := len(rows) - 1; i >= 0; i-- {
		rows[i].judge(rows[i+1:])
	}
	judgePath(k, rows)
	return rows
}

// verdictsOf returns what is said of the rows. A hop behind the start of a loss
// that loses no more than its start explains has none.
func verdictsOf(rows []*lossRow) map[uint8]probe.HopLoss {
	found := map[uint8]probe.HopLoss{}
	for _, r := range rows {
		if r.all.n > 0 && !r.open {
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
		one := asked{sent: a.sent, answered: !gone}
		if one.answered {
			one.rtt = a.rtt()
		}
		rows[i].list = append(rows[i].list, one)
	}
	for _, r := range rows {
		slices.SortStableFunc(r.list, func(a, b asked) int { return int(a.sent - b.sent) })
		r.list = r.list[max(0, len(r.list)-longestHistory):]
		for i := range r.list {
			a := &r.list[i]
			a.hurried = i > 0 && a.sent-r.list[i-1].sent < hurry
			r.all.count(*a)
			if a.hurried {
				r.hurried.count(*a)
			}
		}
	}
	return rows
}

// judge says what can be said of the hop alone, and by comparison with those
// behind that do not limit.
func (r *lossRow) judge(behind []*lossRow) {
	if r.all.n == 0 {
		return
	}
	r.verdict.Percent = 100 * float64(r.all.lost) / float64(r.all.n)
	switch {
	case r.all.lost == 0:
		r.verdict.Kind = probe.NoLoss
	case r.all.lost == r.all.n && r.all.n >= 3:
		r.verdict.Kind = probe.SilentHop
	case r.all.lost == r.all.n:
		r.verdict.Kind = probe.LossUnknown
	default:
		r.judgeLimit(behind)
	}
}

// How much better (in nats) a limit must explain the losses than chance. A hop
// that loses far more than those behind it has a reason of its own; one that does
// not needs none but the path.
const (
	limitAlone  = 10.0 // nobody to compare with, or more than by chance
	limitWorse  = 7.0  // far more
	limitHidden = 14.0 // no more
	limitDoubt  = 4.0  // below this it is not worth while to ask more
	limitClear  = 3.0  // above what is needed, no more has to be asked
)

// judgeLimit finds out whether the hop limits what it says.
func (r *lossRow) judgeLimit(behind []*lossRow) {
	r.open = true
	need := limitAlone
	switch p := r.excess(behind); {
	case p < 1e-6:
		need = limitWorse
	case p > 0.05 && !r.pressed():
		return
	case p > 0.05:
		need = limitHidden
	}
	f := fitBucket(r.list)
	r.doubtful = f.gain > limitDoubt
	if f.gain < need {
		return
	}
	r.open = false
	r.verdict.Kind, r.verdict.Rate, r.verdict.Burst = probe.RateLimited, f.rate, f.burst
	r.doubtful = f.gain < need+limitClear || !f.tight(r.list)
	r.clear = !r.doubtful
}

// excess returns the chance that the hop loses so much more than one behind it
// that does not limit although the path is to blame for both; 0.01 if there is
// none.
func (r *lossRow) excess(behind []*lossRow) float64 {
	least := math.Inf(1)
	for _, b := range behind {
		if b.all.n >= enough && (b.open || b.verdict.Kind == probe.NoLoss) {
			least = min(least, lossier(r.all, b.all), lossier(r.hurried, b.hurried))
		}
	}
	if math.IsInf(least, 1) {
		return 0.01
	}
	return least
}

// pressed reports whether the hop loses more when it is hurried.
func (r *lossRow) pressed() bool {
	calm := tally{r.all.n - r.hurried.n, r.all.lost - r.hurried.lost}
	return lossier(r.hurried, calm) < 0.05
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
			r.clear = r.clear || r.all.lost == 0 && r.all.n >= plenty
		}
		return
	}
	members = dropOwnLoss(members)
	clean := target.all.lost == 0
	clear := clean && target.all.n >= plenty
	if target.all.lost >= leastLost {
		clear = placeLoss(members, 0)
	}
	begun := false
	for _, r := range rows {
		begun = begun || r.verdict.Kind == probe.PathLoss
		r.clear = r.clear || clear && !r.doubtful && r.all.n >= plenty
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
	clear = gain-second >= stepClear
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
