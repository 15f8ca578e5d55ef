package output_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"testing/synctest"

	"netprobe/output"
	"netprobe/output/outputtest"
)

// sweepLook is one way to show a sweep.
type sweepLook struct {
	name    string
	format  string
	options output.Options
	change  func(*output.Header)
}

func showAll(h *output.Header)     { h.Sweep.All = true }
func showNumbers(h *output.Header) { h.Numeric = true }

func showList(list string) func(*output.Header) {
	return func(h *output.Header) { h.Sweep.List = list }
}

var sweepLooks = []sweepLook{
	{name: "table", format: "table"},
	{name: "table --all", format: "table", change: showAll},
	{name: "table -D", format: "table", options: output.Options{Timestamps: true}},
	{name: "table -n", format: "table", change: showNumbers},
	{name: "table -q", format: "table", options: output.Options{Quiet: true}},
	{name: "table in colour", format: "table", options: output.Options{Color: true}, change: showAll},
	{name: "table of 80 cells", format: "table", options: output.Options{
		Terminal: true, Size: func() (int, int) { return 80, 24 },
	}},
	{name: "plain", format: "plain"},
	{name: "plain --all", format: "plain", change: showAll},
	{name: "plain -D", format: "plain", options: output.Options{Timestamps: true}},
	{name: "plain -n", format: "plain", change: showNumbers},
	{name: "plain -q", format: "plain", options: output.Options{Quiet: true}},
	{name: "json", format: "json"},
	{name: "json --all", format: "json", change: showAll},
	{name: "json -q", format: "json", options: output.Options{Quiet: true}},
	{name: "csv", format: "csv"},
	{name: "csv --all", format: "csv", change: showAll},
	{name: "fping", format: "fping"},
	{name: "fping -n", format: "fping", change: showNumbers},
	{name: "fping -a", format: "fping", change: showList("alive")},
	{name: "fping -u", format: "fping", change: showList("unreachable")},
}

// showSweep returns what s looks like. Time stands still at midnight, 2000-01-01.
func showSweep(t *testing.T, s *sweepRun, l sweepLook) []byte {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		v, err := output.NewSweepView(l.format, &out, l.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.play(l.change, v); err != nil {
			t.Error(err)
		}
	})
	return out.Bytes()
}

func TestSweepGolden(t *testing.T) {
	for _, s := range sweeps() {
		t.Run(s.name, func(t *testing.T) {
			var b strings.Builder
			for _, l := range sweepLooks {
				b.WriteString("== " + l.name + " ==\n" + readable(showSweep(t, s, l)))
			}
			compareFile(t, "sweep-"+s.name, b.String())
		})
	}
}

func TestSweepRecordsAreValid(t *testing.T) {
	for _, s := range sweeps() {
		for _, l := range sweepLooks {
			if l.format != "json" {
				continue
			}
			if _, err := outputtest.Run(showSweep(t, s, l)); err != nil {
				t.Errorf("%s, %s: %v", s.name, l.name, err)
			}
		}
	}
}

// Nothing of a hostile name may reach a terminal, whatever the format.
func TestSweepNothingUnescaped(t *testing.T) {
	for _, s := range sweeps() {
		for _, l := range sweepLooks {
			out := string(showSweep(t, s, l))
			if escaped := readable([]byte(out)); escaped != out && !l.options.Color {
				t.Errorf("%s, %s: control characters left:\n%s", s.name, l.name, escaped)
			}
			if strings.Contains(out, "stale") || strings.Contains(out, "203.0.113.99") {
				t.Errorf("%s, %s: shows a target that was not valid any more", s.name, l.name)
			}
			if l.format == "csv" {
				if _, err := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil {
					t.Errorf("%s, %s: %v", s.name, l.name, err)
				}
			}
		}
	}
}
