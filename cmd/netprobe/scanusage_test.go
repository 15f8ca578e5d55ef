package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever is wrong with a command line of scan is found before any socket is
// opened: exit code 2, one line, and a hint.
func TestScanUsage(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := file("bad", "192.0.2.1\nfoo!bar\n")
	const x = "192.0.2.7"
	for _, tt := range []struct {
		name string
		args []string
		line string // the error
		hint string // part of the hints
	}{
		{"no target", nil, "scan needs a target", "netprobe scan 192.0.2.0/24"},
		{"no target, but ports", []string{"-p", "22"}, "scan needs a target", "help scan"},
		{"port behind a colon", []string{"example.com:443"}, `"example.com:443": not a host name: character ':'`, "-p 443 example.com"},
		{"port apart", []string{x, "22"}, `"22": not an IP address`, "-p 22"},
		{"ports apart", []string{x, "22,80"}, `"22,80": not a host name: character ','`, "-p 22,80"},
		{"bad target", []string{"10.0.0.0/33"}, `"10.0.0.0/33": not a network: prefix length over 32`, "192.0.2.0/24"},
		{"too many", []string{"10.0.0.0/7"}, "10.0.0.0/7 has 33,554,430 addresses, more than 16,777,216", "--max-hosts 33554430 scans them"},
		{"endless", []string{"2001:db8::/32"}, "2001:db8::/32 has 79,228,162,514,264,337,593,543,950,336 addresses, more than 16,777,216", "no scan gets to the end"},
		{"all excluded", []string{"--exclude", x, x}, "nothing to scan: no target is listed, or all are excluded", ""},
		{"line of a file", []string{"-f", bad}, bad + `:2: "foo!bar": not a host name: character '!'`, "a target is"},
		{"control characters", []string{"a\x1b]0;b\x07"}, `"a\x1b]0;b\a": not a host name: character '\x1b'`, "a target is"},

		{"ports without a value", []string{x, "-p"}, "--ports needs a value", "@web"},
		{"ports of an unset variable", []string{"-p", "", x}, `invalid value "" for --ports`, "commas"},
		{"port 0", []string{"-p", "0", x}, "--ports: port 0 is reserved and cannot be probed", "from 1 to 65535"},
		{"port beyond", []string{"-p", "65536", x}, "--ports: port 65536 is out of range", "from 1 to 65535"},
		{"range to beyond", []string{"-p", "65000-70000", x}, "--ports: port 70000 is out of range", "from 1 to 65535"},
		{"reversed range", []string{"-p", "90-80", x}, "--ports: the range 90-80 runs backwards", "80-90"},
		{"mistyped service", []string{"-p", "htps", x}, `--ports: unknown service "htps"`, "https"},
		{"mistyped group", []string{"-p", "@wbe", x}, `--ports: unknown group "@wbe"`, "@web"},
		{"top of none", []string{"-p", "top:0", x}, "--ports: top:0 is not possible: there are 1 to 1000 common tcp ports", "top:1000"},
		{"empty item", []string{"-p", "22,,80", x}, "--ports: an item of the list of ports is empty", "22,80"},
		{"control characters in ports", []string{"-p", "22\x1b[2J", x}, `--ports: unknown service "22\x1b[2J"`, "a list of numbers"},
		{"port of UDP", []string{"-p", "22,u:53", x}, "--ports names ports of UDP, and TCP is asked", "--udp"},

		{"two ways", []string{"--syn", "--connect", x}, "--connect and --syn contradict each other", "one way"},
		{"open and all", []string{"--open", "--all", x}, "--open and --all contradict each other", "every port"},
		{"two ends", []string{"--budget", "1", "-w", "2", x}, "--budget and --deadline contradict each other", "one of them"},
		{"seed of no order", []string{"--ordered", "--seed", "1", x}, "--ordered and --seed contradict each other", "mix"},
		{"expectation of a shard", []string{"--expect", "22", "--shard", "1/2", x}, "--expect and --shard contradict each other", "part"},
		{"expectation of a rest", []string{"--expect", "22", "--resume", "s", x}, "--expect and --resume contradict each other", "earlier run"},
		{"expectation not asked", []string{"--expect", "22,99", "-p", "22", x}, "--expect names port 99/tcp, which is not asked", "-p"},
		{"expectation of UDP", []string{"--expect", "u:53", x}, "--expect names port 53/udp, which is not asked", "-p"},
		{"bad expectation", []string{"--expect", "sshh", x}, `--expect: unknown service "sshh"`, "ssh"},
		{"expectation of an unset variable", []string{"--expect", "", x}, `invalid value "" for --expect`, "none"},
		{"ping without a sweep", []string{"--ping", "icmp", x}, "--ping says how to sweep, and there is no sweep without --alive", "--alive"},
		{"bad ping", []string{"--alive", "--ping", "icmpp", x}, `invalid value "icmpp" for --ping`, "icmp"},
		{"resume of a stream", []string{"--resume", "s", "-f", "-"}, "--resume, but stdin cannot be read again", "-f FILE"},
		{"resume of something else", []string{"--resume", bad, x}, "cannot go on: " + bad + ": not the state of a sweep", "start over"},
		{"rate", []string{"--rate", "0", x}, `invalid value "0" for --rate`, "max"},
		{"retries", []string{"-r", "-1", x}, `invalid value "-1" for --retries`, "from 0"},
		{"timeout", []string{"-W", "0", x}, `invalid value "0" for --timeout`, "a duration"},
		{"budget", []string{"--budget", "soon", x}, `invalid value "soon" for --budget`, "a duration"},
		{"shard", []string{"--shard", "3/2", x}, `invalid value "3/2" for --shard`, "1/4"},
		{"format", []string{"-o", "nmap", x}, `invalid value "nmap" for --output`, "nmap-xml"},
		{"family", []string{"-6", x}, `"192.0.2.7" is IPv4 in a run with IPv6 only`, "leave out -6"},

		{"mistyped verb", nil, `"scna" is not a verb`, "netprobe scan"},
		{"mistyped flag", []string{"--opn", x}, `unknown flag "--opn"`, "--open"},
		{"letter of another program", []string{"-Pn", x}, `unknown flag "-Pn"`, "--alive"},
		{"its word", []string{"--top-ports", "10", x}, `unknown flag "--top-ports"`, "-p top:N"},
		{"its technique", []string{"-sS", x}, `unknown flag "-sS"`, "--syn"},
		{"its pace", []string{"-T4", x}, `unknown flag "-T"`, "--budget"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"scan"}, tt.args...)
			if tt.name == "mistyped verb" {
				args = []string{"scna", x}
			}
			checkUsage(t, args, tt.line, tt.hint)
		})
	}
}
