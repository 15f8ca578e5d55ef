// Package udpprobe asks by UDP (RFC 768) whether somebody is there: a datagram
// that a service is bound to answer, whose answer counts if it is the protocol's
// and to this question, or the ICMP port-unreachable with which the target itself
// says that it has no such service (RFC 1122, section 3.2.2.1). What is asked is in
// package payload.
//
// What surprises: silence is the usual thing. Services ignore what they do not
// understand, and hosts send few ICMP errors a second. A host that is called
// lost here may well be alive.
package udpprobe

import (
	"context"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// SweepConfig is one pass over many hosts.
type SweepConfig struct {
	Source  probe.Source
	Port    uint16          // of every host; decides what is sent
	Retries int             // further datagrams to a host that stayed silent
	Timeout time.Duration   // after the first datagram; 0 means 1 s
	Backoff float64         // after each further one it is this much longer; 0 means 1.5
	Pace    *probe.Governor // nil for no cap
	Limit   int             // hosts asked at a time; 0 means 4096. What the descriptor limit allows caps both
	Socket  rawsock.Config  // Source, Interface, Mark, TTL and TOS count
}

// A Sweep is a probe.Prober that asks each host of its Source once: the outcome
// is Reply with UDPReply, Refused with PortUnreachable (from the host itself),
// Unreachable or Expired with who said so, Lost, Pending or Failed. Whatever comes
// back is an answer: somebody sent it. It runs once.
type Sweep struct {
	cfg  SweepConfig
	crew *crew.Crew
}

// Counters are what a Sweep did beside its Results: Sent counts datagrams.
type Counters = crew.Counters

// NewSweep returns a Sweep. Nothing is opened before Probe.
func NewSweep(cfg SweepConfig) *Sweep {
	return newSweep(cfg, func() crew.Asker { return NewAsker(Config{Socket: cfg.Socket, Any: true}) })
}

func newSweep(cfg SweepConfig, asker func() crew.Asker) *Sweep {
	return &Sweep{cfg: cfg, crew: crew.New(crew.Config{
		Source: cfg.Source, Port: cfg.Port, Retries: cfg.Retries, Timeout: cfg.Timeout, Backoff: cfg.Backoff,
		Pace: cfg.Pace, Limit: cfg.Limit, Each: 1,
	}, asker)}
}

// Check returns why no datagram at all could leave (an interface or source
// address that is not there, no permission for a mark), without sending
// anything: a wrapped *os.SyscallError, or errors.ErrUnsupported.
func (s *Sweep) Check() error { return rawsock.CheckDial(s.cfg.Socket) }

// Probe implements probe.Prober. Its error is always nil.
func (s *Sweep) Probe(ctx context.Context, emit func(probe.Result)) error {
	return s.crew.Probe(ctx, emit)
}

// Counters may be called while Probe runs.
func (s *Sweep) Counters() Counters { return s.crew.Counters() }
