package rawsock

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sock is the Linux part of a Conn.
type sock struct {
	outlet
	closed  atomic.Bool
	dropped atomic.Uint32
	counted time.Time // when readDrops last asked
	buffer  int       // receive buffer, bytes
	in, err receiver  // data and error queue
}

func open(cfg Config) (*Conn, error) {
	kinds := []Kind{cfg.Kind}
	if cfg.Kind == Auto {
		kinds = []Kind{Raw, Datagram}
	}
	var refused error
	for _, k := range kinds {
		fd, err := unix.Socket(cfg.domain(), k.sockType()|unix.SOCK_CLOEXEC, cfg.proto())
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			refused = err
			continue
		}
		if err != nil {
			return nil, opError("socket", err)
		}
		c := &Conn{family: cfg.Family, kind: k, id: cfg.ID, ids: cfg.IDs, sock: sock{outlet: outlet{fd: fd}}}
		if err := c.configure(&cfg); err != nil {
			unix.Close(fd)
			return nil, err
		}
		return c, nil
	}
	return nil, &PermissionError{Kind: cfg.Kind, Err: refused}
}

func (cfg *Config) domain() int {
	if cfg.Family == IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func (cfg *Config) proto() int {
	if cfg.Family == IPv6 {
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_ICMP
}

func (k Kind) sockType() int {
	if k == Raw {
		return unix.SOCK_RAW
	}
	return unix.SOCK_DGRAM
}

// configure filters first, so that as little as possible of other people's
// traffic is queued before, and binds last, when all else is known to work.
func (c *Conn) configure(cfg *Config) error {
	if c.kind == Raw {
		if err := c.filter(); err != nil {
			return err
		}
	} else if c.ids > 1 {
		return ErrIDs
	}
	for _, o := range cfg.options(c.kind) {
		if err := unix.SetsockoptInt(c.fd, o.level, o.name, o.value); err != nil {
			return opError("setsockopt "+o.what, err)
		}
	}
	tv := unix.NsecToTimeval(int64(cfg.Timeout))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return opError("setsockopt SO_RCVTIMEO", err)
	}
	// A kernel without timestamps costs accuracy, not the run.
	c.stamps = c.stamp(stampFlags(!cfg.NoStamps)) == nil && !cfg.NoStamps
	c.via = *cfg
	setBuf(c.fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.RecvBuf)
	setBuf(c.fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.SendBuf)
	c.buffer, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if cfg.Interface != "" {
		if err := unix.BindToDevice(c.fd, cfg.Interface); err != nil {
			return opError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	if err := c.bind(cfg.Source); err != nil {
		return err
	}
	c.out.init()
	c.in.init(cfg.MaxSize + 60 + EchoHeaderLen) // the longest IPv4 header is 60 octets
	c.err.init(errorQuote)
	return nil
}

// errorQuote is how much of a quoted packet is read from the error queue: its
// echo header and the start of its payload.
const errorQuote = 128

type option struct {
	what               string
	level, name, value int
}

// options returns the integer options of cfg. IP_RECVERR does two things: it
// brings ICMP errors through the error queue, on a raw socket as on a datagram
// one, and it makes a full device queue an ENOBUFS instead of a silent drop
// (raw(7), net/ipv4/raw.c).
func (cfg *Config) options(k Kind) []option {
	var o []option
	add := func(set bool, what string, level, name, value int) {
		if set {
			o = append(o, option{what, level, name, value})
		}
	}
	add(true, "SO_RXQ_OVFL", unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	// Datagram ICMP sockets may share an identifier unless they say otherwise,
	// and one then gets the answers of both (ping_get_port in net/ipv4/ping.c).
	add(k == Datagram, "SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
	add(cfg.Mark != 0, "SO_MARK", unix.SOL_SOCKET, unix.SO_MARK, cfg.Mark)
	// 0 is a value here, DONT, so the zero mode sets nothing.
	mode, setMode := cfg.PMTU.linux()
	if cfg.Family == IPv6 {
		add(true, "IPV6_RECVERR", unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
		add(true, "IPV6_RECVHOPLIMIT", unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1)
		add(cfg.TTL != 0, "IPV6_UNICAST_HOPS", unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, cfg.TTL)
		add(cfg.TOS != 0, "IPV6_TCLASS", unix.SOL_IPV6, unix.IPV6_TCLASS, cfg.TOS)
		add(setMode, "IPV6_MTU_DISCOVER", unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, mode)
		return o
	}
	add(true, "IP_RECVERR", unix.SOL_IP, unix.IP_RECVERR, 1)
	add(cfg.Broadcast, "SO_BROADCAST", unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	add(k == Datagram, "IP_RECVTTL", unix.SOL_IP, unix.IP_RECVTTL, 1)
	add(cfg.TTL != 0, "IP_TTL", unix.SOL_IP, unix.IP_TTL, cfg.TTL)
	add(cfg.TOS != 0, "IP_TOS", unix.SOL_IP, unix.IP_TOS, cfg.TOS)
	add(setMode, "IP_MTU_DISCOVER", unix.SOL_IP, unix.IP_MTU_DISCOVER, mode)
	return o
}

// linux returns the value of IP_MTU_DISCOVER, which IPV6_MTU_DISCOVER shares.
func (m PMTUMode) linux() (value int, set bool) {
	switch m {
	case PMTUDo:
		return unix.IP_PMTUDISC_DO, true
	case PMTUWant:
		return unix.IP_PMTUDISC_WANT, true
	case PMTUDont:
		return unix.IP_PMTUDISC_DONT, true
	case PMTUProbe:
		return unix.IP_PMTUDISC_PROBE, true
	}
	return 0, false
}

// setBuf asks for a buffer of n bytes, beyond the system's limit where that is
// allowed. A smaller one than asked is not an error: RecvBuf tells.
func setBuf(fd, force, plain, n int) {
	if n == 0 || unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, n) == nil {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, n)
}

// bind binds to the source address, and on a datagram socket to the echo
// identifier, which is its port; the kernel picks one for 0.
func (c *Conn) bind(src netip.Addr) error {
	if c.kind == Raw && !src.IsValid() {
		return nil
	}
	if !src.IsValid() {
		src = netip.IPv4Unspecified()
		if c.family == IPv6 {
			src = netip.IPv6Unspecified()
		}
	}
	port := 0
	if c.kind == Datagram {
		port = int(c.id)
	}
	sa, err := sockaddrOf(src, port)
	if err != nil {
		return err
	}
	if err := unix.Bind(c.fd, sa); err != nil {
		return opError(fmt.Sprintf("bind %v", src), err)
	}
	if c.kind != Datagram {
		return nil
	}
	sa, err = unix.Getsockname(c.fd)
	if err != nil {
		return opError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		c.id = uint16(sa.Port)
	case *unix.SockaddrInet6:
		c.id = uint16(sa.Port)
	}
	return nil
}

func (c *Conn) kernelClock() bool { return c.stamps }

func (c *Conn) recvBuf() int { return c.buffer }

// shutdown wakes a blocked receive, which close would not. The kernel answers
// ENOTCONN, as the socket has no peer, but wakes it all the same.
func (c *Conn) shutdown() {
	c.readDrops()
	c.closed.Store(true)
	_ = unix.Shutdown(c.fd, unix.SHUT_RD)
}

func (c *Conn) close() error {
	c.closed.Store(true)
	return opError("close", unix.Close(c.fd))
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// sockaddr has room for either family's struct sockaddr.
type sockaddr = unix.RawSockaddrInet6

// putAddr writes a, in the zone with that interface index, into sa and returns
// its length.
func putAddr(sa *sockaddr, a netip.Addr, zone uint32) uint32 {
	if a.Is4() {
		s4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*s4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.As4()}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.As16(), Scope_id: zone}
	return unix.SizeofSockaddrInet6
}

// readAddr reads the address in sa, without zone; invalid if there is none.
func readAddr(sa *sockaddr) netip.Addr {
	switch sa.Family {
	case unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr)
	case unix.AF_INET6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}
