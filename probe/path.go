package probe

import (
	"cmp"
	"net/netip"
	"time"
)

// Hop is the Detail of the Result of one trace probe: what is known beside the
// answer itself.
type Hop struct {
	TTL  uint8  // TTL or hop limit with which the probe left
	Flow uint16 // see Path.Flow
	Size int    // IP packet sent, bytes

	Quote      *Quote      // nil if nothing was quoted, or the socket does not show it
	MPLS       []Label     // label stack of our packet as it met the router, outermost first (RFC 4950)
	Interfaces []Interface // what the router says about itself (RFC 5837)
}

// Quote is what an ICMP error shows of our packet as it arrived there.
type Quote struct {
	TTL       uint8 // 1 at an ordinary hop; more tells of hops that do not count down (MPLS), 0 of a zero-TTL forwarder
	TOS       uint8
	Rewritten Rewrite
}

// Rewrite is a set of header fields that somebody changed on the way.
type Rewrite uint8

const (
	RewroteSource          Rewrite = 1 << iota // source address
	RewroteSourcePort                          // or the ICMP identifier
	RewroteDestination                         // destination address
	RewroteDestinationPort                     //
	RewroteChecksum                            // of the transport header: an address translator that mends addresses but not this, or an offloading sender's unfinished sum
	RewroteTOS                                 // TOS or traffic class octet
)

var rewriteNames = [...]string{"source", "source-port", "destination", "destination-port", "checksum", "tos"}

// RewriteNames returns the names of all flags of Rewrite, in bit order.
func RewriteNames() []string { return rewriteNames[:] }

// AppendNames appends the names of the set flags, as used in records.
func (r Rewrite) AppendNames(names []string) []string {
	for i, name := range rewriteNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// NAT reports whether the fields tell of an address translator.
func (r Rewrite) NAT() bool {
	return r&(RewroteSource|RewroteSourcePort|RewroteDestination|RewroteDestinationPort|RewroteChecksum) != 0
}

// Label is an entry of an MPLS label stack (RFC 3032).
type Label struct {
	Label  uint32 // 20 bits
	TC     uint8  // traffic class, formerly EXP: 3 bits
	Bottom bool   // of the stack
	TTL    uint8
}

// InterfaceRole says what an Interface is to the packet (RFC 5837, section 4.1).
type InterfaceRole uint8

const (
	Incoming    InterfaceRole = iota // our packet came in here
	SubIP                            // component of the incoming one
	Outgoing                         // it would have left here
	NextHopRole                      // the address of the next hop
)

var roleNames = [...]string{"incoming", "sub-ip", "outgoing", "next-hop"}

// String returns the name used in records.
func (r InterfaceRole) String() string { return roleNames[r&3] }

// Interface is what a router tells about one of its interfaces (RFC 5837).
type Interface struct {
	Role  InterfaceRole
	Index uint32     // ifIndex; 0 if not told
	Addr  netip.Addr // invalid if not told
	Name  string     // as it came from the wire, at most 63 octets; empty if not told
	MTU   int        // bytes; 0 if not told
}

// Stop says why a trace ended.
type Stop uint8

const (
	StopReached     Stop = iota // the target answered
	StopMaxTTL                  // no TTL left to try
	StopUnreachable             // somebody on the path said that it leads nowhere
	StopGap                     // too many silent hops in a row, none farther away answered
	StopDeadline                // the run's deadline
	StopCanceled                // the run ended for another reason
	StopFailed                  // this host could not send: nothing is known about the path
)

var stopNames = [...]string{"reached", "max-ttl", "unreachable", "gap", "deadline", "canceled", "failed"}

// String returns the name used in records.
func (s Stop) String() string { return stopNames[s] }

// Stops returns the names of all reasons to stop, in order.
func Stops() []string { return stopNames[:] }

// Path is the Detail of the Result that concludes a trace; that Result has Seq
// 0 and is the outcome of no probe. It does not change any more.
type Path struct {
	Target *Target
	Proto  string     // icmp, udp or tcp
	Source netip.Addr // address the probes left from; invalid if unknown
	Port   uint16     // destination port; 0 for icmp

	// Flow is what load balancers see: the source port of UDP and TCP, for ICMP
	// checksum and identifier, for IPv6 the flow label as well. It is the same
	// for all probes unless several paths are asked for.
	Flow uint16

	Stop  Stop
	Hops  []PathHop  // of TTL First and following; up to the target, or as far as was probed
	First uint8      // TTL of Hops[0]
	Links []PathLink // between neighbouring hops, if every path was asked for
	// Incomplete says that Links may lack some: the search came to its bounds.
	Incomplete bool
	MTU        *PathMTU      // nil if it was not asked for
	MTUHop     uint8         // with a limit that is not Local: the TTL of the hop before the narrow link; 0 if unknown
	ID         string        // short digest of the addresses on the way: differs if the path does
	Started    time.Time     //
	Elapsed    time.Duration // until the path was known

	Names map[netip.Addr]string // reverse names, unescaped; nil without lookups
}

// Reached reports whether the target answered.
func (p *Path) Reached() bool { return p.Stop == StopReached }

// PathHop is all that was learned with one TTL.
type PathHop struct {
	TTL     uint8
	Target  bool     // the target itself answered here
	Probes  []Result // outcomes in the order of sending, each with a *Hop as Detail; what was never sent is not there
	Balance Balance
	Loss    *HopLoss // nil without a verdict
	MTU     int      // largest IP packet, in bytes, that came as far as here; 0 if not asked for or unknown
}

// Addrs returns the different addresses that answered, in the order of the
// probes.
func (h *PathHop) Addrs() []netip.Addr {
	var list []netip.Addr
next:
	for i := range h.Probes {
		a := h.Probes[i].From
		if !a.IsValid() {
			continue
		}
		for _, b := range list {
			if a == b {
				continue next
			}
		}
		list = append(list, a)
	}
	return list
}

// PathLink says that packets with some flow went From the hop TTL To the hop
// TTL+1. An address that is not valid is a hop that did not answer.
type PathLink struct {
	TTL      uint8
	From, To netip.Addr
	Flows    int // how many of the flows tried went this way
}

// Compare orders links by distance and address.
func (l PathLink) Compare(o PathLink) int {
	return cmp.Or(cmp.Compare(l.TTL, o.TTL), l.From.Compare(o.From), l.To.Compare(o.To))
}

// Balance says how the hops before this one share packets out over several
// next hops.
type Balance uint8

const (
	BalanceUnknown Balance = iota // not asked for, or nothing answered
	BalanceNone                   // one address
	BalancePerFlow
	BalancePerPacket
)

var balanceNames = [...]string{"unknown", "none", "per-flow", "per-packet"}

// String returns the name used in records.
func (b Balance) String() string { return balanceNames[b] }

// LossKind is the verdict about unanswered probes at one hop.
type LossKind uint8

const (
	NoLoss      LossKind = iota // every probe was answered
	RateLimited                 // the hop answers only so many a second: no loss of packets that pass it
	SilentHop                   // it never answers
	PathLoss                    // packets are lost from here on
	HopLossOnly                 // some go unanswered here, but packets that pass are not lost
	LossUnknown                 // too few probes to tell
)

var lossNames = [...]string{"none", "rate-limited", "silent", "path-loss", "hop-only", "unknown"}

// String returns the name used in records.
func (k LossKind) String() string { return lossNames[k] }

// LossKinds returns the names of all verdicts, in order.
func LossKinds() []string { return lossNames[:] }

// HopLoss is the verdict about one hop.
type HopLoss struct {
	Kind    LossKind
	Percent float64 // of the probes not answered; for PathLoss of the packets lost from here on
	Rate    float64 // RateLimited: answers a second
	Burst   int     // RateLimited: answers at once before that; 0 if unknown
}
