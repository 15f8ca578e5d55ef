package main

import (
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"netprobe/icmp"
	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
)

func newPing(args []string) *cobra.Command {
	f := &pingFlags{}
	cmd := &cobra.Command{
		Use:   "ping [flags] HOST...",
		Short: "ICMP echo to any number of hosts at once",
		Long: "A HOST is a name or an address. Lines for one target are those of ping; more\n" +
			"targets make a table. Exit code: 0 all answered, 1 some did not, 2 usage,\n" +
			"3 could not test.",
		Example: "  netprobe ping 192.0.2.1                              until Ctrl-C\n" +
			"  netprobe ping -c 10 -i 0.2 www.example.com           ten probes in two seconds\n" +
			"  netprobe ping -c 5 192.0.2.1 2001:db8::1             side by side\n" +
			"  netprobe ping --until up -w 5m 192.0.2.1             wait for a host to come back\n" +
			"  netprobe ping -c 100 --fail-if 'loss>2%,p95>40ms' 192.0.2.1\n" +
			"  netprobe ping --mtu 198.51.100.7                     largest packet that passes whole\n" +
			"  netprobe ping --json -c 3 192.0.2.1 | jq .rtt_ms",
		RunE:              runSession(f.session, args),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.define(cmd)
	return cmd
}

// session checks the flags and hosts of a command line and returns its run.
func (f *pingFlags) session(cmd *cobra.Command, args []string) (*session, error) {
	if err := f.check(cmd.Flags()); err != nil {
		return nil, err
	}
	hosts, err := f.parseHosts(cmd, args)
	if err != nil {
		return nil, err
	}
	if err := f.checkSize(hosts); err != nil {
		return nil, err
	}
	s := newSession(cmd, &f.runFlags, hosts)
	s.size = f.size
	if f.sweep != (sweepRange{}) {
		s.size = f.sweep.first
	}
	s.brief = f.flood
	s.display = display{usual: pingFormat, view: output.NewView}
	s.open = func() (engine, error) { return f.open(hosts) }
	return s, nil
}

// pingFormat is how a run of that many targets is shown unless asked for otherwise.
func pingFormat(_ bool, targets int) string {
	if targets == 1 {
		return "plain"
	}
	return "table"
}

// open opens the sockets that hosts may need.
//
// A ping does little and often, and with several processors at its disposal
// Go's scheduler wakes them for each little: one halves the CPU of a run with
// many targets. Timestamps are the kernel's, so nothing waits that counts.
func (f *pingFlags) open(hosts []probe.Host) (engine, error) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	e, err := icmp.Open(f.config(hosts), f.families(hosts)...)
	if err != nil {
		return nil, openFailure(err, &f.runFlags)
	}
	return &pinger{Engine: e, chosen: f.iface != "" || f.source.IsValid()}, nil
}

// config is what the flags say to the echo engine.
func (f *pingFlags) config(hosts []probe.Host) icmp.Config {
	c := icmp.Config{
		Targets: expected(hosts),
		Count:   f.count, Interval: f.interval, Timeout: f.timeout, Late: f.late, Rate: f.rate,
		Size: f.size, Pattern: f.pattern, Await: f.reResolve > 0,
		Socket: rawsock.Config{
			Kind: socketKinds[f.socket], Source: f.source, Interface: f.iface, Mark: f.mark,
			TTL: f.ttl, TOS: f.tos, PMTU: pmtuModes[f.pmtu], RecvBuf: recvBuf,
		},
	}
	if !privileged() {
		c.MinGap = minInterval
	}
	switch {
	case f.flood:
		c.Pace = icmp.Flood
	case f.adaptive:
		c.Pace = icmp.Adaptive
	case f.mtu:
		c.Pace, c.Sizer, c.Socket.PMTU = icmp.Lockstep, icmp.NewMTUSearch(f.link), rawsock.PMTUProbe
	}
	if f.sweep != (sweepRange{}) {
		c.Sizer = icmp.NewSizes(f.sweep.first, f.sweep.last, f.sweep.step)
	}
	return c
}

// expected stands for the targets before names are looked up: the engine wants
// to know how many there will be.
func expected(hosts []probe.Host) []*probe.Target {
	var answers []probe.Answer
	for _, h := range hosts {
		answers = append(answers, probe.Answer{Host: h, Addrs: []netip.Addr{h.Addr}})
	}
	return probe.Targets(answers, false)
}

// link is the MTU of the interface towards t, bytes; 0 if unknown.
func (f *pingFlags) link(t *probe.Target) int {
	return rawsock.LinkMTU(t.Addr.Addr(), rawsock.Config{Source: f.source, Interface: f.iface})
}

// pinger is the echo engine as a session sees it.
type pinger struct {
	*icmp.Engine
	chosen  bool // an interface or source address was asked for
	targets []*probe.Target
}

func (p *pinger) SetTargets(targets []*probe.Target) {
	p.targets = targets
	p.Engine.SetTargets(targets)
}

func (p *pinger) Describe(h *output.Header) {
	h.Socket, h.Clock = p.Kind().String(), p.Clock()
	if p.chosen {
		h.Source = sourceOf(p.Engine, p.targets)
	}
}

func (p *pinger) Doubts() []string { return droppedDoubt(p.Counters().Dropped) }

func (p *pinger) Log(log *slog.Logger) {
	c := p.Counters()
	log.Info("socket", "kind", p.Kind(), "clock", p.Clock(), "recv_buf", p.RecvBuf())
	log.Info("counters", "sent", c.Sent, "retried", c.Retried, "strays", c.Strays, "redirects", c.Redirects,
		"dropped", c.Dropped, "user_clock", c.UserClock)
}

// recvBuf holds the answers of some 6,000 probes, in bytes, for the moments in
// which this process does not get to run. The kernel takes it only when it is
// needed, and gives an ordinary user less (net.core.rmem_max).
const recvBuf = 8 << 20

// minInterval is how closely an ordinary user may send to one target: ping's limit.
const minInterval = 2 * time.Millisecond
