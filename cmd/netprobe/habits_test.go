package main

import (
	"strings"
	"testing"
)

// Who is used to nmap is told how it is spelled here.
func TestHabitsOfScanners(t *testing.T) {
	for _, tt := range []struct{ args, line, hint string }{
		{"-sS", `unknown flag "-sS"`, "--syn"},
		{"-vsU", `unknown flag "-sU"`, "--udp"},
		{"-Pn", `unknown flag "-Pn"`, "always so"},
		{"-PS22,80", `unknown flag "-PS"`, "--alive --ping tcp:PORT"},
		{"-T4", `unknown flag "-T"`, "--rate N"},
		{"-oX out", `invalid value "X" for --output`, "-o nmap-xml"},
		{"-oG -", `invalid value "G" for --output`, "-o grepable"},
		{"-A", `unknown flag "-A"`, "guessed"},
		{"-F", `unknown flag "-F"`, "-p top:100"},
		{"-iL file", `unknown flag "-iL"`, "-f FILE"},
		{"--top-ports 10", `unknown flag "--top-ports"`, "-p top:N"},
		{"--max-rate 10", `unknown flag "--max-rate"`, "--rate N"},
		{"-s", `unknown flag "-s"`, "source address is -S"},
		{"-K", `unknown flag "-K"`, "netprobe help scan"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			checkUsage(t, append(append([]string{"scan"}, strings.Fields(tt.args)...), "192.0.2.1"), tt.line, tt.hint)
		})
	}
}

// A habit that is a flag of ours would never be heard of.
func TestHabitsAreNoFlags(t *testing.T) {
	root := newRoot(nil)
	for verb, known := range habits {
		cmd, _, err := root.Find([]string{verb})
		if err != nil || cmd == root {
			t.Fatalf("no verb %s", verb)
		}
		for flag := range known {
			switch f := cmd.Flags().ShorthandLookup(flag[:1]); {
			case len(flag) == 1 && f != nil, len(flag) == 2 && f != nil && f.NoOptDefVal != "":
				t.Errorf("%s: -%s is --%s", verb, flag, f.Name)
			case len(flag) > 2 && cmd.Flags().Lookup(flag) != nil:
				t.Errorf("%s: --%s exists", verb, flag)
			}
		}
	}
}
