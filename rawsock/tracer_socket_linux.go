package rawsock

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// reservePorts holds the source ports from first on, so that nobody else gets
// them, and the kernel answers a SYN-ACK to one with an RST: of TCP sockets only
// those that listen or are connected would take it. An echo identifier cannot be
// held.
func (t *Tracer) reservePorts(first uint16) error {
	if t.proto == ICMP {
		return nil
	}
	for i := range max(1, t.cfg.ports) {
		if err := t.reservePort(first + uint16(i)); err != nil {
			for _, fd := range t.reserve {
				_ = unix.Close(fd)
			}
			t.reserve = nil
			return err
		}
	}
	return nil
}

func (t *Tracer) reservePort(port uint16) error {
	typ := unix.SOCK_DGRAM
	if t.proto == TCP {
		typ = unix.SOCK_STREAM
	}
	fd, err := t.socket(typ, 0)
	if err != nil {
		return err
	}
	t.reserve = append(t.reserve, fd)
	if t.proto == UDP {
		if err := attach(fd, hearNothing()); err != nil {
			return err
		}
	}
	return t.bind(fd, port)
}

func (t *Tracer) bind(fd int, port uint16) error {
	src := t.cfg.Source
	if !src.IsValid() {
		src = netip.IPv4Unspecified()
		if t.family == IPv6 {
			src = netip.IPv6Unspecified()
		}
	}
	sa, err := sockaddrOf(src, int(port))
	if err != nil {
		return err
	}
	return opError(fmt.Sprintf("bind %v", netip.AddrPortFrom(src, port)), unix.Bind(fd, sa))
}

// socket opens a socket with what all have in common.
func (t *Tracer) socket(typ, proto int) (int, error) {
	domain := (&Config{Family: t.family}).domain()
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return -1, &PermissionError{Kind: t.kind, Proto: t.proto, Err: err}
	}
	if err != nil {
		return -1, opError("socket", err)
	}
	if err := t.prepare(fd, typ); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (t *Tracer) prepare(fd, typ int) error {
	if t.cfg.Interface != "" {
		if err := unix.BindToDevice(fd, t.cfg.Interface); err != nil {
			return opError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	var opts []option
	if t.cfg.Mark != 0 {
		opts = append(opts, option{"SO_MARK", unix.SOL_SOCKET, unix.SO_MARK, t.cfg.Mark})
	}
	if t.family == IPv6 && typ != unix.SOCK_RAW {
		// The port of an IPv4 Tracer is another one.
		opts = append(opts, option{"IPV6_V6ONLY", unix.SOL_IPV6, unix.IPV6_V6ONLY, 1})
	}
	setBuf(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, t.cfg.RecvBuf)
	setBuf(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, t.cfg.SendBuf)
	return setOptions(fd, opts)
}

// addInlet opens a raw socket that hears one protocol.
func (t *Tracer) addInlet(proto uint8) error {
	fd, err := t.socket(unix.SOCK_RAW, int(proto))
	if err != nil {
		return err
	}
	in := &inlet{fd: fd, proto: proto}
	t.inlets = append(t.inlets, in)
	if proto == protoICMP6 {
		err = passICMPv6(fd, typeEchoReply6, typeUnreachable6, typeTooBig6, typeExceeded6, typeParameter6)
	}
	if err == nil {
		err = attach(fd, t.filter(proto))
	}
	if err == nil {
		err = setOptions(fd, inletOptions(t.family))
	}
	if err == nil && t.cfg.Source.IsValid() {
		err = t.bind(fd, 0)
	}
	if err == nil {
		if stampOn(fd, stampFlags(false)) != nil {
			t.stamps.Store(false)
		}
		err = t.watch(fd)
	}
	return err
}

// filter is what a raw socket that hears the protocol lets through.
func (t *Tracer) filter(heard uint8) []bpf.Instruction {
	if t.cfg.ports > 0 {
		return halfOpenFilter(t.family, heard, t.flow, t.cfg.ports)
	}
	return tracerFilter(t.family, heard, t.proto, t.flow)
}

// addOutlet opens the datagram socket of a flow.
func (t *Tracer) addOutlet(flow uint16) (*flowOutlet, error) {
	if len(*t.outlets.Load()) >= MaxDatagramFlows {
		return nil, ErrFlows
	}
	proto := (&Config{Family: t.family}).proto()
	if t.proto == UDP {
		proto = unix.IPPROTO_UDP
	}
	fd, err := t.socket(unix.SOCK_DGRAM, proto)
	if err != nil {
		return nil, err
	}
	if err := t.bindFlow(fd, flow); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	_ = setOptions(fd, []option{extensionOption(t.family)})
	return t.adopt(fd, flow, datagramOptions(t.family))
}

// bindFlow binds a datagram socket. Those of ICMP have one set of identifiers
// for both families, and share one if both sockets allow that, as they do unless
// told otherwise (ping_get_port in net/ipv4/ping.c). So only the Tracer beside
// may have the same: whoever comes first asks for it alone, and allows it then.
func (t *Tracer) bindFlow(fd int, flow uint16) error {
	share := func(on int) error {
		if t.proto != ICMP {
			return nil
		}
		return setOptions(fd, []option{{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, on}})
	}
	on := 0
	if t.mayShare(flow) {
		on = 1
	}
	if err := share(on); err != nil {
		return err
	}
	if err := t.bind(fd, flow); err != nil {
		return err
	}
	return share(1)
}

// mayShare reports whether the Tracer beside has a socket for the flow, and has
// not given it to somebody else already.
func (t *Tracer) mayShare(flow uint16) bool {
	other := t.beside.Load()
	if other == nil || other.family == t.family {
		return false
	}
	if third := other.beside.Load(); third != nil && third != t {
		return false
	}
	return slices.ContainsFunc(*other.outlets.Load(), func(o *flowOutlet) bool { return o.flow == flow })
}

// adopt makes fd an outlet.
func (t *Tracer) adopt(fd int, flow uint16, opts []option) (*flowOutlet, error) {
	o := &flowOutlet{flow: flow, ttl: -1, tos: -1, outlet: outlet{fd: fd, deaf: t.kind == Raw, via: t.via()}}
	err := setOptions(fd, opts)
	if err == nil {
		// A kernel without timestamps costs accuracy, not the run.
		stamps := !t.cfg.NoStamps
		o.stamps = o.stamp(stampFlags(stamps)) == nil && stamps
		if !o.stamps {
			t.stamps.Store(false)
		}
		o.out.init()
		err = t.watch(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	all := append(slices.Clone(*t.outlets.Load()), o)
	t.outlets.Store(&all)
	return o, nil
}

func (t *Tracer) watch(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return opError("epoll_ctl", unix.EpollCtl(t.ready, unix.EPOLL_CTL_ADD, fd, &e))
}
