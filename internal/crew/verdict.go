package crew

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// Unable returns the Answer of a try to dst that cannot be made with socket;
// ok is false if there is nothing against it.
func Unable(dst netip.Addr, socket *rawsock.Config) (a Answer, ok bool) {
	if src := socket.Source; src.IsValid() && src.Is4() != dst.Is4() {
		why := fmt.Sprintf("source address %v is not IPv%d", src, rawsock.FamilyOf(dst))
		return failed(probe.NoRoute, &engine.SendError{Why: why, Err: syscall.EAFNOSUPPORT}), true
	}
	return a, false
}

// Homeless is the Answer of a silent try to dst that left from src, where that
// is why nobody could answer: without another address Linux sends IPv6 packets
// from ::1. ok is false where it is not.
func Homeless(dst, src netip.Addr) (a Answer, ok bool) {
	if dst.Is4() || dst.IsLoopback() || !src.IsLoopback() {
		return a, false
	}
	return failed(probe.NoRoute, &engine.SendError{
		Why: "no IPv6 source address on this host", Err: syscall.EADDRNOTAVAIL,
	}), true
}

func failed(why probe.Reason, err error) Answer {
	return Answer{Result: probe.Result{Status: probe.Failed, Reason: why, Err: err}}
}

// Rejected says what an ICMP error about a packet to dst, that left from src,
// means. It is not ok for one that is no verdict.
func Rejected(dst, src netip.Addr, e rawsock.Rejection) (a Answer, ok bool) {
	a.Status, a.Reason, ok = engine.Verdict(rawsock.FamilyOf(dst), e.Type, e.Code)
	if a.Reason == probe.PortUnreachable && engine.SameHost(e.From, dst) {
		a.Status = probe.Refused // by the target itself, which thus is there
	}
	a.From, a.Type, a.Code = e.From, e.Type, e.Code
	// A neighbour that is silent is told of by our own kernel.
	a.Own = src.IsValid() && engine.SameHost(e.From, src) && !engine.SameHost(e.From, dst)
	return a, ok
}

// Failure says what the error of a system call on a socket to dst means, if no
// ICMP error tells.
func Failure(dst netip.Addr, socket *rawsock.Config, err error) Answer {
	errno, _ := errors.AsType[syscall.Errno](err)
	switch errno {
	case syscall.EMFILE:
		return failed(probe.NoDescriptors, &engine.SendError{Why: "this process has no file descriptor left", Err: err})
	case syscall.ENFILE:
		return failed(probe.NoDescriptors, &engine.SendError{Why: "this host has no file descriptor left", Err: err})
	}
	if lacksPort(dst, socket, errno, err) {
		return failed(probe.NoLocalPort, &engine.SendError{Why: "this host has no local port left", Err: err})
	}
	switch rawsock.CauseOf(err) {
	case rawsock.Full:
		return failed(probe.NoBuffers, &engine.SendError{Why: "a queue or table of this host is full", Err: err})
	case rawsock.NoRoute:
		// With a route it is somebody else's word, though nobody knows whose.
		if _, none := rawsock.RouteTo(dst, *socket); none == nil {
			return Answer{Result: probe.Result{Status: probe.Unreachable, Reason: unreachable(errno)}}
		}
	}
	reason, _, why := engine.Via{Target: dst, Socket: *socket}.Explain(err, 0)
	return failed(reason, why)
}

func unreachable(errno syscall.Errno) probe.Reason {
	if errno == syscall.EHOSTUNREACH {
		return probe.HostUnreachable
	}
	return probe.NetUnreachable
}

// lacksPort reports whether err means that every local port is taken: connect
// says EADDRNOTAVAIL, on UDP sockets EAGAIN (connect(2)); bind says EADDRINUSE.
// EADDRNOTAVAIL is said for want of a local address, too, which RouteTo knows.
func lacksPort(dst netip.Addr, socket *rawsock.Config, errno syscall.Errno, err error) bool {
	var call string
	if s, ok := errors.AsType[*os.SyscallError](err); ok {
		call = s.Syscall
	}
	switch {
	case call == "bind":
		return errno == syscall.EADDRINUSE
	case call != "connect":
		return false
	case errno == syscall.EADDRNOTAVAIL:
		_, none := rawsock.RouteTo(dst, *socket)
		return none == nil
	}
	return errno == syscall.EAGAIN
}
