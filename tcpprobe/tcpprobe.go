// Package tcpprobe asks by TCP (RFC 9293) whether somebody is there: one
// connect a try, or with a HalfOpen no more than its SYN, which a listener answers
// with a SYN-ACK, any other host with an RST, and a firewall with an ICMP error or
// not at all.
//
// A Climb asks on on the same connection: STARTTLS, TLS, banners, HTTP. Whatever
// those layers say, the port is open.
//
// What surprises: connect(2) says "connection refused" for an RST and for an
// ICMP port-unreachable alike, whoever sent it, and "no route to host" for most
// other ICMP errors. On Linux the socket's error queue knows type, code and
// sender, without privileges; rawsock.Dial keeps it readable when package
// net has given the socket up.
package tcpprobe

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
	Port    uint16          // of every host
	Retries int             // further connects to a host that stayed silent
	Timeout time.Duration   // of the first connect; 0 means 1 s
	Backoff float64         // each further connect may take this much longer; 0 means 1.5
	Pace    *probe.Governor // nil for no cap
	Limit   int             // connects at a time; 0 means 4096. What the descriptor limit allows caps both
	Socket  rawsock.Config  // Source, Interface, Mark, TTL and TOS count
}

// A Sweep is a probe.Prober that asks each host of its Source once: the outcome
// is Reply with Connected, Refused with RST or PortUnreachable (from the host itself),
// Unreachable or Expired with who said so, Lost, Pending or Failed. Connections
// are reset as soon as they stand. It runs once.
type Sweep struct {
	cfg  SweepConfig
	crew *crew.Crew
}

// Counters are what a Sweep did beside its Results: Sent counts connects, not
// the SYNs that the kernel repeats by itself.
type Counters = crew.Counters

// NewSweep returns a Sweep. Nothing is opened before Probe.
func NewSweep(cfg SweepConfig) *Sweep {
	return newSweep(cfg, func() crew.Asker { return newDialer(&cfg.Socket) })
}

func newSweep(cfg SweepConfig, asker func() crew.Asker) *Sweep {
	return &Sweep{cfg: cfg, crew: crew.New(crew.Config{
		Source: cfg.Source, Port: cfg.Port, Retries: cfg.Retries, Timeout: cfg.Timeout, Backoff: cfg.Backoff,
		Pace: cfg.Pace, Limit: cfg.Limit, Each: rawsock.DialCost,
	}, asker)}
}

// Check returns why no connect at all could work (an interface or source
// address that is not there, no permission for a mark), without sending
// anything: a wrapped *os.SyscallError, or errors.ErrUnsupported.
func (s *Sweep) Check() error { return rawsock.CheckDial(s.cfg.Socket) }

// Probe implements probe.Prober. Its error is always nil.
func (s *Sweep) Probe(ctx context.Context, emit func(probe.Result)) error {
	return s.crew.Probe(ctx, emit)
}

// Counters may be called while Probe runs.
func (s *Sweep) Counters() Counters { return s.crew.Counters() }
