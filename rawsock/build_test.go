package rawsock

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	protos = []Proto{ICMP, UDP, TCP}
	me4    = netip.MustParseAddr("192.0.2.1")
	me6    = netip.MustParseAddr("2001:db8::1")
)

// mine is the prober's address in the family of a.
func mine(a netip.Addr) netip.Addr {
	if a.Is4() {
		return me4
	}
	return me6
}

// eachProbe runs f for a probe of each protocol and family.
func eachProbe(t *testing.T, f func(t *testing.T, proto Proto, p Probe)) {
	for _, proto := range protos {
		for _, to := range []netip.Addr{target4, target6} {
			t.Run(fmt.Sprintf("%v IPv%d", proto, FamilyOf(to)), func(t *testing.T) {
				f(t, proto, Probe{From: mine(to), To: to, Port: 33434, TTL: 7, TOS: 0xb8, Flow: 0xf123, N: 0x0203, Cookie: 0x1122334455667788})
			})
		}
	}
}

// decode reads an IP packet with gopacket.
func decode(t testing.TB, b []byte) gopacket.Packet {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	pkt := gopacket.NewPacket(b, first, gopacket.Default)
	if e := pkt.ErrorLayer(); e != nil {
		t.Fatalf("% x: %v", b, e.Error())
	}
	for _, l := range pkt.Layers() {
		if l, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := l.SetNetworkLayerForChecksum(pkt.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return pkt
}

// gopacket reads what we build: the flow looks the same whatever the number,
// the number stands in two places, and all checksums are right.
func TestAppendProbe(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		for _, size := range []int{0, 60, 80, 81, 1500, 1 << 20} {
			for _, n := range []uint16{1, 2, 0x0203, 0x8000, 0xfffe} {
				p.N, p.Size, p.Cookie = n, size, p.Cookie*31+1
				b := AppendProbe(nil, proto, &p)
				checkBuilt(t, decode(t, b), proto, &p, len(b))
			}
		}
	})
}

// wantSize is how long the packet of p is to be.
func wantSize(proto Proto, p *Probe) int {
	head, most := 20, 65535
	if p.To.Is6() {
		head, most = 40, 65575
	}
	least := head + 18
	if proto == TCP {
		least = head + 40
	}
	return min(max(p.Size, least), most)
}

func checkBuilt(t *testing.T, pkt gopacket.Packet, proto Proto, p *Probe, size int) {
	t.Helper()
	if size != wantSize(proto, p) {
		t.Errorf("size %d gives %d octets", p.Size, size)
	}
	errs, mismatches := pkt.VerifyChecksums()
	if errs != nil || len(mismatches) != 0 {
		t.Errorf("number %#x, size %d: checksums %v %v", p.N, p.Size, errs, mismatches)
	}
	checkIP(t, pkt, p)
	cookie := uint64(0)
	payload := func(b []byte) {
		for _, c := range b[:8] {
			cookie = cookie<<8 | uint64(c)
		}
	}
	var sum, number uint16
	want := p.N
	switch l := pkt.TransportLayer().(type) {
	case *layers.UDP:
		sum, number = l.Checksum, l.Checksum
		payload(l.Payload)
		if uint16(l.SrcPort) != p.Flow || uint16(l.DstPort) != p.Port {
			t.Errorf("ports %d > %d", l.SrcPort, l.DstPort)
		}
	case *layers.TCP:
		sum, number, cookie = l.Checksum, uint16(l.Seq>>16), p.Cookie&^0xffff|uint64(l.Seq&0xffff)
		if uint16(l.SrcPort) != p.Flow || uint16(l.DstPort) != p.Port || !l.SYN || l.ACK || l.RST || len(l.Options) != 5 || l.Window == 0 {
			t.Errorf("%+v", l)
		}
	case nil:
		want = p.Flow
		var id uint16
		if l, ok := pkt.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
			sum, id, number = l.Checksum, l.Id, l.Seq
			payload(l.Payload)
		} else {
			e := pkt.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo)
			sum, id, number = pkt.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6).Checksum, e.Identifier, e.SeqNumber
			payload(e.Payload)
		}
		if id != p.Flow {
			t.Errorf("identifier %#x", id)
		}
	}
	if sum != want || number != p.N || cookie != p.Cookie {
		t.Errorf("checksum %#x, want %#x; number %#x, cookie %#x: %+v", sum, want, number, cookie, p)
	}
}

func checkIP(t *testing.T, pkt gopacket.Packet, p *Probe) {
	t.Helper()
	switch ip := pkt.NetworkLayer().(type) {
	case *layers.IPv4:
		if !ip.SrcIP.Equal(p.From.AsSlice()) || !ip.DstIP.Equal(p.To.AsSlice()) || ip.TTL != p.TTL || ip.TOS != p.TOS ||
			ip.Id != p.N || ip.Flags != layers.IPv4DontFragment || ip.FragOffset != 0 {
			t.Errorf("%+v", ip)
		}
	case *layers.IPv6:
		if !ip.SrcIP.Equal(p.From.AsSlice()) || !ip.DstIP.Equal(p.To.AsSlice()) || ip.HopLimit != p.TTL || ip.TrafficClass != p.TOS ||
			ip.FlowLabel != uint32(p.Flow) {
			t.Errorf("%+v", ip)
		}
	}
}

// Every flow and every number comes out, also where one's complement has two
// zeros.
func TestAppendProbeAllNumbers(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		var b []byte
		var r Reply
		for n := range 1 << 16 {
			p.N, p.Flow = uint16(n), uint16(n)
			if proto != ICMP {
				p.N = min(max(p.N, 1), 0xfffe)
			}
			b = AppendProbe(b[:0], proto, &p)
			h, body, ok := parsePacket(b)
			if !ok || !h.sumAddsUp(FamilyOf(p.To), body) {
				t.Fatalf("number %#x: % x", n, b)
			}
			r.reset(proto)
			if !r.parseQuote(FamilyOf(p.To), b) || r.N != p.N || r.Flow != p.Flow || r.Quoted.Sum != uint16(n) && r.Quoted.Sum != p.N {
				t.Fatalf("number %#x: read %+v", n, &r)
			}
		}
	})
}

// A buffer is appended to, and not allocated again.
func TestAppendProbeAllocatesNothing(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		b := make([]byte, 3, 2048)
		copy(b, "abc")
		p.Size = 1500
		if n := testing.AllocsPerRun(100, func() { b = AppendProbe(b[:3], proto, &p) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if string(b[:3]) != "abc" || len(b) != 1503 {
			t.Errorf("%d octets behind %q", len(b)-3, b[:3])
		}
		// Nothing of what the buffer held before is left.
		for i := range b {
			b[i] = 0xff
		}
		decode(t, AppendProbe(b[:3], proto, &p)[3:])
		if b[3:1503][1499] != 0 {
			t.Error("the padding is not zero")
		}
	})
}

func BenchmarkAppendProbe(b *testing.B) {
	p := Probe{From: me4, To: target4, Port: 33434, TTL: 7, Flow: 0xf123, N: 7, Cookie: 7, Size: 60}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendProbe(buf[:0], UDP, &p)
	}
}

// Without a source, or one of another family, nothing breaks: a kernel fills
// it in.
func TestAppendProbeWithoutSource(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		for _, from := range []netip.Addr{{}, me4, me6} {
			p.From = from
			if b := AppendProbe(nil, proto, &p); len(b) != wantSize(proto, &p) {
				t.Errorf("%d octets", len(b))
			}
		}
	})
}
