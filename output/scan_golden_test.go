package output_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"netprobe/output"
	"netprobe/output/outputtest"
)

// scanLook is one way to show a scan.
type scanLook struct {
	name    string
	format  string
	options output.Options
	change  func(*output.Header)
}

func allPorts(h *output.Header)  { h.Scan.All = true }
func openPorts(h *output.Header) { h.Scan.OpenOnly = true }

var scanLooks = []scanLook{
	{name: "table", format: "table"},
	{name: "table --all", format: "table", change: allPorts},
	{name: "table --open", format: "table", change: openPorts},
	{name: "table -n -D", format: "table", options: output.Options{Timestamps: true}, change: showNumbers},
	{name: "table -q", format: "table", options: output.Options{Quiet: true}},
	{name: "table in colour", format: "table", options: output.Options{Color: true}},
	{name: "table of 60 cells", format: "table", options: output.Options{
		Terminal: true, Size: func() (int, int) { return 60, 24 },
	}},
	{name: "plain", format: "plain"},
	{name: "plain --all", format: "plain", change: allPorts},
	{name: "plain -n -D", format: "plain", options: output.Options{Timestamps: true}, change: showNumbers},
	{name: "json", format: "json"},
	{name: "json --open", format: "json", change: openPorts},
	{name: "json -q", format: "json", options: output.Options{Quiet: true}},
	{name: "csv", format: "csv"},
	{name: "csv --open", format: "csv", change: openPorts},
	{name: "nmap-xml", format: "nmap-xml"},
	{name: "nmap-xml --open", format: "nmap-xml", change: openPorts},
	{name: "grepable", format: "grepable"},
	{name: "grepable --open", format: "grepable", change: openPorts},
}

// showScan returns what s looks like. Time stands still at midnight, 2000-01-01.
func showScan(t *testing.T, s *scanRun, l scanLook) []byte {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		v, err := output.NewScanView(l.format, &out, l.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.play(l.change, v); err != nil {
			t.Error(err)
		}
	})
	return out.Bytes()
}

// abridged leaves out the middle of what is long and says how much that is.
func abridged(text string) string {
	const most = 40
	lines := strings.SplitAfter(text, "\n")
	if len(lines) <= most {
		return text
	}
	head, tail := lines[:most*3/4], lines[len(lines)-most/4:]
	return strings.Join(head, "") + "[...]\n" + strings.Join(tail, "")
}

func TestScanGolden(t *testing.T) {
	for _, s := range scans() {
		t.Run(s.name, func(t *testing.T) {
			var b strings.Builder
			for _, l := range scanLooks {
				b.WriteString("== " + l.name + " ==\n" + abridged(readable(showScan(t, s, l))))
			}
			compareFile(t, "scan-"+s.name, b.String())
		})
	}
}

func TestScanRecordsAreValid(t *testing.T) {
	for _, s := range scans() {
		for _, l := range scanLooks {
			if l.format != "json" {
				continue
			}
			if _, err := outputtest.Run(showScan(t, s, l)); err != nil {
				t.Errorf("%s, %s: %v", s.name, l.name, err)
			}
		}
	}
}

// Nothing of a hostile name or banner may reach a terminal, whatever the format,
// and what others parse they can.
func TestScanNothingUnescaped(t *testing.T) {
	for _, s := range scans() {
		for _, l := range scanLooks {
			out := string(showScan(t, s, l))
			plain := out
			if l.format == "grepable" {
				plain = strings.ReplaceAll(out, "\t", " ")
			}
			if escaped := readable([]byte(plain)); escaped != plain && !l.options.Color {
				t.Errorf("%s, %s: control characters left:\n%s", s.name, l.name, escaped)
			}
			if strings.Contains(out, "stale") || strings.Contains(out, "203.0.113.99") {
				t.Errorf("%s, %s: shows what was not valid any more", s.name, l.name)
			}
			switch l.format {
			case "csv":
				if _, err := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil {
					t.Errorf("%s, %s: %v", s.name, l.name, err)
				}
			case "nmap-xml":
				d := xml.NewDecoder(strings.NewReader(out))
				for {
					if _, err := d.Token(); err == io.EOF {
						break
					} else if err != nil {
						t.Fatalf("%s, %s: %v", s.name, l.name, err)
					}
				}
			}
		}
	}
}
