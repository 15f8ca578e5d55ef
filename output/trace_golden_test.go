package output_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
	"netprobe/output/outputtest"
)

var traceLooks = []look{
	{suffix: "plain", format: "plain"},
	{suffix: "plain-n", format: "plain", numeric: true},
	{suffix: "plain-q", format: "plain", options: output.Options{Quiet: true}},
	{suffix: "table", format: "table"},
	{suffix: "table-q", format: "table", options: output.Options{Quiet: true}},
	{suffix: "table-live", format: "table", frames: true, options: output.Options{
		Terminal: true, Color: true, Size: func() (int, int) { return 100, 12 },
	}},
	{suffix: "table-narrow", format: "table", frames: true, numeric: true, options: output.Options{
		Terminal: true, Size: func() (int, int) { return 50, 24 },
	}},
	{suffix: "json", format: "json", options: output.Options{Probes: true}},
	{suffix: "csv", format: "csv"},
	{suffix: "dot", format: "dot"},
}

// showTrace returns what s looks like. Time stands still at midnight, 2000-01-01.
func showTrace(t *testing.T, s *scenario, l look) []byte {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		v, err := output.NewTraceView(l.format, &out, l.options)
		if err != nil {
			t.Fatal(err)
		}
		s.header.Numeric = l.numeric
		var between func(*output.Report, int)
		if l.frames {
			between = func(r *output.Report, i int) {
				if i%7 != 0 {
					return
				}
				if err := r.Refresh(start.Add(time.Duration(i) * 100 * time.Millisecond)); err != nil {
					t.Error(err)
				}
			}
		}
		if err := s.play(between, v); err != nil {
			t.Error(err)
		}
	})
	return out.Bytes()
}

func TestTraceGolden(t *testing.T) {
	for _, l := range traceLooks {
		for _, s := range traceScenarios() {
			t.Run(s.name+"."+l.suffix, func(t *testing.T) {
				compareFile(t, s.name+"."+l.suffix, readable(showTrace(t, s, l)))
			})
		}
	}
}

// Nothing of a hostile name may reach a terminal, whatever the format, nor make
// a line longer than a few names.
func TestTraceNothingUnescaped(t *testing.T) {
	for _, l := range traceLooks {
		if l.options.Terminal {
			continue
		}
		for _, s := range traceScenarios() {
			out := string(showTrace(t, s, l))
			if escaped := readable([]byte(out)); escaped != out {
				t.Errorf("%s.%s: control characters left:\n%s", s.name, l.suffix, escaped)
			}
			for line := range strings.Lines(out) {
				if len(line) > 16<<10 && l.format != "json" || len(line) > 64<<10 {
					t.Errorf("%s.%s: line of %d bytes", s.name, l.suffix, len(line))
				}
			}
		}
	}
}

func TestTraceRecordsAreValid(t *testing.T) {
	for _, s := range traceScenarios() {
		for _, o := range []output.Options{{}, {Probes: true}, {Quiet: true, Probes: true}} {
			if _, err := outputtest.Run(showTrace(t, s, look{format: "json", options: o})); err != nil {
				t.Errorf("%s %+v: %v", s.name, o, err)
			}
		}
	}
}

func TestTraceCSVHasOneShape(t *testing.T) {
	for _, s := range traceScenarios() {
		rows, err := csv.NewReader(bytes.NewReader(showTrace(t, s, look{format: "csv"}))).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		for _, row := range rows {
			if len(row) != len(rows[0]) {
				t.Errorf("%s: %q", s.name, row)
			}
		}
	}
}
