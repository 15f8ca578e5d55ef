package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// What is wrong with a trace is found before any socket is opened, and what
// other programs call otherwise is named.
func TestTraceUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		line string // the error
		hint string // part of the hints
	}{
		{"no host", nil, "trace needs a host", "netprobe trace 192.0.2.1"},
		{"mistyped flag", []string{"--max-hop", "3", "x"}, `unknown flag "--max-hop"`, "did you mean --max-hops?"},
		{"unknown letter", []string{"-Z", "x"}, `unknown flag "-Z"`, "netprobe help trace"},
		{"no TTL", []string{"-m", "0", "x"}, `invalid value "0" for --max-hops`, "from 1 to 255"},
		{"TTL beyond", []string{"-m", "256", "x"}, `invalid value "256" for --max-hops`, "from 1 to 255"},
		{"empty range", []string{"--first-hop", "9", "-m", "8", "x"}, "--first-hop 9 is beyond --max-hops 8", "first TTL"},
		{"beyond the default", []string{"--first-hop", "31", "x"}, "--first-hop 31 is beyond --max-hops 30", "last one"},
		{"too many probes", []string{"-c", "1001", "x"}, "--count 1001 is more than 1000 probes per hop", "--monitor"},
		{"flow too high", []string{"--flow", "65536", "x"}, `invalid value "65536" for --flow`, "from 0 to 65535"},
		{"no room for flows", []string{"--paths", "--flow", "65000", "x"}, "--flow 65000 leaves --paths no room", "64512"},
		{"packet too small", []string{"-s", "20", "x"}, `invalid value "20" for --size`, "from 40 to 65535"},
		{"confidence", []string{"--paths", "--confidence", "100", "x"}, `invalid value "100" for --confidence`, "from 50 to 99.9"},
		{"confidence of nothing", []string{"--confidence", "99", "x"}, "--confidence without --paths", "--paths"},
		{"probes for nobody", []string{"--probes", "x"}, "--probes without records", "--json"},
		{"format", []string{"-o", "dit", "x"}, `invalid value "dit" for --output`, "did you mean dot?"},
		{"format of ping", []string{"-o", "fping", "x"}, `invalid value "fping" for --output`, "plain"},
		{"unknown protocol", []string{"-P", "upd", "x"}, `invalid value "upd" for --proto`, "did you mean udp?"},
		{"protocol by number", []string{"-P", "443", "x"}, `invalid value "443" for --proto`, "--port"},
		{"port of icmp", []string{"-P", "icmp:80", "x"}, `invalid value "icmp:80" for --proto`, "udp and tcp"},
		{"port 0", []string{"-P", "tcp:0", "x"}, `invalid value "tcp:0" for --proto`, "from 1 to 65535"},
		{"port without protocol", []string{"--port", "443", "x"}, "--port 443, but icmp has no ports", "-P tcp:443"},
		{"two ports", []string{"-P", "tcp:443", "--port", "80", "x"}, "--proto tcp:443 and --port 80 contradict each other", "once"},
		{"tcp without privileges", []string{"-P", "tcp", "--socket", "dgram", "x"}, "--socket dgram cannot send tcp", "-P udp"},

		{"MTU of a size", []string{"--mtu", "-s", "100", "x"}, "--mtu and --size contradict each other", "sizes"},
		{"all paths for ever", []string{"--monitor", "--paths", "x"}, "--monitor and --paths contradict each other", "once"},
		{"MTU for ever", []string{"--monitor", "--mtu", "x"}, "--monitor and --mtu contradict each other", "goes on"},
		{"verdict for ever", []string{"--monitor", "--verdict", "x"}, "--monitor and --verdict contradict each other", "as it is"},
		{"drawing for ever", []string{"--monitor", "-o", "dot", "x"}, "--monitor has no drawing", "table"},
		{"both families", []string{"-4", "-6", "x"}, "--ipv4 and --ipv6 contradict each other", "neither"},

		{"habit: ICMP", []string{"-I", "example.com"}, `no interface "example.com"`, "-P icmp"},
		{"habit: TCP", []string{"-T", "x"}, `unknown flag "-T"`, "-P tcp"},
		{"habit: UDP", []string{"-U", "x"}, `unknown flag "-U"`, "-P udp"},
		{"habit: port", []string{"-p", "443", "x"}, `unknown flag "-p"`, "--port"},
		{"habit: first TTL", []string{"-f", "3", "x"}, `unknown flag "-f"`, "--first-hop"},
		{"habit: at once", []string{"-N", "64", "x"}, `unknown flag "-N"`, "not needed"},
		{"habit: AS numbers", []string{"-A", "x"}, `unknown flag "-A"`, "AS numbers"},
		{"habit: pause", []string{"-z", "10", "x"}, `unknown flag "-z"`, "-i"},
		{"habit: TOS", []string{"-t", "16", "x"}, `unknown flag "-t"`, "-Q"},
		{"habit: queries", []string{"-q", "1", "x"}, `"1": not an IP address`, "-q is quiet here; probes per hop are -c 1"},
		{"habit: queries in one word", []string{"-q1", "x"}, `unknown flag "-1"`, "probes per hop are -c 1"},
		{"habit: packet length", []string{"192.0.2.1", "60"}, `"60": not an IP address`, "-s 60"},
		{"habit: source", []string{"-s", "192.0.2.1", "x"}, `invalid value "192.0.2.1" for --size`, "-S"},
		{"habit: interface", []string{"-i", "192.0.2.1", "x"}, `invalid value "192.0.2.1" for --interval`, "-I"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"trace"}, tt.args...), strings.NewReader(""), &stdout, &stderr)
			line, hints, _ := strings.Cut(stderr.String(), "\n")
			if code != exitUsage || stdout.Len() > 0 || line != "netprobe: "+tt.line {
				t.Errorf("exit code %d, stdout %q\ngot  %s\nwant netprobe: %s", code, stdout.String(), line, tt.line)
			}
			if !strings.HasPrefix(hints, "hint: ") || !strings.Contains(hints, tt.hint) {
				t.Errorf("hints %q, want %q in them", hints, tt.hint)
			}
		})
	}
}

// Flags that a trace has no use for are not among its own.
func TestTraceHasNoIdleFlags(t *testing.T) {
	var stdout bytes.Buffer
	if code := run(t.Context(), []string{"help", "trace"}, nil, &stdout, &stdout); code != 0 {
		t.Fatal(stdout.String())
	}
	for _, flag := range []string{"--late", "--until", "--re-resolve", "--adaptive", "--ttl"} {
		if slices.Contains(strings.Fields(stdout.String()), flag) {
			t.Errorf("help has %s", flag)
		}
	}
}

// What the flags say arrives at the engine.
func TestTraceConfig(t *testing.T) {
	f := &traceFlags{}
	cmd := newTrace(nil)
	cmd.ResetFlags()
	f.define(cmd)
	args := strings.Fields("-m 12 --first-hop 2 -c 5 -i 0.2 -W 300ms --rate max --paths --confidence 99 --verdict --mtu -P tcp:443 --flow 4711 --dscp ef -n --socket raw 192.0.2.1 2001:db8::1")
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	s, err := f.session(cmd, cmd.Flags().Args())
	if err != nil {
		t.Fatal(err)
	}
	c := f.config(s.hosts)
	if c.Max != 12 || c.First != 2 || c.Count != 5 || c.Interval.Milliseconds() != 200 || c.Timeout.Milliseconds() != 300 ||
		c.Rate != maxRate || !c.Paths || c.Confidence != 0.99 || !c.Verdict || !c.MTU || c.Monitor || c.Proto != 6 ||
		c.Port != 443 || c.Socket.Flow != 4711 || c.TOS != 46<<2 || c.Socket.Kind != socketKinds["raw"] || len(c.Targets) != 2 {
		t.Errorf("%+v", c)
	}
	if s.reverse || s.planned != -1 || len(f.families(s.hosts)) != 2 {
		t.Errorf("names %v, planned %d", s.reverse, s.planned)
	}
}
