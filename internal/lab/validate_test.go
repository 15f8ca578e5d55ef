package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidatePaths(t *testing.T) {
	two := []Hop{{Ways: [][]Hop{{router(1)}, {router(2)}}}}
	many := func(n int) (hops []Hop) {
		for range n {
			hops = append(hops, two...)
		}
		return hops
	}
	deep := two
	for range maxDepth {
		deep = []Hop{{Ways: [][]Hop{deep}}}
	}
	hop := func(h Hop) Topology { return Topology{Hops: []Hop{h}} }
	long := Interface{Index: 1, Addr: netip.MustParseAddr("2001:db8::9"), Name: strings.Repeat("x", 63), MTU: 1500}
	cases := []struct {
		name string
		topo Topology
		want string // part of the error; empty: valid
	}{
		{"nothing", Topology{}, ""},
		{"16 sections of two ways", Topology{Hops: many(16)}, ""},
		{"17 sections of two ways", Topology{Hops: many(17)}, "more than 65536 different paths"},
		{"nested too deep", Topology{Hops: deep}, "nested more than 8 deep"},
		{"no way", hop(Hop{Ways: [][]Hop{}}), "hop 1: a section without a way"},
		{"section with an address", hop(Hop{Ways: [][]Hop{{}}, Addrs: Addrs("192.0.2.9")}), "no fields of its own"},
		{"section with a link", hop(Hop{Ways: [][]Hop{{}}, Out: Link{Delay: 1}}), "no fields of its own"},
		{"PerPacket without ways", hop(Hop{PerPacket: true}), "PerPacket"},
		{"fault inside", hop(Hop{Ways: [][]Hop{{}, {{}, {Delay: -1}}}}), "hop 1 way 2 hop 2: negative delay"},
		{"label", hop(Hop{MPLS: []Label{{Label: 1 << 20}}}), "20 bits"},
		{"traffic class", hop(Hop{MPLS: []Label{{TC: 8}}}), "of 3"},
		{"role", hop(Hop{Interfaces: []Interface{{Role: 4}}}), "role 4"},
		{"interface name", hop(Hop{Interfaces: []Interface{{Name: strings.Repeat("x", 64)}}}), "interface"},
		{"four full interfaces", hop(Hop{Interfaces: []Interface{long, long, long, long}}), ""},
		{"five full interfaces", hop(Hop{Interfaces: []Interface{long, long, long, long, long}}), "octets of 420"},
		{"translator without address", hop(Hop{NAT: &NAT{}}), "outer address"},
		{"translator with two", hop(Hop{NAT: &NAT{Addrs: Addrs("192.0.2.1", "192.0.2.2")}}), "two addresses"},
		{"host delay", Topology{Hosts: []Host{{Delay: -1}}}, "host 1: negative delay"},
		{"label of a name", Topology{Names: map[netip.Addr]string{netip.MustParseAddr("192.0.2.1"): "a..b"}}, "label of 0 octets"},
		{"name", Topology{Names: map[netip.Addr]string{netip.MustParseAddr("192.0.2.1"): strings.Repeat("a.", 127)}}, "253"},
		{"unprintable name", Topology{Names: map[netip.Addr]string{netip.MustParseAddr("192.0.2.1"): "\x00\xff"}}, ""},
		{"resolver", Topology{Resolvers: []netip.Addr{{}}}, "resolver"},
		{"slow past", Topology{NameDelay: -time.Second}, "negative delay"},
	}
	for _, tc := range cases {
		err := tc.topo.Validate()
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
