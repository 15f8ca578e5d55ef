package output

import (
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepLines decides, for the views that people read, of which hosts there is a
// line: those that answered, broadcast addresses, and the first host of each
// failure; or all.
type sweepLines struct {
	o Options
	h *Header
}

// shows reports whether r, already counted, has a line, and the state of its host.
func (l *sweepLines) shows(r *probe.Result) (stats.HostState, bool) {
	if l.o.Quiet || !r.Outcome() {
		return 0, false
	}
	switch s := stats.StateOf(r); s {
	case stats.HostAlive, stats.HostAmplifier:
		return s, true
	case stats.HostFailed:
		return s, l.h.Sweep.All || l.h.Sweep.Stats.NewFailure()
	default:
		return s, l.h.Sweep.All
	}
}

// sweepKind returns the protocol of the probe that decided r, "" if nobody
// answered it or its answer does not tell.
func sweepKind(r *probe.Result) string {
	switch {
	case !r.From.IsValid():
		return ""
	case r.Target.Addr.Port() == 0:
		return "icmp"
	}
	switch r.Reason {
	case probe.Connected, probe.SynAck, probe.RST:
		return "tcp"
	case probe.UDPReply, probe.PortUnreachable:
		return "udp"
	}
	return ""
}

// sweepPort returns the port of the probe that decided r, 0 if there is none.
func sweepPort(r *probe.Result) uint16 {
	if !r.From.IsValid() {
		return 0
	}
	return r.Target.Addr.Port()
}

// sweepResponders returns who answered for the host of r, nil unless several did.
func sweepResponders(r *probe.Result) *probe.Responders {
	if stats.StateOf(r) != stats.HostAmplifier {
		return nil
	}
	return r.Detail.(*probe.Responders)
}

// appendSweepHost appends the address of t, with names what the user wrote.
func appendSweepHost(b []byte, t *probe.Target, names bool) []byte {
	a := t.Addr.Addr()
	switch {
	case !a.IsValid():
		return appendEscaped(b, bounded(t.Name))
	case t.Name == "" || !names:
		return appendIP(b, t)
	}
	b = appendEscaped(b, bounded(t.Name))
	b = append(b, " ("...)
	b = appendIP(b, t)
	return append(b, ')')
}

// appendIP appends the address of t, which must have one. A zone is named by the user.
func appendIP(b []byte, t *probe.Target) []byte {
	a := t.Addr.Addr()
	if a.Zone() != "" {
		return appendEscaped(b, a.String())
	}
	return a.AppendTo(b)
}

// list appends words separated by commas.
type list struct {
	b     []byte
	start int
}

func (l *list) next() {
	if len(l.b) > l.start {
		l.b = append(l.b, ", "...)
	}
}

func (l *list) add(text string) {
	l.next()
	l.b = append(l.b, text...)
}

// appendRemark appends what is worth saying of r beside its state and its
// round-trip time, nothing if that is all.
func appendRemark(b []byte, r *probe.Result, s stats.HostState) []byte {
	l := list{b, len(b)}
	switch s {
	case stats.HostAlive:
		l.addAlive(r)
	case stats.HostAmplifier:
		l.next()
		l.b = appendCount(l.b, uint64(sweepResponders(r).Count), "host")
		l.more(" answered for it")
	case stats.HostUnreachable:
		l.add(r.Reason.String())
		l.from(r)
	case stats.HostSilent:
		if r.Reason == probe.BadReply {
			l.add("no valid answer")
		} else {
			l.add("no answer")
		}
		if r.Seq > 1 {
			l.more(" to ")
			l.b = appendCount(l.b, r.Seq, "probe")
		}
	case stats.HostFailed:
		l.next()
		l.b = appendFailureText(l.b, r.Reason, r.Err)
	case stats.HostPending:
		l.add("the run ended before")
	}
	return l.b
}

// more appends text to the last word.
func (l *list) more(text string) { l.b = append(l.b, text...) }

func (l *list) from(r *probe.Result) {
	if r.From.IsValid() {
		l.b = append(l.b, " from "...)
		l.b = r.From.AppendTo(l.b)
	}
}

// addAlive appends what is odd about the answer of a host.
func (l *list) addAlive(r *probe.Result) {
	if port := r.Target.Addr.Port(); port != 0 {
		kind := sweepKind(r)
		if kind == "" {
			kind = "port"
		}
		l.add(kind)
		l.b = append(l.b, ' ')
		l.b = strconv.AppendUint(l.b, uint64(port), 10)
	}
	if r.Status == probe.Refused {
		if r.Target.Addr.Port() == 0 {
			l.add("refused")
		} else {
			l.more(" refused")
		}
	}
	if r.Flags.Has(probe.WrongSource) || r.From.IsValid() && r.From != r.Target.Addr.Addr() {
		l.next()
		l.b = append(l.b, "from "...)
		l.b = r.From.AppendTo(l.b)
	}
	if r.Seq > 1 {
		l.next()
		l.b = append(l.b, "answered the "...)
		l.b = appendOrdinal(l.b, r.Seq)
		l.b = append(l.b, " probe"...)
	}
	if r.Status == probe.Late {
		l.add("late")
	}
	if r.Flags.Has(probe.Corrupt) {
		l.add("corrupt")
	}
	if r.Flags.Has(probe.Truncated) {
		l.add("truncated")
	}
}

// appendOrdinal appends 1st, 2nd, 3rd, 4th, 11th, 21st.
func appendOrdinal(b []byte, n uint64) []byte {
	b = strconv.AppendUint(b, n, 10)
	if n/10%10 == 1 {
		return append(b, "th"...)
	}
	switch n % 10 {
	case 1:
		return append(b, "st"...)
	case 2:
		return append(b, "nd"...)
	case 3:
		return append(b, "rd"...)
	}
	return append(b, "th"...)
}

// appendCount appends "1 host", "1,024 hosts".
func appendCount(b []byte, n uint64, noun string) []byte {
	b = appendGrouped(b, n)
	b = append(append(b, ' '), noun...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}

// appendFailureText appends why something could not be tested.
func appendFailureText(b []byte, reason probe.Reason, err error) []byte {
	if err == nil {
		return append(b, reason.String()...)
	}
	return append(b, clip(err.Error())...)
}

// appendLocal appends a time before a line for people.
func appendLocal(b []byte, t time.Time) []byte { return t.Local().AppendFormat(b, time.DateTime) }

// appendTargetName appends the name under which t was given, as JSON; its address
// if it has none.
func appendTargetName(b []byte, t *probe.Target) []byte {
	if t.Name == "" {
		return appendAddrText(b, t.Addr.Addr())
	}
	return appendString(b, bounded(t.Name))
}

// appendTargetField is appendTargetName for CSV.
func appendTargetField(b []byte, t *probe.Target) []byte {
	if t.Name == "" {
		return appendIP(b, t)
	}
	return appendField(b, bounded(t.Name))
}

// hostText returns how lists of hosts name h.
func hostText(h stats.SweepHost) string {
	switch {
	case !h.Addr.IsValid():
		return clip(h.Name)
	case h.Name == "":
		return Escape(h.Addr.String())
	}
	return clip(h.Name) + " (" + Escape(h.Addr.String()) + ")"
}

// oneWord returns text escaped, as one word to whoever parses a line.
func oneWord(text string) string { return strings.ReplaceAll(Escape(bounded(text)), " ", `\x20`) }
