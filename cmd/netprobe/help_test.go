package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Help goes to stdout, however it is asked for, and fits a terminal.
func TestHelp(t *testing.T) {
	asks := [][]string{{"help"}, {"--help"}, {"help", "help"}}
	for _, verb := range verbs {
		if verb != "help" {
			asks = append(asks, []string{"help", verb}, []string{verb, "-h"})
		}
	}
	for _, args := range asks {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%q: exit code %d, stderr %q", args, code, stderr.String())
		}
		if !strings.Contains(stdout.String(), "Usage: netprobe") {
			t.Errorf("%q: %s", args, stdout.String())
		}
		for line := range strings.Lines(stdout.String()) {
			if n := utf8.RuneCountInString(line) - 1; n > helpWidth {
				t.Errorf("%q: line of %d: %s", args, n, line)
			}
		}
	}
}

// Every verb is listed, in order, and those that probe have an example.
func TestHelpLists(t *testing.T) {
	var stdout, stderr bytes.Buffer
	run(t.Context(), []string{"help"}, nil, &stdout, &stderr)
	_, list, _ := strings.Cut(stdout.String(), "Verbs:\n")
	list, examples, _ := strings.Cut(list, "\nExamples:\n")
	var listed []string
	for line := range strings.Lines(list) {
		listed = append(listed, strings.Fields(line)[0])
	}
	if !slices.Equal(listed, verbs) {
		t.Errorf("listed %q, want %q", listed, verbs)
	}
	for _, verb := range verbs[:slices.Index(verbs, "version")] {
		if !strings.Contains(examples, "netprobe "+verb+" ") {
			t.Errorf("no example of %s", verb)
		}
	}
}
