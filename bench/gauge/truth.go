package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"netprobe/internal/lab"
	"netprobe/internal/lab/labfile"
)

// edge is a link from one router to the next, or to the target.
type edge struct{ from, to netip.Addr }

// truth is what a trace of IPv4 should find in a network: who answers at which
// TTL, and how long that takes.
type truth struct {
	prober netip.Addr
	rows   []truthRow    // by TTL, from 1
	hosts  []lab.Host    // the last row of a target
	trip   time.Duration // to the link that leads to a host
}

type truthRow struct {
	addrs []netip.Addr // those who answer; none if all are silent
	trip  time.Duration
}

// readTruth reads the network that is described in a file. The ways of a section
// must be of one length, and as fast as each other.
func readTruth(name string) (*truth, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := labfile.Parse(name, data)
	if err != nil {
		return nil, err
	}
	t := &truth{hosts: file.Topology.Hosts}
	for _, a := range file.Topology.Prober {
		if a.Is4() {
			t.prober = a
		}
	}
	if !t.prober.IsValid() {
		return nil, fmt.Errorf("%s: the prober has no IPv4 address", name)
	}
	top := &file.Topology
	if t.trip, err = t.walk(top.Hops, 0, top.Out.Delay+top.Back.Delay); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// walk adds hops, the first of which is at row and trip away, and returns how far
// away is what follows them.
func (t *truth) walk(hops []lab.Hop, row int, trip time.Duration) (time.Duration, error) {
	for i := range hops {
		h := &hops[i]
		if h.Ways == nil {
			t.add(row, h, trip)
			trip += h.Out.Delay + h.Back.Delay
			row++
			continue
		}
		end := time.Duration(-1)
		for _, way := range h.Ways {
			far, err := t.walk(way, row, trip)
			if err != nil {
				return 0, err
			}
			if len(way) != len(h.Ways[0]) || end >= 0 && far != end {
				return 0, fmt.Errorf("ways behind hop %d differ in length", row)
			}
			end = far
		}
		row += len(h.Ways[0])
		trip = end
	}
	return trip, nil
}

func (t *truth) add(row int, h *lab.Hop, trip time.Duration) {
	for len(t.rows) <= row {
		t.rows = append(t.rows, truthRow{})
	}
	r := &t.rows[row]
	r.trip = trip + h.Delay
	for _, a := range h.Addrs {
		if a.Is4() && !h.Silent {
			r.addrs = append(r.addrs, a)
		}
	}
}

// path is what a trace to target should find, by TTL from 1.
func (t *truth) path(target netip.Addr) []truthRow {
	rows := slices.Clone(t.rows)
	last := truthRow{addrs: []netip.Addr{target}}
	for i := range t.hosts {
		h := &t.hosts[i]
		if !slices.ContainsFunc(h.At, func(p netip.Prefix) bool { return p.Contains(target) }) {
			continue
		}
		last.trip = t.trip + h.Out.Delay + h.Back.Delay + h.Delay
		if h.Silent {
			last.addrs = nil
		}
	}
	return append(rows, last)
}

// found is what a tool says about one target.
type found struct {
	rows  map[int][]netip.Addr // by TTL
	trips map[int][]float64    // round trips, ms
	edges []edge               // of tools that tell them
	lossy int                  // hops said to lose packets
}

func newFound() *found { return &found{rows: map[int][]netip.Addr{}, trips: map[int][]float64{}} }

// saw notes an answer. Trips below 0 are unknown.
func (f *found) saw(ttl int, from netip.Addr, trip float64) {
	if !slices.Contains(f.rows[ttl], from) {
		f.rows[ttl] = append(f.rows[ttl], from)
	}
	if trip >= 0 {
		f.trips[ttl] = append(f.trips[ttl], trip)
	}
}

// fault is what is not as it should be in what a tool found, in hops and links.
type fault struct{ missing, false int }

func (f *fault) add(g fault) { f.missing, f.false = f.missing+g.missing, f.false+g.false }

// hopFaults compares the hops of f with a path. With all, everybody who answers
// at a TTL must have been found, else one is enough.
func (f *found) hopFaults(path []truthRow, all bool) fault {
	var n fault
	for i, row := range path {
		got := f.rows[i+1]
		hits := 0
		for _, a := range row.addrs {
			if slices.Contains(got, a) {
				hits++
			}
		}
		n.false += len(got) - hits
		switch {
		case all:
			n.missing += len(row.addrs) - hits
		case hits == 0 && len(row.addrs) > 0:
			n.missing++
		}
	}
	for ttl, got := range f.rows {
		if ttl < 1 || ttl > len(path) {
			n.false += len(got)
		}
	}
	return n
}

// edgeFaults compares the links of f with a path. Two rows of equal width are
// joined way by way, all others each with each.
func (f *found) edgeFaults(path []truthRow) fault {
	var want []edge
	for i := range path[1:] {
		near, far := path[i].addrs, path[i+1].addrs
		for j, from := range near {
			for k, to := range far {
				if len(near) != len(far) || j == k {
					want = append(want, edge{from, to})
				}
			}
		}
	}
	hits := 0
	for _, e := range want {
		if slices.Contains(f.edges, e) {
			hits++
		}
	}
	return fault{missing: len(want) - hits, false: len(f.edges) - hits}
}

// errors are the round trips of f minus the true ones, ms, where those are known.
func (f *found) errors(path []truthRow) []float64 {
	var all []float64
	for i, row := range path {
		if row.trip == 0 {
			continue
		}
		for _, v := range f.trips[i+1] {
			all = append(all, v-float64(row.trip)/float64(time.Millisecond))
		}
	}
	return all
}
