//go:build !linux && !windows

package rawsock

import (
	"strings"
	"syscall"
)

// kept is nothing: there is no error queue to read.
type kept struct{}

func (d *Dial) control(network string, c syscall.RawConn) error {
	if err := dialSupported(&d.Config); err != nil {
		return err
	}
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	if e := c.Control(func(fd uintptr) {
		if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
			err = opError("setsockopt SO_REUSEADDR", err)
			return
		}
		err = opError("setsockopt SO_LINGER", syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	}); e != nil {
		return e
	}
	return err
}

func descriptors() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > 1<<30 {
		return 0
	}
	return int(l.Cur)
}
