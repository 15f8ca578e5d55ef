package output

import (
	"io"
	"maps"
	"slices"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// dnsShort prints the data of the answers and nothing else, a line each: what a
// script wants to read. They come in the order in which they were asked for, as no
// line says what it is about. What went wrong is in the notes of the end, on stderr,
// and in the exit code.
type dnsShort struct {
	w    io.Writer
	o    Options
	ids  []int          // of the targets that are asked, in order
	next int            // whose turn it is: counts queries, and of each the targets
	held map[int][]byte // lines of those whose turn has not come
}

func newDNSShort(w io.Writer, o Options) View { return &dnsShort{w: w, o: o, held: map[int][]byte{}} }

func (v *dnsShort) Begin(h *Header, _ *stats.Set) error {
	for _, t := range h.Targets {
		if t.Err == nil {
			v.ids = append(v.ids, t.ID)
		}
	}
	return nil
}

func (v *dnsShort) Result(r *probe.Result, _ *stats.Target) error {
	if !r.Outcome() || v.o.Quiet {
		return nil
	}
	lines := []byte{}
	for _, rr := range answersOf(r) {
		lines = append(appendEscaped(lines, rr.Data), '\n')
	}
	v.held[int(r.Seq-1)*len(v.ids)+slices.Index(v.ids, r.Target.ID)] = lines
	var b []byte
	for {
		lines, come := v.held[v.next]
		if !come {
			return v.write(b)
		}
		delete(v.held, v.next)
		v.next++
		b = append(b, lines...)
	}
}

func (v *dnsShort) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := v.w.Write(b)
	return err
}

// Refresh does nothing: a line stays.
func (v *dnsShort) Refresh(time.Time) error { return nil }

// End prints what still waited for its turn, as the run ended first.
func (v *dnsShort) End(*End) error {
	var b []byte
	for _, i := range slices.Sorted(maps.Keys(v.held)) {
		b = append(b, v.held[i]...)
	}
	return v.write(b)
}

// answersOf returns the records of an answer, whatever it was got by.
func answersOf(r *probe.Result) []probe.DNSRecord {
	switch d := r.Detail.(type) {
	case *probe.DNS:
		if d.Answer != nil {
			return d.Answer.Answers
		}
	case *probe.DNSWalk:
		return d.Answers
	case *probe.DNSVerdict:
		return d.Answers
	}
	return nil
}

// DNSNote says in one line what became of a query that was not answered as it
// should be; empty if it was.
func DNSNote(h *DNSHeader, r *probe.Result) string {
	d, ok := r.Detail.(*probe.DNS)
	switch {
	case !r.Outcome():
		return ""
	case !ok:
		return studyNote(h, r)
	}
	at := Escape(questionText(d.Question)) + " from " + Escape(r.Target.Name) + ": "
	switch {
	case d.Answer == nil:
		return at + Escape(dnsWhy(r, d, h.Timeout))
	case d.Answer.Rcode != h.wanted():
		line := at + Escape(d.Answer.Rcode)
		if e := d.Answer.EDNS; e != nil && len(e.Errors) > 0 {
			line += ", " + Escape(edeWords(e.Errors[0]))
		}
		return line
	case len(d.Unmet) > 0:
		return at + Escape(d.Unmet[0])
	}
	return ""
}
