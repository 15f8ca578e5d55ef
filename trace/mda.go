package trace

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"netprobe/probe"
)

// Bounds of a search for all paths.
const (
	mdaFlows  = 1024
	mdaProbes = 20_000
	mdaTime   = 12 * time.Second
	mdaStep   = 5 * time.Millisecond // between two plans, so that they take in several answers
	mdaBeyond = 8                    // TTLs behind the target's distance: some paths are longer

	mdaSends  = 3    // failed sends of one probe before it is given up
	mdaTries  = 4    // probes without answer before a hop is silent on that flow, where others are answered; more where probes get lost
	mdaMost   = 10   // at most so many
	mdaLess   = 3    // do where one flow was silent for all of them
	mdaLeast  = 2    // do where nobody was ever answered
	mdaDoubt  = 1e-5 // chance that all of them got lost
	mdaFaulty = 0.4  // share of lost probes above which silence says nothing
)

// mdaPhase finds every equal-cost path by the multipath detection algorithm with
// node control: each hop is passed by as many flows as it takes to know all its
// next hops, and these flows are found by asking which of them come through.
// What all hops of all TTLs lack is asked at once, again and again, so the
// search takes a few round trips.
type mdaPhase struct {
	k      known
	stops  *stopPoints
	wait   time.Duration
	levels []*mdaLevel // by TTL from k.first
	flows  int         // how many may be used

	queue  []mdaOrder // to send now
	later  []mdaOrder // to send when due
	gone   map[*attempt]bool
	open   int // ordered, and neither answered nor overdue
	sent   int
	begun  bool
	begin  time.Duration
	dirty  bool          // something was learned since the last plan
	planAt time.Duration // not before
	lacks  bool          // the last plan could not ask all it should
}

// mdaRepeat is the tag of a repeat.
const mdaRepeat = 1

// mdaOrder asks again or anew about a flow at a level.
type mdaOrder struct {
	level, flow int
	due         time.Duration
	repeat      bool // the flow was answered before: is it the same hop each time
}

// mdaLevel is all that is known about one TTL.
type mdaLevel struct {
	nodes     []mdaNode
	cells     []mdaCell // by flow
	extra     []mdaExtra
	perPacket bool
	tried     int  // probes to cells that were answered in the end
	missed    int  // of them without an answer
	silent    bool // it is clear that some flow is not answered
}

// mdaNode is a hop. One that does not answer has no address; all of a TTL are
// one.
type mdaNode struct {
	addr netip.Addr
	end  bool // the target, or a router that says that the path leads nowhere
}

// mdaExtra says that a flow was seen at a further hop.
type mdaExtra struct{ flow, node int }

// mdaCell is what is known about one flow at one TTL.
type mdaCell struct {
	state mdaState
	node  int16 // valid if seen
	tries uint8 // without answer
	fails uint8 // sends
	asks  uint8 // repeats ordered
	same  uint8 // answers of the node
	lost  uint8 // repeats without answer
}

type mdaState uint8

const (
	mdaNone    mdaState = iota
	mdaWaiting          // asked, or to be asked
	mdaSeen             // node is where the flow passes
	mdaGivenUp          // nothing can be learned
)

// newMDA returns a phase that misses a next hop of any one hop with at most the
// chance that is left by confidence; 0 means 0.95.
func newMDA(k known, confidence float64) *mdaPhase {
	p := &mdaPhase{k: k, stops: newStopPoints(confidence), wait: k.patience(), flows: mdaFlows,
		gone: map[*attempt]bool{}, dirty: true}
	last := int(k.last)
	if k.reached {
		last = min(last+mdaBeyond, 255)
		if k.max > 0 {
			last = min(last, max(int(k.max), int(k.last)))
		}
	}
	for ttl := int(k.first); ttl <= last && k.last >= k.first; ttl++ {
		p.levels = append(p.levels, &mdaLevel{})
	}
	for _, a := range k.attempts {
		if i := int(a.ttl) - int(k.first); i >= 0 && i < len(p.levels) && k.usual(a) {
			p.learnOld(i, a)
		}
	}
	return p
}

// learnOld takes in a probe of an earlier phase.
func (p *mdaPhase) learnOld(i int, a *attempt) {
	switch c := p.levels[i].cell(0); a.state {
	case answered:
		p.learn(i, a)
	case overdue, inFlight:
		c.tries = min(c.tries+1, mdaTries)
	}
}

// cell returns the cell of a flow.
func (l *mdaLevel) cell(flow int) *mdaCell {
	for len(l.cells) <= flow {
		l.cells = append(l.cells, mdaCell{})
	}
	return &l.cells[flow]
}

// at returns what is known about a flow without making a cell for it.
func (l *mdaLevel) at(flow int) mdaCell {
	if flow < len(l.cells) {
		return l.cells[flow]
	}
	return mdaCell{}
}

// width returns how many hops there are.
func (l *mdaLevel) width() (n int) {
	for i := range l.nodes {
		if l.nodes[i].addr.IsValid() {
			n++
		} else if slices.ContainsFunc(l.cells, func(c mdaCell) bool { return c.state == mdaSeen && int(c.node) == i }) {
			n++
		}
	}
	return n
}

// node returns the number of the hop with the address.
func (l *mdaLevel) node(addr netip.Addr, end bool) int {
	for i := range l.nodes {
		if l.nodes[i].addr == addr {
			l.nodes[i].end = l.nodes[i].end || end
			return i
		}
	}
	l.nodes = append(l.nodes, mdaNode{addr, end})
	return len(l.nodes) - 1
}

// learn takes in an answer.
func (p *mdaPhase) learn(i int, a *attempt) {
	l := p.levels[i]
	n := l.node(a.res.From, !a.fromHop())
	c := l.cell(int(a.flow))
	switch {
	case c.state == mdaSeen && l.nodes[c.node].addr.IsValid():
		if int(c.node) == n {
			c.same++
			return
		}
		l.perPacket = true
		l.extra = append(l.extra, mdaExtra{int(a.flow), n})
	default:
		c.state, c.node, c.same = mdaSeen, int16(n), 1
		l.tried += int(c.tries) + 1
		l.missed += int(c.tries)
	}
}

func (p *mdaPhase) tell(now time.Duration, a *attempt) {
	i := int(a.ttl) - int(p.k.first)
	if i < 0 || i >= len(p.levels) {
		return
	}
	c := p.levels[i].cell(int(a.flow))
	switch a.state {
	case inFlight:
		return
	case answered:
		if !p.gone[a] {
			p.open--
		}
		delete(p.gone, a)
		p.learn(i, a)
	case overdue:
		p.open--
		p.gone[a] = true
		switch {
		case c.state == mdaWaiting:
			c.tries++
			p.again(now, i, int(a.flow))
		case a.tag == mdaRepeat && c.lost < mdaMost:
			c.lost++
			c.asks--
		}
	case failed:
		p.open--
		if c.fails++; c.state == mdaWaiting {
			p.failed(now, c, i, a)
		}
	}
	p.dirty = true
}

// failed gives a probe that could not be sent another chance. Where one after
// the other fails, the flow is more than our sockets can play.
func (p *mdaPhase) failed(now time.Duration, c *mdaCell, i int, a *attempt) {
	if c.fails < mdaSends {
		p.later = append(p.later, mdaOrder{level: i, flow: int(a.flow), due: now + p.wait/4})
		return
	}
	c.state = mdaGivenUp
	if a.flow > 0 {
		p.flows = min(p.flows, int(a.flow))
	}
}

// again asks once more about a flow that was not answered, later each time, or
// concludes that its hop is silent.
func (p *mdaPhase) again(now time.Duration, i, flow int) {
	l := p.levels[i]
	c := l.cell(flow)
	enough, faulty := p.tries(l)
	if int(c.tries) < enough {
		pause := [...]time.Duration{0, 0, p.wait, 2 * p.wait, 4 * p.wait}[min(int(c.tries), 4)]
		c.state = mdaWaiting
		p.later = append(p.later, mdaOrder{level: i, flow: flow, due: now + pause})
		return
	}
	if faulty {
		c.state = mdaGivenUp
		return
	}
	l.silent = l.silent || int(c.tries) >= mdaTries
	c.state, c.node = mdaSeen, int16(l.node(netip.Addr{}, false))
}

// tries returns how many probes must be silent before a hop is, and whether so
// many get lost that silence says nothing.
func (p *mdaPhase) tries(l *mdaLevel) (n int, faulty bool) {
	if l.tried == 0 {
		return mdaLeast, false
	}
	tried, missed := 1.0, 0.0
	for _, m := range p.levels {
		tried += float64(m.tried)
		missed += float64(m.missed)
	}
	share := (float64(l.missed) + 5*missed/tried) / (float64(l.tried) + 5)
	if share > 0 {
		n = int(math.Ceil(math.Log(mdaDoubt) / math.Log(share)))
	}
	if l.silent && n < mdaTries {
		return mdaLess, false
	}
	return min(max(n, mdaTries), mdaMost), share > mdaFaulty
}

func (p *mdaPhase) next(now time.Duration) (o order, wake time.Duration, ok bool) {
	p.advance(now)
	if len(p.queue) > 0 {
		q := p.queue[0]
		p.queue = p.queue[1:]
		p.sent++
		o = order{ttl: p.k.first + uint8(q.level), flow: uint16(q.flow), size: p.k.size, wait: p.wait}
		if q.repeat {
			o.tag = mdaRepeat
		}
		return o, 0, true
	}
	wake = probe.Never
	if p.dirty {
		wake = p.planAt
	}
	for i := range p.later {
		wake = min(wake, p.later[i].due)
	}
	if p.open > 0 {
		wake = min(wake, p.begin+p.longest())
	}
	return o, wake, false
}

// advance moves what is due to the queue, and plans.
func (p *mdaPhase) advance(now time.Duration) {
	if !p.begun {
		p.begun, p.begin = true, now
	}
	if now-p.begin > mdaTime || p.sent >= mdaProbes {
		p.lacks = p.lacks || p.dirty || len(p.queue)+len(p.later) > 0
		p.open -= len(p.queue) + len(p.later)
		p.queue, p.later, p.dirty = nil, nil, false
		return
	}
	kept := p.later[:0]
	for _, q := range p.later {
		if q.due <= now {
			p.push(q)
		} else {
			kept = append(kept, q)
		}
	}
	p.later = kept
	if p.dirty && now >= p.planAt && len(p.queue) == 0 {
		p.dirty, p.planAt = false, now+mdaStep
		p.plan(now)
	}
}

// push orders a probe.
func (p *mdaPhase) push(q mdaOrder) {
	p.queue = append(p.queue, q)
	p.open++
}

// longest is how long the phase may take in all.
func (p *mdaPhase) longest() time.Duration { return mdaTime + p.wait + time.Second }

func (p *mdaPhase) done(now time.Duration) bool {
	p.advance(now)
	late := p.begun && now-p.begin >= p.longest()
	return len(p.queue) == 0 && len(p.later) == 0 && !p.dirty && (p.open <= 0 || late)
}
