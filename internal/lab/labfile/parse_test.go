package labfile

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netprobe/internal/lab"
)

// everything is a file with every key.
const everything = `
about: all there is
seed: 42
prober: {name: me.lab, addr: [192.0.2.7, 2001:db8::7]}
hops:
  - name: one.lab
    addr: [192.0.2.254, 2001:db8::fe]
    delay: 1ms
    jitter: 2ms
    loss: 5%
    duplicate: 0.25
    corrupt: 1%
    reorder: 2%
    reorder-delay: 30ms
    mtu: 1492
    blackhole: true
    back: {loss: 10%, delay: 3ms}
    slow: 4ms
    limit: 1/s burst 6
    ttl: 64
    mpls: [16, {label: 17, tc: 3, ttl: 9}]
    interface: {role: outgoing, index: 3, name: ge-0/0/1, addr: 192.0.2.253, mtu: 9000}
    dscp: 46
    nat: {addr: 198.51.100.1, keep-port: true, leave: [addr, port, sum]}
    quote: {transport: 8, broken-sum: true, no-length: true}
  - delay: 5ms
    balance: packet
    ways:
      - [{addr: 198.51.100.10}]
      - - addr: 198.51.100.20
        - {addr: 198.51.100.21, delay: 6ms}
      - []
  - {silent: true, delay: 7ms}
  - addr: 198.51.100.30
    error: host-unreachable
    for: [203.0.113.128/25]
    drop: {proto: [icmp, tcp, udp], except: 443}
hosts:
  - name: server.lab
    addr: [203.0.113.10, 2001:db8:113::10]
    delay: 8ms
    slow: 9ms
    ttl: 128
    tcp: [22, 80]
    udp: 53
    drop: icmp
    limit: 0.5/s
    error: port-unreachable
    quote: {transport: 16}
  - addr: 203.0.113.128/25
    silent: true
`

func TestParse(t *testing.T) {
	f, err := Parse("all", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	one := lab.Link{
		Delay: time.Millisecond, Jitter: 2 * time.Millisecond, Loss: .05, Duplicate: .25, Corrupt: .01,
		Reorder: .02, ReorderDelay: 30 * time.Millisecond, MTU: 1492, BlackHole: true,
	}
	back := one
	back.Loss, back.Delay = .1, 3*time.Millisecond
	link := func(ms int) lab.Link { return lab.Link{Delay: time.Duration(ms) * time.Millisecond} }
	want := &File{
		Name: "all", About: "all there is", Targets: []string{"server.lab"},
		Topology: lab.Topology{
			Seed: 42, Prober: lab.Addrs("192.0.2.7", "2001:db8::7"), Out: one, Back: back,
			Hops: []lab.Hop{{
				Addrs: lab.Addrs("192.0.2.254", "2001:db8::fe"), Out: link(5), Back: link(5),
				Delay: 4 * time.Millisecond, RateLimit: lab.RateLimit{PerSecond: 1, Burst: 6}, TTL: 64,
				MPLS:       []lab.Label{{Label: 16, TTL: 1}, {Label: 17, TC: 3, TTL: 9, Bottom: true}},
				Interfaces: []lab.Interface{{Role: 2, Index: 3, Name: "ge-0/0/1", Addr: netip.MustParseAddr("192.0.2.253"), MTU: 9000}},
				TOS:        new(uint8(46 << 2)),
				NAT:        &lab.NAT{Addrs: lab.Addrs("198.51.100.1"), KeepPort: true, LeaveAddr: true, LeavePort: true, LeaveSum: true},
				Quote:      lab.Quote{Transport: 8, BrokenSum: true, NoLength: true},
			}, {
				PerPacket: true,
				Ways: [][]lab.Hop{
					{{Addrs: lab.Addrs("198.51.100.10"), Out: link(7), Back: link(7)}},
					{
						{Addrs: lab.Addrs("198.51.100.20"), Out: link(6), Back: link(6)},
						{Addrs: lab.Addrs("198.51.100.21"), Out: link(7), Back: link(7)},
					},
					{},
				},
			}, {
				Silent: true,
			}, {
				Addrs: lab.Addrs("198.51.100.30"), Error: lab.HostUnreachable, ErrorFor: lab.At("203.0.113.128/25"),
				Drop: lab.Filter{ICMP: true, TCP: true, UDP: true, Except: []uint16{443}},
			}},
			Hosts: []lab.Host{{
				At: lab.At("203.0.113.10", "2001:db8:113::10"), Out: link(8), Back: link(8), Delay: 9 * time.Millisecond,
				TTL: 128, TCP: []uint16{22, 80}, UDP: []uint16{53}, Drop: lab.Filter{ICMP: true},
				RateLimit: lab.RateLimit{PerSecond: .5, Burst: 1}, Error: lab.PortUnreachable, Quote: lab.Quote{Transport: 16},
			}, {
				At: lab.At("203.0.113.128/25"), Silent: true,
			}},
			Names: map[netip.Addr]string{
				netip.MustParseAddr("192.0.2.7"): "me.lab", netip.MustParseAddr("2001:db8::7"): "me.lab",
				netip.MustParseAddr("192.0.2.254"): "one.lab", netip.MustParseAddr("2001:db8::fe"): "one.lab",
				netip.MustParseAddr("203.0.113.10"): "server.lab", netip.MustParseAddr("2001:db8:113::10"): "server.lab",
			},
		},
	}
	addr := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if d := cmp.Diff(want, f, addr, prefix); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, want := f.Path(), (Path{4, 6, 39 * time.Millisecond, 65 * time.Millisecond}); got != want {
		t.Errorf("Path() = %+v, want %+v", got, want)
	}
}

const host = "\nhosts: [{addr: 203.0.113.10}]"

// Every mistake has its line.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ name, file, want, hint string }{
		{"empty", "", "f: empty", "netprobe lab --show isp"},
		{"comments only", "# nothing\n", "f: empty", "netprobe lab --show isp"},
		{"a list", "- 1", "f:1:1: a map of keys and values is needed, not a list", ""},
		{"not YAML", "hops:\n  - [", "f:2: not YAML: ", ""},
		{"two documents", "about: x" + host + "\n---\nabout: y\n", "f:3:1: a second document in the file", ""},
		{"unknown key", "abuot: x", `f:1:1: unknown key "abuot"`, "did you mean about?"},
		{"unknown key of a hop", "hops:\n  - adr: 192.0.2.1", `f:2:5: unknown key "adr"`, "did you mean addr?"},
		{"strange key", "zzzzz: x", `f:1:1: unknown key "zzzzz"`, "known here: about, hops, hosts, prober, seed"},
		{"key twice", "about: x\nabout: y", "f:2:1: about is there twice", ""},
		{"key without a value", "hops:\n  - addr:\n", "f:2:5: addr has no value", ""},
		{"no hosts", "about: x", "f:1:1: no hosts", "as in hosts:"},
		{"empty hosts", "hosts: []", "f:1:1: no hosts", ""},
		{"anchor", "about: &a x", "f:1:8: one value is needed, not an anchor", ""},
		{"alias", "about: &a x\nseed: *a", "f:1:8: one value is needed, not an anchor", ""},
		{"merge", "prober: {<<: {addr: 192.0.2.1}}", "f:1:10: an anchor", ""},
		{"tag", "seed: !!str 3", "f:1:7: one value is needed, not an anchor", ""},
		{"address", "prober: {addr: 192.0.2.256}", `f:1:16: the address of one host is needed, as in 192.0.2.1 or 2001:db8::1, not "192.0.2.256"`, ""},
		{"two of a family", "prober: {addr: [192.0.2.1, 192.0.2.2]}", "f:1:28: 192.0.2.1 and 192.0.2.2: one address per family", ""},
		{"multicast", "hops: [{addr: 224.0.0.1}]", "f:1:15: the address of one host is needed", ""},
		{"zone", "hops: [{addr: 'fe80::1%eth0'}]", "f:1:15: the address of one host is needed", ""},
		{"duration without a unit", "hops: [{addr: 192.0.2.1, delay: 20}]", `f:1:33: a duration from 0 to 1m0s is needed, as in 20ms or 1.5s, not "20"`, ""},
		{"long duration", "hops: [{addr: 192.0.2.1, delay: 2m}]", "f:1:33: a duration", ""},
		{"negative duration", "hops: [{addr: 192.0.2.1, delay: -2ms}]", "f:1:33: a duration", ""},
		{"share", "hops: [{addr: 192.0.2.1, loss: 101%}]", `f:1:32: a share from 0% to 100% is needed, as in 5% or 0.05, not "101%"`, ""},
		{"percent as a number", "hops: [{addr: 192.0.2.1, loss: 5}]", "f:1:32: a share", ""},
		{"no number", "hops: [{addr: 192.0.2.1, loss: .nan}]", "f:1:32: a share", ""},
		{"limit", "hops: [{addr: 192.0.2.1, limit: 3}]", `f:1:33: a rate is needed, as in "1/s burst 6", not "3"`, ""},
		{"burst of a limit", "hops: [{addr: 192.0.2.1, limit: 1/s burst many}]", "f:1:33: a rate", ""},
		{"truth", "hops: [{silent: perhaps}]", `f:1:17: true or false is needed, not "perhaps"`, ""},
		{"label", "hops: [{addr: 192.0.2.1, mpls: 1048576}]", "f:1:32: a number from 0 to 1048575 is needed", ""},
		{"port", "hosts: [{addr: 192.0.2.1, tcp: [http]}]", `f:1:33: a number from 1 to 65535 is needed, not "http"`, ""},
		{"role", "hops: [{addr: 192.0.2.1, interface: {role: in}}]", `f:1:44: unknown word "in"`, "known here: incoming, next-hop, outgoing, sub-ip"},
		{"leave", "hops: [{addr: 192.0.2.1, nat: {leave: all}}]", `f:1:39: unknown word "all"`, "known here: addr, port, sum"},
		{"error", "hops: [{addr: 192.0.2.1, error: gone}]", `f:1:33: unknown word "gone"`, "host-unreachable"},
		{"for without error", "hops: [{addr: 192.0.2.1, for: 192.0.2.0/24}]", "f:1:8: for goes with error", ""},
		{"prefix", "hosts: [{addr: 192.0.2.1/24}]", "f:1:16: 192.0.2.1/24 has bits set behind its length; 192.0.2.0/24 is meant", ""},
		{"hop without an address", "hops: [{delay: 1ms}]", "f:1:8: a hop without an address", "silent: true"},
		{"host without an address", "hosts: [{name: a.lab}]", "f:1:9: a host without addr", ""},
		{"name of prefixes", "hosts: [{name: a.lab, addr: 192.0.2.0/24}]", "f:1:9: a.lab has no address of its own, only prefixes", ""},
		{"name", "hosts: [{name: A.lab, addr: 192.0.2.9}]", "f:1:16: a host name in lower-case letters is needed", ""},
		{"control characters in a name", `hosts: [{name: "a\eb", addr: 192.0.2.9}]`, `f:1:16: a host name in lower-case letters is needed, as in server.lab, not "a\x1bb"`, ""},
		{"control characters in about", `about: "\e[2J"`, "f:1:8: a text of one line", ""},
		{"two names", "hops: [{name: a.lab, addr: 192.0.2.9}]\nhosts: [{name: b.lab, addr: 192.0.2.9}]", "f:2:9: 192.0.2.9 is a.lab already", ""},
		{"router and ways", "hops: [{addr: 192.0.2.1, ways: [[]]}]", "f:1:15: a section of ways is no router", ""},
		{"balance without ways", "hops: [{addr: 192.0.2.1, balance: flow}]", "f:1:35: balance goes with ways", ""},
		{"no ways", "hops: [{ways: []}]", "f:1:15: no ways", ""},
		{"link of a way", "hops: [{ways: [[{addr: 192.0.2.1, delay: 1ms}]]}]", "f:1:42: the first hop of a way has no link of its own", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.file))
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if !strings.HasPrefix(e.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("got  %s (%s)\nwant %s (%s)", e, e.Hint, tt.want, tt.hint)
			}
			if strings.ContainsFunc(e.Error()+e.Hint, func(r rune) bool { return r < ' ' }) {
				t.Errorf("control character in %q", e.Error()+e.Hint)
			}
		})
	}
}

// What is too large or too deep is refused before it is parsed.
func TestParseBounds(t *testing.T) {
	for name, file := range map[string]string{
		"large":       strings.Repeat("#", MaxSize+1),
		"brackets":    "hops: " + strings.Repeat("[", 1000),
		"braces":      strings.Repeat("{a: ", 1000),
		"indentation": strings.Repeat("- ", 1000),
		"hops":        "hops: [" + strings.Repeat("{silent: true},", maxHops+1) + "]" + host,
	} {
		if _, err := Parse("f", []byte(file)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range List() {
		source, _ := Source(name)
		f.Add(source)
	}
	f.Add([]byte(everything))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f", data)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if p := file.Path(); p.Least < 1 || p.Most < p.Least || p.Slowest < p.Fastest {
			t.Errorf("Path() = %+v", p)
		}
		file.Topology.Memory().Close() // panics if it is not valid
	})
}
