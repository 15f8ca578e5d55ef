package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"netprobe/probe"
)

// A Change is one way in which a path differs from how it was.
type Change struct {
	TTL      uint8        // hop; 0 where it is not one hop that changed
	Was, Now []netip.Addr // addresses of the hop, or of the target; empty where What says it all
	What     string       // what changed at no hop in particular; empty for a hop
}

// String returns a line for people, without escapes: addresses and our own
// words alone.
func (c Change) String() string {
	switch {
	case c.TTL > 0:
		return fmt.Sprintf("path changed at hop %d: %s was %s", c.TTL, addrWords(c.Now), addrWords(c.Was))
	case len(c.Now) > 0:
		return fmt.Sprintf("%s changed: %s was %s", c.What, addrWords(c.Now), addrWords(c.Was))
	}
	return c.What
}

func addrWords(list []netip.Addr) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, " or ")
}

// Changes compares a path with what it was, and returns what differs in the
// order of the hops. It claims a change only where both tell something: at a TTL
// at which both were answered, by different addresses without one in common (so
// equal-cost paths that overlap are the same); where the target is at another
// distance; where a path ends otherwise. Silence on one side is no change, and
// neither is what a run could not find out because it was ended.
//
// Links count as answers: a path recorded with every equal-cost way is compared
// with all of them.
func Changes(was, now *probe.Path) []Change {
	var list []Change
	if a, b := targetAddr(was), targetAddr(now); a.IsValid() && b.IsValid() && a != b {
		list = append(list, Change{What: "address of the target", Was: []netip.Addr{a}, Now: []netip.Addr{b}})
	}
	old, wasFar := answerers(was)
	present, nowFar := answerers(now)
	end := nearer(wasFar, nowFar)
	for ttl := range end {
		a, b := old[ttl], present[ttl]
		if len(a) > 0 && len(b) > 0 && !overlap(a, b) {
			list = append(list, Change{TTL: uint8(ttl), Was: a, Now: b})
		}
	}
	if wasFar != nowFar && wasFar > 0 && nowFar > 0 {
		return append(list, Change{What: fmt.Sprintf("path length changed: %d hops was %d", nowFar, wasFar)})
	}
	if a, b := ending(was.Stop), ending(now.Stop); a != b && a != "" && b != "" {
		list = append(list, Change{What: fmt.Sprintf("end of the path changed: %s was %s", b, a)})
	}
	return list
}

// Finished reports whether the run that found p got to the end of the path,
// wherever that is.
func Finished(p *probe.Path) bool { return ending(p.Stop) != "" }

// nearer is the TTL before which hops can be compared: from the nearer target
// on, one side has no hops. A distance of 0 is unknown.
func nearer(a, b int) int {
	const beyond = 256
	if a == 0 {
		a = beyond
	}
	if b == 0 {
		b = beyond
	}
	return min(a, b)
}

// answerers returns who answered at each TTL but for the target itself, and the
// target's distance; 0 if it did not answer.
func answerers(p *probe.Path) (at [256][]netip.Addr, distance int) {
	add := func(ttl int, a netip.Addr) {
		if ttl < len(at) && a.IsValid() && !slices.Contains(at[ttl], a) {
			at[ttl] = append(at[ttl], a)
		}
	}
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Target && distance == 0 {
			distance = int(h.TTL)
		}
		for _, a := range h.Addrs() {
			add(int(h.TTL), a)
		}
	}
	for _, l := range p.Links {
		add(int(l.TTL), l.From)
		add(int(l.TTL)+1, l.To)
	}
	return at, distance
}

func overlap(a, b []netip.Addr) bool {
	return slices.ContainsFunc(a, func(x netip.Addr) bool { return slices.Contains(b, x) })
}

func targetAddr(p *probe.Path) netip.Addr {
	if p.Target == nil {
		return netip.Addr{}
	}
	return p.Target.Addr.Addr()
}

// ending says in words how a path ends; empty if the run ended before that was
// known. How many silent hops were tried is the run's, not the path's.
func ending(s probe.Stop) string {
	switch s {
	case probe.StopReached:
		return "reached"
	case probe.StopUnreachable:
		return "unreachable"
	case probe.StopGap, probe.StopMaxTTL:
		return "silent"
	}
	return ""
}
