package trace

import (
	"cmp"
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
		found := map[[2]int]int{}
		for f := range p.levels[i].cells {
			p.countLinks(found, i, f)
		}
		for pair, flows := range found {
			list = append(list, probe.PathLink{TTL: p.k.first + uint8(i),
				From: p.levels[i].nodes[pair[0]].addr, To: p.levels[i+1].nodes[pair[1]].addr, Flows: flows})
		}
	}
	slices.SortFunc(list, func(a, b probe.PathLink) int {
		return cmp.Or(cmp.Compare(a.TTL, b.TTL), a.From.Compare(b.From), a.To.Compare(b.To))
	})
	return list
}

// countLinks adds the links behind a level that a flow tells of.
func (p *mdaPhase) countLinks(found map[[2]int]int, level, flow int) {
	l, next := p.levels[level], p.levels[level+1]
	c, d := l.at(flow), next.at(flow)
	if c.state != mdaSeen || d.state != mdaSeen {
		return
	}
	from, to := l.nodesOf(flow), next.nodesOf(flow)
	if l.perPacket {
		from = l.open()
		if next.width() > 1 {
			for _, a := range from {
				for b := range next.nodes {
					found[[2]int{a, b}] += 0
				}
			}
			return
		}
	}
	for _, a := range from {
		if l.nodes[a].end {
			continue
		}
		for _, b := range to {
			found[[2]int{a, b}]++
		}
	}
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
