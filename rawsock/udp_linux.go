package rawsock

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udp is the Linux part of a UDPConn.
type udp struct {
	outlet
	closed  atomic.Bool
	in, err receiver
	msg     UDPMessage
}

func openUDP(cfg Config) (*UDPConn, error) {
	fd, err := unix.Socket(cfg.domain(), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, opError("socket", err)
	}
	c := &UDPConn{family: cfg.Family, udp: udp{outlet: outlet{fd: fd}}}
	if err := c.configure(&cfg); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

func (c *UDPConn) configure(cfg *Config) error {
	cfg.Kind = Raw // which asks for no sharing of ports
	opts := cfg.options(Raw)
	if cfg.Family == IPv4 {
		opts = append(opts, option{"IP_RECVTTL", unix.SOL_IP, unix.IP_RECVTTL, 1})
	} else {
		opts = append(opts, option{"IPV6_V6ONLY", unix.SOL_IPV6, unix.IPV6_V6ONLY, 1})
	}
	if err := setOptions(c.fd, opts); err != nil {
		return err
	}
	tv := unix.NsecToTimeval(int64(cfg.Timeout))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return opError("setsockopt SO_RCVTIMEO", err)
	}
	// A kernel without timestamps costs accuracy, not the run.
	c.stamps = c.stamp(stampFlags(!cfg.NoStamps)) == nil && !cfg.NoStamps
	c.via = *cfg
	setBuf(c.fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.RecvBuf)
	setBuf(c.fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.SendBuf)
	if cfg.Interface != "" {
		if err := unix.BindToDevice(c.fd, cfg.Interface); err != nil {
			return opError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	if err := c.bindAny(cfg); err != nil {
		return err
	}
	c.out.init()
	c.in.init(cfg.MaxSize)
	c.err.init(errorQuote)
	return nil
}

// bindAny takes a port, so that it is the same for all datagrams; which one, the
// kernel draws at random.
func (c *UDPConn) bindAny(cfg *Config) error {
	src := cfg.Source
	if !src.IsValid() {
		src = netip.IPv4Unspecified()
		if cfg.Family == IPv6 {
			src = netip.IPv6Unspecified()
		}
	}
	sa, err := sockaddrOf(src, 0)
	if err != nil {
		return err
	}
	return opError("bind "+src.String(), unix.Bind(c.fd, sa))
}

func (c *UDPConn) kernelClock() bool { return c.stamps }

func (c *UDPConn) send(ds []UDPPacket) (int, error) {
	sent := 0
	for sent < len(ds) {
		n, err := c.sendSome(ds[sent:min(len(ds), sent+sendBatch)])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// sendSome sends what goes in one call.
func (c *UDPConn) sendSome(ds []UDPPacket) (int, error) {
	n := 0
	for ; n < len(ds); n++ {
		d := &ds[n]
		if err := c.put(n, d.To.Addr(), d.Data, d.Key); err != nil {
			if n == 0 {
				return 0, err
			}
			break // found again, and reported, by the next call
		}
		putPort(&c.out.names[n], d.To.Port())
	}
	return c.flush(n)
}

// putPort writes the port into sa, at the same place in either family.
func putPort(sa *sockaddr, port uint16) {
	(*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Port = bigEndian(port)
}

func (c *UDPConn) wait() error {
	_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(c.fd), 0, 0, unix.MSG_PEEK|unix.MSG_TRUNC, 0, 0)
	if c.closed.Load() {
		return net.ErrClosed
	}
	return fatal("recvfrom", errno)
}

// drain takes datagrams out of the receive queue a batch at a time, and before it
// tells them reads the error queue: the departure of what was answered is then in
// it.
func (c *UDPConn) drain(visit func(*UDPMessage)) error {
	for range drainBatches {
		n, errno := c.in.read(c.fd, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		now := time.Now()
		if err := fatal("recvmmsg", errno); err != nil {
			return err
		}
		c.drainErrors(now, visit)
		for i := range n {
			c.readDatagram(i, now)
			visit(&c.msg)
		}
		// An error takes the place of a message once; only "again" means empty.
		if n < len(c.in.hdrs) && (errno == 0 || errno == unix.EAGAIN) {
			return nil
		}
	}
	return nil
}

func (c *UDPConn) drainErrors(now time.Time, visit func(*UDPMessage)) {
	for range drainBatches {
		n, errno := c.err.read(c.fd, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		for i := range n {
			if c.readError(i, now) {
				visit(&c.msg)
			}
		}
		if n < len(c.err.hdrs) && errno != unix.EINTR {
			return
		}
	}
}

// readDatagram reads the i'th message of the receive queue.
func (c *UDPConn) readDatagram(i int, now time.Time) {
	m := &c.msg
	*m = UDPMessage{Message: Message{Event: Echo, Arrived: now, From: readAddr(&c.in.names[i]), Payload: c.in.data(i)}}
	m.Port, m.Size = readPort(&c.in.names[i]), int(c.in.hdrs[i].n)
	for cm := range c.in.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			m.Stamp = cm.stamp()
		case cm.is(unix.SOL_SOCKET, unix.SO_RXQ_OVFL):
			c.dropped.Store(cm.uint32())
		case cm.is(unix.SOL_IP, unix.IP_TTL), cm.is(unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
			m.TTL = uint8(cm.uint32())
		}
	}
}

// readError reads the i'th message of the error queue: a departure's timestamp, or
// an ICMP error with the start of the payload it is about.
func (c *UDPConn) readError(i int, now time.Time) bool {
	m := &c.msg
	*m = UDPMessage{Message: Message{Arrived: now}}
	var ee *unix.SockExtendedErr
	for cm := range c.err.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			m.Stamp = cm.stamp()
		case cm.is(unix.SOL_IP, unix.IP_TTL), cm.is(unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
			m.TTL = uint8(cm.uint32())
		case cm.is(unix.SOL_IP, unix.IP_RECVERR), cm.is(unix.SOL_IPV6, unix.IPV6_RECVERR):
			ee = cm.extendedErr()
			m.From = cm.offender()
		}
	}
	if ee == nil {
		return false
	}
	switch ee.Origin {
	case unix.SO_EE_ORIGIN_TIMESTAMPING:
		m.Event, m.Key = Stamp, c.out.keyOf(ee.Data, m.Stamp)
		return m.Stamp != 0
	case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
		m.Type, m.Code, m.Event = ee.Type, ee.Code, eventOf(c.family, ee.Type)
		if ee.Errno == uint32(unix.EMSGSIZE) {
			m.MTU = clampMTU(ee.Info)
		}
		m.To = netip.AddrPortFrom(readAddr(&c.err.names[i]), readPort(&c.err.names[i]))
		m.Payload, m.Size = c.err.data(i), int(c.err.hdrs[i].n)
		return m.Event == Error || m.Event == Redirect
	}
	return false
}

func (c *UDPConn) close() error {
	c.closed.Store(true)
	return opError("close", unix.Close(c.fd))
}
