package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// An engine is what a verb probes with. It is made with its sockets open and
// learns its targets later, when privileges are gone.
type engine interface {
	probe.Prober
	SetTargets([]*probe.Target)
	Retarget(*probe.Target)
	// Expect says whether Retarget is about to bring more work: if so, the
	// run goes on though there is none left.
	Expect(more bool)
	// Describe fills in what the run record says of the sockets. It is called
	// after SetTargets.
	Describe(h *output.Header)
	// Doubts returns what makes the results doubtful, one line each.
	Doubts() []string
	// Log says what happened inside.
	Log(log *slog.Logger)
	Close() error
}

// sourceOf is the address that packets to the first of targets leave from;
// empty if unknown.
func sourceOf(e interface{ Source(netip.Addr) netip.Addr }, targets []*probe.Target) string {
	for _, t := range targets {
		if src := e.Source(t.Addr.Addr()); t.Err == nil && src.IsValid() {
			return src.String()
		}
	}
	return ""
}

// droppedDoubt is what n messages that the kernel dropped make doubtful.
func droppedDoubt(n uint64) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the kernel dropped %d incoming messages before we could read them: some losses may be ours", n)}
}

// A session is one run of a verb that probes repeatedly: everything that verbs
// have in common, from opening the sockets to the exit code.
type session struct {
	common
	hosts   []probe.Host
	size    int   // payload of each probe, bytes
	planned int64 // probes per target, -1 if endless or unknown
	brief   bool  // no line per probe unless an output was chosen

	// lookup is for tests; nil asks the system.
	lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)

	// reverse says that whoever answers is looked up for a name; ask is for
	// tests, nil asks the system.
	reverse bool
	ask     func(ctx context.Context, addr string) ([]string, error)

	compare *comparison // with an earlier run; nil for none

	wait time.Duration // for all targets to answer once, and no longer; 0 for not

	// watch, if not nil, returns a Sink that passes on and has something to say
	// at the end.
	watch func(next probe.Sink) remarker

	// open makes the engine. It is the last thing that may need privileges.
	open func() (engine, error)
}

// newSession returns the session of cmd for hosts; the verb fills in the rest.
func newSession(cmd *cobra.Command, f *runFlags, hosts []probe.Host) *session {
	s := &session{hosts: hosts, planned: -1}
	s.setUp(cmd, f)
	if f.count > 0 {
		s.planned = int64(f.count)
	}
	return s
}

// runSession is the RunE of a verb whose runs are sessions; args is the command
// line after the program's name.
func runSession(prepare func(*cobra.Command, []string) (*session, error), args []string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, targets []string) error {
		s, err := prepare(cmd, targets)
		if err != nil {
			return err
		}
		s.args = args
		return s.run(cmd.Context())
	}
}

// run is the whole life of a run. Its error is a *failure or a status.
func (s *session) run(ctx context.Context) error {
	ctx, stop, end := s.limit(ctx)
	defer end()
	defer s.watchSignals(func() (last bool) { stop(errSignal); return true })()

	eng, err := s.open()
	if err != nil {
		return err
	}
	defer eng.Close()
	out, err := s.settle(stop)
	if err != nil {
		return err
	}
	c, err := s.prepare(ctx, stop, eng, out)
	if err != nil {
		return err
	}
	runErr := s.drive(ctx, c)
	over, err := s.finish(ctx, c, runErr)
	outErr := out.close(s.stderr)
	c.unknown.flush() // not before: the last table is drawn by now
	if outErr != nil {
		return outErr
	}
	s.sayFew(eng.Doubts())
	eng.Log(s.log)
	if err != nil {
		return err
	}
	return status(over.Exit)
}

// A course is a session under way: its rows are known.
type course struct {
	eng     engine
	out     *outlets
	names   *lookups
	unknown notices         // which names have no address
	targets []*probe.Target // what the rows show now; its elements change when late answers come
	set     *stats.Set
	report  *output.Report
	until   *untilSink  // nil without --until
	naming  *namingSink // nil without reverse lookups
	remarks remarker    // nil if there is nothing to remark
	sink    probe.Sink  // where Results go: at last to report
}

// prepare has the names looked up and sets up what shows the run. Without an
// error drive must follow.
func (s *session) prepare(ctx context.Context, stop context.CancelCauseFunc, eng engine, out *outlets) (*course, error) {
	c := &course{eng: eng, out: out, names: s.lookUp(ctx), unknown: notices{w: s.stderr}}
	targets := probe.Targets(c.names.answers, s.flags.all)
	c.targets = slices.Clone(targets)
	for _, t := range targets {
		if t.Err != nil && !notYet(t) && s.wait == 0 { // else it may be found yet
			c.unknown.add(unresolvedLine(t))
		}
	}
	if c.names.over {
		c.unknown.flush()
	}
	eng.SetTargets(targets)
	views, err := out.views(s.flags, s.display, s.flags.quiet || s.brief && s.flags.format == "", len(targets))
	if err != nil {
		c.names.end()
		return nil, untested(err)
	}
	c.unknown.hold = out.live
	c.set = stats.New(targets)
	h := s.describe(eng, targets)
	c.report = output.NewReport(h, c.set, views...)
	s.report.Store(c.report)
	s.chain(ctx, stop, c, h)
	return c, nil
}

// chain sets up what Results pass through on their way to the report.
func (s *session) chain(ctx context.Context, stop context.CancelCauseFunc, c *course, h *output.Header) {
	c.sink = c.report
	if s.watch != nil {
		c.remarks = s.watch(c.sink)
		c.sink = c.remarks
	}
	switch {
	case s.wait > 0:
		c.until = &untilSink{Sink: c.sink, up: true, all: len(c.targets), stop: stop}
		c.sink = c.until
	case s.flags.until != "":
		c.until = &untilSink{Sink: c.sink, up: s.flags.until == "up", stop: stop}
		c.sink = c.until
	}
	if s.reverse {
		names := newReverse(ctx, s.ask)
		for _, t := range c.targets {
			names.see(t.Addr.Addr()) // it answers last: its name must not come last
		}
		c.naming = newNamingSink(ctx, c.sink, names)
		c.sink = c.naming
		if h.Trace != nil {
			h.Trace.Name = names.name
		}
	}
	if s.compare != nil {
		s.compare.Sink = c.sink
		c.sink = s.compare
	}
}

// describe is the run record.
func (s *session) describe(eng engine, targets []*probe.Target) *output.Header {
	h := s.header()
	h.Targets, h.Size, h.Interval = targets, s.size, s.flags.interval
	if s.planned >= 0 {
		h.Planned = s.planned * int64(len(targets)-unresolved(targets))
	}
	eng.Describe(h)
	return h
}
