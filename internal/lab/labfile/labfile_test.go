package labfile

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestBuiltin(t *testing.T) {
	want := []string{"ecmp", "firewall", "isp", "mtu", "nat", "wifi"}
	if got := List(); !slices.Equal(got, want) {
		t.Fatalf("List() = %q, want %q", got, want)
	}
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			f, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if f.About == "" || f.Name != name || !slices.Contains(f.Targets, "server.lab") {
				t.Errorf("name %q, about %q, targets %q", f.Name, f.About, f.Targets)
			}
			source, _ := Source(name)
			if !strings.Contains(string(source), "netprobe lab "+name+" -- ") {
				t.Error("the file does not say how to use it")
			}
			for a := range f.Topology.Names {
				if !documentation(a) {
					t.Errorf("%v is not a documentation address", a)
				}
			}
		})
	}
	if _, err := Load("../topologies/isp"); err == nil {
		t.Error("a path is a name")
	}
}

// documentation reports whether a is of RFC 5737 or RFC 3849.
func documentation(a netip.Addr) bool {
	for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}
