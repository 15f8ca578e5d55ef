package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestQueries runs a command that stands in for a tool.
func TestQueries(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell:", err)
	}
	tests := []struct {
		name, format, output string
		exit                 string
		unanswered           float64 // of 10
		fails                bool
	}{
		{name: "netprobe", format: "json", output: `{"record":"run"}
{"record":"summary","addr":"192.0.2.1","sent":5,"received":5}
{"record":"summary","addr":"192.0.2.2","sent":5,"received":3}
{"record":"end"}`, exit: "1", unanswered: 3},
		{name: "all", format: "json", output: `{"record":"summary","received":10}`, exit: "0"},
		{name: "netprobe, broken", format: "json", output: `{"record":"summary","sent":5}`, exit: "0", fails: true},
		{name: "more than there were", format: "json", output: `{"record":"summary","received":11}`, exit: "0", fails: true},
		{name: "dnsperf", format: "dnsperf", output: "  Queries sent:         10\n  Queries completed:    9 (90.00%)\n  Queries lost:         1 (10.00%)", exit: "0", unanswered: 1},
		{name: "dig", format: "dig", output: strings.Repeat(";; Query time: 93 usec\n", 10), exit: "0"},
		{name: "dig, nothing", format: "dig", output: ";; connection timed out; no servers could be reached", exit: "9", unanswered: 11},
		{name: "unknown format", format: "xml", exit: "0", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			samples := filepath.Join(t.TempDir(), "samples")
			var out bytes.Buffer
			code := run([]string{"queries", "--samples", samples, "--measure", "m", "--tool", "x", "--asked", "10", "--format", tt.format, "--",
				"sh", "-c", `printf '%s\n' "$1"; exit "$2"`, "sh", tt.output, tt.exit}, &out, &out)
			if (code != 0) != tt.fails {
				t.Fatalf("exit %d: %s", code, &out)
			}
			if tt.fails {
				return
			}
			got := make(map[string]float64)
			for _, s := range samplesOf(t, samples) {
				got[s.Measure] = s.Values[0]
			}
			if got["m-unanswered"] != tt.unanswered || got["m-wall"] <= 0 || len(got) != 3 {
				t.Errorf("got %v, want %v unanswered", got, tt.unanswered)
			}
		})
	}
}
