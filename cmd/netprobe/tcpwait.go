package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// waitDisplay shows a run of --wait: a line for each target when it opens, or at
// the end why it did not, unless a format is asked for.
func waitDisplay() display {
	const brief = "wait"
	return display{
		usual: func(bool, int) string { return brief },
		view: func(format string, w io.Writer, o output.Options) (output.View, error) {
			if format != brief {
				return output.NewView(format, w, o)
			}
			return &waitView{w: w, o: o}, nil
		},
	}
}

// waitView is the output.View of a run that waits for its targets.
type waitView struct {
	w     io.Writer
	o     output.Options
	start time.Time
	set   *stats.Set
	rows  []waited
}

// waited is what is known of one target.
type waited struct {
	open bool
	last string // why it was not at its last outcome; empty if there was none
	word string // what it was not then: open, or ready where the port is but a layer above failed
}

func (v *waitView) Begin(h *output.Header, set *stats.Set) error {
	v.start, v.set, v.rows = h.Start, set, make([]waited, len(h.Targets))
	return nil
}

func (v *waitView) Result(r *probe.Result, _ *stats.Target) error {
	row := &v.rows[r.Target.ID]
	switch {
	case row.open || !r.Outcome():
		return nil
	case r.Status == probe.Pending:
		if row.last == "" && !r.Sent.IsZero() {
			row.last = "no answer yet"
		}
		return nil
	case !r.Good():
		row.last, row.word = notOpen(r), openOrReady(r)
		return nil
	}
	row.open = true
	return v.line("%s is %s after %s", output.Escape(r.Target.Name), openOrReady(r), output.FormatDuration(time.Since(v.start)))
}

// openOrReady is what a target is that answers; a port that is open may not be
// ready, where more is asked than that.
func openOrReady(r *probe.Result) string {
	if _, ok := r.Detail.(*probe.Layers); ok {
		return "ready"
	}
	return "open"
}

// notOpen says why r does not show an open port.
func notOpen(r *probe.Result) string {
	switch fault := r.Fault(); {
	case fault != nil:
		return "failed at " + fault.FailedAt + ": " + fault.Why
	case r.Status == probe.Failed && r.Err != nil:
		return "not tested: " + r.Err.Error()
	case r.Status == probe.Lost && r.Reason == probe.BadReply:
		if l, ok := r.Detail.(*probe.Layers); ok {
			return l.Why
		}
		return "no valid answer"
	case r.Status == probe.Lost:
		return "no answer"
	case !r.From.IsValid():
		return r.Reason.String()
	}
	return fmt.Sprintf("%v by %v", r.Reason, r.From)
}

// Refresh does nothing: a printed line stays.
func (v *waitView) Refresh(time.Time) error { return nil }

func (v *waitView) End(e *output.End) error {
	for i, t := range v.set.Rows() {
		if v.rows[i].open {
			continue
		}
		why := v.rows[i].last
		if t.Err != nil {
			why = t.Err.Error()
		}
		if why == "" {
			why = "not decided"
		}
		if err := v.line("%s is not %s after %s: %s", output.Escape(t.Name), cmp.Or(v.rows[i].word, "open"), output.FormatDuration(e.Time.Sub(v.start)), output.Escape(why)); err != nil {
			return err
		}
	}
	return nil
}

func (v *waitView) line(format string, args ...any) error {
	if v.o.Quiet {
		return nil
	}
	var stamp string
	if v.o.Timestamps {
		now := time.Now()
		stamp = fmt.Sprintf("[%d.%06d] ", now.Unix(), now.Nanosecond()/1000)
	}
	_, err := fmt.Fprintf(v.w, "%s"+format+"\n", append([]any{stamp}, args...)...)
	return err
}
