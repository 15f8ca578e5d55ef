package rawsock

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stampsOn makes the kernel stamp what arrives for as long as the tests run. It
// switches that on from a work queue for the first socket on the machine that
// asks, and off after the last; on a busy machine the few milliseconds that a
// test could wait are not enough. The socket is never closed.
var stampsOn = sync.OnceFunc(func() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return // the tests then say what is missing
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stampFlags(false))
	time.Sleep(200 * time.Millisecond)
})
