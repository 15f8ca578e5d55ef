// Package stats turns Results into what a run says about each target: loss, the
// distribution of round-trip times, jitter and outages, in memory that does not
// grow with the length of the run.
//
// The accounting is exact. For every target
//
//	Sent = Received + Lost + Late + Errors + Pending
//
// and a probe that could not be sent (probe.Failed) is none of these: it says
// nothing about the target. What surprises: outcomes arrive in the order of the
// answers, but jitter and outages are defined in the order of sending, so they
// pass through a small window that puts them back in order first.
//
// Where everything is asked once there are no rows to keep: a Sweep counts hosts,
// a Scan the ports of hosts in progress, and an Expectation says how the open
// ports of a host differ from those that should be.
//
// A Set is not safe for concurrent use; probe.Run makes one call at a time.
package stats

import (
	"time"

	"netprobe/probe"
)

// Set holds one row of statistics for each target of a run.
type Set struct {
	rows []*Target
}

// New returns a Set with a row for each of targets, indexed by Target.ID, which
// must be dense from 0.
func New(targets []*probe.Target) *Set {
	s := &Set{rows: make([]*Target, len(targets))}
	backing := make([]Target, len(targets))
	for _, t := range targets {
		row := &backing[t.ID]
		row.Target = t
		s.rows[t.ID] = row
	}
	return s
}

// Rows returns the rows in the order of their IDs. The slice is the Set's own.
func (s *Set) Rows() []*Target { return s.rows }

// Record adds one Result to the row of its target and returns that row. Interim
// Results count nowhere. It allocates nothing once the row has seen its range
// of round-trip times.
func (s *Set) Record(r *probe.Result) *Target {
	t := s.rows[r.Target.ID]
	if !r.Interim {
		t.record(r)
	}
	return t
}

// Retarget lets the row t.ID show t from now on: the address after a name was
// resolved again. What was counted stays.
func (s *Set) Retarget(t *probe.Target) { s.rows[t.ID].Target = t }

// Target is the row of one target: its present address and its counters.
type Target struct {
	*probe.Target

	sent, received, lost, late, pending, failed uint64
	errors                                      uint64 // unreachable, expired, refused, and answers with a fault above the transport
	duplicates, reordered, retrans              uint64
	corrupt, truncated, wrongSource             uint64
	begun                                       time.Time     // when the first probe left
	span                                        time.Duration // from then until the last one left
	rtts                                        distribution
	order                                       sequencer
	mtu                                         probe.PathMTU
	hasMTU                                      bool
	failure                                     error        // of the last Failed probe
	failureReason                               probe.Reason // likewise
}

func (t *Target) record(r *probe.Result) {
	if r.Flags.Has(probe.Dup) {
		t.duplicates++
		return
	}
	t.countFlags(r.Flags)
	switch m := r.Detail.(type) {
	case probe.PathMTU:
		t.mtu, t.hasMTU = m, true
	case *probe.PathMTU:
		if m != nil {
			t.mtu, t.hasMTU = *m, true
		}
	}
	if r.Status == probe.Failed {
		t.failed++
		t.failure, t.failureReason = r.Err, r.Reason
	} else {
		t.sent++
		t.retrans += uint64(r.Retrans)
		t.countOutcome(r)
		t.measure(r.Sent)
	}
	t.order.add(r)
}

// measure widens the span from the first probe to the last. Outcomes come in
// any order, so either end may move.
func (t *Target) measure(sent time.Time) {
	if t.begun.IsZero() {
		t.begun = sent
		return
	}
	switch d := sent.Sub(t.begun); {
	case d < 0:
		t.begun = sent
		t.span -= d
	case d > t.span:
		t.span = d
	}
}

func (t *Target) countOutcome(r *probe.Result) {
	if r.Fault() != nil {
		t.errors++
		return
	}
	switch r.Status {
	case probe.Reply:
		t.received++
		if measured(r) {
			t.rtts.add(r.RTT, r.Seq)
		}
	case probe.Late:
		t.late++
	case probe.Unreachable, probe.Expired, probe.Refused:
		t.errors++
	case probe.Pending:
		t.pending++
	default:
		t.lost++
	}
}

// measured reports whether the round-trip time of a reply goes into statistics.
// Where a SYN was sent again it does not (RFC 6298, section 3: Karn's algorithm):
// the kernel knows by the target's TCP timestamps, to the millisecond, which one
// was answered, and without those nobody does.
func measured(r *probe.Result) bool { return r.Retrans == 0 }

func (t *Target) countFlags(f probe.Flags) {
	if f == 0 {
		return
	}
	for _, c := range [...]struct {
		flag  probe.Flags
		count *uint64
	}{
		{probe.Reordered, &t.reordered},
		{probe.WrongSource, &t.wrongSource},
		{probe.Corrupt, &t.corrupt},
		{probe.Truncated, &t.truncated},
	} {
		if f.Has(c.flag) {
			*c.count++
		}
	}
}

// wall returns t in nanoseconds since 1970, 0 if t is zero.
func wall(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
