package lab

import (
	"fmt"
	"net/netip"
	"time"
)

// Direction is seen from the prober.
type Direction uint8

const (
	Out  Direction = iota // away from the prober
	Back                  // toward it
)

// String returns "out" or "back".
func (d Direction) String() string {
	if d == Back {
		return "back"
	}
	return "out"
}

// Kind is what a packet is.
type Kind uint8

// The kinds of packets the simulator tells apart.
const (
	Other Kind = iota
	EchoRequest
	EchoReply
	Error    // an ICMP error: unreachable, too big, time exceeded, parameter problem
	Redirect // an ICMP redirect
	UDP
	TCP
)

var kindNames = [...]string{"other", "echo-request", "echo-reply", "error", "redirect", "udp", "tcp"}

// String returns the name of k.
func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

// Packet is a packet on its way. What a Hook is given is valid during the call only.
type Packet struct {
	Dir      Direction
	Kind     Kind
	Time     time.Duration // since the network started
	Src, Dst netip.Addr
	Target   netip.Addr // whom the prober asked: Dst on the way out
	ID, Seq  uint16     // of an echo, or of the echo an error quotes; the ports of UDP and TCP
	N        int        // number of the request at Target among those of its kind, from 1; on the way back, of the request answered
	TTL      uint8
	ICMP     Code   // valid if Kind is an ICMP one
	Raw      []byte // the IP packet

	proto  uint8  // transport protocol
	l4     int    // offset of the transport header in Raw
	wire   int    // bytes of the largest IP packet this travels as: less than len(Raw) if it was fragmented
	quote  []byte // what an ICMP error quotes, if not Raw: the first fragment
	quoteL int    // offset of the transport part in quote
	pos    int    // how many links of its route it has crossed, or on the way back, has still to cross
	free   bool   // was overtaken or held back: no longer kept in order
	route  *course
	host   *host
	moved  bool       // its destination was translated
	node   netip.Addr // where it is; invalid on a link, and at a node without an address
	probe  uint64
	entry  int // index in the log, -1 if it is not there
	flags  Flag
}

// Verdict is what a Hook decides about a packet. The zero value lets it pass.
type Verdict struct {
	Drop    bool
	Delay   time.Duration // longer on its way; others pass it
	Copies  int           // that many more of it
	Corrupt bool          // one bit flipped behind the IP header
}

// Nth returns a Hook that applies v to the nth (from 1) echo request to each target.
func Nth(n int, v Verdict) func(*Packet) Verdict {
	return Each(map[int]Verdict{n: v})
}

// FirstSYN returns a Hook that applies v to the first packet of each TCP
// connection. It is for one network; ports that are used again count once.
func FirstSYN(v Verdict) func(*Packet) Verdict {
	type connection struct {
		dst      netip.Addr
		from, to uint16
	}
	seen := make(map[connection]bool)
	return func(p *Packet) Verdict {
		c := connection{p.Dst, p.ID, p.Seq}
		if p.Dir != Out || p.Kind != TCP || seen[c] {
			return Verdict{}
		}
		seen[c] = true
		return v
	}
}

// Each returns a Hook that applies a verdict to the echo requests whose number
// (from 1, per target) is a key of verdicts.
func Each(verdicts map[int]Verdict) func(*Packet) Verdict {
	return func(p *Packet) Verdict {
		if p.Dir == Out && p.Kind == EchoRequest {
			return verdicts[p.N]
		}
		return Verdict{}
	}
}

// hop returns the distance from the prober of the node where p is, or to which
// it is under way.
func (p *Packet) hop() int { return min(p.pos, len(p.route.links)) }

// String describes p in one line.
func (p *Packet) String() string {
	return fmt.Sprintf("%v %v %v > %v id %d seq %d ttl %d, %d bytes", p.Dir, p.Kind, p.Src, p.Dst, p.ID, p.Seq, p.TTL, len(p.Raw))
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}
