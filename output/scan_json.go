package output

import (
	"io"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// scanJSON writes the records of a scan: one for each port as it is decided, a
// summary for each host when its last port is, and the end.
type scanJSON struct {
	jsonView
	clock recordClock
	head  []byte // ","run":"...","target":, the same in each port record
}

func newScanJSON(w io.Writer, o Options) View { return &scanJSON{jsonView: jsonView{w: w, o: o}} }

func (v *scanJSON) Begin(h *Header, set *stats.Set) error {
	v.head = appendString([]byte(`","run":`), h.ID)
	v.head = append(v.head, `,"target":`...)
	return v.jsonView.Begin(h, set)
}

func (v *scanJSON) Result(r *probe.Result, _ *stats.Target) error {
	b := v.buf[:0]
	if state, ok := v.h.Scan.shows(r); ok && !v.o.Quiet {
		b = v.appendPort(b, r, state)
	}
	if v.buf = b; len(b) > 0 {
		if _, err := v.w.Write(b); err != nil {
			return err
		}
	}
	if done := v.h.Scan.Stats.Done(); done != nil {
		return v.write(v.scanSummary(done, time.Now()))
	}
	return nil
}

// appendPort appends the port record of r. There may be a hundred thousand a
// second: it allocates nothing.
func (v *scanJSON) appendPort(b []byte, r *probe.Result, state probe.PortState) []byte {
	t, scan := r.Target, v.h.Scan
	udp, answered := scan.Stats.UDP(r), answerer(r).IsValid()
	b = append(b, `{"v":1,"record":"port","time":"`...)
	b = v.clock.appendTime(b, r.Sent)
	b = append(b, v.head...)
	b = appendTargetName(b, t)
	b = append(b, `,"addr":`...)
	b = appendAddr(b, t.Addr.Addr())
	b = append(append(b, `,"proto":"`...), proto(udp)...)
	b = append(b, `","port":`...)
	b = strconv.AppendUint(b, uint64(t.Addr.Port()), 10)
	b = append(b, `,"service":`...)
	b = appendStringOrNull(b, scan.service(t.Addr.Port(), udp))
	b = append(append(b, `,"state":"`...), state.String()...)
	b = append(append(b, `","reason":"`...), r.Reason.String()...)
	b = append(b, `","from":`...)
	b = appendAddr(b, answerer(r))
	b = append(b, `,"ttl":`...)
	b = appendUintOrNull(b, uint64(r.TTL), r.TTL > 0 && answered)
	b = append(b, `,"rtt_ms":`...)
	b = appendMillisOrNull(b, r.RTT, answered)
	b = append(b, `,"tries":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = appendSaid(b, layers(r))
	b = append(b, `,"error":`...)
	b = appendHostError(b, r)
	b = append(append(b, `,"status":"`...), r.Status.String()...)
	b = append(b, `","clock":`...)
	b = appendWordOrNull(b, r.Clock.String(), answered)
	b = append(b, `,"icmp":`...)
	b = appendICMP(b, r, proto(udp))
	b = append(b, `,"confidence":`...)
	sure := confidence(r, state, udp)
	b = appendWordOrNull(b, sure, sure != "")
	return append(b, "}\n"...)
}

// appendSaid appends what an answer said above the transport.
func appendSaid(b []byte, l *probe.Layers) []byte {
	if l == nil {
		return append(b, `,"banner":null,"facts":null,"failed_at":null,"why":null`...)
	}
	b = append(b, `,"banner":`...)
	if text, ok := banner(l); ok {
		b = appendString(b, text)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"facts":`...)
	if len(l.Facts) > 0 {
		b = appendFactsObject(b, l.Facts)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"failed_at":`...)
	b = appendStringOrNull(b, l.FailedAt)
	b = append(b, `,"why":`...)
	if l.FailedAt == "" {
		return append(b, "null"...)
	}
	return appendString(b, bounded(l.Why))
}

// appendStringOrNull appends s, null if it is empty.
func appendStringOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

// scanSummaryRecord is the summary record of one host of a scan: in the fields of
// every summary the probes, in its own the ports.
type scanSummaryRecord struct {
	summaryRecord
	Proto   string          `json:"proto"`
	Ports   int             `json:"ports"`
	Open    []uint16        `json:"open"`
	States  portCounts      `json:"states"`
	Up      bool            `json:"up"`
	Tells   *bool           `json:"tells_closed"`
	Retried uint64          `json:"retried"`
	Expect  *expectedFields `json:"expected"`
}

// portCounts counts each port once.
type portCounts struct {
	Open         int `json:"open"`
	Closed       int `json:"closed"`
	Filtered     int `json:"filtered"`
	OpenFiltered int `json:"open|filtered"`
	Unknown      int `json:"unknown"`
}

// expectedFields says how the open ports differ from those expected.
type expectedFields struct {
	Met        bool            `json:"met"`
	Unexpected []uint16        `json:"unexpected"`
	Missing    []missingFields `json:"missing"`
}

type missingFields struct {
	Port   uint16  `json:"port"`
	State  *string `json:"state"`
	Reason *string `json:"reason"`
	From   *string `json:"from"`
}

// scanSummary returns the summary of h. It has no loss: a port that refuses has
// answered.
func (v *scanJSON) scanSummary(h *stats.ScanHost, at time.Time) scanSummaryRecord {
	p, name := h.Probes(), hostOf(stats.SweepHost{Name: h.Name, Addr: h.Addr})
	r := scanSummaryRecord{
		summaryRecord: summaryRecord{
			common: v.common("summary", at),
			Target: bounded(name.Target), Addr: name.Addr,
			Sent: p.Sent, Received: p.Received, Lost: p.Lost, Late: p.Late, Errors: p.Errors,
			Pending: p.Undecided, Failed: uint64(h.Failed()),
			RTT: rttOf(h.RTT()),
		},
		Proto: proto(v.h.Scan.UDP), Ports: h.Ports, Open: h.Open(), Up: h.Up(), Retried: h.Retried(),
		States: portCounts{
			Open: h.Count(probe.PortOpen), Closed: h.Count(probe.PortClosed), Filtered: h.Count(probe.PortFiltered),
			OpenFiltered: h.Count(probe.PortOpenFiltered), Unknown: h.Count(probe.PortUnknown) + h.Left,
		},
		Expect: expectedOf(h.Differs()),
	}
	if r.Open == nil {
		r.Open = []uint16{}
	}
	if v.h.Scan.UDP {
		r.Tells = &h.Tells
	}
	r.Error = hostFailure(h)
	return r
}

// hostFailure returns why no port of h could be tested, nil if some could.
func hostFailure(h *stats.ScanHost) *recordError {
	if h.Err != nil {
		return new(failureError(probe.ResolveFailed, h.Err))
	}
	if h.Ports == 0 || h.Failed() < h.Ports {
		return nil
	}
	for _, g := range h.Groups() {
		if g.Err != nil {
			return new(failureError(g.Reason, g.Err))
		}
	}
	return nil
}

// expectedOf returns d as fields, nil if nothing was expected.
func expectedOf(d *stats.Difference) *expectedFields {
	if d == nil {
		return nil
	}
	f := &expectedFields{Met: d.Met(), Unexpected: d.Unexpected, Missing: []missingFields{}}
	if f.Unexpected == nil {
		f.Unexpected = []uint16{}
	}
	for _, m := range d.Missing {
		missing := missingFields{Port: m.Port}
		if m.Asked {
			missing.State, missing.Reason = new(m.State.String()), new(m.Reason.String())
			missing.From = addrField(m.From)
		}
		f.Missing = append(f.Missing, missing)
	}
	return f
}

// End writes the summaries of the hosts that were cut off, and how the run ended.
func (v *scanJSON) End(e *End) error {
	for _, h := range v.h.Scan.Stats.CutOff() {
		if err := v.write(v.scanSummary(h, e.Time)); err != nil {
			return err
		}
	}
	s := v.h.Scan.Stats.Summary()
	return v.write(endRecord{
		common:  v.common("end", e.Time),
		Targets: int(s.Hosts), Answered: int(s.HostsUp),
		Elapsed: millis(max(e.Time.Sub(v.h.Start), 0)),
		Exit:    e.Exit, StoppedBy: e.StoppedBy,
	})
}
