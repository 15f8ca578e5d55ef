package rawsock

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// alarm waits in ppoll(2), whose timeout counts in nanoseconds, for an
// eventfd(2) that wake writes to.
type alarm struct {
	fd    int
	awake atomic.Bool // the eventfd has been written to
}

func (a *alarm) open() error {
	var err error
	a.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return opError("eventfd", err)
}

func (a *alarm) wait(d time.Duration) {
	if d > 0 && !a.awake.Load() {
		ts := unix.NsecToTimespec(int64(d))
		fds := [1]unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}
		// Whatever ends it early, a signal too, is a reason to look around.
		_, _ = unix.Ppoll(fds[:], &ts, nil)
	}
	// Cleared before it is read: a wake in between leaves awake set, and the
	// next wait returns at once.
	if a.awake.Swap(false) {
		var b [8]byte
		_, _ = unix.Read(a.fd, b[:])
	}
}

func (a *alarm) wake() {
	if a.awake.Swap(true) {
		return
	}
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = unix.Write(a.fd, b[:])
}

func (a *alarm) close() error { return opError("close", unix.Close(a.fd)) }
