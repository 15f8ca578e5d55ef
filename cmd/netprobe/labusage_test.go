package main

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever is wrong with a command line of lab is found before any network is
// built.
func TestLabUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		line string // the error
		hint string // part of the hints
	}{
		{"no network", []string{"lab"}, "lab needs a network", "netprobe lab isp -- netprobe ping server.lab"},
		{"only a command", []string{"lab", "--", "true"}, "lab needs a network", "there are ecmp, "},
		{"unknown network", []string{"lab", "wify", "--", "true"}, `no network "wify"`, "did you mean wifi?"},
		{"control characters in a network", []string{"lab", "a\x1b[2J"}, `no network "a\x1b[2J"`, "there are ecmp, "},
		{"a file", []string{"lab", "./my.yaml", "--", "true"}, `no network "./my.yaml"`, "netprobe lab -t"},
		{"no command, no terminal", []string{"lab", "isp"}, "lab needs a command", "netprobe lab isp -- "},
		{"command without --", []string{"lab", "isp", "ping", "server.lab"}, `the command "ping" has to follow --`, "netprobe lab isp -- ping server.lab"},
		{"network and file", []string{"lab", "-t", "x", "isp", "--", "true"}, `-t and the network "isp": one of them`, ""},
		{"missing file", []string{"lab", "-t", "/nosuch/x", "--", "true"}, "open /nosuch/x: ", "--show"},
		{"a directory", []string{"lab", "-t", ".", "--", "true"}, "read .: ", ""},
		{"list and show", []string{"lab", "--list", "--show", "isp"}, "--list and --show stand alone", ""},
		{"list of a network", []string{"lab", "--list", "isp"}, "--list and --show stand alone", ""},
		{"show nothing", []string{"lab", "--show", ""}, `no network ""`, "there are ecmp, "},
		{"show what is not there", []string{"lab", "--show", "../isp"}, `no network "../isp"`, "there are ecmp, "},
		{"inside by hand", []string{"lab-inside", "true"}, "lab-inside is what netprobe lab starts", "netprobe lab isp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), tt.args, strings.NewReader(""), &stdout, &stderr); code != exitUsage || stdout.Len() > 0 {
				t.Errorf("exit code %d, stdout %q", code, stdout.String())
			}
			line, hints, _ := strings.Cut(stderr.String(), "\n")
			if !strings.HasPrefix(line, "netprobe: "+tt.line) {
				t.Errorf("got  %s\nwant netprobe: %s", line, tt.line)
			}
			if !strings.Contains(hints, tt.hint) {
				t.Errorf("hints %q, want %q in them", hints, tt.hint)
			}
			if strings.ContainsFunc(stderr.String(), func(r rune) bool { return r < ' ' && r != '\n' }) {
				t.Errorf("control character in %q", stderr.String())
			}
		})
	}
}
