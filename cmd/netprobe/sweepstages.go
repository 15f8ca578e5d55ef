package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"netprobe/icmp"
	"netprobe/internal/crew"
	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/sweep"
	"netprobe/tcpprobe"
	"netprobe/udpprobe"
)

// stampedHosts is the largest sweep whose RTTs are by the kernel's clock in both
// directions: a transmit timestamp costs one more receive a packet.
const stampedHosts = 1 << 16

// A sweepCrew is what asks the hosts of a sweep: one engine for each kind of probe.
type sweepCrew struct {
	probe.Prober
	gate *gate       // before the hosts
	echo *icmp.Sweep // nil without a stage of ICMP
	pace *probe.Governor
	sent []func() uint64 // what each engine has sent

	checks []func() error // why an engine could send nothing, once privileges are gone
}

// open makes the crew, with its sockets open. That is the last thing that may
// need privileges.
func (s *sweepRun) open() (*sweepCrew, error) {
	f := s.f
	c := &sweepCrew{gate: &gate{Source: s.hosts}, pace: probe.NewGovernor(probe.GovernorConfig{
		Rate: f.rate, Adaptive: f.adaptive, Ordered: f.ordered, Timeout: f.timeout, Backoff: f.backoff,
	})}
	if f.asks("icmp") {
		var err error
		if c.echo, err = s.openEcho(c.pace); err != nil {
			return nil, err
		}
	}
	var stages []sweep.Stage
	for _, k := range f.kinds {
		stages = append(stages, sweep.Stage{Kind: k.proto, Port: k.port, Sweeper: s.sweeper(k, c)})
	}
	cascade, err := sweep.NewCascade(c.gate, stages...)
	if err != nil {
		c.close()
		return nil, untested(err)
	}
	c.Prober = cascade
	return c, nil
}

// openEcho opens the sockets of ICMP probes.
func (s *sweepRun) openEcho(pace *probe.Governor) (*icmp.Sweep, error) {
	f := s.f
	planned, known := s.hosts.Planned()
	if !known {
		planned = 0
	}
	e, err := icmp.OpenSweep(icmp.SweepConfig{
		Planned: planned, Retries: f.retries, Timeout: f.timeout, Backoff: f.backoff, Late: f.late, Pace: pace,
		Size: f.size, Pattern: f.pattern,
		NoStamps: !known || planned > stampedHosts || !f.adaptive && f.rate == 0,
		Socket:   f.socketConfig(),
	}, f.families(s.specs)...)
	if err == nil {
		return e, nil
	}
	failed := openFailure(err, &f.runFlags)
	if _, denied := errors.AsType[*rawsock.PermissionError](err); denied {
		if told, ok := errors.AsType[*failure](failed); ok && !s.chosen {
			told.hints = append(told.hints, "--ping tcp:443,tcp:80 needs no privilege")
		}
	}
	return nil, failed
}

// sweeper returns what makes the engine of one stage of c.
func (s *sweepRun) sweeper(k kind, c *sweepCrew) func(probe.Source) (probe.Prober, error) {
	f := s.f
	return func(src probe.Source) (probe.Prober, error) {
		cfg := crew.SweepConfig{
			Source: src, Port: k.port, Retries: f.retries, Timeout: f.timeout, Backoff: f.backoff, Pace: c.pace,
			Socket: f.socketConfig(),
		}
		var e *crew.Sweep
		switch k.proto {
		case "tcp":
			e = tcpprobe.NewSweep(cfg)
		case "udp":
			e = udpprobe.NewSweep(cfg)
		default:
			c.echo.SetSource(src)
			c.sent = append(c.sent, func() uint64 { return c.echo.Counters().Sent })
			return c.echo, nil
		}
		c.sent = append(c.sent, func() uint64 { return e.Counters().Sent })
		c.checks = append(c.checks, e.Check)
		return e, nil
	}
}

// socketConfig is what the flags say to sockets.
func (f *sweepFlags) socketConfig() rawsock.Config {
	return rawsock.Config{
		Kind: socketKinds[f.socket], Source: f.source, Interface: f.iface, Mark: f.mark,
		TTL: f.ttl, TOS: f.tos, PMTU: pmtuModes[f.pmtu], RecvBuf: recvBuf,
	}
}

// check reports why some engine could not send anything at all.
func (c *sweepCrew) check(f *runFlags) error {
	for _, check := range c.checks {
		if err := check(); err != nil {
			return openFailure(err, f)
		}
	}
	return nil
}

// packets is how many have left so far.
func (c *sweepCrew) packets() (n uint64) {
	for _, sent := range c.sent {
		n += sent()
	}
	return n
}

// describe fills in what the run record says of the sockets.
func (c *sweepCrew) describe(h *output.Header) {
	h.Socket = "connect"
	if c.echo != nil {
		h.Socket, h.Clock = c.echo.Kind().String(), c.echo.Clock()
	}
}

func (c *sweepCrew) close() {
	if c.echo != nil {
		c.echo.Close()
	}
}

func (c *sweepCrew) doubts() []string {
	if c.echo == nil {
		return nil
	}
	n := c.echo.Counters()
	doubts := droppedDoubt(n.Dropped)
	if n.Retried > manyRetried {
		doubts = append(doubts, fmt.Sprintf("%d sends found no room in this host at first: on a directly attached network absent neighbours fill its table (net.ipv4.neigh.default.gc_thresh3)", n.Retried))
	}
	return doubts
}

// manyRetried sends that found no room are worth a line.
const manyRetried = 100

// patience is how long a host that stays silent is asked, in every way.
func (f *sweepFlags) patience() time.Duration {
	sum, wait := f.late.Seconds(), f.timeout.Seconds()
	for range f.retries + 1 {
		sum += wait
		wait *= f.backoff
	}
	return time.Duration(min(sum*float64(max(len(f.kinds), 1)), year.Seconds()) * float64(time.Second))
}

func (c *sweepCrew) log(log *slog.Logger) {
	log.Info("pace", "rate", math.Round(c.pace.Rate()), "subnets_slowed", c.pace.Slowed())
	if c.echo == nil {
		return
	}
	n := c.echo.Counters()
	log.Info("socket", "kind", c.echo.Kind(), "clock", c.echo.Clock(), "recv_buf", c.echo.RecvBuf())
	log.Info("counters", "sent", n.Sent, "retried", n.Retried, "strays", n.Strays, "redirects", n.Redirects,
		"dropped", n.Dropped, "late", n.Late, "deferred", n.Deferred)
}
