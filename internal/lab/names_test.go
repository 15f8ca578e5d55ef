package lab

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/dns/dnsmessage"
)

var someNames = map[netip.Addr]string{
	netip.MustParseAddr("203.0.113.7"):     "server.lab",
	netip.MustParseAddr("2001:db8:7::7"):   "server.lab",
	netip.MustParseAddr("203.0.113.8"):     "Server.lab",
	netip.MustParseAddr("198.51.100.1"):    "only4.lab",
	netip.MustParseAddr("2001:db8:100::1"): "only6.lab",
	netip.MustParseAddr("198.51.100.66"):   "evil\x1b[31m.lab",
}

// ask sends a DNS query to a resolver and returns the answer.
func (c *client) ask(resolver netip.Addr, name string, kind dnsmessage.Type) dnsmessage.Message {
	c.t.Helper()
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	b, err := q.Pack()
	if err != nil {
		c.t.Fatal(err)
	}
	c.datagram(resolver, 50000, 53, b)
	p := c.nextRaw()
	udp, ok := p.TransportLayer().(*layers.UDP)
	if !ok || udp.SrcPort != 53 || udp.DstPort != 50000 || !sound(p.Data()) {
		c.t.Fatalf("got %v", p)
	}
	var m dnsmessage.Message
	if err := m.Unpack(udp.Payload); err != nil {
		c.t.Fatal(err)
	}
	if m.ID != 4711 || !m.Response || len(udp.Payload) > 512 || !slices.Equal(m.Questions, q.Questions) {
		c.t.Fatalf("answer %+v", m)
	}
	return m
}

// records writes answers as text.
func records(m dnsmessage.Message) string {
	var list []string
	for _, a := range m.Answers {
		switch b := a.Body.(type) {
		case *dnsmessage.AResource:
			list = append(list, netip.AddrFrom4(b.A).String())
		case *dnsmessage.AAAAResource:
			list = append(list, netip.AddrFrom16(b.AAAA).String())
		case *dnsmessage.PTRResource:
			list = append(list, b.PTR.String())
		}
	}
	return strings.Join(list, " ")
}

func TestNames(t *testing.T) {
	cases := []struct {
		name  string
		kind  dnsmessage.Type
		want  string
		rcode dnsmessage.RCode
	}{
		{"server.lab.", dnsmessage.TypeA, "203.0.113.7 203.0.113.8", 0},
		{"SERVER.LAB.", dnsmessage.TypeA, "203.0.113.7 203.0.113.8", 0},
		{"server.lab.", dnsmessage.TypeAAAA, "2001:db8:7::7", 0},
		{"server.lab.", dnsmessage.TypeMX, "", 0},
		{"only4.lab.", dnsmessage.TypeAAAA, "", 0},
		{"other.lab.", dnsmessage.TypeA, "", dnsmessage.RCodeNameError},
		{"7.113.0.203.in-addr.arpa.", dnsmessage.TypePTR, "server.lab.", 0},
		{"8.113.0.203.in-addr.arpa.", dnsmessage.TypePTR, "Server.lab.", 0},
		{"9.113.0.203.in-addr.arpa.", dnsmessage.TypePTR, "", dnsmessage.RCodeNameError},
		{"66.100.51.198.in-addr.arpa.", dnsmessage.TypePTR, "evil\x1b[31m.lab.", 0},
		{"1." + strings.Repeat("0.", 19) + "0.0.1.0.8.b.d.0.1.0.0.2.ip6.arpa.", dnsmessage.TypePTR, "only6.lab.", 0},
	}
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Names: someNames, Hops: path(2), Out: Link{Delay: time.Second}})
		resolver := sameFamily(Addrs("192.0.2.53", "2001:db8::53"), target)
		for _, tc := range cases {
			m := c.ask(resolver, tc.name, tc.kind)
			if got := records(m); got != tc.want || m.RCode != tc.rcode {
				t.Errorf("%s %v: %q %v, want %q %v", tc.name, tc.kind, got, m.RCode, tc.want, tc.rcode)
			}
		}
		if time.Since(c.start) != 0 {
			t.Errorf("the resolver is %v away", time.Since(c.start))
		}
		log := c.m.Log()
		if n := len(log.Truth()); n != 0 || log.Totals().Queries != uint64(len(cases)) {
			t.Errorf("%d packets logged, %+v", n, log.Totals())
		}
	})
}

func TestSlowResolver(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		own := Addrs("192.0.2.77", "2001:db8::77")
		c := newClient(t, Topology{Names: someNames, Resolvers: own, NameDelay: 3 * time.Second})
		c.ask(sameFamily(own, target), "server.lab.", dnsmessage.TypeA)
		if at := time.Since(c.start); at != 3*time.Second {
			t.Errorf("answer after %v", at)
		}
		// The default address is a host like any other.
		c.datagram(sameFamily(Addrs("192.0.2.53", "2001:db8::53"), target), 50000, 53, []byte("?"))
		if g := c.must(); g.isReply() || len(g.quote) == 0 {
			t.Errorf("got %+v", g)
		}
	})
}

func TestManyAddressesOfOneName(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		names := make(map[netip.Addr]string)
		for a := netip.MustParseAddr("203.0.113.1"); len(names) < 200; a = a.Next() {
			names[a] = "many.lab"
		}
		c := newClient(t, Topology{Names: names})
		m := c.ask(sameFamily(Addrs("192.0.2.53", "2001:db8::53"), target), "many.lab.", dnsmessage.TypeA)
		if n := len(m.Answers); n < 15 || n > 40 {
			t.Errorf("%d answers", n)
		}
	})
}

func TestOddQueries(t *testing.T) {
	n := newNames(&Topology{Names: someNames})
	for _, q := range []string{"", "x", "twelve bytes", strings.Repeat("\x00", 11), "\x00\x01\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if b, err := n.answer([]byte(q)); err == nil && len(q) < 12 {
			t.Errorf("%q answered by %x", q, b)
		}
	}
	b, err := n.answer([]byte("\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	if err != nil || b[3]&0xf != byte(dnsmessage.RCodeFormatError) {
		t.Errorf("no question: %x %v", b, err)
	}
	b, err = n.answer([]byte("\x00\x01\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01"))
	if err != nil || b[3]&0xf != byte(dnsmessage.RCodeNotImplemented) {
		t.Errorf("update: %x %v", b, err)
	}
}
