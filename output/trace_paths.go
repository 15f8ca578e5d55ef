package output

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
)

// maxWays is how many ways through a diamond are drawn one by one. Beyond that
// its links are listed.
const maxWays = 32

// A node is an address at a distance; one that is not valid did not answer.
type node struct {
	ttl  int
	addr netip.Addr
}

// pathGraph is what the links of a Path say.
type pathGraph struct {
	next  map[node][]node
	hops  map[int][]node // by distance
	loose map[int]bool   // behind that distance nobody could follow a flow
	low   int
	high  int
	names *names
}

func newGraph(p *probe.Path, n *names) *pathGraph {
	g := &pathGraph{next: map[node][]node{}, hops: map[int][]node{}, loose: map[int]bool{}, low: 255, names: n}
	for _, l := range p.Links {
		from, to := node{int(l.TTL), l.From}, node{int(l.TTL) + 1, l.To}
		if l.TTL == 0 {
			from.addr = netip.Addr{} // whatever it was called: this host
		}
		if l.Flows == 0 {
			g.loose[from.ttl] = true
		}
		g.next[from] = insert(g.next[from], to)
		g.hops[from.ttl] = insert(g.hops[from.ttl], from)
		g.hops[to.ttl] = insert(g.hops[to.ttl], to)
		g.low = min(g.low, from.ttl)
		g.high = max(g.high, to.ttl)
	}
	return g
}

// insert puts n into list, in the order of addresses, unless it is there.
func insert(list []node, n node) []node {
	i, found := slices.BinarySearchFunc(list, n, compareNodes)
	if found {
		return list
	}
	return slices.Insert(list, i, n)
}

func compareNodes(a, b node) int {
	return cmp.Or(cmp.Compare(a.ttl, b.ttl), a.addr.Compare(b.addr))
}

func (g *pathGraph) label(n node) string {
	switch {
	case n.ttl == 0:
		return "this host"
	case !n.addr.IsValid():
		return "*"
	}
	return g.names.host(n.addr)
}

// drawing returns the diamonds of p: the sections in which packets have several
// ways, each from the hop where these part to the one where they meet.
func drawing(p *probe.Path, n *names) []string {
	if len(p.Links) == 0 {
		return nil
	}
	g := newGraph(p, n)
	var lines []string
	for ttl := g.low; ttl <= g.high; ttl++ {
		if len(g.hops[ttl]) < 2 {
			continue
		}
		end := ttl
		for end <= g.high && len(g.hops[end]) > 1 {
			end++
		}
		lines = append(lines, g.diamond(ttl, end, p)...)
		ttl = end
	}
	switch {
	case lines == nil && p.Incomplete:
		lines = []string{"paths: one found"}
	case lines == nil:
		lines = []string{"paths: one"}
	}
	return append([]string{""}, lines...)
}

// diamond draws the hops from ttl up to, not including, end.
func (g *pathGraph) diamond(ttl, end int, p *probe.Path) []string {
	for t := ttl; t < end-1; t++ {
		if g.loose[t] {
			return g.crowd(ttl, end, p)
		}
	}
	ways, all := g.ways(g.hops[ttl], end)
	count := fmt.Sprintf("more than %d ways", maxWays)
	if all {
		count = fmt.Sprintf("%d ways", len(ways))
	}
	heading := "paths" + g.end(" from", ttl-1) + g.end(" to", end) + ": " + count + balanceOf(p, ttl, end)
	if !all {
		return append([]string{heading}, g.listing(ttl, end)...)
	}
	return append([]string{heading}, g.picture(ways)...)
}

// crowd lists the hops from ttl up to, not including, end: packets pass them one
// by one, and no flow tells which leads to which.
func (g *pathGraph) crowd(ttl, end int, p *probe.Path) []string {
	lines := []string{"paths" + g.end(" from", ttl-1) + g.end(" to", end) + ": which router leads to which cannot be told" + balanceOf(p, ttl, end)}
	for t := ttl; t < end; t++ {
		var labels []string
		for _, n := range g.hops[t][:min(len(g.hops[t]), maxWays)] {
			labels = append(labels, g.label(n))
		}
		if more := len(g.hops[t]) - len(labels); more > 0 {
			labels = append(labels, fmt.Sprintf("and %d more", more))
		}
		lines = append(lines, fmt.Sprintf("  hop %d: %s", t, strings.Join(labels, ", ")))
	}
	return lines
}

// end names the hop where ways part or meet, "" if there is none.
func (g *pathGraph) end(word string, ttl int) string {
	switch nodes := g.hops[ttl]; {
	case len(nodes) == 0:
		return ""
	case ttl == 0:
		return word + " this host"
	default:
		return fmt.Sprintf("%s hop %d (%s)", word, ttl, g.label(nodes[0]))
	}
}

// balanceOf returns ", per flow" or ", per packet" if that is known of the hops
// from ttl up to, not including, end.
func balanceOf(p *probe.Path, ttl, end int) string {
	for i := range p.Hops {
		h := &p.Hops[i]
		if inside := ttl <= int(h.TTL) && int(h.TTL) < end; !inside {
			continue
		}
		switch h.Balance {
		case probe.BalancePerFlow:
			return ", per flow"
		case probe.BalancePerPacket:
			return ", per packet"
		}
	}
	return ""
}

// ways returns the ways from starts up to the hop before end; ok is false if
// there are more than maxWays, or one has no end.
func (g *pathGraph) ways(starts []node, end int) (ways [][]node, ok bool) {
	var walk func(way []node) bool
	walk = func(way []node) bool {
		last := way[len(way)-1]
		next := g.next[last]
		if last.ttl+1 >= end || len(next) == 0 {
			ways = append(ways, slices.Clone(way))
			return len(ways) <= maxWays
		}
		for _, n := range next {
			if !walk(append(way[:len(way):len(way)], n)) {
				return false
			}
		}
		return true
	}
	for _, s := range starts {
		if !walk([]node{s}) {
			return nil, false
		}
	}
	return ways, true
}

// picture draws one line for each way:
//
//	┌─ 198.51.100.1 ── 198.51.100.11 ─┐
//	├─ 198.51.100.2 ── * ─────────────┤
//	└─ 198.51.100.3 ── 198.51.100.13 ─┘
//
// A way that leads no further, as to a target that is nearer by it, stays open.
func (g *pathGraph) picture(ways [][]node) []string {
	widths := g.widths(ways)
	var meet []int // the lines of ways that go on
	for i, way := range ways {
		if len(g.next[way[len(way)-1]]) > 0 {
			meet = append(meet, i)
		}
	}
	var lines []string
	for i, way := range ways {
		var b strings.Builder
		b.WriteString("  " + corner(i, len(ways), "┌", "├", "└") + "─")
		for j, n := range way {
			if j > 0 {
				b.WriteString("──")
			}
			label := g.label(n)
			b.WriteString(" " + label)
			if k, on := slices.BinarySearch(meet, i); on || j < len(way)-1 {
				b.WriteString(" " + strings.Repeat("─", widths[j]-runewidth.StringWidth(label)))
				switch {
				case j < len(way)-1:
				case len(meet) == 1: // nobody to meet
					b.WriteString("── " + strings.Join(g.labels(g.next[n]), ", "))
				default:
					b.WriteString("─" + corner(k, len(meet), "┐", "┤", "┘"))
				}
			}
		}
		lines = append(lines, b.String())
	}
	return passBy(lines, meet)
}

// widths returns how wide the labels at each place of ways are.
func (g *pathGraph) widths(ways [][]node) []int {
	var widths []int
	for _, way := range ways {
		for i, n := range way {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(g.label(n)))
		}
	}
	return widths
}

// passBy leads the line on which the ways at meet come together past the ends
// of those between them.
func passBy(lines []string, meet []int) []string {
	if len(meet) < 2 {
		return lines
	}
	first, last := meet[0], meet[len(meet)-1]
	column := runewidth.StringWidth(lines[first]) - 1
	for i := first + 1; i < last; i++ {
		gap := column - runewidth.StringWidth(lines[i])
		if _, on := slices.BinarySearch(meet, i); !on && gap >= 0 {
			lines[i] += strings.Repeat(" ", gap) + "│"
		}
	}
	return lines
}

// corner picks the character of line i of n.
func corner(i, n int, first, middle, last string) string {
	switch {
	case n == 1:
		return "─"
	case i == 0:
		return first
	case i == n-1:
		return last
	}
	return middle
}

// listing returns the links of a diamond too wide to be drawn, those from which
// the same hops follow together.
func (g *pathGraph) listing(ttl, end int) []string {
	var lines []string
	for t := ttl - 1; t < end; t++ {
		from := map[string][]string{} // by where they lead
		var order []string
		for _, n := range g.hops[t] {
			to := strings.Join(g.labels(g.next[n]), ", ")
			if to == "" {
				continue
			}
			if from[to] == nil {
				order = append(order, to)
			}
			from[to] = append(from[to], g.label(n))
		}
		for _, to := range order {
			lines = append(lines, fmt.Sprintf("  hop %d  %s → %s", t, strings.Join(from[to], ", "), to))
		}
	}
	return lines
}

func (g *pathGraph) labels(nodes []node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, g.label(n))
	}
	return out
}
