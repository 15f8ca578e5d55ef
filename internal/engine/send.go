package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"netprobe/probe"
	"netprobe/rawsock"
)

// A SendError says in words for people why a probe could not leave. It wraps
// the *os.SyscallError.
type SendError struct {
	Why string // one line
	Err error
}

func (e *SendError) Error() string { return e.Why }
func (e *SendError) Unwrap() error { return e.Err }

// Via is the way a packet was to take.
type Via struct {
	Target netip.Addr
	Socket rawsock.Config // Source, Interface and Mark count
}

// Explain turns the failed send of an IP packet of size bytes into a reason and
// a *SendError, with the path MTU where that is what it was about.
func (v Via) Explain(err error, size int) (probe.Reason, int, *SendError) {
	reason, mtu, why := v.explain(err, size)
	return reason, mtu, &SendError{why, err}
}

func (v Via) explain(err error, size int) (r probe.Reason, mtu int, why string) {
	switch rawsock.CauseOf(err) {
	case rawsock.Full:
		return probe.NoBuffers, 0, "the send queue of this host is full"
	case rawsock.Denied:
		return probe.Permission, 0, "a firewall rule or a missing privilege on this host forbids it"
	case rawsock.NoRoute:
		return probe.NoRoute, 0, "no route from this host"
	case rawsock.NoSource:
		if src := v.Socket.Source; src.IsValid() {
			return probe.NoRoute, 0, fmt.Sprintf("source address %v is not on this host", src)
		}
		return probe.NoRoute, 0, "this host refuses to send there (a blackhole route?)"
	case rawsock.LinkDown:
		return probe.LinkDown, 0, "the interface is down"
	case rawsock.TooBig:
		why = fmt.Sprintf("packet of %d bytes exceeds the path MTU", size)
		route, err := rawsock.RouteTo(v.Target, v.Socket)
		if err == nil && route.MTU > 0 {
			why += fmt.Sprintf(" of %d", route.MTU)
		}
		if v.Target.Is4() {
			return probe.FragNeeded, route.MTU, why
		}
		return probe.PacketTooBig, route.MTU, why
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return probe.ReasonOther, 0, errno.Error()
	}
	return probe.ReasonOther, 0, err.Error()
}
