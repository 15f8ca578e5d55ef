package probe

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"time"
)

const (
	subnetBits = 12 // of the number of places in the table
	// suspects is how many hosts of a subnet must have needed a retry, and
	// suspicious the part of those that answered, before the subnet is slowed.
	suspects   = 4
	suspicious = 1. / 4
	// outlying is how improbable that must be, as the natural logarithm of one in
	// a million, if the subnet were like the whole run: what all have in common is
	// the run's to mend, and of thousands of subnets a few always look worse.
	outlying = 13.8
	// recent is how many answers of a subnet count; older ones count half.
	recent = 128
	// recentRun is the same for the whole run: what all places remember together,
	// so that trouble that all had is forgotten by both at once.
	recentRun = recent << subnetBits
	// slowest is the least limit of a subnet, packets per second: that of the
	// slowest limits on ICMP in use.
	slowest = 1
	// tried is how many packets a subnet is sent under a limit before it is seen
	// whether that helps, and lessons for how many windows at least. It helps if
	// the part that is answered grows by helpful: behind a limit it doubles when
	// the rate is halved, and where packets are lost at any rate it stays.
	tried   = 64
	lessons = 2
	helpful = 1.3
	// cleared is how many hosts must answer at once, and mostly the first
	// packet, before a limit grows, and regrowth by how much it then does.
	cleared  = 8
	mostly   = 1. / 8
	regrowth = 1.25
	// settled is how many windows a limit stands before it grows, since what was
	// lost under it is known a timeout later at best, and unheard is the part of
	// the hosts asked under it that may then still wait for a second packet.
	settled = 4
	unheard = 1. / 4
)

// subnets are the limits of destination subnets. One in which hosts need a retry
// far more often than in the whole run is sent half of what it was. If that makes
// more of its packets be answered, a limit on ICMP or a narrow link was found:
// the rate is halved again while retries are needed, and grows when they are not.
// If it does not, twice, its packets are lost at any rate, and it is let alone.
//
// Subnets are told apart by /24 for IPv4 and by /112 for
// IPv6: an IPv6 link has 2^64 addresses, but what one sweep asks of it is seldom
// more than a /112. Finer places cost little where the whole link is limited, as
// each of them finds out; coarser ones would slow hosts that nothing limits.
//
// The table has a fixed size. Subnets that share a place share its limit: with
// as many subnets as places, one in three has a place alone.
type subnets struct {
	place    [1 << subnetBits]subnet
	window   time.Duration // how long packets are counted for a rate
	answered uint32        // hosts of the run that answered lately
	retried  uint32        // those of them that needed a retry
}

// A subnet is what is known of the hosts in one place of the table.
type subnet struct {
	pacer     Pacer         // its limit; no cap usually
	from      time.Duration // when the window began in which packets are counted
	now, last uint32        // packets in this window and in the one before

	// Hosts that answered lately, and those of them that needed another packet;
	// under a limit those count that were asked since it was set.
	asked             uint32 // packets meanwhile
	answered, retried uint16
	vain              bool  // slowing it does not help: it is let alone from now on
	slow              *slow // valid under a limit
}

// slow is what is known of a subnet under a limit.
type slow struct {
	rate  float64 // at present, packets per second
	full  float64 // when the limit was set
	yield float64 // answers a packet, at most at any rate before this one
	seen  bool    // it was seen whether this limit helps
	doubt bool    // the one before did not: a limit may let a burst through first

	set   time.Duration // when the limit was set
	since time.Duration // when it was last changed

	// Which hosts, by their address's last byte, were asked since the limit was
	// last changed, which of them more than once, and which have answered. A retry
	// may have waited for its turn for long, so that when it left does not tell
	// when its first did.
	once, twice, done [4]uint64
}

func newSubnets(timeout time.Duration) *subnets {
	return &subnets{window: max(timeout, time.Second)}
}

// of returns a's place in the table.
func (s *subnets) of(a netip.Addr) *subnet {
	b := a.As16()
	h := binary.BigEndian.Uint64(b[:8])
	l := binary.BigEndian.Uint64(b[8:]) >> 16
	if a.Is4() {
		l = uint64(binary.BigEndian.Uint32(b[12:]) >> 8)
	}
	// A multiplicative hash: its high bits depend on all of the key's.
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	h = (bits.RotateLeft64(h*odd, 32) ^ l) * odd
	return &s.place[h>>(64-subnetBits)]
}

// take counts a packet to p, which is a's place.
func (s *subnets) take(p *subnet, a netip.Addr, now time.Duration) {
	p.pacer.Take(now)
	if age := now - p.from; age >= s.window {
		p.last, p.now, p.from = p.now, 0, now
		if age >= 2*s.window {
			p.last = 0
		}
	}
	p.now, p.asked = p.now+1, p.asked+1
	if p.slow != nil {
		p.slow.asked(a)
	}
}

// rate returns how many packets per second the subnet was sent lately.
func (s *subnets) rate(p *subnet, now time.Duration) float64 {
	span := s.window
	if p.last > 0 {
		span += min(max(now-p.from, 0), s.window)
	}
	return float64(p.now+p.last) / span.Seconds()
}

// heard counts an answer about a, whose place is p, and returns by how many
// subnets more have a limit.
func (s *subnets) heard(p *subnet, a netip.Addr, now time.Duration, retried bool) int32 {
	if s.answered++; retried {
		s.retried++
	}
	if s.answered >= recentRun {
		s.answered, s.retried = s.answered/2, s.retried/2
	}
	if p.slow != nil {
		var counts bool
		if retried, counts = p.slow.heard(a); !counts {
			return 0
		}
	}
	if p.answered++; retried {
		p.retried++
	}
	return s.consider(p, now, retried)
}

// consider slows a subnet, or lets it grow, by what was heard from it.
func (s *subnets) consider(p *subnet, now time.Duration, retried bool) (more int32) {
	part := float64(p.retried) / float64(p.answered)
	switch {
	case p.slow != nil && s.inVain(p, now):
		if p.slow.doubt {
			p.vain = true
			return p.release()
		}
		p.slow.doubt = true
		return s.slower(p, now)
	case retried && !p.vain && p.retried >= suspects && part > suspicious && s.outlier(p, part):
		return s.slower(p, now)
	case p.slow != nil && p.answered >= cleared && part <= mostly && p.slow.settled(now, s.window):
		return s.faster(p, now)
	case p.answered >= recent:
		p.asked, p.answered, p.retried = p.asked/2, p.answered/2, p.retried/2
	}
	return 0
}

// outlier tells whether in p, where so large a part needed a retry, that is no
// chance: Chernoff's bound on the tail of a binomial distribution.
func (s *subnets) outlier(p *subnet, part float64) bool {
	usual := max(float64(s.retried), 1) / float64(s.answered)
	if part <= usual {
		return false
	}
	excess := part * math.Log(part/usual)
	if part < 1 {
		excess += (1 - part) * math.Log((1-part)/(1-usual))
	}
	return float64(p.answered)*excess > outlying
}

// slower halves what the subnet may have.
func (s *subnets) slower(p *subnet, now time.Duration) (more int32) {
	if p.slow == nil {
		rate := max(s.rate(p, now), slowest)
		p.slow = &slow{rate: rate, full: rate, set: now}
		p.pacer.next = float64(now)
		more = 1
	}
	p.slow.yield, p.slow.seen = max(p.slow.yield, p.yield()), false
	p.limit(max(p.slow.rate/2, slowest), now)
	return more
}

// inVain tells whether the subnet is no better off for its limit. If that is so
// twice, its packets are lost at any rate.
func (s *subnets) inVain(p *subnet, now time.Duration) bool {
	if p.slow.seen || p.asked < tried || now-p.slow.since < lessons*s.window {
		return false
	}
	p.slow.seen = true
	if p.yield() < p.slow.yield*helpful {
		return true
	}
	p.slow.doubt = false
	return false
}

// faster lets the subnet have more, and is done with it when it could have twice
// what it had before it was slowed.
func (s *subnets) faster(p *subnet, now time.Duration) (more int32) {
	if p.slow.rate >= 2*p.slow.full {
		return p.release()
	}
	p.slow.seen = true
	p.limit(p.slow.rate*regrowth, now)
	return 0
}

// free tells whether a packet that left at the given time was under no limit but
// the run's.
func (p *subnet) free(at time.Duration) bool { return p.slow == nil || at < p.slow.set }

// yield returns how many answers came a packet.
func (p *subnet) yield() float64 { return float64(p.answered) / float64(max(p.asked, 1)) }

// forget drops what was heard.
func (p *subnet) forget() { p.asked, p.answered, p.retried = 0, 0, 0 }

// limit sets the subnet's limit and forgets what was heard before.
func (p *subnet) limit(rate float64, now time.Duration) {
	p.pacer.gap = 1e9 / rate
	p.slow.rate, p.slow.since = rate, now
	p.slow.once, p.slow.twice, p.slow.done = [4]uint64{}, [4]uint64{}, [4]uint64{}
	p.forget()
}

// release takes the subnet's limit away.
func (p *subnet) release() (more int32) {
	p.pacer, p.slow = Pacer{}, nil
	p.forget()
	return -1
}

// asked notes that a packet to a leaves.
func (s *slow) asked(a netip.Addr) {
	i, bit := slot(a)
	s.twice[i] |= s.once[i] & bit
	s.once[i] |= bit
}

// heard tells whether a needed more than one packet of those that left under the
// present limit; counts is false if it was sent none.
func (s *slow) heard(a netip.Addr) (retried, counts bool) {
	i, bit := slot(a)
	s.done[i] |= bit
	return s.twice[i]&bit != 0, s.once[i]&bit != 0
}

// settled tells whether it is known that the limit helps, and what is still lost
// under it.
func (s *slow) settled(now, window time.Duration) bool {
	if s.doubt || now-s.since < settled*window {
		return false
	}
	asked, waiting := 0, 0
	for i, once := range s.once {
		asked += bits.OnesCount64(once)
		waiting += bits.OnesCount64(once &^ s.twice[i] &^ s.done[i])
	}
	return float64(waiting) <= unheard*float64(asked)
}

// slot returns a's place in a set of 256 bits.
func slot(a netip.Addr) (i int, bit uint64) {
	b := a.As16()
	return int(b[15] >> 6), 1 << (b[15] & 63)
}
