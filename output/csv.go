package output

import (
	"io"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// csvHeader names the columns. It is additive: new columns come last.
const csvHeader = "time,target,addr,port,seq,status,reason,from,rtt_ms,clock,ttl,size_bytes,flags,lag_ms,icmp_type,icmp_code,mtu,error,host_ms,retrans,phases_ms,failed_at,why,facts\n"

// csvView writes a header and one line for each outcome of a probe, quoted as
// in RFC 4180, with the values of the probe record: a field is empty where that
// has null. Flags are separated by spaces, so are phases and facts, which are
// name=value. Lines end with a line feed alone.
//
// Fields are data, not formulas: a name that starts with = + - or @ is written
// as it is. Import the file as text where a spreadsheet would compute it.
type csvView struct {
	w    io.Writer
	o    Options
	kind string // of the probes
	buf  []byte
}

func newCSV(w io.Writer, o Options) View { return &csvView{w: w, o: o} }

func (v *csvView) Begin(h *Header, _ *stats.Set) error {
	v.kind = kindOf(h.Verb)
	_, err := io.WriteString(v.w, csvHeader)
	return err
}

func (v *csvView) Result(r *probe.Result, _ *stats.Target) error {
	if !r.Outcome() || v.o.Quiet {
		return nil
	}
	v.buf = v.append(v.buf[:0], r)
	_, err := v.w.Write(v.buf)
	return err
}

// Refresh does nothing: a line stays.
func (v *csvView) Refresh(time.Time) error { return nil }

// End writes nothing: a CSV file has one kind of line.
func (v *csvView) End(*End) error { return nil }

func (v *csvView) append(b []byte, r *probe.Result) []byte {
	left := r.Sent
	if left.IsZero() {
		left = time.Now()
	}
	b = left.UTC().AppendFormat(b, recordTime)
	b = appendField(append(b, ','), r.Target.Name)
	b = append(b, ',')
	if r.Target.Addr.Addr().IsValid() {
		b = r.Target.Addr.Addr().AppendTo(b)
	}
	b = appendNumber(b, uint64(r.Target.Addr.Port()), r.Target.Addr.Port() != 0)
	b = appendNumber(b, r.Seq, true)
	b = append(append(b, ','), r.Status.String()...)
	b = append(append(b, ','), r.Reason.String()...)
	b = appendCSVAnswer(b, r)
	b = appendNumber(b, uint64(max(r.Size, 0)), r.Size > 0)
	b = appendFlagWords(append(b, ','), r.Flags)
	b = append(b, ',')
	if !r.Sent.IsZero() {
		b = appendMillis(b, r.Lag)
	}
	icmp := answerer(r).IsValid() && hasICMP(r, v.kind)
	b = appendNumber(b, uint64(r.Type), icmp)
	b = appendNumber(b, uint64(r.Code), icmp)
	b = appendNumber(b, uint64(max(r.MTU, 0)), r.MTU > 0)
	b = append(b, ',')
	if r.Err != nil {
		b = appendField(b, r.Err.Error())
	}
	b = append(b, ',')
	if answerer(r).IsValid() && (r.Clock == probe.Kernel || r.Retrans > 0) {
		b = appendMillis(b, r.Host)
	}
	b = appendNumber(b, uint64(r.Retrans), v.kind == "tcp" && !r.Sent.IsZero())
	b = appendCSVLayers(b, layersOf(r))
	return append(b, '\n')
}

// appendCSVLayers appends phases, where and why it failed, and facts; empty
// fields where nothing was asked.
func appendCSVLayers(b []byte, l *probe.Layers) []byte {
	if l == nil {
		return append(b, ",,,,"...)
	}
	b = append(b, ',')
	for i, p := range l.Phases {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(appendEscaped(b, p.Name), '=')
		b = appendMillis(b, p.Took)
	}
	b = append(b, ',')
	if l.FailedAt != "" {
		b = appendField(b, l.FailedAt)
		b = appendField(append(b, ','), bounded(l.Why))
	} else {
		b = append(b, ',')
	}
	var facts []byte
	for i, f := range shownFacts(l.Facts) {
		if i > 0 {
			facts = append(facts, ' ')
		}
		facts = appendFact(facts, &f)
	}
	b = append(b, ',')
	if len(facts) == 0 {
		return b
	}
	return appendField(b, string(facts))
}

// appendNumber appends a comma and n, or an empty field.
func appendNumber(b []byte, n uint64, ok bool) []byte {
	b = append(b, ',')
	if !ok {
		return b
	}
	return strconv.AppendUint(b, n, 10)
}

// appendField appends text from outside, escaped as for a terminal and quoted
// where CSV needs it.
func appendField(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\",\r\n") && s != "" && s[0] != ' ' && s[len(s)-1] != ' ' {
		return appendEscaped(b, s)
	}
	b = append(b, '"')
	for i, part := range strings.Split(s, `"`) {
		if i > 0 {
			b = append(b, `""`...)
		}
		b = appendEscaped(b, part)
	}
	return append(b, '"')
}

// appendCSVAnswer appends who answered r, after how long by which clock, and the
// TTL; nothing between the commas for what is not known.
func appendCSVAnswer(b []byte, r *probe.Result) []byte {
	answered := answerer(r).IsValid()
	b = append(b, ',')
	if answered {
		b = r.From.AppendTo(b)
	}
	b = append(b, ',')
	if answered {
		b = appendMillis(b, r.RTT)
	}
	b = append(b, ',')
	if answered {
		b = append(b, r.Clock.String()...)
	}
	b = appendNumber(b, uint64(r.TTL), r.TTL > 0)
	return b
}
