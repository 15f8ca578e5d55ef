package output

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepSummaryRecord is the summary record of a sweep: in the fields of every
// summary the probes, in its own the hosts.
type sweepSummaryRecord struct {
	summaryRecord
	Hosts       uint64 `json:"hosts"`
	Alive       uint64 `json:"alive"`
	Amplifiers  uint64 `json:"amplifiers"`
	Unreachable uint64 `json:"unreachable"`
	Silent      uint64 `json:"silent"`
	Undecided   uint64 `json:"undecided"`
	Retried     uint64 `json:"retried"`
	LateAnswers uint64 `json:"late_answers"`

	Amplified    []amplifiedFields `json:"amplified"`
	AnsweredLate []hostFields      `json:"answered_late"`
	Failures     []failureFields   `json:"failures"`
}

type hostFields struct {
	Target string  `json:"target"`
	Addr   *string `json:"addr"`
}

type amplifiedFields struct {
	hostFields
	Alive      bool             `json:"alive"`
	Responders respondersFields `json:"responders"`
}

type respondersFields struct {
	Count int      `json:"count"`
	Addrs []string `json:"addrs"`
}

type failureFields struct {
	Hosts uint64      `json:"hosts"`
	Error recordError `json:"error"`
}

// targetsText returns the targets of a sweep as written, as far as anybody reads.
func targetsText(s string) string {
	if cut := bounded(s); len(cut) < len(s) {
		return strings.ToValidUTF8(cut, "") + "…"
	}
	return s
}

func hostOf(h stats.SweepHost) hostFields {
	f := hostFields{h.Name, addrField(h.Addr)}
	if f.Target == "" && f.Addr != nil {
		f.Target = *f.Addr
	}
	return f
}

// End writes a record for each subnet, if they were asked for, the summary and
// how the run ended.
func (v *sweepJSON) End(e *End) error {
	if err := v.endSubnets(e.Time); err != nil {
		return err
	}
	s := v.h.Sweep.summary()
	if err := v.write(v.sweepSummary(&s, e.Time)); err != nil {
		return err
	}
	return v.write(endRecord{
		common:  v.common("end", e.Time),
		Targets: int(s.Hosts), Answered: int(s.Alive),
		Elapsed: millis(max(e.Time.Sub(v.h.Start), 0)),
		Exit:    e.Exit, StoppedBy: e.StoppedBy,
	})
}

func (v *sweepJSON) sweepSummary(s *stats.SweepSummary, at time.Time) sweepSummaryRecord {
	r := sweepSummaryRecord{
		summaryRecord: summaryRecord{
			common: v.common("summary", at),
			Target: targetsText(v.h.Sweep.Targets),
			Sent:   s.Probes, Received: s.Received, Lost: s.Lost, Late: s.Late, Errors: s.Errors,
			Pending: s.Undecided, Failed: s.Failed, Duplicates: s.Duplicates, Reordered: s.Reordered,
			Corrupt: s.Corrupt, Truncated: s.Truncated, WrongSource: s.WrongSource,
			RTT: rttOf(s.RTT),
		},
		Hosts: s.Hosts, Alive: s.Alive, Amplifiers: s.Amplifiers, Unreachable: s.Unreachable,
		Silent: s.Silent, Undecided: s.Pending,
		Retried: s.Retried, LateAnswers: s.LateAnswers,
		Amplified: []amplifiedFields{}, AnsweredLate: []hostFields{}, Failures: []failureFields{},
	}
	if decided := s.Probes - s.Undecided; decided > 0 {
		r.LossPercent = new(100 * float64(s.Lost+s.Errors) / float64(decided))
	}
	for _, a := range s.Amplified {
		f := amplifiedFields{hostOf(a.SweepHost), a.Alive, respondersFields{a.Count, []string{}}}
		for _, from := range a.From {
			f.Responders.Addrs = append(f.Responders.Addrs, from.String())
		}
		r.Amplified = append(r.Amplified, f)
	}
	for _, h := range s.AnsweredLate {
		r.AnsweredLate = append(r.AnsweredLate, hostOf(h))
	}
	for _, f := range s.Failures {
		r.Failures = append(r.Failures, failureFields{f.Count, failureError(f.Reason, f.Err)})
	}
	if s.Hosts > 0 && s.Failed == s.Hosts {
		r.Error = &r.Failures[0].Error
	}
	return r
}

// failureError returns err as a field, bounded.
func failureError(reason probe.Reason, err error) recordError {
	text := reason.String()
	if err != nil {
		text = bounded(err.Error())
	}
	return recordError{reason.String(), text}
}

// endSubnets writes the subnet records. There may be a million of them.
func (v *sweepJSON) endSubnets(at time.Time) error {
	b := v.buf[:0]
	rows := v.h.Sweep.Stats.Subnets()
	for i, n := range rows {
		b = v.appendSubnet(b, n, at)
		if len(b) < sweepChunk && i < len(rows)-1 {
			continue
		}
		if _, err := v.w.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	v.buf = b
	return nil
}

func (v *sweepJSON) appendSubnet(b []byte, n *stats.Subnet, at time.Time) []byte {
	b = append(b, `{"v":1,"record":"subnet","time":"`...)
	b = v.rows.clock.appendTime(b, at)
	b = appendString(append(b, `","run":`...), v.h.ID)
	b = append(b, `,"subnet":`...)
	b = appendPrefix(b, n.Prefix)
	b = append(b, `,"hosts":`...)
	b = strconv.AppendUint(b, n.Hosts(), 10)
	for _, c := range [...]struct {
		name  string
		state stats.HostState
	}{
		{`,"alive":`, stats.HostAlive}, {`,"amplifiers":`, stats.HostAmplifier},
		{`,"unreachable":`, stats.HostUnreachable}, {`,"silent":`, stats.HostSilent},
		{`,"failed":`, stats.HostFailed}, {`,"undecided":`, stats.HostPending},
	} {
		b = append(b, c.name...)
		b = strconv.AppendUint(b, n.Count(c.state), 10)
	}
	return append(b, "}\n"...)
}

func appendPrefix(b []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = p.AppendTo(b)
	return append(b, '"')
}
