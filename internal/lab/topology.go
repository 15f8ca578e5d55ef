package lab

import (
	"net/netip"
	"slices"
	"time"
)

// Topology is a network as its prober sees it: a chain of hops, some of them
// side by side, and hosts behind the last of them. The zero value is a network
// without hops in which every address answers at once.
type Topology struct {
	Seed   uint64       // of all chance; the same packets meet the same fate again
	Prober []netip.Addr // at most one per family; nil means 192.0.2.1 and 2001:db8::1

	Out, Back Link // the prober's own link, from and to the prober
	Hops      []Hop
	Hosts     []Host // the longest prefix wins; nil means one that answers for every address

	// Names are what the resolvers know: A and AAAA records, and the PTR records
	// for them. A name may have several addresses; it is any octets that fit into
	// DNS labels, in any case, without a final dot.
	Names map[netip.Addr]string

	// Resolvers answer DNS queries over UDP, port 53, as if they were attached to
	// the prober itself: no link and no hop is in between, and nothing of it is
	// in the Log but Totals.Queries. nil means 192.0.2.53 and 2001:db8::53 if there
	// are Names, and none otherwise.
	Resolvers []netip.Addr
	NameDelay time.Duration // from a query to its answer

	// Hook is asked about every packet that enters the network (Direction Out)
	// and about every one that a node sends toward the prober (Back), before
	// its first link. It runs inside the simulator and must not call it.
	Hook func(*Packet) Verdict

	LogLimit int // packets the Log holds, 0 means 1<<20; further ones are only counted
}

// Link is one direction of a link. Shares are between 0 and 1.
type Link struct {
	Delay  time.Duration // of every packet
	Jitter time.Duration // added to Delay, uniform in [0, Jitter); keeps the order

	Loss      float64 // share that vanishes
	Duplicate float64 // share that arrives twice, at the same instant
	Corrupt   float64 // share with one bit flipped behind the IP header, checksum unmended

	Reorder      float64       // share that takes ReorderDelay longer and lets others pass
	ReorderDelay time.Duration // 0 means 10 ms

	MTU       int  // largest IP packet in bytes, 0 means any
	BlackHole bool // what exceeds MTU vanishes without an ICMP error
}

// Hop is a router, or a section of parallel ways with routers of their own. A
// router decrements the TTL and answers for its own addresses.
type Hop struct {
	Addrs     []netip.Addr // at most one per family; without one it is silent in that family
	Out, Back Link         // the link behind it, away from and toward the prober

	Silent    bool          // forwards, but sends nothing of its own
	Delay     time.Duration // before it sends anything of its own: a slow control plane
	RateLimit RateLimit     // of what it sends of its own
	TTL       uint8         // initial TTL of what it sends, 0 means 255
	Quote     Quote         // how its ICMP errors quote

	MPLS       []Label     // what packets carry when they arrive, outermost first; told in its ICMP errors
	Interfaces []Interface // told in its ICMP errors

	TOS  *uint8 // what the TOS or traffic class octet of packets forwarded outward becomes; nil leaves it
	Drop Filter // what it does not forward outward, silently; TTLs that end here are still told
	NAT  *NAT   // nil means that it translates nothing

	ZeroTTL bool // forwards what arrives with TTL 1, with TTL 0: the next node answers in its place

	Error    ICMPError      // sent instead of forwarding, if not zero
	ErrorFor []netip.Prefix // destinations that get Error; nil means all
	Redirect []netip.Addr   // gateways (one per family) to redirect to; the packet is forwarded too

	// Ways, if not nil, make this a section of parallel ways instead of a
	// router; no other field but PerPacket may be set then. Every way is a chain of
	// hops that begins behind the hop before the section and ends before the hop
	// after it. An empty one leads straight across. Sections may be nested. Answers
	// return along the way the packet came.
	//
	// A packet for a hop inside takes the way to it. For all others the way is
	// drawn by flow: by a hash of the addresses, the protocol, the ports of UDP
	// and TCP, type, code, checksum and identifier of ICMP, and the flow label of
	// IPv6, all as the packet left the prober.
	Ways      [][]Hop
	PerPacket bool // the way of each packet is drawn by chance
}

// Label is an entry of an MPLS label stack (RFC 3032), told as RFC 4950 says.
type Label struct {
	Label  uint32 // 20 bits
	TC     uint8  // 3 bits, formerly EXP
	Bottom bool   // of the stack
	TTL    uint8
}

// Interface is what a router tells about one of its interfaces (RFC 5837).
// Fields with the zero value are not told.
type Interface struct {
	Role  uint8 // 0 incoming, 1 sub-IP component of it, 2 outgoing, 3 next hop
	Index uint32
	Addr  netip.Addr
	Name  string // at most 63 octets
	MTU   int    // bytes
}

// Filter is what a firewall drops without a word. The zero value drops nothing.
type Filter struct {
	ICMP, UDP, TCP bool
	Except         []uint16 // destination ports of UDP and TCP that pass all the same
}

// NAT translates the source of what a hop forwards outward, and the destination
// of what comes back: address, and port of UDP and TCP or identifier of ICMP
// echoes, with their checksums. In ICMP errors that come back it translates the
// quoted packet as well, unless told to leave something. The hop itself quotes
// packets as they reached it.
type NAT struct {
	Addrs    []netip.Addr // its outer addresses, one per family; nil means those of the hop
	KeepPort bool         // only addresses are translated

	// In quoted packets, what stays as it was beyond the translator. A quoted
	// IPv4 header's own checksum is always right.
	LeaveAddr bool // source address
	LeavePort bool // source port, or identifier
	LeaveSum  bool // checksum of UDP, TCP or ICMP
}

// Host is a target, or as many alike as its prefixes hold.
type Host struct {
	At        []netip.Prefix // nil means every address
	Out, Back Link           // the last link, to and from the host
	Kernel    bool           // in Start, a real kernel answers; in memory no difference

	Silent bool          // answers nothing
	Delay  time.Duration // from the request to its answer
	TTL    uint8         // initial TTL of what it sends, 0 means 64

	TCP  []uint16 // open ports: a SYN gets a SYN-ACK, at others an RST; nothing follows the handshake
	UDP  []uint16 // ports that answer with a datagram, at others port-unreachable follows
	Drop Filter   // what it does not even see

	From    []netip.Addr             // source of its replies (one per family) instead of the address probed
	Payload func(sent []byte) []byte // payload of its echo replies and datagrams: Truncated(n), Zeroed, Foreign; nil means as sent
	Reflect bool                     // sends the request itself back, addresses swapped, instead of a reply
	Forge   []Forgery                // sent beside whatever else it does

	Error     ICMPError // sent instead of a reply, if not zero
	Quote     Quote     // how its ICMP errors quote
	RateLimit RateLimit // of its ICMP errors
}

// Forgery is a packet that looks like an answer but is not one.
type Forgery struct {
	Shift   time.Duration            // after (or, negative, before) the host's own answer is sent, never before the request arrived
	From    netip.Addr               // source; invalid means the address probed
	ID, Seq uint16                   // added to those of the request
	Payload func(sent []byte) []byte // nil means Foreign; Kept for an exact copy
	Request bool                     // an echo request, not a reply
	Error   ICMPError                // if not zero: this error, quoting the request, and no echo
}

// RateLimit is a token bucket. The zero value does not limit.
type RateLimit struct {
	PerSecond float64 // refill; with 0 and a Burst nothing follows the burst
	Burst     int     // 0 means 1 if PerSecond is set
}

// Quote says how an ICMP error quotes the packet it is about.
type Quote struct {
	// Transport is how many octets behind the quoted IP header are kept. 0
	// means as many as fit: RFC 1812 section 4.3.2.3 (576 octets in all) and
	// RFC 4443 section 2.4 (1280). RFC 792 asks for 8.
	Transport  int
	Options    []byte      // inserted into a quoted IPv4 header; padded to a multiple of 4, at most 40
	Extensions []Extension // inserted behind a quoted IPv6 header, in this order
	TTL        uint8       // quoted instead of the TTL with which the packet arrived, as inside an MPLS tunnel; 0 leaves that

	// BrokenSum puts an unfinished checksum into quoted UDP and TCP headers: the
	// sum of the pseudo-header alone, as a sender leaves it that trusts its
	// network card with the rest.
	BrokenSum bool

	// NoLength leaves the length field of RFC 4884 out of errors that tell MPLS
	// or Interfaces, as routers did before it: what they tell follows the first 128
	// octets of the quote.
	NoLength bool
}

// Extension is an IPv6 extension header of 8 octets, by its protocol number.
type Extension uint8

// The extension headers of RFC 8200 section 4.
const (
	HopByHop    Extension = 0
	Routing     Extension = 43
	Fragment    Extension = 44 // offset 0, more fragments follow
	DestOptions Extension = 60
)

// Code is an ICMP type and code.
type Code struct{ Type, Code uint8 }

// ICMPError is an ICMP error in both families. The zero value is none.
type ICMPError struct {
	V4, V6  Code
	MTU     int   // of frag-needed and packet-too-big, bytes
	Pointer uint8 // of a parameter problem
}

// The ICMP errors of RFC 792, RFC 1812 section 5.2.7 and RFC 4443. Where IPv6
// has no counterpart the closest one stands in.
var (
	NetUnreachable     = ICMPError{V4: Code{3, 0}, V6: Code{1, 0}}
	HostUnreachable    = ICMPError{V4: Code{3, 1}, V6: Code{1, 3}}
	ProtoUnreachable   = ICMPError{V4: Code{3, 2}, V6: Code{4, 1}, Pointer: 6}
	PortUnreachable    = ICMPError{V4: Code{3, 3}, V6: Code{1, 4}}
	NetProhibited      = ICMPError{V4: Code{3, 9}, V6: Code{1, 5}}
	HostProhibited     = ICMPError{V4: Code{3, 10}, V6: Code{1, 6}}
	AdminProhibited    = ICMPError{V4: Code{3, 13}, V6: Code{1, 1}}
	SourceQuench       = ICMPError{V4: Code{4, 0}, V6: Code{1, 0}}
	TimeExceeded       = ICMPError{V4: Code{11, 0}, V6: Code{3, 0}}
	ReassemblyExceeded = ICMPError{V4: Code{11, 1}, V6: Code{3, 1}}
	ParameterProblem   = ICMPError{V4: Code{12, 0}, V6: Code{4, 0}}
)

// TooBig is frag-needed (RFC 1191) or packet-too-big (RFC 4443) naming mtu.
func TooBig(mtu int) ICMPError {
	return ICMPError{V4: Code{3, 4}, V6: Code{2, 0}, MTU: mtu}
}

// Addrs parses addresses, for Prober, Hop.Addrs and the like. It panics on a
// malformed one: topologies are written by programmers.
func Addrs(s ...string) []netip.Addr {
	var list []netip.Addr
	for _, a := range s {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// At parses addresses and prefixes, for Host.At and the like. It panics on a
// malformed one.
func At(s ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, a := range s {
		if p, err := netip.ParsePrefix(a); err == nil {
			list = append(list, p)
			continue
		}
		addr := netip.MustParseAddr(a)
		list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return list
}

// Kept returns the payload as it was sent.
func Kept(sent []byte) []byte { return sent }

// Zeroed returns a payload of the same length, all zero.
func Zeroed(sent []byte) []byte { return make([]byte, len(sent)) }

// Foreign returns a payload of the same length that nobody sent.
func Foreign(sent []byte) []byte {
	b := make([]byte, len(sent))
	for i := range b {
		b[i] = 0xa5 ^ byte(i)
	}
	return b
}

// Truncated returns a function that keeps the first n bytes of the payload.
func Truncated(n int) func([]byte) []byte {
	return func(sent []byte) []byte { return sent[:min(n, len(sent))] }
}

// proberAddrs returns the prober's addresses, by default one per family.
func (t *Topology) proberAddrs() []netip.Addr {
	if t.Prober != nil {
		return t.Prober
	}
	return Addrs("192.0.2.1", "2001:db8::1")
}

// resolvers returns the addresses of the name servers.
func (t *Topology) resolvers() []netip.Addr {
	if t.Resolvers != nil || t.Names == nil {
		return t.Resolvers
	}
	return Addrs("192.0.2.53", "2001:db8::53")
}

// plain reports whether l does nothing but delay packets and limit their size.
func (l Link) plain() bool {
	return l.Jitter == 0 && l.Loss == 0 && l.Duplicate == 0 && l.Corrupt == 0 && l.Reorder == 0
}

// any reports whether f drops anything.
func (f Filter) any() bool { return f.ICMP || f.UDP || f.TCP }

// drops reports whether f drops p.
func (f Filter) drops(p *Packet) bool {
	switch p.proto {
	case protoICMP, protoICMPv6:
		return f.ICMP
	case protoUDP:
		return f.UDP && !slices.Contains(f.Except, p.Seq)
	case protoTCP:
		return f.TCP && !slices.Contains(f.Except, p.Seq)
	}
	return false
}

// sameFamily returns the address of list that is of the family of a, or the
// invalid address.
func sameFamily(list []netip.Addr, a netip.Addr) netip.Addr {
	for _, b := range list {
		if b.Is4() == a.Is4() {
			return b
		}
	}
	return netip.Addr{}
}
