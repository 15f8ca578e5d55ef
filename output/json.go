package output

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"time"
	"unicode/utf8"

	"netprobe/probe"
	"netprobe/stats"
)

// recordVersion is the "v" of every record. It changes only if a field would
// change its meaning, which it must not.
const recordVersion = 1

// recordTime is the layout of times in records: RFC 3339, UTC, microseconds.
const recordTime = "2006-01-02T15:04:05.000000Z"

// jsonView writes the records of a run, one JSON object a line.
type jsonView struct {
	w    io.Writer
	o    Options
	h    *Header
	set  *stats.Set
	kind string // of probe records
	port uint16 // of all targets of a trace
	buf  []byte
	mid  []byte // "run":"...","kind":"...", the same in each probe record
}

func newJSON(w io.Writer, o Options) View { return &jsonView{w: w, o: o} }

// kindOf returns the kind of the probes of a verb.
func kindOf(verb string) string {
	switch verb {
	case "tcp", "udp", "dns":
		return verb
	}
	return "icmp"
}

// common is what every record starts with.
type common struct {
	V      int       `json:"v"`
	Record string    `json:"record"`
	Time   timestamp `json:"time"`
	Run    string    `json:"run"`
}

func (v *jsonView) common(record string, t time.Time) common {
	return common{recordVersion, record, timestamp(t), v.h.ID}
}

type timestamp time.Time

func (t timestamp) MarshalJSON() ([]byte, error) { return appendTime(nil, time.Time(t)), nil }

// appendTime appends t as a JSON string.
func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, recordTime)
	return append(b, '"')
}

// millis is a duration as a JSON number of milliseconds.
type millis time.Duration

func (d millis) MarshalJSON() ([]byte, error) { return appendMillis(nil, time.Duration(d)), nil }

type runRecord struct {
	common
	Verb    string   `json:"verb"`
	Version string   `json:"version"`
	Host    string   `json:"host"`
	Args    []string `json:"args"`
	Socket  string   `json:"socket"`
	Clock   string   `json:"clock"`
	Planned *int64   `json:"probes_planned"`
}

func (v *jsonView) Begin(h *Header, set *stats.Set) error {
	v.h, v.set, v.kind = h, set, kindOf(h.Verb)
	if h.Trace != nil && h.Trace.Proto != "" {
		v.kind, v.port = h.Trace.Proto, h.Trace.Port
	}
	v.mid = appendString([]byte(`,"run":`), h.ID)
	v.mid = append(v.mid, `,"kind":"`+v.kind+`","target":`...)
	r := runRecord{
		common: v.common("run", h.Start),
		Verb:   h.Verb, Version: h.Version, Host: h.Host, Args: h.Args,
		Socket: h.Socket, Clock: h.Clock.String(),
	}
	if r.Args == nil {
		r.Args = []string{}
	}
	if h.Planned >= 0 {
		r.Planned = &h.Planned
	}
	return v.write(r)
}

func (v *jsonView) Result(r *probe.Result, _ *stats.Target) error {
	if r.Interim || v.o.Quiet {
		return nil
	}
	v.buf = v.appendProbe(v.buf[:0], r)
	_, err := v.w.Write(v.buf)
	return err
}

// Refresh does nothing: a record stays.
func (v *jsonView) Refresh(time.Time) error { return nil }

// recordError is why something could not be tested.
type recordError struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

type rttFields struct {
	Min    millis `json:"min"`
	Mean   millis `json:"mean"`
	P50    millis `json:"p50"`
	P90    millis `json:"p90"`
	P95    millis `json:"p95"`
	P99    millis `json:"p99"`
	Max    millis `json:"max"`
	StdDev millis `json:"stddev"`
}

type outageFields struct {
	From    timestamp `json:"from"`
	To      timestamp `json:"to"`
	Probes  uint64    `json:"probes"`
	Length  millis    `json:"length_ms"`
	Ongoing bool      `json:"ongoing"`
	Off     *millis   `json:"uncertainty_ms"`
}

type pathMTUFields struct {
	MTU       *int    `json:"mtu"`
	From      *string `json:"from"`
	Local     bool    `json:"local"`
	BlackHole bool    `json:"black_hole"`
	Partial   bool    `json:"partial"`
}

type summaryRecord struct {
	common
	Target      string         `json:"target"`
	Addr        *string        `json:"addr"`
	Port        *uint16        `json:"port"`
	Sent        uint64         `json:"sent"`
	Received    uint64         `json:"received"`
	Lost        uint64         `json:"lost"`
	Late        uint64         `json:"late"`
	Duplicates  uint64         `json:"duplicates"`
	Reordered   uint64         `json:"reordered"`
	Errors      uint64         `json:"errors"`
	Pending     uint64         `json:"pending"`
	Failed      uint64         `json:"failed"`
	Corrupt     uint64         `json:"corrupt"`
	Truncated   uint64         `json:"truncated"`
	WrongSource uint64         `json:"wrong_source"`
	LossPercent *float64       `json:"loss_percent"`
	RTT         *rttFields     `json:"rtt_ms"`
	First       *millis        `json:"first_rtt_ms"`
	Jitter      *millis        `json:"jitter_ms"`
	Outage      *outageFields  `json:"outage"`
	Outages     *int           `json:"outages"`
	OutageTotal *millis        `json:"outage_total_ms"`
	OutageOff   *millis        `json:"outage_uncertainty_ms"`
	Retrans     *uint64        `json:"retrans"`
	PathMTU     *pathMTUFields `json:"path_mtu"`
	Error       *recordError   `json:"error"`
}

func (v *jsonView) summary(s *stats.Summary, at time.Time) summaryRecord {
	r := summaryRecord{
		common: v.common("summary", at),
		Target: s.Target.Name, Addr: addrField(s.Target.Addr.Addr()),
		Sent: s.Sent, Received: s.Received, Lost: s.Lost, Late: s.Late,
		Duplicates: s.Duplicates, Reordered: s.Reordered, Errors: s.Errors, Pending: s.Pending,
		Failed: s.Failed, Corrupt: s.Corrupt, Truncated: s.Truncated, WrongSource: s.WrongSource,
	}
	if port := v.portOf(s.Target); port != 0 {
		r.Port = &port
	}
	if s.HasLoss {
		r.LossPercent = &s.LossPercent
	}
	if t := s.RTT; t != nil {
		r.RTT = rttOf(t)
		r.First = new(millis(t.First))
	}
	r.Jitter = millisIf(s.Jitter, s.HasJitter)
	if o := s.Outage; o != nil {
		r.Outage = &outageFields{
			timestamp(o.From), timestamp(o.To), o.Probes, millis(o.Length), o.Ongoing, millisIf(o.Uncertainty, o.Uncertainty > 0),
		}
	}
	r.Outages, r.OutageTotal = &s.Outages.N, new(millis(s.Outages.Total))
	r.OutageOff = millisIf(s.Outages.Uncertainty, s.Outages.Uncertainty > 0)
	if v.kind == "tcp" {
		r.Retrans = &s.Retrans
	}
	if m := s.PathMTU; m != nil {
		r.PathMTU = &pathMTUFields{nil, addrField(m.From), m.Local, m.BlackHole, m.Partial}
		if m.MTU > 0 {
			r.PathMTU.MTU = &m.MTU
		}
	}
	if s.Error != nil {
		r.Error = &recordError{s.ErrorReason.String(), s.Error.Error()}
	}
	return r
}

// portOf returns the port that was probed, 0 where there is none.
func (v *jsonView) portOf(t *probe.Target) uint16 { return max(v.port, t.Addr.Port()) }

// millisIf returns d as a field, nil unless ok.
func millisIf(d time.Duration, ok bool) *millis {
	if !ok {
		return nil
	}
	return new(millis(d))
}

// rttOf returns t as fields, nil if t is.
func rttOf(t *stats.RTT) *rttFields {
	if t == nil {
		return nil
	}
	return &rttFields{
		millis(t.Min), millis(t.Mean), millis(t.P50), millis(t.P90),
		millis(t.P95), millis(t.P99), millis(t.Max), millis(t.StdDev),
	}
}

// addrField returns a as a field, nil if a is invalid.
func addrField(a netip.Addr) *string {
	if !a.IsValid() {
		return nil
	}
	return new(a.String())
}

type endRecord struct {
	common
	Targets   int    `json:"targets"`
	Answered  int    `json:"answered"`
	Elapsed   millis `json:"elapsed_ms"`
	Exit      int    `json:"exit"`
	StoppedBy string `json:"stopped_by"`
}

func (v *jsonView) End(e *End) error {
	rows := v.set.Rows()
	end := endRecord{
		common:  v.common("end", e.Time),
		Targets: len(rows), Elapsed: millis(max(e.Time.Sub(v.h.Start), 0)),
		Exit: e.Exit, StoppedBy: e.StoppedBy,
	}
	for _, t := range rows {
		s := t.Summary()
		if s.Answered() {
			end.Answered++
		}
		if err := v.write(v.summary(&s, e.Time)); err != nil {
			return err
		}
	}
	return v.write(end)
}

// write writes one record that is not on the path of a packet.
func (v *jsonView) write(record any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(record); err != nil {
		return err
	}
	line := bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
	_, err := v.w.Write(append(hardenJSON(line), '\n'))
	return err
}

// hardenJSON returns the JSON text b with the characters escaped that JSON
// allows in strings but a terminal must not see: the string stays the same.
func hardenJSON(b []byte) []byte {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if unsafeRune(r, n) {
			return appendHardened(append(make([]byte, 0, len(b)+32), b[:i]...), string(b[i:]))
		}
		i += n
	}
	return b
}
