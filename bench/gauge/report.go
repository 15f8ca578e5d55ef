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
	} else if m.goal.met != nil && strings.HasPrefix(s.Tool, "netprobe") && s.Tool != m.goal.peer {
		var peer figures
		if m.goal.peer != "" {
			var name string
			name, peer = m.peerFigures(all)
			notes = append(slices.Clone(notes), fmt.Sprintf("%.2f x %s", f.median/peer.median, name))
		}
		target, verdict, ok = m.goal.text, "PASS", m.goal.met(f, peer)
	}
	if !ok {
		verdict = "FAIL"
	}
	return append(row, target, verdict, strings.Join(notes, "; ")), ok
}

// peerFigures returns the tool that is the peer in this measure, and its figures.
func (m measure) peerFigures(all []sample) (tool string, f figures) {
	tool, f = m.goal.peer, summarize(nil, false)
	for _, s := range all {
		if s.Measure != m.name {
			continue
		}
		if s.Tool == m.goal.peer {
			return s.Tool, summarize(s.Values, false)
		}
		if m.goal.best && strings.HasPrefix(s.Tool, m.goal.peer) {
			if other := summarize(s.Values, false); !(other.median <= f.median) { // f may be NaN
				tool, f = s.Tool, other
			}
		}
	}
	return tool, f
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
