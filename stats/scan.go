package stats

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"

	"netprobe/probe"
)

// maxLatePorts bounds how many ports that answered too late are named.
const maxLatePorts = 32

// ScanConfig says what a Scan is to count and to keep.
type ScanConfig struct {
	UDP    bool         // the ports are those of UDP
	All    bool         // keep every port of a host in progress one by one: about 40 bytes each
	Expect *Expectation // the ports that are to be open; nil if nothing is expected
}

// Scan counts one scan of the ports of many hosts, whose Results come mixed. It
// keeps a host while that is in progress, its ports of little interest as
// numbers of ports in groups, and nothing of it afterwards, so that
//
//	Ports = Open + Closed + Filtered + OpenFiltered + Failed + Pending
//	Sent = Received + Lost + Late + Errors + Undecided
//
// hold for each host as for the run. But for Decided a Scan is not safe for
// concurrent use.
type Scan struct {
	cfg  ScanConfig
	live map[scanKey]*ScanHost // in progress
	last *ScanHost             // of the last Result, unless it is finished
	done *ScanHost             // finished by the last Result
	free []*ScanHost           // to use again

	hosts    [scanKinds]uint64 // finished, by kind
	up       uint64            // of them: answered themselves
	states   [probe.PortOpenFiltered + 1]atomic.Uint64
	statuses [probe.Failed + 1]uint64
	probes   uint64
	cut      uint64
	retried  uint64

	duplicates, lateAnswers uint64
	late                    []ScannedPort
	rtts                    distribution
	failures, unresolved    failures
	differs                 []HostDifference
	differing               uint64

	cutOff []*ScanHost // in progress when the run ended
	left   uint64      // their ports without an outcome
}

// scanKey tells hosts apart: all addresses of a name have its ID.
type scanKey struct {
	id   int
	addr netip.Addr
}

func (h *ScanHost) key() scanKey { return scanKey{h.ID, h.Addr} }

// NewScan returns a Scan.
func NewScan(cfg ScanConfig) *Scan {
	return &Scan{cfg: cfg, live: make(map[scanKey]*ScanHost)}
}

// UDP reports whether r is of a port of UDP: for whoever counts or shows it.
func (s *Scan) UDP(*probe.Result) bool { return s.cfg.UDP }

// StateOf returns the state that r, an outcome of this scan, gives its port.
func (s *Scan) StateOf(r *probe.Result) probe.PortState { return probe.StateOfPort(r, s.UDP(r)) }

// Record counts one Result of a scan: an outcome with a *probe.ScannedHost as
// its Detail, an answer that came later (Interim and Late, or Dup), or, without a
// Detail, a host that could not even be resolved. It allocates for a new host
// only, for new reasons and for open ports.
func (s *Scan) Record(r *probe.Result) {
	s.recycle()
	s.failures.fresh, s.unresolved.fresh = false, false
	switch d, _ := r.Detail.(*probe.ScannedHost); {
	case r.Interim:
		if r.Status == probe.Late {
			s.answeredLate(r)
		}
	case r.Flags.Has(probe.Dup):
		s.duplicates++
	case d == nil:
		s.noHost(r)
	default:
		s.outcome(r, d)
	}
}

// recycle gives the room of the host that was finished last to another one.
func (s *Scan) recycle() {
	const spare = 64
	if s.done == nil {
		return
	}
	if len(s.free) < spare {
		s.done.reset()
		s.free = append(s.free, s.done)
	}
	s.done = nil
}

func (s *Scan) answeredLate(r *probe.Result) {
	s.lateAnswers++
	p := ScannedPort{r.Target.Name, r.Target.Addr, s.UDP(r)}
	if len(s.late) < maxLatePorts && !slices.Contains(s.late, p) {
		s.late = append(s.late, p)
	}
}

// noHost counts a host without address: it has no ports.
func (s *Scan) noHost(r *probe.Result) {
	s.unresolved.add(r)
	h := s.newHost(r.Target)
	if h.Err = r.Err; h.Err == nil {
		h.Err = r.Target.Err
	}
	s.finish(h)
}

func (s *Scan) outcome(r *probe.Result, d *probe.ScannedHost) {
	state, udp := s.StateOf(r), s.UDP(r)
	s.states[state].Add(1)
	s.statuses[r.Status]++
	probes, cut := probesOf(r)
	s.probes += probes
	if cut {
		s.cut++
	}
	failure := 0
	if r.Status == probe.Failed {
		failure = s.failures.add(r)
	}
	h := s.host(r.Target)
	retried, answers := h.retried, h.rtts.n
	h.add(r, state, udp, failure, s.cfg.All)
	s.retried += h.retried - retried
	if h.rtts.n > answers {
		s.rtts.add(r.RTT, s.rtts.n)
	}
	if s.cfg.Expect != nil {
		s.cfg.Expect.note(h, r, state)
	}
	if d.Left == 0 {
		delete(s.live, h.key())
		s.last = nil
		s.finish(h)
	}
}

// probesOf returns how many probes were sent to the port of r, and whether the
// last of them was cut off. What has a verdict of the network was asked.
func probesOf(r *probe.Result) (probes uint64, cut bool) {
	switch r.Status {
	case probe.Pending:
		return r.Seq, r.Seq > 0
	case probe.Failed:
		return r.Seq, false
	}
	return max(r.Seq, 1), false
}

// host returns the host of t, in progress.
func (s *Scan) host(t *probe.Target) *ScanHost {
	key := scanKey{t.ID, t.Addr.Addr()}
	if s.last != nil && s.last.key() == key {
		return s.last
	}
	h := s.live[key]
	if h == nil {
		h = s.newHost(t)
		s.live[key] = h
	}
	s.last = h
	return h
}

func (s *Scan) newHost(t *probe.Target) *ScanHost {
	h := &ScanHost{}
	if n := len(s.free); n > 0 {
		h, s.free = s.free[n-1], s.free[:n-1]
	}
	h.ID, h.Name, h.Addr = t.ID, t.Name, t.Addr.Addr()
	return h
}

// finish adds h to the totals of hosts.
func (s *Scan) finish(h *ScanHost) {
	s.done = h
	s.hosts[h.Kind()]++
	if h.up {
		s.up++
	}
	s.judge(h)
}

// judge compares h with what was expected.
func (s *Scan) judge(h *ScanHost) {
	if s.cfg.Expect == nil {
		return
	}
	d := s.cfg.Expect.judge(h)
	h.differs = &d
	if d.Met() {
		return
	}
	s.differing++
	if len(s.differs) < MaxNamed {
		s.differs = append(s.differs, HostDifference{SweepHost{h.Name, h.Addr}, d})
	}
}

// Done returns the host of which the last Result was the last one, nil if there
// are more to come. It is valid until the next Record.
func (s *Scan) Done() *ScanHost { return s.done }

// NewFailure reports whether the last Result was the first with its failure.
func (s *Scan) NewFailure() bool { return s.failures.fresh || s.unresolved.fresh }

// Close finishes the hosts in progress: what they have no outcome of is pending.
// Call it once the run has ended, before the Summary that is to be the last;
// called again it does nothing.
func (s *Scan) Close() {
	first := len(s.cutOff)
	for _, h := range s.live {
		s.cutOff = append(s.cutOff, h)
	}
	clear(s.live)
	s.last = nil
	cut := s.cutOff[first:]
	slices.SortFunc(cut, func(a, b *ScanHost) int { return cmp.Or(cmp.Compare(a.ID, b.ID), a.Addr.Compare(b.Addr)) })
	for _, h := range cut {
		s.finish(h)
		s.left += uint64(h.Left)
	}
	s.done = nil
}

// CutOff returns the hosts that were in progress when the run ended, in the
// order of their IDs. None has been Done.
func (s *Scan) CutOff() []*ScanHost { return s.cutOff }

// Decided returns how many ports have an outcome, and how many of them are open.
// It may be called while Record runs.
func (s *Scan) Decided() (all, open uint64) {
	open = s.states[probe.PortOpen].Load()
	for i := range s.states {
		all += s.states[i].Load()
	}
	return all, open
}

// ScannedPort is a port that a summary names.
type ScannedPort struct {
	Name string // of its host, as the user wrote it; empty if that was an address or a range
	Addr netip.AddrPort
	UDP  bool
}

// HostDifference is a host whose open ports are not those expected.
type HostDifference struct {
	SweepHost
	Difference
}

// ProbeCounts are the probes of a host or a run by what came of them.
type ProbeCounts struct {
	Sent      uint64 // all that follow, together
	Received  uint64 // answered in time
	Late      uint64 // answered after their timeout, while their port was still being asked
	Errors    uint64 // an ICMP error or a refusal came
	Undecided uint64 // the run ended before they were decided
	Lost      uint64 // never answered: silent ones, and those before the one that was
}

func countProbes(probes, cut uint64, statuses *[probe.Failed + 1]uint64) ProbeCounts {
	c := ProbeCounts{
		Sent: probes, Received: statuses[probe.Reply], Late: statuses[probe.Late],
		Errors:    statuses[probe.Unreachable] + statuses[probe.Expired] + statuses[probe.Refused],
		Undecided: cut,
	}
	c.Lost = probes - c.Received - c.Late - c.Errors - c.Undecided
	return c
}

// ScanSummary is what is known of a scan at one moment. Later Results do not
// change its numbers.
type ScanSummary struct {
	Hosts          uint64 // finished: all that follow to HostsUndecided, together
	HostsOpen      uint64 // with an open port
	HostsClosed    uint64 // answered, and none is open
	HostsRejected  uint64 // did not answer, but somebody rejects for them
	HostsSilent    uint64 // nobody answered
	HostsUntested  uint64 // could not be tested, those without an address among them
	HostsUndecided uint64 // the run ended before anything was known of them
	HostsUp        uint64 // answered themselves

	Ports        uint64 // of these hosts and of those in progress: all that follow to Pending, together
	Open         uint64
	Closed       uint64
	Filtered     uint64
	OpenFiltered uint64
	Failed       uint64 // could not be tested
	Pending      uint64 // the run ended before the verdict
	Retried      uint64 // of them: answered a later probe than the first

	Probes ProbeCounts

	Duplicates   uint64        // further answers to probes already answered
	LateAnswers  uint64        // answers after the verdict: they changed none
	AnsweredLate []ScannedPort // with such an answer: the first 32

	RTT *RTT // of what hosts themselves answered in time; nil without an answer. First and EWMA mean nothing

	Failures      []Failure // why ports could not be tested, by first appearance: the first 32
	FailuresOther uint64    // ports whose failure is none of those
	Unresolved    []Failure // likewise why hosts have no address
	UnresolvedAll uint64    // how many those are

	Differing   uint64           // hosts whose open ports are not those expected
	Differences []HostDifference // the first 1,000 of them
}

// Summary returns what is known now. Hosts in progress count as soon as they are
// finished, by their last port or by Close.
func (s *Scan) Summary() ScanSummary {
	sum := ScanSummary{
		HostsOpen: s.hosts[ScanOpen], HostsClosed: s.hosts[ScanClosed], HostsRejected: s.hosts[ScanRejected],
		HostsSilent: s.hosts[ScanSilent], HostsUntested: s.hosts[ScanUntested], HostsUndecided: s.hosts[ScanUndecided],
		HostsUp: s.up,
		Open:    s.states[probe.PortOpen].Load(), Closed: s.states[probe.PortClosed].Load(),
		Filtered: s.states[probe.PortFiltered].Load(), OpenFiltered: s.states[probe.PortOpenFiltered].Load(),
		Failed: s.statuses[probe.Failed], Pending: s.statuses[probe.Pending] + s.left, Retried: s.retried,
		Probes:     countProbes(s.probes, s.cut, &s.statuses),
		Duplicates: s.duplicates, LateAnswers: s.lateAnswers, AnsweredLate: slices.Clone(s.late),
		RTT:      s.rtts.summary(),
		Failures: s.failures.list(), FailuresOther: s.failures.other,
		Unresolved: s.unresolved.list(), UnresolvedAll: s.unresolved.count(),
		Differing: s.differing, Differences: slices.Clone(s.differs),
	}
	for _, n := range s.hosts {
		sum.Hosts += n
	}
	all, _ := s.Decided()
	sum.Ports = all + s.left
	return sum
}
