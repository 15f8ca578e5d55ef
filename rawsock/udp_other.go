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
)

// udp is a socket of package net: no kernel timestamps, no error queue, one
// datagram a call.
type udp struct {
	conn    *net.UDPConn
	timeout time.Duration
	closed  atomic.Bool

	reading sync.Mutex // guards what follows
	full    bool       // msg waits to be told
	buf     []byte
	msg     UDPMessage
}

func openUDP(cfg Config) (*UDPConn, error) {
	if err := dialSupported(&cfg); err != nil {
		return nil, err
	}
	network := "udp4"
	if cfg.Family == IPv6 {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Source, 0)))
	if err != nil {
		return nil, fmt.Errorf("rawsock: %w", err)
	}
	if cfg.RecvBuf > 0 {
		_ = conn.SetReadBuffer(cfg.RecvBuf) // a smaller one is no reason not to run
	}
	return &UDPConn{family: cfg.Family, udp: udp{conn: conn, timeout: cfg.Timeout, buf: make([]byte, cfg.MaxSize)}}, nil
}

func (c *UDPConn) kernelClock() bool { return false }

func (c *UDPConn) send(ds []UDPPacket) (int, error) {
	for i := range ds {
		if _, err := c.conn.WriteToUDPAddrPort(ds[i].Data, ds[i].To); err != nil {
			return i, fmt.Errorf("rawsock: %w", err)
		}
	}
	return len(ds), nil
}

// wait reads one datagram, which drain then tells: these sockets cannot peek.
func (c *UDPConn) wait() error {
	c.reading.Lock()
	full := c.full
	var err error
	if !full {
		_, err = c.next(c.timeout)
	}
	c.reading.Unlock()
	if full {
		time.Sleep(time.Millisecond) // until whoever was told has drained
	}
	return err
}

// drain interrupts a wait, so that what lies unread in the socket is told, too.
func (c *UDPConn) drain(visit func(*UDPMessage)) error {
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
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

// next reads one datagram, for at most d. More says that there was one.
// Only a closed socket is an error.
func (c *UDPConn) next(d time.Duration) (more bool, err error) {
	if c.closed.Load() {
		return false, net.ErrClosed
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	n, from, err := c.conn.ReadFromUDPAddrPort(c.buf)
	switch {
	case c.closed.Load():
		return false, net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case err != nil:
		time.Sleep(time.Millisecond) // one that comes back at once must not make us spin
		return true, nil
	}
	c.msg = UDPMessage{Message: Message{Event: Echo, Arrived: time.Now(), From: from.Addr().Unmap().WithZone(""), Payload: c.buf[:n], Size: n}, Port: from.Port()}
	c.full = true
	return true, nil
}

func (c *UDPConn) close() error {
	c.closed.Store(true)
	return c.conn.Close()
}
