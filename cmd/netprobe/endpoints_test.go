package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"netprobe/ports"
)

// Endpoints keep the name the user wrote, each with its port.
func TestParseEndpoints(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string // name=address or lookup|port
	}{
		{"192.0.2.1:443", "192.0.2.1:443=192.0.2.1|443"},
		{"example.com:https", "example.com:https=example.com|443"},
		{"192.0.2.1:22 b:80", "192.0.2.1:22=192.0.2.1|22 b:80=b|80"},
		{"[2001:db8::1]:443", "[2001:db8::1]:443=2001:db8::1|443"},
		{"192.0.2.1 22 80", "192.0.2.1:22=192.0.2.1|22 192.0.2.1:80=192.0.2.1|80"},
		{"2001:db8::1 443", "[2001:db8::1]:443=2001:db8::1|443"},
		{"[2001:db8::1] 443", "[2001:db8::1]:443=2001:db8::1|443"},
		{"a:22,https,8000-8002,22", "a:22=a|22 a:https=a|443 a:8000=a|8000 a:8001=a|8001 a:8002=a|8002"},
		{"a 22,80 443", "a:22=a|22 a:80=a|80 a:443=a|443"},
		{"bücher.example:80", "bücher.example:80=xn--bcher-kva.example|80"},
		{"a:443/tcp,HTTPS", "a:443=a|443"},
		{"a:65534-", "a:65534=a|65534 a:65535=a|65535"},
		{"a:@mqtt", "!"},
		{"a @web", strconv.Itoa(len(ports.Groups()[slices.IndexFunc(ports.Groups(), func(g ports.Group) bool { return g.Name == "web" })].Of(ports.TCP)))},
		{"a:top:1,22", "a:443=a|443 a:22=a|22"},
		{"a top:1 t:22", "a:443=a|443 a:22=a|22"},
		{"2001:db8::a:443", "!"}, // that is an address, too
		{"a:1-1024", "1024"},
		{"443 443", "!"}, // no host is a number
	} {
		t.Run(tt.args, func(t *testing.T) {
			f := &tcpFlags{}
			hosts, err := f.parseEndpoints(&cobra.Command{Use: "tcp"}, ports.TCP, strings.Fields(tt.args))
			if tt.want == "!" {
				if err == nil {
					t.Errorf("got %v", hosts)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err := strconv.Atoi(tt.want); err == nil {
				if len(hosts) != n {
					t.Errorf("%d endpoints, want %d", len(hosts), n)
				}
				return
			}
			var got []string
			for _, h := range hosts {
				at := h.Lookup
				if h.Addr.IsValid() {
					at = h.Addr.String()
				}
				got = append(got, fmt.Sprintf("%s=%s|%d", h.Name, at, h.Port))
			}
			if want := strings.Fields(tt.want); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// What is wrong with endpoints and flags of tcp is found before any socket is opened.
func TestTCPUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		line string // the error
		hint string // part of the hints
	}{
		{"nothing", []string{"tcp"}, "tcp needs a host and a port", "netprobe tcp 192.0.2.1:443"},
		{"no port", []string{"tcp", "a"}, `"a" has no port`, "a:443, or with a service: a:https"},
		{"no port, IPv6", []string{"tcp", "2001:db8::1"}, `"2001:db8::1" has no port`, "[2001:db8::1]:443"},
		{"bad host, no port", []string{"tcp", "1.2.3"}, `"1.2.3": not an IP address`, "a host is"},
		{"no host", []string{"tcp", ":443"}, `"": not a host name: empty`, "a host is"},
		{"empty port", []string{"tcp", "a:"}, `"a:": no ports given`, "services (https)"},
		{"empty item", []string{"tcp", "a:22,,80"}, `"a:22,,80": an item of the list of ports is empty`, "22,80"},
		{"port 0", []string{"tcp", "a:0"}, `"a:0": port 0 is reserved and cannot be probed`, "from 1 to 65535"},
		{"port too large", []string{"tcp", "a", "65536"}, `"65536": port 65536 is out of range`, "from 1 to 65535"},
		{"no service", []string{"tcp", "a:nosuch"}, `"a:nosuch": unknown service "nosuch"`, "services (https)"},
		{"mistyped service", []string{"tcp", "a:htps"}, `"a:htps": unknown service "htps"`, "did you mean https?"},
		{"no group", []string{"tcp", "a:@wep"}, `"a:@wep": unknown group "@wep"`, "did you mean @web?"},
		{"control characters in a port", []string{"tcp", "a:\x1b[2J"}, `"a:\x1b[2J": unknown service "\x1b[2J"`, ""},
		{"range upside down", []string{"tcp", "a:90-80"}, `"a:90-80": the range 90-80 runs backwards`, "80-90"},
		{"too many", []string{"tcp", "a:1-1025"}, `"a:1-1025": more than 1024 ports`, `netprobe scan HOST -p "1-1025"`},
		{"all", []string{"tcp", "a", "22", "-"}, `"-": more than 1024 ports`, "netprobe scan"},
		{"other transport", []string{"tcp", "a", "53/udp"}, `"53/udp": 53/udp is a port of udp`, "netprobe udp"},
		{"port after HOST:PORT", []string{"tcp", "a:80", "443"}, `"443" has no port, and "a:80" has one`, "a:80,443, or a 80 443"},
		{"host after HOST:PORT", []string{"tcp", "a:80", "b.example"}, `"b.example" has no port, and "a:80" has one`, "b.example:443"},
		{"HOST:PORT after a host", []string{"tcp", "a", "b:80"}, `"b:80" has a port, and "a" has none`, "a:443 b:80"},
		{"URL", []string{"tcp", "https://example.com/"}, `"https://example.com/" is a URL`, "example.com:443"},
		{"other family", []string{"tcp", "-6", "127.0.0.1:80"}, `"127.0.0.1" is an IPv4 address in a run with IPv6 only`, "leave out -6"},
		{"letter of nc", []string{"tcp", "-z", "a:80"}, `unknown flag "-z"`, "always so"},
		{"letter of tcping", []string{"tcp", "-j", "a:80"}, `unknown flag "-j"`, "--json"},
		{"mistyped flag", []string{"tcp", "--wiat", "1", "a:80"}, `unknown flag "--wiat"`, "did you mean --wait?"},
		{"two waits", []string{"tcp", "--wait", "1", "--until", "up", "a:80"}, "--wait and --until contradict each other", "all targets"},
		{"two ends", []string{"tcp", "--wait", "1", "-w", "2", "a:80"}, "--wait and --deadline contradict each other", "its own"},
		{"two codepoints", []string{"tcp", "-Q", "1", "--dscp", "ef", "a:80"}, "--tos and --dscp contradict each other", "upper six bits"},
		{"condition", []string{"tcp", "--fail-if", "retran>0", "a:80"}, `invalid value "retran>0" for --fail-if`, "retrans"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkUsage(t, tt.args, tt.line, tt.hint) })
	}
}
