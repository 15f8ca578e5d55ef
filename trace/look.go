package trace

import (
	"math"
	"net/netip"
	"time"

	"netprobe/probe"
)

// How long a look at a path lasts that is not told how long to wait.
const (
	// patience is what a look spends on hops that never answer, shared by all of
	// them: one hop missing on a path that is known otherwise is worth the wait
	// for a router that answers after a second, a network that hides its inside
	// is not.
	patience = 1290 * time.Millisecond
	// fairWait is the least a silent hop is given, and fairTrips how many times
	// the longest round trip of the path.
	fairWait  = 300 * time.Millisecond
	fairTrips = 3
	// restWait is the least that the other probes to a hop are given once one was
	// answered: nothing says that they must come in time too.
	restWait = 100 * time.Millisecond
	// quietWait is how long all must have been silent before a path that does not
	// reach its target is given up.
	quietWait = time.Second
	// longest bounds all of them: three trips over a satellite chain.
	longest = 5 * time.Second
)

const (
	// quick is how many probes a hop gets back to back; further ones come an
	// interval apart. Routers commonly answer six at once.
	quick = 3
	// window is how far beyond the farthest answer TTLs are tried.
	window = 30
	// gapLength is how many silent hops at the end of a path make a gap.
	gapLength = 5
	// doubt is the chance left that the target, not a silent hop, is at the TTL
	// before its nearest answer.
	doubt = 0.0005
	// maxAgain bounds the extra probes to one silent hop.
	maxAgain = 10
)

// look is the first phase: it finds out who answers at which distance. All TTLs
// are probed at once, each hop's first probes back to back: so the target is
// asked in full before what overshoots it uses up what it answers in a second.
type look struct {
	first, max uint8
	count      int           // probes per hop
	interval   time.Duration // between those beyond quick
	timeout    time.Duration // 0 decides by what the path is like
	once       bool          // silent hops are not asked again
	wait       time.Duration // after which a probe is overdue; 0 for never
	flows      int           // how many the sockets can have

	begun   bool
	begin   time.Duration // when the first probe was asked for
	hops    []lookHop     // by TTL
	near    int           // distance of the target, or of who says that the path ends; 0 if unknown
	reached bool          // it is the target's
	seen    int           // lowest TTL that the target answered to; 0 if none
	hint    int           // distance of the target by what it quotes; 0 if it does not
	who     netip.Addr    // who says that the path ends, if it is not
	far     int           // highest TTL that a router answered
	trip    time.Duration // longest round trip seen, of answers that came in the usual time
	news    time.Duration // when something was last sent for the first time, or answered
	mute    int           // answers that did not say to which probe
	sent    int           // probes that left
	failed  int           // that could not
}

// lookHop is what a look knows about one TTL.
type lookHop struct {
	asked   int // probes ordered
	again   int // of them those beyond count
	left    int // of them those that left
	open    int // still without an answer
	answers int
	since   time.Duration // when the last of the first count probes left
	last    time.Duration // when the last probe left
	start   time.Duration // when the first one left
	trip    time.Duration // longest round trip
	private int           // of the asked, those with a flow of their own
	try     int           // which of its flows is in use
	rounds  uint8         // which of the first quick probes were answered, a bit each
	waits   bool          // it has not been answered
	router  netip.Addr    // who answered that the TTL ran out, the last of several
}

func newLook(cfg *Config) *look {
	l := &look{
		first: cfg.First, max: cfg.Max, count: cfg.Count, interval: cfg.Interval, timeout: cfg.Timeout,
		hops: make([]lookHop, int(cfg.Max)+1),
	}
	if cfg.Monitor {
		l.count, l.once, l.wait = 1, true, orDefault(cfg.Timeout, monitorWait)
	}
	return l
}

// goal is the TTL up to which the path is to be known: where it ends, or the
// last one there is if somebody is there; 0 while neither is known.
func (l *look) goal() int {
	if l.near == 0 && l.far == int(l.max) {
		return l.far
	}
	return l.near
}

// limit is the highest TTL worth a probe.
func (l *look) limit() int {
	if l.near > 0 {
		return l.near
	}
	return min(int(l.max), max(l.far, int(l.first)-1)+window)
}

func (l *look) next(now time.Duration) (o order, wake time.Duration, ok bool) {
	if !l.begun {
		l.begun, l.begin, l.news = true, now, now
	}
	if l.helpless() {
		return order{}, probe.Never, false
	}
	wake = probe.Never
	for ttl := int(l.first); ttl <= l.limit(); ttl++ {
		due, want := l.due(ttl)
		if want && due <= now {
			return l.ask(ttl, now), 0, true
		}
		if want {
			wake = min(wake, due)
		}
	}
	return order{}, min(wake, l.end(now)), false
}

// ask orders one more probe to the hop at ttl.
func (l *look) ask(ttl int, now time.Duration) order {
	h := &l.hops[ttl]
	h.last = now // until it is known when it really left
	if h.asked >= l.count {
		h.again++
	}
	h.asked++
	o := order{ttl: uint8(ttl), tag: h.asked - 1, wait: l.wait}
	if _, want := l.duePrivate(h, ttl); want && h.asked > l.count {
		if h.waits {
			h.try++
		}
		h.private++
		h.waits = true
		o.flow = uint16(ttl + h.try*int(l.max))
	}
	return o
}

// due returns when the next probe to ttl is due, if it is to get one.
func (l *look) due(ttl int) (at time.Duration, want bool) {
	h := &l.hops[ttl]
	switch {
	case h.asked < min(l.count, quick):
		return 0, true
	case h.asked < l.count:
		return h.start + time.Duration(h.asked-quick+1)*l.interval, true
	}
	if at, want := l.duePrivate(h, ttl); want {
		return at, true
	}
	return l.dueAgain(ttl)
}

// duePrivate returns when a hop is asked by a flow of its own: somebody answers
// without saying to which probe, and that flow says it.
func (l *look) duePrivate(h *lookHop, ttl int) (at time.Duration, want bool) {
	if l.mute == 0 || h.waits && h.private >= privateTries || h.private >= l.count || h.answers > h.private || ttl+(privateTries-1)*int(l.max) >= l.flows {
		return 0, false
	}
	if h.waits || h.private == 0 {
		return h.last + l.returnTrip(), true
	}
	return h.last, true
}

// privateTries is by how many flows of its own a hop is asked before it counts
// as silent.
const privateTries = 2

// dueAgain returns when a hop that did not answer is asked once more: twice
// where a later hop has answered, and before the target until it is clear
// enough that it is not the target itself whose answers were lost.
func (l *look) dueAgain(ttl int) (at time.Duration, want bool) {
	h := &l.hops[ttl]
	if h.answers > 0 || h.asked == 0 || h.again >= maxAgain || l.near == 0 && ttl >= l.far || l.near > 0 && ttl >= l.near {
		return 0, false
	}
	if l.reached && ttl == l.near-1 && l.ambiguous(ttl) {
		return h.last + max(l.trip/2, 10*time.Millisecond), true
	}
	if h.again < 2 && !l.once {
		return h.last + l.fair(ttl)/3, true
	}
	return 0, false
}

// ambiguous reports whether the target may be at ttl, one nearer than it has
// answered from so far: it answers only so many of the probes that reach it.
func (l *look) ambiguous(ttl int) bool {
	got, asked := 0, 0
	for t := l.near; t < len(l.hops); t++ {
		got += l.hops[t].answers
		asked += l.hops[t].answers + l.hops[t].open
	}
	lost := 1 - (float64(got)+0.5)/(float64(asked)+1)
	return math.Pow(lost, float64(l.hops[ttl].left)) > doubt
}

// fair is how long an answer of the hop at ttl is waited for.
func (l *look) fair(ttl int) time.Duration {
	if l.timeout > 0 {
		return l.timeout
	}
	if h := &l.hops[ttl]; h.answers > 0 {
		return min(max(fairTrips*h.trip, l.trip+restWait/2, restWait), longest)
	}
	silent := 0
	for t := int(l.first); t < l.goal(); t++ {
		if h := &l.hops[t]; h.answers == 0 {
			silent++
		}
	}
	return min(max(fairTrips*l.trip, fairWait, patience/time.Duration(max(silent, 1))), longest)
}

// given is how long a was to be waited for at least before it is called lost.
func (l *look) given(a *attempt) time.Duration {
	switch {
	case l.timeout > 0:
		return l.timeout
	case l.goal() == 0:
		return l.quiet()
	case a.tag >= l.count:
		return l.returnTrip()
	}
	return l.fair(int(a.ttl))
}

// returnTrip is what an extra probe is given to come back.
func (l *look) returnTrip() time.Duration { return l.trip + l.trip/2 + 20*time.Millisecond }

// end returns when the look is over if nothing more is told.
func (l *look) end(now time.Duration) time.Duration {
	goal := l.goal()
	if goal == 0 {
		return l.quietEnd()
	}
	end := l.begin
	for ttl := int(l.first); ttl <= goal; ttl++ {
		h := &l.hops[ttl]
		if h.asked == 0 || h.asked < l.count {
			return probe.Never // not before it was asked
		}
		if h.open == 0 {
			continue
		}
		if ttl == l.near && l.settled() {
			continue
		}
		end = max(end, h.since+l.fair(ttl))
		if h.again > 0 {
			// What was asked last must have had time to come back.
			end = max(end, h.last+l.returnTrip())
		}
	}
	return end
}

// settled reports whether the target has answered every time it was asked, if
// only to a probe of the same round that overshot it.
func (l *look) settled() bool {
	if !l.reached || l.count > quick {
		return false
	}
	var rounds uint8
	for t := l.near; t < len(l.hops); t++ {
		rounds |= l.hops[t].rounds
	}
	return rounds == 1<<l.count-1
}

// quietEnd is when a path whose end is not known is given up.
func (l *look) quietEnd() time.Duration {
	for ttl := int(l.first); ttl <= l.limit(); ttl++ {
		if l.hops[ttl].asked < l.count {
			return probe.Never
		}
	}
	return l.news + l.quiet()
}

// quiet is how long nobody must have answered before a path without an end is
// given up.
func (l *look) quiet() time.Duration {
	if l.timeout > 0 {
		return l.timeout
	}
	return min(max(quietWait, fairTrips*l.trip), longest)
}

// helpless reports whether this host cannot send at all.
func (l *look) helpless() bool { return l.sent == 0 && l.failed >= quick }

func (l *look) done(now time.Duration) bool {
	if !l.begun {
		return false
	}
	if l.helpless() {
		return true
	}
	for ttl := int(l.first); ttl <= l.limit(); ttl++ {
		if _, want := l.due(ttl); want {
			if h := &l.hops[ttl]; h.asked < l.count || l.mute > 0 || l.reached && ttl == l.near-1 {
				return false
			}
		}
	}
	return l.end(now) <= now
}

func (l *look) tell(now time.Duration, a *attempt) {
	ttl := int(a.ttl)
	h := &l.hops[ttl]
	switch a.state {
	case inFlight:
		l.left(h, a)
	case failed:
		l.failed++
	case answered:
		h.open--
		h.answers++
		if a.tag < quick {
			h.rounds |= 1 << a.tag
		}
		if a.flow != 0 {
			h.waits = false
		}
		l.news = now
		h.trip = max(h.trip, a.rtt())
		l.trip = max(l.trip, a.rtt())
		l.place(a)
	}
}

func (l *look) left(h *lookHop, a *attempt) {
	l.sent++
	h.open++
	h.left++
	if h.left == 1 {
		h.start = a.sent
	}
	h.last = a.sent
	if a.tag < l.count {
		h.since = a.sent
		l.news = max(l.news, a.sent)
	}
}

// place takes in how far an answer shows the path to go.
func (l *look) place(a *attempt) {
	ttl := int(a.ttl)
	switch {
	case a.fromTarget():
		if l.seen == 0 || ttl < l.seen {
			l.seen = ttl
		}
		if q := a.hop.Quote; q != nil && q.TTL > 1 && int(q.TTL) <= ttl {
			l.hint = ttl - int(q.TTL) + 1
		}
		l.approach()
	case a.fromHop():
		l.far = max(l.far, ttl)
		l.approach()
		l.hops[ttl].router = a.res.From
	case a.res.Status == probe.Unreachable:
		if l.near == 0 || !l.reached && ttl < l.near {
			l.near, l.who = ttl, a.res.From
		}
	}
}

// approach works out the target's distance: the lowest TTL it answered to, or
// what was left of the TTL when a probe came there, if no router is as far. A
// target that answers only so many probes a second may never answer to the
// lowest.
func (l *look) approach() {
	if l.seen == 0 {
		return
	}
	l.near, l.reached = l.seen, true
	if l.hint > l.far && l.hint < l.near && l.hint >= int(l.first) {
		l.near = l.hint
	}
}

// stop says how the look ended.
func (l *look) stop() probe.Stop {
	switch {
	case l.helpless():
		return probe.StopFailed
	case l.reached:
		return probe.StopReached
	case l.near > 0:
		return probe.StopUnreachable
	case int(l.max)-l.far >= gapLength || l.far == 0:
		return probe.StopGap
	}
	return probe.StopMaxTTL
}

// last is the highest TTL the path has a row for.
func (l *look) last() int {
	switch {
	case l.near == 0:
	case !l.reached && l.near > int(l.first) && l.hops[l.near-1].router == l.who:
		return l.near - 1 // it looks at the TTL first: the same router
	default:
		return l.near
	}
	last := 0
	for ttl := range l.hops {
		if l.hops[ttl].left > 0 {
			last = ttl
		}
	}
	return last
}
