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
// if it is not, up to pendingLimit times. See outlet.push.
const (
	pendingTries = 8
	pendingLimit = 1000
)

// An outlet is a socket that sends: a Conn, or one of those of a Tracer.
type outlet struct {
	fd     int
	stamps bool    // transmit timestamps are asked for
	deaf   bool    // no ICMP error ever comes to it: what a send fails with is its own
	via    Config  // for questions about routes
	second *second // sends half of what there is at the same time; nil for nobody
	out    sender
}

// sender holds what sendmmsg points to, so that sending allocates nothing.
type sender struct {
	hdrs  [sendBatch]mmsghdr
	iovs  [sendBatch]unix.Iovec
	names [sendBatch]sockaddr
	dests [sendBatch]netip.Addr // as in names, with zone
	ctls  [sendBatch]sendControl
	zones map[string]uint32 // interface index by zone

	// Without SCM_TS_OPT_ID the kernel numbers packets from 0 itself: keys
	// remembers which key has which number. See counting.
	keyed bool
	next  uint32 // packets sent since the count last restarted
	keys  []atomic.Uint32
	count atomic.Pointer[counting]
}

// sendControl has room for all control messages of a packet, aligned as they
// need: each holds one 32-bit number.
type sendControl [12]uint64

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
	}
}

// put makes msg the i'th packet to send. It fails only for want of the zone of
// to.
func (o *outlet) put(i int, to netip.Addr, msg []byte, key uint32) error {
	s := &o.out
	zone, err := s.zone(to)
	if err != nil {
		return err
	}
	h := &s.hdrs[i].hdr
	h.Namelen = putAddr(&s.names[i], to, zone)
	h.Control = nil
	h.SetControllen(0)
	s.dests[i] = to
	s.iovs[i].Base = unsafe.SliceData(msg)
	s.iovs[i].SetLen(len(msg))
	if o.stamps {
		s.setKey(i, key)
	}
	return nil
}

// control adds a control message to the i'th packet.
func (s *sender) control(i int, level, typ int32, value uint32) {
	h := &s.hdrs[i].hdr
	at := int(h.Controllen)
	c := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(&s.ctls[i]), at))
	c.Level, c.Type = level, typ
	c.SetLen(unix.CmsgLen(4))
	*(*uint32)(unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))) = value
	h.Control = (*byte)(unsafe.Pointer(&s.ctls[i]))
	h.SetControllen(at + unix.CmsgSpace(4))
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
	for i := range pkts {
		if err := c.put(i, pkts[i].To, pkts[i].Msg, pkts[i].Key); err != nil {
			if i == 0 {
				return 0, err
			}
			pkts = pkts[:i]
			break
		}
	}
	return c.flush(len(pkts))
}

func (s *sender) setKey(i int, key uint32) {
	if !s.keyed {
		s.keys[(s.count.Load().first+s.next+uint32(i))%keyRing].Store(key)
		return
	}
	s.control(i, unix.SOL_SOCKET, unix.SCM_TS_OPT_ID, key)
}

// flush hands the first n packets that were put to the kernel and returns how
// many it took.
func (o *outlet) flush(n int) (int, error) {
	done, errno := o.push(n)
	if errno != 0 {
		clear(o.out.zones) // an interface made anew has another index
		return done, opError("sendmmsg", errno)
	}
	return done, nil
}

// push is flush as far as the kernel goes. On a socket with IP_RECVERR
// an ICMP error for an earlier packet makes the next send fail in its place;
// that error is delivered once and is in the error queue too, so the send is
// repeated. An error of our own host comes back each time; where many targets
// are unreachable at once, so may those of others, and the route decides.
//
// It never blocks: packets that wait for their neighbour's address count
// against the send buffer for seconds, and one dead neighbour must not hold up
// everybody else.
func (o *outlet) push(n int) (int, unix.Errno) {
	if o.second.halves(n) {
		return o.pushHalves(n)
	}
	done := 0
	for tries := 0; done < n; {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(o.fd),
			uintptr(unsafe.Pointer(&o.out.hdrs[done])), uintptr(n-done), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno == 0 {
			done += int(k)
			o.out.next += uint32(k)
			tries = 0
		}
		// Fewer than asked means that the next one failed, too.
		if done < n && o.stamps && !o.out.keyed {
			o.restartStamps()
		}
		if errno == 0 {
			continue
		}
		if tries++; o.deaf || !mayBePending(errno) || tries > pendingLimit {
			return done, errno
		}
		if tries == pendingTries {
			if _, err := routeTo(o.out.dests[done], o.via); err != nil || errno == unix.EMSGSIZE {
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
