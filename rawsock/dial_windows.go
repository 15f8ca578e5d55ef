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
		err = opError("setsockopt SO_LINGER", syscall.SetsockoptLinger(syscall.Handle(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	}); e != nil {
		return e
	}
	return err
}

func descriptors() int { return 0 }
