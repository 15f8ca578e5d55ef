package output

import (
	"io"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// dnsCSVHeader names the columns. It is additive: new columns come last.
const dnsCSVHeader = "time,server,addr,port,transport,seq,name,class,type,status,reason,from,rtt_ms,clock,ttl,rcode,flags,size_bytes,answers,nsid,ede,attempts,strays,lag_ms,unmet,error\n"

// dnsCSV writes a header and one line for each query, quoted as those of probes. Of
// what there may be several, they are separated by "; ".
type dnsCSV struct {
	w   io.Writer
	o   Options
	buf []byte
}

func newDNSCSV(w io.Writer, o Options) View { return &dnsCSV{w: w, o: o} }

func (v *dnsCSV) Begin(*Header, *stats.Set) error {
	_, err := io.WriteString(v.w, dnsCSVHeader)
	return err
}

func (v *dnsCSV) Result(r *probe.Result, _ *stats.Target) error {
	d, ok := r.Detail.(*probe.DNS)
	if !ok || !r.Outcome() || v.o.Quiet {
		return nil
	}
	v.buf = appendDNSCSV(v.buf[:0], r, d)
	_, err := v.w.Write(v.buf)
	return err
}

// Refresh does nothing: a line stays.
func (v *dnsCSV) Refresh(time.Time) error { return nil }

// End writes nothing: a CSV file has one kind of line.
func (v *dnsCSV) End(*End) error { return nil }

func appendDNSCSV(b []byte, r *probe.Result, d *probe.DNS) []byte {
	text := func(s string) {
		b = append(b, ',')
		if s != "" {
			b = appendField(b, s)
		}
	}
	left := r.Sent
	if left.IsZero() {
		left = time.Now()
	}
	b = left.UTC().AppendFormat(b, recordTime)
	text(r.Target.Name)
	b = append(b, ',')
	if r.Target.Addr.Addr().IsValid() {
		b = r.Target.Addr.Addr().AppendTo(b)
	}
	b = appendNumber(b, uint64(r.Target.Addr.Port()), r.Target.Addr.Port() != 0)
	text(d.Transport)
	b = appendNumber(b, r.Seq, true)
	text(d.Question.Name)
	text(d.Question.Class)
	text(d.Question.Type)
	text(r.Status.String())
	text(r.Reason.String())
	b = appendCSVAnswer(b, r)
	m := d.Answer
	if m == nil {
		m = &probe.DNSMessage{}
	}
	text(m.Rcode)
	text(strings.Join(m.Flags, " "))
	b = appendNumber(b, uint64(m.Size), m.Size > 0)
	var data, ede []string
	nsid := ""
	for _, rr := range m.Answers {
		data = append(data, rr.Data)
	}
	if m.EDNS != nil {
		nsid = m.EDNS.NSID
		for _, e := range m.EDNS.Errors {
			ede = append(ede, edeWords(e))
		}
	}
	text(strings.Join(data, "; "))
	text(nsid)
	text(strings.Join(ede, "; "))
	b = appendNumber(b, uint64(len(d.Attempts)), true)
	b = appendNumber(b, uint64(d.StrayN), true)
	b = append(b, ',')
	if !r.Sent.IsZero() {
		b = appendMillis(b, r.Lag)
	}
	text(strings.Join(d.Unmet, "; "))
	b = append(b, ',')
	if r.Err != nil {
		b = appendField(b, r.Err.Error())
	}
	return append(b, '\n')
}
