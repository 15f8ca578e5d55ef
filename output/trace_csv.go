package output

import (
	"io"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// traceCSVHeader names the columns. It is additive: new columns come last.
const traceCSVHeader = "time,target,addr,proto,port,flow,hop_ttl,seq,status,reason,from,name,rtt_ms,clock,reply_ttl,quoted_ttl,quoted_tos,rewritten,mpls,icmp_type,icmp_code,mtu,sent_bytes,error\n"

// traceCSV writes a header and one line for each probe as it is decided, quoted
// as in RFC 4180, with the values of the records: a field is empty where those
// have null or an empty list. Several values in a field are separated by spaces;
// a label of MPLS is label/tc/s/ttl. The name is the one known by then.
//
// Fields are data, not formulas: see csvView.
type traceCSV struct {
	traceBase
	w   io.Writer
	o   Options
	buf []byte
}

func newTraceCSV(w io.Writer, o Options) View { return &traceCSV{w: w, o: o} }

func (v *traceCSV) Begin(h *Header, set *stats.Set) error {
	v.begin(h, set)
	_, err := io.WriteString(v.w, traceCSVHeader)
	return err
}

func (v *traceCSV) Result(r *probe.Result, _ *stats.Target) error {
	hop, ok := r.Detail.(*probe.Hop)
	if !ok || !r.Outcome() || v.o.Quiet {
		return nil
	}
	v.buf = v.appendRow(v.buf[:0], r, hop)
	_, err := v.w.Write(v.buf)
	return err
}

// Refresh does nothing: a line stays.
func (v *traceCSV) Refresh(time.Time) error { return nil }

// End writes nothing: a CSV file has one kind of line.
func (v *traceCSV) End(*End) error { return nil }

func (v *traceCSV) appendRow(b []byte, r *probe.Result, hop *probe.Hop) []byte {
	left := r.Sent
	if left.IsZero() {
		left = time.Now()
	}
	answered := r.From.IsValid()
	b = left.UTC().AppendFormat(b, recordTime)
	b = appendField(append(b, ','), r.Target.Name)
	b = append(b, ',')
	if r.Target.Addr.Addr().IsValid() {
		b = r.Target.Addr.Addr().AppendTo(b)
	}
	b = append(append(b, ','), v.t.Proto...)
	b = appendNumber(b, uint64(v.t.Port), v.t.Port != 0)
	b = appendNumber(b, uint64(hop.Flow), true)
	b = appendNumber(b, uint64(hop.TTL), true)
	b = appendNumber(b, r.Seq, true)
	b = append(append(b, ','), r.Status.String()...)
	b = append(append(b, ','), r.Reason.String()...)
	b = append(b, ',')
	if answered {
		b = r.From.AppendTo(b)
	}
	b = append(b, ',')
	if name := v.names.raw(r.From); name != "" {
		b = appendField(b, name)
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
	b = appendQuoteFields(b, hop)
	b = appendNumber(b, uint64(r.Type), hasICMP(r, v.t.Proto))
	b = appendNumber(b, uint64(r.Code), hasICMP(r, v.t.Proto))
	b = appendNumber(b, uint64(max(r.MTU, 0)), r.MTU > 0)
	b = appendNumber(b, uint64(max(hop.Size, 0)), hop.Size > 0)
	b = append(b, ',')
	if r.Err != nil {
		b = appendField(b, bounded(r.Err.Error()))
	}
	return append(b, '\n')
}

// appendQuoteFields appends what an ICMP error says about our packet.
func appendQuoteFields(b []byte, hop *probe.Hop) []byte {
	quote := hop.Quote
	if quote == nil {
		b = append(b, ",,,"...)
	} else {
		b = appendNumber(b, uint64(quote.TTL), true)
		b = appendNumber(b, uint64(quote.TOS), true)
		b = append(b, ',')
		b = append(b, strings.Join(quote.Rewritten.AppendNames(nil), " ")...)
	}
	b = append(b, ',')
	for i, l := range hop.MPLS {
		if i > 0 {
			b = append(b, ' ')
		}
		for j, n := range [...]uint64{uint64(l.Label), uint64(l.TC), uint64(bottomBit(l)), uint64(l.TTL)} {
			if j > 0 {
				b = append(b, '/')
			}
			b = strconv.AppendUint(b, n, 10)
		}
	}
	return b
}
