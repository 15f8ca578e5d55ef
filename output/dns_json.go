package output

import (
	"io"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// dnsJSON writes the records of a run of DNS queries: run, a dns record for each, a
// summary for each server, end.
type dnsJSON struct{ jsonView }

func newDNSJSON(w io.Writer, o Options) View { return &dnsJSON{jsonView{w: w, o: o}} }

type dnsRecord struct {
	common
	Server     string       `json:"server"`
	Addr       *string      `json:"addr"`
	Port       *uint16      `json:"port"`
	Transport  string       `json:"transport"`
	Seq        uint64       `json:"seq"`
	Question   dnsQuestion  `json:"question"`
	Status     string       `json:"status"`
	Reason     string       `json:"reason"`
	From       *string      `json:"from"`
	Rcode      *string      `json:"rcode"`
	Opcode     *string      `json:"opcode"`
	Flags      []string     `json:"flags"`
	Answers    []dnsRR      `json:"answers"`
	Authority  []dnsRR      `json:"authority"`
	Additional []dnsRR      `json:"additional"`
	EDNS       *dnsOptions  `json:"edns"`
	NSID       *string      `json:"nsid"`
	EDE        []dnsEDE     `json:"ede"`
	RTT        *millis      `json:"rtt_ms"`
	Clock      *string      `json:"clock"`
	TTL        *uint8       `json:"ttl"`
	Size       *int         `json:"size_bytes"`
	Phases     dnsPhases    `json:"phases_ms"`
	Attempts   []dnsAttempt `json:"attempts"`
	Strays     []dnsStray   `json:"strays"`
	StrayN     int          `json:"strays_total"`
	Unmet      []string     `json:"unmet"`
	Lag        *millis      `json:"lag_ms"`
	ICMP       *icmpFields  `json:"icmp"`
	Error      *recordError `json:"error"`
}

type dnsQuestion struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Class string `json:"class"`
}

type dnsRR struct {
	Name  string `json:"name"`
	Class string `json:"class"`
	Type  string `json:"type"`
	TTL   uint32 `json:"ttl"`
	Data  string `json:"data"`
}

type dnsOptions struct {
	Version int      `json:"version"`
	UDPSize int      `json:"udp_size_bytes"`
	DO      bool     `json:"do"`
	Cookie  *string  `json:"cookie"`
	Good    bool     `json:"cookie_good"`
	Subnet  *string  `json:"subnet"`
	Scope   *int     `json:"subnet_scope"`
	Padding int      `json:"padding_bytes"`
	Others  []string `json:"options"`
}

type dnsEDE struct {
	Code int    `json:"code"`
	Name string `json:"name"`
	Text string `json:"text"`
}

type dnsAttempt struct {
	Transport string     `json:"transport"`
	Time      *timestamp `json:"time"`
	Status    string     `json:"status"`
	Reason    string     `json:"reason"`
	Rcode     *string    `json:"rcode"`
	Truncated bool       `json:"truncated"`
	RTT       *millis    `json:"rtt_ms"`
	Clock     *string    `json:"clock"`
	Size      *int       `json:"size_bytes"`
	Phases    dnsPhases  `json:"phases_ms"`
	Why       *string    `json:"why"`
}

type dnsStray struct {
	From string `json:"from"`
	Why  string `json:"why"`
	What string `json:"what"`
	At   millis `json:"after_ms"`
}

type icmpFields struct {
	Type uint8 `json:"type"`
	Code uint8 `json:"code"`
}

// dnsPhases is an object of milliseconds by name, in the order of the phases; null
// if there are none.
type dnsPhases []probe.Step

func (p dnsPhases) MarshalJSON() ([]byte, error) {
	if len(p) == 0 {
		return []byte("null"), nil
	}
	b := []byte{'{'}
	for i, s := range p {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, s.Name), ':')
		b = appendMillis(b, s.Took)
	}
	return append(b, '}'), nil
}

func (v *dnsJSON) Result(r *probe.Result, _ *stats.Target) error {
	if !r.Outcome() || v.o.Quiet {
		return nil
	}
	left := r.Sent
	if left.IsZero() {
		left = time.Now() // it never left: when that was found out
	}
	d, ok := r.Detail.(*probe.DNS)
	if !ok {
		return v.study(r, left)
	}
	rec := dnsRecord{
		common: v.common("dns", left),
		Server: r.Target.Name, Addr: addrField(r.Target.Addr.Addr()), Transport: d.Transport, Seq: r.Seq,
		Question: dnsQuestion(d.Question), Status: r.Status.String(), Reason: r.Reason.String(), From: addrField(answerer(r)),
		Flags: []string{}, Answers: []dnsRR{}, Authority: []dnsRR{}, Additional: []dnsRR{}, EDE: []dnsEDE{},
		Phases: d.Phases, Attempts: attemptFields(d.Attempts), Strays: strayFields(d.Strays), StrayN: d.StrayN, Unmet: d.Unmet,
	}
	if rec.Unmet == nil {
		rec.Unmet = []string{}
	}
	if port := r.Target.Addr.Port(); port != 0 {
		rec.Port = &port
	}
	rec.answer(r, d.Answer)
	if !r.Sent.IsZero() {
		rec.Lag = new(millis(r.Lag))
	}
	if r.Status == probe.Failed {
		rec.Error = &recordError{r.Reason.String(), r.Reason.String()}
		if r.Err != nil {
			rec.Error.Text = r.Err.Error()
		}
	}
	return v.write(rec)
}

// answer fills in what came back.
func (rec *dnsRecord) answer(r *probe.Result, m *probe.DNSMessage) {
	if answerer(r).IsValid() {
		rec.RTT, rec.Clock = new(millis(r.RTT)), new(r.Clock.String())
	}
	if r.TTL > 0 {
		rec.TTL = &r.TTL
	}
	if r.Reason != probe.RST && (r.Status == probe.Refused || r.Status == probe.Unreachable || r.Status == probe.Expired) && r.From.IsValid() {
		rec.ICMP = &icmpFields{r.Type, r.Code}
	}
	if m == nil {
		return
	}
	rec.Rcode, rec.Opcode, rec.Flags, rec.Size = &m.Rcode, &m.Opcode, m.Flags, &m.Size
	rec.Answers, rec.Authority, rec.Additional = rrFields(m.Answers), rrFields(m.Authority), rrFields(m.Additional)
	e := m.EDNS
	if e == nil {
		return
	}
	rec.EDNS = &dnsOptions{Version: e.Version, UDPSize: e.UDPSize, DO: e.DO, Good: e.CookieOK, Padding: e.Padding, Others: e.Others}
	if rec.EDNS.Others == nil {
		rec.EDNS.Others = []string{}
	}
	if e.Cookie != "" {
		rec.EDNS.Cookie = &e.Cookie
	}
	if e.Subnet.IsValid() {
		rec.EDNS.Subnet, rec.EDNS.Scope = new(e.Subnet.String()), &e.Scope
	}
	if e.HasNSID {
		rec.NSID = &e.NSID
	}
	for _, x := range e.Errors {
		rec.EDE = append(rec.EDE, dnsEDE(x))
	}
}

func rrFields(rrs []probe.DNSRecord) []dnsRR {
	out := make([]dnsRR, len(rrs))
	for i, rr := range rrs {
		out[i] = dnsRR{rr.Name, rr.Class, rr.Type, rr.TTL, rr.Data}
	}
	return out
}

func attemptFields(as []probe.DNSAttempt) []dnsAttempt {
	out := make([]dnsAttempt, len(as))
	for i, a := range as {
		x := dnsAttempt{Transport: a.Transport, Status: a.Status.String(), Reason: a.Reason.String(), Truncated: a.Truncated, Phases: a.Phases}
		if !a.Sent.IsZero() {
			x.Time = new(timestamp(a.Sent))
		}
		if a.Rcode != "" {
			x.Rcode = new(a.Rcode)
		}
		if a.HasRTT {
			x.RTT, x.Clock = new(millis(a.RTT)), new(a.Clock.String())
		}
		if a.Size > 0 {
			x.Size = new(a.Size)
		}
		if a.Why != "" {
			x.Why = new(a.Why)
		}
		out[i] = x
	}
	return out
}

func strayFields(ss []probe.DNSStray) []dnsStray {
	out := make([]dnsStray, len(ss))
	for i, s := range ss {
		out[i] = dnsStray{s.From.String(), s.Why, s.What, millis(s.At)}
	}
	return out
}

// dnsSummary is the summary of a server.
type dnsSummary struct {
	summaryRecord
	Transport string            `json:"transport"`
	Rcodes    map[string]uint64 `json:"rcodes"`
	Strays    uint64            `json:"strays"`
	Unmet     uint64            `json:"unmet"`
	Differs   *uint64           `json:"differs"`
	Differing []dnsDifference   `json:"differences"`
}

// dnsDifference is in what a server's answer differs from that of most.
type dnsDifference struct {
	Seq       uint64      `json:"seq"`
	Question  dnsQuestion `json:"question"`
	In        []string    `json:"in"`
	Reference string      `json:"reference"`
	Rcode     *string     `json:"rcode"`
	Serial    *string     `json:"serial"`
	TTL       *uint32     `json:"ttl"`
	Missing   []string    `json:"missing"`
	Extra     []string    `json:"extra"`
}

func (v *dnsJSON) End(e *End) error {
	rows := v.set.Rows()
	end := endRecord{
		common:  v.common("end", e.Time),
		Targets: len(rows), Elapsed: millis(max(e.Time.Sub(v.h.Start), 0)), Exit: e.Exit, StoppedBy: e.StoppedBy,
	}
	d := v.h.DNS
	for i, t := range rows {
		s := t.Summary()
		if s.Answered() {
			end.Answered++
		}
		row := &d.Stats.Rows()[i]
		sum := dnsSummary{
			summaryRecord: v.summary(&s, e.Time), Transport: d.Transports[i],
			Rcodes: row.Rcodes, Strays: row.Strays, Unmet: row.Unmet, Differing: []dnsDifference{},
		}
		if d.Stats.Compares() {
			sum.Differs, sum.Differing = &row.Differs, differenceFields(d.Stats, i)
		}
		if err := v.write(sum); err != nil {
			return err
		}
	}
	return v.write(end)
}

// differenceFields lists the comparisons in which the server differs in whatever.
func differenceFields(d *stats.DNS, server int) []dnsDifference {
	out := []dnsDifference{}
	kept, _, _ := d.Differences()
	for i := range kept {
		c := &kept[i]
		a := &c.Answers[server]
		if len(a.Different) == 0 {
			continue
		}
		x := dnsDifference{
			Seq: c.Seq, Question: dnsQuestion(c.Question), In: a.Different, Reference: c.Answers[c.Reference].Target.Name,
			Missing: append([]string{}, a.Missing...), Extra: append([]string{}, a.Extra...),
		}
		if a.Rcode != "" {
			x.Rcode = &a.Rcode
		}
		if a.Serial != "" {
			x.Serial = &a.Serial
		}
		if len(a.Set) > 0 {
			x.TTL = &a.TTL
		}
		out = append(out, x)
	}
	return out
}
