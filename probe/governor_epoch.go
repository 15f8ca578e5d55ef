package probe

import "time"

const (
	// epochMin is the least length of an epoch: a sender wakes in lumps of about
	// a millisecond, so that shorter ones would not measure its rate.
	epochMin = 10 * time.Millisecond
	// epochPackets is the least number of packets of an epoch.
	epochPackets = 50
	// epochCount bounds how long ago a first packet can have left for a retry's
	// answer to be of use: about ten seconds, or twice the timeout.
	epochCount = 1024
)

// An epoch is a stretch of time in which packets left at one rate.
type epoch struct {
	start, end time.Duration // end is valid once the epoch is over
	rate       float64       // allowed, packets per second
	first      uint32        // hosts asked for the first time
	all        uint32        // packets, those and the repeated ones
	prompt     uint32        // of first, hosts whose first packet was answered
	late       uint32        // of prompt, those whose answer was not in time
	again      uint32        // of first, hosts that needed another
}

// pace returns the rate at which packets really left, packets per second.
func (e *epoch) pace() float64 {
	return float64(e.all) / max(e.end-e.start, time.Microsecond).Seconds()
}

// epochs are the last epochs, numbered from 0. The last one is open.
type epochs struct {
	ring [epochCount]epoch
	open uint64
	last time.Duration // when the last packet left
	over bool          // the open one ends with the packets of this instant
}

func (s *epochs) at(i uint64) *epoch { return &s.ring[i%epochCount] }

// oldest returns the number of the oldest epoch that is still known.
func (s *epochs) oldest() uint64 { return s.open - min(s.open, epochCount-1) }

// take counts a packet that leaves at now at the given rate. An epoch ends only
// between two instants: answers find theirs by the time their packet left.
func (s *epochs) take(now, length time.Duration, rate float64, first bool) {
	e := s.at(s.open)
	if now > s.last {
		switch {
		case e.all == 0:
			*e, s.over = epoch{start: now, rate: rate}, false
		case s.over || e.all >= epochPackets && now-e.start >= length:
			e.end = now
			s.open, s.over = s.open+1, false
			e = s.at(s.open)
			*e = epoch{start: now, rate: rate}
		}
		s.last = now
	}
	e.all++
	if first {
		e.first++
	}
}

// find returns the epoch in which a packet left at the given time; nil if that
// is not known any more.
func (s *epochs) find(at time.Duration) *epoch {
	lo, hi := s.oldest(), s.open // the answer is in [lo, hi]
	if at < s.at(lo).start && lo > 0 {
		return nil
	}
	for near := uint64(1); near < hi-lo; near *= 2 { // most answers are about the last few
		if s.at(hi-near).start <= at {
			lo = hi - near
			break
		}
		hi -= near
	}
	for lo < hi {
		if mid := lo + (hi-lo+1)/2; s.at(mid).start <= at {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return s.at(lo)
}
