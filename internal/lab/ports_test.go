package lab

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// datagram sends a UDP datagram.
func (c *client) datagram(target netip.Addr, from, to uint16, payload []byte) []byte {
	c.t.Helper()
	h := header{src: c.m.Source(target), dst: target, ttl: c.ttl}
	return c.send(c.packer.datagram(h, from, to, payload))
}

// syn sends a TCP segment that opens a connection.
func (c *client) syn(target netip.Addr, from, to uint16, seq uint32) []byte {
	c.t.Helper()
	return c.segment(target, &layers.TCP{SrcPort: layers.TCPPort(from), DstPort: layers.TCPPort(to), Seq: seq, SYN: true}, nil)
}

func (c *client) segment(target netip.Addr, tcp *layers.TCP, payload []byte) []byte {
	c.t.Helper()
	h := header{src: c.m.Source(target), dst: target, ttl: c.ttl}
	return c.send(serialize(h, protoTCP, tcp, gopacket.Payload(payload)))
}

func (c *client) send(ip []byte) []byte {
	c.t.Helper()
	ip = bytes.Clone(ip)
	if err := c.m.Send(ip); err != nil {
		c.t.Fatal(err)
	}
	return ip
}

// nextRaw returns the next packet within a minute.
func (c *client) nextRaw() gopacket.Packet {
	c.t.Helper()
	select {
	case raw := <-c.m.Receive():
		first := layers.LayerTypeIPv4
		if raw[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
		return gopacket.NewPacket(raw, first, gopacket.Default)
	case <-time.After(time.Minute):
		c.t.Fatal("nothing came")
		return nil
	}
}

// flags returns those of a TCP segment as traceroute writes them.
func flags(tcp *layers.TCP) string {
	var s strings.Builder
	for _, f := range []struct {
		set  bool
		name string
	}{{tcp.SYN, "S"}, {tcp.ACK, "A"}, {tcp.RST, "R"}, {tcp.FIN, "F"}} {
		if f.set {
			s.WriteString(f.name)
		}
	}
	return s.String()
}

// sound reports whether the checksums of a packet (UDP, TCP or ICMPv6, without
// options) are right.
func sound(raw []byte) bool {
	if raw[0]>>4 == 4 {
		proto, body := raw[9], raw[20:]
		if proto == 1 {
			return sum(raw[:20]) == 0xffff && sum(body) == 0xffff
		}
		pseudo := append(bytes.Clone(raw[12:20]), 0, proto, byte(len(body)>>8), byte(len(body)))
		return sum(raw[:20]) == 0xffff && sum(append(pseudo, body...)) == 0xffff
	}
	body := raw[40:]
	pseudo := append(bytes.Clone(raw[8:40]), 0, raw[6], byte(len(body)>>8), byte(len(body)))
	return sum(append(pseudo, body...)) == 0xffff
}

func TestSegments(t *testing.T) {
	cases := []struct {
		name    string
		sent    layers.TCP
		payload string
		flags   string // empty: no answer
		ack     uint32
		seq     uint32 // of an RST
		fate    Fate
	}{
		{name: "SYN to an open port", sent: layers.TCP{DstPort: 443, Seq: 0xffffffff, SYN: true}, flags: "SA", ack: 0, fate: Delivered},
		{name: "SYN to a closed port", sent: layers.TCP{DstPort: 80, Seq: 41, SYN: true}, flags: "AR", ack: 42, fate: Refused},
		{name: "SYN with data to a closed port", sent: layers.TCP{DstPort: 80, Seq: 41, SYN: true}, payload: "abc", flags: "AR", ack: 45, fate: Refused},
		{name: "ACK to a closed port", sent: layers.TCP{DstPort: 80, Seq: 41, Ack: 7, ACK: true}, flags: "R", seq: 7, fate: Refused},
		{name: "ACK to an open port", sent: layers.TCP{DstPort: 443, Seq: 41, Ack: 7, ACK: true}, fate: Delivered},
		{name: "FIN to an open port", sent: layers.TCP{DstPort: 443, Seq: 41, Ack: 7, ACK: true, FIN: true}, flags: "R", seq: 7, fate: Delivered},
		{name: "RST to a closed port", sent: layers.TCP{DstPort: 80, Seq: 41, RST: true}, fate: Delivered},
		{name: "RST to an open port", sent: layers.TCP{DstPort: 443, Seq: 41, RST: true}, fate: Delivered},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, target netip.Addr) {
				c := newClient(t, Topology{Hops: path(2), Hosts: []Host{{TCP: []uint16{22, 443}}}})
				sent := tc.sent
				sent.SrcPort = 50123
				c.segment(target, &sent, []byte(tc.payload))
				if tc.flags == "" {
					c.silence()
				} else {
					p := c.nextRaw()
					tcp, ok := p.TransportLayer().(*layers.TCP)
					if !ok || flags(tcp) != tc.flags || tcp.Ack != tc.ack || tcp.SrcPort != sent.DstPort || tcp.DstPort != 50123 {
						t.Errorf("got %v, want %s with ack %d", p, tc.flags, tc.ack)
					}
					if tcp.RST && tcp.Seq != tc.seq {
						t.Errorf("RST with seq %d, want %d", tcp.Seq, tc.seq)
					}
					if !sound(p.Data()) {
						t.Errorf("wrong checksum: %v", p)
					}
				}
				trip := c.m.Log().Truth()[0]
				if trip.Fate != tc.fate || trip.At != target || trip.Hop != 3 || trip.Kind != TCP {
					t.Errorf("%v at %v (hop %d), want %v", trip.Entry, trip.At, trip.Hop, tc.fate)
				}
			})
		})
	}
}

func TestDatagrams(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Hops: path(2), Hosts: []Host{{UDP: []uint16{53}}}})
		c.datagram(target, 50123, 53, []byte("question"))
		p := c.nextRaw()
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok || udp.SrcPort != 53 || udp.DstPort != 50123 || string(udp.Payload) != "question" {
			t.Errorf("got %v", p)
		}
		if !sound(p.Data()) {
			t.Errorf("wrong checksum: %v", p)
		}
		sent := c.datagram(target, 50123, 54, []byte("question"))
		g := c.must()
		setTTL(sent, c.ttl-2)
		if !is(g, ipv4.ICMPTypeDestinationUnreachable, ipv6.ICMPTypeDestinationUnreachable) || !bytes.Equal(g.quote, sent) {
			t.Errorf("closed port: %+v", g)
		}
		trips := c.m.Log().Truth()
		if len(trips) != 2 || trips[0].Fate != Delivered || trips[1].Fate != Refused {
			t.Errorf("log: %v", trips)
		}
		if a, ok := trips[0].Answer(); !ok || a.Kind != UDP || a.Time-trips[0].Time != 40*ms {
			t.Errorf("answer %v after %v", a, a.Time-trips[0].Time)
		}
	})
}

func TestFirewalls(t *testing.T) {
	type sent struct {
		what  string
		port  uint16
		comes bool // an answer
	}
	cases := []struct {
		name   string
		filter Filter
		sent   []sent
	}{
		{"none", Filter{}, []sent{{"icmp", 0, true}, {"udp", 33434, true}, {"tcp", 443, true}, {"tcp", 80, true}}},
		{"no ICMP", Filter{ICMP: true}, []sent{{"icmp", 0, false}, {"udp", 33434, true}, {"tcp", 443, true}}},
		{"no UDP", Filter{UDP: true}, []sent{{"icmp", 0, true}, {"udp", 33434, false}, {"tcp", 443, true}}},
		{"only HTTPS", Filter{ICMP: true, UDP: true, TCP: true, Except: []uint16{443}},
			[]sent{{"icmp", 0, false}, {"udp", 33434, false}, {"udp", 443, true}, {"tcp", 443, true}, {"tcp", 80, false}}},
	}
	for _, tc := range cases {
		for _, onHost := range []bool{false, true} {
			families(t, func(t *testing.T, target netip.Addr) {
				topo := Topology{Hops: path(2), Hosts: []Host{{TCP: []uint16{443}}}}
				at := target
				if onHost {
					topo.Hosts[0].Drop = tc.filter
				} else {
					topo.Hops[1].Drop = tc.filter
					at = sameFamily(topo.Hops[1].Addrs, target)
				}
				c := newClient(t, topo)
				for i, s := range tc.sent {
					switch s.what {
					case "icmp":
						c.echo(target, 1, nil)
					case "udp":
						c.datagram(target, 50000, s.port, nil)
					case "tcp":
						c.syn(target, 50000, s.port, 1)
					}
					time.Sleep(time.Second)
					comes := len(c.m.Receive()) > 0
					if comes {
						<-c.m.Receive()
					}
					trip := c.m.Log().Truth()[i]
					if comes != s.comes || (trip.Fate == Dropped) == s.comes || !s.comes && trip.At != at {
						t.Errorf("%s, on the host %v: %s %d answered: %v, %v at %v", tc.name, onHost, s.what, s.port, comes, trip.Fate, trip.At)
					}
				}
				// A TTL that ends at the firewall is told all the same.
				c.ttl = 2
				c.syn(target, 50000, 80, 1)
				if g := c.must(); g.from != sameFamily(topo.Hops[1].Addrs, target) {
					t.Errorf("%s: TTL 2 answered by %v", tc.name, g.from)
				}
			})
		}
	}
}

func TestHopRefusesSegments(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(2)
		c := newClient(t, Topology{Hops: hops})
		to := sameFamily(hops[1].Addrs, target)
		c.syn(to, 50000, 80, 99)
		tcp := c.nextRaw().TransportLayer().(*layers.TCP)
		if flags(tcp) != "AR" || tcp.Ack != 100 {
			t.Errorf("got %+v", tcp)
		}
		if trip := c.m.Log().Truth()[0]; trip.Fate != Refused || trip.At != to || trip.Hop != 2 {
			t.Errorf("log: %v", trip)
		}
	})
}

func TestTimeExceededQuotesEveryProtocol(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Hops: path(3)})
		c.ttl = 2
		for _, sent := range [][]byte{
			c.echo(target, 1, []byte("12345")), c.datagram(target, 50000, 33434, []byte("12345")), c.syn(target, 50000, 80, 1),
		} {
			if g := c.must(); !bytes.Equal(g.quote, quotedOf(sent)) {
				t.Errorf("quote %x, want %x", g.quote, quotedOf(sent))
			}
		}
	})
}
