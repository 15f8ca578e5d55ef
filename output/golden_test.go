package output_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"netprobe/output"
	"netprobe/output/outputtest"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

func TestMain(m *testing.M) {
	flag.Parse()
	time.Local = time.UTC // plain lines show local times
	runewidth.DefaultCondition.EastAsianWidth = false
	os.Exit(m.Run())
}

// look is one way to show a run.
type look struct {
	suffix  string
	format  string
	options output.Options
	numeric bool
	frames  bool // redraw after each Result
}

var looks = []look{
	{suffix: "plain", format: "plain"},
	{suffix: "plain-n", format: "plain", numeric: true},
	{suffix: "plain-D", format: "plain", options: output.Options{Timestamps: true}},
	{suffix: "plain-q", format: "plain", options: output.Options{Quiet: true}},
	{suffix: "table", format: "table"},
	{suffix: "table-q", format: "table", options: output.Options{Quiet: true}},
	{suffix: "table-color", format: "table", options: output.Options{Quiet: true, Color: true}},
	{suffix: "table-live", format: "table", frames: true, options: output.Options{
		Terminal: true, Color: true, Size: func() (int, int) { return 100, 7 },
	}},
	{suffix: "table-narrow", format: "table", frames: true, options: output.Options{
		Terminal: true, Size: func() (int, int) { return 40, 24 },
	}},
	{suffix: "json", format: "json"},
	{suffix: "csv", format: "csv"},
	{suffix: "fping", format: "fping"},
}

// show returns what s looks like. Time stands still at midnight, 2000-01-01.
func show(t *testing.T, s *scenario, l look) []byte {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		v, err := output.NewView(l.format, &out, l.options)
		if err != nil {
			t.Fatal(err)
		}
		s.header.Numeric = l.numeric
		var between func(*output.Report, int)
		if l.frames {
			between = func(r *output.Report, i int) {
				if err := r.Refresh(start.Add(time.Duration(i) * time.Second)); err != nil {
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

// readable makes control sequences visible, one frame of a table after the other.
func readable(b []byte) string {
	lines := strings.SplitAfter(string(b), "\n")
	for i, l := range lines {
		body := strings.TrimSuffix(l, "\n")
		lines[i] = output.Escape(body) + l[len(body):]
	}
	return strings.Join(lines, "")
}

func TestGolden(t *testing.T) {
	for _, l := range looks {
		for _, s := range scenarios() {
			t.Run(s.name+"."+l.suffix, func(t *testing.T) {
				compareFile(t, s.name+"."+l.suffix, readable(show(t, s, l)))
			})
		}
	}
}

func compareFile(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// Nothing of a hostile name may reach a terminal, whatever the format.
func TestNothingUnescaped(t *testing.T) {
	for _, l := range looks {
		if l.options.Terminal || l.options.Color {
			continue
		}
		for _, s := range scenarios() {
			out := string(show(t, s, l))
			if escaped := readable([]byte(out)); escaped != out {
				t.Errorf("%s.%s: control characters left:\n%s", s.name, l.suffix, escaped)
			}
		}
	}
}

func TestRecordsAreValid(t *testing.T) {
	for _, s := range scenarios() {
		if _, err := outputtest.Run(show(t, s, look{format: "json"})); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if _, err := outputtest.Run(show(t, s, look{format: "json", options: output.Options{Quiet: true}})); err != nil {
			t.Errorf("%s quiet: %v", s.name, err)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	_, err := output.NewView("xml", nil, output.Options{})
	if err == nil || !strings.Contains(err.Error(), "plain, table, json, csv, fping") {
		t.Errorf("error %v does not name the formats", err)
	}
}

func TestSnapshot(t *testing.T) {
	s := scenarios()[0]
	var out bytes.Buffer
	v, _ := output.NewView("plain", &bytes.Buffer{}, output.Options{})
	err := s.play(func(r *output.Report, i int) {
		if i == 2 {
			if err := r.Snapshot(&out); err != nil {
				t.Error(err)
			}
		}
	}, v)
	if err != nil {
		t.Fatal(err)
	}
	want := "3/3 packets, 0% loss, min/avg/ewma/max = 0.951/45.447/23.786/124.841 ms\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// cells returns the width of s on a terminal.
func cells(s string) int { return runewidth.StringWidth(s) }
