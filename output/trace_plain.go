package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// tracePlain prints the lines of traceroute, so that what parses traceroute
// parses this. What traceroute has no words for stands below each trace, in
// indented lines that hold neither a time in milliseconds nor a number in front,
// because parsers take those for hops and probes.
//
// A single trace is printed hop by hop, as far as hops are final; of several,
// each is printed when it is concluded. A monitored path gets the report of mtr.
type tracePlain struct {
	traceBase
	w       io.Writer
	o       Options
	headed  bool                     // the header of the only target was printed
	probes  map[uint8][]probe.Result // of the only target, by TTL, until its row is printed
	printed uint8                    // highest TTL whose row was printed
	blocks  int                      // traces printed
	buf     []byte
}

func newTracePlain(w io.Writer, o Options) View {
	return &tracePlain{w: w, o: o, probes: map[uint8][]probe.Result{}}
}

func (v *tracePlain) Begin(h *Header, set *stats.Set) error {
	v.begin(h, set)
	v.printed = v.t.first() - 1
	return nil
}

func (v *tracePlain) Result(r *probe.Result, _ *stats.Target) error {
	if p, ok := r.Detail.(*probe.Path); ok {
		return v.end(r, p)
	}
	if !v.t.Monitor && !v.streams() {
		return nil
	}
	hop, ok := v.note(r)
	if !ok || v.t.Monitor || hop.Size != v.live[0].size {
		return nil
	}
	v.probes[hop.TTL] = append(v.probes[hop.TTL], *r)
	return v.advance()
}

// streams reports whether rows are printed before the trace is concluded: only
// where nothing that comes later can change them.
func (v *tracePlain) streams() bool {
	t := v.t
	more := t.Monitor || t.Paths || t.Verdict || t.MTU || t.count() > 3
	return len(v.live) == 1 && !v.o.Quiet && !more && (v.h.Numeric || t.Name != nil)
}

// advance prints the rows that have become final and come next.
func (v *tracePlain) advance() error {
	b := v.buf[:0]
	for {
		ttl := v.printed + 1
		row := &probe.PathHop{TTL: ttl, Probes: v.probes[ttl]}
		if !v.final(row) {
			return v.write(b)
		}
		if !v.headed {
			b = v.appendHeader(b, row.Probes[0].Target, nil)
		}
		b = v.appendHop(b, row, inOrder(row.Probes))
		v.printed = ttl
		delete(v.probes, ttl)
	}
}

// final reports whether every probe of a middle hop was answered, and the names
// of all that answered are known.
func (v *tracePlain) final(row *probe.PathHop) bool {
	if len(row.Probes) < v.t.count() {
		return false
	}
	for i := range row.Probes {
		r := &row.Probes[i]
		if r.Status != probe.Expired {
			return false
		}
		if !v.h.Numeric {
			if _, known := v.t.Name(r.From); !known {
				return false
			}
		}
	}
	return true
}

func (v *tracePlain) appendHeader(b []byte, t *probe.Target, p *probe.Path) []byte {
	v.headed = true
	if v.blocks > 0 {
		b = append(b, '\n')
	}
	b = append(b, "traceroute to "...)
	b = v.appendTitle(b, t, p)
	return append(b, '\n')
}

// end prints what has not been printed of the trace that p concludes.
func (v *tracePlain) end(r *probe.Result, p *probe.Path) error {
	rows := v.conclude(r, p)
	b := v.buf[:0]
	switch {
	case v.o.Quiet:
		b = append(b, clip(r.Target.Name)...)
		b = append(b, ": "...)
		b = append(b, strings.Join(remarks(p, rows, r, v.t, false), "; ")...)
		return v.write(append(b, '\n'))
	case v.t.Monitor:
		b = v.appendReport(b, r.Target, rows)
	default:
		if !v.headed || len(v.live) > 1 {
			b = v.appendHeader(b, r.Target, p)
		}
		for i := range p.Hops {
			hop := &p.Hops[i]
			shown := v.shown(p, hop)
			if len(shown) == 0 && !answeredFrom(p.Hops[i:]) {
				continue
			}
			if hop.TTL > v.printed || len(v.live) > 1 {
				b = v.appendHop(b, hop, shown)
			}
		}
	}
	v.blocks++
	for _, line := range v.below(r, p, rows) {
		if line != "" {
			b = append(b, "    "...)
		}
		b = append(b, line...)
		b = append(b, '\n')
	}
	return v.write(b)
}

// below returns the lines of our own.
func (v *tracePlain) below(r *probe.Result, p *probe.Path, rows []*hopRow) []string {
	lines := remarks(p, rows, r, v.t, false)
	n := newNoter(v.t)
	loss := pathLoss(rows)
	for i, h := range rows {
		all, hosts := n.hop(h, loss[i])
		for i, notes := range hosts {
			notes = slices.DeleteFunc(notes, func(s string) bool { return strings.HasPrefix(s, "MPLS ") && !v.t.Monitor })
			if len(notes) == 0 {
				continue
			}
			if len(hosts) == 1 {
				all = append(notes, all...)
				break
			}
			lines = append(lines, fmt.Sprintf("hop %d, %s: %s", h.ttl, h.hosts[i].addr, strings.Join(notes, ", ")))
		}
		if len(all) > 0 {
			lines = append(lines, fmt.Sprintf("hop %d: %s", h.ttl, strings.Join(all, ", ")))
		}
	}
	return append(lines, drawing(p, &v.names)...)
}

// shown returns the probes of a hop that a line has room for: the first ones of
// the flow and size that all hops were asked with, and one of each further
// address. Those whose outcome is open are not among them: a star is silence.
func (v *tracePlain) shown(p *probe.Path, hop *probe.PathHop) []*probe.Result {
	var out, others []*probe.Result
	size := usualSize(p)
	for i := range hop.Probes {
		r := &hop.Probes[i]
		d, _ := r.Detail.(*probe.Hop)
		switch {
		case r.Status == probe.Pending || r.Status == probe.Failed || d != nil && d.Size != size:
		case len(out) < v.t.count() && (d == nil || d.Flow == p.Flow):
			out = append(out, r)
		case r.From.IsValid():
			others = append(others, r)
		}
	}
	for _, r := range others {
		if !slices.ContainsFunc(out, func(o *probe.Result) bool { return o.From == r.From }) {
			out = append(out, r)
		}
	}
	return out
}

// answeredFrom reports whether any of hops has answered.
func answeredFrom(hops []probe.PathHop) bool {
	return slices.ContainsFunc(hops, func(h probe.PathHop) bool { return len(h.Addrs()) > 0 })
}

// appendHop appends the line of one hop, none for a hop that was not probed:
// " 4  gw.example (192.0.2.1) <MPLS:L=16,E=0,S=1,T=1>  12.976 ms !X *". A hop that
// nothing is known about yet has an ellipsis: it is there, though.
func (v *tracePlain) appendHop(b []byte, hop *probe.PathHop, probes []*probe.Result) []byte {
	switch {
	case len(hop.Probes) == 0:
		return b
	case len(probes) == 0:
		return fmt.Appendf(b, "%2d  ...\n", hop.TTL)
	}
	b = fmt.Appendf(b, "%2d ", hop.TTL)
	previous, labels := "", ""
	for _, r := range probes {
		if !r.From.IsValid() {
			b = append(b, " *"...)
			continue
		}
		host, stack := r.From.String(), ""
		if d, ok := r.Detail.(*probe.Hop); ok && len(d.MPLS) > 0 {
			stack = labelStack(d.MPLS)
		}
		if host != previous || stack != labels {
			previous, labels = host, stack
			b = append(b, ' ')
			b = v.appendAddr(b, r)
			if stack != "" {
				b = append(b, " <"+stack+">"...)
			}
		}
		b = append(b, "  "...)
		b = appendThousandths(b, r.RTT)
		b = append(b, " ms"...)
		if text := annotation(r); text != "" {
			b = append(b, " "+text...)
		}
	}
	return append(b, '\n')
}

// appendAddr appends "name (addr)" as traceroute does, which gives the address
// twice if it has no name; -n leaves the address alone.
func (v *tracePlain) appendAddr(b []byte, r *probe.Result) []byte {
	addr := Escape(r.From.String())
	if v.h.Numeric {
		return append(b, addr...)
	}
	name := v.names.name(r.From)
	if name == "" {
		name = addr
	}
	b = append(b, strings.ReplaceAll(name, " ", `\x20`)...)
	return append(b, " ("+addr+")"...)
}

func (v *tracePlain) write(b []byte) error {
	v.buf = b
	if len(b) == 0 {
		return nil
	}
	_, err := v.w.Write(b)
	return err
}

// Refresh does nothing: a printed line stays.
func (v *tracePlain) Refresh(time.Time) error { return nil }

func (v *tracePlain) End(e *End) error {
	b := v.buf[:0]
	for _, s := range v.unended() {
		if v.blocks > 0 && !v.o.Quiet {
			b = append(b, '\n')
		}
		v.blocks++
		if !v.o.Quiet {
			b = append(b, "traceroute to "...)
		}
		b = appendUnended(b, &s)
	}
	return v.write(appendNotes(b, e))
}
