package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Topology is a network as its prober sees it: a chain of hops, and hosts
// behind the last of them. The zero value is a network without hops in which
// every address answers at once.
type Topology struct {
	Seed   uint64       // of all chance; the same packets meet the same fate again
	Prober []netip.Addr // at most one per family; nil means 192.0.2.1 and 2001:db8::1

	Out, Back Link // the prober's own link, from and to the prober
	Hops      []Hop
	Hosts     []Host // the longest prefix wins; nil means one that answers for every address

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

// Hop is a router. It decrements the TTL and answers for its own addresses.
type Hop struct {
	Addrs     []netip.Addr // at most one per family; without one it is silent in that family
	Out, Back Link         // the link behind it, away from and toward the prober

	Silent    bool      // forwards, but sends nothing of its own
	RateLimit RateLimit // of what it sends of its own
	TTL       uint8     // initial TTL of what it sends, 0 means 255
	Quote     Quote     // how its ICMP errors quote

	Error    ICMPError      // sent instead of forwarding, if not zero
	ErrorFor []netip.Prefix // destinations that get Error; nil means all
	Redirect []netip.Addr   // gateways (one per family) to redirect to; the packet is forwarded too
}

// Host is a target, or as many alike as its prefixes hold.
type Host struct {
	At        []netip.Prefix // nil means every address
	Out, Back Link           // the last link, to and from the host
	Kernel    bool           // in Start, a real kernel answers; in memory no difference

	Silent bool          // answers nothing
	Delay  time.Duration // from the request to its answer
	TTL    uint8         // initial TTL of what it sends, 0 means 64

	From    []netip.Addr             // source of its replies (one per family) instead of the address probed
	Payload func(sent []byte) []byte // payload of its replies: Truncated(n), Zeroed, Foreign; nil means as sent
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

// Validate reports the first thing in t that no network could be.
func (t *Topology) Validate() error {
	if err := oneEach("prober", t.proberAddrs()); err != nil {
		return err
	}
	if err := errors.Join(t.Out.validate("prober out"), t.Back.validate("prober back")); err != nil {
		return err
	}
	for i, h := range t.Hops {
		name := fmt.Sprintf("hop %d", i+1)
		err := errors.Join(oneEach(name, h.Addrs), oneEach(name+" redirect", h.Redirect),
			h.Out.validate(name+" out"), h.Back.validate(name+" back"), h.Quote.validate(name), h.RateLimit.validate(name))
		if err != nil {
			return err
		}
	}
	for i, h := range t.Hosts {
		name := fmt.Sprintf("host %d", i+1)
		err := errors.Join(oneEach(name+" from", h.From), h.Out.validate(name+" out"),
			h.Back.validate(name+" back"), h.Quote.validate(name), h.RateLimit.validate(name))
		for _, p := range h.At {
			if !p.IsValid() {
				err = errors.Join(err, fmt.Errorf("lab: %s: invalid prefix", name))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func oneEach(name string, addrs []netip.Addr) error {
	var seen [2]bool
	for _, a := range addrs {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("lab: %s: %v is not a plain address", name, a)
		}
		f := 0
		if a.Is6() {
			f = 1
		}
		if seen[f] {
			return fmt.Errorf("lab: %s: two addresses of one family", name)
		}
		seen[f] = true
	}
	return nil
}

func (l Link) validate(name string) error {
	for _, share := range []float64{l.Loss, l.Duplicate, l.Corrupt, l.Reorder} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("lab: %s: share %v is not between 0 and 1", name, share)
		}
	}
	if l.Delay < 0 || l.Jitter < 0 || l.ReorderDelay < 0 || l.MTU < 0 {
		return fmt.Errorf("lab: %s: negative delay or MTU", name)
	}
	return nil
}

func (q Quote) validate(name string) error {
	if len(q.Options) > 40 || q.Transport < 0 {
		return fmt.Errorf("lab: %s: quote of %d option octets, %d transport octets", name, len(q.Options), q.Transport)
	}
	return nil
}

func (r RateLimit) validate(name string) error {
	if !(r.PerSecond >= 0) || r.Burst < 0 {
		return fmt.Errorf("lab: %s: negative rate limit", name)
	}
	return nil
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
