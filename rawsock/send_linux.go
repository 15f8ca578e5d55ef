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

// A send that failed with what may be an earlier packet's error is repeated
// pendingTries times; then the route decides whether the error is our own, and
// if it is not, up to pendingLimit times. See Conn.flush.
const (
	pendingTries = 8
	pendingLimit = 1000
)

// sender holds what sendmmsg points to, so that sending allocates nothing.
type sender struct {
	hdrs  [sendBatch]mmsghdr
	iovs  [sendBatch]unix.Iovec
	names [sendBatch]sockaddr
	ctls  [sendBatch]keyControl

	// Without SCM_TS_OPT_ID the kernel numbers packets from 0 itself: keys
	// remembers which key has which number. See counting.
	zones map[string]uint32 // interface index by zone

	keyed bool
	next  uint32 // packets sent since the count last restarted
	keys  []atomic.Uint32
	count atomic.Pointer[counting]
}

// keyControl is one SCM_TS_OPT_ID control message.
type keyControl struct {
	hdr unix.Cmsghdr
	key uint32
	_   uint32 // pads to CMSG_SPACE(4), which on 32-bit systems needs none
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
		zone, err := s.zone(pkts[i].To)
		if err != nil {
			if i == 0 {
				return 0, err
			}
			pkts = pkts[:i]
			break
		}
		h := &s.hdrs[i].hdr
		h.Namelen = putAddr(&s.names[i], pkts[i].To, zone)
		s.iovs[i].Base = unsafe.SliceData(pkts[i].Msg)
		s.iovs[i].SetLen(len(pkts[i].Msg))
		if c.stamps {
			s.setKey(i, pkts[i].Key)
		}
	}
	if n, errno := c.flush(pkts); errno != 0 {
		clear(s.zones) // an interface made anew has another index
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
	s.hdrs[i].hdr.SetControllen(unix.CmsgSpace(4))
}

// flush hands the prepared packets to the kernel. On a socket with IP_RECVERR
// an ICMP error for an earlier packet makes the next send fail in its place;
// that error is delivered once and is in the error queue too, so the send is
// repeated. An error of our own host comes back each time; where many targets
// are unreachable at once, so may those of others, and the route decides.
//
// It never blocks: packets that wait for their neighbour's address count
// against the send buffer for seconds, and one dead neighbour must not hold up
// everybody else.
func (c *Conn) flush(pkts []Packet) (int, unix.Errno) {
	done := 0
	for tries := 0; done < len(pkts); {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(c.fd),
			uintptr(unsafe.Pointer(&c.out.hdrs[done])), uintptr(len(pkts)-done), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno == 0 {
			done += int(k)
			c.out.next += uint32(k)
			tries = 0
		}
		// Fewer than asked means that the next one failed, too.
		if done < len(pkts) && c.stamps && !c.out.keyed {
			c.restartStamps()
		}
		if errno == 0 {
			continue
		}
		if tries++; !mayBePending(errno) || tries > pendingLimit {
			return done, errno
		}
		if tries == pendingTries {
			if _, err := routeTo(pkts[done].To, c.via); err != nil || errno == unix.EMSGSIZE {
				return done, errno
			}
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

// zone is zoneID for the addresses packets go to, which asks the kernel once.
func (s *sender) zone(a netip.Addr) (uint32, error) {
	if a.Zone() == "" {
		return 0, nil
	}
	if id, ok := s.zones[a.Zone()]; ok {
		return id, nil
	}
	id, err := zoneID(a)
	if err == nil {
		if s.zones == nil {
			s.zones = map[string]uint32{}
		}
		s.zones[a.Zone()] = id
	}
	return id, err
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
