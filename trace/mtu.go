package trace

import (
	"net/netip"
	"slices"
	"time"

	"netprobe/probe"
)

// Bounds of a search for the path MTU.
const (
	mtuTime     = 12 * time.Second
	mtuProbes   = 2000
	mtuTries    = 3  // probes of a size to a hop while walking
	mtuNames    = 8  // limits believed: more than any path has, and a router may lie each time
	mtuSizes    = 16 // tried at once when nobody names the limit
	mtuConfirm  = 4  // probes more before a size counts as lost without a word
	mtuControls = 3  // small probes behind them

	mtuProofs    = 4                       // large and small probes each to every hop behind a suspected black hole
	mtuAlive     = 3                       // small ones answered that prove it
	mtuProofGap  = 30 * time.Millisecond   // between them
	mtuProofWait = 1200 * time.Millisecond // before a second try, for hops that answer one a second

	defaultMTU = 1500      // without knowledge of the link
	largestMTU = 1<<16 - 1 // bytes, of any IP packet
)

// mtuPhase finds the path MTU hop by hop. It sends the largest packet that the
// link takes to all hops at once: those that answer have been reached. A router
// that names a limit (RFC 1191, RFC 8201) is taken at its word, once. Where
// large packets vanish while small ones are answered there is a black hole (RFC
// 2923), and the limit is found by trying many sizes at once.
type mtuPhase struct {
	k    known
	link int
	wait time.Duration
	rows []*mtuRow // hops that answer, by distance
	end  *mtuRow   // the target's, or that of the farthest hop

	step   mtuStep
	size   int // walked with, or proven
	fails  int // smallest size known not to come through
	named  int // not yet tried; 0 for none
	names  int // how many limits were named
	proofs int // rounds of proof
	deaf   int // rounds in which not even small packets were answered
	shots  []*mtuShot
	open   int // shots of this round that are not decided
	queue  []*mtuShot
	sent   int
	begun  bool
	begin  time.Duration

	found probe.PathMTU
	hop   uint8 // before the narrow link
}

// mtuRow is a hop.
type mtuRow struct {
	ttl  uint8
	pass int // largest packet it answered, bytes
}

// mtuShot is a packet to a hop, sent up to so many times.
type mtuShot struct {
	row      *mtuRow
	size     int
	tries    int
	due      time.Duration
	state    state
	tooLarge bool       // somebody said so
	mtu      int        // named
	from     netip.Addr // by this router; not valid if it was our own host
	last     bool       // of a round that is over
}

// mtuStep is what a round of shots is for.
type mtuStep uint8

const (
	mtuWalk    mtuStep = iota // how far does this size come
	mtuProve                  // is it a black hole
	mtuSearch                 // which sizes come through
	mtuRecheck                // is the smallest that did not really too large
	mtuOver
)

// newMTU returns a phase that begins with the MTU of our own link, 0 if that is
// not known.
func newMTU(k known, link int) *mtuPhase {
	if link <= 0 {
		link = defaultMTU
	}
	p := &mtuPhase{k: k, link: min(link, largestMTU), wait: k.patience()}
	for _, a := range k.attempts {
		if a.state == answered && k.usual(a) && (a.fromHop() || a.fromTarget()) {
			r := p.row(k.row(a))
			if r == nil {
				r = &mtuRow{ttl: k.row(a)}
				p.rows = append(p.rows, r)
			}
			r.pass = max(r.pass, k.size)
		}
	}
	slices.SortFunc(p.rows, func(a, b *mtuRow) int { return int(a.ttl) - int(b.ttl) })
	if len(p.rows) == 0 {
		p.step, p.found.Partial = mtuOver, true
		return p
	}
	p.end = p.rows[len(p.rows)-1]
	p.fails = p.link + 1
	p.size = p.link
	if p.link <= p.end.pass {
		p.finish(0)
	}
	return p
}

// row returns the row with the TTL, nil if that hop does not answer.
func (p *mtuPhase) row(ttl uint8) *mtuRow {
	for _, r := range p.rows {
		if r.ttl == ttl {
			return r
		}
	}
	return nil
}

func (p *mtuPhase) next(now time.Duration) (o order, wake time.Duration, ok bool) {
	p.advance(now)
	wake = probe.Never
	for i, s := range p.queue {
		if s.due > now {
			wake = min(wake, s.due)
			continue
		}
		p.queue = slices.Delete(p.queue, i, i+1)
		s.tries--
		p.sent++
		tag := slices.Index(p.shots, s)
		return order{ttl: s.row.ttl, size: s.size, wait: p.wait, tag: tag}, 0, true
	}
	return o, wake, false
}

// advance begins the first round, and each next one when all shots are decided.
func (p *mtuPhase) advance(now time.Duration) {
	if !p.begun {
		p.begun, p.begin = true, now
		if p.step != mtuOver {
			p.walk(now, p.size)
		}
	}
	if p.step != mtuOver && (now-p.begin > mtuTime || p.sent > mtuProbes) {
		p.found.Partial = true
		p.finish(p.hop)
	}
	for p.step != mtuOver && p.open == 0 {
		p.judge(now)
	}
}

func (p *mtuPhase) done(now time.Duration) bool {
	p.advance(now)
	return p.step == mtuOver
}

// shoot adds a shot to the round.
func (p *mtuPhase) shoot(r *mtuRow, size, tries int, due time.Duration) {
	s := &mtuShot{row: r, size: size, tries: tries, due: due}
	p.shots = append(p.shots, s)
	p.queue = append(p.queue, s)
	p.open++
}

// round returns the shots of the round that is over now.
func (p *mtuPhase) round() (list []*mtuShot) {
	for _, s := range p.shots {
		if !s.last {
			s.last = true
			list = append(list, s)
		}
	}
	return list
}

func (p *mtuPhase) tell(_ time.Duration, a *attempt) {
	if a.tag < 0 || a.tag >= len(p.shots) || a.state == inFlight {
		return
	}
	s := p.shots[a.tag]
	if a.state == answered {
		p.learn(s, a)
		return
	}
	if s.last || s.state == answered {
		return
	}
	switch {
	case a.state == failed && tooLarge(a):
		s.tooLarge, s.mtu = true, a.res.MTU
		p.settle(s, answered)
	case s.tries > 0:
		p.queue = append(p.queue, s)
	default:
		p.settle(s, a.state)
	}
}

// learn takes in an answer, perhaps a late one.
func (p *mtuPhase) learn(s *mtuShot, a *attempt) {
	switch {
	case a.fromHop() || a.fromTarget() && !tooLarge(a):
		s.row.pass = max(s.row.pass, s.size)
		if p.step == mtuWalk && s.row == p.end && s.size == p.size {
			p.settleAll() // it came through: no need to ask on the way
		}
	case tooLarge(a):
		s.tooLarge, s.mtu, s.from = true, a.res.MTU, a.res.From
		p.stopAgain()
	}
	if !s.last && s.state != answered {
		p.settle(s, answered)
	}
}

// tooLarge reports whether somebody on the way, or our own host, says that a was
// too large.
func tooLarge(a *attempt) bool {
	return a.res.Reason == probe.FragNeeded || a.res.Reason == probe.PacketTooBig
}

// settle decides a shot.
func (p *mtuPhase) settle(s *mtuShot, to state) {
	if s.state == inFlight {
		p.open--
	}
	s.state = to
	p.queue = slices.DeleteFunc(p.queue, func(q *mtuShot) bool { return q == s })
}

// settleAll ends a round.
func (p *mtuPhase) settleAll() {
	for _, s := range p.shots {
		if s.state == inFlight {
			p.settle(s, overdue)
		}
	}
}

// stopAgain lets nothing be sent again in a walk: it is clear how to go on.
func (p *mtuPhase) stopAgain() {
	for _, s := range p.shots {
		if p.step == mtuWalk && s.state == inFlight && !slices.Contains(p.queue, s) {
			s.tries = 0
		}
	}
}

// reached returns the index of the farthest row that answered a packet of the
// size, -1 if none did.
func (p *mtuPhase) reached(size int) int {
	for i := len(p.rows) - 1; i >= 0; i-- {
		if p.rows[i].pass >= size {
			return i
		}
	}
	return -1
}

// finish ends the search. hop is the last one before the narrow link.
func (p *mtuPhase) finish(hop uint8) {
	p.step, p.open, p.queue = mtuOver, 0, nil
	p.found.MTU = p.end.pass
	if p.found.MTU >= p.link {
		p.found.Local, p.found.BlackHole = true, false
	}
	if p.found.Local {
		hop = 0
	}
	p.hop = hop
}

// result returns the path MTU, and the TTL of the hop before the narrow link: 0
// if that is our own or not known. Before the end of the phase it is partial.
func (p *mtuPhase) result() (*probe.PathMTU, uint8) {
	r := p.found
	if p.step != mtuOver {
		r.Partial = true
		if p.end != nil {
			r.MTU = p.end.pass
		}
	}
	return &r, p.hop
}

// mtuAt returns the size of the largest packet that came as far as the hop with
// the TTL, in bytes; 0 if unknown. What a hop behind it answered came there too.
func (p *mtuPhase) mtuAt(ttl uint8) (most int) {
	for _, r := range p.rows {
		if r.ttl >= ttl {
			most = max(most, r.pass)
		}
	}
	return most
}
