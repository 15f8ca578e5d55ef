package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParsePorts(t *testing.T) {
	tests := []struct {
		name, text string
		want       []uint16
		fails      bool
	}{
		{name: "one", text: "22", want: []uint16{22}},
		{name: "several", text: "80,21-23", want: []uint16{80, 21, 22, 23}},
		{name: "the last", text: "65534-65535", want: []uint16{65534, 65535}},
		{name: "none", text: "", fails: true},
		{name: "port 0", text: "0-1", fails: true},
		{name: "too large", text: "65536", fails: true},
		{name: "backwards", text: "2-1", fails: true},
		{name: "name", text: "ssh", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePorts(tt.text)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if !tt.fails && !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseDoors(t *testing.T) {
	d, err := parseDoors([]string{"192.0.2.0/31=22,80", "192.0.2.1,2001:db8::1=443"})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"192.0.2.0:22", "192.0.2.0:80", "192.0.2.1:22", "192.0.2.1:80", "192.0.2.1:443", "[2001:db8::1]:443"} {
		if _, ok := d.open[netip.MustParseAddrPort(at)]; !ok {
			t.Errorf("%s is not open", at)
		}
	}
	if d.missing() != 6 {
		t.Errorf("%d open ports, want 6", d.missing())
	}
	for _, text := range []string{"192.0.2.1", "192.0.2.1=", "=22", "host=22", "10.0.0.0/8=22"} {
		if d, err := parseDoors([]string{text}); err == nil && len(d.open) > 0 {
			t.Errorf("%q passed", text)
		}
	}
}

// TestReadScan reads what tools say of a host of which 22 and 80 are open.
func TestReadScan(t *testing.T) {
	tests := []struct {
		name, format, output    string
		found, again, strangers uint64
		undecided               uint64 // of four
		silent, all             bool
	}{
		{name: "plain", format: "plain", found: 2,
			output: "192.0.2.1:22 open ssh syn-ack 0.312 ms\n192.0.2.1:23 unknown telnet no-descriptors: too many open files\n192.0.2.1:80 open http syn-ack 0.1 ms\n"},
		{name: "plain, IPv6", format: "plain", strangers: 1, output: "[2001:db8::1]:22 open ssh syn-ack 0.3 ms\n"},
		{name: "twice, and one that is closed", format: "plain", found: 1, again: 1, strangers: 1,
			output: "192.0.2.1:80 open http\n192.0.2.1:80 open http\n192.0.2.1:81 open -\n"},
		{name: "records", format: "json", found: 1, undecided: 1, output: `{"v":1,"record":"run","verb":"scan"}
{"v":1,"record":"port","addr":"192.0.2.1","port":22,"state":"open"}
{"v":1,"record":"port","addr":"192.0.2.1","port":23,"state":"unknown"}
{"v":1,"record":"port","addr":"192.0.2.1","port":80,"state":"filtered"}
{"v":1,"record":"port","addr":"192.0.2.1","port":81,"state":"closed"}
{"v":1,"record":"summary","addr":"192.0.2.1","port":null,"open":[22]}
{"v":1,"record":"end","exit":3}
`},
		{name: "a closed port twice hides no other", format: "json", undecided: 3,
			output: strings.Repeat(`{"record":"port","addr":"192.0.2.1","port":81,"state":"closed"}`+"\n", 4)},
		{name: "silence of ports that would answer", format: "json", undecided: 4, output: `{"record":"port","addr":"192.0.2.1","port":23,"state":"open|filtered"}`},
		{name: "silence of ports that are silent", format: "json", silent: true, undecided: 3, output: `{"record":"port","addr":"192.0.2.1","port":23,"state":"open|filtered"}`},
		{name: "nmap", format: "grepable", found: 2, output: "# Nmap 7.93 scan initiated as: nmap -oG -\nHost: 192.0.2.1 ()\tStatus: Up\n" +
			"Host: 192.0.2.1 ()\tPorts: 22/open/tcp//ssh///, 23/filtered/tcp//telnet///, 80/open/tcp//http///\tIgnored State: closed (997)\n"},
		{name: "nmap, all states", format: "grepable", all: true, found: 1, undecided: 1,
			output: "Host: 192.0.2.1 ()\tPorts: 22/open/udp//ssh///, 23/open|filtered/udp/////\tIgnored State: closed (2)\n"},
		{name: "netprobe, all states", format: "grepable", all: true, output: "Host: 192.0.2.1 ()\tIgnored State: closed (4)\n"},
		{name: "silence that is ignored", format: "grepable", all: true, undecided: 4, output: "Host: 192.0.2.1 ()\tIgnored State: open|filtered (4)\n"},
		{name: "nmap, none", format: "grepable", output: "Host: 192.0.2.1 ()\tPorts: \tIgnored State: closed (50)\n"},
		{name: "nmap, a name", format: "grepable", found: 1, output: "Host: 192.0.2.1 (web-1)\tPorts: 22/open/tcp//ssh///\n"},
		{name: "nmap, open or filtered is not open", format: "grepable", output: "Host: 192.0.2.1 ()\tPorts: 22/open|filtered/tcp//ssh///\n"},
		{name: "masscan", format: "list", found: 1, output: "#masscan\nopen tcp 22 192.0.2.1 1795364201\n# end\n"},
		{name: "nc", format: "nc", found: 1,
			output: "nc: connect to 192.0.2.1 port 21 (tcp) failed: Connection refused\nConnection to 192.0.2.1 22 port [tcp/*] succeeded!\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parseDoors([]string{"192.0.2.1=22,80"})
			if err != nil {
				t.Fatal(err)
			}
			d.silent, d.all = tt.silent, tt.all
			if err := readScan(strings.NewReader(tt.output), tt.format, d); err != nil {
				t.Fatal(err)
			}
			if d.found != tt.found || d.again != tt.again || d.strangers != tt.strangers || d.missing() != 2-tt.found {
				t.Errorf("found %d, again %d, strangers %d, missing %d; want %d, %d, %d, %d",
					d.found, d.again, d.strangers, d.missing(), tt.found, tt.again, tt.strangers, 2-tt.found)
			}
			if tells := tt.format == "json" || tt.all; tells != (d.decided != nil) || tells && d.undecided(4) != tt.undecided {
				t.Errorf("%d undecided, told: %v; want %d", d.undecided(4), d.decided != nil, tt.undecided)
			}
		})
	}
}

func TestReadScanRejects(t *testing.T) {
	for format, output := range map[string]string{
		"plain": "router:22 open ssh\n", "json": `{"record":"port","addr":"192.0.2.1","port":22,"state":"ajar"}`, "list": "open tcp ssh 192.0.2.1 1\n",
		"grepable": "Host: router ()\tPorts: 22/open/tcp//ssh///\n", "nc": "Connection to router 22 port [tcp/ssh] succeeded!\n",
	} {
		if err := readScan(strings.NewReader(output), format, &doors{}); err == nil {
			t.Errorf("%s: %q passed", format, output)
		}
	}
}
