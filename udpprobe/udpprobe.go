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

import "netprobe/internal/crew"

// SweepConfig is one pass over many hosts. Its Port decides what is sent.
type SweepConfig = crew.SweepConfig

// A Sweep is a probe.Prober that asks each host of its Source once: the outcome
// is Reply with UDPReply, Refused with PortUnreachable (from the host itself),
// Unreachable or Expired with who said so, Lost, Pending or Failed. Whatever comes
// back is an answer: somebody sent it. Its Counters count datagrams. It runs once.
type Sweep = crew.Sweep

// NewSweep returns a Sweep. Nothing is opened before Probe.
func NewSweep(cfg SweepConfig) *Sweep {
	return newSweep(cfg, func() crew.Asker { return NewAsker(Config{Socket: cfg.Socket, Any: true}) })
}

func newSweep(cfg SweepConfig, asker func() crew.Asker) *Sweep {
	return crew.NewSweep(cfg, 1, asker)
}
