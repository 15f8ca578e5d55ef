package trace

import (
	"time"

	"netprobe/probe"
)

// How hops are asked again. The medium pace is faster than hops commonly answer,
// so it empties their buckets; what then is answered at the calm pace tells the
// rate. A hop that keeps up with the medium pace is asked at the fast one.
const (
	mediumProbes, mediumGap = 60, 25 * time.Millisecond
	fastProbes, fastGap     = 60, 5 * time.Millisecond
	calmProbes, calmGap     = 48, 125 * time.Millisecond
	slowProbes, slowGap     = 4, 600 * time.Millisecond // for hops that never answered

	laneShift = time.Millisecond // between hops
	lossTime  = 9 * time.Second  // nothing is asked after that
)

// lossPhase finds out why hops did not answer every probe: it asks those that
// lost again, at several paces, and the target beside them. When the target
// loses too all hops are asked, to find where that begins.
type lossPhase struct {
	k     known
	hops  []*lossHop // by TTL from k.first
	own   []*attempt
	gone  map[*attempt]bool // overdue once
	wait  time.Duration
	begun bool
	begin time.Duration
	now   time.Duration // latest that we were told
	found map[uint8]probe.HopLoss
}

// lossHop is what is asked of one hop.
type lossHop struct {
	ttl     uint8
	silent  bool // nothing of it was answered so far
	suspect bool // it lost something before

	pace    pace
	left    int           // probes to send at this pace
	due     time.Duration // when the next one is
	open    int           // sent, and neither answered nor overdue
	lost    int           // overdue ones
	flights int           // how many left at all
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
	for _, a := range k.attempts {
		h := p.hop(k.row(a))
		if h == nil || !k.usual(a) || a.state == failed {
			continue
		}
		h.flights++
		h.silent = h.silent && a.state != answered
		h.suspect = h.suspect || a.state != answered
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
	h.pace, h.due = to, now
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

func (h *lossHop) gap() time.Duration {
	switch h.pace {
	case slow:
		return slowGap
	case fast:
		return fastGap
	case calm:
		return calmGap
	}
	return mediumGap
}

// asking reports whether a hop other than the target is being asked, for which
// the target is the measure.
func (p *lossPhase) asking() bool {
	for _, h := range p.hops {
		if h != p.target() && h.pace > slow && h.pace < over {
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
	if now-p.begin > lossTime {
		p.end()
	}
	p.advance(now)
	var first *lossHop
	for _, h := range p.hops {
		if h.left > 0 && (first == nil || h.due < first.due) {
			first = h
		}
	}
	if first == nil {
		return o, probe.Never, false
	}
	if first.due > now {
		return o, first.due, false
	}
	first.left--
	first.open++
	first.due = max(first.due+first.gap(), now+first.gap()/2)
	return order{ttl: first.ttl, size: p.k.size, wait: p.wait, tag: int(first.pace)}, 0, true
}

// advance changes the pace of hops whose probes are all decided.
func (p *lossPhase) advance(now time.Duration) {
	target := p.target()
	for _, h := range p.hops {
		if h.pace == resting && !h.silent && target != nil && (target.suspect || target.lost > 0) {
			h.set(medium, now+time.Duration(h.ttl)*laneShift)
		}
		if h.pace == slow && !h.silent {
			h.set(medium, now)
		}
		if h.left > 0 || h.open > 0 || h == target {
			continue
		}
		h.advance(now)
	}
	if target == nil || target.left > 0 || target.open > 0 {
		return
	}
	if target.pace == medium && p.asking() {
		target.set(calm, now)
		return
	}
	target.advance(now)
}

// advance goes on to the next pace.
func (h *lossHop) advance(now time.Duration) {
	switch h.pace {
	case resting:
	case medium:
		if h.suspect && h.lost == 0 {
			h.set(fast, now)
		} else {
			h.set(calm, now)
		}
	case fast:
		if h.pace = over; h.lost > 0 {
			h.set(calm, now)
		}
	default:
		h.pace = over
	}
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
	case failed:
		h.open--
	case overdue:
		h.open--
		h.lost++
		p.gone[a] = true
	case answered:
		h.silent = false
		if p.gone[a] {
			h.lost--
		} else {
			h.open--
		}
	}
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
	for _, h := range p.hops {
		if h.left > 0 || h.open > 0 && now-p.begin < lossTime+p.wait+time.Second {
			return false
		}
	}
	return true
}

// verdicts returns what is the matter with each hop, by TTL. A hop behind the
// start of a loss that loses no more than its start explains has none.
func (p *lossPhase) verdicts() map[uint8]probe.HopLoss {
	if p.found == nil {
		p.found = lossVerdicts(&p.k, append(p.k.attempts[:len(p.k.attempts):len(p.k.attempts)], p.own...), p.now)
	}
	return p.found
}
