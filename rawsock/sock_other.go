//go:build !linux

package rawsock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// sock is a Conn on x/net/icmp: no kernel timestamps, no error queue, one
// packet a call. ICMP errors are read where the system hands them to the
// socket at all.
type sock struct {
	pc      *icmp.PacketConn
	timeout time.Duration
	closed  atomic.Bool
	dropped atomic.Uint32 // stays 0: nobody tells
	buf     []byte

	reading sync.Mutex // guards what follows
	full    bool       // msg waits to be told; buf is its payload's
	msg     Message
}

func open(cfg Config) (*Conn, error) {
	if cfg.Mark != 0 || cfg.Interface != "" || cfg.PMTU != PMTUDefault {
		return nil, fmt.Errorf("rawsock: interface, mark and path-MTU modes: %w", errors.ErrUnsupported)
	}
	kinds := []Kind{cfg.Kind}
	if cfg.Kind == Auto {
		kinds = []Kind{Raw, Datagram}
	}
	var refused error
	for _, k := range kinds {
		pc, err := icmp.ListenPacket(network(cfg.Family, k), listenAddr(&cfg))
		if errors.Is(err, os.ErrPermission) {
			refused = err
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("rawsock: %w", err)
		}
		c := &Conn{family: cfg.Family, kind: k, id: cfg.ID, ids: cfg.IDs, sock: sock{
			pc: pc, timeout: cfg.Timeout, buf: make([]byte, 1<<16),
		}}
		if err := c.configure(&cfg); err != nil {
			pc.Close()
			return nil, err
		}
		return c, nil
	}
	return nil, &PermissionError{Kind: cfg.Kind, Err: refused}
}

func network(f Family, k Kind) string {
	switch {
	case f == IPv4 && k == Raw:
		return "ip4:icmp"
	case f == IPv4:
		return "udp4"
	case k == Raw:
		return "ip6:ipv6-icmp"
	}
	return "udp6"
}

func listenAddr(cfg *Config) string {
	switch {
	case cfg.Source.IsValid():
		return cfg.Source.String()
	case cfg.Family == IPv6:
		return "::"
	}
	return "0.0.0.0"
}

func (c *Conn) configure(cfg *Config) error {
	var err error
	set := func(on bool, f func(int) error, v int) {
		if on && err == nil {
			err = f(v)
		}
	}
	if p := c.pc.IPv4PacketConn(); p != nil {
		set(cfg.TTL != 0, p.SetTTL, cfg.TTL)
		set(cfg.TOS != 0, p.SetTOS, cfg.TOS)
		// Windows has no such control message: the TTL is unknown there.
		_ = p.SetControlMessage(ipv4.FlagTTL, true)
	}
	if p := c.pc.IPv6PacketConn(); p != nil {
		set(cfg.TTL != 0, p.SetHopLimit, cfg.TTL)
		set(cfg.TOS != 0, p.SetTrafficClass, cfg.TOS)
		_ = p.SetControlMessage(ipv6.FlagHopLimit, true)
	}
	if err != nil {
		return fmt.Errorf("rawsock: %w", err)
	}
	return nil
}

func (c *Conn) kernelClock() bool { return false }
func (c *Conn) recvBuf() int      { return 0 }

func (c *Conn) send(pkts []Packet) (int, error) {
	for i, p := range pkts {
		if _, err := c.pc.WriteTo(p.Msg, c.netAddr(p.To)); err != nil {
			return i, fmt.Errorf("rawsock: %w", err)
		}
	}
	return len(pkts), nil
}

func (c *Conn) netAddr(a netip.Addr) net.Addr {
	if c.kind == Datagram {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	return &net.IPAddr{IP: a.AsSlice(), Zone: a.Zone()}
}

// wait reads one message, which drain then tells: these sockets cannot peek.
func (c *Conn) wait() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.full {
		return nil
	}
	_, err := c.next(c.timeout)
	return err
}

// drain interrupts a wait, so that what lies unread in the socket is told, too.
func (c *Conn) drain(visit func(*Message)) error {
	_ = c.pc.SetReadDeadline(time.Unix(1, 0))
	c.reading.Lock()
	defer c.reading.Unlock()
	for range drainLimit {
		if c.full {
			c.full = false
			visit(&c.msg)
		}
		// A deadline in the past would read nothing at all.
		if more, err := c.next(time.Millisecond); err != nil || !more {
			return err
		}
	}
	return nil
}

// drainLimit bounds how many messages one drain tells.
const drainLimit = 4096

// next reads one message, for at most d, and if it is one of an echo into msg.
// More says that there was one. Only a closed socket is an
// error: others are about one packet, such as one too large for the buffer.
func (c *Conn) next(d time.Duration) (more bool, err error) {
	if c.closed.Load() {
		return false, net.ErrClosed
	}
	_ = c.pc.SetReadDeadline(time.Now().Add(d))
	n, ttl, from, err := c.read()
	switch {
	case c.closed.Load():
		return false, net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case err != nil:
		time.Sleep(time.Millisecond) // one that comes back at once must not make us spin
		return true, nil
	}
	c.msg = Message{Arrived: time.Now(), TTL: uint8(ttl), From: addrOf(from)}
	c.full = ParseICMP(c.family, c.buf[:n], &c.msg)
	return true, nil
}

// read reads one message with its TTL, 0 if the system does not tell.
func (c *Conn) read() (n, ttl int, from net.Addr, err error) {
	if p := c.pc.IPv4PacketConn(); p != nil {
		n, cm, from, err := p.ReadFrom(c.buf)
		if cm != nil {
			ttl = cm.TTL
		}
		return n, ttl, from, err
	}
	n, cm, from, err := c.pc.IPv6PacketConn().ReadFrom(c.buf)
	if cm != nil {
		ttl = cm.HopLimit
	}
	return n, ttl, from, err
}

func addrOf(a net.Addr) netip.Addr {
	var addr netip.Addr
	switch a := a.(type) {
	case *net.UDPAddr:
		addr, _ = netip.AddrFromSlice(a.IP)
	case *net.IPAddr:
		addr, _ = netip.AddrFromSlice(a.IP)
	}
	return addr.Unmap()
}

func (c *Conn) shutdown() {
	c.closed.Store(true)
	_ = c.pc.SetReadDeadline(time.Unix(1, 0))
}

func (c *Conn) close() error {
	c.closed.Store(true)
	return c.pc.Close()
}

func routeTo(dst netip.Addr, cfg Config) (Route, error) {
	var d net.Dialer
	if cfg.Source.IsValid() && cfg.Source.Is4() == dst.Is4() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Source, 0))
	}
	// Connecting a UDP socket sends nothing; 9 is discard (RFC 863).
	conn, err := d.Dial("udp", netip.AddrPortFrom(dst, 9).String())
	if err != nil {
		return Route{}, fmt.Errorf("rawsock: %w", err)
	}
	defer conn.Close()
	return Route{Source: addrOf(conn.LocalAddr())}, nil
}
