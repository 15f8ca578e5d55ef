package output

import (
	"errors"
	"io"
	"net/netip"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// plain prints what ping prints, line for line, so that what parses ping parses
// this. What ping has no words for is added at the end of its lines or on lines
// of our own.
type plain struct {
	w       io.Writer
	o       Options
	h       *Header
	set     *stats.Set
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
	v.h, v.set = h, set
	v.several = len(h.Targets) > 1
	v.rows = make([]plainRow, len(h.Targets))
	b := v.buf[:0]
	for _, t := range h.Targets {
		_, err := netip.ParseAddr(t.Name)
		v.rows[t.ID].named = err != nil
		// A name still looked up gets its line when it is known.
		if !errors.Is(t.Err, probe.ErrNotYet) {
			b = v.appendHeader(b, t)
		}
	}
	return v.write(b)
}

// retarget starts a row anew: its name has an address now, or another one, or
// turned out to have none.
func (v *plain) retarget(t *probe.Target) {
	_ = v.write(v.appendHeader(v.buf[:0], t)) // the next line meets the same error
}

func (v *plain) write(b []byte) error {
	v.buf = b
	if len(b) == 0 {
		return nil
	}
	_, err := v.w.Write(b)
	return err
}

// appendHeader appends "PING host (addr) 56(84) bytes of data.", or for IPv6
// "PING host(addr) 56 data bytes".
func (v *plain) appendHeader(b []byte, t *probe.Target) []byte {
	b = append(b, "PING "...)
	b = appendEscaped(b, t.Name)
	if t.Err != nil {
		b = append(b, ": could not test: "...)
		b = appendEscaped(b, t.Err.Error())
		return append(b, '\n')
	}
	four := t.Addr.Addr().Is4()
	if four {
		b = append(b, " ("...)
		b = t.Addr.Addr().AppendTo(b)
	} else {
		b = append(b, '(')
		b = v.appendSender(b, t, t.Addr.Addr())
	}
	b = append(b, ") "...)
	if v.h.Source != "" || v.h.Interface != "" {
		b = append(b, "from "...)
		if v.h.Source != "" {
			b = append(appendEscaped(b, v.h.Source), ' ')
		}
		b = appendEscaped(b, v.h.Interface)
		b = append(b, ": "...)
	}
	b = strconv.AppendInt(b, int64(v.h.Size), 10)
	if !four {
		return append(b, " data bytes\n"...)
	}
	const headers = 20 + 8 // IPv4 without options, ICMP
	b = append(b, '(')
	b = strconv.AppendInt(b, int64(v.h.Size+headers), 10)
	return append(b, ") bytes of data.\n"...)
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
		b = v.appendReply(b, r)
	case r.Status == probe.Unreachable, r.Status == probe.Expired, r.Status == probe.Refused:
		b = v.appendError(b, r)
	case r.Status == probe.Failed:
		b = v.appendFailed(b, r)
	case r.Status == probe.Lost && v.rows[r.Target.ID].overdue < r.Seq:
		b = v.appendOverdue(b, r)
	}
	return v.write(b)
}

// Refresh does nothing: a printed line stays.
func (v *plain) Refresh(time.Time) error { return nil }

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

// appendReply appends "64 bytes from addr: icmp_seq=1 ttl=57 time=10.5 ms" and
// the oddities of the answer.
func (v *plain) appendReply(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = strconv.AppendInt(b, int64(r.Size), 10)
	b = append(b, " bytes from "...)
	b = v.appendSender(b, r.Target, r.From)
	b = append(b, ": icmp_seq="...)
	b = strconv.AppendUint(b, r.Seq, 10)
	if r.TTL > 0 {
		b = append(b, " ttl="...)
		b = strconv.AppendUint(b, uint64(r.TTL), 10)
	}
	if r.Flags.Has(probe.Truncated) { // where ping gives no time either
		b = append(b, " (truncated)"...)
	} else {
		b = append(b, " time="...)
		b = appendPingTime(b, r.RTT)
		b = append(b, " ms"...)
	}
	for _, m := range [...]struct {
		set  bool
		text string
	}{
		{r.Flags.Has(probe.Dup), " (DUP!)"},
		{r.Flags.Has(probe.Corrupt), " (CORRUPT!)"},
		{r.Flags.Has(probe.WrongSource), " (DIFFERENT ADDRESS!)"},
		{r.Flags.Has(probe.Reordered), " (reordered)"},
		{r.Status == probe.Late, " (late)"},
	} {
		if m.set {
			b = append(b, m.text...)
		}
	}
	return append(b, '\n')
}

// appendOverdue appends "no answer yet for icmp_seq=2".
func (v *plain) appendOverdue(b []byte, r *probe.Result) []byte {
	row := &v.rows[r.Target.ID]
	row.overdue = max(row.overdue, r.Seq)
	b = appendEpoch(b, v.o)
	b = append(b, "no answer yet for icmp_seq="...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = v.appendSubject(b, r.Target)
	return append(b, '\n')
}

// appendError appends "From gateway icmp_seq=3 Destination Host Unreachable".
func (v *plain) appendError(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = append(b, "From "...)
	b = v.appendSender(b, r.Target, r.From)
	b = append(b, " icmp_seq="...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, ' ')
	b = appendICMPError(b, r)
	b = v.appendSubject(b, r.Target)
	return append(b, '\n')
}

// appendFailed appends why a probe did not leave. ping says it on stderr; here
// it is the outcome of a probe and belongs to the data.
func (v *plain) appendFailed(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = append(b, "icmp_seq="...)
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
		b = appendStatistics(b, &s)
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
