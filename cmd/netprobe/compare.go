package main

import (
	"fmt"
	"net/netip"
	"slices"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/trace"
)

// comparison passes Results on and holds each path that was found against its
// baseline.
type comparison struct {
	probe.Sink
	was     *baseline
	several bool // lines need their target

	lines   []string     // what changed, for people
	changed bool         // anything
	sameAs  map[int]bool // targets whose path was seen to its end and is the same

	// seen is who answered, by target and TTL: a path that went on for long
	// does not hold its probes.
	seen map[int]map[uint8][]netip.Addr
}

func newComparison(was *baseline, several bool) *comparison {
	return &comparison{was: was, several: several, sameAs: map[int]bool{}, seen: map[int]map[uint8][]netip.Addr{}}
}

func (c *comparison) Record(r *probe.Result) error {
	switch d := r.Detail.(type) {
	case *probe.Hop:
		c.see(r, d.TTL)
	case *probe.Path:
		c.compare(r.Target, d)
	}
	return c.Sink.Record(r)
}

// maxSeen bounds the addresses remembered of one TTL.
const maxSeen = 1024

func (c *comparison) see(r *probe.Result, ttl uint8) {
	if !r.From.IsValid() {
		return
	}
	hops := c.seen[r.Target.ID]
	if hops == nil {
		hops = map[uint8][]netip.Addr{}
		c.seen[r.Target.ID] = hops
	}
	if list := hops[ttl]; len(list) < maxSeen && !slices.Contains(list, r.From) {
		hops[ttl] = append(list, r.From)
	}
}

// compare holds the path to t against its baseline.
func (c *comparison) compare(t *probe.Target, found *probe.Path) {
	path := c.complete(t, *found)
	delete(c.seen, t.ID)
	was := c.was.find(t.Name, t.Addr.Addr())
	if was == nil || path.Stop == probe.StopFailed {
		return
	}
	changes := trace.Changes(was, &path)
	for _, change := range changes {
		line := change.String()
		if c.several {
			line = fmt.Sprintf("%s: %s", output.Escape(t.Name), line)
		}
		c.lines = append(c.lines, line)
		c.changed = true
	}
	c.sameAs[t.ID] = len(changes) == 0 && trace.Finished(&path)
}

// complete returns path with who answered at each TTL, where it does not say so
// itself.
func (c *comparison) complete(t *probe.Target, path probe.Path) probe.Path {
	path.Target = t
	path.Hops = slices.Clone(path.Hops)
	for i := range path.Hops {
		h := &path.Hops[i]
		if len(h.Probes) > 0 {
			continue
		}
		for _, a := range c.seen[t.ID][h.TTL] {
			h.Probes = append(h.Probes, probe.Result{From: a})
		}
	}
	return path
}

// same reports whether the path to t was seen to its end and is as it was.
func (c *comparison) same(t *probe.Target) bool { return c.sameAs[t.ID] }
