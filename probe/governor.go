package probe

import (
	"net/netip"
	"sync"
	"time"
)

// GovernorConfig says how fast a sweep may be.
type GovernorConfig struct {
	Rate     float64 // packets per second for the run; 0 for no cap
	Adaptive bool    // find the rate; Rate is then a cap
	Start    float64 // where Adaptive starts, packets per second; 0 means 1,000
	Ordered  bool    // hosts are asked in their natural order, so the share that answers tells nothing

	// Timeout and Backoff say how long after a host's first packet the next
	// ones leave: Timeout, then Timeout*Backoff more, and so on; 0 means 1 s
	// and 1.5. They date the loss that a retry reveals.
	Timeout time.Duration
	Backoff float64
}

// A Governor decides how fast a sweep asks. Its times are durations since the
// start of the run; it has no clock of its own. A nil *Governor has no cap. All
// methods are safe for concurrent use.
type Governor struct {
	mu    sync.Mutex
	rate  float64
	pacer Pacer
}

// NewGovernor returns a Governor for one run.
func NewGovernor(c GovernorConfig) *Governor {
	g := &Governor{rate: max(c.Rate, 0)}
	if c.Adaptive {
		start := c.Start
		if start <= 0 {
			start = 1000
		}
		if g.rate == 0 || start < g.rate {
			g.rate = start
		}
	}
	g.pacer = NewPacer(g.rate)
	return g
}

// Next returns when the next packet of the run may leave; at once if that is
// not after now.
func (g *Governor) Next(now time.Duration) time.Duration {
	if g == nil {
		return now
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pacer.Next()
}

// Turn returns when the next packet to a's subnet may leave; at once if that is
// not after now.
func (g *Governor) Turn(a netip.Addr, now time.Duration) time.Duration { return now }

// Take says that the first packet to a leaves at now.
func (g *Governor) Take(a netip.Addr, now time.Duration) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pacer.Take(now)
}

// Again says that a packet to a leaves at now that is not the first to it.
func (g *Governor) Again(a netip.Addr, now time.Duration) { g.Take(a, now) }

// Heard says that at now the first answer about a came, of whatever kind, to its
// try'th packet (from 1), which left at sent.
func (g *Governor) Heard(a netip.Addr, sent, now time.Duration, try int) {}

// Choke says that this machine is the limit: the send buffer was full, or the
// kernel dropped answers for want of a buffer.
func (g *Governor) Choke(now time.Duration) {}

// Rate returns the rate at present, packets per second; 0 for no limit.
func (g *Governor) Rate() float64 {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rate
}

// Slowed returns how many subnets have a limit of their own at present.
func (g *Governor) Slowed() int { return 0 }
