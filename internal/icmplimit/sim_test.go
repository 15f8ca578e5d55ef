package icmplimit

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

const ms = time.Millisecond

// A limiter decides whether a host may send one more ICMP error now.
type limiter interface{ allow(now time.Duration) bool }

// peerBucket is inet_peer_xrlim_allow of Linux (net/ipv4/inetpeer.c): tokens are
// jiffies, of which an error costs timeout; up to six times that are saved.
type peerBucket struct {
	timeout, jiffy time.Duration
	tokens, last   int64
}

func newPeerBucket(timeout time.Duration) *peerBucket {
	return &peerBucket{timeout: timeout, jiffy: 4 * ms, last: -60 * 250} // as inet_getpeer sets it: a minute ago
}

func (b *peerBucket) allow(now time.Duration) bool {
	timeout := int64(b.timeout / b.jiffy)
	jiffies := int64(now / b.jiffy)
	token := b.tokens
	if delta := jiffies - b.last; delta != 0 {
		b.last = jiffies
		token = min(token+delta, 6*timeout)
	}
	ok := token >= timeout
	if ok {
		token -= timeout
	}
	b.tokens = token
	return ok
}

// globalBucket is icmp_global_allow of Linux (net/ipv4/icmp.c): refilled in steps of
// 20 ms, and an error costs none, one or two tokens, at random.
type globalBucket struct {
	perSecond, burst int64
	credit           int64
	stamp            time.Duration
	rnd              *rand.Rand
}

func newGlobalBucket(rnd *rand.Rand) *globalBucket {
	return &globalBucket{perSecond: 1000, burst: 50, credit: 50, rnd: rnd}
}

func (b *globalBucket) allow(now time.Duration) bool {
	if delta := min(now-b.stamp, time.Second); delta >= 20*ms {
		if incr := b.perSecond * int64(delta) / int64(time.Second); incr > 0 {
			b.stamp = now
			b.credit = min(b.credit+incr, b.burst)
		}
	}
	if b.credit == 0 {
		return false
	}
	b.credit = max(b.credit-b.rnd.Int64N(3), 0)
	return true
}

// perSecond is ppsratecheck of the BSDs: so many in each second that begins with
// the first after the last one.
type perSecond struct {
	most, n int
	start   time.Duration
	begun   bool
}

func (w *perSecond) allow(now time.Duration) bool {
	if !w.begun || now-w.start >= time.Second {
		w.begun, w.start, w.n = true, now, 0
	}
	w.n++
	return w.n <= w.most
}

// none has no limit.
type none struct{}

func (none) allow(time.Duration) bool { return true }

// A network is one host with closed and silent ports, behind a path.
type network struct {
	closed, silent int
	limit          limiter
	rtt, jitter    time.Duration
	loss           float64 // each way
	rate           float64 // tries per second, at most
	rnd            *rand.Rand
}

// port is one port of the host, as the scan sees it.
type port struct {
	closed  bool
	tries   int
	missed  time.Duration // when its last try without an answer left; -1 if there was none
	covered int           // tries that were silent though a closed port would have been told of
	counted time.Duration // when the last of these left: at most one in an interval, as the same loss may hide two
	decided bool
}

// event is something that happens at a time: a try's answer or its end.
type event struct {
	at       time.Duration
	p        *port
	sent     time.Duration
	answered bool
}

// scanned is what came of a scan.
type scanned struct {
	took      time.Duration
	packets   int
	lies      int                             // closed ports that were called silent
	left      int                             // ports without a decision
	eta       map[time.Duration]time.Duration // what was said at a time, of the time that is left
	remaining map[time.Duration]int
	half      time.Duration // the interval, when half of the ports were decided
	limit     *Limit
}

// scan asks all ports as a scan does that goes by a Limit: ports that were silent
// again and first once a limit is known, and no port is called silent before its
// silence meant something three times.
func (n *network) scan(budget time.Duration, asks ...time.Duration) scanned {
	const timeout, enough = 200 * ms, 3
	s := scanned{eta: map[time.Duration]time.Duration{}, remaining: map[time.Duration]int{}, limit: new(Limit)}
	var fresh, again, waiting []*port
	for i := range n.closed + n.silent {
		fresh = append(fresh, &port{closed: i < n.closed, missed: -1})
	}
	n.rnd.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
	all := slices.Clone(fresh)
	undecided, asked := len(all), 0
	var events []event
	gap := time.Duration(float64(time.Second) / n.rate)
	for now, next := time.Duration(0), time.Duration(0); undecided > 0 && now < budget; {
		for len(events) > 0 && events[0].at <= now {
			e := events[0]
			events = events[1:]
			switch {
			case e.p.decided:
			case e.answered:
				s.limit.Answered(e.sent, e.at, e.p.missed)
				e.p.decided = true
				undecided--
				asked--
				if !e.p.closed {
					panic("a silent port answers")
				}
			default:
				e.p.missed = e.sent
				waiting = append(waiting, e.p)
			}
		}
		// What was silent is decided once that means something, often enough, else
		// asked again: soon at first, then behind the others.
		waiting = slices.DeleteFunc(waiting, func(p *port) bool {
			period, known := s.limit.Interval()
			switch {
			case p.decided:
				return true
			case s.limit.Covered(p.missed) && (p.counted == 0 || p.missed-p.counted >= period):
				p.covered, p.counted = p.covered+1, p.missed
			case known && p.tries%2 == 0 && now-p.missed < 8*period:
				return false // it may be covered yet
			}
			switch {
			case p.covered >= enough:
				p.decided = true
				undecided--
				asked--
				if p.closed {
					s.lies++
				}
			case p.tries%2 == 1:
				again = slices.Insert(again, 0, p)
			default:
				again = append(again, p)
			}
			return true
		})
		for len(asks) > 0 && now >= asks[0] {
			s.eta[asks[0]], _ = s.limit.ETA(undecided)
			s.remaining[asks[0]] = undecided
			asks = asks[1:]
		}
		period, known := s.limit.Interval()
		if undecided > len(all)/2 {
			s.half = period
		}
		from := &fresh
		if len(again) > 0 && (known || s.limit.Suspect() || len(fresh) == 0) {
			from = &again
		}
		at := max(next, s.limit.Next(now))
		if at <= now && len(*from) > 0 {
			p := (*from)[0]
			*from = (*from)[1:]
			if !p.decided {
				if p.tries == 0 {
					asked++
				}
				s.limit.Sent(now, p.tries == 0, asked)
				events = n.try(p, now, timeout, events)
				s.packets++
				next = now + gap
			}
			continue
		}
		// On to whatever comes first.
		step := now + 50*ms
		if at > now {
			step = min(step, at)
		}
		if len(events) > 0 {
			step = min(step, events[0].at)
		}
		now = max(step, now+1)
		s.took = now
	}
	s.left = undecided
	return s
}

// try sends one datagram and puts what becomes of it among the events.
func (n *network) try(p *port, now, timeout time.Duration, events []event) []event {
	p.tries++
	there := now + n.rtt/2 + time.Duration(n.rnd.Int64N(int64(n.jitter)+1))
	e := event{at: now + timeout, p: p, sent: now}
	if p.closed && n.rnd.Float64() >= n.loss && n.limit.allow(there) && n.rnd.Float64() >= n.loss {
		e.at, e.answered = there+n.rtt/2, true
	}
	i, _ := slices.BinarySearchFunc(events, e.at, func(e event, at time.Duration) int { return cmp.Compare(e.at, at) })
	return slices.Insert(events, i, e)
}
