package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// traceTable shows one row for each hop and says in it what changes there. On a
// terminal the path of a single target grows while it is found out, and a
// monitored one is redrawn in place; of several targets each is printed when it
// is concluded.
type traceTable struct {
	traceBase
	w      io.Writer
	o      Options
	screen screen
	blocks int // traces printed
	buf    []byte
}

func newTraceTable(w io.Writer, o Options) View {
	return &traceTable{w: w, o: o, screen: screen{look: o}}
}

func (v *traceTable) Begin(h *Header, set *stats.Set) error {
	v.begin(h, set)
	return v.Refresh(h.Start)
}

// redraws reports whether the hops are shown while they are found out.
func (v *traceTable) redraws() bool {
	return v.o.Terminal && !v.o.Quiet && (len(v.live) == 1 || v.t.Monitor)
}

func (v *traceTable) Result(r *probe.Result, _ *stats.Target) error {
	if p, ok := r.Detail.(*probe.Path); ok {
		return v.end(r, p)
	}
	if v.t.Monitor || v.redraws() {
		v.note(r)
	}
	return nil
}

// detach leaves what is on the screen as it is: the next frame goes below it.
func (v *traceTable) detach() { v.screen.detach() }

func (v *traceTable) Refresh(now time.Time) error {
	if v.h == nil || !v.o.Terminal || v.o.Quiet {
		return nil
	}
	cols, _ := v.screen.size()
	v.buf = v.screen.replace(v.buf[:0], v.frame(now), cols)
	_, err := v.w.Write(v.buf)
	return err
}

// frame returns what stands on the screen until more is known.
func (v *traceTable) frame(now time.Time) []string {
	left := 0
	for _, ended := range v.ended {
		if !ended {
			left++
		}
	}
	if left == 0 {
		return nil
	}
	if !v.redraws() {
		status := fmt.Sprintf("netprobe trace: %d of %d done, %s", len(v.live)-left, len(v.live), v.elapsed(now))
		return []string{v.o.paint(dim, status)}
	}
	cols, height := v.screen.size()
	var lines []string
	for i, t := range v.set.Rows() {
		if v.ended[i] || t.Err != nil {
			continue
		}
		lines = append(lines, v.o.paint(bold, "trace to "+v.nameOf(t.Target))+v.o.paint(dim, "  "+v.elapsed(now)))
		rows := v.live[i].list(v.t.first())
		lines = append(lines, v.grid(rows, cols)...)
		if next := int(v.t.first()) + len(rows); len(rows) == 0 || !rows[len(rows)-1].target {
			lines = append(lines, v.o.paint(dim, fmt.Sprintf("hop %d and beyond: no answer yet", next)))
		}
	}
	return cutFrame(lines, height-1)
}

// cutFrame leaves out lines behind the first two, so that the newest hops stay.
func cutFrame(lines []string, height int) []string {
	if len(lines) <= height || height < 3 {
		return lines[:min(len(lines), max(height, 1))]
	}
	return append(lines[:2:2], lines[len(lines)-height+2:]...)
}

// end prints the trace that p concludes.
func (v *traceTable) end(r *probe.Result, p *probe.Path) error {
	rows := v.conclude(r, p)
	if v.o.Quiet {
		line := clip(r.Target.Name) + ": " + strings.Join(remarks(p, rows, r, v.t, true), "; ")
		_, err := io.WriteString(v.w, line+"\n")
		return err
	}
	cols := 0
	if v.o.Terminal {
		cols, _ = v.screen.size()
	}
	return v.print(v.block(r, p, rows, cols), cols)
}

// print writes lines that stay, above those that are redrawn.
func (v *traceTable) print(lines []string, cols int) error {
	if v.blocks > 0 {
		lines = append([]string{""}, lines...)
	}
	v.blocks++
	if v.o.Terminal && !v.o.Quiet {
		v.buf = v.screen.replace(v.buf[:0], lines, cols)
		v.screen.detach()
		_, err := v.w.Write(v.buf)
		return err
	}
	_, err := io.WriteString(v.w, strings.Join(lines, "\n")+"\n")
	return err
}

// block returns all lines of a finished trace.
func (v *traceTable) block(r *probe.Result, p *probe.Path, rows []*hopRow, cols int) []string {
	var lines []string
	for _, part := range wrap(string(v.appendTitle([]byte("trace to "), r.Target, p)), cols) {
		lines = append(lines, v.o.paint(bold, part))
	}
	if len(rows) > 0 {
		lines = append(lines, v.grid(rows, cols)...)
	}
	for i, line := range remarks(p, rows, r, v.t, true) {
		color := ""
		if i == 0 {
			lines = append(lines, "")
			color = stopColor(p, rows)
		}
		for _, part := range wrap(line, cols) {
			lines = append(lines, v.o.paint(color, part))
		}
	}
	return append(lines, drawing(p, &v.names)...)
}

// stopColor returns the colour of a conclusion.
func stopColor(p *probe.Path, rows []*hopRow) string {
	if last := lastAnswer(rows); p.Reached() || last != nil && last.target {
		return green
	}
	switch p.Stop {
	case probe.StopDeadline, probe.StopCanceled, probe.StopFailed:
		return yellow
	}
	return red
}

func (v *traceTable) End(e *End) error {
	if v.o.Terminal && !v.o.Quiet {
		cols, _ := v.screen.size()
		v.buf = v.screen.replace(v.buf[:0], nil, cols)
	} else {
		v.buf = v.buf[:0]
	}
	for _, s := range v.unended() {
		if v.blocks > 0 && !v.o.Quiet {
			v.buf = append(v.buf, '\n')
		}
		v.blocks++
		v.buf = appendUnended(v.buf, &s)
	}
	v.buf = appendNotes(v.buf, e)
	if len(v.buf) == 0 {
		return nil
	}
	_, err := v.w.Write(v.buf)
	return err
}
