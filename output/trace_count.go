package output

import (
	"cmp"
	"slices"

	"netprobe/probe"
	"netprobe/stats"
)

// heldProbes is how many outcomes of a monitored target wait for earlier ones.
const heldProbes = 64

// traceRow counts one target of a trace. In the statistics of a run stands the
// target, not the path to it: what its own hop answered, or did not.
//
// A port that refuses is an answer. What a router answers at the target's
// distance (ways of different length), a packet larger than the others (a search
// for the path MTU), and silence of a target that is known to limit its answers
// count nowhere: they say nothing about loss.
type traceRow struct {
	record   func(*probe.Result)
	seq      uint64         // of the last probe counted: a trace numbers those of all hops
	distance uint8          // of the target, as known by now; 0 if it never answered
	size     int            // of the usual probe
	held     []probe.Result // while monitoring: outcomes that may count, by Seq
}

// count counts res, also if it is part of a trace, and returns its row.
func (r *Report) count(res *probe.Result) *stats.Target {
	switch d := res.Detail.(type) {
	case *probe.Hop:
		if r.header.Trace != nil && r.header.Trace.Monitor && res.Outcome() {
			r.traceRow(res).watch(res, d)
		}
	case *probe.Path:
		r.traceRow(res).conclude(res, d)
	default:
		return r.set.Record(res)
	}
	return r.set.Rows()[res.Target.ID]
}

func (r *Report) traceRow(res *probe.Result) *traceRow {
	if r.traces == nil {
		r.traces = map[int]*traceRow{}
	}
	t := r.traces[res.Target.ID]
	if t == nil {
		t = &traceRow{record: func(res *probe.Result) { r.set.Record(res) }}
		r.traces[res.Target.ID] = t
	}
	return t
}

// watch holds an outcome of a monitored path until those sent before it are
// likely to have come: outages are told in the order of sending.
func (t *traceRow) watch(res *probe.Result, hop *probe.Hop) {
	if t.size == 0 {
		t.size = hop.Size
	}
	switch {
	case res.Status == probe.Expired || hop.Size != t.size:
		return
	case ofTarget(res) && (t.distance == 0 || hop.TTL < t.distance):
		t.distance = hop.TTL
	}
	kept := *res
	kept.Detail = hop.TTL
	i, _ := slices.BinarySearchFunc(t.held, res.Seq, func(r probe.Result, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	t.held = slices.Insert(t.held, i, kept)
	if len(t.held) > heldProbes {
		t.release(1)
	}
}

// release counts the first n outcomes held, as far as they are the target's:
// answers, and silence at its distance or beyond.
func (t *traceRow) release(n int) {
	for i := range t.held[:n] {
		res := &t.held[i]
		if ttl, _ := res.Detail.(uint8); t.distance > 0 && ttl >= t.distance {
			t.add(*res)
		}
	}
	t.held = slices.Delete(t.held, 0, n)
}

// conclude counts what a finished trace says about its target.
func (t *traceRow) conclude(res *probe.Result, p *probe.Path) {
	t.release(len(t.held))
	if n := len(p.Hops); n > 0 && (p.Reached() || p.Hops[n-1].Target) {
		t.addHop(p)
	}
	if t.seq > 0 {
		return
	}
	only := *res
	only.Detail = nil
	if only.Sent.IsZero() && only.Status != probe.Failed {
		only.Sent = p.Started
	}
	if p.MTU != nil {
		only.Detail = p.MTU
	}
	t.add(only)
}

// addHop counts the target's own hop, in the order of sending.
func (t *traceRow) addHop(p *probe.Path) {
	last := &p.Hops[len(p.Hops)-1]
	limited := last.Loss != nil && last.Loss.Kind == probe.RateLimited
	usual := usualSize(p)
	var own []probe.Result
	for i := range last.Probes {
		r := last.Probes[i]
		hop, _ := r.Detail.(*probe.Hop)
		other := r.Status == probe.Expired || hop != nil && hop.Size != usual
		if other || !r.Outcome() || limited && r.Status == probe.Lost {
			continue
		}
		r.Detail = nil
		own = append(own, r)
	}
	for i, r := range inOrder(own) {
		if p.MTU != nil && i == len(own)-1 {
			r.Detail = p.MTU
		}
		t.add(*r)
	}
}

// add counts r under the target's own numbers.
func (t *traceRow) add(r probe.Result) {
	t.seq++
	r.Seq = t.seq
	if _, ttl := r.Detail.(uint8); ttl {
		r.Detail = nil
	}
	if r.Status == probe.Refused {
		r.Status = probe.Reply
	}
	t.record(&r)
}

// ofTarget reports whether the target itself answered r.
func ofTarget(r *probe.Result) bool {
	return r.Status == probe.Reply || r.Status == probe.Late || r.Status == probe.Refused
}

// usualSize returns the size of the first probe of p, in bytes: a search for the
// path MTU sends larger ones later.
func usualSize(p *probe.Path) int {
	size, first := 0, uint64(0)
	for i := range p.Hops {
		for j := range p.Hops[i].Probes {
			r := &p.Hops[i].Probes[j]
			if hop, ok := r.Detail.(*probe.Hop); ok && (size == 0 || r.Seq < first) {
				size, first = hop.Size, r.Seq
			}
		}
	}
	return size
}
