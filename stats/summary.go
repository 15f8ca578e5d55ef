package stats

import (
	"time"

	"netprobe/probe"
)

// Summary is what is known about one target at one moment. It is a value: later
// Results do not change it.
type Summary struct {
	Target *probe.Target

	Sent       uint64 // probes that left: Received + Lost + Late + Errors + Pending
	Received   uint64 // answered in time
	Lost       uint64 // nobody answered, nor in the late window
	Late       uint64 // answered after the timeout: neither received nor lost
	Errors     uint64 // an ICMP error came instead (unreachable, expired, refused), or a layer above the transport failed
	Pending    uint64 // the run ended before they were decided
	Failed     uint64 // could not be sent; not in Sent
	Duplicates uint64 // further answers to probes already answered
	Reordered  uint64 // answers overtaken by that of a later probe

	Corrupt, Truncated, WrongSource uint64 // answers with that flag

	LossPercent float64 // (Lost + Errors) of all decided probes, 0 to 100
	HasLoss     bool    // false if no probe was decided: LossPercent means nothing then

	RTT       *RTT          // nil if no answer came in time or none but to SYNs that were sent again
	Jitter    time.Duration // mean of |RTT differences| of consecutive replies in the order of sending
	HasJitter bool          // false with fewer than two replies
	Outage    *Outage       // the longest one; nil if there was none
	Outages   Outages       // all of them
	Retrans   uint64        // SYNs the kernel sent again for all these probes
	PathMTU   *probe.PathMTU
	Span      time.Duration // from the departure of the first probe to that of the last

	Error       error        // why the target could not be tested at all; nil otherwise
	ErrorReason probe.Reason // valid if Error is set
}

// Summary returns what is known about t now.
func (t *Target) Summary() Summary {
	s := Summary{
		Target: t.Target,
		Sent:   t.sent, Received: t.received, Lost: t.lost, Late: t.late, Errors: t.errors,
		Pending: t.pending, Failed: t.failed, Duplicates: t.duplicates, Reordered: t.reordered,
		Corrupt: t.corrupt, Truncated: t.truncated, WrongSource: t.wrongSource,
		RTT: t.rtts.summary(), Span: t.span, Retrans: t.retrans,
	}
	if decided := t.sent - t.pending; decided > 0 {
		s.HasLoss = true
		s.LossPercent = 100 * float64(t.lost+t.errors) / float64(decided)
	}
	line := t.order.timeline()
	s.Jitter, s.HasJitter = line.jitter()
	s.Outage, s.Outages = line.outage(), line.outages()
	if t.hasMTU {
		s.PathMTU = new(t.mtu)
	}
	switch {
	case t.Err != nil:
		s.Error, s.ErrorReason = t.Err, probe.ResolveFailed
	case t.sent == 0 && t.failed > 0:
		s.Error, s.ErrorReason = t.failure, t.failureReason
	}
	return s
}

// Answered reports whether the target answered at all, in time or late.
func (s Summary) Answered() bool { return s.Received+s.Late > 0 }

// Verdict is the outcome of a whole run for one target.
type Verdict uint8

const (
	Answered Verdict = iota // at least one answer came
	Silent                  // probes left, no answer came
	Untested                // no probe ever left: unresolved, or every attempt failed here
)

// Verdict says whether the target answered, did not, or was never tested.
func (s Summary) Verdict() Verdict {
	switch {
	case s.Answered():
		return Answered
	case s.Sent == 0:
		return Untested
	}
	return Silent
}
