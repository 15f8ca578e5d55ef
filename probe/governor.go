package probe

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// GovernorConfig says how fast a sweep may be.
type GovernorConfig struct {
	Rate     float64 // packets per second for the run; 0 for no cap
	Adaptive bool    // find the rate; Rate is then a cap
	Start    float64 // where Adaptive starts, packets per second; 0 means 1,000
	Ordered  bool    // hosts are not asked in random order: the share that answers tells nothing

	// Timeout and Backoff say how long after a host's first packet the next
	// ones leave: Timeout, then Timeout*Backoff more, and so on; 0 means 1 s
	// and 1.5. They date the loss that a retry reveals.
	Timeout time.Duration
	Backoff float64
}

const (
	defaultStart   = 1000
	defaultTimeout = time.Second
	defaultBackoff = 1.5
	// fastest is what no sender reaches; it keeps the arithmetic finite.
	fastest = 1e7
	// floorShare is the part of the start rate below which no loss slows a run.
	// What is lost at a sixteenth of a gentle rate is not lost for the rate.
	floorShare = 1. / 16
	// chokeGap is how long one overflow of a buffer is the same overflow: it
	// takes that long until buffers of the usual size have drained.
	chokeGap = 50 * time.Millisecond
	// mendGap and mendShare are how a rate comes back to the start rate after an
	// overflow: a part of it at a time. An address table full of neighbours that
	// do not answer has room again after three seconds (neighbour.rst of the
	// kernel: retrans_time_ms, mcast_solicit), so less than that is no patience.
	mendGap   = 200 * time.Millisecond
	mendShare = 1. / 25
)

// A Governor decides how fast a sweep asks. Its times are durations since the
// start of the run, and may come a little out of order; it has no clock of its
// own. A nil *Governor has no cap. All methods are safe for concurrent use.
//
// A fixed rate is a Pacer's: an absolute schedule, with a burst for a sender
// that wakes late. An adaptive one is found as follows.
//
// Time is cut into epochs by when packets leave. An epoch is judged when nearly
// all of its answers must have come, by the round-trip times seen so far. Two
// signs are looked at, each beside what it was at the rates before:
//
//   - The share of the hosts asked for the first time that answered in time.
//     Hosts come in random order over the whole space, so it stays the same
//     however many of them are dead, unless something limits. An answer that
//     comes much later than usual has waited in a queue: it counts as missing.
//     Where the order is not random the share is left out (GovernorConfig.Ordered).
//   - The share of the hosts that answered which needed no retry. It is known a
//     timeout later, and held against the rate at which the first packet left.
//     Without the first sign a rate can grow only once in a timeout, and with no
//     retries it has nothing to go by but Choke.
//
// Both compare: loss that is there at every rate, of one packet in ten or so,
// does not slow a run. Bad news is looked at twice, 30 ms apart, since a process
// that was not scheduled looks like loss. Then:
//
//   - As good as before: the rate doubles until loss is seen for the first time.
//     After that it grows by a tenth of the ceiling an epoch, up to nine tenths
//     of it, and from there in steps that start at a fortieth and double, each
//     tried for a while. The ceiling is what came through when loss was seen.
//   - Much loss, from a tenth: the rate becomes half of that epoch's, or less if
//     less came through, but not below a quarter. Slight loss, from a fiftieth:
//     nine tenths of the ceiling. Epochs of before the change are not judged any
//     more, so one rate is cut once.
//   - If being slower does not make it better, the rate was not the reason (a
//     part of the network has gone, or a radio link got worse): what is seen now
//     is what is normal from now on, and the old ceiling holds again.
//   - No answers: nothing can be learnt. A prefix in which nobody answers is asked
//     at the start rate to the end. Where answers stop, the rate is cut once.
//   - A sender that does not use three quarters of its allowance is the limit
//     itself: the rate does not grow.
//
// A full buffer of this machine (Choke) halves the rate at once. Buffers empty
// by themselves: up to the start rate it comes back without answers. Destination
// subnets have limits of their own beside the run's: see subnets. What is asked
// under one of those is left out of both signs.
type Governor struct {
	slowed atomic.Int32 // subnets with a limit
	mu     sync.Mutex
	pacer  Pacer
	rate   float64 // packets per second at present; 0 for no cap

	adaptive    bool
	ordered     bool
	floor, most float64 // bounds of rate
	timeout     time.Duration
	backoff     float64

	rtt     rtts
	usual   time.Duration // how long all but the latest answers take; 0 while that is not known
	epochs  epochs
	share   watch // of hosts asked, those that answered
	clean   watch // of hosts that answered, those that needed no retry
	climb   climb
	start   float64       // where the rate began
	choked  time.Duration // when the last Choke counted; valid if chokes > 0
	chokes  int
	mending bool          // the rate is below start because of a Choke, and
	mended  time.Duration // last came nearer to it then
	subnets *subnets
}

// NewGovernor returns a Governor for one run: nil if that has no cap.
func NewGovernor(c GovernorConfig) *Governor {
	if !c.Adaptive && c.Rate <= 0 {
		return nil // who is as fast as can be has no time for locks
	}
	if !c.Adaptive {
		return &Governor{rate: c.Rate, pacer: NewPacer(c.Rate)}
	}
	g := &Governor{adaptive: true, ordered: c.Ordered, timeout: c.Timeout, backoff: c.Backoff, most: c.Rate}
	if g.timeout <= 0 {
		g.timeout = defaultTimeout
	}
	if g.backoff <= 0 {
		g.backoff = defaultBackoff
	}
	if g.most <= 0 || g.most > fastest {
		g.most = fastest
	}
	start := c.Start
	if start <= 0 {
		start = defaultStart
	}
	g.rate = min(start, g.most)
	g.start = g.rate
	g.floor = g.rate * floorShare
	g.pacer = NewPacer(g.rate)
	g.subnets = newSubnets(g.timeout)
	return g
}

// Next returns when the next packet of the run may leave; at once if that is
// not after now.
func (g *Governor) Next(now time.Duration) time.Duration {
	if g == nil {
		return now
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.adaptive {
		g.judge(now)
		g.mend(now)
	}
	return g.pacer.Next()
}

// Turn returns when the next packet to a's subnet may leave; at once if that is
// not after now. Another host of the subnet may take the turn before: ask again
// then.
func (g *Governor) Turn(a netip.Addr, now time.Duration) time.Duration {
	if g == nil || g.slowed.Load() == 0 {
		return now
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.subnets.of(a).pacer.Next()
}

// Take says that the first packet to a leaves at now.
func (g *Governor) Take(a netip.Addr, now time.Duration) { g.take(a, now, true) }

// Again says that a packet to a leaves at now that is not the first to it. What
// comes of it says nothing about the share of hosts that answer: most who are
// asked again are dead.
func (g *Governor) Again(a netip.Addr, now time.Duration) { g.take(a, now, false) }

func (g *Governor) take(a netip.Addr, now time.Duration, first bool) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pacer.Take(now)
	if g.adaptive {
		p := g.subnets.of(a)
		g.epochs.take(now, g.epochLength(), g.rate, first && p.free(now))
		g.subnets.take(p, a, now)
	}
}

// Heard says that at now the first answer about a came, of whatever kind (an
// ICMP error, too), to its try'th packet (from 1), which left at sent. With try
// above 1 earlier packets were lost, or their answers suppressed. Further
// answers about a are not told.
func (g *Governor) Heard(a netip.Addr, sent, now time.Duration, try int) {
	if g == nil || !g.adaptive {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rtt.add(now - sent)
	p := g.subnets.of(a)
	if e := g.epochs.find(sent - g.waited(try)); e != nil && p.free(sent) {
		if try > 1 {
			e.again++
		} else {
			e.prompt++
			if g.isLate(now - sent) {
				e.late++
			}
		}
	}
	g.slowed.Add(g.subnets.heard(p, a, now, try > 1))
}

// waited returns how long after the first packet to a host the try'th leaves.
func (g *Governor) waited(try int) (sum time.Duration) {
	wait := float64(g.timeout)
	for range min(try, 32) - 1 {
		sum += time.Duration(wait)
		wait = min(wait*g.backoff, float64(time.Hour))
	}
	return sum
}

// Choke says that this machine is the limit: the send buffer was full, or the
// kernel dropped answers for want of a buffer. A fixed rate stays.
func (g *Governor) Choke(now time.Duration) {
	if g == nil || !g.adaptive {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.chokes > 0 && now < g.choked+chokeGap {
		return
	}
	g.choked, g.chokes = now, g.chokes+1
	g.climb.fell(g.rate)
	g.share.trial, g.clean.trial = trial{}, trial{}
	g.slow(g.rate/2, now)
	g.mending, g.mended = true, now
}

// mend lets the rate come back to the start rate after a Choke.
func (g *Governor) mend(now time.Duration) {
	if !g.mending || now < g.mended+mendGap {
		return
	}
	g.mended = now
	g.grow(min(g.start, g.rate+g.start*mendShare), now)
	g.mending = g.rate < g.start
}

// Rate returns the rate at present, packets per second; 0 for no limit.
func (g *Governor) Rate() float64 {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rate
}

// Slowed returns how many subnets have a limit of their own at present. Subnets
// that share a place in the table count as one.
func (g *Governor) Slowed() int {
	if g == nil {
		return 0
	}
	return int(g.slowed.Load())
}
