package trace

import (
	"math"
	"time"
)

// mdaGroup is a hop that flows pass, seen from the level behind it. Where packets
// are balanced one by one, all hops of a level are one group: nobody knows which
// of them a packet passes.
type mdaGroup struct {
	flows   []int // that pass
	free    []int // of them, not asked about at the next level
	tested  int   // of them, known there
	waiting int
	next    map[int16]int // next hops, and how many of the flows go there
}

// noGroup is what flows belong to whose hop is not known, or is the last.
const noGroup = -1

// group returns the group of a flow at a level; that of all flows before the
// first level is 0.
func (p *mdaPhase) group(level, flow int) int {
	if level < 0 {
		return 0
	}
	l := p.levels[level]
	c := l.at(flow)
	switch {
	case c.state != mdaSeen || l.nodes[c.node].end:
		return noGroup
	case l.perPacket:
		return 0
	}
	return int(c.node)
}

// plan orders what is lacking at all levels.
func (p *mdaPhase) plan(now time.Duration) {
	p.lacks = false
	for i := -1; i+1 < len(p.levels); i++ {
		p.reopen(now, i+1)
		groups := p.groups(i)
		for g, group := range groups {
			if group == nil {
				continue
			}
			p.extend(i, g, group)
			p.repeat(i, group)
		}
	}
}

// reopen asks again about flows that were thought silent when less was known.
func (p *mdaPhase) reopen(now time.Duration, level int) {
	l := p.levels[level]
	n, _ := p.tries(l)
	for f := range l.cells {
		c := &l.cells[f]
		silent := c.state == mdaSeen && !l.nodes[c.node].addr.IsValid()
		if silent && int(c.tries) < n || c.state == mdaNone && c.tries > 0 {
			p.again(now, level, f)
		}
	}
}

// groups sorts the flows by the hop they pass at a level, and looks at where
// they go from there.
func (p *mdaPhase) groups(level int) []*mdaGroup {
	next := p.levels[level+1]
	width, flows := 1, p.flows
	if level >= 0 {
		width, flows = len(p.levels[level].nodes), len(p.levels[level].cells)
	}
	groups := make([]*mdaGroup, width)
	for f := range flows {
		g := p.group(level, f)
		if g == noGroup {
			continue
		}
		if groups[g] == nil {
			groups[g] = &mdaGroup{next: map[int16]int{}}
		}
		group := groups[g]
		group.flows = append(group.flows, f)
		switch c := next.at(f); c.state {
		case mdaNone:
			if f < p.flows {
				group.free = append(group.free, f)
			}
		case mdaWaiting:
			group.waiting++
		case mdaSeen:
			group.tested++
			group.next[c.node]++
		}
	}
	return groups
}

// extend sends more flows through a hop if it takes them to know its next hops.
func (p *mdaPhase) extend(level, g int, group *mdaGroup) {
	ways := len(group.next)
	if next := p.levels[level+1]; next.perPacket {
		ways = max(ways, next.width())
	}
	missing := p.stops.after(max(ways, 1)) - group.tested - group.waiting
	for missing > 0 && len(group.free) > 0 {
		p.ask(level+1, group.free[0])
		group.free = group.free[1:]
		missing--
	}
	if missing <= 0 {
		return
	}
	if level < 0 || !p.find(level, g, group, missing) {
		p.lacks = true
	}
}

// ask orders a probe about a flow at a level where it is not known.
func (p *mdaPhase) ask(level, flow int) {
	p.levels[level].cell(flow).state = mdaWaiting
	p.push(mdaOrder{level: level, flow: flow})
}

// find looks for so many more flows that pass a hop, first among those that pass
// a hop before it, then among those nobody knows anything about. It reports
// whether there is hope.
func (p *mdaPhase) find(level, g int, group *mdaGroup, missing int) bool {
	before := p.groupsBefore(level, group)
	var near, far []int          // flows to ask about
	var nearSeen, farSeen int    // known at this level
	var nearWaiting, farWait int // asked already
	var passed, passedBefore int // flows known before this level, and those of before
	l := p.levels[level]
	for f := range p.flows {
		c, b := l.at(f), p.group(level-1, f)
		unknown := level > 0 && p.levels[level-1].at(f).state != mdaSeen
		ours := b != noGroup && before[b]
		if level > 0 && !unknown {
			passed++
			if ours {
				passedBefore++
			}
		}
		switch {
		case !ours && !unknown:
		case c.state == mdaNone && ours:
			near = append(near, f)
		case c.state == mdaNone:
			far = append(far, f)
		case c.state == mdaWaiting && ours:
			nearWaiting++
		case c.state == mdaWaiting:
			farWait++
		case ours:
			nearSeen++
		default:
			farSeen++
		}
	}
	// So many of those that pass before it come through the hop.
	share := float64(len(group.flows)) / float64(max(nearSeen+farSeen, len(group.flows)))
	want := int(math.Ceil(float64(missing)/share)) - nearWaiting
	want = min(want, max(16, nearSeen+farSeen)) // the share is a guess: at most twice as many flows in a plan
	for want > 0 && len(near) > 0 {
		p.ask(level, near[0])
		near = near[1:]
		want--
	}
	if want <= 0 {
		return true
	}
	if passed > 0 && passedBefore > 0 {
		want = min(want*passed/passedBefore, max(16, passed))
	}
	want -= farWait
	for want > 0 && len(far) > 0 {
		p.ask(level, far[0])
		far = far[1:]
		want--
	}
	return want <= 0
}

// groupsBefore returns the groups at the level before that flows of the group
// come from.
func (p *mdaPhase) groupsBefore(level int, group *mdaGroup) map[int]bool {
	before := map[int]bool{}
	for _, f := range group.flows {
		if b := p.group(level-1, f); b != noGroup {
			before[b] = true
		}
	}
	return before
}

// repeat asks about one and the same flow behind a hop with several next hops,
// until it is clear whether the hop balances by flow.
func (p *mdaPhase) repeat(level int, group *mdaGroup) {
	next := p.levels[level+1]
	if next.perPacket || len(group.next) < 2 {
		return
	}
	for _, f := range group.flows {
		c := next.cell(f)
		if c.state != mdaSeen || !next.nodes[c.node].addr.IsValid() {
			continue
		}
		n := p.stops.repeats()
		c.asks = max(c.asks, c.same-1)
		for int(c.same) < n && int(c.asks) < n-1 {
			c.asks++
			p.push(mdaOrder{level: level + 1, flow: f, repeat: true})
		}
		return
	}
}
