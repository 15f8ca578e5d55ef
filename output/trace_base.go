package output

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// traceBase is what the Views of traces for people have in common.
type traceBase struct {
	h     *Header
	t     *TraceHeader
	set   *stats.Set
	live  []hopRows // by target ID: what is known before the conclusion
	ended []bool    // by target ID: its conclusion came
	names names
}

func (v *traceBase) begin(h *Header, set *stats.Set) {
	v.h, v.set, v.t = h, set, h.Trace
	if v.t == nil {
		v.t = &TraceHeader{}
	}
	v.live = make([]hopRows, len(h.Targets))
	v.ended = make([]bool, len(h.Targets))
	v.names = names{none: h.Numeric, lookup: v.t.Name}
}

// note counts an outcome for the hop that its probe asked.
func (v *traceBase) note(r *probe.Result) (hop *probe.Hop, ok bool) {
	hop, ok = r.Detail.(*probe.Hop)
	if ok = ok && r.Outcome(); ok {
		v.live[r.Target.ID].add(r, hop)
	}
	return hop, ok
}

// conclude returns the hops of the trace that p concludes.
func (v *traceBase) conclude(r *probe.Result, p *probe.Path) []*hopRow {
	id := r.Target.ID
	v.ended[id] = true
	v.names.of = p.Names
	var watched *hopRows
	if v.t.Monitor {
		watched = &v.live[id]
	}
	rows := rowsOf(p, watched)
	if !v.t.Monitor {
		v.live[id] = hopRows{} // not needed any more
	}
	return rows
}

// unended returns the rows that were never concluded: names without an address,
// and whatever an engine that failed left behind.
func (v *traceBase) unended() []stats.Summary {
	var out []stats.Summary
	for i, row := range v.set.Rows() {
		if !v.ended[i] {
			out = append(out, row.Summary())
		}
	}
	return out
}

// appendTitle appends "name (addr), 30 hops max, 60 byte packets, icmp flow 61234"
// and what this mode cannot see.
func (v *traceBase) appendTitle(b []byte, t *probe.Target, p *probe.Path) []byte {
	b = append(b, v.nameOf(t)...)
	addr := t.Addr.Addr()
	if !addr.IsValid() {
		return b
	}
	proto, port, flow, size := v.t.Proto, v.t.Port, v.t.Flow, v.t.size(addr)
	if p != nil {
		proto, port, flow, size = p.Proto, p.Port, p.Flow, cmp.Or(usualSize(p), size)
	}
	b = fmt.Appendf(b, ", %d hops max, %d byte packets, %s", v.t.max(), size, proto)
	if port > 0 {
		b = fmt.Appendf(b, " port %d", port)
	}
	b = fmt.Appendf(b, " flow %d", flow)
	if len(v.t.Blind) > 0 {
		b = append(b, ", this socket does not show "+clip(strings.Join(v.t.Blind, ", "))...)
	}
	return b
}

// nameOf returns "name (addr)" of a target.
func (v *traceBase) nameOf(t *probe.Target) string {
	name := clip(t.Name)
	if addr := t.Addr.Addr(); addr.IsValid() {
		name += " (" + Escape(addr.String()) + ")"
	}
	return name
}

// appendUnended appends why a target was not traced.
func appendUnended(b []byte, s *stats.Summary) []byte {
	b = append(b, clip(s.Target.Name)...)
	if s.Error == nil {
		return append(b, ": not traced\n"...)
	}
	b = append(b, ": could not test: "...)
	b = append(b, clip(s.Error.Error())...)
	return append(b, '\n')
}

// retarget of a View is told of names looked up meanwhile: the header of a trace
// comes with its first line, so there is nothing to do.
func (v *traceBase) retarget(t *probe.Target) { v.live[t.ID] = hopRows{} }

// elapsed returns how long the run has lasted, in whole seconds.
func (v *traceBase) elapsed(now time.Time) string {
	return wholeSeconds(max(now.Sub(v.h.Start), 0).Truncate(time.Second))
}
