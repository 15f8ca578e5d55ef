package lab

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/icmp"
)

// extensionsOf returns the extensions of an error as x/net reads them.
func extensionsOf(t *testing.T, raw []byte) []icmp.Extension {
	t.Helper()
	proto, body := 1, raw[20:]
	if raw[0]>>4 == 6 {
		proto, body = 58, raw[40:]
	}
	m, err := icmp.ParseMessage(proto, body)
	if err != nil {
		t.Fatal(err)
	}
	switch b := m.Body.(type) {
	case *icmp.TimeExceeded:
		return b.Extensions
	case *icmp.DstUnreach:
		return b.Extensions
	}
	t.Fatalf("%v carries no extensions", m.Type)
	return nil
}

func TestLabelsAndInterfacesAreTold(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].MPLS = []Label{{Label: 24015, TC: 5, TTL: 1}, {Label: 1048575, Bottom: true, TTL: 254}}
		hops[0].Interfaces = []Interface{
			{Role: 0, Index: 15, Addr: netip.MustParseAddr("198.51.100.77"), Name: "xe-0/0/0.1", MTU: 1500},
			{Role: 2, Addr: netip.MustParseAddr("2001:db8:100::77")},
		}
		for _, size := range []int{0, 9, 100, 128, 600, 1400} {
			c := newClient(t, Topology{Hops: hops})
			c.ttl = 1
			sent := c.echoDF(target, 1, make([]byte, size))
			g := c.must()
			want := []icmp.Extension{
				&icmp.MPLSLabelStack{Class: 1, Type: 1, Labels: []icmp.MPLSLabel{
					{Label: 24015, TC: 5, TTL: 1}, {Label: 1048575, S: true, TTL: 254},
				}},
				&icmp.InterfaceInfo{Class: 2, Type: 0x0f, Interface: &net.Interface{Index: 15, Name: "xe-0/0/0.1", MTU: 1500},
					Addr: &net.IPAddr{IP: net.IP{198, 51, 100, 77}}},
				&icmp.InterfaceInfo{Class: 2, Type: 0x84,
					Addr: &net.IPAddr{IP: net.ParseIP("2001:db8:100::77")}},
			}
			if diff := cmp.Diff(want, extensionsOf(t, g.raw)); diff != "" {
				t.Errorf("%d bytes: %s", size, diff)
			}
			words, unit, head := g.raw[25], 4, 28
			if target.Is6() {
				words, unit, head = g.raw[44], 8, 48
			}
			length := int(words) * unit
			if length < 128 || length > 128 && length > len(sent)+unit {
				t.Errorf("%d bytes: the quote takes %d octets", size, length)
			}
			if n := min(len(sent), length); !bytes.Equal(g.quote[:n], quotedOf(sent)[:n]) {
				t.Errorf("%d bytes: quote %x", size, g.quote)
			}
			if limit := map[int]int{4: 576, 8: 1280}[unit]; len(g.raw) > limit || !g.checksum {
				t.Errorf("%d bytes: error of %d bytes behind %d, checksum %v", size, len(g.raw), head, g.checksum)
			}
		}
	})
}

// quotedOf is a packet as a hop quotes it.
func quotedOf(sent []byte) []byte {
	b := bytes.Clone(sent)
	setTTL(b, 1)
	return b
}

func TestExtensionsWithoutLength(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].MPLS = []Label{{Label: 3, Bottom: true, TTL: 1}}
		hops[0].Quote.NoLength = true
		for _, size := range []int{8, 400} {
			c := newClient(t, Topology{Hops: hops})
			c.ttl = 1
			c.echoDF(target, 1, make([]byte, size))
			g := c.must()
			want := []byte{0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0x31, 1}
			if got := g.quote[128:]; len(got) != 12 || sum(got) != 0xffff {
				t.Errorf("%d bytes: extensions %x", size, got)
			} else if got[2], got[3] = 0, 0; !bytes.Equal(got, want) {
				t.Errorf("%d bytes: extensions %x, want %x", size, got, want)
			}
			head := g.raw[len(g.raw)-len(g.quote)-4:]
			if !bytes.Equal(head[:4], make([]byte, 4)) {
				t.Errorf("second word %x, want none", head[:4])
			}
		}
	})
}

func TestOnlySomeErrorsTell(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		stack := []Label{{Label: 3, Bottom: true, TTL: 1}}
		for _, tc := range []struct {
			name string
			e    ICMPError
			size [2]int // of the ICMP message, by family, about 8 octets of payload
		}{
			{"unreachable", HostUnreachable, [2]int{8 + 128 + 12, 8 + 128 + 12}},
			{"source quench", SourceQuench, [2]int{8 + 36, 8 + 128 + 12}},
			{"parameter problem", ParameterProblem, [2]int{8 + 128 + 12, 8 + 56}},
			{"too big", TooBig(1300), [2]int{8 + 128 + 12, 8 + 56}},
		} {
			hops := path(1)
			hops[0].MPLS, hops[0].Error = stack, tc.e
			c := newClient(t, Topology{Hops: hops})
			c.echo(target, 1, make([]byte, 8))
			g := c.must()
			want := 20 + tc.size[0]
			if target.Is6() {
				want = 40 + tc.size[1]
			}
			if len(g.raw) != want || !g.checksum {
				t.Errorf("%s: %d bytes, want %d; checksum %v", tc.name, len(g.raw), want, g.checksum)
			}
			if tc.name == "too big" && g.mtu != 1300 {
				t.Errorf("too big: MTU %d", g.mtu)
			}
		}
	})
}

func TestBrokenSum(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].Quote.BrokenSum = true
		c := newClient(t, Topology{Hops: hops})
		c.ttl = 1
		for _, tc := range []struct {
			name string
			sent []byte
			at   int // of the checksum in the transport header; 0: whole
		}{
			{"echo", c.echo(target, 1, []byte("x")), 0},
			{"udp", c.datagram(target, 40000, 33434, []byte("odd")), 6},
			{"tcp", c.syn(target, 40000, 80, 7), 16},
		} {
			g := c.must()
			want := quotedOf(tc.sent)
			head := 20
			if target.Is6() {
				head = 40
			}
			if tc.at > 0 {
				// The pseudo-header: addresses, protocol and length.
				b := want[head:]
				addrs := want[12:20]
				if target.Is6() {
					addrs = want[8:40]
				}
				proto := map[string]byte{"udp": 17, "tcp": 6}[tc.name]
				pseudo := append(bytes.Clone(addrs), 0, proto, byte(len(b)>>8), byte(len(b)))
				x := sum(pseudo)
				b[tc.at], b[tc.at+1] = byte(x>>8), byte(x)
			}
			if !bytes.Equal(g.quote, want) {
				t.Errorf("%s: quote %x, want %x", tc.name, g.quote, want)
			}
		}
	})
}

func TestTrafficClassIsRewritten(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(3)
		hops[1].TOS = new(uint8(0xb8))
		c := newClient(t, Topology{Hops: hops})
		for i, want := range []uint8{0, 0, 0xb8} {
			c.ttl = uint8(i + 1)
			c.echo(target, uint16(i), nil)
			g := c.must()
			if got := tos(g.quote); got != want {
				t.Errorf("hop %d quotes %#x, want %#x", i+1, got, want)
			}
			if target.Is4() && sum(g.quote[:20]) != 0xffff {
				t.Errorf("hop %d quotes a header with a wrong checksum", i+1)
			}
		}
	})
}

func TestSlowControlPlane(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(2)
		hops[0].Delay = 600 * ms
		c := newClient(t, Topology{Hops: hops})
		c.ttl = 1
		c.echo(target, 1, nil)
		c.ttl = 2
		c.echo(target, 2, nil)
		c.ttl = 64
		c.echo(sameFamily(hops[0].Addrs, target), 3, nil)
		for i, want := range []int64{20, 600, 600} {
			if g := c.must(); g.at.Milliseconds() != want {
				t.Errorf("answer %d after %v, want %d ms", i, g.at, want)
			}
		}
	})
}

// TestOddTTLs: a hop that forwards with TTL 0 never shows itself, and one in a
// tunnel quotes a TTL that was not counted down.
func TestOddTTLs(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(4)
		hops[1].ZeroTTL = true
		hops[3].Quote.TTL = 3
		c := newClient(t, Topology{Hops: hops})
		for i, want := range []struct{ hop, ttl uint8 }{{0, 1}, {2, 0}, {2, 1}, {3, 3}} {
			c.ttl = uint8(i + 1)
			sent := c.echo(target, uint16(i), nil)
			setTTL(sent, want.ttl)
			g := c.must()
			if g.from != sameFamily(hops[want.hop].Addrs, target) || !bytes.Equal(g.quote, sent) {
				t.Errorf("TTL %d: %v quotes %x, want %x", i+1, g.from, g.quote, sent)
			}
		}
		c.ttl = 5
		c.echo(target, 9, nil)
		if g := c.must(); !g.isReply() {
			t.Errorf("TTL 5: %+v", g)
		}
	})
}
