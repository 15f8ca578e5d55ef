package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// A sweepRun is one pass over many hosts, from opening the sockets to the exit
// code.
type sweepRun struct {
	crowd
	f      *sweepFlags
	chosen bool // --ping was given

	head  *output.Header
	notes []string // what the end has to say, where the output has no place for it
	stats *stats.Sweep
	tally *tally
	gauge gauge
}

// run is the whole life of a run. Its error is a *failure or a status.
func (s *sweepRun) run(ctx context.Context) error {
	ctx, stop, end := s.limit(ctx)
	defer end()
	defer s.watchSignals(func() (last bool) { return s.onStop(stop) })()

	c, err := s.open()
	if err != nil {
		return err
	}
	defer c.close()
	out, err := s.settle(stop)
	if err != nil {
		return err
	}
	if err := c.check(s.flags); err != nil {
		return err
	}
	if err := s.mark(); err != nil {
		return err
	}
	if err := s.announce(out, c); err != nil {
		return err
	}
	defer s.hideProgress()
	runErr := s.drive(ctx, c)
	over, err := s.finish(ctx, runErr)
	s.hideProgress()
	left := s.leave()
	s.ending.Store(true)
	out.lines.drain(ctx) // results are worth waiting for whoever reads them slowly
	outErr := out.close(s.stderr)
	s.bad.flush()
	s.sayFew(slices.Concat(s.notes, left, c.doubts()))
	c.log(s.log)
	switch {
	case outErr != nil:
		return outErr
	case err != nil:
		return err
	}
	return status(over.Exit)
}

// announce sets up what shows the run.
func (s *sweepRun) announce(out *outlets, c *sweepCrew) error {
	// A list is all there is to a run with -a or -u; its -q, as fping's, is about
	// what else there is to say.
	views, err := out.views(s.flags, s.display, s.flags.quiet && s.f.listed() == "", 0)
	if err != nil {
		return untested(err)
	}
	s.stats = stats.NewSweep(s.f.by.v4, s.f.by.v6)
	h := s.header()
	s.head = h
	h.Size = s.f.size
	c.describe(h)
	h.Sweep = &output.SweepHeader{
		Stats: s.stats, Targets: s.written(), All: s.f.rest, List: s.f.listed(),
		By4: s.f.by.v4, By6: s.f.by.v6, Progress: s.progress, Sent: c.packets,
	}
	h.Sweep.Names, h.Sweep.IPv6 = s.foresee()
	report := output.NewReport(h, nil, views...)
	c.gate.backlog = out.lines
	s.tally = &tally{sink: report, keep: s.f.resume != ""}
	s.bad.failed = s.tally.unresolved
	s.report.Store(report)
	s.log.Info("order", "seed", s.f.seed, "ordered", s.f.ordered)
	return nil
}

// drive lets the crew ask while targets are read and looked up beside it. It
// returns the error that ended the run, nil if it ended as it should.
func (s *sweepRun) drive(ctx context.Context, c *sweepCrew) error {
	if err := s.report.Load().Begin(); err != nil {
		return &probe.SinkError{Err: err}
	}
	reading, done := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	helpers.Go(func() { s.watchProgress(reading) })
	helpers.Go(func() {
		if err := s.hosts.Run(reading); err != nil && reading.Err() == nil {
			s.bad.broke(err)
		}
	})
	err := probe.Run(ctx, c, s.tally)
	done()
	helpers.Wait()
	return err
}

// finish judges the run and shows its end. Its error is that of a run that
// failed as a whole.
func (s *sweepRun) finish(ctx context.Context, runErr error) (*output.End, error) {
	how := judge(ctx, runErr)
	if s.ending.Load() && how.by == "done" {
		how.by = "signal"
	}
	end := &output.End{StoppedBy: how.by, Exit: s.exitCode(how), Time: time.Now()}
	_ = s.report.Load().End(end)                                                                   // closing the output meets the same error
	if f := s.flags.format; (f == "fping" || f == "csv") && how.by != "output" && !s.flags.quiet { // which have nothing but hosts
		s.notes = output.SweepNotes(s.head, end)
	}
	switch {
	case how.failed:
		return end, untested(fmt.Errorf("the run stopped: %w", runErr))
	case s.idle(how) && !s.bad.any():
		return end, untested(fmt.Errorf("no targets in %s", s.list.name))
	}
	return end, nil
}

// exitCode is the contract's: 3 wins over 1. A host whose turn never came was
// not tested; but a reader of stdout who left had seen enough.
func (s *sweepRun) exitCode(how stopped) int {
	sum := s.stats.Summary()
	left := sum.Pending > 0 || how.by != "done" && !s.complete()
	switch {
	case how.broken, s.bad.any(), sum.Failed > 0, left && how.by != "output", s.idle(how):
		return exitUntested
	case sum.Alive < sum.Hosts-sum.Pending:
		return exitSilent
	}
	return exitAnswered
}

// idle reports whether a stream brought no host at all.
func (s *sweepRun) idle(how stopped) bool {
	return how.by == "done" && s.f.file != "" && s.hosts.Taken() == 0 && s.f.shard.N == 0 && s.from == nil
}

// onStop is what a signal to stop means: the end, or with --resume first that
// no further host is asked, since those in flight are soon decided.
func (s *sweepRun) onStop(stop context.CancelCauseFunc) (last bool) {
	if s.f.resume == "" || s.report.Load() == nil || s.ending.Swap(true) {
		stop(errSignal)
		return true
	}
	s.hosts.Stop()
	taken, decided := s.hosts.Taken(), s.tally.decided.Load()
	if taken > decided {
		fmt.Fprintf(s.stderr, "netprobe: finishing %s in flight; Ctrl-C again to leave them to the next run\n", hostCount(taken-decided))
	}
	return false
}
