package rawsock

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A routeSocket is a UDP socket that is asked how packets would leave: connecting it
// sends nothing. It is opened once where that is asked often, and before
// privileges are dropped that its mark takes.
type routeSocket struct{ fd int }

var noRoutes = routeSocket{-1}

func openRoutes(cfg Config) (routeSocket, error) {
	fd, err := unix.Socket(cfg.domain(), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return noRoutes, opError("socket", err)
	}
	r := routeSocket{fd}
	if err := r.prepare(&cfg); err != nil {
		_ = r.close()
		return noRoutes, err
	}
	return r, nil
}

func (r routeSocket) prepare(cfg *Config) error {
	if cfg.Interface != "" {
		if err := unix.BindToDevice(r.fd, cfg.Interface); err != nil {
			return opError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	if cfg.Mark != 0 {
		_ = unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_MARK, cfg.Mark)
	}
	if src := cfg.Source; src.IsValid() && FamilyOf(src) == cfg.Family {
		sa, err := sockaddrOf(src, 0)
		if err != nil {
			return err
		}
		return opError("bind", unix.Bind(r.fd, sa))
	}
	return nil
}

// source returns the address that packets to dst, in the zone with that
// interface index, leave from. It does not allocate unless it fails.
func (r routeSocket) source(dst netip.Addr, zone uint32) (netip.Addr, error) {
	// It forgets the last destination first, whose source address would stick.
	forget := sockaddr{Family: unix.AF_UNSPEC}
	_ = r.connect(&forget, unix.SizeofSockaddrInet4)
	var sa sockaddr
	n := putAddr(&sa, dst, zone)
	sa.Port = bigEndian(9) // any will do: 9 is discard (RFC 863)
	if errno := r.connect(&sa, n); errno != 0 {
		return netip.Addr{}, opError("connect", errno)
	}
	n = uint32(unsafe.Sizeof(sa))
	_, _, errno := unix.Syscall(unix.SYS_GETSOCKNAME, uintptr(r.fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return netip.Addr{}, opError("getsockname", errno)
	}
	return readAddr(&sa), nil
}

func (r routeSocket) connect(sa *sockaddr, n uint32) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(r.fd), uintptr(unsafe.Pointer(sa)), uintptr(n))
	return errno
}

func (r routeSocket) close() error {
	if r.fd < 0 {
		return nil
	}
	return unix.Close(r.fd)
}

func routeTo(dst netip.Addr, cfg Config) (Route, error) {
	cfg.Family = FamilyOf(dst)
	r, err := openRoutes(cfg)
	if err != nil {
		return Route{}, err
	}
	defer r.close()
	zone, err := zoneID(dst)
	if err != nil {
		return Route{}, err
	}
	src, err := r.source(dst, zone)
	if err != nil {
		return Route{}, err
	}
	level, name := unix.SOL_IP, unix.IP_MTU
	if cfg.Family == IPv6 {
		level, name = unix.SOL_IPV6, unix.IPV6_MTU
	}
	mtu, err := unix.GetsockoptInt(r.fd, level, name)
	return Route{Source: src, MTU: mtu}, opError("getsockopt IP_MTU", err)
}

func sockaddrOf(a netip.Addr, port int) (unix.Sockaddr, error) {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: port}, nil
	}
	zone, err := zoneID(a)
	return &unix.SockaddrInet6{Addr: a.As16(), Port: port, ZoneId: zone}, err
}
