// Package probe holds the words every room of netprobe shares: who is asked
// (Target), what one question taught us (Result, Status, Reason), who asks
// (Prober) and who listens (Sink). It knows no protocol and no output format,
// and imports the standard library alone.
//
// The one thing that surprises: a Result is not always an outcome. Every probe
// has exactly one outcome; beside it a Result may be Interim (the timeout
// passed, the outcome is still open) or Extra (a further answer to a probe that
// already has its outcome). Result.Outcome tells them apart. In a sweep it is
// each host that has one outcome, and an answer after that is Interim and Late.
package probe

import (
	"net/netip"
	"time"
)

// Target is one thing to probe. It never changes once a run knows it: when a
// name is resolved again, the run continues with a new Target of the same ID. A
// sweep has too many to keep: there a Target is valid only while its Result is
// emitted.
type Target struct {
	ID   int            // row number in the run, from 0; dense, but for sweeps (Candidate.Index)
	Name string         // as the user wrote it
	Host string         // its name as protocols say it: in ASCII, without port; empty for an address
	Addr netip.AddrPort // resolved and unmapped; Port 0 where the protocol has none
	Err  error          // why it has no address; Addr is invalid then, but for its Port
}

// Result is what one probe taught us. It is flat and travels by value, so the
// path of a packet does not allocate.
type Result struct {
	Target  *Target
	Seq     uint64 // number of the probe at its target, from 1
	Status  Status
	Reason  Reason
	Interim bool // the timeout passed without an answer, and the outcome follows as Late, Lost, ...; in a sweep an answer after the outcome
	Clock   Clock
	Flags   Flags

	TTL        uint8 // TTL or hop limit of the answer as it arrived; 0 if unknown
	Type, Code uint8 // ICMP type and code of the message that decided it; valid if From is
	Size       int   // bytes of the target's answer (ICMP header and payload); of the probe where there is none
	MTU        int   // next-hop MTU named by a frag-needed or packet-too-big; 0 if none was
	Retrans    uint8 // SYNs the kernel sent again, 255 for that many or more; 0 for other protocols

	From netip.Addr    // who answered; invalid if nobody did
	Sent time.Time     // when the probe left, with the monotonic reading; zero if it never did
	RTT  time.Duration // from Sent to the answer; valid if From is
	Host time.Duration // part of the wait spent in this host, or until a lost SYN was sent again: the wait by the user clock minus RTT; 0 if Clock is User and Retrans 0
	Lag  time.Duration // how much later than planned the probe left

	Detail any   // what only one protocol or verb knows (PathMTU, Layers, PortOf, ...); usually nil
	Err    error // why we could not test; set exactly if Status is Failed
}

// Outcome reports whether r is the one Result that decides its probe.
func (r *Result) Outcome() bool { return !r.Interim && !r.Flags.Has(Dup) }

// Status says how a probe ended. Exactly one per probe.
type Status uint8

const (
	Lost        Status = iota // nobody answered in time, nor in the late window
	Reply                     // the target answered in time; what was asked above may have failed (Good)
	Late                      // the target answered after the timeout, within the late window
	Unreachable               // an ICMP error came
	Expired                   // an ICMP time-exceeded came
	Refused                   // RST, or ICMP port-unreachable from the target itself
	Pending                   // the run ended before the probe was decided or its timeout passed
	Failed                    // we could not test: says nothing about the target
)

var statusNames = [...]string{"lost", "reply", "late", "unreachable", "expired", "refused", "pending", "failed"}

// String returns the name used in records.
func (s Status) String() string { return name(statusNames[:], int(s)) }

// Statuses returns the names of all statuses, in order.
func Statuses() []string { return append([]string(nil), statusNames[:]...) }

// Reason says why a probe ended as it did: a closed list that users script against.
type Reason uint8

const (
	ReasonOther Reason = iota
	EchoReply
	SynAck
	Connected
	UDPReply
	DNSReply
	RST
	NoResponse
	NetUnreachable
	HostUnreachable
	ProtoUnreachable
	PortUnreachable
	FragNeeded
	NetProhibited
	HostProhibited
	AdminProhibited
	TTLExceeded
	ReassemblyExceeded
	ParameterProblem
	Redirect
	PacketTooBig
	NoRoute
	Permission
	NoBuffers
	NoDescriptors
	NoLocalPort
	LinkDown
	ResolveFailed
	TLSFailed
	HTTPStatus
	BadReply
	Canceled
)

var reasonNames = [...]string{
	"other", "echo-reply", "syn-ack", "connected", "udp-reply", "dns-reply", "rst", "no-response",
	"net-unreachable", "host-unreachable", "proto-unreachable", "port-unreachable", "frag-needed",
	"net-prohibited", "host-prohibited", "admin-prohibited", "ttl-exceeded", "reassembly-exceeded",
	"parameter-problem", "redirect", "packet-too-big", "no-route", "permission", "no-buffers",
	"no-descriptors", "no-local-port", "link-down", "resolve-failed", "tls-failed", "http-status",
	"bad-reply", "canceled",
}

// String returns the name used in records.
func (r Reason) String() string { return name(reasonNames[:], int(r)) }

// Reasons returns the names of all reasons, in order.
func Reasons() []string { return append([]string(nil), reasonNames[:]...) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "other"
}

// Clock says where the two readings of an RTT came from.
type Clock uint8

const (
	User   Clock = iota // at least one was taken by this process (monotonic clock)
	Kernel              // both were taken by the kernel as the packet passed
)

// String returns the name used in records.
func (c Clock) String() string {
	if c == Kernel {
		return "kernel"
	}
	return "user"
}

// Flags are oddities of an answer. They qualify an outcome and never replace it.
type Flags uint8

const (
	Dup         Flags = 1 << iota // a further answer to a probe already answered: an extra Result, not an outcome
	Reordered                     // overtaken: a later probe to this target was answered first
	WrongSource                   // a valid answer from another address than the one probed
	Corrupt                       // checksum or payload is not what we sent
	Truncated                     // shorter than what we sent
)

var flagNames = [...]string{"dup", "reordered", "wrong-source", "corrupt", "truncated"}

// Has reports whether all flags of g are set in f.
func (f Flags) Has(g Flags) bool { return f&g == g }

// AppendNames appends the names of the set flags, as used in records.
func (f Flags) AppendNames(names []string) []string {
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// FlagNames returns the names of all flags, in bit order.
func FlagNames() []string { return append([]string(nil), flagNames[:]...) }

// PathMTU is what a path-MTU search found out about one target. It is the
// Detail of the last outcome of that target.
type PathMTU struct {
	MTU       int        // largest IP packet, in bytes, that was answered unfragmented; 0 if none was
	From      netip.Addr // the router that named the limit; invalid if nobody did
	Local     bool       // the limit is this host's own link
	BlackHole bool       // larger packets vanished without a word
	Partial   bool       // the search could not be finished: MTU is a lower bound
}
