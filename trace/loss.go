package trace

import (
	"math"
	"time"

	"netprobe/probe"
)

// How hops are asked again: in turns of the medium and the calm pace, until it is
// clear why they lose. The medium pace is faster than hops commonly answer, so it
// empties their buckets; what then is answered at the calm pace tells the rate,
// and what repeats itself is not by chance. A hop that lost of the first probes,
// which came back to back, and keeps up with the medium pace, is asked at the
// fast one too.
const (
	mediumProbes, mediumGap = 60, 25 * time.Millisecond
	fastProbes, fastGap     = 60, 5 * time.Millisecond
	calmProbes, calmGap     = 20, 125 * time.Millisecond
	slowProbes, slowGap     = 3, 600 * time.Millisecond // for hops that never answered

	laneShift = time.Millisecond // between hops
	lossTime  = 9 * time.Second  // nothing is asked after that

	backToBack = 10 * time.Millisecond  // within that of the first probe
	checkEvery = 200 * time.Millisecond // at most: whether it is clear by now
	checkNews  = 16                     // outcomes, of which there are so many new ones
)

// lossPhase finds out why hops did not answer every probe: it asks those that
// lost again, at several paces, and the target beside them. When the target
// loses too all hops are asked, to find where that begins.
type lossPhase struct {
	k     known
	hops  []*lossHop // by TTL from k.first
	own   []*attempt
	gone  map[*attempt]bool // overdue once
	wait  time.Duration     // for answers
	late  bool              // some took longer
	begun bool
	begin time.Duration
	now   time.Duration // latest that we were told
	check time.Duration // when it is judged next whether all is clear
	news  int           // outcomes since it was last
	found map[uint8]probe.HopLoss
}

// lossHop is what is asked of one hop.
type lossHop struct {
	ttl     uint8
	silent  bool // nothing of it was answered so far
	suspect bool // it lost something before
	hasty   bool // and that of its first probes, which came back to back

	pace    pace
	left    int           // probes to send at this pace
	due     time.Duration // when the next one is
	open    int           // sent, and neither answered nor overdue
	lost    int           // overdue ones
	got     int           // answered ones
	flights int           // how many left at all
	sent    int           // of them those of this phase
	pressed int           // of those the ones before it came to the calm pace the last time
	round   int           // how often it came there
}

// pace is how fast a hop is asked.
type pace uint8

const (
	resting pace = iota // not asked so far
	slow
	medium
	fast
	calm
	over // not asked any more
)

func newLoss(k known) *lossPhase {
	p := &lossPhase{k: k, wait: k.patience(), gone: map[*attempt]bool{}}
	if k.last < k.first {
		return p
	}
	for ttl := int(k.first); ttl <= int(k.last); ttl++ {
		p.hops = append(p.hops, &lossHop{ttl: uint8(ttl), silent: true})
	}
	first := make([]time.Duration, len(p.hops))
	for _, a := range k.attempts {
		h := p.hop(k.row(a))
		if h == nil || !k.usual(a) || a.state == failed {
			continue
		}
		if h.flights++; h.flights == 1 {
			first[h.ttl-k.first] = a.sent
		}
		lost := a.state != answered
		h.silent = h.silent && lost
		h.suspect = h.suspect || lost
		h.hasty = h.hasty || lost && a.sent-first[h.ttl-k.first] < backToBack
	}
	return p
}

// hop returns the hop with the TTL, nil if it is none of ours.
func (p *lossPhase) hop(ttl uint8) *lossHop {
	if i := int(ttl) - int(p.k.first); i >= 0 && i < len(p.hops) {
		return p.hops[i]
	}
	return nil
}

// target returns the target's hop, nil if the target was not reached.
func (p *lossPhase) target() *lossHop {
	if !p.k.reached {
		return nil
	}
	return p.hop(p.k.last)
}

// start sets all hops going that are to be asked from the beginning.
func (p *lossPhase) start(now time.Duration) {
	p.begun, p.begin = true, now
	for _, h := range p.hops {
		switch {
		case h.flights > 0 && h.silent:
			h.set(slow, now)
		case h.suspect:
			h.set(medium, now)
		}
		h.due += time.Duration(h.ttl) * laneShift
	}
	if t := p.target(); t != nil && t.pace == resting && p.asking() {
		t.set(medium, now)
	}
}

// set changes the pace.
func (h *lossHop) set(to pace, now time.Duration) {
	h.pace, h.due = to, max(h.due, now)
	switch to {
	case slow:
		h.left = slowProbes
	case medium:
		h.left = mediumProbes
	case fast:
		h.left = fastProbes
	case calm:
		h.left = calmProbes
	}
}

// gap returns how long after a probe the next one is due, if so many are left at
// this pace. It differs from probe to probe: what comes at even times hides from
// us by how much a bucket has filled.
func (p pace) gap(left int) time.Duration {
	_, part := math.Modf(float64(left) * math.Phi)
	uneven := func(d time.Duration) time.Duration { return d/2 + time.Duration(part*float64(d)) }
	switch p {
	case slow:
		return slowGap
	case calm:
		return calmGap
	case fast:
		return uneven(fastGap)
	}
	return uneven(mediumGap)
}

// asked reports whether the hop is being asked, not counting hops that never
// answered.
func (h *lossHop) asked() bool { return h.pace > slow && h.pace < over }

// asking reports whether a hop other than the target is being asked, for which
// the target is the measure.
func (p *lossPhase) asking() bool {
	for _, h := range p.hops {
		if h != p.target() && h.asked() {
			return true
		}
	}
	return false
}

func (p *lossPhase) next(now time.Duration) (o order, wake time.Duration, ok bool) {
	p.now = now
	if !p.begun {
		p.start(now)
	}
	p.advance(now)
	var first *lossHop
	for _, h := range p.hops {
		if h.left > 0 && (first == nil || h.due < first.due) {
			first = h
		}
	}
	if first == nil {
		if rest := p.rest(); now < rest {
			return o, rest, false
		}
		return o, probe.Never, false
	}
	if first.due > now {
		return o, first.due, false
	}
	first.left--
	first.open++
	gap := first.pace.gap(first.left)
	first.due = max(first.due+gap, now+gap/2)
	return order{ttl: first.ttl, size: p.k.size, wait: p.wait, tag: int(first.pace)}, 0, true
}

// advance ends what is clear, and changes the pace of hops that have been asked
// at theirs.
func (p *lossPhase) advance(now time.Duration) {
	if now-p.begin > lossTime {
		p.end()
		return
	}
	p.settle(now)
	target := p.target()
	for _, h := range p.hops {
		if h.pace == resting && !h.silent && target != nil && (target.suspect || target.lost > 0) {
			h.set(medium, now+time.Duration(h.ttl)*laneShift)
		}
		if h.pace == slow && !h.silent {
			h.set(medium, now)
		}
		if h.left == 0 {
			h.advance(now)
		}
	}
}

// advance goes on to the next pace.
func (h *lossHop) advance(now time.Duration) {
	switch h.pace {
	case medium:
		if h.hasty && h.got >= h.lost {
			h.set(fast, now)
			return
		}
		fallthrough
	case fast:
		h.round++
		h.pressed = h.sent
		h.set(calm, now)
	case calm:
		h.set(medium, now)
	case slow:
		if h.open == 0 {
			h.pace = over
		}
	}
}

// settle stops asking hops about which all is clear; the target only after all
// others, as their measure.
func (p *lossPhase) settle(now time.Duration) {
	if now < p.check || p.news < checkNews {
		return
	}
	p.check, p.news = now+max(checkEvery, (now-p.begin)/8), 0
	rows := judgeRows(&p.k, p.own, now, p.wait)
	target := p.target()
	for i, r := range rows {
		h := p.hops[i]
		if h != target && h.asked() && r.clear && p.explored(h, r.verdict.Kind) {
			h.left, h.pace = 0, over
		}
	}
	if target != nil && target.asked() && !p.asking() && rows[len(rows)-1].clear {
		target.left, target.pace = 0, over
	}
}

// explored reports whether the hop was asked enough for such a verdict: a limit
// is clear when it is seen, a loss of the hop's own when it was asked at another
// pace as well, and not while the path loses too, which hides a limit.
func (p *lossPhase) explored(h *lossHop, kind probe.LossKind) bool {
	switch {
	case kind == probe.RateLimited:
		return true
	case h.round == 0 || h.got+h.lost < h.pressed:
		return false
	case kind == probe.HopLossOnly && h.lost > 0:
		t := p.target()
		return h.round > 1 && !t.suspect && t.lost == 0
	}
	return true
}

// end stops asking.
func (p *lossPhase) end() {
	for _, h := range p.hops {
		h.left = 0
		if h.pace != resting {
			h.pace = over
		}
	}
}

func (p *lossPhase) tell(now time.Duration, a *attempt) {
	p.now = now
	h := p.hop(a.ttl)
	if h == nil {
		return
	}
	switch a.state {
	case inFlight:
		p.own = append(p.own, a)
		h.flights++
		h.sent++
	case failed:
		h.open--
	case overdue:
		h.open--
		h.lost++
		p.news++
		p.gone[a] = true
	case answered:
		h.silent = false
		h.got++
		p.news++
		if p.gone[a] {
			h.lost--
			p.beLate(a)
		} else {
			h.open--
		}
	}
}

// beLate takes in that we did not wait long enough for a: others as late as that
// are not lost either.
func (p *lossPhase) beLate(a *attempt) {
	p.late, p.wait = true, min(max(p.wait, 2*a.rtt()), mostPatience)
}

func (p *lossPhase) done(now time.Duration) bool {
	if !p.begun {
		for _, h := range p.hops {
			if h.suspect {
				return false
			}
		}
		return true
	}
	p.advance(now)
	if now < p.rest() {
		return false
	}
	for _, h := range p.hops {
		if h.left > 0 || h.open > 0 && now-p.begin < lossTime+p.wait+time.Second {
			return false
		}
	}
	return true
}

// rest is until when answers may come to what was sent: later than usual, if
// some already did.
func (p *lossPhase) rest() time.Duration {
	if !p.late || len(p.own) == 0 {
		return 0
	}
	return p.own[len(p.own)-1].sent + p.wait
}

// verdicts returns what is the matter with each hop, by TTL. A hop behind the
// start of a loss that loses no more than its start explains has none.
func (p *lossPhase) verdicts() map[uint8]probe.HopLoss {
	if p.found == nil {
		p.found = verdictsOf(judgeRows(&p.k, p.own, p.now, p.wait))
	}
	return p.found
}
