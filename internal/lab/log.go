package lab

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fate is how the way of a packet ended.
type Fate uint8

// The fates of packets.
const (
	Underway  Fate = iota // not decided yet
	Delivered             // reached its host, or the prober
	Lost                  // on a link with Loss
	Dropped               // by a Hook or a Filter
	Oversized             // exceeded an MTU
	Expired               // its TTL ended at a hop
	Refused               // a hop or host answered with its Error, or an RST
	Damaged               // reached its host, which dropped it for its checksum
	NoHost                // nobody has that address, or that port of a translator
	Limited               // never sent: the sender's RateLimit
	Overflow              // the prober's receive queue was full, or its device down
)

var fateNames = [...]string{"underway", "delivered", "lost", "dropped", "oversized", "expired", "refused", "damaged", "no-host", "limited", "overflow"}

// String returns the name of f.
func (f Fate) String() string { return nameOf(fateNames[:], int(f)) }

// Flag is what happened to a packet, or to the request it answers, beside its fate.
type Flag uint8

// The flags of packets.
const (
	Duplicate  Flag = 1 << iota // a copy made by a link or a Hook
	Reordered                   // held back by Link.Reorder
	Delayed                     // held back by a Hook
	Corrupted                   // a bit was flipped
	Forged                      // a Forgery, or a reflected request
	Altered                     // its payload is not what was sent
	Misaddress                  // it comes from another address than the one probed
	Fragmented                  // it came in fragments
)

var flagNames = [...]string{"duplicate", "reordered", "delayed", "corrupted", "forged", "altered", "misaddressed", "fragmented"}

// Has reports whether all flags of g are set in f.
func (f Flag) Has(g Flag) bool { return f&g == g }

// String returns the names of the set flags, joined by commas.
func (f Flag) String() string {
	var names []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

// Entry is the way of one packet: one from the prober, or one sent to it.
type Entry struct {
	Dir      Direction
	Kind     Kind
	Fate     Fate
	Flags    Flag
	Time     time.Duration // since the network started: when it entered (Out), reached the prober or was lost (Back)
	Src, Dst netip.Addr
	Target   netip.Addr
	ID, Seq  uint16
	N        int    // as in Packet
	ICMP     Code   // valid if Kind is an ICMP one
	Size     int    // bytes of the IP packet
	Probe    uint64 // serial number, from 1, of the prober's packet that this is or answers
	TTL      uint8  // as it was sent

	// Hop is the distance from the prober, in hops, of the node where the way
	// ended (Out) or began (Back), or to which the packet was under way when it
	// was lost: the TTL it takes to get there. At, of an Out packet, is the address
	// of that node; invalid if the packet was lost on a link, is still under way,
	// or the node has none.
	Hop int
	At  netip.Addr

	order uint64 // of arrival at the prober: several packets may share an instant
}

// String describes e in one line.
func (e Entry) String() string {
	return fmt.Sprintf("%v %v %v #%d %v > %v id %d seq %d: %v %v", e.Time, e.Dir, e.Kind, e.Probe, e.Src, e.Dst, e.ID, e.Seq, e.Fate, e.Flags)
}

// Log is what the simulator did. It may be read while the network runs.
type Log struct {
	mu      sync.Mutex
	limit   int
	chunks  [][]Entry // all but the last one full, so that nothing is ever moved
	size    int
	totals  Totals
	probes  uint64 // serial number of the prober's last packet
	arrived uint64 // packets that reached the prober
}

// Totals are what the Log counts without an Entry each.
type Totals struct {
	Unlogged uint64 // packets beyond Topology.LogLimit
	Queries  uint64 // DNS queries that the resolvers answered
	Ignored  uint64 // packets that are not probes: multicast, malformed, neighbour discovery
	Storm    uint64 // packets of a Storm
	Overflow uint64 // packets the prober's receive queue had no room for, of a Storm too
}

// chunkSize is how many entries are allocated at a time.
const chunkSize = 1 << 10

// Entries returns a copy of the log, in the order in which packets were first seen.
func (l *Log) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.chunks...)
}

// Totals returns what was counted only.
func (l *Log) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals
}

// add appends e and returns its index, or -1 if the log is full.
func (l *Log) add(e Entry) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size >= l.limit {
		l.totals.Unlogged++
		return -1
	}
	if l.size%chunkSize == 0 {
		l.chunks = append(l.chunks, make([]Entry, 0, min(chunkSize, l.limit-l.size)))
	}
	last := &l.chunks[len(l.chunks)-1]
	*last = append(*last, e)
	l.size++
	return l.size - 1
}

// settle sets the fate of p. Delivery of one copy outweighs the loss of another.
func (l *Log) settle(p *Packet, f Fate, at time.Duration) {
	if p.entry < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.chunks[p.entry/chunkSize][p.entry%chunkSize]
	e.Flags |= p.flags
	if e.Fate == Underway || f == Delivered || f == Overflow {
		e.Fate = f
		if e.Dir == Out {
			e.Hop, e.At = p.hop(), p.node
		}
	}
	if e.Dir == Out {
		return
	}
	e.Time = at
	if p.moved {
		e.Dst, e.ID, e.Seq = p.Dst, p.ID, p.Seq
	}
	if f == Delivered {
		l.arrived++
		e.order = l.arrived
	}
}

func (l *Log) count(n *uint64) {
	l.mu.Lock()
	*n++
	l.mu.Unlock()
}

// Probe is one echo request and everything the prober got for it.
type Probe struct {
	Entry           // the request
	Answers []Entry // what reached the prober for it, in that order: genuine replies, errors, redirects and forgeries
}

// Answer returns the genuine reply or ICMP error that reached the prober
// first, and false if none did. Forgeries, redirects and replies with a flipped
// bit do not count.
func (p *Probe) Answer() (Entry, bool) {
	for _, a := range p.Answers {
		if a.genuine() {
			return a, true
		}
	}
	return Entry{}, false
}

func (e *Entry) genuine() bool {
	switch e.Kind {
	case EchoReply, Error, UDP, TCP:
		return e.Flags&(Forged|Corrupted) == 0
	}
	return false
}

// Probes returns the echo requests to targets (to all if there are none given)
// in the order in which they entered the network.
func (l *Log) Probes(targets ...netip.Addr) []Probe {
	var probes []Probe
	index := make(map[uint64]int)
	for _, e := range l.Entries() {
		if len(targets) > 0 && !slices.Contains(targets, e.Target) {
			continue
		}
		if e.Dir == Out && e.Kind == EchoRequest {
			index[e.Probe] = len(probes)
			probes = append(probes, Probe{Entry: e})
		} else if i, ok := index[e.Probe]; ok && e.Dir == Back && e.Fate == Delivered {
			probes[i].Answers = append(probes[i].Answers, e)
		}
	}
	for _, p := range probes {
		slices.SortStableFunc(p.Answers, func(a, b Entry) int { return cmp.Compare(a.order, b.order) })
	}
	return probes
}

// Counts are what a prober that makes no mistake counts. Every echo request is
// in exactly one of Received, Late, Lost and Errors.
type Counts struct {
	Sent       int
	Received   int // the first answer is a reply, within the timeout
	Late       int // the first answer is a reply, after it, within the late window
	Lost       int // no answer, or none in time
	Errors     int // the first answer is an ICMP error
	Duplicates int // genuine replies beyond the first answer, within timeout and late window
	Reordered  int // first answers that a later request to the same target preceded
}

// Count works out the Counts for targets (for all if there are none given). A
// prober that saw an answer within microseconds of a limit may differ.
func (l *Log) Count(timeout, late time.Duration, targets ...netip.Addr) Counts {
	var c Counts
	probes := l.Probes(targets...)
	var answered []int // indices of probes with an answer
	for i := range probes {
		if c.add(&probes[i], timeout, timeout+late) {
			answered = append(answered, i)
		}
	}
	// In the order of answers, a probe is reordered if one sent after it to
	// the same target came before it.
	slices.SortStableFunc(answered, func(a, b int) int {
		x, _ := probes[a].Answer()
		y, _ := probes[b].Answer()
		return cmp.Compare(x.order, y.order)
	})
	latest := make(map[netip.Addr]int)
	for _, i := range answered {
		if last, ok := latest[probes[i].Target]; ok && last > i {
			c.Reordered++
			continue
		}
		latest[probes[i].Target] = i
	}
	return c
}

// add counts one probe and reports whether it had an answer in time.
func (c *Counts) add(p *Probe, timeout, limit time.Duration) bool {
	c.Sent++
	first, ok := p.Answer()
	rtt := first.Time - p.Time
	if !ok || rtt > limit {
		c.Lost++
		return false
	}
	for _, a := range p.Answers {
		if a.genuine() && a.Kind == EchoReply && a.Time-p.Time <= limit {
			c.Duplicates++
		}
	}
	switch {
	case first.Kind == Error:
		c.Errors++
		return true
	case rtt > timeout:
		c.Late++
	default:
		c.Received++
	}
	c.Duplicates-- // the first one
	return true
}
