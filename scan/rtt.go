package scan

import "time"

// roundTrip is the round-trip time to one host as RFC 6298 estimates it.
type roundTrip struct {
	smoothed, deviation time.Duration
	known               bool
}

const (
	// minTimeout covers what hosts and this process may add to a short round
	// trip, maxTimeout is for hosts of which nothing is known.
	minTimeout = 100 * time.Millisecond
	maxTimeout = time.Second
	// blindSlot is how long a try to a host that has not answered yet is taken to
	// be on its way.
	blindSlot = 100 * time.Millisecond
)

// add learns from one round trip (RFC 6298, section 2).
func (r *roundTrip) add(d time.Duration) {
	if !r.known {
		r.smoothed, r.deviation, r.known = d, d/2, true
		return
	}
	r.deviation += (max(r.smoothed-d, d-r.smoothed) - r.deviation) / 4
	r.smoothed += (d - r.smoothed) / 8
}

// timeout is when a try is asked again: by then an answer would be here.
func (r *roundTrip) timeout() time.Duration {
	if !r.known {
		return maxTimeout
	}
	return max(r.smoothed+4*r.deviation, minTimeout)
}

// again is when a port whose n'th try was silent is asked once more: each time a
// little later, up to four times as late, that a network which has too much to do
// gets over it.
func (r *roundTrip) again(n uint8) time.Duration {
	d := r.timeout()
	for range min(n, 5) - 1 {
		d += d / 2
	}
	return min(d, 4*r.timeout())
}

// slot is how long a try counts as on its way.
func (r *roundTrip) slot() time.Duration {
	if !r.known {
		return blindSlot
	}
	return r.timeout()
}
