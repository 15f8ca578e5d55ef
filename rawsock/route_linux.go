package rawsock

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// routeTo connects a UDP socket, which sends nothing, and asks it.
func routeTo(dst netip.Addr, cfg Config) (Route, error) {
	cfg.Family = FamilyOf(dst)
	fd, err := unix.Socket(cfg.domain(), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Route{}, opError("socket", err)
	}
	defer unix.Close(fd)
	if cfg.Interface != "" {
		if err := unix.BindToDevice(fd, cfg.Interface); err != nil {
			return Route{}, opError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	if cfg.Mark != 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, cfg.Mark)
	}
	src, err := connectedSource(fd, dst, cfg.Source)
	if err != nil {
		return Route{}, err
	}
	level, name := unix.SOL_IP, unix.IP_MTU
	if cfg.Family == IPv6 {
		level, name = unix.SOL_IPV6, unix.IPV6_MTU
	}
	mtu, err := unix.GetsockoptInt(fd, level, name)
	return Route{Source: src, MTU: mtu}, opError("getsockopt IP_MTU", err)
}

// connectedSource binds fd to src if that is valid, connects it to dst and
// returns its local address.
func connectedSource(fd int, dst, src netip.Addr) (netip.Addr, error) {
	if src.IsValid() && src.Is4() == dst.Is4() {
		sa, err := sockaddrOf(src, 0)
		if err != nil {
			return netip.Addr{}, err
		}
		if err := unix.Bind(fd, sa); err != nil {
			return netip.Addr{}, opError("bind", err)
		}
	}
	// Any port will do: 9 is discard (RFC 863).
	sa, err := sockaddrOf(dst, 9)
	if err != nil {
		return netip.Addr{}, err
	}
	if err := unix.Connect(fd, sa); err != nil {
		return netip.Addr{}, opError("connect", err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, opError("getsockname", err)
	}
	switch local := local.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(local.Addr), nil
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(local.Addr), nil
	}
	return netip.Addr{}, opError("getsockname", unix.EAFNOSUPPORT)
}

func sockaddrOf(a netip.Addr, port int) (unix.Sockaddr, error) {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: port}, nil
	}
	zone, err := zoneID(a)
	return &unix.SockaddrInet6{Addr: a.As16(), Port: port, ZoneId: zone}, err
}
