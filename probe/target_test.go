package probe

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// toASCII stands in for a conversion to ASCII: it knows one name.
func toASCII(s string) (string, error) {
	if s == "bücher.example" {
		return "xn--bcher-kva.example", nil
	}
	return "", errors.New("unknown")
}

func TestParseHost(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for _, tt := range []struct {
		name, in string
		addr     string // of a literal
		lookup   string // of a name
		err      string // part of the error
	}{
		{name: "IPv4", in: "192.0.2.1", addr: "192.0.2.1"},
		{name: "IPv6", in: "2001:db8::1", addr: "2001:db8::1"},
		{name: "IPv6 in brackets", in: "[2001:db8::1]", addr: "2001:db8::1"},
		{name: "IPv6 with a zone", in: "fe80::1%eth0", addr: "fe80::1%eth0"},
		{name: "IPv6 with a zone in brackets", in: "[fe80::1%eth0]", addr: "fe80::1%eth0"},
		{name: "mapped IPv4 is IPv4", in: "::ffff:192.0.2.1", addr: "192.0.2.1"},
		{name: "a name", in: "www.example.com", lookup: "www.example.com"},
		{name: "a name with its root", in: "www.example.com.", lookup: "www.example.com."},
		{name: "one label", in: "router", lookup: "router"},
		{name: "digits in front", in: "1e100.net", lookup: "1e100.net"},
		{name: "underscore", in: "my_host", lookup: "my_host"},
		{name: "internationalized", in: "bücher.example", lookup: "xn--bcher-kva.example"},
		{name: "longest label", in: label63 + ".example", lookup: label63 + ".example"},

		{name: "number too large", in: "256.1.1.1", err: "not an IP address"},
		{name: "three numbers", in: "1.2.3", err: "not an IP address"},
		{name: "one number", in: "1", err: "not an IP address"},
		{name: "leading zero", in: "010.0.0.1", err: "not an IP address"},
		{name: "hexadecimal", in: "0x7f000001", err: "not an IP address"},
		{name: "hexadecimal with a dot", in: "127.0x1", err: "not an IP address"},
		{name: "number with a root", in: "1.2.3.4.", err: "not an IP address"},
		{name: "colons", in: "2001:db8:::1", err: "not an IP address"},
		{name: "brackets around nothing of the kind", in: "[::1]x", err: "character '['"},
		{name: "open bracket", in: "[::1", err: "character '['"},
		{name: "IPv4 in brackets", in: "[192.0.2.1]", err: "character '['"},
		{name: "unspecified", in: "0.0.0.0", err: "unspecified"},
		{name: "unspecified IPv6", in: "::", err: "unspecified"},
		{name: "unspecified IPv6 with a zone", in: "::%eth0", err: "unspecified"},
		{name: "broadcast", in: "255.255.255.255", err: "broadcast"},
		{name: "multicast", in: "224.0.0.1", err: "multicast"},
		{name: "multicast IPv6", in: "ff02::1%eth0", err: "multicast"},
		{name: "empty", in: "", err: "empty"},
		{name: "dot", in: ".", err: "empty"},
		{name: "empty label", in: "a..b", err: "empty label"},
		{name: "leading dot", in: ".example", err: "empty label"},
		{name: "space", in: "a b", err: `character ' '`},
		{name: "escape sequence", in: "a\x1b[2Jb", err: `character '\x1b'`},
		{name: "newline", in: "a\nb", err: `character '\n'`},
		{name: "port", in: "example.com:80", err: `character ':'`},
		{name: "URL", in: "http://example.com/", err: `character ':'`},
		{name: "network", in: "192.0.2.0/24", err: `character '/'`},
		{name: "hyphen", in: "-c", err: "hyphen"},
		{name: "label too long", in: "a" + label63, err: "longer than 63"},
		{name: "name too long", in: strings.Repeat(label63+".", 4) + "a", err: "longer than 253"},
		{name: "no internationalized name", in: "\u202eevil", err: "internationalized"},
		{name: "not UTF-8", in: "\xff", err: "internationalized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ParseHost(tt.in, toASCII)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := Host{Name: tt.in, Lookup: tt.lookup}
			if tt.addr != "" {
				want.Addr = netip.MustParseAddr(tt.addr)
			}
			if h != want {
				t.Errorf("got %+v, want %+v", h, want)
			}
		})
	}
}

func TestParseHostWithoutASCII(t *testing.T) {
	if _, err := ParseHost("bücher.example", nil); err == nil {
		t.Error("accepted a name that no resolver can be asked for")
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "[::1]", "fe80::1%eth0", "a.b-c_d", "1.2.3", "0x", "..", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHost(s, func(s string) (string, error) { return s, nil })
		if err != nil {
			return
		}
		if h.Name != s || h.Addr.IsValid() == (h.Lookup != "") {
			t.Fatalf("%q: %+v", s, h)
		}
		if strings.IndexFunc(h.Lookup, func(r rune) bool { return r != '.' && notInName(r) }) >= 0 {
			t.Fatalf("%q is fit for no resolver", h.Lookup)
		}
		if h.Addr.IsValid() && (h.Addr.Is4In6() || h.Addr.IsUnspecified()) {
			t.Fatalf("%q: %v", s, h.Addr)
		}
	})
}
