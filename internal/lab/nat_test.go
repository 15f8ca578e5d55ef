package lab

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// behind is a path whose second of four hops translates.
func behind(n NAT) Topology {
	hops := path(4)
	hops[1].NAT = &n
	return Topology{Hops: hops, Hosts: []Host{{TCP: []uint16{443}, UDP: []uint16{53}}}}
}

func TestTranslatedAnswersComeHome(t *testing.T) {
	for _, keep := range []bool{false, true} {
		families(t, func(t *testing.T, target netip.Addr) {
			c := newClient(t, behind(NAT{KeepPort: keep}))
			c.echo(target, 3, []byte("odd"))
			if g := c.must(); !g.isReply() || g.id != 7 || g.seq != 3 || string(g.payload) != "odd" || !g.checksum {
				t.Errorf("echo: %+v", g)
			}
			c.datagram(target, 50123, 53, []byte("odd"))
			p := c.nextRaw()
			if udp, ok := p.TransportLayer().(*layers.UDP); !ok || udp.SrcPort != 53 || udp.DstPort != 50123 || !sound(p.Data()) {
				t.Errorf("udp: %v", p)
			}
			c.syn(target, 50123, 443, 9)
			p = c.nextRaw()
			if tcp, ok := p.TransportLayer().(*layers.TCP); !ok || tcp.DstPort != 50123 || tcp.Ack != 10 || !sound(p.Data()) {
				t.Errorf("tcp: %v", p)
			}
			for _, trip := range c.m.Log().Truth() {
				a, ok := trip.Answer()
				if !ok || a.Dst != trip.Src || a.Kind != EchoReply && (a.Seq != trip.ID || a.ID != trip.Seq) {
					t.Errorf("%v answered by %v", trip.Entry, a)
				}
			}
		})
	}
}

// probes sends one probe of each protocol with a TTL and returns them.
func (c *client) probes(target netip.Addr, ttl uint8) [][]byte {
	c.ttl = ttl
	return [][]byte{
		c.echo(target, 1, []byte("12345")), c.datagram(target, 50123, 33434, []byte("12345")), c.syn(target, 50123, 80, 1),
	}
}

func TestQuotesAreMended(t *testing.T) {
	for _, transport := range []int{0, 8} {
		families(t, func(t *testing.T, target netip.Addr) {
			topo := behind(NAT{})
			for i := range topo.Hops {
				topo.Hops[i].Quote.Transport = transport
			}
			c := newClient(t, topo)
			for ttl := range uint8(4) {
				for _, sent := range c.probes(target, ttl+1) {
					want := quotedOf(sent)
					g := c.must()
					if transport > 0 {
						want = want[:len(g.quote)]
					}
					if !bytes.Equal(g.quote, want) || !g.checksum || g.from != sameFamily(topo.Hops[ttl].Addrs, target) {
						t.Errorf("hop %d (%v): quote %x, want %x; checksum %v", ttl+1, g.from, g.quote, want, g.checksum)
					}
				}
			}
			for _, trip := range c.m.Log().Truth() {
				if a, ok := trip.Answer(); !ok || a.ID != trip.ID || a.Dst != trip.Src {
					t.Errorf("%v answered by %v", trip.Entry, a)
				}
			}
		})
	}
}

func TestQuotesLeftUnmended(t *testing.T) {
	outer := Addrs("203.0.113.99", "2001:db8:99::1")
	cases := []struct {
		name            string
		nat             NAT
		addr, port, sum bool // changed in the quote
	}{
		{"address", NAT{LeaveAddr: true}, true, false, false},
		{"port", NAT{LeavePort: true}, false, true, false},
		{"checksum", NAT{LeaveSum: true}, false, false, true},
		{"all", NAT{LeaveAddr: true, LeavePort: true, LeaveSum: true}, true, true, true},
		{"addresses only, checksum", NAT{KeepPort: true, LeaveSum: true}, false, false, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, target netip.Addr) {
				tc.nat.Addrs = outer
				c := newClient(t, behind(tc.nat))
				for i, sent := range c.probes(target, 3) {
					g := c.must()
					from, head, source := 12, 20, 4
					if target.Is6() {
						from, head, source = 8, 40, 16
					}
					want := quotedOf(sent)
					port, at := []int{4, 0, 0}[i], []int{2, 6, 16}[i]
					changed := func(a, n int) bool { return !bytes.Equal(g.quote[a:a+n], want[a:a+n]) }
					// An address alone changes nothing in the checksum of ICMPv4.
					sums := tc.sum && !(i == 0 && target.Is4() && tc.nat.KeepPort)
					if changed(from, source) != tc.addr || changed(head+port, 2) != tc.port || changed(head+at, 2) != sums {
						t.Errorf("protocol %d: quote %x, sent %x", i, g.quote, want)
					}
					if q, _ := netip.AddrFromSlice(g.quote[from : from+source]); tc.addr && q != sameFamily(outer, target) {
						t.Errorf("quoted source %v", q)
					}
					if target.Is4() && sum(g.quote[:20]) != 0xffff || !g.checksum {
						t.Error("wrong checksum of a header")
					}
					// What is left together is the packet as it was outside.
					if tc.addr && tc.port && tc.sum && !sound(g.quote) {
						t.Errorf("protocol %d: the translated packet has a wrong checksum", i)
					}
				}
			})
		})
	}
}

func TestTranslatorInsideTranslator(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		topo := behind(NAT{})
		topo.Hops[2].NAT = &NAT{Addrs: Addrs("203.0.113.99", "2001:db8:99::1")}
		c := newClient(t, topo)
		for _, sent := range c.probes(target, 4) {
			if g := c.must(); !bytes.Equal(g.quote, quotedOf(sent)) || !g.checksum {
				t.Errorf("quote %x, want %x", g.quote, quotedOf(sent))
			}
		}
		c.ttl = 64
		c.echo(target, 1, nil)
		if g := c.must(); !g.isReply() || g.id != 7 {
			t.Errorf("got %+v", g)
		}
	})
}

// TestTranslatorKeepsDamage: a bit that was flipped is not mended by the way.
func TestTranslatorKeepsDamage(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		topo := behind(NAT{})
		topo.Hops[2].Back.Corrupt = 1
		c := newClient(t, topo)
		bad := 0
		for seq := range 20 {
			c.echo(target, uint16(seq), make([]byte, 400))
			select {
			case raw := <-c.m.Receive():
				if !sound(raw) {
					bad++
				}
			case <-time.After(time.Second): // the identifier was hit
			}
		}
		if bad < 15 {
			t.Errorf("%d of 20 answers show the damage", bad)
		}
	})
}

func TestTranslatorRunsOutOfPorts(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		tr := newTranslator(&Hop{Addrs: hops[0].Addrs, NAT: &NAT{}})
		inner := sameFamily((&Topology{}).proberAddrs(), target)
		first := tr.give(endpoint{inner, protoUDP, 1})
		for port := 2; port <= lastOuter-firstOuter+2; port++ {
			tr.give(endpoint{inner, protoUDP, uint16(port)})
		}
		if again := tr.give(endpoint{inner, protoUDP, 1}); again == first {
			t.Error("the oldest mapping is still there")
		}
		if n := lastOuter - firstOuter + 1; len(tr.byInner) != n || len(tr.byOuter) != n {
			t.Errorf("%d and %d mappings, want %d", len(tr.byInner), len(tr.byOuter), n)
		}
	})
}

// TestChecksumSurvivesThereAndBack: what edit mends there it mends back, for
// every checksum.
func TestChecksumSurvivesThereAndBack(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.2")
	for x := 1; x <= 0xffff; x += 13 {
		d := make([]byte, 12)
		binary.BigEndian.PutUint16(d, 50123)
		binary.BigEndian.PutUint16(d[6:], uint16(x))
		edit(d, 6, protoUDP, a, b, func() { putPort(d, 0, 20000) })
		edit(d, 6, protoUDP, b, a, func() { putPort(d, 0, 50123) })
		if got := binary.BigEndian.Uint16(d[6:]); got != uint16(x) {
			t.Fatalf("%#04x came back as %#04x", x, got)
		}
	}
}
