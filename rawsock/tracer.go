package rawsock

import (
	"net/netip"
	"time"
)

// Proto is the protocol of a Probe, by its IP protocol number. For IPv6, ICMP
// means ICMPv6.
type Proto uint8

const (
	ICMP Proto = 1
	TCP  Proto = 6
	UDP  Proto = 17
)

// String returns the name used by the flag --proto and in records.
func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return "icmp"
}

// A Probe is one packet that asks its way: an echo request, a UDP datagram or a
// TCP SYN with a TTL of its own.
//
// What load balancers look at depends on Flow alone, and N stands in two places
// of the packet at least, so that an answer is recognized whatever a router
// quotes of it and a translator or an offloading sender does to it:
//
//	        flow                                     number
//	ICMP    identifier = checksum = Flow             sequence = N, IP ID = N
//	UDP     source port = Flow                       checksum = N, IP ID = N
//	TCP     source port = Flow                       sequence = N<<16 | low 16 bits of Cookie, checksum = N, IP ID = N
//	IPv6    flow label = Flow as well                as above; there is no IP ID
//
// The first 8 octets of an ICMP or UDP payload are Cookie; the 2 that follow
// make the checksum come out. In a SYN the timestamp option does that.
type Probe struct {
	From, To netip.Addr // unmapped; From may be invalid on a Datagram Tracer
	Port     uint16     // destination port of UDP and TCP
	TTL      uint8
	TOS      uint8
	Flow     uint16
	N        uint16 // 1 to 65534
	Cookie   uint64 // not 0, which a reply does not tell from padding
	Size     int    // of the IP packet, bytes; the smallest possible if that is larger: see AppendProbe
	Key      uint32 // comes back with this packet's transmit timestamp
}

// A Reply is one thing a Tracer was told. It is valid only as long as visit
// runs: copy what is to be kept of its slices.
type Reply struct {
	Event      Event // Echo is an answer of the target by the probe's own protocol: echo reply, UDP datagram, SYN-ACK or RST
	Proto      Proto // of the probe
	Type, Code uint8 // of the ICMP message, if it is one
	TCPFlags   uint8 // of a TCP answer (RFC 9293, section 3.1)
	TTL        uint8 // as the message arrived; 0 if unknown
	Size       int   // bytes of the message without IP header
	MTU        int   // next-hop MTU (frag-needed, packet-too-big); 0 if not named
	From       netip.Addr
	Key        uint32 // of the packet (Stamp)

	Flow      uint16 // as answered or quoted: our source port or echo identifier
	Port      uint16 // as answered or quoted: the destination port of our probe; 0 for ICMP
	N         uint16 // the number by the transport header; valid if HasN
	IPID      uint16 // the number by the quoted IPv4 header; valid if HasIPID
	Check     uint16 // TCP: low half of the sequence number; valid if HasN
	Cookie    uint64 // valid if HasCookie; a UDP service that answers puts there what it likes
	HasN      bool
	HasIPID   bool
	HasCookie bool

	Quoted     Quoted
	MPLS       []Label
	Interfaces []InterfaceInfo

	Stamp   int64     // kernel software timestamp, ns since 1970; 0 if there is none
	Arrived time.Time // when this process took its batch out of the socket
}

// Quoted is the header of our packet as an ICMP error quotes it.
type Quoted struct {
	Seen     bool // the socket showed it: a Datagram Tracer tells no more than Dst, and for ICMP Sum
	Src, Dst netip.Addr
	TTL, TOS uint8
	Sum      uint16 // transport checksum; valid if HasSum
	HasSum   bool
}

// Label is an entry of an MPLS label stack (RFC 3032, RFC 4950).
type Label struct {
	Label  uint32 // 20 bits
	TC     uint8
	Bottom bool
	TTL    uint8
}

// InterfaceInfo is an Interface Information Object (RFC 5837).
type InterfaceInfo struct {
	Role  uint8 // 0 incoming, 1 sub-IP component of it, 2 outgoing, 3 next hop
	Index uint32
	Addr  netip.Addr // invalid if not told
	Name  string     // at most 63 octets, unescaped; empty if not told
	MTU   int        // bytes; 0 if not told
}

// TracerConfig says how to open a Tracer.
type TracerConfig struct {
	Family Family // IPv4 if 0
	Proto  Proto  // ICMP if 0
	Kind   Kind   // Raw, Datagram, or Auto: Raw where allowed

	// Flow reserves this source port or echo identifier for the run; 0 picks a
	// free one between 61000 and 64999, where Linux gives out none by itself.
	Flow uint16

	// Beside is a Tracer of the other family that has the flow already, if this
	// one is to have the same: datagram sockets of both kinds of ICMP share one
	// set of identifiers. It must not be closed before.
	Beside *Tracer

	Source           netip.Addr // bind to this local address; any if invalid
	Interface        string     // leave and arrive through this interface only
	Mark             int        // fwmark; 0 for none
	RecvBuf, SendBuf int        // bytes; 0 for the system's
	NoStamps         bool       // no transmit timestamps

	ports int // how many source ports, from Flow on, a HalfOpen reserves and hears; 0 for a Tracer
}

// MaxDatagramFlows is how many different flows a Datagram Tracer can have, the
// reserved one among them: each takes a socket.
const MaxDatagramFlows = 64

// MaxFlows is how many flows, from the reserved one on, a Tracer can use.
const MaxFlows = 1024

// A Tracer is the sockets that path probes of one protocol and family leave
// from and their answers come to. Send and Drain may run at the same time,
// each in one goroutine; an Alarm waits for it.
//
// A Raw Tracer builds its packets whole, sees every ICMP error with what it
// quotes, and reserves its source port, so that the kernel resets a connection
// that a SYN opened. A Datagram Tracer needs no privilege for UDP, and for
// ICMP a group in net.ipv4.ping_group_range; the kernel writes its IP headers
// and sorts the errors. It never sees a quoted IP header, and of UDP no quoted
// header at all: the cookie alone tells which probe it was, which a router that
// quotes 8 octets does not show.
type Tracer struct {
	family Family
	proto  Proto
	kind   Kind
	flow   uint16
	tracer // what differs by operating system
}

// OpenTracer opens the sockets. It returns *PermissionError if that needs
// privileges this process lacks, as TCP always does; errors.ErrUnsupported
// (wrapped) where the operating system cannot; EADDRINUSE (wrapped) if the flow
// asked for is somebody else's; ErrFlows for one that cannot be; else a wrapped
// *os.SyscallError.
func OpenTracer(cfg TracerConfig) (*Tracer, error) {
	if cfg.Family == 0 {
		cfg.Family = IPv4
	}
	if cfg.Proto == 0 {
		cfg.Proto = ICMP
	}
	return openTracer(cfg)
}

// Flow is the reserved source port or echo identifier. On a Raw Tracer probes
// may have any of the MaxFlows from there on, on a Datagram Tracer any flows, but
// only 64 different ones; no flow passes 65535.
func (t *Tracer) Flow() uint16 { return t.flow }

// Kind is Raw or Datagram.
func (t *Tracer) Kind() Kind { return t.kind }

// Family is the IP version.
func (t *Tracer) Family() Family { return t.family }

// Proto is the protocol of the probes.
func (t *Tracer) Proto() Proto { return t.proto }

// KernelClock reports whether both probes and answers are stamped by the kernel.
func (t *Tracer) KernelClock() bool { return t.kernelClock() }

// Dropped is how many messages the kernel has dropped because a receive buffer
// was full, as last reported.
func (t *Tracer) Dropped() uint32 { return t.drops() }

// Send sends ps in order and returns how many the kernel took, and if that is
// not all, why it refused the next one: a wrapped *os.SyscallError for CauseOf,
// or ErrFlows. A probe larger than the MTU of the interface is refused as
// TooBig; what the kernel knows of the path beyond does not matter. It does
// not allocate unless it fails or a flow is new.
//
// Probes without From leave from the address the route to them has.
func (t *Tracer) Send(ps []Probe) (n int, err error) { return t.send(ps) }

// Drain tells visit all there is without blocking, the stamp of a probe before
// its answer. It stops after some thousand messages, that a storm may not hold
// the caller. It does not allocate. Calls must not overlap.
func (t *Tracer) Drain(visit func(*Reply)) error { return t.drain(visit) }

// Close closes all descriptors. No other call may be under way.
func (t *Tracer) Close() error { return t.close() }
