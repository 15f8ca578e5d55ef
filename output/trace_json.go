package output

import (
	"io"
	"net/netip"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// traceJSON writes the records of a run of traces: one for each finished trace,
// and with Options.Probes one for each probe as it is decided. Quiet leaves
// those of probes out, no trace.
type traceJSON struct {
	traceBase
	jsonView
}

func newTraceJSON(w io.Writer, o Options) View { return &traceJSON{jsonView: jsonView{w: w, o: o}} }

func (v *traceJSON) Begin(h *Header, set *stats.Set) error {
	v.begin(h, set)
	return v.jsonView.Begin(h, set)
}

func (v *traceJSON) Result(r *probe.Result, t *stats.Target) error {
	if p, ok := r.Detail.(*probe.Path); ok {
		rows := v.conclude(r, p)
		return v.jsonView.write(v.trace(r, p, rows))
	}
	if v.t.Monitor {
		v.note(r)
	}
	if !v.jsonView.o.Probes {
		return nil
	}
	return v.jsonView.Result(r, t)
}

// Refresh does nothing: a record stays.
func (v *traceJSON) Refresh(time.Time) error { return nil }

// End writes the summaries and the last record.
func (v *traceJSON) End(e *End) error { return v.jsonView.End(e) }

type traceRecord struct {
	common
	Target       string       `json:"target"`
	Addr         *string      `json:"addr"`
	Proto        string       `json:"proto"`
	Source       *string      `json:"source"`
	Port         *uint16      `json:"port"`
	Flow         uint16       `json:"flow"`
	Reached      bool         `json:"reached"`
	Stop         string       `json:"stop"`
	PathID       *string      `json:"path_id"`
	PMTU         *int         `json:"pmtu"`
	MTU          *mtuField    `json:"path_mtu"`
	Started      timestamp    `json:"started"`
	Elapsed      millis       `json:"elapsed_ms"`
	Hops         []hopField   `json:"hops"`
	Links        []linkField  `json:"links"`
	LinksPartial *bool        `json:"links_partial"`
	Error        *recordError `json:"error"`
}

type mtuField struct {
	pathMTUFields
	Hop *uint8 `json:"hop"`
}

type linkField struct {
	TTL   uint8   `json:"ttl"`
	From  *string `json:"from"`
	To    *string `json:"to"`
	Flows int     `json:"flows"`
}

type hopField struct {
	TTL     uint8           `json:"ttl"`
	Target  bool            `json:"target"`
	Probes  []hopProbeField `json:"probes"`
	Balance *string         `json:"balance"`
	Loss    *lossField      `json:"loss"`
	MTU     *int            `json:"mtu"`
	Stats   *hopStatsField  `json:"stats"`
}

type lossField struct {
	Verdict string   `json:"verdict"`
	Percent float64  `json:"percent"`
	Rate    *float64 `json:"rate_per_second"`
	Burst   *int     `json:"burst"`
}

type hopStatsField struct {
	Addrs    []hopAddrField `json:"addrs"`
	Sent     uint64         `json:"sent"`
	Answered uint64         `json:"answered"`
	Lost     uint64         `json:"lost"`
	Pending  uint64         `json:"pending"`
	Loss     *float64       `json:"loss_percent"`
	PathLoss *float64       `json:"path_loss_percent"`
	Last     *millis        `json:"last_ms"`
	RTT      *rttFields     `json:"rtt_ms"`
	Jitter   *millis        `json:"jitter_ms"`
}

type hopAddrField struct {
	Addr    string       `json:"addr"`
	Name    *string      `json:"name"`
	Answers int          `json:"answers"`
	MPLS    []labelField `json:"mpls"`
}

type labelField struct {
	Label uint32 `json:"label"`
	TC    uint8  `json:"tc"`
	S     int    `json:"s"`
	TTL   uint8  `json:"ttl"`
}

type hopProbeField struct {
	Seq        uint64           `json:"seq"`
	Time       *timestamp       `json:"time"`
	SentTTL    uint8            `json:"sent_ttl"`
	SentBytes  *int             `json:"sent_bytes"`
	Flow       uint16           `json:"flow"`
	Status     string           `json:"status"`
	Reason     string           `json:"reason"`
	From       *string          `json:"from"`
	Name       *string          `json:"name"`
	RTT        *millis          `json:"rtt_ms"`
	Clock      *string          `json:"clock"`
	ReplyTTL   *uint8           `json:"reply_ttl"`
	ReturnHops *int             `json:"return_hops"`
	ICMP       *icmpField       `json:"icmp"`
	NextMTU    *int             `json:"mtu"`
	QuotedTTL  *uint8           `json:"quoted_ttl"`
	QuotedTOS  *uint8           `json:"quoted_tos"`
	NAT        *bool            `json:"nat"`
	Rewritten  []string         `json:"rewritten"`
	MPLS       []labelField     `json:"mpls"`
	Interfaces []interfaceField `json:"interfaces"`
	Error      *recordError     `json:"error"`
}

type icmpField struct {
	Type uint8 `json:"type"`
	Code uint8 `json:"code"`
}

type interfaceField struct {
	Role  string  `json:"role"`
	Index *uint32 `json:"index"`
	Addr  *string `json:"addr"`
	Name  *string `json:"name"`
	MTU   *int    `json:"mtu"`
}

// present returns a pointer to v, or nil for null.
func present[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// trace returns the record of a finished trace.
func (v *traceJSON) trace(r *probe.Result, p *probe.Path, rows []*hopRow) traceRecord {
	t := traceRecord{
		common: v.common("trace", p.Started.Add(p.Elapsed)),
		Target: r.Target.Name, Addr: addrField(r.Target.Addr.Addr()), Proto: p.Proto,
		Source: addrField(p.Source), Port: present(p.Port, p.Port != 0), Flow: p.Flow,
		Reached: p.Reached(), Stop: p.Stop.String(), PathID: present(p.ID, p.ID != ""),
		Started: timestamp(p.Started), Elapsed: millis(max(p.Elapsed, 0)),
		Hops: []hopField{}, MTU: mtuOf(p), Links: linksOf(p), LinksPartial: present(p.Incomplete, v.t.Paths),
	}
	if m := p.MTU; m != nil {
		t.PMTU = present(m.MTU, m.MTU > 0 && !m.Partial)
	}
	if r.Status == probe.Failed {
		t.Error = failureOf(r)
	}
	loss := pathLoss(rows)
	for i := range p.Hops {
		hop := v.hop(&p.Hops[i], p.Proto)
		if v.t.Monitor {
			hop.Stats = v.hopStats(rows[i], loss[i])
		}
		t.Hops = append(t.Hops, hop)
	}
	return t
}

func mtuOf(p *probe.Path) *mtuField {
	m := p.MTU
	if m == nil {
		return nil
	}
	return &mtuField{
		pathMTUFields{present(m.MTU, m.MTU > 0), addrField(m.From), m.Local, m.BlackHole, m.Partial},
		present(p.MTUHop, p.MTUHop > 0),
	}
}

func linksOf(p *probe.Path) []linkField {
	var out []linkField
	for _, l := range p.Links {
		out = append(out, linkField{l.TTL, addrField(l.From), addrField(l.To), l.Flows})
	}
	return out
}

func failureOf(r *probe.Result) *recordError {
	text := r.Reason.String()
	if r.Err != nil {
		text = bounded(r.Err.Error())
	}
	return &recordError{r.Reason.String(), text}
}

func (v *traceJSON) hop(h *probe.PathHop, proto string) hopField {
	f := hopField{
		TTL: h.TTL, Target: h.Target, Probes: []hopProbeField{}, MTU: present(h.MTU, h.MTU > 0),
		Balance: present(h.Balance.String(), h.Balance != probe.BalanceUnknown),
	}
	if l := h.Loss; l != nil {
		f.Loss = &lossField{
			l.Kind.String(), l.Percent,
			present(l.Rate, l.Kind == probe.RateLimited && l.Rate > 0),
			present(l.Burst, l.Kind == probe.RateLimited && l.Burst > 0),
		}
	}
	for i := range h.Probes {
		f.Probes = append(f.Probes, v.hopProbe(&h.Probes[i], h.TTL, proto))
	}
	return f
}

func (v *traceJSON) hopProbe(r *probe.Result, ttl uint8, proto string) hopProbeField {
	answered := r.From.IsValid()
	hop, ok := r.Detail.(*probe.Hop)
	if !ok {
		hop = &probe.Hop{TTL: ttl}
	}
	back := returnHops(r.TTL)
	f := hopProbeField{
		Seq: r.Seq, Time: present(timestamp(r.Sent), !r.Sent.IsZero()), SentTTL: hop.TTL, SentBytes: present(hop.Size, hop.Size > 0), Flow: hop.Flow,
		Status: r.Status.String(), Reason: r.Reason.String(), From: addrField(r.From), Name: v.nameField(r.From),
		RTT: present(millis(r.RTT), answered), Clock: present(r.Clock.String(), answered),
		ReplyTTL: present(r.TTL, r.TTL > 0), ReturnHops: present(back, back > 0),
		ICMP:    present(icmpField{r.Type, r.Code}, hasICMP(r, proto)),
		NextMTU: present(r.MTU, r.MTU > 0),
	}
	if q := hop.Quote; q != nil {
		f.QuotedTTL, f.QuotedTOS, f.NAT = &q.TTL, &q.TOS, new(q.Rewritten.NAT())
		f.Rewritten = q.Rewritten.AppendNames([]string{})
	}
	if isError(r) {
		f.MPLS, f.Interfaces = labelsOf(hop.MPLS), interfacesOf(hop.Interfaces)
	}
	if r.Status == probe.Failed {
		f.Error = failureOf(r)
	}
	return f
}

func (v *traceJSON) nameField(a netip.Addr) *string {
	name := v.names.raw(a)
	return present(name, name != "")
}

func labelsOf(labels []probe.Label) []labelField {
	out := []labelField{}
	for _, l := range labels {
		out = append(out, labelField{l.Label, l.TC, bottomBit(l), l.TTL})
	}
	return out
}

func interfacesOf(list []probe.Interface) []interfaceField {
	out := []interfaceField{}
	for _, i := range list {
		name := bounded(i.Name)
		out = append(out, interfaceField{
			i.Role.String(), present(i.Index, i.Index > 0), addrField(i.Addr),
			present(name, name != ""), present(i.MTU, i.MTU > 0),
		})
	}
	return out
}

func (v *traceJSON) hopStats(h *hopRow, loss float64) *hopStatsField {
	s := h.summary()
	f := &hopStatsField{
		Addrs: []hopAddrField{},
		Sent:  s.Sent, Answered: s.Received + s.Late, Lost: s.Lost, Pending: s.Pending,
		Loss: present(s.LossPercent, s.HasLoss), PathLoss: present(100*loss, loss >= 0),
		Last: present(millis(h.last), len(h.hosts) > 0), RTT: rttOf(s.RTT), Jitter: present(millis(s.Jitter), s.HasJitter),
	}
	for i := range h.hosts {
		o := &h.hosts[i]
		f.Addrs = append(f.Addrs, hopAddrField{o.addr.String(), v.nameField(o.addr), o.answers, labelsOf(o.hop.MPLS)})
	}
	return f
}

// hasICMP reports whether an ICMP message decided r.
func hasICMP(r *probe.Result, proto string) bool {
	return r.From.IsValid() && (proto == "icmp" || isError(r))
}

// isError reports whether an ICMP error decided r, which may quote our packet
// and have extensions.
func isError(r *probe.Result) bool {
	switch r.Status {
	case probe.Expired, probe.Unreachable:
		return true
	}
	return r.Reason == probe.PortUnreachable || r.Reason == probe.ProtoUnreachable
}
