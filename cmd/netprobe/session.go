package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
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
	// Describe fills in what the run record says of the sockets. It is called
	// after SetTargets.
	Describe(h *output.Header)
	// Doubts returns what makes the results doubtful, one line each.
	Doubts() []string
	// Log says what happened inside.
	Log(log *slog.Logger)
	Close() error
}

// A session is one run of a verb that probes repeatedly: everything that verbs
// have in common, from opening the sockets to the exit code.
type session struct {
	verb    string
	args    []string // the command line after the program's name
	flags   *runFlags
	hosts   []probe.Host
	size    int   // payload of each probe, bytes
	planned int64 // probes per target, -1 if endless or unknown
	brief   bool  // no line per probe unless an output was chosen

	// open makes the engine. It is the last thing that may need privileges.
	open func() (engine, error)

	stdout, stderr io.Writer
	log            *slog.Logger

	report atomic.Pointer[output.Report] // nil until targets are known
}

// newSession returns the session of cmd for hosts; the verb fills in the rest.
func newSession(cmd *cobra.Command, f *runFlags, hosts []probe.Host) *session {
	s := &session{
		verb: cmd.Name(), flags: f, hosts: hosts, planned: -1,
		stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), log: slog.New(slog.DiscardHandler),
	}
	if f.count > 0 {
		s.planned = int64(f.count)
	}
	if f.verbose {
		s.log = slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return s
}

// errDeadline is the cause of a run that --deadline ended.
var errDeadline = errors.New("deadline")

// run is the whole life of a run. Its error is a *failure or a status.
func (s *session) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if d := s.flags.deadline; d > 0 {
		timer := time.AfterFunc(d, func() { stop(errDeadline) })
		defer timer.Stop()
	}
	defer s.watchSignals(stop)()

	eng, err := s.open()
	if err != nil {
		return err
	}
	out, err := s.settle(stop)
	if err != nil {
		return errors.Join(err, eng.Close())
	}
	code, err := s.probe(ctx, stop, eng, out)
	if err := cmp.Or(out.close(s.log, s.stderr), err); err != nil {
		return err
	}
	return status(code)
}

// settle opens files as the user who started us, then drops all privileges.
func (s *session) settle(stop context.CancelCauseFunc) (*outlets, error) {
	if err := leaveSetuid(); err != nil {
		return nil, untested(err)
	}
	out, err := openOutlets(s.flags, s.stdout, stop)
	if err != nil {
		return nil, untested(err, "--out takes a file that can be created, or a FIFO")
	}
	if err := dropPrivileges(); err != nil {
		return nil, untested(err)
	}
	return out, nil
}

// probe looks up the names, probes them and reports. It returns the exit code,
// and an error if the run failed as a whole.
func (s *session) probe(ctx context.Context, stop context.CancelCauseFunc, eng engine, out *outlets) (int, error) {
	answers := s.resolver().Resolve(ctx, s.hosts)
	targets := probe.Targets(answers, s.flags.all)
	s.sayUnresolved(targets)
	eng.SetTargets(targets)

	views, err := out.views(s.flags, s.flags.quiet || s.brief && s.flags.format == "", len(targets))
	if err != nil {
		return 0, errors.Join(untested(err), eng.Close())
	}
	set := stats.New(targets)
	report := output.NewReport(s.header(eng, targets), set, views...)
	var sink probe.Sink = report
	var until *untilSink
	if s.flags.until != "" {
		until = &untilSink{Sink: report, up: s.flags.until == "up", stop: stop}
		sink = until
	}
	s.report.Store(report)
	runErr := report.Begin()
	if runErr == nil {
		runErr = s.drive(ctx, eng, sink, targets, out.tty != nil)
	}
	_ = eng.Close() // nothing was lost: every Result has been told
	return s.finish(ctx, eng, report, set, until, runErr)
}

// drive lets eng probe while the screen is kept fresh and names are followed.
// It returns the error that ended the run, nil if it ended as it should.
func (s *session) drive(ctx context.Context, eng engine, sink probe.Sink, targets []*probe.Target, live bool) error {
	helping, done := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer done()
	if live {
		helpers.Go(func() { s.refresh(helping) })
	}
	if s.flags.reResolve > 0 {
		helpers.Go(func() { s.follow(helping, eng, targets) })
	}
	if s.flags.reResolve == 0 && noneResolved(targets) {
		return nil
	}
	err := probe.Run(ctx, eng, sink)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func noneResolved(targets []*probe.Target) bool {
	for _, t := range targets {
		if t.Err == nil {
			return false
		}
	}
	return true
}

// refresh redraws five times a second what is redrawn in place.
func (s *session) refresh(ctx context.Context) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			_ = s.report.Load().Refresh(now) // the next Record meets the same error
		case <-ctx.Done():
			return
		}
	}
}

// finish judges the run, shows the end of it and says what is doubtful about it.
func (s *session) finish(ctx context.Context, eng engine, report *output.Report, set *stats.Set, until *untilSink, runErr error) (int, error) {
	summaries := make([]stats.Summary, 0, len(set.Rows()))
	for _, row := range set.Rows() {
		summaries = append(summaries, row.Summary())
	}
	sinkErr, readerFailed := errors.AsType[*probe.SinkError](cmp.Or(runErr, causeOf(ctx)))
	e := ending{broken: runErr != nil && !readerFailed || readerFailed && !isClosedPipe(sinkErr), until: until != nil}
	end := &output.End{StoppedBy: stoppedBy(ctx, runErr), Time: time.Now()}
	if until != nil && until.met {
		e.met = true
		end.Notes = append(end.Notes, until.note)
	}
	fired := s.judge(summaries)
	e.fired = len(fired) > 0
	end.Notes = append(end.Notes, fired...)
	end.Exit = exitCode(summaries, e)
	_ = report.End(end) // outlets.close meets the same error
	s.sayFew(fired)
	s.sayFew(eng.Doubts())
	eng.Log(s.log)
	if e.broken && !readerFailed {
		return end.Exit, untested(fmt.Errorf("the run stopped: %w", runErr))
	}
	return end.Exit, nil
}

// judge returns a line for each target for which --fail-if holds.
func (s *session) judge(summaries []stats.Summary) []string {
	if s.flags.failIf == nil {
		return nil
	}
	var lines []string
	for _, sum := range summaries {
		if clause, fired := s.flags.failIf.Fired(sum); fired {
			lines = append(lines, fmt.Sprintf("fail-if fired: %s: %s", output.Escape(sum.Target.Name), clause))
		}
	}
	return lines
}

// causeOf is why ctx ended, nil if it has not.
func causeOf(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// stoppedBy names what ended the run, as the end record does.
func stoppedBy(ctx context.Context, err error) string {
	if _, ok := errors.AsType[*probe.SinkError](err); ok {
		return "output"
	}
	switch cause := causeOf(ctx); {
	case cause == nil:
		return "done"
	case cause == errDeadline:
		return "deadline"
	case cause == errUntil:
		return "until"
	default:
		if _, ok := errors.AsType[*probe.SinkError](cause); ok {
			return "output"
		}
		return "signal"
	}
}

// header is the run record.
func (s *session) header(eng engine, targets []*probe.Target) *output.Header {
	id := make([]byte, 8)
	_, _ = rand.Read(id)     // never fails
	host, _ := os.Hostname() // unknown is empty
	h := &output.Header{
		ID: hex.EncodeToString(id), Verb: s.verb, Version: version(), Host: host, Args: s.args, Start: time.Now(),
		Planned: -1, Targets: targets, Size: s.size, Interface: s.flags.iface, Numeric: s.flags.numeric,
		Interval: s.flags.interval, Timeout: s.flags.timeout,
	}
	if s.planned >= 0 {
		h.Planned = 0
		for _, t := range targets {
			if t.Err == nil {
				h.Planned += s.planned
			}
		}
	}
	eng.Describe(h)
	return h
}
