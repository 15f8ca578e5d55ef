package output

import (
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// plain prints what ping prints, line for line, so that what parses ping parses
// this. What ping has no words for is added at the end of its lines or on lines
// of our own. Other kinds of probes have lines of the same form in their own words.
type plain struct {
	w       io.Writer
	o       Options
	h       *Header
	set     *stats.Set
	words   *vocabulary
	several bool // more than one target: some lines must say which
	rows    []plainRow
	buf     []byte
}

// plainRow is what plain knows of one target.
type plainRow struct {
	named   bool   // the user wrote a name, not an address
	overdue uint64 // highest Seq said to have no answer yet
}

func newPlain(w io.Writer, o Options) View { return &plain{w: w, o: o} }

func (v *plain) Begin(h *Header, set *stats.Set) error {
	v.h, v.set, v.words = h, set, wordsOf(h.Verb)
	v.several = len(h.Targets) > 1
	v.rows = make([]plainRow, len(h.Targets))
	b := v.buf[:0]
	for _, t := range h.Targets {
		v.rows[t.ID].named = isNamed(t)
		// A name still looked up gets its line when it is known.
		if !errors.Is(t.Err, probe.ErrNotYet) {
			b = v.words.header(v, b, t)
		}
	}
	return v.write(b)
}

// retarget starts a row anew: its name has an address now, or another one, or
// turned out to have none.
func (v *plain) retarget(t *probe.Target) {
	_ = v.write(v.words.header(v, v.buf[:0], t)) // the next line meets the same error
}

func (v *plain) write(b []byte) error {
	v.buf = b
	if len(b) == 0 {
		return nil
	}
	_, err := v.w.Write(b)
	return err
}

func (v *plain) Result(r *probe.Result, t *stats.Target) error {
	if v.o.Quiet {
		return nil
	}
	b := v.buf[:0]
	switch {
	case r.Interim:
		b = v.appendOverdue(b, r)
	case r.Flags.Has(probe.Dup), r.Status == probe.Reply, r.Status == probe.Late:
		b = v.words.answer(v, b, r)
	case r.Status == probe.Unreachable, r.Status == probe.Expired, r.Status == probe.Refused:
		b = v.words.rejection(v, b, r)
	case r.Status == probe.Failed:
		b = v.appendFailed(b, r)
	case r.Status == probe.Lost && r.Reason == probe.BadReply && layersOf(r) != nil:
		b = v.appendBadReply(b, r)
	case r.Status == probe.Lost && v.rows[r.Target.ID].overdue < r.Seq:
		b = v.appendOverdue(b, r)
	}
	return v.write(b)
}

// Refresh does nothing: a printed line stays.
func (v *plain) Refresh(time.Time) error { return nil }

// isNamed reports whether the user wrote a name for t, not an address.
func isNamed(t *probe.Target) bool {
	name := t.Name
	if t.Addr.Port() != 0 {
		name = strings.Trim(name[:max(strings.LastIndexByte(name, ':'), 0)], "[]")
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

// appendNoAddress ends the line about a target that has no address.
func appendNoAddress(b []byte, t *probe.Target) []byte {
	b = append(b, ": could not test: "...)
	b = appendEscaped(b, t.Err.Error())
	return append(b, '\n')
}

// appendWay appends by which way probes leave, as far as one was chosen.
func (v *plain) appendWay(b []byte) []byte {
	b = append(b, "from "...)
	if v.h.Source != "" {
		b = append(appendEscaped(b, v.h.Source), ' ')
	}
	return appendEscaped(b, v.h.Interface)
}

// appendSender appends addr, behind the target's name if it is the target's
// address and names are wanted: name (addr).
func (v *plain) appendSender(b []byte, t *probe.Target, addr netip.Addr) []byte {
	named := !v.h.Numeric && v.rows[t.ID].named && addr == t.Addr.Addr()
	if named {
		b = appendEscaped(b, t.Name)
		b = append(b, " ("...)
	}
	b = addr.AppendTo(b)
	if named {
		b = append(b, ')')
	}
	return b
}

// appendSubject appends which target a line is about, where it could be several.
func (v *plain) appendSubject(b []byte, t *probe.Target) []byte {
	if !v.several {
		return b
	}
	b = append(b, " (to "...)
	b = appendEscaped(b, t.Name)
	return append(b, ')')
}

// appendOverdue appends "no answer yet for icmp_seq=2".
func (v *plain) appendOverdue(b []byte, r *probe.Result) []byte {
	row := &v.rows[r.Target.ID]
	row.overdue = max(row.overdue, r.Seq)
	b = appendEpoch(b, v.o)
	b = append(b, "no answer yet for "...)
	b = append(b, v.words.seq...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = v.appendSubject(b, r.Target)
	return append(b, '\n')
}

// appendFailed appends why a probe did not leave. ping says it on stderr; here
// it is the outcome of a probe and belongs to the data.
func (v *plain) appendFailed(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = append(b, v.words.seq...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, " not sent: "...)
	if r.Err != nil {
		b = appendEscaped(b, r.Err.Error())
	} else {
		b = append(b, r.Reason.String()...)
	}
	b = v.appendSubject(b, r.Target)
	return append(b, '\n')
}

func (v *plain) End(e *End) error {
	b := v.buf[:0]
	for _, t := range v.set.Rows() {
		s := t.Summary()
		b = v.words.appendStatistics(b, &s)
	}
	return v.write(appendNotes(b, e))
}

// appendNotes appends the lines a run has for people, set apart.
func appendNotes(b []byte, e *End) []byte {
	for i, n := range e.Notes {
		if i == 0 {
			b = append(b, '\n')
		}
		b = appendEscaped(b, n)
		b = append(b, '\n')
	}
	return b
}
