package trace

import (
	"cmp"
	"math"
	"slices"
	"time"

	"netprobe/probe"
)

// What a verdict takes.
const (
	enough = 20 // probes to a hop before it says something about the path
	plenty = 50 // probes of a second look that can make it clear

	hurry          = 60 * time.Millisecond // after the one before it, a probe is hurried
	rush           = 10 * time.Millisecond // after that, it is rushed
	longestHistory = 300                   // probes of a hop that are looked at, the latest ones
)

// passiveLoss returns verdicts by what was seen anyhow, without asking again.
func passiveLoss(k known, now time.Duration) map[uint8]probe.HopLoss {
	return verdictsOf(judgeRows(&k, nil, now, 0))
}

// lossRow is what is known about one hop.
type lossRow struct {
	ttl      uint8
	list     []asked
	all      tally
	again    tally // of them those of the second look
	hurried  tally // of the probes that came soon after one before
	rushed   tally // of the probes that came right after one before
	verdict  probe.HopLoss
	open     bool // loses, and it is not clear why
	doubtful bool // whether it limits may look different after more probes
	clear    bool // more probes would hardly change what is said
}

// tally counts probes.
type tally struct{ n, lost int }

// count counts a if it belongs there.
func (t *tally) count(a *asked, belongs bool) {
	if belongs {
		t.n++
		t.lost += 1 - one(a.answered)
	}
}

// judgeRows judges the fate of all usual probes, own those of a second look. None
// is lost that was sent less than wait ago.
func judgeRows(k *known, own []*attempt, now, wait time.Duration) []*lossRow {
	rows := lossRows(k, own, now, now-wait)
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
// answered say nothing: unanswered ones sent after until.
func lossRows(k *known, own []*attempt, now, until time.Duration) []*lossRow {
	var rows []*lossRow
	for ttl := int(k.first); ttl <= int(k.last); ttl++ {
		rows = append(rows, &lossRow{ttl: uint8(ttl)})
	}
	add := func(list []*attempt, second bool) {
		for _, a := range list {
			lost := k.unanswered(a, now) && a.sent <= until
			i := int(k.row(a)) - int(k.first)
			if i >= 0 && i < len(rows) && k.usual(a) && (lost || a.state == answered) {
				rows[i].list = append(rows[i].list, asked{sent: a.sent, answered: !lost, rtt: a.rtt(), second: second})
			}
		}
	}
	add(k.attempts, false)
	add(own, true)
	for _, r := range rows {
		r.count()
	}
	return rows
}

// count puts the probes in order and counts them.
func (r *lossRow) count() {
	slices.SortStableFunc(r.list, func(a, b asked) int { return cmp.Compare(a.sent, b.sent) })
	r.list = r.list[max(0, len(r.list)-longestHistory):]
	for i := range r.list {
		a := &r.list[i]
		r.all.count(a, true)
		r.again.count(a, a.second)
		gap := time.Duration(math.MaxInt64)
		if i > 0 {
			gap = a.sent - r.list[i-1].sent
		}
		r.hurried.count(a, gap < hurry)
		r.rushed.count(a, gap < rush)
	}
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
