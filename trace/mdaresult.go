package trace

import (
	"net/netip"
	"slices"

	"netprobe/probe"
)

// links returns the links found, sorted. A link without flows was not seen: it
// may be, as both ends were seen and packets are balanced one by one before
// them, so that nobody can follow one flow.
func (p *mdaPhase) links() []probe.PathLink {
	var list []probe.PathLink
	for i := 0; i+1 < len(p.levels); i++ {
		for pair, flows := range p.linksBehind(i) {
			list = append(list, probe.PathLink{TTL: p.k.first + uint8(i),
				From: p.levels[i].nodes[pair[0]].addr, To: p.levels[i+1].nodes[pair[1]].addr, Flows: flows})
		}
	}
	slices.SortStableFunc(list, probe.PathLink.Compare) // which is less code than SortFunc
	return list
}

// linksBehind returns the links between a level and the next, by the numbers of
// their ends, and how many flows tell of each.
func (p *mdaPhase) linksBehind(level int) map[[2]int]int {
	found := map[[2]int]int{}
	l, next := p.levels[level], p.levels[level+1]
	if l.perPacket && next.width() > 1 {
		p.possible(found, l, next)
		return found
	}
	for f := range max(len(l.cells), len(next.cells)) {
		if next.at(f).state != mdaSeen {
			continue
		}
		for _, a := range l.before(f) {
			for _, b := range next.nodesOf(f) {
				if !l.nodes[a].end {
					found[[2]int{a, b}]++
				}
			}
		}
	}
	return found
}

// maxPossible bounds the links told of that nobody has followed.
const maxPossible = 4096

// possible adds a link between any two hops: where packets go one by one, no
// flow tells which of them are linked.
func (p *mdaPhase) possible(found map[[2]int]int, l, next *mdaLevel) {
	for _, a := range l.open() {
		for b := range next.nodes {
			if len(found) == maxPossible {
				p.lacks = true
				return
			}
			found[[2]int{a, b}] = 0
		}
	}
}

// before returns the hops of a level that a flow, seen behind it, has passed:
// where it was seen, or the only one there is.
func (l *mdaLevel) before(flow int) []int {
	open := l.open()
	switch {
	case l.perPacket, l.at(flow).state != mdaSeen && len(l.nodes) == 1:
		return open
	case l.at(flow).state != mdaSeen:
		return nil
	}
	return l.nodesOf(flow)
}

// nodesOf returns all hops at which a flow was seen.
func (l *mdaLevel) nodesOf(flow int) []int {
	list := []int{int(l.at(flow).node)}
	for _, e := range l.extra {
		if e.flow == flow && !slices.Contains(list, e.node) {
			list = append(list, e.node)
		}
	}
	return list
}

// open returns the hops that something lies behind.
func (l *mdaLevel) open() (list []int) {
	for i := range l.nodes {
		if !l.nodes[i].end {
			list = append(list, i)
		}
	}
	return list
}

// balance returns how packets are shared out over the hops with the TTL.
func (p *mdaPhase) balance(ttl uint8) probe.Balance {
	i := int(ttl) - int(p.k.first)
	if i < 0 || i >= len(p.levels) {
		return probe.BalanceUnknown
	}
	l := p.levels[i]
	answers := slices.ContainsFunc(l.nodes, func(n mdaNode) bool { return n.addr != netip.Addr{} })
	switch {
	case !answers:
		return probe.BalanceUnknown
	case l.perPacket:
		return probe.BalancePerPacket
	case l.width() > 1:
		return probe.BalancePerFlow
	}
	return probe.BalanceNone
}

// incomplete reports whether there may be more paths than were found with the
// confidence asked for: flows, probes or time ran out, or too much was lost.
func (p *mdaPhase) incomplete() bool { return p.lacks }
