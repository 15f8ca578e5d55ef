package sweep

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"netprobe/probe"
)

// ranged returns the range from one address to another.
func ranged(first, last string) probe.Range {
	return probe.Range{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
}

func one(addr string) probe.Range { return ranged(addr, addr) }

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		p    Parser
		want probe.Range // of addresses
		name string      // asked of a resolver
	}{
		{in: "10.0.0.0/16", want: ranged("10.0.0.1", "10.0.255.254")},
		{in: "10.0.0.0/16", p: Parser{Broadcast: true}, want: ranged("10.0.0.0", "10.0.255.255")},
		{in: "10.0.0.5/24", want: ranged("10.0.0.1", "10.0.0.254")},
		{in: "192.0.2.8/30", want: ranged("192.0.2.9", "192.0.2.10")},
		{in: "192.0.2.9/31", want: ranged("192.0.2.8", "192.0.2.9")},
		{in: "192.0.2.9/32", want: one("192.0.2.9")},
		{in: "128.0.0.0/2", want: ranged("128.0.0.1", "191.255.255.254")},
		{in: "2001:db8::/112", want: ranged("2001:db8::", "2001:db8::ffff")},
		{in: "[2001:db8::]/112", want: ranged("2001:db8::", "2001:db8::ffff")},
		{in: "2001:db8::7/128", want: one("2001:db8::7")},
		{in: "2000::/3", want: ranged("2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")},
		{in: "::ffff:10.0.0.0/120", want: ranged("10.0.0.1", "10.0.0.254")},
		{in: "::ffff:10.0.0.0/128", want: one("10.0.0.0")},
		{in: "fe80::%eth0/120", want: ranged("fe80::%eth0", "fe80::ff%eth0")},
		{in: "fe80::/120", p: Parser{Zone: "eth0"}, want: ranged("fe80::%eth0", "fe80::ff%eth0")},
		{in: "fe80::%eth1/120", p: Parser{Zone: "eth0"}, want: ranged("fe80::%eth1", "fe80::ff%eth1")},

		{in: "10.0.0.1-10.0.3.9", want: ranged("10.0.0.1", "10.0.3.9")},
		{in: "10.0.0.1-10.0.0.1", want: one("10.0.0.1")},
		{in: "10.0.0.1-9", want: ranged("10.0.0.1", "10.0.0.9")},
		{in: "10.0.0.0-255", want: ranged("10.0.0.0", "10.0.0.255")},
		{in: "2001:db8::1-2001:db8::ff", want: ranged("2001:db8::1", "2001:db8::ff")},
		{in: "[2001:db8::1]-[2001:db8::ff]", want: ranged("2001:db8::1", "2001:db8::ff")},
		{in: "::ffff:10.0.0.1-10.0.0.9", want: ranged("10.0.0.1", "10.0.0.9")},
		{in: "fe80::1%eth0-fe80::9", want: ranged("fe80::1%eth0", "fe80::9%eth0")},
		{in: "fe80::1-fe80::9%eth0", want: ranged("fe80::1%eth0", "fe80::9%eth0")},
		{in: "fe80::1%a-b-fe80::9%a-b", want: ranged("fe80::1%a-b", "fe80::9%a-b")},
		{in: "fe80::1-fe80::9", p: Parser{Zone: "eth0"}, want: ranged("fe80::1%eth0", "fe80::9%eth0")},

		{in: "192.0.2.1", want: one("192.0.2.1")},
		{in: "::ffff:192.0.2.1", want: one("192.0.2.1")},
		{in: "[2001:db8::1]", want: one("2001:db8::1")},
		{in: "fe80::1%veth-a", want: one("fe80::1%veth-a")},
		{in: "fe80::1", p: Parser{Zone: "eth0"}, want: one("fe80::1%eth0")},
		{in: "2001:db8::1", p: Parser{Zone: "eth0"}, want: one("2001:db8::1")},
		{in: "2001:db8::1", p: Parser{Family: 6}, want: one("2001:db8::1")},
		{in: "10.0.0.1-9", p: Parser{Family: 4}, want: ranged("10.0.0.1", "10.0.0.9")},

		{in: "www.example.com", name: "www.example.com"},
		{in: "web-1.example.com", name: "web-1.example.com"},
		{in: "1-9.example.com", name: "1-9.example.com"},
		{in: "a-b", p: Parser{Family: 4}, name: "a-b"},
	} {
		s, err := tt.p.Parse(tt.in)
		if err != nil {
			t.Errorf("%q with %+v: %v", tt.in, tt.p, err)
			continue
		}
		if s.Text != tt.in || s.Range != tt.want || s.Host.Lookup != tt.name {
			t.Errorf("%q with %+v: %+v", tt.in, tt.p, s)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		in  string
		p   Parser
		err string // part of it
	}{
		{in: "10.0.0.0/33", err: "prefix length over 32"},
		{in: "2001:db8::/129", err: "prefix length over 128"},
		{in: "10.0.0.0/99999999999999999999", err: "prefix length over 32"},
		{in: "10.0.0.0/", err: "not a number"},
		{in: "10.0.0.0/-1", err: "not a number"},
		{in: "10.0.0.0/+8", err: "not a number"},
		{in: "10.0.0.0/08", err: "not a number"},
		{in: "10.0.0.0/8/8", err: "not a number"},
		{in: "10.0.0.0/255.0.0.0", err: "not a number"},
		{in: "10.0.0/24", err: "no address before the slash"},
		{in: "www.example.com/24", err: "no address before the slash"},
		{in: "http://example.com/", err: "no address before the slash"},
		{in: "/24", err: "no address before the slash"},
		{in: "::ffff:10.0.0.0/95", err: "below 96"},
		{in: "::ffff:10.0.0.0/129", err: "over 128"},
		{in: "0.0.0.0/0", err: "all of IPv4 includes"},
		{in: "::/0", err: "all of IPv6 includes"},
		{in: "0.0.0.0/8", err: "unspecified"},
		{in: "0.0.0.9/24", err: "unspecified"},
		{in: "::/64", err: "unspecified"},
		{in: "192.0.0.0/2", err: "multicast"},
		{in: "224.0.0.0/24", err: "multicast"},
		{in: "240.0.0.0/4", err: "broadcast"},
		{in: "255.255.255.255/32", err: "broadcast"},
		{in: "ff02::/120", err: "multicast"},
		{in: "ff02::%eth0/120", err: "multicast"},
		{in: "fe80::/120", err: "needs a zone"},

		{in: "10.0.0.9-10.0.0.1", err: "ends before it starts"},
		{in: "10.0.0.9-1", err: "ends before it starts"},
		{in: "10.0.0.1-256", err: "over 255"},
		{in: "10.0.0.1-99999999999999999999", err: "over 255"},
		{in: "10.0.0.1-", err: "no address after the hyphen"},
		{in: "10.0.0.1-3.9", err: "no address after the hyphen"},
		{in: "10.0.0.1-x.example", err: "no address after the hyphen"},
		{in: "10.0.0.1-2-3", err: "no address after the hyphen"},
		{in: "2001:db8::1-9", err: "no address after the hyphen"},
		{in: "10.0.0.1-2001:db8::1", err: "one address family"},
		{in: "2001:db8::1-10.0.0.1", err: "one address family"},
		{in: "fe80::1%a-fe80::9%b", err: "one zone"},
		{in: "0.0.0.0-9", err: "unspecified"},
		{in: "223.255.255.255-224.0.0.1", err: "multicast"},
		{in: "255.255.255.250-255", err: "broadcast"},
		{in: "::-::9", err: "unspecified"},
		{in: "fe80::1-fe80::9", err: "needs a zone"},

		{in: "fe80::1", err: "needs a zone"},
		{in: "224.0.0.1", err: "multicast"},
		{in: "::%eth0", err: "unspecified"},
		{in: "256.1.1.1", err: "not an IP address"},
		{in: "", err: "empty"},
		{in: "a b", err: "character"},
		{in: "-h", err: "hyphen"},
		{in: "2001:db8::1", p: Parser{Family: 4}, err: "not IPv4"},
		{in: "10.0.0.0/8", p: Parser{Family: 6}, err: "not IPv6"},
		{in: strings.Repeat("1-", 2000), err: "not a host name"},
	} {
		s, err := tt.p.Parse(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.40q with %+v: %+v, error %v, want %q in it", tt.in, tt.p, s, err, tt.err)
		}
	}
}

func TestParseExclude(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want probe.Range
		err  string
	}{
		{in: "10.0.0.0/24", want: ranged("10.0.0.0", "10.0.0.255")},
		{in: "0.0.0.0/0", want: ranged("0.0.0.0", "255.255.255.255")},
		{in: "224.0.0.0/4", want: ranged("224.0.0.0", "239.255.255.255")},
		{in: "255.255.255.255", want: one("255.255.255.255")},
		{in: "10.0.0.1-9", want: ranged("10.0.0.1", "10.0.0.9")},
		{in: "[2001:db8::1]", want: one("2001:db8::1")},
		{in: "fe80::/64", want: ranged("fe80::", "fe80::ffff:ffff:ffff:ffff")},
		{in: "::ffff:10.0.0.1", want: one("10.0.0.1")},
		{in: "www.example.com", err: "a name cannot be excluded"},
		{in: "b\u00fccher.example", err: "a name cannot be excluded"},
		{in: "10.0.0.300", err: "not an address, a network or a range"},
		{in: "", err: "not an address, a network or a range"},
		{in: "10.0.0.0/64", err: "over 32"},
		{in: "10.0.0.9-1", err: "ends before it starts"},
	} {
		r, err := ParseExclude(tt.in)
		switch {
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%q: error %v, want %q in it", tt.in, err, tt.err)
		case tt.err == "" && (err != nil || r != tt.want):
			t.Errorf("%q: %v, %v", tt.in, r, err)
		case tt.err != "" && r.IsValid():
			t.Errorf("%q: %v beside an error", tt.in, r)
		}
	}
}

func TestReadExclude(t *testing.T) {
	var set probe.RangeSet
	if err := ReadExclude(strings.NewReader("10.0.0.0/24 # lab\n\n10.0.1.0/24,x\n"), "x.txt", &set); err == nil {
		t.Error("took a list with commas")
	} else if e, ok := errors.AsType[*LineError](err); !ok || e.Line != 3 || e.Text != "10.0.1.0/24,x" || e.Name != "x.txt" {
		t.Errorf("error %v", err)
	}
	if err := ReadExclude(strings.NewReader("10.0.1.0/24\n192.0.2.1 192.0.2.7-9"), "x.txt", &set); err != nil {
		t.Error(err)
	}
	for s, want := range map[string]bool{
		"10.0.0.0": true, "10.0.1.255": true, "10.0.2.0": false, "192.0.2.1": true, "192.0.2.8": true, "192.0.2.6": false,
	} {
		if set.Contains(netip.MustParseAddr(s)) != want {
			t.Errorf("%s: %t", s, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"10.0.0.0/16", "2001:db8::/112", "10.0.0.1-10.0.3.9", "10.0.0.1-9", "fe80::%eth0/120", "[::1]-[::2]",
		"::ffff:10.0.0.0/104", "web-1.example.com", "fe80::1%a-b-fe80::9%a-b", "0.0.0.0/0", "1.1.1.1/099", "-", "/", "\xff",
	} {
		f.Add(s, false, "", 0)
		f.Add(s, true, "eth0", 6)
	}
	f.Add("80::1%a"+strings.Repeat("\x85", 120), false, "", 0)
	f.Fuzz(func(t *testing.T, s string, broadcast bool, zone string, family int) {
		p := Parser{Broadcast: broadcast, Zone: zone, Family: family}
		spec, err := p.Parse(s)
		if x, err := ParseExclude(s); err == nil {
			checkRange(t, s, x)
		}
		if err != nil {
			return
		}
		r := spec.Range
		if r.IsValid() == (spec.Host.Lookup != "") || spec.Text != s {
			t.Fatalf("%q: %+v", s, spec)
		}
		if !r.IsValid() {
			return
		}
		checkRange(t, s, r)
		if err := checkHosts(r); err != nil {
			t.Fatalf("%q: %v %v", s, r, err)
		}
		// What is parsed can be written, and means the same.
		again, err := Parser{}.Parse(r.First.String() + "-" + r.Last.String())
		if !strings.Contains(r.First.Zone(), "-") && (err != nil || again.Range != r) {
			t.Fatalf("%q: %v, then %v, %v", s, r, again.Range, err)
		}
	})
}

// checkRange checks what holds of every range.
func checkRange(t *testing.T, s string, r probe.Range) {
	t.Helper()
	if !r.IsValid() || r.Last.Less(r.First) || r.First.BitLen() != r.Last.BitLen() || r.First.Zone() != r.Last.Zone() {
		t.Fatalf("%q: %v", s, r)
	}
	if r.First.Is4In6() || r.Size() == 0 {
		t.Fatalf("%q: %v of %d", s, r, r.Size())
	}
}
