package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever is wrong with a command line of sweep, or with a file it names, is
// found before any socket is opened.
func TestSweepUsage(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", "192.0.2.1\n")
	bad := file("bad", "192.0.2.1\n192.0.2.2 foo!bar # no name\n")
	names := file("names", "192.0.2.0/28\nwww.example.com\n")
	for _, tt := range []struct {
		name string
		args []string
		line string // the error
		hint string // part of the hints
	}{
		{"no target", nil, "sweep needs a target", "netprobe sweep 192.0.2.0/24"},
		{"prefix length", []string{"10.0.0.0/33"}, `"10.0.0.0/33": not a network: prefix length over 32`, "192.0.2.0/24"},
		{"reversed range", []string{"192.0.2.9-192.0.2.1"}, `"192.0.2.9-192.0.2.1": not a range: ends before it starts`, "192.0.2.1-192.0.2.9"},
		{"IPv6 network too large", []string{"2001:db8::/64"}, "2001:db8::/64 has 18,446,744,073,709,551,616 addresses, more than 16,777,216", "longer prefix"},
		{"IPv4 network too large", []string{"10.0.0.0/7"}, "10.0.0.0/7 has 33,554,430 addresses, more than 16,777,216", "--max-hosts 33554430"},
		{"control characters", []string{"a\x1b]0;b\x07"}, `"a\x1b]0;b\a": not a host name: character '\x1b'`, "a target is"},
		{"URL", []string{"https://example.com/"}, `"https://example.com/": not a network: no address before the slash`, "without scheme"},
		{"port", []string{"example.com:80"}, `"example.com:80": not a host name: character ':'`, "without a port"},
		{"file", []string{good}, `"` + good + `": not a network: no address before the slash`, "-f "},
		{"stdin", []string{"-"}, `"-": not a host name: starts with a hyphen`, "-f -"},
		{"other family", []string{"-4", "2001:db8::/120"}, `"2001:db8::/120" is IPv6 in a run with IPv4 only`, "leave out -4"},
		{"source of the other family", []string{"-S", "::1", "127.0.0.1"}, `"127.0.0.1" is IPv4 in a run with IPv6 only`, "IPv6 source"},
		{"no zone", []string{"fe80::1"}, `"fe80::1": link-local: needs a zone, the interface to leave through, as in fe80::1%eth0 or fe80::%eth0/120`, "-I"},
		{"unknown zone", []string{"fe80::1%nosuch0"}, `no interface "nosuch0" in "fe80::1%nosuch0"`, "interfaces here: "},

		{"line of a file", []string{"-f", bad}, bad + `:2: "foo!bar": not a host name: character '!'`, "a target is"},
		{"name excluded", []string{"--exclude", "www.example.com", "192.0.2.0/24"}, `--exclude: "www.example.com": a name cannot be excluded, only addresses`, "networks"},
		{"name in a file of excludes", []string{"--exclude-file", names, "192.0.2.0/24"}, names + `:2: "www.example.com": a name cannot be excluded, only addresses`, "networks"},
		{"nothing excluded", []string{"--exclude", "192.0.2.1,", "192.0.2.0/24"}, `invalid value "192.0.2.1," for --exclude`, "commas"},
		{"everything excluded", []string{"--exclude", "192.0.2.0/24", "192.0.2.7"}, "nothing to sweep: no target is listed, or all are excluded", ""},

		{"shard", []string{"--shard", "5/4", "x"}, `invalid value "5/4" for --shard`, "1/4"},
		{"no shard", []string{"--shard", "3", "x"}, `invalid value "3" for --shard`, "1/4"},
		{"seed of no order", []string{"--ordered", "--seed", "1", "x"}, "--ordered and --seed contradict each other", "mix"},
		{"resume of a stream", []string{"--resume", "state", "-f", "-"}, "--resume, but stdin cannot be read again", "-f FILE"},
		{"resume of something else", []string{"--resume", good, "192.0.2.1"}, "cannot go on: " + good + ": not the state of a sweep", "start over"},
		{"subnet", []string{"--by", "/33", "192.0.2.0/24"}, "--by /33 is longer than an IPv4 address", "/24,/33"},
		{"subnets", []string{"--by", "24,129", "x"}, `invalid value "24,129" for --by`, "/24,/64"},
		{"both lists", []string{"-a", "-u", "x"}, "--alive and --unreachable contradict each other", "fping"},
		{"list as table", []string{"-a", "-o", "table", "x"}, "-a and -o table contradict each other", "-o fping"},
		{"list as records", []string{"-u", "--json", "x"}, "--unreachable and --json contradict each other", "jq"},
		{"list of all", []string{"-a", "--all", "x"}, "--alive and --all contradict each other", "fping"},

		{"same kind twice", []string{"--ping", "tcp:443,icmp,tcp:https", "x"}, `invalid value "tcp:443,icmp,tcp:https" for --ping`, "tcp:443 is there twice"},
		{"kind without port", []string{"--ping", "icmp,tcp", "x"}, `invalid value "icmp,tcp" for --ping`, "tcp:443"},
		{"port of ICMP", []string{"--ping", "icmp:8", "x"}, `invalid value "icmp:8" for --ping`, "no port"},
		{"unknown kind", []string{"--ping", "imcp", "x"}, `invalid value "imcp" for --ping`, "did you mean icmp?"},
		{"port 0", []string{"--ping", "tcp:0", "x"}, `invalid value "tcp:0" for --ping`, "1 to 65535"},
		{"no kind", []string{"--ping", "", "x"}, `invalid value "" for --ping`, "icmp,tcp:443"},
		{"payload of TCP", []string{"--ping", "tcp:443", "-s", "100", "x"}, "--size is of ICMP probes, and there are none", "icmp,tcp:443"},
		{"payload beyond IPv4", []string{"-s", "65508", "127.0.0.1"}, "65508 bytes do not fit into an IPv4 packet", "65507"},
		{"rate", []string{"--rate", "0", "x"}, `invalid value "0" for --rate`, "max"},
		{"backoff", []string{"--backoff", "0.5", "x"}, `invalid value "0.5" for --backoff`, "from 1 to 10"},
		{"retries", []string{"-r", "11", "x"}, `invalid value "11" for --retries`, "from 0 to 10"},

		{"mistyped flag", []string{"--retrys", "1", "x"}, `unknown flag "--retrys"`, "did you mean --retries?"},
		{"fping -g", []string{"-g", "192.0.2.0/24"}, `unknown flag "-g"`, "not needed"},
		{"fping -C", []string{"-C", "3", "x"}, `unknown flag "-C"`, "netprobe ping"},
		{"fping -i", []string{"-i", "10", "x"}, `unknown flag "-i"`, "--rate"},
		{"fping -t", []string{"-t", "500", "x"}, `invalid value "500" for --ttl`, "-W 500ms"},
		{"fping -s", []string{"-s", "-a", "x"}, `invalid value "-a" for --size`, "summary"},
		{"nmap -sn", []string{"-sn", "x"}, `invalid value "n" for --size`, "without any flag"},
		{"nmap -iL", []string{"-iL", "x"}, `unknown flag "-i"`, "-f"},
		{"nmap -T4", []string{"-T4", "x"}, `unknown flag "-T"`, "adaptive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkUsage(t, append([]string{"sweep"}, tt.args...), tt.line, tt.hint)
		})
	}
}
