package stats

import (
	"math"
	"time"

	"netprobe/probe"
)

// maxWindow bounds how many outcomes of one target wait for an earlier one. A
// probe overtaken by more than that many decided ones is left out of jitter and
// outages (never out of the counts).
const maxWindow = 1 << 16

// outcome is what jitter and outages need to know of one probe.
type outcome struct {
	known bool
	kind  outcomeKind
	rtt   time.Duration
	wall  int64         // when it left, ns since 1970
	mono  time.Duration // when it left, since the first probe, immune to clock steps
}

type outcomeKind uint8

const (
	neutral  outcomeKind = iota // pending, failed: says nothing about the target
	replied                     // answered in time: has an RTT
	answered                    // answered late, or a SYN that was sent again: ends an outage
	silent                      // lost, an ICMP error or a fault above the transport: an outage
)

func kindOf(r *probe.Result) outcomeKind {
	if r.Fault() != nil {
		return silent
	}
	switch r.Status {
	case probe.Reply:
		if !measured(r) {
			return answered
		}
		return replied
	case probe.Late:
		return answered
	case probe.Pending, probe.Failed:
		return neutral
	}
	return silent
}

// sequencer puts outcomes back into the order of sending: a ring of those that
// arrived before one with a lower sequence number. It holds as many slots as
// probes were ever in flight at once, rounded up to a power of two.
type sequencer struct {
	ring   []outcome
	head   uint64 // lowest sequence number not yet told to the timeline
	high   uint64 // highest sequence number seen
	start  time.Time
	passed timeline
}

func (s *sequencer) add(r *probe.Result) {
	if s.head == 0 {
		s.head = 1 // sequence numbers start at 1
	}
	if r.Seq < s.head {
		return
	}
	o := outcome{known: true, kind: kindOf(r), rtt: max(r.RTT, 0), wall: wall(r.Sent)}
	if !r.Sent.IsZero() {
		if s.start.IsZero() {
			s.start = r.Sent
		}
		o.mono = r.Sent.Sub(s.start)
	}
	if r.Seq == s.head && s.high < r.Seq { // the common case: nothing waits
		s.passed.add(o)
		s.head, s.high = r.Seq+1, r.Seq
		return
	}
	s.reach(r.Seq)
	slot := &s.ring[r.Seq%uint64(len(s.ring))]
	if !slot.known {
		*slot = o
	}
	s.high = max(s.high, r.Seq)
	s.drain()
}

// reach makes room for seq: it grows the ring, and beyond maxWindow gives up
// waiting for the oldest.
func (s *sequencer) reach(seq uint64) {
	need := seq - s.head + 1
	if need > maxWindow {
		s.skipTo(seq - maxWindow + 1)
		need = maxWindow
	}
	if need <= uint64(len(s.ring)) {
		return
	}
	size := max(len(s.ring), 4)
	for uint64(size) < need {
		size *= 2
	}
	grown := make([]outcome, size)
	for i := range s.ring {
		seq := s.head + uint64(i)
		grown[seq%uint64(size)] = s.ring[seq%uint64(len(s.ring))]
	}
	s.ring = grown
}

// skipTo tells the timeline all that is known below seq and moves there.
func (s *sequencer) skipTo(seq uint64) {
	last := min(s.head+uint64(len(s.ring)), seq)
	for ; s.head < last; s.head++ {
		s.pop()
	}
	s.head = seq
}

// drain tells the timeline every outcome up to the first gap.
func (s *sequencer) drain() {
	for s.head <= s.high && s.ring[s.head%uint64(len(s.ring))].known {
		s.pop()
		s.head++
	}
}

func (s *sequencer) pop() {
	slot := &s.ring[s.head%uint64(len(s.ring))]
	if slot.known {
		s.passed.add(*slot)
		*slot = outcome{}
	}
}

// timeline returns the timeline with the outcomes still waiting behind a gap.
func (s *sequencer) timeline() timeline {
	t := s.passed
	for i := range s.ring {
		if o := &s.ring[(s.head+uint64(i))%uint64(len(s.ring))]; o.known {
			t.add(*o)
		}
	}
	return t
}

// timeline is told the outcomes of one target in the order of sending.
type timeline struct {
	previous  time.Duration // RTT of the last reply
	replies   uint64
	differSum float64 // of |RTT differences|, ns
	longest   outage
	current   outage
	ended     outages       // all that are over
	asked     bool          // a probe left before
	last      time.Duration // when it did
}

// outage is a run of probes nobody answered, ended by an answer.
type outage struct {
	from, to         int64         // wall clock, ns since 1970
	fromMono, toMono time.Duration // the same, immune to clock steps
	probes           uint64
	gap              time.Duration // the longer of the times between the probes around from and around to; 0 if there were none
	ongoing          bool
}

func (o *outage) length() time.Duration { return o.toMono - o.fromMono }

// outages sums up several.
type outages struct {
	n     int
	total time.Duration
	gap   time.Duration // the longest
}

func (all *outages) add(o *outage) {
	all.n++
	all.total += o.length()
	all.gap = max(all.gap, o.gap)
}

func (o *outage) longer(p *outage) bool {
	if a, b := o.length(), p.length(); a != b {
		return a > b
	}
	return o.probes > p.probes
}

func (t *timeline) add(o outcome) {
	switch o.kind {
	case replied:
		if t.replies > 0 {
			t.differSum += math.Abs(float64(o.rtt - t.previous))
		}
		t.replies++
		t.previous = o.rtt
		t.end(o)
	case answered:
		t.end(o)
	case silent:
		c := &t.current
		if c.probes == 0 {
			c.from, c.fromMono, c.ongoing = o.wall, o.mono, true
			c.gap = t.since(o)
		}
		c.to, c.toMono = o.wall, o.mono
		c.probes++
	}
	if o.kind != neutral {
		t.last, t.asked = o.mono, true
	}
}

// since returns how long before o a probe left that says something; 0 if none did.
func (t *timeline) since(o outcome) time.Duration {
	if !t.asked {
		return 0
	}
	return o.mono - t.last
}

func (t *timeline) end(o outcome) {
	c := &t.current
	if c.probes == 0 {
		return
	}
	c.to, c.toMono, c.ongoing = o.wall, o.mono, false
	c.gap = max(c.gap, t.since(o))
	t.ended.add(c)
	if c.longer(&t.longest) {
		t.longest = *c
	}
	*c = outage{}
}

// jitter returns the mean of the |RTT differences|; ok is false with fewer than
// two replies.
func (t *timeline) jitter() (mean time.Duration, ok bool) {
	if t.replies < 2 {
		return 0, false
	}
	return time.Duration(math.Round(t.differSum / float64(t.replies-1))), true
}

// Outage is a run of consecutive probes, in the order of sending, that were lost,
// met an ICMP error or a fault above the transport. A probe that could not be sent neither extends nor ends it.
type Outage struct {
	From    time.Time     // when its first probe left, by the wall clock
	To      time.Time     // when the first answered probe after it left; if Ongoing, its own last one
	Length  time.Duration // the same span by the monotonic clock: true when the wall clock was set meanwhile
	Probes  uint64        // how many probes nobody answered
	Ongoing bool          // no answer since

	// Uncertainty is how far off either end may be, as nobody asked in between:
	// half the longer of the times between the probes around From and around To.
	// The outage began up to twice that before From, and ended up to twice that
	// before To. 0 if no probe was before it and none came after.
	Uncertainty time.Duration
}

// Outages sums up all outages of a target.
type Outages struct {
	N           int           // how many, with one that is not over
	Total       time.Duration // their Lengths together
	Uncertainty time.Duration // the largest of them
}

func (t *timeline) outages() Outages {
	all := t.ended
	if t.current.probes > 0 {
		all.add(&t.current)
	}
	return Outages{all.n, all.total, all.gap / 2}
}

// outage returns the longest outage, nil if there was none.
func (t *timeline) outage() *Outage {
	o := &t.longest
	if t.current.probes > 0 && t.current.longer(o) {
		o = &t.current
	}
	if o.probes == 0 {
		return nil
	}
	return &Outage{
		From: time.Unix(0, o.from).UTC(), To: time.Unix(0, o.to).UTC(),
		Length: o.length(), Probes: o.probes, Ongoing: o.ongoing, Uncertainty: o.gap / 2,
	}
}
