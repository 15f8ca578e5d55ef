package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"netprobe/internal/rounds"
	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
)

// connector is the engine of a verb that asks by sockets of package net, as a
// session sees it.
type connector struct {
	*rounds.Engine
	socket  rawsock.Config
	clock   probe.Clock // where round-trip times come from, as a rule
	chosen  bool        // an interface or source address was asked for
	targets []*probe.Target
}

// connect returns the engine of a run whose tries are made by askers and take each
// descriptors. Where askers say themselves why a probe took too long, they have
// that much grace for it, and nothing is late.
func (f *portFlags) connect(each int, grace time.Duration, asker func() rounds.Asker) *connector {
	timeout, late := f.timeout, f.late
	if grace > 0 {
		timeout, late = timeout+grace, 0
	}
	return &connector{
		Engine: rounds.New(rounds.Config{
			Count: f.count, Interval: f.interval, Timeout: timeout, Late: late, Rate: f.rate, Await: f.reResolve > 0,
			Each: each, Asker: asker,
		}),
		socket: f.dial(), chosen: f.iface != "" || f.source.IsValid(),
	}
}

func (c *connector) SetTargets(targets []*probe.Target) {
	c.targets = targets
	c.Engine.SetTargets(targets)
}

func (c *connector) Describe(h *output.Header) {
	h.Socket, h.Clock = "connect", c.clock
	if c.chosen {
		h.Source = sourceOf(c, c.targets)
	}
}

// Source returns the address probes to dst leave from; invalid if there is no route.
func (c *connector) Source(dst netip.Addr) netip.Addr {
	r, err := rawsock.RouteTo(dst, c.socket)
	if err != nil {
		return netip.Addr{}
	}
	return r.Source
}

// lagDoubt is from when on probes that had to wait for others make a doubt.
const lagDoubt = 100 * time.Millisecond

func (c *connector) Doubts() []string {
	n := c.Counters()
	var lines []string
	if n.Shortages > 0 {
		lines = append(lines, fmt.Sprintf("this host lacked descriptors, ports or buffers %d times: probes waited for them", n.Shortages))
	}
	if n.Waited > 0 && n.Lag > lagDoubt {
		lines = append(lines, "probes left up to "+output.FormatDuration(n.Lag)+
			" late: as many were under way as may be (ulimit -n, or fewer targets, a longer -i or a shorter -W)")
	}
	return lines
}

func (c *connector) Log(log *slog.Logger) {
	n := c.Counters()
	log.Info("counters", "sent", n.Sent, "shortages", n.Shortages, "waited", n.Waited, "lag", n.Lag)
}
