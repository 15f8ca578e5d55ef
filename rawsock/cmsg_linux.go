package rawsock

import (
	"iter"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cmsg is one control message (cmsg(3)).
type cmsg struct {
	level, typ int32
	data       []byte
}

func (c cmsg) is(level, typ int32) bool { return c.level == level && c.typ == typ }

// uint32 reads the first four octets in host order; 0 if there are fewer.
func (c cmsg) uint32() uint32 {
	if len(c.data) < 4 {
		return 0
	}
	return *(*uint32)(unsafe.Pointer(&c.data[0]))
}

// stamp reads the software timestamp of struct scm_timestamping as ns since
// 1970; 0 if there is none.
func (c cmsg) stamp() int64 {
	if len(c.data) < int(unsafe.Sizeof(unix.ScmTimestamping{})) {
		return 0
	}
	return (*unix.ScmTimestamping)(unsafe.Pointer(&c.data[0])).Ts[0].Nano()
}

func (c cmsg) extendedErr() *unix.SockExtendedErr {
	if len(c.data) < int(unsafe.Sizeof(unix.SockExtendedErr{})) {
		return nil
	}
	return (*unix.SockExtendedErr)(unsafe.Pointer(&c.data[0]))
}

// offender reads the address that follows struct sock_extended_err: who sent
// the ICMP error (SO_EE_OFFENDER, ip(7)).
func (c cmsg) offender() netip.Addr {
	const at = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	if len(c.data) < at+unix.SizeofSockaddrInet4 {
		return netip.Addr{}
	}
	sa := (*sockaddr)(unsafe.Pointer(&c.data[at]))
	if sa.Family == unix.AF_INET6 && len(c.data) < at+unix.SizeofSockaddrInet6 {
		return netip.Addr{}
	}
	return readAddr(sa)
}

// controls walks the control messages of the i'th message received.
func (r *receiver) controls(i int) iter.Seq[cmsg] {
	return func(yield func(cmsg) bool) {
		b := unsafe.Slice((*byte)(unsafe.Pointer(&r.ctls[i])), unsafe.Sizeof(control{}))
		b = b[:min(len(b), int(r.hdrs[i].hdr.Controllen))]
		for len(b) >= unix.SizeofCmsghdr {
			h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
			n := int(h.Len)
			if n < unix.CmsgLen(0) || n > len(b) {
				return
			}
			if !yield(cmsg{h.Level, h.Type, b[unix.CmsgLen(0):n]}) {
				return
			}
			b = b[min(len(b), unix.CmsgSpace(n-unix.CmsgLen(0))):]
		}
	}
}
