package output

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// dnsTable shows each answer as it comes: of a few queries whole, of many on one
// line. Statistics of each server follow where there is more than one query to it,
// and comparisons where they are wanted.
type dnsTable struct {
	w     io.Writer
	o     Options
	h     *Header
	d     *DNSHeader
	set   *stats.Set
	wide  int // of the names of servers
	shown int
	buf   []byte
}

func newDNSTable(w io.Writer, o Options) View { return &dnsTable{w: w, o: o} }

const (
	// fewQueries is how many answers to a server are shown whole.
	fewQueries = 8
	// maxShown is how many records of a section are shown, maxInLine of an answer on
	// one line.
	maxShown  = 1000
	maxInLine = 8
	// verdictWidth is that of most rcodes and of "no answer".
	verdictWidth = 9
)

func (v *dnsTable) Begin(h *Header, set *stats.Set) error {
	v.h, v.d, v.set = h, h.DNS, set
	for _, t := range h.Targets {
		v.wide = min(40, max(v.wide, visibleWidth(Escape(t.Name))))
	}
	return nil
}

// Refresh does nothing: what is written stays.
func (v *dnsTable) Refresh(time.Time) error { return nil }

func (v *dnsTable) Result(r *probe.Result, _ *stats.Target) error {
	if !r.Outcome() || v.o.Quiet {
		return nil
	}
	b := v.buf[:0]
	d, ok := r.Detail.(*probe.DNS)
	switch {
	case !ok:
		b = v.appendStudy(b, r)
	case v.d.Stats.Compares():
		b = v.appendNotes(b, r.Target.Name+": ", r, d)
	case v.d.Queries > fewQueries:
		b = v.appendLine(b, r, d)
		b = v.appendNotes(b, "  ", r, d)
	default:
		b = v.appendWhole(b, r, d)
	}
	v.buf = b
	if len(b) == 0 {
		return nil
	}
	_, err := v.w.Write(b)
	return err
}

// appendWhole appends an answer with all its records.
func (v *dnsTable) appendWhole(b []byte, r *probe.Result, d *probe.DNS) []byte {
	if v.shown > 0 {
		b = append(b, '\n')
	}
	v.shown++
	if v.o.Timestamps {
		b = appendStamp(b, r)
	}
	word := v.d.verdictOf(r, d)
	b = append(b, v.o.paint(word.color, Escape(word.text))...)
	b = append(b, gap...)
	b = appendEscaped(b, questionText(d.Question))
	b = append(b, " from "...)
	b = appendEscaped(b, r.Target.Name)
	b = append(b, " by "+d.Transport...)
	if d.Answer == nil {
		b = append(b, ": "...)
		b = appendEscaped(b, dnsWhy(r, d, v.d.Timeout))
		return v.appendNotes(append(b, '\n'), "  ", r, d)
	}
	b = append(b, " in "+FormatDuration(r.RTT)...)
	b = append(b, phaseWords(d.Phases)...)
	b = append(b, ": "...)
	b = appendEscaped(b, dnsFacts(d))
	b = append(b, '\n')
	b = v.appendSections(b, d.Answer)
	return v.appendNotes(b, "  ", r, d)
}

// appendStamp appends the time at which r left, as ping -D.
func appendStamp(b []byte, r *probe.Result) []byte {
	at := r.Sent
	if at.IsZero() {
		at = time.Now()
	}
	us := at.UnixMicro()
	return fmt.Appendf(b, "[%d.%06d] ", us/1e6, us%1e6)
}

// appendSections appends the answers; where there are none what the server says
// instead: who would know, or that there is nothing.
func (v *dnsTable) appendSections(b []byte, m *probe.DNSMessage) []byte {
	if len(m.Answers) > 0 {
		return v.appendRecords(b, m.Answers, "")
	}
	referral := len(m.Authority) > 0 && m.Authority[0].Type == "NS"
	if m.Rcode == "NOERROR" && !referral {
		b = append(b, "  no records of this type\n"...)
	}
	b = v.appendRecords(b, m.Authority, "authority: ")
	if referral {
		b = v.appendRecords(b, m.Additional, "additional: ")
	}
	return b
}

func (v *dnsTable) appendRecords(b []byte, rrs []probe.DNSRecord, label string) []byte {
	shown := rrs[:min(len(rrs), maxShown)]
	names, ttls, types := 0, 0, 0
	for _, rr := range shown {
		names = max(names, visibleWidth(Escape(rr.Name)))
		ttls = max(ttls, len(strconv.Itoa(int(rr.TTL))))
		types = max(types, len(rr.Type))
	}
	for _, rr := range shown {
		name := Escape(rr.Name)
		b = append(append(b, "  "...), v.o.paint(dim, label)...)
		b = appendPad(append(b, name...), names-visibleWidth(name))
		b = fmt.Appendf(b, "  %*d  ", ttls, rr.TTL)
		if rr.Class != "IN" {
			b = append(append(b, Escape(rr.Class)...), gap...)
		}
		b = fmt.Appendf(b, "%-*s  ", types, rr.Type)
		b = append(appendEscaped(b, rr.Data), '\n')
	}
	if n := len(rrs) - len(shown); n > 0 {
		b = fmt.Appendf(b, "  and %d more\n", n)
	}
	return b
}

// appendLine appends a query on one line.
func (v *dnsTable) appendLine(b []byte, r *probe.Result, d *probe.DNS) []byte {
	if v.o.Timestamps {
		b = appendStamp(b, r)
	}
	word := v.d.verdictOf(r, d)
	text := Escape(word.text)
	b = append(b, v.o.paint(word.color, text)...)
	b = appendPad(b, verdictWidth-visibleWidth(text))
	took := "-"
	if d.Answer != nil {
		took = FormatDuration(r.RTT)
	}
	b = appendPad(b, len(gap)+8-visibleWidth(took))
	b = append(append(b, took...), gap...)
	name := Escape(r.Target.Name)
	b = appendPad(append(b, name...), v.wide-visibleWidth(name))
	b = append(b, gap...)
	b = appendEscaped(b, questionText(d.Question))
	b = append(b, gap...)
	if d.Answer == nil {
		b = appendEscaped(b, dnsWhy(r, d, v.d.Timeout))
	} else {
		b = appendEscaped(b, answerWords(d.Answer))
	}
	return append(b, '\n')
}

// answerWords is the data of the first answers, not escaped.
func answerWords(m *probe.DNSMessage) string {
	if len(m.Answers) == 0 {
		return "no records"
	}
	var words []string
	for _, rr := range m.Answers[:min(len(m.Answers), maxInLine)] {
		words = append(words, rr.Data)
	}
	if n := len(m.Answers) - maxInLine; n > 0 {
		words = append(words, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(words, gap)
}

// appendNotes appends what else is to be said about a query.
func (v *dnsTable) appendNotes(b []byte, lead string, r *probe.Result, d *probe.DNS) []byte {
	for _, n := range dnsNotes(r, d) {
		b = appendEscaped(b, lead)
		b = append(b, v.o.paint(yellow, Escape(n))...)
		b = append(b, '\n')
	}
	return b
}

func (v *dnsTable) End(e *End) error {
	b := v.buf[:0]
	if v.d.Stats.Compares() {
		b = appendComparisons(b, v.d.Stats, v.o)
	}
	if v.d.Rounds > 1 || v.d.Queries > fewQueries || v.o.Quiet {
		if v.shown > 0 || len(b) > 0 || v.d.Queries > fewQueries && !v.o.Quiet {
			b = append(b, '\n')
		}
		b = v.appendServers(b)
	}
	start := len(b)
	for _, t := range v.set.Rows() {
		if s := t.Summary(); s.Error != nil && t.Err != nil {
			b = startRemark(b, t.Name, len(b) == start && start+v.shown > 0)
			b = append(appendEscaped(append(b, "could not test: "...), s.Error.Error()), '\n')
		}
	}
	v.buf = appendNotes(b, e)
	if len(v.buf) == 0 {
		return nil
	}
	_, err := v.w.Write(v.buf)
	return err
}

// appendServers appends the statistics of each server.
func (v *dnsTable) appendServers(b []byte) []byte {
	g := grid{look: v.o, columns: []column{
		{"server", false, 0, nameWidth}, {"by", false, 6, 0}, {"sent", true, 1, 0}, {"recv", true, 3, 0}, {"loss", true, 0, 0},
		{"min ms", true, 7, 0}, {"avg", true, 2, 0}, {"p50", true, 4, 0}, {"p95", true, 0, 0}, {"p99", true, 5, 0}, {"max", true, 7, 0},
		{"rcodes", false, 0, stateWidth},
	}}
	for i, t := range v.set.Rows() {
		s := t.Summary()
		row := []cell{{Escape(t.Name), ""}, {v.d.Transports[i], ""}, number(s.Sent), number(s.Received), lossCell(nil, nil, &s)}
		for _, f := range []func(*stats.RTT) time.Duration{
			func(r *stats.RTT) time.Duration { return r.Min }, func(r *stats.RTT) time.Duration { return r.Mean },
			func(r *stats.RTT) time.Duration { return r.P50 }, func(r *stats.RTT) time.Duration { return r.P95 },
			func(r *stats.RTT) time.Duration { return r.P99 }, func(r *stats.RTT) time.Duration { return r.Max },
		} {
			row = append(row, rtt(f)(nil, nil, &s))
		}
		g.cells = append(g.cells, append(row, v.rcodesCell(&v.d.Stats.Rows()[i], &s)))
	}
	g.fit(v.columns())
	for _, l := range g.lines() {
		b = append(append(b, l...), '\n')
	}
	return b
}

// columns is the width of the terminal, 0 elsewhere.
func (v *dnsTable) columns() int {
	if !v.o.Terminal || v.o.Size == nil {
		return 0
	}
	cols, _ := v.o.Size()
	return cols
}

// rcodesCell lists rcodes with how often they came, the most frequent first.
func (v *dnsTable) rcodesCell(row *stats.DNSRow, s *stats.Summary) cell {
	var words []string
	color := green
	for _, name := range sortedRcodes(row.Rcodes) {
		if name != v.d.wanted() {
			color = red
		}
		words = append(words, fmt.Sprintf("%s %d", name, row.Rcodes[name]))
	}
	if s.Late > 0 {
		words = append(words, fmt.Sprintf("late %d", s.Late))
	}
	if s.Failed > 0 {
		words, color = append(words, fmt.Sprintf("not asked %d", s.Failed)), yellow
	}
	if row.Unmet > 0 {
		words, color = append(words, fmt.Sprintf("not as expected %d", row.Unmet)), red
	}
	if row.Strays > 0 {
		words = append(words, fmt.Sprintf("not accepted %d", row.Strays))
	}
	if len(words) == 0 {
		return cell{"-", dim}
	}
	return cell{Escape(strings.Join(words, ", ")), color}
}
