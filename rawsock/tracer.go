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
	Cookie   uint64
	Size     int    // of the IP packet, bytes; the smallest possible if that is larger: see AppendProbe
	Key      uint32 // comes back with this packet's transmit timestamp
}

// A Reply is one thing a Tracer was told. Its slices are valid only until the
// next Drain.
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
	Seen     bool // the socket showed it: never on a Datagram Tracer
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

	Source           netip.Addr // bind to this local address; any if invalid
	Interface        string     // leave and arrive through this interface only
	Mark             int        // fwmark; 0 for none
	RecvBuf, SendBuf int        // bytes; 0 for the system's
	NoStamps         bool       // no transmit timestamps
}
