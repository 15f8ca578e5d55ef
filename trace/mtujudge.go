package trace

import (
	"slices"
	"time"
)

// usualMTUs are sizes that links and tunnels really have: the plateaus of RFC
// 1191 section 7.1, jumbo Ethernet, PPPoE (RFC 2516), the usual tunnels, the
// IPv6 minimum (RFC 8200).
var usualMTUs = []int{
	68, 296, 508, 576, 1006, 1280, 1400, 1420, 1436, 1450, 1460, 1472, 1476, 1480, 1492, 1500,
	2002, 4352, 8166, 9000, 9216, 16384, 17914, 32000, 65535,
}

// judge takes in a round, and begins the next one or ends the search.
func (p *mtuPhase) judge(now time.Duration) {
	shots := p.round()
	if !slices.ContainsFunc(shots, func(s *mtuShot) bool { return s.state != failed }) {
		p.giveUp()
		return
	}
	switch p.step {
	case mtuWalk:
		p.judgeWalk(now, shots)
	case mtuProve:
		p.judgeProof(now, shots)
	case mtuSearch, mtuRecheck:
		p.judgeSearch(now, shots)
	}
}

// walk sends packets of the size to all hops behind the last that is known to be
// reached by it.
func (p *mtuPhase) walk(now time.Duration, size int) {
	p.step, p.size = mtuWalk, size
	for _, r := range p.rows[p.reached(size)+1:] {
		p.shoot(r, size, mtuTries, now)
	}
}

func (p *mtuPhase) judgeWalk(now time.Duration, shots []*mtuShot) {
	far := p.reached(p.size)
	switch {
	case far == len(p.rows)-1:
		p.passed(now)
	case p.refused(now, shots):
	default:
		p.prove(now)
	}
}

// giveUp ends a search that cannot go on.
func (p *mtuPhase) giveUp() {
	p.found.Partial = true
	p.finish(p.hop)
}

// passed goes on when a size came through: all there is to know, unless something
// between it and what failed may come through as well.
func (p *mtuPhase) passed(now time.Duration) {
	if p.fails-p.end.pass <= 1 {
		p.finish(p.hop)
		return
	}
	p.search(now)
}

// refused reports whether somebody said that packets are too large, and tries
// the size named. One that is not below the packet's size, or below what has
// been answered, is not believed.
func (p *mtuPhase) refused(now time.Duration, shots []*mtuShot) bool {
	var by *mtuShot
	for _, s := range shots {
		if s.tooLarge && s.size > p.end.pass && (by == nil || s.size < by.size || s.size == by.size && s.mtu < by.mtu) {
			by = s
		}
	}
	if by == nil {
		return false
	}
	p.blame(by)
	if named := by.mtu; named > p.end.pass && named < by.size && p.names < mtuNames {
		p.names++
		p.fails = named + 1 // what lies above needs no trial: the router said so
		p.walk(now, named)
	} else {
		if named == p.end.pass {
			p.fails = named + 1
		}
		p.passed(now)
	}
	return true
}

// blame notes who said that a size does not come through.
func (p *mtuPhase) blame(s *mtuShot) {
	p.fails = min(p.fails, s.size)
	p.found.From, p.found.Local = s.from, !s.from.IsValid()
	if p.hop = 0; s.from.IsValid() {
		p.hop = p.k.distance(s.from)
		if far := p.reached(s.size); p.hop == 0 && far >= 0 {
			p.hop = p.rows[far].ttl
		}
	}
}

// prove sends large and small packets to all hops that do not answer large ones,
// in an order that gives each kind the same chance at a hop that answers few.
func (p *mtuPhase) prove(now time.Duration) {
	p.step = mtuProve
	for _, r := range p.rows[p.reached(p.size)+1:] {
		due := now
		if p.proofs > 0 {
			due += mtuProofWait
		}
		for i := range 2 * mtuProofs {
			size := p.size
			if i%4 == 1 || i%4 == 2 {
				size = p.k.size
			}
			p.shoot(r, size, 1, due)
			due += mtuProofGap
		}
	}
	p.proofs++
}

func (p *mtuPhase) judgeProof(now time.Duration, shots []*mtuShot) {
	alive, far := 0, p.reached(p.size)
	for _, s := range shots {
		if s.size != p.size && s.state == answered {
			alive++
		}
	}
	switch {
	case far == len(p.rows)-1:
		p.passed(now)
	case p.refused(now, shots):
	case slices.ContainsFunc(shots, func(s *mtuShot) bool { return s.size == p.size && s.state == answered }) && p.proofs < 4:
		p.prove(now) // it came farther than before
	case alive >= mtuAlive:
		p.found.BlackHole, p.fails = true, p.size
		if p.hop = 0; far >= 0 {
			p.hop = p.rows[far].ttl
		}
		p.passed(now)
	case p.proofs < 2:
		p.prove(now)
	default:
		p.giveUp()
	}
}

// search tries many sizes at once, to the end of the path.
func (p *mtuPhase) search(now time.Duration) {
	p.step = mtuSearch
	due := now
	for _, size := range mtuCandidates(p.end.pass, p.fails, p.named) {
		p.shoot(p.end, size, 1, due)
		due += time.Millisecond
	}
	p.control(due)
}

// control sends small packets behind large ones: only if they are answered says
// silence about the large ones something.
func (p *mtuPhase) control(due time.Duration) {
	for i := range mtuControls {
		p.shoot(p.end, p.k.size, 1, due+time.Duration(i)*mtuProofGap)
	}
}

// mtuCandidates returns sizes to try above fits and below fails: all if they are
// few, else those that links have and others evenly between.
func mtuCandidates(fits, fails, named int) []int {
	var list []int
	if fails-fits-1 <= mtuSizes {
		for size := fits + 1; size < fails; size++ {
			list = append(list, size)
		}
		return list
	}
	for i := range mtuSizes / 2 {
		list = append(list, fits+(i+1)*(fails-fits)/(mtuSizes/2+1))
	}
	var usual []int
	for _, size := range append([]int{named, named + 1}, usualMTUs...) {
		if size > fits && size < fails {
			usual = append(usual, size)
		}
	}
	for len(usual) > mtuSizes/2 {
		usual = slices.Delete(usual, 0, 1) // links are rarely narrower by much
	}
	list = append(list, usual...)
	slices.Sort(list)
	return slices.Compact(list)
}

func (p *mtuPhase) judgeSearch(now time.Duration, shots []*mtuShot) {
	alive := false
	silent := p.fails // smallest size without any answer
	p.named = 0
	for _, s := range shots {
		switch {
		case s.tooLarge && s.size > p.end.pass:
			if s.size <= p.fails {
				p.blame(s)
			}
			if s.mtu > p.end.pass && s.mtu < p.fails {
				p.named = s.mtu
			}
		case s.size > p.end.pass && s.state == overdue:
			silent = min(silent, s.size)
		case s.size == p.k.size && s.state == answered:
			alive = true
		}
	}
	switch {
	case silent >= p.fails:
		p.passed(now)
	case !alive && p.deaf > 0:
		p.giveUp()
	case !alive:
		p.deaf++
		p.search(now)
	case p.step == mtuRecheck && silent == p.size:
		p.fails = silent
		p.passed(now)
	default:
		p.recheck(now, silent)
	}
}

// recheck sends more packets of a size that was not answered: some get lost for
// other reasons.
func (p *mtuPhase) recheck(now time.Duration, size int) {
	p.step, p.size = mtuRecheck, size
	for i := range mtuConfirm {
		p.shoot(p.end, size, 1, now+time.Duration(i)*mtuProofGap)
	}
	p.control(now + mtuConfirm*mtuProofGap)
}
