package rawsock

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrIDs is returned by Open for a block of identifiers that is not a
// power of two, not aligned, or on a datagram socket larger than one.
var ErrIDs = errors.New("identifiers must be an aligned power of two, and one on a datagram socket")

// ErrFlows is returned for a flow beyond 65535 or the range of a Tracer, or for
// more different ones than a Datagram Tracer has sockets for.
var ErrFlows = errors.New("no such flow: too many, or beyond the range of source ports")

// A PermissionError says that this process may not open a socket of Kind.
type PermissionError struct {
	Kind  Kind  // what was asked; Auto if neither kind is allowed
	Proto Proto // what for; ICMP if 0
	Err   error // the kernel's answer
}

func (e *PermissionError) Error() string {
	if e.Kind == Auto {
		return "no permission to open an ICMP socket: " + e.Err.Error()
	}
	proto := "ICMP"
	if e.Proto == TCP {
		proto = "TCP"
	}
	return fmt.Sprintf("no permission to open a %v %s socket: %v", e.Kind, proto, e.Err)
}

func (e *PermissionError) Unwrap() error { return e.Err }

// Cause sorts the reasons for which this host cannot send.
type Cause uint8

const (
	OtherCause Cause = iota
	Full             // a queue or buffer is full: worth trying again soon
	Denied           // a firewall or missing privilege
	NoRoute          // no route to the destination
	NoSource         // the source address is not, or no longer, on this host
	LinkDown         // the interface is down or gone
	TooBig           // larger than the path MTU, and DF is set
)

// CauseOf sorts an error of Send.
func CauseOf(err error) Cause {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return OtherCause
	}
	switch errno {
	case syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN:
		return Full
	case syscall.EPERM, syscall.EACCES:
		return Denied
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EAFNOSUPPORT:
		return NoRoute
	case syscall.EADDRNOTAVAIL, syscall.EINVAL:
		return NoSource
	case syscall.ENETDOWN, syscall.ENODEV, syscall.ENXIO:
		return LinkDown
	case syscall.EMSGSIZE:
		return TooBig
	}
	return OtherCause
}

// opError wraps a system call's error with this package and the call.
func opError(call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rawsock: %w", os.NewSyscallError(call, err))
}
