package rawsock

import (
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvBytes bounds the buffers of one batch; large messages come in smaller
// batches.
const recvBytes = 256 << 10

// receiver holds what recvmmsg fills, so that receiving allocates nothing.
type receiver struct {
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	names []sockaddr
	ctls  []control
	size  int // of one buffer
	bufs  []byte
	msg   Message
}

// control has room for every control message asked for, aligned as they need.
type control [32]uint64

func (r *receiver) init(size int) {
	n := max(4, min(64, recvBytes/size))
	*r = receiver{
		hdrs: make([]mmsghdr, n), iovs: make([]unix.Iovec, n), names: make([]sockaddr, n),
		ctls: make([]control, n), bufs: make([]byte, n*size), size: size,
	}
	for i := range n {
		h := &r.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&r.ctls[i]))
		r.iovs[i].Base = &r.bufs[i*size]
		r.iovs[i].SetLen(size)
	}
}

// read fills up to all slots in one call.
func (r *receiver) read(fd, flags int) (int, unix.Errno) {
	for i := range r.hdrs {
		h := &r.hdrs[i].hdr
		h.Namelen = uint32(unsafe.Sizeof(sockaddr{}))
		h.SetControllen(int(unsafe.Sizeof(control{})))
		h.Flags = 0
		r.names[i].Family = 0
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(len(r.hdrs)), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// data is the i'th message as far as it fits; its whole length is hdrs[i].n
// with MSG_TRUNC.
func (r *receiver) data(i int) []byte {
	b := r.bufs[i*r.size : (i+1)*r.size]
	return b[:min(int(r.hdrs[i].n), len(b))]
}

// drainBatches bounds how many batches one drain reads.
const drainBatches = 64

// wait peeks with no buffer, so that nothing is taken out. Its errors are an
// ICMP error waiting in the error queue, a signal, the tick, or an interface
// that went down: the caller drains and the run goes on.
func (c *Conn) wait() error {
	_, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(c.fd), 0, 0, unix.MSG_PEEK|unix.MSG_TRUNC, 0, 0)
	if c.closed.Load() {
		return net.ErrClosed
	}
	return fatal("recvfrom", errno)
}

// fatal keeps the errors that no later call can mend.
func fatal(call string, errno unix.Errno) error {
	switch errno {
	case unix.EBADF, unix.ENOTSOCK, unix.EFAULT:
		return opError(call, errno)
	}
	return nil
}

// drain takes answers out of the receive queue a batch at a time, and before it
// tells them reads the error queue: the departure of an answered packet is then
// in it.
func (c *Conn) drain(visit func(*Message)) error {
	for range drainBatches {
		n, errno := c.in.read(c.fd, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		now := time.Now()
		if c.closed.Load() {
			return net.ErrClosed
		}
		if err := fatal("recvmmsg", errno); err != nil {
			return err
		}
		c.drainErrors(now, visit)
		for i := range n {
			if c.readData(i, now) {
				visit(&c.in.msg)
			}
		}
		if now.Sub(c.counted) >= dropsEvery {
			c.counted = now
			c.readDrops()
		}
		// An error takes the place of a message once; only "again" means empty.
		if n < len(c.in.hdrs) && (errno == 0 || errno == unix.EAGAIN) {
			return nil
		}
	}
	return nil
}

// dropsEvery is how often readDrops asks while messages come.
const dropsEvery = time.Second

// readDrops asks how many messages a datagram socket has dropped, since those of
// ICMP do not carry SO_RXQ_OVFL (ping_recvmsg in net/ipv4/ping.c). SO_MEMINFO
// tells it in the ninth of its numbers (SK_MEMINFO_DROPS, sock_diag.h).
func (c *Conn) readDrops() {
	if c.kind != Datagram {
		return
	}
	if n, ok := dropsOf(c.fd); ok {
		c.dropped.Store(n)
	}
}

func dropsOf(fd int) (n uint32, ok bool) {
	var info [9]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[8], errno == 0 && size >= uint32(unsafe.Sizeof(info))
}

// drainErrors reads the error queue until it is empty.
func (c *Conn) drainErrors(now time.Time, visit func(*Message)) {
	for range drainBatches {
		n, errno := c.err.read(c.fd, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		for i := range n {
			if c.readError(i, now) {
				visit(&c.err.msg)
			}
		}
		if n < len(c.err.hdrs) && errno != unix.EINTR {
			return
		}
	}
}

// readData parses the i'th message of the receive queue.
func (c *Conn) readData(i int, now time.Time) bool {
	r, m := &c.in, &c.in.msg
	*m = Message{Arrived: now}
	for cm := range r.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			m.Stamp = cm.stamp()
		case cm.is(unix.SOL_SOCKET, unix.SO_RXQ_OVFL):
			c.dropped.Store(cm.uint32())
		case cm.is(unix.SOL_IP, unix.IP_TTL), cm.is(unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
			m.TTL = uint8(cm.uint32())
		}
	}
	b := r.data(i)
	whole := int(r.hdrs[i].n)
	if c.family == IPv4 && c.kind == Raw {
		return ParseIPv4(b, m)
	}
	m.From = readAddr(&r.names[i])
	ok := ParseICMP(c.family, b, m)
	m.Size = max(m.Size, whole)
	return ok
}

// readError parses the i'th message of the error queue: a departure's
// timestamp, or an ICMP error with the start of the packet it is about.
func (c *Conn) readError(i int, now time.Time) bool {
	r, m := &c.err, &c.err.msg
	*m = Message{Arrived: now}
	var ee *unix.SockExtendedErr
	for cm := range r.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			m.Stamp = cm.stamp()
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
		m.Type, m.Code = ee.Type, ee.Code
		m.Event = eventOf(c.family, ee.Type)
		if ee.Errno == uint32(unix.EMSGSIZE) {
			m.MTU = clampMTU(ee.Info)
		}
		m.Dst = readAddr(&r.names[i])
		b := r.data(i)
		m.Size = int(r.hdrs[i].n)
		return (m.Event == Error || m.Event == Redirect) && parseQuotedEcho(c.family, b, m)
	}
	return false
}
