package rawsock

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/lab"
)

// udpHear waits until want of the event have come, or some time has passed.
func udpHear(t *testing.T, c *UDPConn, event Event, want int) []UDPMessage {
	t.Helper()
	a, err := NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if !a.WatchUDP(c) {
		t.Fatal("not watched")
	}
	var got []UDPMessage
	for until := time.Now().Add(patience); len(got) < want && time.Now().Before(until); {
		a.Wait(100 * time.Millisecond)
		if err := c.Drain(func(m *UDPMessage) {
			if m.Event == event {
				kept := *m
				kept.Payload = append([]byte{}, m.Payload...)
				got = append(got, kept)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// Datagrams to two peers leave from one port, answers come with who sent them,
// whoever that is, and both directions are stamped by the kernel.
func TestUDPLoopback(t *testing.T) {
	for _, tc := range []struct {
		family Family
		addr   string
	}{{IPv4, "127.0.0.1"}, {IPv6, "::1"}} {
		peers := make([]net.PacketConn, 3)
		for i := range peers {
			p, err := net.ListenPacket("udp", net.JoinHostPort(tc.addr, "0"))
			if err != nil {
				t.Skip(err)
			}
			defer p.Close()
			peers[i] = p
		}
		c, err := OpenUDP(Config{Family: tc.family, MaxSize: 64})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var pkts []UDPPacket
		for i := range 2 {
			pkts = append(pkts, UDPPacket{To: peers[i].LocalAddr().(*net.UDPAddr).AddrPort(), Data: []byte{byte(i)}, Key: uint32(100 + i)})
		}
		if n, err := c.Send(pkts); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		stamps := udpHear(t, c, Stamp, 2)
		if len(stamps) != 2 || stamps[0].Key+stamps[1].Key != 201 || stamps[0].Stamp == 0 {
			t.Errorf("stamps of departure %+v", stamps)
		}
		buf := make([]byte, 16)
		n, from, err := peers[0].ReadFrom(buf)
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if _, other, err := peers[1].ReadFrom(buf); err != nil || other.String() != from.String() {
			t.Errorf("from %v and %v: %v", from, other, err)
		}
		// The third peer was never asked; its answer is longer than the buffer.
		if _, err := peers[2].WriteTo(make([]byte, 100), from); err != nil {
			t.Fatal(err)
		}
		got := udpHear(t, c, Echo, 1)
		want := peers[2].LocalAddr().(*net.UDPAddr).AddrPort()
		if len(got) != 1 || netip.AddrPortFrom(got[0].From, got[0].Port) != want || got[0].Stamp == 0 || len(got[0].Payload) != 64 || got[0].Size != 100 || got[0].TTL == 0 {
			t.Errorf("heard %+v", got)
		}
	}
}

// A port-unreachable is told with who sent it, what it is about and how that began.
func TestUDPRefused(t *testing.T) {
	for _, tc := range []struct {
		family    Family
		addr      string
		typ, code uint8
	}{{IPv4, "127.0.0.1", 3, 3}, {IPv6, "::1", 1, 4}} {
		p, err := net.ListenPacket("udp", net.JoinHostPort(tc.addr, "0"))
		if err != nil {
			t.Skip(err)
		}
		to := p.LocalAddr().(*net.UDPAddr).AddrPort()
		p.Close()
		c, err := OpenUDP(Config{Family: tc.family})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Send([]UDPPacket{{To: to, Data: []byte("question")}}); err != nil {
			t.Fatal(err)
		}
		got := udpHear(t, c, Error, 1)
		if len(got) != 1 || got[0].Type != tc.typ || got[0].Code != tc.code || got[0].From != to.Addr() || got[0].To != to || string(got[0].Payload) != "question" {
			t.Errorf("heard %+v", got)
		}
	}
}

// What this host cannot send is said of the one it is about.
func TestUDPSendFailures(t *testing.T) {
	l := lab.Start(t, lab.Topology{})
	l.Must(l.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0")))
	l.Do(func() {
		c, err := OpenUDP(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		pkts := []UDPPacket{
			{To: netip.MustParseAddrPort("192.0.2.1:9"), Data: []byte("a")},
			{To: netip.MustParseAddrPort("203.0.113.1:9"), Data: []byte("b")},
		}
		if n, err := c.Send(pkts); n != 1 || CauseOf(err) != NoRoute {
			t.Errorf("%d sent, %v", n, err)
		}
	})
}
