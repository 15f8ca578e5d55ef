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
	// outlying is by how many standard deviations that must be more than in the
	// whole run: what all have in common is the run's to mend, and of thousands
	// of subnets a few are always a little worse.
	outlying = 4
	// recent is how many answers of a subnet count; older ones count half.
	recent = 128
	// recentRun is the same for the whole run.
	recentRun = 4096
	// inVain is how much slower a subnet is made before it is asked whether
	// being slower helps, and slowest the least rate of one, packets per second:
	// that of the slowest limits on ICMP in use.
	inVain  = 1. / 8
	slowest = 1
	// cleared is how many hosts must answer at once, and mostly the first
	// packet, before a limit grows, and regrowth by how much it then does.
	cleared  = 8
	mostly   = 1. / 8
	regrowth = 1.25
)

// subnets are the limits of destination subnets, by /24 for IPv4 and by /112 for
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
	answered, retried uint16
	vain              float32 // the part that needed a retry however slow we were; 0 if that was not seen
	slow              *slow   // valid under a limit
}

// slow is what is known of a subnet under a limit.
type slow struct {
	rate  float64 // at present, packets per second
	full  float64 // when the limit was set
	mark  float64 // when it was last asked whether being slower helps
	worst float64 // the part that needed a retry then

	// Which hosts, by their address's last byte, were asked since the limit was
	// last changed, and which of them more than once. A retry may have waited for
	// its turn for long, so that when it left does not tell when its first did.
	once, twice [4]uint64
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

func (s *subnets) take(a netip.Addr, now time.Duration) {
	p := s.of(a)
	p.pacer.Take(now)
	if age := now - p.from; age >= s.window {
		p.last, p.now, p.from = p.now, 0, now
		if age >= 2*s.window {
			p.last = 0
		}
	}
	p.now++
	if p.slow != nil {
		p.slow.asked(a)
	}
}

// rate returns how many packets per second the subnet was sent lately.
func (s *subnets) rate(p *subnet) float64 {
	return float64(max(p.now, p.last)) / s.window.Seconds()
}

// heard counts an answer, and returns by how many subnets more have a limit.
func (s *subnets) heard(a netip.Addr, now time.Duration, retried bool) int32 {
	if s.answered++; retried {
		s.retried++
	}
	if s.answered >= recentRun {
		s.answered, s.retried = s.answered/2, s.retried/2
	}
	p := s.of(a)
	if p.slow != nil {
		var counts bool
		if retried, counts = p.slow.heard(a); !counts {
			return 0
		}
	}
	if p.answered++; retried {
		p.retried++
	}
	return s.consider(p, now)
}

// consider slows a subnet, or lets it grow, by what was heard from it.
func (s *subnets) consider(p *subnet, now time.Duration) (more int32) {
	n, part := float64(p.answered), float64(p.retried)/float64(p.answered)
	usual := max(float64(s.retried)/float64(s.answered), float64(p.vain))
	excess := math.Sqrt(n) * (part - usual) // in standard deviations, times that of one host
	switch {
	case p.retried >= suspects && part > suspicious && excess > outlying*math.Sqrt(usual*(1-usual)):
		return s.slower(p, part, now)
	case p.slow != nil && p.answered >= cleared && part <= mostly:
		return s.faster(p)
	case p.answered >= recent:
		p.answered, p.retried = p.answered/2, p.retried/2
	}
	return 0
}

// slower halves what the subnet may have, or frees it if that is in vain: its
// packets are lost at any rate.
func (s *subnets) slower(p *subnet, part float64, now time.Duration) (more int32) {
	if p.slow == nil {
		rate := max(s.rate(p), slowest)
		p.slow = &slow{rate: rate, full: rate, mark: rate, worst: part}
		p.pacer.next = float64(now)
		more = 1
	} else if p.slow.rate <= max(p.slow.mark*inVain, slowest) {
		if part > p.slow.worst*4/5 {
			p.vain = float32(part)
			return p.free()
		}
		p.slow.mark, p.slow.worst = p.slow.rate, part
	}
	p.limit(max(p.slow.rate/2, slowest))
	return more
}

// faster lets the subnet have more, and is done with it when it has what it had
// before it was slowed.
func (s *subnets) faster(p *subnet) (more int32) {
	if p.slow.rate >= p.slow.full {
		return p.free()
	}
	p.limit(p.slow.rate * regrowth)
	return 0
}

// limit sets the subnet's limit and forgets what was heard before.
func (p *subnet) limit(rate float64) {
	p.pacer.gap = 1e9 / rate
	p.slow.rate, p.slow.once, p.slow.twice = rate, [4]uint64{}, [4]uint64{}
	p.answered, p.retried = 0, 0
}

// free takes the subnet's limit away.
func (p *subnet) free() (more int32) {
	p.pacer, p.slow = Pacer{}, nil
	p.answered, p.retried = 0, 0
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
	return s.twice[i]&bit != 0, s.once[i]&bit != 0
}

// slot returns a's place in a set of 256 bits.
func slot(a netip.Addr) (i int, bit uint64) {
	b := a.As16()
	return int(b[15] >> 6), 1 << (b[15] & 63)
}
