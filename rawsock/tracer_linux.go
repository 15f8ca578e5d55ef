package rawsock

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tracer is the Linux part of a Tracer.
//
// Raw: one outlet, which never receives; a raw socket that hears ICMP; for UDP
// and TCP one more that hears the answers of targets, and one that holds the
// port and hears nothing. Datagram: an outlet per flow, which hears its own
// answers and errors.
type tracer struct {
	cfg     TracerConfig
	stamps  atomic.Bool // packets that leave are stamped, and what arrives is
	ready   int         // epoll(7) descriptor of all that follow
	outlets atomic.Pointer[[]*flowOutlet]
	inlets  []*inlet
	reserve []int                  // sockets that hold ports
	plain   bool                   // a packet cannot have a TTL of its own: see sameHeader
	beside  atomic.Pointer[Tracer] // of the other family, with which flows are shared

	build   []byte // packets being sent
	routes  routeSocket
	sources map[netip.Addr]netip.Addr // answers of routes

	in, err receiver // data and error queue
	reply   Reply
}

// A flowOutlet is an outlet of one flow, or on a Raw Tracer of all.
type flowOutlet struct {
	outlet
	flow    uint16
	dropped atomic.Uint32

	ttl, tos int // that the socket has been told; -1 for none
}

// An inlet is a raw socket that receives.
type inlet struct {
	fd      int
	proto   uint8 // what the IP header of its packets says
	dropped atomic.Uint32
}

const (
	// The range flows are picked from begins where that of the system ends
	// (net.ipv4.ip_local_port_range), and leaves room for MaxFlows.
	firstFlow, lastFlow = 61000, 65535 - MaxFlows
	flowTries           = 100
)

func openTracer(cfg TracerConfig) (*Tracer, error) {
	if cfg.Kind == Datagram && cfg.Proto == TCP {
		return nil, &PermissionError{Kind: Raw, Proto: TCP, Err: unix.EPERM}
	}
	kinds := []Kind{cfg.Kind}
	if cfg.Kind == Auto {
		kinds = []Kind{Raw, Datagram}
	}
	var refused error
	for _, k := range kinds {
		if k == Datagram && cfg.Proto == TCP {
			continue
		}
		t, err := openTracerKind(cfg, k)
		if denied, ok := errors.AsType[*PermissionError](err); ok {
			refused = denied.Err
			continue
		}
		return t, err
	}
	return nil, &PermissionError{Kind: cfg.Kind, Proto: cfg.Proto, Err: refused}
}

func openTracerKind(cfg TracerConfig, k Kind) (*Tracer, error) {
	t := &Tracer{family: cfg.Family, proto: cfg.Proto, kind: k}
	t.cfg, t.cfg.Kind, t.routes = cfg, k, noRoutes
	t.stamps.Store(!cfg.NoStamps)
	t.plain = k == Datagram && cfg.Proto == ICMP && cfg.Family == IPv6 && !pingControls()
	t.outlets.Store(new([]*flowOutlet))
	t.beside.Store(cfg.Beside)
	var err error
	if t.ready, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, opError("epoll_create1", err)
	}
	if k == Raw {
		err = t.openRaw()
	} else {
		err = t.pickFlow(func(flow uint16) error {
			_, err := t.addOutlet(flow)
			return err
		})
		t.err.init(quoteBuffer)
	}
	if err == nil {
		t.routes, err = openRoutes(t.via())
	}
	if err != nil {
		_ = t.close()
		return nil, err
	}
	t.in.init(tracerBuffer)
	if cfg.Beside != nil {
		cfg.Beside.beside.Store(t)
	}
	return t, nil
}

const (
	tracerBuffer = 2048 // what answers say in more than that is not read
	quoteBuffer  = 1536 // of an ICMP error, with its extensions
	stampBuffer  = 64   // departures carry nothing
)

// pickFlow tries the flow asked for, or some at random until one is free.
func (t *Tracer) pickFlow(try func(flow uint16) error) error {
	if t.cfg.Flow != 0 {
		t.flow = t.cfg.Flow
		return try(t.flow)
	}
	var err error
	for range flowTries {
		t.flow = uint16(firstFlow + rand.IntN(lastFlow-firstFlow+1))
		if err = try(t.flow); !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
	}
	return err
}

// openRaw opens the socket that sends last: until then nothing can answer.
func (t *Tracer) openRaw() error {
	if err := t.pickFlow(t.reservePorts); err != nil {
		return err
	}
	if err := t.addInlet(ICMP.number(t.family)); err != nil {
		return err
	}
	if t.proto != ICMP {
		if err := t.addInlet(uint8(t.proto)); err != nil {
			return err
		}
	}
	fd, err := t.socket(unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	t.err.init(stampBuffer)
	_, err = t.adopt(fd, t.flow, outletOptions(t.family))
	return err
}

// via is what routes of its packets depend on.
func (t *Tracer) via() Config {
	return Config{Family: t.family, Source: t.cfg.Source, Interface: t.cfg.Interface, Mark: t.cfg.Mark}
}

func (t *tracer) kernelClock() bool { return t.stamps.Load() }

func (t *tracer) drops() uint32 {
	var n uint32
	for _, in := range t.inlets {
		n += in.dropped.Load()
	}
	for _, o := range *t.outlets.Load() {
		n += o.dropped.Load()
	}
	return n
}

func (t *Tracer) close() error {
	if other := t.beside.Load(); other != nil {
		other.beside.CompareAndSwap(t, nil)
	}
	for _, o := range *t.outlets.Load() {
		o.second.end()
	}
	errs := []error{unix.Close(t.ready), t.routes.close()}
	for _, fd := range t.reserve {
		errs = append(errs, unix.Close(fd))
	}
	for _, in := range t.inlets {
		errs = append(errs, unix.Close(in.fd))
	}
	for _, o := range *t.outlets.Load() {
		errs = append(errs, unix.Close(o.fd))
	}
	return opError("close", errors.Join(errs...))
}
