package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// finish judges the run and shows its end. Its error is that of a run that
// failed as a whole.
func (s *session) finish(ctx context.Context, c *course, runErr error) (*output.End, error) {
	var summaries []stats.Summary
	for _, row := range c.set.Rows() {
		summaries = append(summaries, row.Summary())
	}
	fired := s.fired(summaries)
	e := ending{fired: len(fired) > 0, until: c.until != nil, met: c.until != nil && c.until.met, wait: s.wait > 0}
	if s.compare != nil {
		fired = append(fired, s.compare.lines...)
		e.fired, e.asBefore = e.fired || s.compare.changed, s.compare.same
	}
	how := judge(ctx, runErr)
	e.broken = how.broken

	end := &output.End{StoppedBy: how.by, Exit: exitCode(summaries, e), Time: time.Now(), Notes: fired}
	if e.met {
		end.Notes = append(end.Notes, c.until.note)
	}
	if c.remarks != nil {
		end.Notes = append(end.Notes, c.remarks.Remarks()...)
	}
	_ = c.report.End(end) // closing the output meets the same error
	if c.out.tty == nil { // else they have just been shown there
		s.sayFew(fired)
	}
	if how.failed {
		return end, untested(fmt.Errorf("the run stopped: %w", runErr))
	}
	return end, nil
}

// fired returns a line for each target for which --fail-if holds.
func (s *session) fired(summaries []stats.Summary) []string {
	if s.flags.failIf == nil {
		return nil
	}
	var lines []string
	for _, sum := range summaries {
		if clause, ok := s.flags.failIf.Fired(sum); ok {
			lines = append(lines, fmt.Sprintf("fail-if fired: %s: %s", output.Escape(sum.Target.Name), clause))
		}
	}
	return lines
}

// ending is what beside the targets decides an exit code.
type ending struct {
	broken bool // engine or output failed: the run is not what was asked for
	fired  bool // a clause of --fail-if held, or a path is not as --baseline has it
	until  bool // --until was given ...
	met    bool // ... and happened
	wait   bool // --wait was given, as until and met say

	// asBefore, if not nil, reports whether --baseline has all there is to say
	// of a target: then its silence is no news.
	asBefore func(*probe.Target) bool
}

// exitCode is the contract's: 3 wins over 1, and with --until the question is
// not whether all answered but whether it happened.
func exitCode(summaries []stats.Summary, e ending) int {
	if e.wait && !e.broken {
		if e.met {
			return exitAnswered
		}
		return exitSilent // whatever it was that kept us from asking: time is over
	}
	silent := false
	for _, s := range summaries {
		// A target whose turn never came, or whose name was still looked up, is
		// untested too, unless --until had nothing more to ask.
		askable := s.Error == nil || errors.Is(s.Error, context.Canceled)
		if s.Verdict() == stats.Untested && !(askable && e.met) {
			return exitUntested
		}
		silent = silent || !s.Answered() && !(e.asBefore != nil && e.asBefore(s.Target))
	}
	switch {
	case e.broken:
		return exitUntested
	case e.fired:
		return exitSilent
	case e.until && !e.met, !e.until && silent:
		return exitSilent
	}
	return exitAnswered
}
