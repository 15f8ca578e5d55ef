package output_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/probe"
)

// shown returns the plain lines of one run with a single target.
func shown(t *testing.T, h output.Header, tg *probe.Target, results ...probe.Result) string {
	t.Helper()
	var out bytes.Buffer
	v, err := output.NewView("plain", &out, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := scenario{header: h, target: []*probe.Target{tg}, result: results}
	s.header.Targets = s.target
	if err := s.play(nil, v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What iputils-ping 20221126 printed, and the same Results shown here: up to the
// lines that are ours alone, there is no difference.
func TestPingsOwnLines(t *testing.T) {
	local, local6 := host(0, "127.0.0.1", "127.0.0.1"), host(0, "::1", "::1")
	named, named6 := host(0, "localhost", "127.0.0.1"), host(0, "six.example", "2001:db8::1")
	far, far6 := host(0, "192.0.2.9", "192.0.2.9"), host(0, "2001:db8::9", "2001:db8::9")
	ping := func(tg *probe.Target, seq uint64, us int) probe.Result {
		r := reply(tg, seq, time.Duration(us)*time.Microsecond)
		r.TTL, r.Sent = 64, start.Add(time.Duration(seq-1)*203*time.Millisecond)
		return r
	}
	soon := func(r probe.Result) probe.Result {
		r.Sent = start.Add(time.Duration(r.Seq-1) * 201 * time.Millisecond)
		return r
	}
	for _, tt := range []struct {
		name    string
		header  output.Header
		target  *probe.Target
		results []probe.Result
		want    string
	}{
		{"IPv4", output.Header{Size: 56}, local, []probe.Result{ping(local, 1, 307), ping(local, 2, 44)}, `
PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.
64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.307 ms
64 bytes from 127.0.0.1: icmp_seq=2 ttl=64 time=0.044 ms

--- 127.0.0.1 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 203ms
rtt min/avg/max/mdev = 0.044/0.175/0.307/0.131 ms
`},
		{"IPv6", output.Header{Size: 56}, local6, []probe.Result{ping(local6, 1, 181)}, `
PING ::1(::1) 56 data bytes
64 bytes from ::1: icmp_seq=1 ttl=64 time=0.181 ms

--- ::1 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.181/0.181/0.181/0.000 ms
`},
		{"name", output.Header{Size: 56}, named, []probe.Result{ping(named, 1, 28)}, `
PING localhost (127.0.0.1) 56(84) bytes of data.
64 bytes from localhost (127.0.0.1): icmp_seq=1 ttl=64 time=0.028 ms

--- localhost ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.028/0.028/0.028/0.000 ms
`},
		{"name with -n", output.Header{Size: 56, Numeric: true}, named6, []probe.Result{ping(named6, 1, 18)}, `
PING six.example(2001:db8::1) 56 data bytes
64 bytes from 2001:db8::1: icmp_seq=1 ttl=64 time=0.018 ms

--- six.example ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.018/0.018/0.018/0.000 ms
`},
		{"IPv6 name, interface", output.Header{Size: 56, Source: "2001:db8::1", Interface: "va"}, named6, []probe.Result{ping(named6, 1, 15)}, `
PING six.example(six.example (2001:db8::1)) from 2001:db8::1 va: 56 data bytes
64 bytes from six.example (2001:db8::1): icmp_seq=1 ttl=64 time=0.015 ms

--- six.example ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.015/0.015/0.015/0.000 ms
`},
		{"source address", output.Header{Size: 56, Source: "127.0.0.1"}, host(0, "127.0.0.2", "127.0.0.2"), nil, `
PING 127.0.0.2 (127.0.0.2) from 127.0.0.1 : 56(84) bytes of data.
`},
		{"host unreachable", output.Header{Size: 56}, far, []probe.Result{
			soon(icmpError(far, 1, probe.Unreachable, probe.HostUnreachable, "192.0.2.1", 3, 1)),
			soon(icmpError(far, 2, probe.Unreachable, probe.HostUnreachable, "192.0.2.1", 3, 1)),
		}, `
PING 192.0.2.9 (192.0.2.9) 56(84) bytes of data.
From 192.0.2.1 icmp_seq=1 Destination Host Unreachable
From 192.0.2.1 icmp_seq=2 Destination Host Unreachable

--- 192.0.2.9 ping statistics ---
2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 201ms

`},
		{"address unreachable", output.Header{Size: 56}, far6, []probe.Result{
			soon(icmpError(far6, 1, probe.Unreachable, probe.HostUnreachable, "2001:db8::1", 1, 3)),
		}, `
PING 2001:db8::9(2001:db8::9) 56 data bytes
From 2001:db8::1 icmp_seq=1 Destination unreachable: Address unreachable

--- 2001:db8::9 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms

`},
		{"silence with -O", output.Header{Size: 56}, far, []probe.Result{
			overdue(far, 1), soon(lost(far, 1)), overdue(far, 2), soon(lost(far, 2)),
		}, `
PING 192.0.2.9 (192.0.2.9) 56(84) bytes of data.
no answer yet for icmp_seq=1
no answer yet for icmp_seq=2

--- 192.0.2.9 ping statistics ---
2 packets transmitted, 0 received, 100% packet loss, time 201ms

`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shown(t, tt.header, tt.target, tt.results...)
			if want := strings.TrimPrefix(tt.want, "\n"); !strings.HasPrefix(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// ping's words for each ICMP error, ours where it has none.
func TestICMPErrorWords(t *testing.T) {
	for _, tt := range []struct {
		from      string
		typ, code uint8
		want      string
	}{
		{"192.0.2.1", 3, 0, "Destination Net Unreachable"},
		{"192.0.2.1", 3, 2, "Destination Protocol Unreachable"},
		{"192.0.2.1", 3, 3, "Destination Port Unreachable"},
		{"192.0.2.1", 3, 4, "Frag needed and DF set (mtu = 1400)"},
		{"192.0.2.1", 3, 5, "Source Route Failed"},
		{"192.0.2.1", 3, 6, "Destination Net Unknown"},
		{"192.0.2.1", 3, 7, "Destination Host Unknown"},
		{"192.0.2.1", 3, 8, "Source Host Isolated"},
		{"192.0.2.1", 3, 9, "Destination Net Prohibited"},
		{"192.0.2.1", 3, 10, "Destination Host Prohibited"},
		{"192.0.2.1", 3, 11, "Destination Net Unreachable for Type of Service"},
		{"192.0.2.1", 3, 12, "Destination Host Unreachable for Type of Service"},
		{"192.0.2.1", 3, 13, "Packet filtered"},
		{"192.0.2.1", 3, 14, "Precedence Violation"},
		{"192.0.2.1", 3, 15, "Precedence Cutoff"},
		{"192.0.2.1", 3, 99, "Dest Unreachable, Bad Code: 99"},
		{"192.0.2.1", 4, 0, "Source Quench"},
		{"192.0.2.1", 11, 0, "Time to live exceeded"},
		{"192.0.2.1", 11, 1, "Frag reassembly time exceeded"},
		{"192.0.2.1", 11, 7, "Time exceeded, Bad Code: 7"},
		{"192.0.2.1", 12, 0, "Parameter problem"},
		{"192.0.2.1", 77, 0, "Bad ICMP type: 77"},
		{"2001:db8::1", 1, 0, "Destination unreachable: No route"},
		{"2001:db8::1", 1, 1, "Destination unreachable: Administratively prohibited"},
		{"2001:db8::1", 1, 2, "Destination unreachable: Beyond scope of source address"},
		{"2001:db8::1", 1, 4, "Destination unreachable: Port unreachable"},
		{"2001:db8::1", 1, 5, "Destination unreachable: Source address failed policy"},
		{"2001:db8::1", 1, 6, "Destination unreachable: Reject route"},
		{"2001:db8::1", 1, 99, "Destination unreachable: Unknown code 99"},
		{"2001:db8::1", 2, 0, "Packet too big: mtu=1400"},
		{"2001:db8::1", 3, 0, "Time exceeded: Hop limit"},
		{"2001:db8::1", 3, 1, "Time exceeded: Defragmentation failure"},
		{"2001:db8::1", 4, 0, "Parameter problem: Wrong header field"},
		{"2001:db8::1", 4, 1, "Parameter problem: Unknown header"},
		{"2001:db8::1", 4, 2, "Parameter problem: Unknown option"},
		{"2001:db8::1", 99, 0, "unknown icmp type: 99"},
	} {
		tg := host(0, "target.example", "198.51.100.1")
		r := tooBig(tg, 3, probe.ReasonOther, tt.from, tt.typ, tt.code, 1400)
		want := "\nFrom " + tt.from + " icmp_seq=3 " + tt.want + "\n"
		if got := shown(t, output.Header{}, tg, r); !strings.Contains(got, want) {
			t.Errorf("type %d, code %d: want %q in:\n%s", tt.typ, tt.code, want, got)
		}
	}
}

// SmokePing finds the lines of fping by this expression.
func TestFpingLinesParse(t *testing.T) {
	smokeping := regexp.MustCompile(`^\S+\s+:\s+[-\d\.]`)
	for _, s := range scenarios() {
		out := strings.TrimSuffix(string(show(t, s, look{format: "fping"})), "\n")
		for line := range strings.SplitSeq(out, "\n") {
			if line != "" && !smokeping.MatchString(line) {
				t.Errorf("%s: %q", s.name, line)
			}
		}
	}
}
