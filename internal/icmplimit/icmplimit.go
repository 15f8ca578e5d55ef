// Package icmplimit finds out, from which tries a host answers with a
// port-unreachable and which it does not, how many of those it sends, and paces a
// scan of its UDP ports by that. It does no I/O and is told the time.
//
// Hosts limit their ICMP errors (RFC 1122, section 3.2.2.1; RFC 4443, section 2.4,
// item f), mostly by a bucket of tokens: Linux fills one per peer by a token a second
// (net.ipv4.icmp_ratelimit; over IPv6 often faster, by the length of the route's
// prefix), up to six (XRLIM_BURST_FACTOR, net/ipv4/inetpeer.c), and one for all by
// a thousand a second (icmp_msgs_per_sec); others count per second.
//
//	level  6 ┤█
//	         │ █                      a try takes a token if there is one,
//	         │  █                     and then is answered
//	       1 ┤   █  █  █  █
//	       0 ┼────██─██─██─██──► time
//	          answered│  │  │ unanswered: dry
//
// What surprises: a try that is not answered costs no token. So no time is lost
// by asking a little too early, only a packet; time is lost only where a full
// bucket spills, and that takes six intervals of rest. Asking a few percent faster
// than tokens come decides every port as fast as the limit allows, and by running
// dry now and then it shows when the next token came: that is how the interval is
// known, and stays known.
//
// The other surprise: silence does not show that a bucket was dry. The port may
// be open, or a firewall before it. Only the port that was silent and is refused
// when it is asked again shows it, in hindsight; which is why a scan asks such
// ports again soon, and first.
package icmplimit

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"
)

// A Limit is what is known of the limit of one host. Its zero value knows
// nothing. Times are since the start of the run; a try is named by when it left.
type Limit struct {
	state     state
	since     time.Duration // when that began
	told      int           // answers since the start or the last acquittal
	recovered int           // those of ports that had been silent
	shown     int           // those of them that came under suspicion
	heard     time.Duration // when the last of these came
	gap       time.Duration // between tries under suspicion

	answers []time.Duration // when the last answered tries left, sorted
	dry     []time.Duration // when tries left that met a dry bucket, sorted
	slowest time.Duration   // of recent answers
	period  time.Duration   // the estimate; 0 before there is one
	low     float64         // what it is at least, in ns; 0 if nobody knows
	high    float64         // what it is at most, likewise
	stale   bool            // period is to be computed anew

	open   []try         // tries since the first that may still be answered
	out    int           // those of them that may be
	last   time.Duration // when the last try left
	asked  int           // ports that were asked then and had no answer
	ended  int           // first tries of ports of which is known whether they were answered
	firsts int           // those that were
	early  int           // how many of the first ones of them were answered
	recent uint32        // which of the last sample of them were: a bit each
	mute   int           // tries that were not answered since one of a port that had been silent was

	// The bucket as this side imagines it, once the limit is known.
	level float64
	at    time.Duration // when level was that
}

// state is what is thought of a host.
type state uint8

const (
	free    state = iota // nothing speaks for a limit
	suspect              // something does: silence means nothing until that is settled
	limited              // it has one
)

// try is one that left.
type try struct {
	at       time.Duration
	first    bool // of its port
	answered bool
}

// A limit is suspected where of the first ports at least minEarly answered their first
// try and of the last sample a quarter of that or less. (Of later tries this says
// nothing: they are at the ports that are silent anyway.) The first are more than a
// sample: a burst is answered in any order, and each answer lets further tries leave
// that may take its last tokens. Where there are too few ports to see that, there is
// suspicion if so many answered and the others did not when asked again: a bucket of six
// leaves four of ten silent. And there is where at least one in suspectPart of the
// answers is from a port that had been silent, unless first tries are answered as ever:
// that is loss. Under suspicion minShown such ports make it known: if it was loss alone,
// the interval is what tries took anyway.
const (
	minShown    = 4
	suspectPart = 8
	minEarly    = 4
	sample      = 32
	first       = 2 * sample
	enough      = first + sample
)

// Under suspicion the gap between tries grows with each that is not answered, and
// shrinks with each that is. If for acquittal no port that had been silent answers,
// and of acquittalTries, or where there are few ports of a few at each, the host has
// no limit that matters.
const (
	minGap         = 100 * time.Microsecond
	maxGap         = 50 * time.Millisecond
	acquittal      = 5 * time.Second
	acquittalTries = 64
	acquittalEach  = 3
)

// window is how many answers and dry tries the estimate goes by: enough to
// average over the noise of limits that have some (icmp_global_allow draws at
// random), few enough to follow a limit that changes.
const window = 512

// Sent tells that a try left: the first of its port, or another one. Asked is how
// many ports there are, this one among them, that were asked and have no answer.
func (l *Limit) Sent(at time.Duration, first bool, asked int) {
	l.advance(at)
	l.level--
	l.last, l.asked = at, asked
	l.open = append(l.open, try{at: at, first: first})
	l.out++
}

// Answered tells that the host itself said port-unreachable, at, to the try that
// left at sent. Missed is when the last try to that port left that had no answer,
// and negative if there was none.
func (l *Limit) Answered(sent, at, missed time.Duration) {
	l.advance(at)
	l.told++
	l.slowest = max(at-sent, l.slowest-l.slowest/16)
	l.answers = insert(l.answers, sent)
	l.stale = true
	l.gap = max(l.gap/2, minGap)
	fresh := missed < 0
	if !fresh {
		l.recover(at, missed)
	}
	if l.close(sent, fresh) {
		l.settle(at)
	} else {
		l.amend(sent, at, fresh)
	}
	l.judge(at)
}

// close notes that a try was answered. It reports false if that was given up.
func (l *Limit) close(sent time.Duration, first bool) bool {
	i, _ := slices.BinarySearchFunc(l.open, sent, func(t try, at time.Duration) int { return cmp.Compare(t.at, at) })
	found := -1
	// Of those that left at once, nobody knows the order: the last may as well be it.
	for ; i < len(l.open) && l.open[i].at == sent; i++ {
		if !l.open[i].answered && (found < 0 || l.open[i].first == first) {
			found = i
		}
	}
	if found < 0 {
		return false
	}
	l.open[found].answered = true
	l.out--
	return true
}

// amend takes back what was made of giving up a try that was answered after all:
// maybe it was this process that had no turn, and the answer was there.
func (l *Limit) amend(sent, now time.Duration, first bool) {
	l.mute = max(0, l.mute-1)
	if first {
		l.note(true)
	}
	if sent >= l.since {
		l.level--
	}
	if l.state == suspect && l.recovered == 0 && !l.dwindled() {
		l.state, l.since = free, now
	}
}

// recover notes that a port answered now that had not at missed: it was dry then.
func (l *Limit) recover(at, missed time.Duration) {
	l.recovered++
	l.shown++
	l.heard, l.mute = at, 0
	l.dry = insert(l.dry, missed)
	if n := l.before(missed); l.state == limited && len(l.answers)-n == 1 {
		l.level = min(l.level, 0) - rest // it was dry just now
	}
}

// settle takes those tries from the front of open of which is known by now what
// became of them, and returns how many were given up. They are looked at in the order
// in which they left: as silence takes longer than an answer, the last to end are
// silent in any case.
func (l *Limit) settle(now time.Duration) (given int) {
	n, patience := 0, l.patience()
	for _, t := range l.open {
		if !t.answered {
			if now-t.at < patience {
				break
			}
			given++
			l.gap = min(l.gap+l.gap/4, maxGap)
		}
		if t.first {
			l.note(t.answered)
		}
		n++
	}
	l.open = slices.Delete(l.open, 0, n)
	l.out -= given
	l.mute += given
	return given
}

// note is told what became of the first try of a port.
func (l *Limit) note(answered bool) {
	l.recent <<= 1
	if answered {
		l.recent |= 1
		l.firsts++
		if l.ended < first {
			l.early++
		}
	}
	l.ended++
}

// judge changes the state if there is reason to.
func (l *Limit) judge(now time.Duration) {
	switch {
	case l.state == suspect && l.shown >= minShown:
		l.state, l.since = limited, now
		l.level, l.at = 0, now
	case l.state == free && (l.recovered > 0 && l.recovered*suspectPart >= l.told && !l.steady() || l.dwindled() || l.stopped()):
		l.state, l.since, l.heard = suspect, now, now
		l.mute, l.shown, l.gap = 0, 0, time.Millisecond
	case l.state == suspect && now-l.heard >= acquittal && l.mute >= min(acquittalTries, acquittalEach*l.asked):
		l.state, l.since = free, now
		// What comes from now on is judged by itself.
		l.told, l.recovered = 0, 0
		l.ended, l.firsts, l.early = 0, 0, 0
	}
}

// dwindled reports whether far less is answered than at first.
func (l *Limit) dwindled() bool {
	return l.ended >= enough && l.early >= minEarly && 4*bits.OnesCount32(l.recent)*first <= l.early*sample
}

// stopped reports whether of few ports some answered at once and the others not even
// when they were asked again.
func (l *Limit) stopped() bool {
	return l.ended < enough && l.firsts >= minEarly && l.firsts <= sample && l.ended > l.firsts && l.mute >= 2*l.asked
}

// steady reports whether about as much is answered as at first: what is not is lost,
// as a bucket would have run dry.
func (l *Limit) steady() bool {
	return l.ended >= enough && l.early >= minEarly && 4*bits.OnesCount32(l.recent)*first >= 3*l.early*sample
}

// insert keeps the last of times, which are sorted.
func insert(times []time.Duration, t time.Duration) []time.Duration {
	i, _ := slices.BinarySearch(times, t)
	times = slices.Insert(times, i, t)
	if len(times) > window {
		times = slices.Delete(times, 0, len(times)-window)
	}
	return times
}

// Interval is how long the host takes to be able to answer once more. It is not
// known before the host has shown a limit.
func (l *Limit) Interval() (d time.Duration, known bool) {
	if l.state != limited {
		return 0, false
	}
	if l.stale {
		l.stale = false
		l.period = l.estimate()
	}
	return l.period, l.period > 0
}

// Suspect reports whether the host may have a limit, though none is known.
func (l *Limit) Suspect() bool { return l.state == suspect }

// ETA is how long it takes at the least until n more ports are answered.
func (l *Limit) ETA(n int) (d time.Duration, known bool) {
	period, known := l.Interval()
	return time.Duration(n) * period, known
}

// The pace, in parts of the interval and in tokens: between tries passes a little
// less than tokens take to come. Where these come fast, limits are noisy, packets
// are cheap, and it is less by more.
const (
	haste     = 0.97
	fastHaste = 0.7
	fast      = 20 * time.Millisecond
	rest      = 0.5 // what a dry bucket is left to gather, so that silence means something for a while
)

// pace is the time between tries.
func pace(period time.Duration) float64 {
	if period < fast {
		return fastHaste * float64(period)
	}
	return haste * float64(period)
}

// catchUp is for how long a scan that could not send makes up for it, and
// minBurst how many tries it may in any case.
const (
	catchUp  = 20 * time.Millisecond
	minBurst = 4
)

// Next returns when the next try may leave, as far as it is known now: if that
// is later, ask again then, or when something was answered.
func (l *Limit) Next(now time.Duration) time.Duration {
	l.advance(now)
	if l.state == suspect {
		return max(now, l.last+l.gap)
	}
	period, known := l.Interval()
	if !known || l.level >= 1 {
		return now
	}
	at := now + time.Duration((1-l.level)*pace(period)) + 1
	if len(l.open) > 0 {
		at = min(at, l.open[0].at+l.patience()) // it may give its token back
	}
	return max(at, now+1)
}

// patience is how long an answer is waited for before its token counts as
// still there.
func (l *Limit) patience() time.Duration {
	if len(l.answers) == 0 {
		return time.Second
	}
	return 2*l.slowest + catchUp
}

// advance brings all up to now: tries are given up, and tokens come.
func (l *Limit) advance(now time.Duration) {
	given := l.settle(now)
	if given > 0 {
		l.judge(now)
	}
	period, known := l.Interval()
	if !known {
		return
	}
	// What is under way has its tokens, and is part of what a bucket may hold.
	full := max(minBurst, float64(catchUp+l.patience())/float64(period)) - float64(l.out)
	if now > l.at {
		l.level += float64(now-l.at) / pace(period)
		l.at = now
	}
	l.level = min(full, l.level+float64(given)) // who was not answered took no token
}

// Covered reports whether the host would have answered the try that left at sent,
// had it met a closed port: whether silence means that it did not. While nothing
// speaks for a limit, it does.
//
// It is certain where an interval had passed since the last answer: a token must
// have come. And tries that were answered after it show what there was: the n'th of
// them after the first took a token, and no more came meanwhile than there were
// intervals. So it may be said of a try long after, that it was.
//
// Where answers are many, hosts may as well count them per second: then there must
// be answers right before and right after it, or none for two seconds.
func (l *Limit) Covered(sent time.Duration) bool {
	period, known := l.Interval()
	if !known {
		return l.state == free
	}
	next, _ := slices.BinarySearch(l.answers, sent+1)
	if next == 0 {
		return false
	}
	before, after := l.answers[next-1], l.answers[next:]
	if period < fast {
		return len(after) > 0 && after[0]-before <= 2*period || sent-before >= 2*time.Second
	}
	// Packets overtake each other, and kernels count in ticks.
	slack := min(l.low/4, float64(10*time.Millisecond))
	if l.high > 0 && float64(sent-before) >= l.high+slack {
		return true
	}
	for n, a := range after {
		if n > 0 && float64(a-sent)+slack <= float64(n)*l.low {
			return true
		}
	}
	return false
}

// estimate returns the interval that the answers of a bucket agree with best.
//
// With n answers in between, a try that was answered at a and one that met a dry
// bucket at a later u say that fewer than n+1 intervals passed; a dry one at u and
// an answered one at a later a that more than n did. The longer the time, the less
// it matters that nobody knows how full the bucket was to a fraction. Between these
// bounds it is what answers are apart, which is true where the bucket is always dry.
func (l *Limit) estimate() time.Duration {
	if len(l.answers) == window { // of what came before, nobody knows how many answers it had
		l.dry = slices.Delete(l.dry, 0, l.dryBefore(l.answers[0]))
	}
	if len(l.dry) == 0 {
		return l.eased(float64(l.period), patient+1) // a little with every answer
	}
	least := max(1, len(l.answers[l.before(l.dry[0]):])/2) // answers that a bound must span
	l.low = 0
	high := math.Inf(1)
	for _, u := range ends(l.dry) {
		at := l.before(u)
		for i := range min(at-least, few) {
			l.low = max(l.low, float64(u-l.answers[i])/float64(at-i))
		}
		for i := max(at+least, len(l.answers)-few); i < len(l.answers); i++ {
			high = min(high, float64(l.answers[i]-u)/float64(i-at))
		}
	}
	if l.high = high; math.IsInf(high, 1) {
		l.high = 0
	}
	period, quiet := l.mean(), len(l.answers)-l.before(l.dry[len(l.dry)-1])
	switch {
	case period == 0:
		return l.period
	case l.period > 0: // it may be the closed ports that become rare
		period = min(period, float64(l.period))
	}
	// The lower bound is none where a bucket was full in between; the upper always is.
	return l.eased(min(max(period, l.low), high), quiet)
}

// mean is how far apart the answered tries are since the limit was known, or where
// these are few, since the first dry one; 0 if there are not two.
func (l *Limit) mean() float64 {
	from := l.before(l.dry[0])
	if paced := l.before(l.since); len(l.answers)-paced >= few {
		from = max(from, paced)
	}
	since := l.answers[from:]
	n := len(since) - 1
	if n < 1 {
		return 0
	}
	return float64(since[n]-since[0]) / float64(n)
}

func (l *Limit) dryBefore(a time.Duration) int {
	i, _ := slices.BinarySearch(l.dry, a)
	return i
}

// before returns how many answers are from before u.
func (l *Limit) before(u time.Duration) int {
	i, _ := slices.BinarySearch(l.answers, u)
	return i
}

// few is how many of the first and of the last a bound is looked for at: what is
// between them adds little.
const few = 16

func ends(dry []time.Duration) []time.Duration {
	if len(dry) <= 2*few {
		return dry
	}
	return append(slices.Clone(dry[:few]), dry[len(dry)-few:]...)
}

// patient is how many answers may come without a dry try between them, at the
// pace of haste, before the interval must be shorter than thought: a full bucket of
// six lasts for two hundred, and some hosts count so many per second.
const patient = 2 * 200

// eased is period, shortened where the bucket did not run dry for too many
// answers.
func (l *Limit) eased(period float64, quiet int) time.Duration {
	return time.Duration(period * math.Pow(haste, float64(max(0, quiet-patient))/16))
}
