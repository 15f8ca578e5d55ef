package lab_test

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"netprobe/internal/lab"
)

// A network of two hops: the first answers once a second at most, the second
// has a smaller MTU behind it; one host answers with zeroed payloads.
func ExampleTopology() {
	net := lab.Topology{
		Seed: 1,
		Hops: []lab.Hop{
			{Addrs: lab.Addrs("198.51.100.1"), RateLimit: lab.RateLimit{PerSecond: 1, Burst: 1}},
			{Addrs: lab.Addrs("198.51.100.2"), Out: lab.Link{Delay: 5 * time.Millisecond, MTU: 1400}},
		},
		Hosts: []lab.Host{{At: lab.At("203.0.113.0/24"), Payload: lab.Zeroed}},
	}.Memory()
	defer net.Close()

	for ttl := range uint8(3) {
		if err := net.Send(echo(net, "203.0.113.7", ttl+1)); err != nil {
			fmt.Println(err)
		}
		ip := gopacket.NewPacket(<-net.Receive(), layers.LayerTypeIPv4, gopacket.Default)
		fmt.Println(ip.NetworkLayer().NetworkFlow().Src(), ip.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).TypeCode)
	}
	fmt.Printf("%+v\n", net.Log().Count(time.Second, 0))
	// Output:
	// 198.51.100.1 TimeExceeded(TTLExceeded)
	// 198.51.100.2 TimeExceeded(TTLExceeded)
	// 203.0.113.7 EchoReply
	// {Sent:3 Received:1 Late:0 Lost:0 Errors:2 Duplicates:0 Reordered:0}
}

// Two ways lead around a hop that is silent on one of them; the log knows where
// every packet ended.
func ExampleLog_Truth() {
	net := lab.Topology{
		Seed: 1,
		Hops: []lab.Hop{
			{Addrs: lab.Addrs("198.51.100.1"), MPLS: []lab.Label{{Label: 24015, Bottom: true, TTL: 1}}},
			{Ways: [][]lab.Hop{
				{{Addrs: lab.Addrs("198.51.100.11")}},
				{{Addrs: lab.Addrs("198.51.100.12"), Silent: true}},
			}},
		},
	}.Memory()
	defer net.Close()

	for ttl := range uint8(3) {
		if err := net.Send(echo(net, "203.0.113.7", ttl+1)); err != nil {
			fmt.Println(err)
		}
	}
	for _, trip := range net.Log().Truth() {
		_, answered := trip.Answer()
		fmt.Println(trip.TTL, trip.Fate, "at hop", trip.Hop, trip.At, answered)
	}
	// Output:
	// 1 expired at hop 1 198.51.100.1 true
	// 2 expired at hop 2 198.51.100.11 true
	// 3 delivered at hop 3 203.0.113.7 true
}

// echo builds an echo request.
func echo(m *lab.Memory, target string, ttl uint8) []byte {
	dst := netip.MustParseAddr(target)
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.IPv4{Version: 4, TTL: ttl, Protocol: layers.IPProtocolICMPv4, SrcIP: net.IP(m.Source(dst).AsSlice()), DstIP: dst.AsSlice()},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 1, Seq: uint16(ttl)},
		gopacket.Payload("hello"))
	if err != nil {
		panic(err)
	}
	return buf.Bytes()
}
