package labfile

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"netprobe/internal/lab"
)

// link is what a file says of a link: both directions of it.
type link struct {
	out, back lab.Link
	told      *yaml.Node // some key of it, nil if there is none
}

// linkFields are the keys of a link, which stand beside those of the node it
// leads to. What they say holds in both directions; settle must follow, which
// reads what is different on the way back.
func (d *decoder) linkFields(l *link) (f fields, settle func()) {
	var back *yaml.Node
	f = fields{"back": func(n *yaml.Node) { l.told, back = n, n }}
	for key, set := range d.oneWay(&l.out) {
		f[key] = func(n *yaml.Node) { l.told = n; set(n) }
	}
	return f, func() {
		l.back = l.out
		if back != nil {
			d.table(back, d.oneWay(&l.back))
		}
	}
}

// oneWay are the keys of one direction.
func (d *decoder) oneWay(l *lab.Link) fields {
	return fields{
		"delay":         func(n *yaml.Node) { l.Delay = d.duration(n) },
		"jitter":        func(n *yaml.Node) { l.Jitter = d.duration(n) },
		"loss":          func(n *yaml.Node) { l.Loss = d.share(n) },
		"duplicate":     func(n *yaml.Node) { l.Duplicate = d.share(n) },
		"corrupt":       func(n *yaml.Node) { l.Corrupt = d.share(n) },
		"reorder":       func(n *yaml.Node) { l.Reorder = d.share(n) },
		"reorder-delay": func(n *yaml.Node) { l.ReorderDelay = d.duration(n) },
		"mtu":           func(n *yaml.Node) { l.MTU = int(d.number(n, 68, 65535)) },
		"blackhole":     func(n *yaml.Node) { l.BlackHole = d.truth(n) },
	}
}

// An exit is where the links that lead to the next node belong in a Topology:
// there a link stands behind the node that it leaves.
type exit struct{ out, back *lab.Link }

func (l *link) place(exits []exit) {
	for _, e := range exits {
		*e.out, *e.back = l.out, l.back
	}
}

// entry is one entry of a list of hops.
type entry struct {
	hop  lab.Hop
	link link
	ways [][]entry // nil if it is a router
}

// build turns entries into hops and places their links. The first link belongs
// to exits; build returns those behind the last entry.
func build(entries []entry, exits []exit) ([]lab.Hop, []exit) {
	hops := make([]lab.Hop, len(entries))
	for i, e := range entries {
		e.link.place(exits)
		h := &hops[i]
		*h = e.hop
		exits = []exit{{&h.Out, &h.Back}}
		if e.ways == nil {
			continue
		}
		exits = nil
		for _, w := range e.ways {
			way, ends := build(w, nil)
			h.Ways = append(h.Ways, way)
			exits = slices.Concat(exits, ends)
		}
	}
	return hops, exits
}
