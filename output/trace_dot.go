package output

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// traceDot writes one graph for all targets, in the language of Graphviz: a node
// for each address, with its name and best round-trip time, and an edge for each
// link with the number of flows that went there. A hop without an answer is a
// node of its own. Edges are dashed where several addresses answered and nobody
// asked which follows which (--paths does).
//
// It is written at the end, in the order of the targets: the same paths give the
// same text.
type traceDot struct {
	traceBase
	w     io.Writer
	paths []*probe.Path // by target ID; nil where there is none
	rows  [][]*hopRow   // likewise
}

func newTraceDot(w io.Writer, _ Options) View { return &traceDot{w: w} }

func (v *traceDot) Begin(h *Header, set *stats.Set) error {
	v.begin(h, set)
	v.paths = make([]*probe.Path, len(h.Targets))
	v.rows = make([][]*hopRow, len(h.Targets))
	return nil
}

func (v *traceDot) Result(r *probe.Result, _ *stats.Target) error {
	if p, ok := r.Detail.(*probe.Path); ok {
		v.rows[r.Target.ID] = v.conclude(r, p)
		v.paths[r.Target.ID] = p
		return nil
	}
	if v.t.Monitor {
		v.note(r)
	}
	return nil
}

// Refresh does nothing: the graph is written at the end.
func (v *traceDot) Refresh(time.Time) error { return nil }

func (v *traceDot) End(*End) error {
	g := &dotGraph{nodes: map[string]*dotNode{}, edges: map[[2]string]*dotEdge{}}
	source := g.node("source", clip(v.h.Host))
	source.shape = "house"
	for id, p := range v.paths {
		if p == nil {
			continue
		}
		g.names = &names{none: v.h.Numeric, of: p.Names, lookup: v.t.Name}
		g.add(id, p, v.rows[id])
		g.more = g.more || p.Incomplete
	}
	_, err := io.WriteString(v.w, g.text())
	return err
}

type dotNode struct {
	id    string
	lines []string // of its label
	shape string
	best  time.Duration
	timed bool // best is valid
}

type dotEdge struct {
	flows  int
	dashed bool
}

type dotGraph struct {
	names *names
	more  bool // there may be more than was found
	order []*dotNode
	nodes map[string]*dotNode
	links [][2]string // in the order in which they were found
	edges map[[2]string]*dotEdge
}

// node returns the node of that id, a new one with that label if there is none.
func (g *dotGraph) node(id string, lines ...string) *dotNode {
	n := g.nodes[id]
	if n == nil {
		n = &dotNode{id: id, lines: lines, shape: "box"}
		g.nodes[id] = n
		g.order = append(g.order, n)
	}
	return n
}

func (g *dotGraph) link(from, to string, flows int, dashed bool) {
	key := [2]string{from, to}
	e := g.edges[key]
	if e == nil {
		e = &dotEdge{dashed: dashed}
		g.edges[key] = e
		g.links = append(g.links, key)
	}
	e.flows += flows
	e.dashed = e.dashed && dashed
}

// add puts the path to target id into the graph.
func (g *dotGraph) add(id int, p *probe.Path, rows []*hopRow) {
	rows = rows[:answeredRows(rows)]
	for _, h := range rows {
		for i := range h.hosts {
			g.address(&h.hosts[i], h.target && ofTarget(&h.hosts[i].latest))
		}
	}
	if len(p.Links) > 0 {
		g.addLinks(id, p)
		return
	}
	before := []string{"source"}
	for _, h := range rows {
		now := g.idsAt(id, h)
		for _, from := range before {
			for _, to := range now {
				g.link(from, to, 0, len(before) > 1 && len(now) > 1)
			}
		}
		before = now
	}
}

// answeredRows returns how many rows there are up to the last that answered.
func answeredRows(rows []*hopRow) int {
	n := len(rows)
	for n > 0 && len(rows[n-1].hosts) == 0 {
		n--
	}
	return n
}

// addLinks puts the links that were found into the graph, in the order of
// distance and address.
func (g *dotGraph) addLinks(id int, p *probe.Path) {
	links := slices.Clone(p.Links)
	slices.SortStableFunc(links, probe.PathLink.Compare)
	for _, l := range links {
		from := "source"
		if l.TTL > 0 {
			from = g.idOf(id, int(l.TTL), l.From)
		}
		if l.TTL > 0 && l.TTL == links[0].TTL {
			g.link("source", from, 0, l.TTL > 1)
		}
		g.link(from, g.idOf(id, int(l.TTL)+1, l.To), l.Flows, false)
	}
}

// idOf returns the id of the node of an address, or of a silent hop.
func (g *dotGraph) idOf(target, ttl int, a netip.Addr) string {
	if a.IsValid() {
		id := Escape(a.String())
		g.node(id, g.labelOf(a)...)
		return id
	}
	id := fmt.Sprintf("target %d hop %d", target, ttl)
	g.node(id, fmt.Sprintf("hop %d", ttl), "no answer").shape = "ellipse"
	return id
}

func (g *dotGraph) idsAt(target int, h *hopRow) []string {
	if len(h.hosts) == 0 {
		return []string{g.idOf(target, int(h.ttl), netip.Addr{})}
	}
	var ids []string
	for i := range h.hosts {
		ids = append(ids, g.idOf(target, int(h.ttl), h.hosts[i].addr))
	}
	return ids
}

func (g *dotGraph) labelOf(a netip.Addr) []string {
	lines := []string{Escape(a.String())}
	if name := g.names.name(a); name != "" {
		lines = append([]string{name}, lines...)
	}
	return lines
}

func (g *dotGraph) address(o *hopHost, target bool) {
	n := g.node(Escape(o.addr.String()), g.labelOf(o.addr)...)
	if target {
		n.shape = "doubleoctagon"
	}
	if !n.timed || o.best < n.best {
		n.best, n.timed = o.best, true
	}
}

// text returns the graph.
func (g *dotGraph) text() string {
	var b strings.Builder
	b.WriteString("digraph netprobe {\n  rankdir=LR;\n  node [shape=box];\n")
	if g.more {
		b.WriteString("  label=\"there may be more paths\";\n")
	}
	for _, n := range g.order {
		lines := n.lines
		if n.timed {
			lines = append(lines[:len(lines):len(lines)], string(appendPingTime(nil, n.best))+" ms")
		}
		fmt.Fprintf(&b, "  %s [label=%s", dotQuote(n.id), dotQuote(lines...))
		if n.shape != "box" {
			b.WriteString(", shape=" + n.shape)
		}
		b.WriteString("];\n")
	}
	for _, l := range g.links {
		e := g.edges[l]
		fmt.Fprintf(&b, "  %s -> %s", dotQuote(l[0]), dotQuote(l[1]))
		switch {
		case e.flows > 0:
			fmt.Fprintf(&b, " [label=\"%d\"]", e.flows)
		case e.dashed:
			b.WriteString(" [style=dashed]")
		}
		b.WriteString(";\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// dotQuote returns lines as one quoted string of the DOT language. They are
// escaped for a terminal already; a backslash in them is shown as one.
func dotQuote(lines ...string) string {
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(l)
	}
	return `"` + strings.Join(quoted, `\n`) + `"`
}
