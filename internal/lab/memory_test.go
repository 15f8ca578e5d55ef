package lab

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Targets of the tests, one per family.
var targets = Addrs("203.0.113.7", "2001:db8:7::7")

// families runs f once per family.
func families(t *testing.T, f func(t *testing.T, target netip.Addr)) {
	for _, target := range targets {
		name := "IPv6"
		if target.Is4() {
			name = "IPv4"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, target) })
		})
	}
}

// client speaks to a Memory as a ping would. Its parser is x/net's, for a
// second opinion.
type client struct {
	t      *testing.T
	m      *Memory
	start  time.Time
	ttl    uint8
	packer packer
}

func newClient(t *testing.T, topo Topology) *client {
	t.Helper()
	m := topo.Memory()
	t.Cleanup(m.Close)
	return &client{t: t, m: m, start: time.Now(), ttl: 64}
}

// echo sends an echo request with id 7.
func (c *client) echo(target netip.Addr, seq uint16, payload []byte) []byte {
	c.t.Helper()
	h := header{src: c.m.Source(target), dst: target, ttl: c.ttl}
	raw := bytes.Clone(c.packer.echo(h, EchoRequest, 7, seq, payload))
	if err := c.m.Send(raw); err != nil {
		c.t.Fatal(err)
	}
	return raw
}

// echoDF sends an echo request that must not be fragmented.
func (c *client) echoDF(target netip.Addr, seq uint16, payload []byte) []byte {
	c.t.Helper()
	h := header{src: c.m.Source(target), dst: target, ttl: c.ttl}
	raw := bytes.Clone(c.packer.echo(h, EchoRequest, 7, seq, payload))
	if target.Is4() {
		raw[6] |= 0x40
		sumHeader4(raw)
	}
	if err := c.m.Send(raw); err != nil {
		c.t.Fatal(err)
	}
	return raw
}

// got is a packet as the prober sees it.
type got struct {
	at       time.Duration
	from     netip.Addr
	ttl      int
	typ      icmp.Type
	code     int
	id, seq  int
	payload  []byte // of an echo
	quote    []byte // of an error
	raw      []byte
	mtu      int
	checksum bool // the ICMP checksum is right
}

// next returns the next packet within d, and false if none came.
func (c *client) next(d time.Duration) (got, bool) {
	c.t.Helper()
	select {
	case raw := <-c.m.Receive():
		g := c.open(raw)
		g.at = time.Since(c.start)
		return g, true
	case <-time.After(d):
		return got{}, false
	}
}

// must returns the next packet, which must come within a minute.
func (c *client) must() got {
	c.t.Helper()
	g, ok := c.next(time.Minute)
	if !ok {
		c.t.Fatal("nothing came")
	}
	return g
}

// silence fails if a packet comes within a minute.
func (c *client) silence() {
	c.t.Helper()
	if g, ok := c.next(time.Minute); ok {
		c.t.Fatalf("got %v from %v, want silence", g.typ, g.from)
	}
}

func (c *client) open(raw []byte) got {
	c.t.Helper()
	g := got{raw: raw}
	proto, body := 1, raw
	if raw[0]>>4 == 4 {
		h, err := ipv4.ParseHeader(raw)
		if err != nil {
			c.t.Fatal(err)
		}
		g.from, _ = netip.AddrFromSlice(h.Src.To4())
		g.ttl, body = h.TTL, raw[h.Len:]
		g.checksum = sum(body) == 0xffff
	} else {
		h, err := ipv6.ParseHeader(raw)
		if err != nil {
			c.t.Fatal(err)
		}
		g.from, _ = netip.AddrFromSlice(h.Src)
		g.ttl, body, proto = h.HopLimit, raw[40:], 58
		pseudo := append(bytes.Clone(raw[8:40]), 0, 0, byte(len(body)>>8), byte(len(body)), 0, 0, 0, 58)
		g.checksum = sum(append(pseudo, body...)) == 0xffff
	}
	m, err := icmp.ParseMessage(proto, body)
	if err != nil {
		c.t.Fatalf("parse %x: %v", body, err)
	}
	g.typ, g.code = m.Type, m.Code
	switch b := m.Body.(type) {
	case *icmp.Echo:
		g.id, g.seq, g.payload = b.ID, b.Seq, b.Data
	case *icmp.PacketTooBig:
		g.quote, g.mtu = b.Data, b.MTU
	case *icmp.DstUnreach, *icmp.TimeExceeded, *icmp.ParamProb:
		g.quote = body[8:]
		g.mtu = int(body[6])<<8 | int(body[7])
	case *icmp.RawBody:
		g.quote = body[8:]
	}
	return g
}

// sum is the ones' complement sum of RFC 1071, written out once more.
func sum(b []byte) uint16 {
	var s uint32
	for i, x := range b {
		if i%2 == 0 {
			s += uint32(x) << 8
		} else {
			s += uint32(x)
		}
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func is(g got, v4 ipv4.ICMPType, v6 ipv6.ICMPType) bool { return g.typ == v4 || g.typ == v6 }

func (g got) isReply() bool   { return is(g, ipv4.ICMPTypeEchoReply, ipv6.ICMPTypeEchoReply) }
func (g got) isRequest() bool { return is(g, ipv4.ICMPTypeEcho, ipv6.ICMPTypeEchoRequest) }

const ms = time.Millisecond

func TestZeroTopologyAnswers(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{})
		c.echo(target, 3, []byte("hello"))
		g := c.must()
		if !g.isReply() || g.from != target || g.id != 7 || g.seq != 3 || string(g.payload) != "hello" || g.at != 0 || g.ttl != 64 || !g.checksum {
			t.Errorf("got %+v", g)
		}
		c.silence()
	})
}

func TestDelayAddsUp(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{
			Out: Link{Delay: 1 * ms}, Back: Link{Delay: 2 * ms},
			Hops:  []Hop{{Out: Link{Delay: 4 * ms}, Back: Link{Delay: 8 * ms}}, {Out: Link{Delay: 16 * ms}}},
			Hosts: []Host{{Out: Link{Delay: 32 * ms}, Back: Link{Delay: 64 * ms}, Delay: 128 * ms}},
		})
		c.echo(target, 1, nil)
		if g := c.must(); g.at != 255*ms || g.ttl != 62 {
			t.Errorf("reply after %v with TTL %d, want 255ms, 62", g.at, g.ttl)
		}
	})
}

func path(n int) []Hop {
	var hops []Hop
	for i := range n {
		a := netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)})
		b := netip.MustParseAddr("2001:db8:100::").As16()
		b[15] = byte(i + 1)
		hops = append(hops, Hop{Addrs: []netip.Addr{a, netip.AddrFrom16(b)}, Out: Link{Delay: 10 * ms}, Back: Link{Delay: 10 * ms}})
	}
	return hops
}

func TestTimeExceeded(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Hops: path(3)})
		for i := range 3 {
			c.ttl = uint8(i + 1)
			begin := time.Since(c.start)
			sent := c.echo(target, uint16(i), []byte("0123456789abcdef"))
			g := c.must()
			if want := time.Duration(i) * 20 * ms; g.at-begin != want {
				t.Errorf("hop %d after %v, want %v", i+1, g.at-begin, want)
			}
			setTTL(sent, 1)
			if !is(g, ipv4.ICMPTypeTimeExceeded, ipv6.ICMPTypeTimeExceeded) || !bytes.Equal(g.quote, sent) || g.ttl != 255-i || !g.checksum {
				t.Errorf("hop %d: %+v, want time exceeded quoting %x", i+1, g, sent)
			}
			if want, _ := addressFor(path(3)[i].Addrs, target); g.from != want {
				t.Errorf("hop %d answers from %v, want %v", i+1, g.from, want)
			}
		}
		c.ttl = 4
		c.echo(target, 9, nil)
		if g := c.must(); !g.isReply() {
			t.Errorf("TTL 4: got %v, want the target", g.typ)
		}
	})
}

func TestSilentHopAndHost(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].Silent = true
		c := newClient(t, Topology{Hops: hops, Hosts: []Host{{Silent: true}}})
		c.echo(target, 1, nil)
		c.ttl = 1
		c.echo(target, 2, nil)
		c.silence()
		want := []Fate{Delivered, Expired}
		for i, e := range c.m.Log().Entries() {
			if e.Fate != want[i] {
				t.Errorf("%v, want %v", e, want[i])
			}
		}
	})
}

func TestRateLimit(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].RateLimit = RateLimit{PerSecond: 2, Burst: 3}
		c := newClient(t, Topology{Hops: hops})
		c.ttl = 1
		n := 0
		for i := range 40 {
			c.echo(target, uint16(i), nil)
			if _, ok := c.next(100 * ms); ok {
				n++
			} else {
				continue
			}
			time.Sleep(100*ms - time.Since(c.start)%(100*ms))
		}
		// A burst of 3, then one each 0.5 s of the next 3.9 s.
		if n != 10 {
			t.Errorf("%d answers in 4 s, want 10", n)
		}
	})
}

func TestMTU(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(2)
		hops[1].Out.MTU = 1400
		c := newClient(t, Topology{Hops: hops})
		head := 28
		if target.Is6() {
			head = 48
		}
		c.echoDF(target, 1, make([]byte, 1400-head))
		if g := c.must(); !g.isReply() {
			t.Errorf("1400 bytes: %v", g.typ)
		}
		c.echoDF(target, 2, make([]byte, 1401-head))
		g := c.must()
		if !is(g, ipv4.ICMPTypeDestinationUnreachable, ipv6.ICMPTypePacketTooBig) || g.mtu != 1400 {
			t.Errorf("1401 bytes: %v MTU %d", g.typ, g.mtu)
		}
		if want := sameFamily(hops[1].Addrs, target); g.from != want {
			t.Errorf("limit named by %v, want %v", g.from, want)
		}
		if limit := 576; target.Is4() && len(g.raw) > limit {
			t.Errorf("error of %d bytes, want at most %d", len(g.raw), limit)
		}
		if limit := 1280; len(g.raw) > limit {
			t.Errorf("error of %d bytes, want at most %d", len(g.raw), limit)
		}
	})
}

func TestBlackHole(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].Out = Link{MTU: 1400, BlackHole: true}
		c := newClient(t, Topology{Hops: hops})
		c.echoDF(target, 1, make([]byte, 1400))
		c.silence()
		if e := c.m.Log().Entries()[0]; e.Fate != Oversized {
			t.Errorf("%v, want oversized", e)
		}
		if target.Is4() {
			c.echo(target, 2, make([]byte, 1400)) // without DF
			if g := c.must(); !g.isReply() {
				t.Errorf("without DF: %v", g.typ)
			}
		}
	})
}
