package rawsock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

func TestCauseOf(t *testing.T) {
	cases := []struct {
		err  error
		want Cause
	}{
		{syscall.ENOBUFS, Full}, {syscall.ENOMEM, Full}, {syscall.EAGAIN, Full},
		{syscall.EPERM, Denied}, {syscall.EACCES, Denied},
		{syscall.ENETUNREACH, NoRoute}, {syscall.EHOSTUNREACH, NoRoute}, {syscall.EAFNOSUPPORT, NoRoute},
		{syscall.EADDRNOTAVAIL, NoSource}, {syscall.EINVAL, NoSource},
		{syscall.ENETDOWN, LinkDown}, {syscall.ENODEV, LinkDown}, {syscall.ENXIO, LinkDown},
		{syscall.EMSGSIZE, TooBig},
		{syscall.EIO, OtherCause}, {errors.New("no errno"), OtherCause}, {nil, OtherCause},
	}
	for _, tc := range cases {
		if got := CauseOf(tc.err); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.want)
		}
		if tc.err == nil {
			continue
		}
		wrapped := fmt.Errorf("icmp: %w", opError("sendmmsg", tc.err))
		if got := CauseOf(wrapped); got != tc.want {
			t.Errorf("%v: %v, want %v", wrapped, got, tc.want)
		}
	}
}

func TestOpError(t *testing.T) {
	if err := opError("bind", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	err := opError("bind", syscall.EADDRINUSE)
	if sys, ok := errors.AsType[*os.SyscallError](err); !ok || sys.Syscall != "bind" || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

func TestPermissionError(t *testing.T) {
	for kind, want := range map[Kind]string{
		Auto:     "no permission to open an ICMP socket: operation not permitted",
		Raw:      "no permission to open a raw ICMP socket: operation not permitted",
		Datagram: "no permission to open a dgram ICMP socket: operation not permitted",
	} {
		var err error = &PermissionError{Kind: kind, Err: syscall.EPERM}
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%v is not os.ErrPermission", err)
		}
	}
}

func TestBadIDs(t *testing.T) {
	for _, cfg := range []Config{
		{IDs: 3, ID: 3}, {IDs: 16, ID: 8}, {IDs: 2, ID: 1},
	} {
		if c, err := Open(cfg); !errors.Is(err, ErrIDs) {
			t.Errorf("%+v: %v, %v", cfg, c, err)
		}
	}
}

func TestNames(t *testing.T) {
	for k, want := range map[Kind]string{Auto: "auto", Raw: "raw", Datagram: "dgram"} {
		if k.String() != want {
			t.Errorf("kind %d is %q", k, k)
		}
	}
	for addr, want := range map[string]Family{"192.0.2.1": IPv4, "2001:db8::1": IPv6, "fe80::1%eth0": IPv6} {
		if got := FamilyOf(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: IPv%d", addr, got)
		}
	}
}
