package main

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseCrowd(t *testing.T) {
	tests := []struct {
		name, text string
		size       uint64
		fails      bool
	}{
		{name: "none"},
		{name: "prefix", text: "10.16.0.0/12", size: 1 << 20},
		{name: "prefix with host bits", text: "192.0.2.77/24", size: 256},
		{name: "IPv6 prefix", text: "2001:db8::/112", size: 1 << 16},
		{name: "as many as fit", text: "0.0.0.0/0", size: 1 << 32},
		{name: "range", text: "10.16.0.0-10.16.255.254", size: 65535},
		{name: "address", text: "192.0.2.1", size: 1},
		{name: "several", text: "198.51.100.0/24,192.0.2.0/24\n2001:db8::1\n", size: 513},
		{name: "overlap", text: "192.0.2.0/24 192.0.2.255", fails: true},
		{name: "too large", text: "2001:db8::/64", fails: true},
		{name: "too wide", text: "2001:db8::-2001:db8::1:0:0", fails: true},
		{name: "backwards", text: "192.0.2.2-192.0.2.1", fails: true},
		{name: "two families", text: "192.0.2.2-2001:db8::1", fails: true},
		{name: "name", text: "example", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseCrowd(tt.text)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if err == nil && c.size != tt.size {
				t.Errorf("%d hosts, want %d", c.size, tt.size)
			}
		})
	}
}

func TestCrowdIndex(t *testing.T) {
	c, err := parseCrowd("198.51.100.0/30 192.0.2.1-192.0.2.2 2001:db8::ffff-2001:db8::1:0")
	if err != nil {
		t.Fatal(err)
	}
	members := []string{"192.0.2.1", "192.0.2.2", "198.51.100.0", "198.51.100.1", "198.51.100.2", "198.51.100.3", "2001:db8::ffff", "2001:db8::1:0"}
	for want, a := range members {
		if got, ok := c.index(netip.MustParseAddr(a)); !ok || got != uint64(want) {
			t.Errorf("%s is %d, %v; want %d", a, got, ok, want)
		}
	}
	for _, a := range []string{"0.0.0.0", "192.0.2.0", "192.0.2.3", "198.51.100.4", "::ffff:192.0.2.1", "2001:db8::fffe", "2001:db8::1:1", "2001:db9::ffff"} {
		if i, ok := c.index(netip.MustParseAddr(a)); ok {
			t.Errorf("%s is number %d, want none", a, i)
		}
	}
}

func TestReadSweep(t *testing.T) {
	tests := []struct {
		name, format, output    string
		found, again, strangers uint64
	}{
		{"plain", "plain", "192.0.2.1 is alive (0.31 ms)\n192.0.2.9 is unreachable (no answer)\n192.0.2.2 is alive\n\n2 of 3 hosts are alive\n", 2, 0, 0},
		{"twice, and not of the crowd", "plain", "192.0.2.1 is alive\n192.0.2.1 is alive\n192.0.2.3 is alive\n", 1, 1, 1},
		{"records", "json", `{"v":1,"record":"run","verb":"sweep"}
{"v":1,"record":"host","addr":"192.0.2.1","alive":true,"status":"reply"}
{"v":1,"record":"host","addr":"192.0.2.2","alive":false,"status":"lost"}
{"v":1,"record":"subnet","subnet":"192.0.2.0/24","alive":1}
{"v":1,"record":"summary","addr":null,"alive":1}
{"v":1,"record":"end","exit":1}
`, 1, 0, 0},
		{"fping", "fping", "192.0.2.1     : [0], 64 bytes, 0.054 ms (0.054 avg, 0% loss)\n192.0.2.2     : [0], timed out (NaN avg, 100% loss)\n\n192.0.2.1     : xmt/rcv/%loss = 1/1/0%, min/avg/max = 0.054/0.054/0.054\n", 1, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseCrowd("192.0.2.1-192.0.2.2")
			if err != nil {
				t.Fatal(err)
			}
			got := newTally(c)
			if err := readSweep(strings.NewReader(tt.output), tt.format, got); err != nil {
				t.Fatal(err)
			}
			if err := got.check(); err != nil {
				t.Error(err)
			}
			if got.found != tt.found || got.again != tt.again || got.strangers != tt.strangers || got.missing() != 2-tt.found {
				t.Errorf("found %d, again %d, strangers %d, missing %d; want %d, %d, %d, %d",
					got.found, got.again, got.strangers, got.missing(), tt.found, tt.again, tt.strangers, 2-tt.found)
			}
		})
	}
}

func TestReadSweepRejects(t *testing.T) {
	for format, output := range map[string]string{"json": "{", "plain": "router is alive\n", "fping": "router : [0], 64 bytes, 1 ms\n"} {
		if err := readSweep(strings.NewReader(output), format, newTally(new(crowd))); err == nil {
			t.Errorf("%s: %q passed", format, output)
		}
	}
}

func TestSummaryMustFit(t *testing.T) {
	got := newTally(new(crowd))
	if err := readSweep(strings.NewReader(`{"record":"summary","alive":7}`), "json", got); err != nil {
		t.Fatal(err)
	}
	if err := got.check(); err == nil {
		t.Error("a summary of 7 hosts passed, though none was named")
	}
}
