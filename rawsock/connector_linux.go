package rawsock

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// connector watches its sockets with one epoll(7) instance, edge-triggered: a
// socket is added once and connects many times.
type connector struct {
	cfg   Config
	epoll int
	slots []connecting
	free  [2][]int // slots whose socket can connect again, by family
	none  []int    // slots without a socket
	got   []unix.EpollEvent
	over  Connected

	instant []int // slots whose connect was refused at once

	awake  atomic.Bool
	mu     sync.Mutex // guards event and closed against rouse
	event  int
	closed bool
}

// connecting is one socket.
type connecting struct {
	fd      int
	six     int           // 1 for IPv6
	to      unix.Sockaddr // asked now
	busy    bool
	watched bool
}

// eventSlot is the epoll data of the eventfd.
const eventSlot = -1

// pollBatch is how many events are taken at a time.
const pollBatch = 128

func (c *connector) openConnector(cfg Config) error {
	c.cfg, c.got = cfg, make([]unix.EpollEvent, pollBatch)
	var err error
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return opError("epoll_create1", err)
	}
	if c.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(c.epoll)
		return opError("eventfd", err)
	}
	if err = unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, c.event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: eventSlot}); err != nil {
		return errors.Join(opError("epoll_ctl", err), c.shut())
	}
	return nil
}

func (c *connector) begin(to netip.AddrPort) (int, error) {
	six := 0
	if to.Addr().Is6() {
		six = 1
	}
	slot, err := c.slotFor(six)
	if err != nil {
		return 0, err
	}
	s := &c.slots[slot]
	if s.to, err = sockaddrOf(to.Addr(), int(to.Port())); err == nil {
		err = connect(s.fd, s.to)
	}
	if errors.Is(err, unix.ECONNREFUSED) { // the answer was there before the call was over
		s.busy = true
		c.instant = append(c.instant, slot)
		return slot, nil
	}
	if err == nil && !s.watched {
		e := unix.EpollEvent{Events: unix.EPOLLOUT | edgeTriggered, Fd: int32(slot)}
		err = opError("epoll_ctl", unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, s.fd, &e))
		s.watched = true
	}
	if err != nil {
		c.drop(slot)
		return 0, err
	}
	s.busy = true
	return slot, nil
}

// edgeTriggered is EPOLLET, which x/sys has as a negative number.
const edgeTriggered = 1 << 31

func connect(fd int, sa unix.Sockaddr) error {
	for {
		switch err := unix.Connect(fd, sa); err {
		case nil, unix.EINPROGRESS:
			return nil // an event says the rest
		case unix.EINTR:
			continue
		default:
			return opError("connect", err)
		}
	}
}

// slotFor returns a slot with a socket of the family.
func (c *connector) slotFor(six int) (int, error) {
	if free := c.free[six]; len(free) > 0 {
		c.free[six] = free[:len(free)-1]
		return free[len(free)-1], nil
	}
	cfg, family := c.cfg, IPv4
	if six == 1 {
		family = IPv6
	}
	cfg.Family = family
	fd, err := unix.Socket(cfg.domain(), unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return 0, opError("socket", err)
	}
	if err = cfg.prepareDial(fd, family, true); err == nil && cfg.Source.IsValid() {
		err = cfg.bind(fd)
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	slot := len(c.slots)
	if last := len(c.none) - 1; last >= 0 {
		slot, c.none = c.none[last], c.none[:last]
	} else {
		c.slots = append(c.slots, connecting{})
	}
	c.slots[slot] = connecting{fd: fd, six: six}
	return slot, nil
}

// bind binds fd to cfg.Source, and leaves the port to connect.
func (cfg *Config) bind(fd int) error {
	sa, err := sockaddrOf(cfg.Source, 0)
	if err != nil {
		return err
	}
	return opError("bind", unix.Bind(fd, sa))
}

// drop closes the socket of slot.
func (c *connector) drop(slot int) {
	unix.Close(c.slots[slot].fd) // which takes it out of epoll
	c.slots[slot] = connecting{fd: -1}
	c.none = append(c.none, slot)
}

func (c *connector) poll(d time.Duration, over func(*Connected)) {
	wait := int((d + time.Millisecond - 1) / time.Millisecond)
	if d > 0 && (c.awake.Load() || len(c.instant) > 0) {
		wait = 0
	}
	for _, slot := range c.instant {
		if c.slots[slot].busy {
			c.failed(slot, unix.ECONNREFUSED)
			over(&c.over)
		}
	}
	c.instant = c.instant[:0]
	for {
		n, err := unix.EpollWait(c.epoll, c.got, wait)
		if err != nil {
			return // EINTR: the caller polls again
		}
		for _, e := range c.got[:n] {
			if e.Fd == eventSlot {
				c.calm()
			} else if c.look(int(e.Fd), e.Events&unix.EPOLLERR != 0) {
				over(&c.over)
			}
		}
		if n < len(c.got) {
			return
		}
		wait = 0
	}
}

// calm takes back what rouse did.
func (c *connector) calm() {
	c.awake.Store(false)
	var b [8]byte
	_, _ = unix.Read(c.event, b[:])
}

// look sees whether the connect of slot is over, and if so puts what became of
// it into c.over. An event may be an echo of the connect before. failing says
// that an ICMP error may have come: one that comes while connect(2) still runs,
// as from this host or over a virtual link, ends no connect (tcp_v4_err of Linux
// keeps it for the next SYN), but waits to be read.
func (c *connector) look(slot int, failing bool) bool {
	s := &c.slots[slot]
	if !s.busy {
		return false
	}
	// Asking once more tells what became of it, and makes a socket that was
	// refused fit for the next connect, which reading SO_ERROR does not.
	switch err := unix.Connect(s.fd, s.to); err {
	case unix.EALREADY, unix.EINPROGRESS, unix.EINTR:
		return failing && c.rejected(slot)
	case nil, unix.EISCONN:
		c.stands(slot)
	default:
		errno, _ := errors.AsType[syscall.Errno](err)
		c.failed(slot, errno)
	}
	return true
}

// failed ends a connect that failed with errno. A socket that was refused can
// connect again; one with ICMP errors may be sent more of them, which would be
// taken for the next connect's.
func (c *connector) failed(slot int, errno syscall.Errno) {
	s := &c.slots[slot]
	s.busy = false
	c.over = Connected{Slot: slot, Errno: errno}
	c.over.Rejection, c.over.Rejected = readRejection(s.fd)
	if c.over.Rejected {
		c.over.Local = localOf(s.fd)
	}
	if c.over.Rejected || errno != unix.ECONNREFUSED || !s.watched {
		c.drop(slot)
		return
	}
	c.free[s.six] = append(c.free[s.six], slot)
}

// rejected ends a connect about which there is an ICMP error; false if there is
// none.
func (c *connector) rejected(slot int) bool {
	s := &c.slots[slot]
	r, ok := readRejection(s.fd)
	if !ok {
		return false
	}
	c.over = Connected{Slot: slot, Errno: unix.EHOSTUNREACH, Rejected: true, Rejection: r, Local: localOf(s.fd)}
	c.drop(slot)
	return true
}

// stands ends a connect that stands, with a reset (SO_LINGER 0).
func (c *connector) stands(slot int) {
	s := &c.slots[slot]
	c.over = Connected{Slot: slot, Up: true, Myself: meetsItself(s.fd)}
	if info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		c.over.Handshake = handshake(info)
	}
	c.drop(slot)
}

// meetsItself reports whether the connection of fd is one with itself.
func meetsItself(fd int) bool {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	remote, err := unix.Getpeername(fd)
	return err == nil && portOfSockaddr(local) == portOfSockaddr(remote) && addrOfSockaddr(local) == addrOfSockaddr(remote)
}

func portOfSockaddr(sa unix.Sockaddr) int {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	return 0
}

func localOf(fd int) netip.Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}
	}
	return addrOfSockaddr(sa)
}

func (c *connector) giveUp(slot int) *Connected {
	s := &c.slots[slot]
	if c.look(slot, true) {
		return &c.over
	}
	c.over = Connected{Slot: slot, Local: localOf(s.fd)}
	if info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		c.over.Handshake.Retrans = int(info.Total_retrans)
	}
	c.drop(slot)
	return &c.over
}

func (c *connector) rouse() {
	if c.awake.Swap(true) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = unix.Write(c.event, b[:])
}

func (c *connector) shut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for i := range c.slots {
		if c.slots[i].fd >= 0 {
			unix.Close(c.slots[i].fd)
		}
	}
	c.slots = nil
	return errors.Join(opError("close", unix.Close(c.event)), opError("close", unix.Close(c.epoll)))
}
