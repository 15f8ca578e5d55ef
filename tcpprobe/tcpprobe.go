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
	"netprobe/internal/crew"
	"netprobe/rawsock"
)

// SweepConfig is one pass over many hosts.
type SweepConfig = crew.SweepConfig

// A Sweep is a probe.Prober that asks each host of its Source once: the outcome
// is Reply with Connected, Refused with RST or PortUnreachable (from the host itself),
// Unreachable or Expired with who said so, Lost, Pending or Failed. Connections
// are reset as soon as they stand. Its Counters count connects, not the SYNs that
// the kernel repeats by itself. It runs once.
type Sweep = crew.Sweep

// NewSweep returns a Sweep. Nothing is opened before Probe.
func NewSweep(cfg SweepConfig) *Sweep {
	return newSweep(cfg, func() crew.Asker { return newDialer(&cfg.Socket) })
}

func newSweep(cfg SweepConfig, asker func() crew.Asker) *Sweep {
	return crew.NewSweep(cfg, rawsock.DialCost, asker)
}
