package icmp

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"netprobe/internal/lab"
	"netprobe/rawsock"
)

// network is the in-memory lab with sockets of our own on it: what a kernel
// does between the engine and the network, it does here.
type network struct {
	t       testing.TB
	mem     *lab.Memory
	tick    time.Duration              // of Wait
	readers bool                       // nobody can watch: readers wait
	wall    func(time.Time) int64      // the wall clock that stamps are in, ns since 1970
	done    sync.WaitGroup             // the pump
	mu      sync.Mutex                 // guards socks
	socks   []*labConn                 //
	lose    func(key uint32) bool      // transmit timestamps that never come; may be nil
	stop    func() time.Duration       // asked before each Send: how long the process is stopped after it; may be nil
	until   time.Time                  // the process is stopped until then; guarded by mu
	fail    func(rawsock.Packet) error // what Send answers for a packet; may be nil
	alter   func(*rawsock.Message)     // what a clock or a kernel makes of a message; may be nil
}

// newNetwork starts topo. The network ends with the test.
func newNetwork(t testing.TB, topo lab.Topology) *network {
	n := &network{t: t, mem: topo.Memory(), tick: rawsock.DefaultTimeout, wall: time.Time.UnixNano}
	n.done.Go(n.pump)
	return n
}

// close ends the network.
func (n *network) close() {
	n.mem.Close()
	n.done.Wait()
}

// stopFor stops every reader that wakes from now on, and the sender when it
// has sent, for d. It comes before the first packet leaves, so that nobody
// waits for a lock meanwhile: virtual time would stand still.
func (n *network) stopFor(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.until = time.Now().Add(d)
}

// sleep sleeps while the process is stopped.
func (n *network) sleep() {
	n.mu.Lock()
	until := n.until
	n.mu.Unlock()
	time.Sleep(time.Until(until))
}

// pump hands each packet to the sockets that a kernel would hand it to.
func (n *network) pump() {
	for raw := range n.mem.Receive() {
		n.mu.Lock()
		for _, c := range n.socks {
			c.receive(raw)
		}
		n.mu.Unlock()
	}
}

// labConn is a conn on a network: a raw socket, or with ids 1 a datagram socket
// bound to that identifier. It receives packets of its family, as the raw
// sockets of Linux do whole IPv4 packets and ICMPv6 messages, with stamps.
type labConn struct {
	net      *network
	family   rawsock.Family
	id, ids  uint16
	dgram    bool
	stamps   bool // the kernel stamps departures and arrivals
	ttl      uint8
	df       bool
	dropped  uint32
	mu       sync.Mutex // guards what follows
	data     []queued
	departed []rawsock.Message
	buf      gopacket.SerializeBuffer
	arrived  func() // tells whoever watches; may be nil
	ready    chan struct{}
	closed   chan struct{}
	once     sync.Once
}

// queued is a packet in a receive queue.
type queued struct {
	raw []byte
	at  int64 // ns since 1970 by the wall clock
}

// socket opens a raw socket for ids identifiers from id on.
func (n *network) socket(f rawsock.Family, id, ids uint16) *labConn {
	c := &labConn{
		net: n, family: f, id: id, ids: ids, stamps: true, ttl: 64, buf: gopacket.NewSerializeBuffer(),
		ready: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	n.mu.Lock()
	n.socks = append(n.socks, c)
	n.mu.Unlock()
	return c
}

func (c *labConn) IDs() (first, n uint16) { return c.id, c.ids }
func (c *labConn) KernelClock() bool      { return c.stamps }
func (c *labConn) Dropped() uint32        { return c.dropped }
func (c *labConn) RecvBuf() int           { return 1 << 20 }
func (c *labConn) Shutdown()              { c.once.Do(func() { close(c.closed) }) }
func (c *labConn) Close() error           { c.Shutdown(); return nil }

// watch has arrived called for what comes, unless the network has readers wait.
func (c *labConn) watch(arrived func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived = arrived
	return !c.net.readers
}

func (c *labConn) notify() {
	c.mu.Lock()
	arrived := c.arrived
	c.mu.Unlock()
	if arrived != nil {
		arrived()
	}
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *labConn) Send(pkts []rawsock.Packet) (int, error) {
	if c.net.stop != nil {
		c.net.stopFor(c.net.stop())
		defer c.net.sleep()
	}
	for i, p := range pkts {
		if c.net.fail != nil {
			if err := c.net.fail(p); err != nil {
				return i, err
			}
		}
		if err := c.net.mem.Send(c.packet(p)); err != nil {
			c.net.t.Errorf("send: %v", err)
		}
		if c.stamps && (c.net.lose == nil || !c.net.lose(p.Key)) {
			now := time.Now()
			c.mu.Lock()
			c.departed = append(c.departed, rawsock.Message{
				Event: rawsock.Stamp, Key: p.Key, Stamp: c.net.wall(now), Arrived: now,
			})
			c.mu.Unlock()
			c.notify()
		}
	}
	return len(pkts), nil
}

// packet wraps an ICMP message into IP with gopacket, which checks what the
// engine built.
func (c *labConn) packet(p rawsock.Packet) []byte {
	src := c.net.mem.Source(p.To)
	c.mu.Lock()
	defer c.mu.Unlock()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	var err error
	if c.family == rawsock.IPv4 {
		if s := gopacket.FoldChecksum(gopacket.ComputeChecksum(p.Msg, 0)); s != 0 {
			c.net.t.Errorf("checksum of a packet to %v is wrong by %#x", p.To, s)
		}
		ip := &layers.IPv4{Version: 4, TTL: c.ttl, Protocol: layers.IPProtocolICMPv4, SrcIP: src.AsSlice(), DstIP: p.To.AsSlice()}
		if c.df {
			ip.Flags = layers.IPv4DontFragment
		}
		err = gopacket.SerializeLayers(c.buf, opts, ip, gopacket.Payload(p.Msg))
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: c.ttl, NextHeader: layers.IPProtocolICMPv6, SrcIP: src.AsSlice(), DstIP: p.To.AsSlice()}
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(p.Msg[0], p.Msg[1])}
		_ = icmp.SetNetworkLayerForChecksum(ip) // fails for other layers only
		err = gopacket.SerializeLayers(c.buf, opts, ip, icmp, gopacket.Payload(p.Msg[4:]))
	}
	if err != nil {
		c.net.t.Errorf("serialize: %v", err)
	}
	return c.buf.Bytes()
}

// receive queues a packet if it is of the socket's family.
func (c *labConn) receive(raw []byte) {
	if raw[0]>>4 != byte(c.family) {
		return
	}
	c.mu.Lock()
	c.data = append(c.data, queued{raw, c.net.wall(time.Now())})
	c.mu.Unlock()
	c.notify()
}

func (c *labConn) Wait() error {
	tick := time.NewTimer(c.net.tick)
	defer tick.Stop()
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-c.ready:
	case <-tick.C:
	}
	c.net.sleep()
	return nil
}

func (c *labConn) Drain(visit func(*rawsock.Message)) error {
	c.mu.Lock()
	departed, data := c.departed, c.data
	c.departed, c.data = nil, nil
	c.mu.Unlock()
	tell := func(m *rawsock.Message) {
		if c.net.alter != nil {
			c.net.alter(m)
		}
		visit(m)
	}
	for i := range departed {
		tell(&departed[i])
	}
	for _, a := range data {
		m := rawsock.Message{Arrived: time.Now()}
		if c.stamps {
			m.Stamp = a.at
		}
		if c.parse(a.raw, &m) {
			tell(&m)
		}
	}
	return nil
}

// parse does what the kernel and its filter do with a packet for this socket.
func (c *labConn) parse(raw []byte, m *rawsock.Message) bool {
	if c.family == rawsock.IPv4 {
		return rawsock.ParseIPv4(raw, m) && c.mine(m) && !(c.dgram && m.BadSum)
	}
	p := gopacket.NewPacket(raw, layers.LayerTypeIPv6, gopacket.NoCopy)
	ip := p.NetworkLayer().(*layers.IPv6)
	icmp, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if !ok || !validSum6(ip, icmp) {
		return false
	}
	m.From, _ = netip.AddrFromSlice(ip.SrcIP)
	m.TTL = ip.HopLimit
	return rawsock.ParseICMP(rawsock.IPv6, append(icmp.Contents, icmp.Payload...), m) && c.mine(m)
}

func (c *labConn) mine(m *rawsock.Message) bool { return m.ID-c.id < c.ids }

// validSum6 reports whether the checksum of an ICMPv6 message is right: the
// kernel drops others itself.
func validSum6(ip *layers.IPv6, icmp *layers.ICMPv6) bool {
	body := append(append([]byte(nil), icmp.Contents...), icmp.Payload...)
	pseudo := append(append([]byte(nil), ip.SrcIP...), ip.DstIP...)
	n := len(body)
	pseudo = append(pseudo, byte(n>>24), byte(n>>16), byte(n>>8), byte(n), 0, 0, 0, 58)
	return gopacket.FoldChecksum(gopacket.ComputeChecksum(append(pseudo, body...), 0)) == 0
}

// mend writes the lengths and checksums of an ICMP packet without IP options
// that a test has altered.
func mend(raw []byte) {
	n := len(raw)
	if raw[0]>>4 == 4 {
		raw[2], raw[3], raw[10], raw[11], raw[22], raw[23] = byte(n>>8), byte(n), 0, 0, 0, 0
		put16(raw[10:], gopacket.FoldChecksum(gopacket.ComputeChecksum(raw[:20], 0)))
		put16(raw[22:], gopacket.FoldChecksum(gopacket.ComputeChecksum(raw[20:], 0)))
		return
	}
	body := raw[40:]
	put16(raw[4:], uint16(len(body)))
	body[2], body[3] = 0, 0
	pseudo := append(append([]byte(nil), raw[8:40]...), 0, 0, raw[4], raw[5], 0, 0, 0, 58)
	put16(body[2:], gopacket.FoldChecksum(gopacket.ComputeChecksum(append(pseudo, body...), 0)))
}

func put16(b []byte, v uint16) { b[0], b[1] = byte(v>>8), byte(v) }
