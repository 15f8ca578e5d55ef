package rawsock

import (
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendBatch is how many packets one system call takes at most.
const sendBatch = 64

// pendingTries is how often a send is repeated that failed with what may be
// somebody else's error: see sender.flush.
const pendingTries = 8

// sender holds what sendmmsg points to, so that sending allocates nothing.
type sender struct {
	hdrs  [sendBatch]mmsghdr
	iovs  [sendBatch]unix.Iovec
	names [sendBatch]sockaddr
	ctls  [sendBatch]keyControl

	// Without SCM_TS_OPT_ID the kernel numbers packets from 0 itself: keys
	// remembers which key has which number. See counting.
	keyed bool
	next  uint32 // packets sent since the count last restarted
	keys  []atomic.Uint32
	count atomic.Pointer[counting]
}

// keyControl is one SCM_TS_OPT_ID control message.
type keyControl struct {
	hdr unix.Cmsghdr
	key uint32
	_   uint32 // pads to CMSG_SPACE(4) on 64-bit systems
}

// keyRing is how many packets can wait for their timestamp.
const keyRing = 1 << 16

func (s *sender) init() {
	if s.keyed = keyedStamps(); !s.keyed {
		s.initCount()
	}
	for i := range s.hdrs {
		h := &s.hdrs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
		c := &s.ctls[i]
		c.hdr.Level, c.hdr.Type = unix.SOL_SOCKET, unix.SCM_TS_OPT_ID
		c.hdr.SetLen(unix.CmsgLen(4))
	}
}

func (c *Conn) send(pkts []Packet) (int, error) {
	sent := 0
	for sent < len(pkts) {
		n := min(len(pkts)-sent, sendBatch)
		n, err := c.sendBatch(pkts[sent : sent+n])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func (c *Conn) sendBatch(pkts []Packet) (int, error) {
	s := &c.out
	for i := range pkts {
		n, err := putAddr(&s.names[i], pkts[i].To)
		if err != nil {
			if i == 0 {
				return 0, err
			}
			pkts = pkts[:i]
			break
		}
		h := &s.hdrs[i].hdr
		h.Namelen = n
		s.iovs[i].Base = unsafe.SliceData(pkts[i].Msg)
		s.iovs[i].SetLen(len(pkts[i].Msg))
		if c.stamps {
			s.setKey(i, pkts[i].Key)
		}
	}
	if n, errno := c.flush(len(pkts)); errno != 0 {
		return n, opError("sendmmsg", errno)
	}
	return len(pkts), nil
}

func (s *sender) setKey(i int, key uint32) {
	if !s.keyed {
		s.keys[(s.count.Load().first+s.next+uint32(i))%keyRing].Store(key)
		return
	}
	s.ctls[i].key = key
	s.hdrs[i].hdr.Control = (*byte)(unsafe.Pointer(&s.ctls[i]))
	s.hdrs[i].hdr.SetControllen(int(unsafe.Sizeof(s.ctls[i])))
}

// flush hands n prepared packets to the kernel. On a socket with IP_RECVERR an
// ICMP error for an earlier packet makes the next send fail in its place; that
// error is delivered once and is in the error queue too, so the send is
// repeated. An error of our own host comes back each time.
func (c *Conn) flush(n int) (int, unix.Errno) {
	done := 0
	for tries := 0; done < n; {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(c.fd),
			uintptr(unsafe.Pointer(&c.out.hdrs[done])), uintptr(n-done), 0, 0, 0)
		if errno != 0 && errno != unix.EINTR && c.stamps && !c.out.keyed {
			c.restartStamps()
		}
		switch {
		case errno == 0:
			done += int(k)
			c.out.next += uint32(k)
			tries = 0
		case errno == unix.EINTR:
		case mayBePending(errno) && tries < pendingTries:
			tries++
		default:
			return done, errno
		}
	}
	return done, 0
}

// mayBePending reports whether the kernel turns some ICMP error into errno
// (icmp_err_convert in net/ipv4/icmp.c, icmpv6_err_convert in net/ipv6/icmp.c).
func mayBePending(errno unix.Errno) bool {
	switch errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENOPROTOOPT, unix.ECONNREFUSED,
		unix.EMSGSIZE, unix.EOPNOTSUPP, unix.EHOSTDOWN, unix.ENONET, unix.EPROTO, unix.EACCES:
		return true
	}
	return false
}

// zoneID returns the interface index of a's zone, 0 if it has none.
func zoneID(a netip.Addr) (uint32, error) {
	z := a.Zone()
	if z == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(z, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(z)
	if err != nil {
		return 0, opError("if_nametoindex", unix.ENODEV)
	}
	return uint32(i.Index), nil
}
