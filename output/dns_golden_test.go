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

var dnsLooks = []struct {
	name, format string
	options      output.Options
}{
	{"table", "table", output.Options{}},
	{"table -q", "table", output.Options{Quiet: true}},
	{"table -D", "table", output.Options{Timestamps: true}},
	{"table in colour", "table", output.Options{Color: true}},
	{"table of 70 cells", "table", output.Options{Terminal: true, Size: func() (int, int) { return 70, 24 }}},
	{"short", "short", output.Options{}},
	{"json", "json", output.Options{}},
	{"json -q", "json", output.Options{Quiet: true}},
	{"csv", "csv", output.Options{}},
}

// showDNS returns what s looks like. Time stands still at midnight, 2000-01-01.
func showDNS(t *testing.T, s *dnsRun, format string, o output.Options) []byte {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		v, err := output.NewDNSView(format, &out, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.play(v); err != nil {
			t.Error(err)
		}
	})
	return out.Bytes()
}

func TestDNSGolden(t *testing.T) {
	for _, s := range dnsRuns() {
		t.Run(s.name, func(t *testing.T) {
			var b strings.Builder
			for _, l := range dnsLooks {
				b.WriteString("== " + l.name + " ==\n" + readable(showDNS(t, s, l.format, l.options)))
			}
			compareFile(t, "dns-"+s.name, b.String())
		})
	}
}

func TestDNSRecordsAreValid(t *testing.T) {
	for _, s := range dnsRuns() {
		for _, quiet := range []bool{false, true} {
			if _, err := outputtest.Run(showDNS(t, s, "json", output.Options{Quiet: quiet})); err != nil {
				t.Errorf("%s, quiet %v: %v", s.name, quiet, err)
			}
		}
	}
}

// Nothing of what a server says reaches a terminal as it is.
func TestDNSNothingUnescaped(t *testing.T) {
	for _, s := range dnsRuns() {
		for _, format := range output.DNSFormats() {
			out := string(showDNS(t, s, format, output.Options{}))
			if escaped := readable([]byte(out)); escaped != out {
				t.Errorf("%s as %s: control characters left:\n%s", s.name, format, escaped)
			}
		}
	}
}

// Every line of CSV has the columns of the first.
func TestDNSCSV(t *testing.T) {
	for _, s := range dnsRuns() {
		if s.name == "studies" {
			continue // which have no CSV
		}
		rows, err := csv.NewReader(bytes.NewReader(showDNS(t, s, "csv", output.Options{}))).ReadAll()
		if err != nil || len(rows) != 1+len(s.result) {
			t.Errorf("%s: %d rows, %v", s.name, len(rows), err)
		}
	}
}
