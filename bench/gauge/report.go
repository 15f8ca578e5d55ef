package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// measure is one thing that is measured and what netprobe must reach in it.
type measure struct {
	name, title string
	unit        string
	digits      int  // after the point
	abs         bool // values are errors: show their size, and the median with its sign
	goal        goal
}

// goal is a target for netprobe. The zero value is none.
type goal struct {
	text string
	met  func(own, peer figures) bool
	peer string // tool whose figures met is given
}

var rttGoal = goal{text: "p99 <= 5 µs", met: func(own, _ figures) bool { return own.p99 <= 5 }}

// measures are all that report knows, in the order of the table.
var measures = []measure{
	{name: "rtt-idle", title: "RTT error, idle", unit: "µs", digits: 1, abs: true, goal: rttGoal},
	{name: "rtt-busy", title: "RTT error, all cores busy", unit: "µs", digits: 1, abs: true, goal: rttGoal},
	{name: "rtt-quota", title: "RTT error, 20 % CPU quota", unit: "µs", digits: 1, abs: true, goal: rttGoal},
	{name: "wire-idle", title: "RTT on the wire, idle", unit: "µs", digits: 1},
	{name: "cpu", title: "CPU per probe, 1,000 targets at 1/s", unit: "µs", digits: 2, goal: goal{
		text: "median <= 1.5 x fping", peer: "fping",
		met: func(own, peer figures) bool { return own.median <= 1.5*peer.median },
	}},
	{name: "peak", title: "peak memory, 1,000 targets", unit: "MB", digits: 1, goal: goal{
		text: "max < 30 MB", met: func(own, _ figures) bool { return own.maximum < 30 },
	}},
	{name: "pace-wall", title: "-i 0.01 -c 1000: wall time", unit: "s", digits: 3, goal: goal{
		text: "median 10 s ± 1 %", met: func(own, _ figures) bool { return math.Abs(own.median-10) <= .1 },
	}},
	{name: "pace-gap", title: "-i 0.01 -c 1000: gap on the wire", unit: "ms", digits: 3, goal: goal{
		text: "mean 10.00 ms", met: func(own, _ figures) bool { return math.Abs(own.mean-10) < .005 },
	}},
	{name: "start", title: "exec to first packet", unit: "ms", digits: 2, goal: goal{
		text: "median < 15 ms", met: func(own, _ figures) bool { return own.median < 15 },
	}},
	{name: "whole", title: "whole command, -c 1", unit: "ms", digits: 2},
	{name: "size", title: "stripped static binary", unit: "MB", digits: 2, goal: goal{
		text: "< 12 MB", met: func(own, _ figures) bool { return own.maximum < 12 },
	}},
	{name: "flood", title: "flood, one target", unit: "packets/s", digits: 0},

	{name: "all-rest", title: "20 hops: after the first packet", unit: "s", digits: 3, goal: atMost(.15)},
	{name: "all-wall", title: "20 hops: whole command", unit: "s", digits: 3},
	{name: "all-start", title: "20 hops: exec to first packet", unit: "ms", digits: 1},
	{name: "all-packets", title: "20 hops: probes sent", unit: "packets", digits: 0},
	{name: "all-wrong", title: "20 hops: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "all-error", title: "20 hops: RTT error", unit: "ms", digits: 3, abs: true},
	{name: "silent-wall", title: "3 silent hops: whole command", unit: "s", digits: 3, goal: atMost(.5)},
	{name: "silent-wrong", title: "3 silent hops: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "firewalled-wall", title: "target firewalled: whole command", unit: "s", digits: 3, goal: atMost(1.3)},
	{name: "firewalled-wrong", title: "target firewalled: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "slow-wall", title: "hops of 600 ms and 1.2 s: whole command", unit: "s", digits: 3},
	{name: "slow-wrong", title: "hops of 600 ms and 1.2 s: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "limited-wall", title: "hops limited to 1/s: whole command", unit: "s", digits: 2},
	{name: "limited-lossy", title: "hops limited to 1/s: said to be lossy", unit: "hops", digits: 0, goal: none},
	{name: "limited-wrong", title: "hops limited to 1/s: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "many-wall", title: "500 targets, 10,000/s: whole command", unit: "s", digits: 3, goal: goal{
		text: "median <= scamper", peer: "scamper",
		met: func(own, peer figures) bool { return own.median <= peer.median },
	}},
	{name: "many-cpu", title: "500 targets, 10,000/s: CPU", unit: "s", digits: 3},
	{name: "many-packets", title: "500 targets, 10,000/s: probes sent", unit: "packets", digits: 0},
	{name: "many-wrong", title: "500 targets, 10,000/s: missing or false", unit: "hops", digits: 0, goal: none},
	{name: "wide4-wall", title: "all paths, 4 wide: whole command", unit: "s", digits: 3, goal: goal{
		text: "max <= 2 s", met: func(own, _ figures) bool { return own.maximum <= 2 },
	}},
	{name: "wide4-packets", title: "all paths, 4 wide: probes sent", unit: "packets", digits: 0},
	{name: "wide4-missing", title: "all paths, 4 wide: missing", unit: "hops and links", digits: 0, goal: mostly},
	{name: "wide4-false", title: "all paths, 4 wide: false", unit: "hops and links", digits: 0, goal: none},
	{name: "wide16-wall", title: "all paths, 16 wide: whole command", unit: "s", digits: 3},
	{name: "wide16-packets", title: "all paths, 16 wide: probes sent", unit: "packets", digits: 0},
	{name: "wide16-missing", title: "all paths, 16 wide: missing", unit: "hops and links", digits: 0, goal: mostly},
	{name: "wide16-false", title: "all paths, 16 wide: false", unit: "hops and links", digits: 0, goal: none},
}

// atMost is the goal of a time in seconds.
func atMost(limit float64) goal {
	return goal{
		text: fmt.Sprintf("median <= %v s", limit),
		met:  func(own, _ figures) bool { return own.median <= limit },
	}
}

var (
	none = goal{text: "none", met: func(own, _ figures) bool { return own.maximum == 0 }}
	// mostly is for what is found with a confidence of 95 %: not every time.
	mostly = goal{text: "median 0", met: func(own, _ figures) bool { return own.median == 0 }}
)

// header names the columns of the table.
var header = []string{"measure", "tool", "n", "mean", "median", "p99", "max", "target", "verdict", "note"}

// table returns the rows for samples, below header, and how many targets were
// missed. Rows of unknown measures are left out.
func table(samples []sample) (rows [][]string, missed int) {
	rows = append(rows, header)
	for _, m := range measures {
		for _, s := range samples {
			if s.Measure != m.name {
				continue
			}
			row, ok := m.row(s, samples)
			if !ok {
				missed++
			}
			rows = append(rows, row)
		}
	}
	return rows, missed
}

// row is one line of the table. It is not ok if netprobe missed its target. A
// sample without values was not measured; its notes say why.
func (m measure) row(s sample, all []sample) (row []string, ok bool) {
	f := summarize(s.Values, m.abs)
	row = []string{m.title + ", " + m.unit, s.Tool, fmt.Sprint(f.n), m.format(f.mean), m.format(f.median), m.format(f.p99), m.format(f.maximum)}
	notes := s.Notes
	if m.abs && f.n > 0 {
		notes = append([]string{fmt.Sprintf("bias %+.*f", m.digits, f.bias)}, notes...)
	}
	target, verdict, ok := "", "", true
	if f.n == 0 {
		verdict = "skipped"
	} else if m.goal.met != nil && strings.HasPrefix(s.Tool, "netprobe") {
		var peer figures
		if m.goal.peer != "" {
			peer = peerFigures(all, m.name, m.goal.peer)
			notes = append(slices.Clone(notes), fmt.Sprintf("%.2f x %s", f.median/peer.median, m.goal.peer))
		}
		target, verdict, ok = m.goal.text, "PASS", m.goal.met(f, peer)
	}
	if !ok {
		verdict = "FAIL"
	}
	return append(row, target, verdict, strings.Join(notes, "; ")), ok
}

// peerFigures are those of another tool in the same measure.
func peerFigures(all []sample, measure, tool string) figures {
	for _, s := range all {
		if s.Measure == measure && s.Tool == tool {
			return summarize(s.Values, false)
		}
	}
	return summarize(nil, false)
}

// format shows one figure; a dash if there is none.
func (m measure) format(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", m.digits, v)
}

// writeTable writes rows as a Markdown table whose columns also line up as
// plain text.
func writeTable(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			fmt.Fprint(w, "| ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+1))
		}
		fmt.Fprintln(w, "|")
		if n > 0 {
			continue
		}
		for _, width := range widths {
			fmt.Fprint(w, "|", strings.Repeat("-", width+2))
		}
		fmt.Fprintln(w, "|")
	}
}

// runReport prints the table.
func runReport(args []string, stdout, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := os.Open(out.file)
	if err != nil {
		return err
	}
	defer f.Close()
	samples, err := readSamples(f)
	if err != nil {
		return err
	}
	rows, missed := table(samples)
	writeTable(stdout, rows)
	if missed > 0 {
		return fmt.Errorf("%w: %d rows say FAIL", errMissed, missed)
	}
	return nil
}
