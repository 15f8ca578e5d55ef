package labfile

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"netprobe/internal/lab"
)

// walks are the names of what answers at each TTL; several where packets may
// take several ways, none where nobody answers.
var walks = map[string][][]string{
	"isp": {
		{"home.lab"}, {"access.isp.lab"}, {"metro.isp.lab"}, {"pe1.isp.lab"}, {"p1.core.isp.lab"}, {"p2.core.isp.lab"},
		{"p3.core.isp.lab"}, {"pe2.isp.lab"}, nil, {"r1.transit.lab"}, {"edge.lab"}, {"server.lab"}, {"server.lab"},
	},
	"ecmp": {
		{"gw.lab"}, {"split.lab"}, {"a1.lab", "b1.lab", "c1.lab", "d1.lab"}, {"a2.lab", "b2.lab", "c2.lab", "d2.lab"},
		{"join.lab"}, {"server.lab"},
	},
	"wifi":     {{"ap.lab"}, {"access.isp.lab"}, {"core.isp.lab"}, {"edge.lab"}, {"server.lab"}},
	"mtu":      {{"home.lab"}, {"pppoe.isp.lab"}, {"core.isp.lab"}, {"tunnel-in.lab"}, {"tunnel-out.lab"}, {"server.lab"}},
	"firewall": {{"gw.lab"}, {"access.isp.lab"}, {"core.isp.lab"}, {"edge.lab"}, {"fw.lab"}, nil, nil},
	"nat":      {{"home.lab"}, {"access.isp.lab"}, {"cgn.isp.lab"}, {"core.isp.lab"}, {"edge.lab"}, {"server.lab"}},
}

// A probe sent with each TTL in turn meets the hops that the file says.
func TestWalk(t *testing.T) {
	for _, name := range List() {
		for _, family := range []string{"IPv4", "IPv6"} {
			t.Run(name+"/"+family, func(t *testing.T) {
				f, err := Load(name)
				if err != nil {
					t.Fatal(err)
				}
				want := walks[name]
				if want == nil {
					t.Fatal("no walk for it")
				}
				if p := f.Path(); p.Least != p.Most || len(want) < p.Least {
					t.Errorf("Path() = %+v, %d hops walked", p, len(want))
				}
				for ttl, names := range want {
					synctest.Test(t, func(t *testing.T) { step(t, f, ttl+1, family == "IPv4", names) })
				}
			})
		}
	}
}

// step sends echo requests to server.lab with one TTL until one is answered,
// which chance may prevent, and compares who answered.
func step(t *testing.T, f *File, ttl int, v4 bool, names []string) {
	m := f.Topology.Memory()
	defer m.Close()
	addrs := f.Addrs("server.lab")
	dst := addrs[slices.IndexFunc(addrs, func(a netip.Addr) bool { return a.Is4() == v4 })]
	from, tries := netip.Addr{}, 5
	for range tries {
		if err := m.Send(echo(t, m, dst, ttl)); err != nil {
			t.Fatal(err)
		}
		select {
		case raw := <-m.Receive():
			from = source(raw)
		case <-time.After(time.Second):
			continue
		}
		break
	}
	switch got := f.Topology.Names[from]; {
	case len(names) == 0 && from.IsValid():
		t.Errorf("TTL %d: %v (%s) answered, want silence", ttl, from, got)
	case len(names) > 0 && !slices.Contains(names, got):
		t.Errorf("TTL %d: %v (%s) answered, want one of %q", ttl, from, got, names)
	}
}

// echo returns an echo request as an IP packet.
func echo(t *testing.T, m *lab.Memory, dst netip.Addr, ttl int) []byte {
	src := m.Source(dst)
	buf := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	var err error
	if dst.Is4() {
		ip := &layers.IPv4{Version: 4, TTL: uint8(ttl), Protocol: layers.IPProtocolICMPv4, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice())}
		icmp := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 7, Seq: 1}
		err = gopacket.SerializeLayers(buf, options, ip, icmp, gopacket.Payload("payload!"))
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: uint8(ttl), NextHeader: layers.IPProtocolICMPv6, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice())}
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)}
		if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		err = gopacket.SerializeLayers(buf, options, ip, icmp, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 1}, gopacket.Payload("payload!"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// source returns the source address of an IP packet.
func source(raw []byte) netip.Addr {
	if raw[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(raw[12:16]))
	}
	return netip.AddrFrom16([16]byte(raw[8:24]))
}
