package rawsock

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const stampsDatagrams = true

// stampDial asks for timestamps and TTLs. A kernel without costs accuracy, not the try.
func stampDial(fd int, f Family) {
	_ = stampOn(fd, stampFlags(true))
	if f == IPv6 {
		_ = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
	} else {
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVTTL, 1)
	}
}

// keepStamps opens a socket that is never closed.
var keepStamps = sync.OnceFunc(func() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		_ = stampOn(fd, stampFlags(false))
	}
})

func receive(c *net.UDPConn, buf []byte, wait bool) (r Receipt, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return r, err
	}
	var errno error
	try := func(fd uintptr) (done bool) {
		r, errno = receiveNow(int(fd), buf)
		return errno != unix.EAGAIN
	}
	if wait {
		err = raw.Read(try) // its own errors are those of a deadline or a closed socket
	} else {
		err = raw.Control(func(fd uintptr) { try(fd) })
	}
	if err == nil && errno != nil {
		err = opError("recvmsg", errno)
	}
	return r, err
}

func receiveNow(fd int, buf []byte) (r Receipt, err error) {
	var oob [256]byte
	for {
		n, oobn, _, sa, err := unix.Recvmsg(fd, buf, oob[:], unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return r, err
		}
		r = Receipt{Len: n, From: addrPortOfSockaddr(sa)}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return r, nil // what it would have said is unknown
		}
		for _, m := range messages {
			r.read(cmsg{m.Header.Level, m.Header.Type, m.Data})
		}
		return r, nil
	}
}

// read takes what a control message says of the datagram.
func (r *Receipt) read(cm cmsg) {
	switch {
	case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
		r.Stamp = cm.stamp()
	case cm.is(unix.SOL_IP, unix.IP_TTL), cm.is(unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
		r.TTL = uint8(cm.uint32())
	}
}

func addrPortOfSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func readErrors(c syscall.RawConn) (e Errors) {
	_ = c.Control(func(fd uintptr) { e.readFrom(int(fd)) })
	return e
}

// readFrom empties the error queue of fd.
func (e *Errors) readFrom(fd int) {
	in := rejections.Get().(*receiver)
	defer rejections.Put(in)
	for range drainBatches {
		n, errno := in.read(fd, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		for i := range n {
			e.learn(in, i)
		}
		if n == 0 && errno != unix.EINTR {
			return
		}
	}
}

// learn reads the i'th message: an ICMP error, or when the datagram left.
func (e *Errors) learn(in *receiver, i int) {
	var stamp int64
	var left bool
	for cm := range in.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			stamp = cm.stamp()
		case cm.is(unix.SOL_IP, unix.IP_RECVERR), cm.is(unix.SOL_IPV6, unix.IPV6_RECVERR):
			ee := cm.extendedErr()
			left = ee != nil && ee.Origin == unix.SO_EE_ORIGIN_TIMESTAMPING
		}
	}
	switch r, ok := in.rejection(i); {
	case left:
		e.Left = stamp
	case ok && !e.Rejected:
		e.Rejection, e.Rejected, e.Stamp = r, true, stamp
	}
}
