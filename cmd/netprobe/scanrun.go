package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"netprobe/internal/crew"
	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/scan"
	"netprobe/stats"
	"netprobe/tcpprobe"
	"netprobe/udpprobe"
)

// A scanRun is one scan, from opening the sockets to the exit code.
type scanRun struct {
	crowd
	f     *scanFlags
	begun []scan.Begun // what an earlier run left of hosts it had begun

	head    *output.Header
	notes   []string
	stats   *stats.Scan
	carrier scan.Transport
	engine  *scan.Engine
	sweep   *sweepCrew // what --alive asks with; nil without
	alive   *alive     // whom it finds; nil without
	gauge   gauge      // of ports decided, and tries
}

// run is the whole life of a run. Its error is a *failure or a status.
func (s *scanRun) run(ctx context.Context) error {
	ctx, stop, end := s.limit(ctx)
	defer end()
	defer s.watchSignals(func() (last bool) { return s.onStop(stop) })()

	if err := s.open(); err != nil {
		return err
	}
	defer s.close()
	out, err := s.settle(stop)
	if err != nil {
		return err
	}
	if err := s.checkSockets(); err != nil {
		return err
	}
	if err := s.mark(); err != nil {
		return err
	}
	if err := s.announce(out); err != nil {
		return err
	}
	defer s.hideProgress()
	defer s.within(stop)()
	runErr := s.drive(ctx)
	over, err := s.finish(ctx, runErr)
	s.hideProgress()
	kept := s.keep()
	s.ending.Store(true)
	out.lines.drain(ctx)
	outErr := out.close(s.stderr)
	s.bad.flush()
	s.sayFew(slices.Concat(s.notes, kept))
	s.logRun()
	switch {
	case outErr != nil:
		return outErr
	case err != nil:
		return err
	}
	return status(over.Exit)
}

// errBudget is the cause of a run whose budget is over.
var errBudget = fmt.Errorf("budget: %w", errDeadline)

// within ends the run when its budget is over.
func (s *scanRun) within(stop context.CancelCauseFunc) (end func()) {
	if s.f.budget == 0 {
		return func() {}
	}
	timer := time.AfterFunc(s.f.budget-time.Since(s.head.Start), func() { stop(errBudget) })
	return func() { timer.Stop() }
}

// open opens the sockets that may need privileges.
func (s *scanRun) open() error {
	if s.f.syn {
		half, err := tcpprobe.OpenHalfOpen(s.f.socketConfig(), s.f.families(s.specs)...)
		if err != nil {
			return s.openFailure(err)
		}
		s.carrier = half
	}
	if !s.f.alive {
		return nil
	}
	inner := &sweepRun{f: s.f.sweepFlags(), chosen: s.f.asked}
	inner.h, inner.flags, inner.hosts, inner.specs, inner.log = s.h, s.flags, s.hosts, s.specs, s.log
	var err error
	if s.sweep, err = inner.open(); err != nil {
		s.close()
		return err
	}
	s.alive = &alive{sweep: s.sweep}
	return nil
}

// openFailure says why there is no half-open socket.
func (s *scanRun) openFailure(err error) error {
	failed := openFailure(err, s.flags)
	if told, ok := errors.AsType[*failure](failed); ok {
		if _, denied := errors.AsType[*rawsock.PermissionError](err); denied {
			told.hints = append(told.hints, "whole connections need no privilege: leave out --syn")
		}
	}
	return failed
}

// connectsMost is how many connects may be under way, if descriptors allow:
// those to silent ports last until they are given up, and there may be many.
const connectsMost = 1 << 14

// checkSockets opens what needs no privilege, and reports why nothing at all
// could be sent.
func (s *scanRun) checkSockets() error {
	if s.sweep != nil {
		if err := s.sweep.check(s.flags); err != nil {
			return err
		}
	}
	if s.carrier != nil {
		return nil
	}
	cfg := s.f.socketConfig()
	if err := rawsock.CheckDial(cfg); err != nil {
		return openFailure(err, s.flags)
	}
	if s.f.udp {
		rawsock.KeepStamps() // which take a moment to begin
		ask := udpprobe.Config{Socket: cfg, Somebody: true}
		s.carrier = crew.NewPool(0, 1, func() crew.Asker { return udpprobe.NewAsker(ask) })
		return nil
	}
	var err error
	if s.carrier, err = tcpprobe.OpenConnects(cfg, connectsMost); err != nil {
		return openFailure(err, s.flags)
	}
	return nil
}

func (s *scanRun) close() {
	if s.carrier != nil {
		s.carrier.Close()
		s.carrier = nil
	}
	if s.sweep != nil {
		s.sweep.close()
		s.sweep = nil
	}
}

// announce sets up what shows the run, and the engine.
func (s *scanRun) announce(out *outlets) error {
	views, err := out.views(s.flags, s.display, s.flags.quiet, 0)
	if err != nil {
		return untested(err)
	}
	s.stats = stats.NewScan(stats.ScanConfig{UDP: s.f.udp, All: s.f.every, Expect: s.f.expecting})
	h := s.header()
	h.Socket, h.Timeout = "connect", cmp.Or(s.f.settle, scan.DefaultSettle)
	if s.f.syn {
		h.Socket = "raw"
	} else {
		h.Clock = probe.Kernel
	}
	h.Scan = &output.ScanHeader{
		Stats: s.stats, Targets: s.written(), Ports: len(s.f.ports), List: s.f.text, UDP: s.f.udp, Technique: s.f.technique(),
		Budget: s.f.budget, All: s.f.every, OpenOnly: s.f.openOnly, Service: service, Progress: s.progress,
	}
	if planned, known := s.hosts.Planned(); known {
		h.Scan.Hosts = planned
	}
	s.head = h
	report := output.NewReport(h, nil, views...)
	s.bad.failed = func(name string, err error) {
		_ = report.Record(&probe.Result{
			Target: &probe.Target{Name: name, Err: err}, Status: probe.Failed, Reason: probe.ResolveFailed, Err: err,
		})
	}
	s.report.Store(report)
	var source probe.Source = s.hosts
	if s.alive != nil {
		source = s.alive
		s.sweep.gate.backlog = s.alive
	}
	s.engine = scan.New(scan.Config{
		Source: source, Ports: s.f.ports, UDP: s.f.udp, Seed: s.f.seed, Ordered: s.f.ordered, Shard: s.f.parts,
		Retries: s.f.retries, Settle: s.f.settle, Rate: s.f.rate, From: s.begun, Keep: s.f.resume != "" && s.f.all,
	}, &slowed{Transport: s.carrier, backlog: out.lines})
	s.log.Info("order", "seed", s.f.seed, "ordered", s.f.ordered)
	return nil
}

// slowed is a Transport that begins nothing while too much output waits to be
// read: a result that nobody had room for would be lost, and a scan can wait for
// its reader.
type slowed struct {
	scan.Transport
	backlog *backlog
}

func (t *slowed) Room() int {
	if t.backlog.hold(t.Wake) {
		return 0
	}
	return t.Transport.Room()
}

func (t *slowed) Start(tries []crew.Try) int { return t.Transport.Start(tries) }

func (t *slowed) Collect(visit func(to netip.AddrPort, n int, a *crew.Answer)) {
	t.Transport.Collect(visit)
}

// drive lets the engine scan while targets are read, looked up and swept beside
// it. It returns the error that ended the run, nil if it ended as it should.
func (s *scanRun) drive(ctx context.Context) error {
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
	var sweepErr error
	if s.alive != nil {
		helpers.Go(func() { sweepErr = s.alive.run(reading) })
	}
	err := probe.Run(ctx, s.engine, s.report.Load())
	done()
	helpers.Wait()
	if err == nil && !errors.Is(sweepErr, context.Canceled) {
		err = sweepErr
	}
	return err
}

// finish judges the run and shows its end. Its error is that of a run that
// failed as a whole.
func (s *scanRun) finish(ctx context.Context, runErr error) (*output.End, error) {
	how := judge(ctx, runErr)
	switch {
	case s.ending.Load() && how.by == "done":
		how.by = "signal"
	case context.Cause(ctx) == errBudget:
		how.by = "deadline"
	}
	end := &output.End{StoppedBy: how.by, Time: time.Now()}
	end.Exit = s.exitCode(how)
	if s.alive != nil {
		end.Notes = append(end.Notes, s.alive.notes()...)
	}
	if n := s.missed(); n > 0 {
		end.Notes = append(end.Notes, "expected and not open: "+s.f.expected+" of "+hostCount(n)+" not scanned")
	}
	_ = s.report.Load().End(end) // closing the output meets the same error
	if format := s.flags.format; format != "" && format != "table" && format != "plain" && how.by != "output" && !s.flags.quiet {
		s.notes = slices.Concat(output.ScanNotes(s.head, end), end.Notes)
	}
	if how.failed {
		return end, untested(fmt.Errorf("the run stopped: %w", runErr))
	}
	return end, nil
}

// notes say of whom there is no row.
func (a *alive) notes() (lines []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.silent > 0 {
		lines = append(lines, fmt.Sprintf("not scanned, as they did not answer the sweep: %s", hostCount(a.silent)))
	}
	if a.failed > 0 {
		lines = append(lines, fmt.Sprintf("not scanned, as they could not be swept: %s (%s)", hostCount(a.failed), output.Escape(a.why.Error())))
	}
	return lines
}

// exitCode is the contract's: 3 wins over 1. A port whose turn never came was not
// tested; but a reader of stdout who left had seen enough.
func (s *scanRun) exitCode(how stopped) int {
	s.stats.Close()
	sum := s.stats.Summary()
	cut := sum.Pending > 0 || how.by != "done" && !s.complete() || len(s.waiting()) > 0 || len(s.engine.Left()) > 0
	switch {
	case how.broken, s.bad.any(), sum.Failed > 0, s.alive.unable(), cut && how.by != "output":
		return exitUntested
	case sum.Differing > 0, s.missed() > 0:
		return exitSilent
	}
	return exitAnswered
}

// missed is how many hosts were not scanned that were to have open ports.
func (s *scanRun) missed() uint64 {
	if s.f.expecting == nil || len(s.f.expecting.Ports()) == 0 {
		return 0
	}
	return s.alive.unheard()
}

// waiting are the hosts that were taken from the list and not begun.
func (s *scanRun) waiting() []uint64 {
	if s.alive == nil {
		return nil
	}
	return s.alive.left()
}

// onStop is what a signal to stop means: the end, or with --resume first that no
// further port is asked, since those in flight are soon decided.
func (s *scanRun) onStop(stop context.CancelCauseFunc) (last bool) {
	if s.f.resume == "" || s.report.Load() == nil || s.ending.Swap(true) {
		stop(errSignal)
		return true
	}
	s.engine.Finish() // before the list ends: a scan of all that is listed is complete
	s.hosts.Stop()
	fmt.Fprintln(s.stderr, "netprobe: finishing the ports in flight; Ctrl-C again to leave them to the next run")
	return false
}

// progress says how far the run is.
func (s *scanRun) progress() output.Progress {
	now := time.Now()
	c := s.engine.Counters()
	p := output.Progress{
		Ports: true, Elapsed: now.Sub(s.head.Start), Blind: s.blind(), Budget: s.f.budget, ETA: c.Ready,
		Decided: c.Decided, Alive: c.Open,
	}
	p.Asked = p.Decided + uint64(max(c.InFlight, 0))
	hosts, known := s.hosts.Planned()
	p.Planned, p.Known = hosts*uint64(len(s.f.ports))/s.f.parts.Step(), known && s.alive == nil
	for _, b := range s.begun {
		p.Planned -= min(p.Planned, uint64(b.Next-len(b.Again)))
	}
	p.Rate = s.gauge.done.rate(now, p.Decided)
	p.Pace = s.gauge.sent.rate(now, c.Sent)
	return p
}

// blind is how long it takes until silent ports are decided.
func (s *scanRun) blind() time.Duration {
	if s.f.settle > 0 {
		return 2*s.f.settle + progressWindow/2
	}
	return 2*time.Second + progressWindow/2
}

// watchProgress has the gauge watch the scan. Where the budget is too short, ports
// that were never asked come first.
func (s *scanRun) watchProgress(ctx context.Context) {
	s.gauge.watch(ctx, &s.common, s.head.Start, func() (done, sent uint64) {
		c, p := s.engine.Counters(), s.progress()
		if p.Budget > 0 && p.Known && p.Rate > 0 {
			left := time.Duration(float64(p.Planned-min(p.Planned, p.Decided)) / p.Rate * float64(time.Second))
			s.engine.Hurry(left > p.Budget-p.Elapsed)
		}
		return c.Decided, c.Sent
	}, s.progress)
}

// logRun says what happened inside.
func (s *scanRun) logRun() {
	c := s.engine.Counters()
	s.log.Info("counters", "hosts", c.Hosts, "sent", c.Sent, "retried", c.Retried, "proven_lost", c.Lost,
		"late", c.Late, "shortages", c.Shortages)
	if elapsed := time.Since(s.head.Start).Seconds(); elapsed > 0 {
		s.log.Info("pace", "tries_per_second", math.Round(float64(c.Sent)/elapsed))
	}
}
