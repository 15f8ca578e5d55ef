package rawsock

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// alarm waits in ppoll(2), whose timeout counts in nanoseconds, for sockets
// and an eventfd(2) that wake writes to.
type alarm struct {
	fd    int
	fds   []unix.PollFd // the eventfd, then the sockets
	awake atomic.Bool   // the eventfd has been, or is about to be, written to

	// closed is guarded by mu, so that nobody writes to a descriptor that is
	// somebody else's by now.
	mu     sync.Mutex
	closed bool
}

func (a *alarm) open() error {
	var err error
	a.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	a.fds = []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}
	return opError("eventfd", err)
}

func (a *alarm) watch(c *Conn) bool { return a.add(c.fd) }

func (a *alarm) watchTracer(t *Tracer) bool { return a.add(t.ready) }

func (a *alarm) watchUDP(c *UDPConn) bool { return a.add(c.fd) }

func (a *alarm) add(fd int) bool {
	a.fds = append(a.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	return true
}

func (a *alarm) wait(d time.Duration) (readable bool) {
	woken := false
	if d > 0 && !a.awake.Load() {
		for i := range a.fds {
			a.fds[i].Revents = 0
		}
		ts := unix.NsecToTimespec(int64(d))
		// Whatever ends it early, a signal too, is a reason to look around.
		_, _ = unix.Ppoll(a.fds, &ts, nil)
		woken = a.fds[0].Revents != 0
		// POLLERR tells that the error queue has something: a departure or an
		// ICMP error.
		for _, fd := range a.fds[1:] {
			readable = readable || fd.Revents != 0
		}
	}
	// Cleared before it is read: a wake in between leaves awake set, and the
	// next wait returns at once.
	if a.awake.Swap(false) || woken {
		var b [8]byte
		_, _ = unix.Read(a.fd, b[:])
	}
	return readable
}

func (a *alarm) wake() {
	if a.awake.Swap(true) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = unix.Write(a.fd, b[:])
}

func (a *alarm) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	return opError("close", unix.Close(a.fd))
}
