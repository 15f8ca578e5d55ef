package output

import (
	"io"
	"net/netip"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepRows decides of which hosts there is a record: those alive, broadcast
// addresses and those that could not be tested; or all.
type sweepRows struct {
	o     Options
	h     *Header
	clock recordClock
}

// shows reports whether r has a record, and the state of its host.
func (l *sweepRows) shows(r *probe.Result) (stats.HostState, bool) {
	if l.o.Quiet || !r.Outcome() {
		return 0, false
	}
	switch s := stats.StateOf(r); s {
	case stats.HostAlive, stats.HostAmplifier, stats.HostFailed:
		return s, true
	default:
		return s, l.h.Sweep.All
	}
}

// recordClock writes times as records have them. In a stream of a hundred
// thousand a second nearly all fall into the same one as that before.
type recordClock struct {
	second int64 // of text, since 1970
	text   [len("2006-01-02T15:04:05")]byte
	known  bool
}

// appendTime appends t, or the present if t is zero.
func (c *recordClock) appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		t = time.Now()
	}
	if s := t.Unix(); s != c.second || !c.known {
		c.second, c.known = s, true
		t.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05")
	}
	b = append(append(b, c.text[:]...), '.')
	us := t.Nanosecond() / 1000
	for scale := 100000; scale > 0; scale /= 10 {
		b = append(b, byte('0'+us/scale%10))
	}
	return append(b, 'Z')
}

// sweepJSON writes the records of a sweep.
type sweepJSON struct {
	jsonView
	rows sweepRows
	head []byte // ,"run":"...","target":, the same in each host record
}

func newSweepJSON(w io.Writer, o Options) View {
	return &sweepJSON{jsonView: jsonView{w: w, o: o}, rows: sweepRows{o: o}}
}

func (v *sweepJSON) Begin(h *Header, set *stats.Set) error {
	v.rows.h = h
	v.head = appendString([]byte(`","run":`), h.ID)
	v.head = append(v.head, `,"target":`...)
	return v.jsonView.Begin(h, set)
}

func (v *sweepJSON) Result(r *probe.Result, _ *stats.Target) error {
	state, ok := v.rows.shows(r)
	if !ok {
		return nil
	}
	v.buf = v.appendHost(v.buf[:0], r, state)
	_, err := v.w.Write(v.buf)
	return err
}

// appendHost appends the host record of r. There may be a hundred thousand a
// second: it allocates nothing.
func (v *sweepJSON) appendHost(b []byte, r *probe.Result, state stats.HostState) []byte {
	t, answered := r.Target, answerer(r).IsValid()
	b = append(b, `{"v":1,"record":"host","time":"`...)
	b = v.rows.clock.appendTime(b, r.Sent)
	b = append(b, v.head...)
	b = appendTargetName(b, t)
	b = append(b, `,"addr":`...)
	b = appendAddr(b, t.Addr.Addr())
	b = append(b, `,"alive":`...)
	b = strconv.AppendBool(b, state == stats.HostAlive)
	b = append(b, `,"status":"`...)
	b = append(b, r.Status.String()...)
	b = append(b, `","reason":"`...)
	b = append(b, r.Reason.String()...)
	b = append(b, `","from":`...)
	b = appendAddr(b, answerer(r))
	b = append(b, `,"rtt_ms":`...)
	b = appendMillisOrNull(b, r.RTT, answered)
	b = append(b, `,"clock":`...)
	b = appendWordOrNull(b, r.Clock.String(), answered)
	b = append(b, `,"ttl":`...)
	b = appendUintOrNull(b, uint64(r.TTL), r.TTL > 0)
	b = append(b, `,"flags":`...)
	b = appendFlags(b, r.Flags)
	b = append(b, `,"tries":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"kind":`...)
	kind := sweepKind(r)
	b = appendWordOrNull(b, kind, kind != "")
	b = append(b, `,"port":`...)
	b = appendUintOrNull(b, uint64(sweepPort(r)), sweepPort(r) != 0)
	b = append(b, `,"responders":`...)
	b = appendResponders(b, sweepResponders(r))
	b = append(b, `,"error":`...)
	b = appendHostError(b, r)
	return append(b, "}\n"...)
}

// appendHostError appends why the host of r could not be tested, null unless it
// is Failed.
func appendHostError(b []byte, r *probe.Result) []byte {
	if r.Status != probe.Failed {
		return append(b, "null"...)
	}
	e := failureError(r.Reason, r.Err)
	b = append(append(b, `{"code":"`...), e.Code...)
	b = appendString(append(b, `","text":`...), e.Text)
	return append(b, '}')
}

// appendAddrText appends a as a JSON string, empty if it is invalid.
func appendAddrText(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, `""`...)
	}
	return appendAddr(b, a)
}

// appendWordOrNull appends one of our own words.
func appendWordOrNull(b []byte, word string, ok bool) []byte {
	if !ok {
		return append(b, "null"...)
	}
	b = append(append(b, '"'), word...)
	return append(b, '"')
}

func appendResponders(b []byte, d *probe.Responders) []byte {
	if d == nil {
		return append(b, "null"...)
	}
	b = append(b, `{"count":`...)
	b = strconv.AppendInt(b, int64(d.Count), 10)
	b = append(b, `,"addrs":[`...)
	for i, a := range d.Addrs[:min(len(d.Addrs), stats.MaxResponders)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAddr(b, a)
	}
	return append(b, "]}"...)
}
