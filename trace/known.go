package trace

import (
	"net/netip"
	"time"
)

// known is what earlier phases learned about the path to one target: all that a
// later phase starts from.
type known struct {
	first, last uint8 // TTLs; last is the target's distance if reached, else that of the farthest hop that answered, 0 if none did
	max         uint8 // largest TTL that may be used; 0 if nobody said
	reached     bool
	attempts    []*attempt // all so far, in order of sending; they may still be answered
	size        int        // of the usual probe as an IP packet, bytes
}

// Bounds of how long a phase waits for an answer.
const (
	leastPatience = 250 * time.Millisecond
	mostPatience  = 3 * time.Second
)

// patience returns how long an answer is waited for: what the slowest hop took,
// with room to be slower.
func (k *known) patience() time.Duration {
	var slowest time.Duration
	for _, a := range k.attempts {
		if a.state == answered {
			slowest = max(slowest, a.rtt())
		}
	}
	return min(max(leastPatience, 2*slowest+100*time.Millisecond), mostPatience)
}

// usual reports whether a is an ordinary probe on the path everybody asks about.
func (k *known) usual(a *attempt) bool {
	return a.flow == 0 && (a.size == 0 || a.size == k.size)
}

// unanswered reports whether a has waited for its answer in vain by now.
func (k *known) unanswered(a *attempt, now time.Duration) bool {
	return a.state == overdue || a.state == inFlight && a.wait == 0 && now-a.sent > leastPatience
}

// row returns the TTL of the row that a belongs to: what went beyond the target
// is the target's.
func (k *known) row(a *attempt) uint8 {
	if k.reached && a.ttl > k.last {
		return k.last
	}
	return a.ttl
}

// distance returns the TTL of the router with the address, 0 if unknown.
func (k *known) distance(router netip.Addr) uint8 {
	for _, a := range k.attempts {
		if a.fromHop() && a.res.From == router {
			return a.ttl
		}
	}
	return 0
}
