package main

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever is wrong with a command line is found before any socket is opened:
// exit code 2, one line that starts with our name, and a hint.
func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		line string // the error
		hint string // part of the hints
	}{
		{"mistyped verb", []string{"pnig", "localhost"}, `"pnig" is not a verb`, "did you mean netprobe ping?"},
		{"bare host", []string{"example.com"}, `"example.com" is not a verb`, "netprobe ping example.com"},
		{"bare address", []string{"192.0.2.1"}, `"192.0.2.1" is not a verb`, "netprobe ping 192.0.2.1"},
		{"neither", []string{"a\x1b[2J"}, `"a\x1b[2J" is not a verb`, "verbs: "},
		{"flag before the verb", []string{"-c", "3", "localhost"}, `unknown flag "-c"`, "a verb comes first"},
		{"mistyped flag", []string{"ping", "--intervall", "1", "x"}, `unknown flag "--intervall"`, "did you mean --interval?"},
		{"abbreviated flag", []string{"ping", "--adapt", "x"}, `unknown flag "--adapt"`, "did you mean --adaptive?"},
		{"unknown letter", []string{"ping", "-z", "x"}, `unknown flag "-z"`, "netprobe help ping"},
		{"letter of ping", []string{"ping", "-m", "7", "x"}, `unknown flag "-m"`, "--mark"},
		{"control characters in a flag", []string{"ping", "--a\x1b[2J", "x"}, `unknown flag "--a\x1b[2J"`, "netprobe help ping"},
		{"flag without a name", []string{"ping", "--=3", "x"}, `bad flag "--=3"`, "netprobe help ping"},
		{"flag without its value", []string{"ping", "x", "-c"}, "--count needs a value", "--count N: probes per target"},
		{"value of a switch", []string{"ping", "--json=yes please", "x"}, `invalid value "yes please" for --json`, "no value"},

		{"no host", []string{"ping"}, "ping needs a host", "netprobe ping 192.0.2.1"},
		{"empty host", []string{"ping", ""}, `"": not a host name: empty`, "a host is a name"},
		{"number too large", []string{"ping", "256.1.1.1"}, `"256.1.1.1": not an IP address`, "as in 192.0.2.1"},
		{"control characters in a host", []string{"ping", "a\x1b]0;b\x07"}, `"a\x1b]0;b\a": not a host name: character '\x1b'`, ""},
		{"direction override in a host", []string{"ping", "a\u202eb"}, `"a\u202eb": not a host name: not allowed in an internationalized name`, ""},
		{"second host bad", []string{"ping", "127.0.0.1", "1.2.3"}, `"1.2.3": not an IP address`, ""},
		{"host with a port", []string{"ping", "example.com:80"}, `"example.com:80": not a host name: character ':'`, "without a port"},
		{"URL", []string{"ping", "https://example.com/"}, `"https://example.com/": not a host name: character ':'`, "without scheme"},
		{"multicast", []string{"ping", "224.0.0.1"}, `"224.0.0.1": not the address of one host: multicast`, "one host"},
		{"broadcast", []string{"ping", "255.255.255.255"}, `"255.255.255.255": not the address of one host: broadcast`, "one host"},
		{"unknown zone", []string{"ping", "fe80::1%nosuch0"}, `no interface "nosuch0" in "fe80::1%nosuch0"`, "interfaces here: "},
		{"no zone", []string{"ping", "fe80::1"}, `"fe80::1" is on every link`, "fe80::1%eth0"},
		{"other family", []string{"ping", "-6", "127.0.0.1"}, `"127.0.0.1" is an IPv4 address in a run with IPv6 only`, "leave out -6"},
		{"source of the other family", []string{"ping", "-S", "::1", "127.0.0.1"}, `"127.0.0.1" is an IPv4 address in a run with IPv6 only`, "source"},
		{"source against -4", []string{"ping", "-4", "-S", "::1", "x"}, "--source ::1 is IPv6, and -4 was given", "family"},

		{"no probes", []string{"ping", "-c", "0", "x"}, `invalid value "0" for --count`, "from 1"},
		{"negative interval", []string{"ping", "-i", "-1", "x"}, `invalid value "-1" for --interval`, "a duration from"},
		{"endless interval", []string{"ping", "-i", "9999999h", "x"}, `invalid value "9999999h" for --interval`, "8760h"},
		{"no number", []string{"ping", "-i", "NaN", "x"}, `invalid value "NaN" for --interval`, "a duration from"},
		{"negative size", []string{"ping", "-s", "-1", "x"}, `invalid value "-1" for --size`, "from 0 to 65527"},
		{"size beyond IP", []string{"ping", "-s", "65528", "x"}, `invalid value "65528" for --size`, "from 0 to 65527"},
		{"size beyond IPv4", []string{"ping", "-s", "65508", "127.0.0.1"}, "65508 bytes do not fit into an IPv4 packet", "65507"},
		{"sweep beyond IPv4", []string{"ping", "--sweep-sizes", "0-65508", "-4", "x"}, "65508 bytes do not fit into an IPv4 packet", "65507"},
		{"TTL 0", []string{"ping", "-t", "0", "x"}, `invalid value "0" for --ttl`, "from 1 to 255"},
		{"TOS", []string{"ping", "-Q", "256", "x"}, `invalid value "256" for --tos`, "from 0 to 255"},
		{"codepoint", []string{"ping", "--dscp", "af14", "x"}, `invalid value "af14" for --dscp`, "did you mean af11?"},
		{"pattern", []string{"ping", "--pattern", "xyz", "x"}, `invalid value "xyz" for --pattern`, "hexadecimal"},
		{"format", []string{"ping", "-o", "jsn", "x"}, `invalid value "jsn" for --output`, "did you mean json?"},
		{"condition", []string{"ping", "--fail-if", "los>2%", "x"}, `invalid value "los>2%" for --fail-if`, "loss"},
		{"until when", []string{"ping", "--until", "ready", "x"}, `invalid value "ready" for --until`, "one of up, down"},
		{"interface", []string{"ping", "-I", "nosuch0", "x"}, `no interface "nosuch0"`, "interfaces here: "},
		{"interface by address", []string{"ping", "-I", "127.0.0.1", "x"}, `--interface "127.0.0.1" is an address`, "-S"},
		{"source by name", []string{"ping", "-S", "lo", "x"}, `invalid value "lo" for --source`, "-I"},
		{"interface of an unset variable", []string{"ping", "-I", "", "x"}, `invalid value "" for --interface`, "interface"},
		{"file of an unset variable", []string{"ping", "--out", "", "x"}, `invalid value "" for --out`, "file"},
		{"source of an unset variable", []string{"ping", "-S", "", "x"}, `invalid value "" for --source`, "address"},
		{"condition of an unset variable", []string{"ping", "--fail-if=", "x"}, `invalid value "" for --fail-if`, "loss>2%"},
		{"pattern of an unset variable", []string{"ping", "--pattern", "", "x"}, `invalid value "" for --pattern`, "hexadecimal"},
		{"codepoint of an unset variable", []string{"ping", "--dscp", "", "x"}, `invalid value "" for --dscp`, "ef"},

		{"both families", []string{"ping", "-4", "-6", "x"}, "--ipv4 and --ipv6 contradict each other", "neither"},
		{"two formats", []string{"ping", "--json", "-o", "csv", "x"}, "--json and -o csv contradict each other", "--out"},
		{"two paces", []string{"ping", "-A", "-f", "x"}, "--adaptive and --flood contradict each other", "-A"},
		{"two searches", []string{"ping", "--mtu", "--sweep-sizes", "1-2", "x"}, "--mtu and --sweep-sizes contradict each other", "sizes"},
		{"flood at an interval", []string{"ping", "-f", "-i", "1", "x"}, "--flood and --interval contradict each other", "-A"},
		{"MTU of a size", []string{"ping", "--mtu", "-s", "1", "x"}, "--mtu and --size contradict each other", "sizes"},
		{"following all addresses", []string{"ping", "--all-addresses", "--re-resolve", "60", "x"}, "--all-addresses and --re-resolve contradict each other", "one of them"},

		{"help for nothing", []string{"help", "pnig"}, `"pnig" is not a verb`, "netprobe ping"},
		{"version of what", []string{"version", "2"}, `version takes no arguments, got "2"`, "netprobe help version"},
		{"completion for nothing", []string{"completion", "tcsh"}, `no completion for "tcsh"`, "one of bash"},
		{"completion for nobody", []string{"completion"}, "completion needs the name of one shell", "bash"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkUsage(t, tt.args, tt.line, tt.hint)
		})
	}
}

// checkUsage runs a command line that must be refused with that line and, in the
// hints, with hint.
func checkUsage(t *testing.T, args []string, want, hint string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	if stdout.Len() > 0 {
		t.Errorf("stdout: %q", stdout.String())
	}
	line, hints, _ := strings.Cut(stderr.String(), "\n")
	if line != "netprobe: "+want {
		t.Errorf("got  %s\nwant netprobe: %s", line, want)
	}
	if !strings.HasPrefix(hints, "hint: ") || !strings.Contains(hints, hint) {
		t.Errorf("hints %q, want %q in them", hints, hint)
	}
	for _, r := range stderr.String() {
		if r < ' ' && r != '\n' || r == '\u202e' {
			t.Errorf("control character in %q", stderr.String())
		}
	}
}

// Ten thousand targets, and one of them wrong, is found at once too.
func TestUsageManyTargets(t *testing.T) {
	args := []string{"ping"}
	for range 10_000 {
		args = append(args, "www.example.com")
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append(args, "1.2.3"), nil, &stdout, &stderr); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}

// Without anything to do it says what it can do; that is no success.
func TestNoArguments(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), nil, nil, &stdout, &stderr); code != exitUsage || stdout.Len() > 0 || !strings.Contains(stderr.String(), "Verbs:") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
}
