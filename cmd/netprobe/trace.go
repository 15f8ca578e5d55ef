package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"

	"github.com/spf13/cobra"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/trace"
)

func newTrace(args []string) *cobra.Command {
	f := &traceFlags{}
	cmd := &cobra.Command{
		Use:   "trace [flags] HOST...",
		Short: "the path to hosts, hop by hop, in about one round trip",
		Long: "A HOST is a name or an address. All hops are probed at once, and all probes look\n" +
			"the same to load balancers. Exit code: 0 all hosts answered, 1 some did not or\n" +
			"the path changed, 2 usage, 3 could not test.",
		Example: "  netprobe trace www.example.com                       three ICMP probes per hop\n" +
			"  netprobe trace -P tcp:443 www.example.com            what a firewall lets through\n" +
			"  netprobe trace --paths 192.0.2.1                     every equal-cost path\n" +
			"  netprobe trace --paths -o dot 192.0.2.1 | dot -Tsvg  ... as a drawing\n" +
			"  netprobe trace -c 10 192.0.2.1                       where packets are lost, and why\n" +
			"  netprobe trace --monitor 192.0.2.1                   until Ctrl-C, with statistics per hop\n" +
			"  netprobe trace --json 192.0.2.1 >was; netprobe trace --baseline was 192.0.2.1",
		RunE:              runSession(f.session, args),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.define(cmd)
	return cmd
}

// session checks the flags and hosts of a command line and returns its run.
func (f *traceFlags) session(cmd *cobra.Command, args []string) (*session, error) {
	fs := cmd.Flags()
	if err := f.check(fs); err != nil {
		return nil, err
	}
	hosts, err := f.parseHosts(cmd, args)
	if err != nil {
		return nil, err
	}
	s := newSession(cmd, &f.runFlags, hosts)
	if f.baseline != "" {
		if f.was, err = readBaseline(f.baseline, hosts); err != nil {
			return nil, err
		}
		f.adopt(f.was.common, fs)
		s.compare = newComparison(f.was, len(hosts) > 1 || f.all)
	}
	if err := f.checkProto(); err != nil {
		return nil, err
	}
	s.planned = -1
	s.reverse = !f.numeric
	s.display = display{usual: traceFormat, view: f.view}
	s.open = func() (engine, error) { return f.open(hosts, fs.Changed("proto"), s.stderr) }
	return s, nil
}

// traceFormat is how a trace is shown unless asked for otherwise.
func traceFormat(terminal bool, _ int) string {
	if terminal {
		return "table"
	}
	return "plain"
}

func (f *traceFlags) view(format string, w io.Writer, o output.Options) (output.View, error) {
	o.Probes = f.probes
	return output.NewTraceView(format, w, o)
}

// open opens the sockets that hosts may need. Without a protocol asked for, UDP
// takes the place of an ICMP that is not allowed: its error queue needs no
// privilege. A flow that is only the baseline's is given up if it is in use.
func (f *traceFlags) open(hosts []probe.Host, chosen bool, stderr io.Writer) (engine, error) {
	cfg := f.config(hosts)
	e, err := trace.Open(cfg, f.families(hosts)...)
	if _, denied := errors.AsType[*rawsock.PermissionError](err); denied && !chosen && f.port == 0 && f.socket != "raw" {
		cfg.Proto, cfg.Socket.Kind = rawsock.UDP, rawsock.Datagram
		e, err = trace.Open(cfg, f.families(hosts)...)
	}
	if errors.Is(err, syscall.EADDRINUSE) && f.adopted {
		fmt.Fprintf(stderr, "netprobe: the flow %d of the baseline is in use: load balancers may choose another path\n", f.flow)
		cfg.Socket.Flow = 0
		e, err = trace.Open(cfg, f.families(hosts)...)
	}
	if err != nil {
		return nil, f.openFailure(err)
	}
	return &tracer{Engine: e, flags: f}, nil
}

// openFailure says why no socket could be opened, with what mends it.
func (f *traceFlags) openFailure(err error) error {
	if e, ok := errors.AsType[*rawsock.PermissionError](err); ok {
		hints := permissionHints(e.Kind)
		if f.proto == "tcp" {
			err, hints = fmt.Errorf("no permission to send TCP probes: %w", e.Err), rawHints() // no sysctl allows it
		}
		if f.proto != "udp" && f.socket != "raw" {
			hints = append(hints, "-P udp needs no privileges")
		}
		return untested(err, hints...)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return untested(fmt.Errorf("the flow %d is in use: %w", f.flow, err), "without --flow a free one is picked")
	case f.flow > 0 && f.flow < 1024 && rawsock.CauseOf(err) == rawsock.Denied:
		return untested(fmt.Errorf("cannot send from port %d: %w", f.flow, err), "ordinary users have the ports from 1024: --flow 33000")
	}
	return openFailure(err, &f.runFlags)
}

// tracer is the trace engine as a session sees it.
type tracer struct {
	*trace.Engine
	flags   *traceFlags
	targets []*probe.Target
}

func (t *tracer) SetTargets(targets []*probe.Target) {
	t.targets = targets
	t.Engine.SetTargets(targets)
}

func (t *tracer) Describe(h *output.Header) {
	f := t.flags
	h.Socket, h.Clock = t.Kind().String(), t.Clock()
	if f.iface != "" || f.source.IsValid() {
		h.Source = sourceOf(t.Engine, t.targets)
	}
	h.Trace = &output.TraceHeader{
		Proto: t.Proto().String(), Flow: t.Flow(), Port: t.Port(), TOS: uint8(f.tos),
		First: uint8(f.firstHop), Max: uint8(f.maxHops), Count: f.count, PacketSize: f.size,
		Monitor: f.monitor, Paths: f.paths, Verdict: f.verdict || f.count > 3 && !f.monitor, MTU: f.mtu,
	}
	if t.Kind() == rawsock.Datagram {
		h.Trace.Blind = []string{"quoted TTL", "TOS rewriting", "address translation"}
	}
}

func (t *tracer) Doubts() []string { return droppedDoubt(t.Counters().Dropped) }

func (t *tracer) Log(log *slog.Logger) {
	c := t.Counters()
	log.Info("socket", "kind", t.Kind(), "proto", t.Proto(), "flow", t.Flow(), "clock", t.Clock())
	log.Info("counters", "sent", c.Sent, "retried", c.Retried, "strays", c.Strays, "unidentified", c.Unidentified,
		"dropped", c.Dropped, "user_clock", c.UserClock)
}
