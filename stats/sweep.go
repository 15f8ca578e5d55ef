package stats

import (
	"net/netip"
	"sync/atomic"

	"netprobe/probe"
)

// HostState is what a sweep says of one host. Every host has exactly one.
type HostState uint8

const (
	HostSilent      HostState = iota // nobody answered
	HostAlive                        // it answered: Reply, Late, or Refused, which only somebody there can do
	HostAmplifier                    // several others answered for it: a broadcast address, and no host
	HostUnreachable                  // an ICMP error came: Unreachable or Expired
	HostFailed                       // could not be tested: says nothing about the host
	HostPending                      // the run ended before the verdict
)

var hostStateNames = [...]string{"silent", "alive", "amplifier", "unreachable", "failed", "pending"}

// String returns the name of the state, as counted in records.
func (s HostState) String() string { return hostStateNames[s] }

// StateOf returns the state that r, an outcome of a sweep, gives its host.
func StateOf(r *probe.Result) HostState {
	switch r.Status {
	case probe.Reply, probe.Late, probe.Refused:
		if d, ok := r.Detail.(*probe.Responders); ok && d != nil && d.Count > 1 {
			return HostAmplifier
		}
		return HostAlive
	case probe.Unreachable, probe.Expired:
		return HostUnreachable
	case probe.Failed:
		return HostFailed
	case probe.Pending:
		return HostPending
	}
	return HostSilent
}

// Sweep counts one pass over many hosts. It keeps no host: its memory is that
// of the few it names and, if they are asked for, of the subnets. Every host has
// one state, so that
//
//	Hosts = Alive + Amplifiers + Unreachable + Silent + Failed + Pending
//
// and every probe one outcome, so that
//
//	Probes = Received + Lost + Late + Errors + Undecided
//
// where the tries before the one that decided a host are lost ones. But for
// Hosts a Sweep is not safe for concurrent use.
type Sweep struct {
	states             [len(hostStateNames)]atomic.Uint64
	statuses           [probe.Failed + 1]uint64 // outcomes by status
	probes             uint64
	cut                uint64 // pending hosts that had been asked
	retried, elsewhere uint64

	duplicates, lateAnswers                    uint64
	reordered, corrupt, truncated, wrongSource uint64
	rtts                                       distribution
	late                                       namedHosts
	amplifiers                                 amplifiers
	failures                                   failures
	subnets                                    subnets
}

// NewSweep returns a Sweep that also counts by subnet: of bits4 bits for IPv4
// and bits6 bits for IPv6. 0 stands for no subnets of that family.
func NewSweep(bits4, bits6 int) *Sweep {
	return &Sweep{subnets: subnets{bits4: bits4, bits6: bits6}}
}

// Record counts one Result of a sweeper. What is neither an outcome nor Extra
// is a late answer if its status is Late, and counts nowhere else. It allocates
// only for what is seen for the first time: names, failures, subnets, and
// round-trip times of a new magnitude.
func (s *Sweep) Record(r *probe.Result) {
	switch {
	case r.Interim:
		if r.Status == probe.Late {
			s.lateAnswers++
			s.late.add(r.Target)
		}
	case r.Flags.Has(probe.Dup):
		s.duplicates++
		s.amplifiers.extra(r)
	default:
		s.outcome(r)
	}
}

func (s *Sweep) outcome(r *probe.Result) {
	state := StateOf(r)
	s.states[state].Add(1)
	s.statuses[r.Status]++
	s.countProbes(r)
	if r.Flags != 0 {
		s.countFlags(r.Flags)
	}
	switch state {
	case HostAlive:
		if r.Seq > 1 {
			s.retried++
		}
		if r.From != r.Target.Addr.Addr() {
			s.elsewhere++
		}
		if r.Status != probe.Late {
			s.rtts.add(r.RTT, s.rtts.n)
		}
	case HostAmplifier:
		s.amplifiers.outcome(r)
	case HostFailed:
		s.failures.add(r)
	}
	s.subnets.add(r.Target.Addr.Addr(), state)
}

// countProbes counts what was sent to the host of r. A host with a verdict of
// the network was asked, whatever its Result says.
func (s *Sweep) countProbes(r *probe.Result) {
	tries := r.Seq
	switch r.Status {
	case probe.Pending:
		if tries > 0 {
			s.cut++
		}
	case probe.Failed:
	default:
		tries = max(tries, 1)
	}
	s.probes += tries
}

func (s *Sweep) countFlags(f probe.Flags) {
	for _, c := range [...]struct {
		flag  probe.Flags
		count *uint64
	}{
		{probe.Reordered, &s.reordered},
		{probe.WrongSource, &s.wrongSource},
		{probe.Corrupt, &s.corrupt},
		{probe.Truncated, &s.truncated},
	} {
		if f.Has(c.flag) {
			*c.count++
		}
	}
}

// NewFailure reports whether the last host that could not be tested was the
// first with its failure.
func (s *Sweep) NewFailure() bool { return s.failures.fresh }

// Hosts returns how many hosts were counted, and how many of them are alive. It
// may be called while Record runs.
func (s *Sweep) Hosts() (all, alive uint64) {
	alive = s.states[HostAlive].Load()
	for i := range s.states {
		all += s.states[i].Load()
	}
	return all, alive
}

func (s *Sweep) count(state HostState) uint64 { return s.states[state].Load() }

// SweepHost is a host that a summary names.
type SweepHost struct {
	Name string     // as the user wrote it; empty if that was an address or a range
	Addr netip.Addr // invalid for a name without address
}

// SweepSummary is what is known of a sweep at one moment. Later Results do not
// change its numbers.
type SweepSummary struct {
	Hosts       uint64 // all that follow to Pending, together
	Alive       uint64
	Amplifiers  uint64 // broadcast addresses, for which several hosts answered
	Unreachable uint64 // an ICMP error ended the wait
	Silent      uint64
	Failed      uint64 // could not be tested
	Pending     uint64 // the run ended before the verdict

	Retried     uint64 // of Alive: answered a later probe than the first
	Elsewhere   uint64 // of Alive: answered from another address than the one asked
	Duplicates  uint64 // further answers to probes already answered
	LateAnswers uint64 // answers after the verdict: they changed none

	Probes    uint64 // left: Received + Lost + Late + Errors + Undecided
	Received  uint64 // answered in time
	Late      uint64 // answered after their timeout, while their host was still being asked
	Errors    uint64 // an ICMP error or a refusal came
	Undecided uint64 // the run ended before they were decided
	Lost      uint64 // never answered

	WrongSource, Reordered, Corrupt, Truncated uint64 // answers with that flag

	RTT *RTT // of hosts alive that answered in time; nil without one. First and EWMA mean nothing

	Amplified      []Amplifier // addresses for which several others answered: the first 1,000
	AmplifiedTotal uint64      // all of them; more than Amplifiers if some answered themselves as well
	AnsweredLate   []SweepHost // hosts with an answer after the verdict: the first 1,000
	Failures       []Failure   // why hosts could not be tested, by first appearance: the first 32
	FailuresOther  uint64      // hosts whose failure is none of those
}

// Summary returns what is known now.
func (s *Sweep) Summary() SweepSummary {
	all, _ := s.Hosts()
	sum := SweepSummary{
		Hosts: all, Alive: s.count(HostAlive), Amplifiers: s.count(HostAmplifier),
		Unreachable: s.count(HostUnreachable), Silent: s.count(HostSilent),
		Failed: s.count(HostFailed), Pending: s.count(HostPending),
		Retried: s.retried, Elsewhere: s.elsewhere, Duplicates: s.duplicates, LateAnswers: s.lateAnswers,
		Probes: s.probes, Received: s.statuses[probe.Reply], Late: s.statuses[probe.Late],
		Errors:      s.statuses[probe.Unreachable] + s.statuses[probe.Expired] + s.statuses[probe.Refused],
		Undecided:   s.cut,
		WrongSource: s.wrongSource, Reordered: s.reordered, Corrupt: s.corrupt, Truncated: s.truncated,
		RTT:       s.rtts.summary(),
		Amplified: s.amplifiers.list(), AmplifiedTotal: s.amplifiers.found,
		AnsweredLate: s.late.hosts[:len(s.late.hosts):len(s.late.hosts)],
		Failures:     s.failures.list(), FailuresOther: s.failures.other,
	}
	sum.Lost = sum.Probes - sum.Received - sum.Late - sum.Errors - sum.Undecided
	return sum
}

// Subnets returns the totals by subnet in the order of their addresses, IPv4
// first, and at the end those of the hosts in none of them, if there are any.
// Their sum is that of all hosts. It returns nil unless subnets were asked for;
// the slice is valid until the next Record.
func (s *Sweep) Subnets() []*Subnet { return s.subnets.sorted() }
