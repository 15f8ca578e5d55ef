package probe

import "time"

// burst is how far a Pacer lets a late sender catch up. A timer wakes about a
// millisecond late; without this a high rate could not be held.
const burst = 10 * time.Millisecond

// Pacer caps the packet rate of a whole run. Its times are durations since the
// start of the run. The zero value has no cap.
type Pacer struct {
	gap  float64 // ns between packets; 0 for no cap
	next float64 // when the next packet may leave, ns
}

// NewPacer returns a Pacer for rate packets per second; no cap if rate is 0.
func NewPacer(rate float64) Pacer {
	if rate <= 0 {
		return Pacer{}
	}
	return Pacer{gap: 1e9 / rate}
}

// Next returns when the next packet may leave.
func (p *Pacer) Next() time.Duration { return time.Duration(p.next) }

// Take takes one packet's turn at now, which is not before Next.
func (p *Pacer) Take(now time.Duration) {
	if p.gap == 0 {
		return
	}
	p.next = max(p.next, float64(now-burst)) + p.gap
}
