package rawsock

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialCost        = 2
	tellsHandshakes = true
)

// kept is the second descriptor of a dialled socket.
type kept struct {
	fd   int
	open bool
}

func (d *Dial) control(network string, c syscall.RawConn) error {
	d.close() // net dials up to three times where a connection met itself
	var err error
	if e := c.Control(func(fd uintptr) { err = d.prepare(int(fd), network) }); e != nil {
		return e
	}
	return err
}

func (d *Dial) prepare(fd int, network string) error {
	f := IPv4
	if strings.HasSuffix(network, "6") {
		f = IPv6
	}
	tcp := strings.HasPrefix(network, "tcp")
	if err := d.Config.prepareDial(fd, f, tcp); err != nil || !tcp {
		if err == nil && d.Stamps {
			stampDial(fd, f)
		}
		return err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return opError("fcntl F_DUPFD_CLOEXEC", err)
	}
	d.kept = kept{dup, true}
	return nil
}

// prepareDial sets the options of a socket of family f.
func (cfg *Config) prepareDial(fd int, f Family, tcp bool) error {
	for _, o := range cfg.dialOptions(f, tcp) {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return opError("setsockopt "+o.what, err)
		}
	}
	if cfg.Source.IsValid() {
		// The port is then picked by connect, which needs another one only for the
		// same destination (ip(7), since Linux 4.2). Without it there are fewer.
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	if tcp {
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return opError("setsockopt SO_LINGER", err)
		}
	}
	if cfg.Interface != "" {
		return opError("setsockopt SO_BINDTODEVICE", unix.BindToDevice(fd, cfg.Interface))
	}
	return nil
}

// dialOptions returns the integer options of a dialled socket. IP_RECVERR fills
// the error queue: UDP hears of few ICMP errors without, TCP over IPv6 not who
// sent them.
func (cfg *Config) dialOptions(f Family, tcp bool) []option {
	var o []option
	add := func(set bool, what string, level, name, value int) {
		if set {
			o = append(o, option{what, level, name, value})
		}
	}
	// Bound UDP sockets that set it may be given the same port.
	add(tcp, "SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	add(cfg.Mark != 0, "SO_MARK", unix.SOL_SOCKET, unix.SO_MARK, cfg.Mark)
	if f == IPv6 {
		add(true, "IPV6_RECVERR", unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
		add(cfg.TTL != 0, "IPV6_UNICAST_HOPS", unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, cfg.TTL)
		add(cfg.TOS != 0, "IPV6_TCLASS", unix.SOL_IPV6, unix.IPV6_TCLASS, cfg.TOS)
		return o
	}
	add(true, "IP_RECVERR", unix.SOL_IP, unix.IP_RECVERR, 1)
	add(cfg.TTL != 0, "IP_TTL", unix.SOL_IP, unix.IP_TTL, cfg.TTL)
	add(cfg.TOS != 0, "IP_TOS", unix.SOL_IP, unix.IP_TOS, cfg.TOS)
	return o
}

func (d *Dial) rejected() (r Rejection, ok bool) {
	if !d.kept.open {
		return r, false
	}
	return readRejection(d.kept.fd)
}

func (d *Dial) local() netip.Addr {
	if !d.kept.open {
		return netip.Addr{}
	}
	sa, err := unix.Getsockname(d.kept.fd)
	if err != nil {
		return netip.Addr{}
	}
	return addrOfSockaddr(sa)
}

func (d *Dial) end() Ending {
	var e Ending
	if !d.kept.open {
		return e
	}
	if errno, err := unix.GetsockoptInt(d.kept.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil {
		e.Errno = syscall.Errno(errno)
	}
	if info, err := unix.GetsockoptTCPInfo(d.kept.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		// Who closes at once has answered, too.
		e.Connected = info.State == unix.BPF_TCP_ESTABLISHED || info.State == unix.BPF_TCP_CLOSE_WAIT
		e.Handshake = handshake(info)
	}
	return e
}

func (d *Dial) close() {
	if d.kept.open {
		unix.Close(d.kept.fd)
		d.kept = kept{}
	}
}

// addrOfSockaddr returns the address in sa without zone; invalid if it is of
// another family or unspecified.
func addrOfSockaddr(sa unix.Sockaddr) netip.Addr {
	var a netip.Addr
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		a = netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		a = netip.AddrFrom16(sa.Addr)
	}
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func handshake(info *unix.TCPInfo) Handshake {
	return Handshake{RTT: time.Duration(info.Rtt) * time.Microsecond, Retrans: int(info.Total_retrans)}
}

func handshakeOf(c syscall.RawConn) (h Handshake, ok bool) {
	_ = c.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			h, ok = handshake(info), true
		}
	})
	return h, ok
}

// rejections lends what reading an error queue takes.
var rejections = sync.Pool{New: func() any {
	r := new(receiver)
	r.init(rejectionQuote)
	return r
}}

// rejectionQuote is how much is read of what an ICMP error quotes: nothing of
// it is needed.
const rejectionQuote = 64

// readRejection reads the error queue of fd up to its first ICMP error, and
// forgets what came with it: one host was asked one thing.
func readRejection(fd int) (r Rejection, ok bool) {
	in := rejections.Get().(*receiver)
	defer rejections.Put(in)
	for range drainBatches {
		n, errno := in.read(fd, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		for i := range n {
			if r, ok = in.rejection(i); ok {
				return r, true
			}
		}
		if n == 0 && errno != unix.EINTR {
			return r, false
		}
	}
	return r, false
}

// rejection reads the i'th message as an ICMP error.
func (in *receiver) rejection(i int) (r Rejection, ok bool) {
	for cm := range in.controls(i) {
		if !cm.is(unix.SOL_IP, unix.IP_RECVERR) && !cm.is(unix.SOL_IPV6, unix.IPV6_RECVERR) {
			continue
		}
		ee := cm.extendedErr()
		if ee == nil || ee.Origin != unix.SO_EE_ORIGIN_ICMP && ee.Origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue
		}
		r = Rejection{From: cm.offender(), Type: ee.Type, Code: ee.Code}
		return r, r.From.IsValid()
	}
	return r, false
}

func lastBytes(c syscall.RawConn, buf []byte) (n int, ok bool) {
	_ = c.Control(func(fd uintptr) {
		for {
			var err error
			n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			ok = err == nil
			return
		}
	})
	return n, ok
}

func descriptors() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Cur > 1<<30 {
		return 0
	}
	return int(l.Cur)
}

func checkDial(cfg Config) error {
	f := IPv4
	if cfg.Source.IsValid() {
		f = FamilyOf(cfg.Source)
	}
	cfg.Family = f
	fd, err := unix.Socket(cfg.domain(), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return opError("socket", err)
	}
	defer unix.Close(fd)
	if err := cfg.prepareDial(fd, f, false); err != nil || !cfg.Source.IsValid() {
		return err
	}
	sa, err := sockaddrOf(cfg.Source, 0)
	if err != nil {
		return err
	}
	return opError("bind", unix.Bind(fd, sa))
}
