package dnsprobe

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"netprobe/probe"
	"netprobe/rawsock"
)

// StudyConfig is a run of questions that are looked into one by one: how the
// answer is found from the root, or whether DNSSEC vouches for it.
type StudyConfig struct {
	Questions []Question
	Walk      bool           // from the root down; else the servers are asked as resolvers
	Validate  bool           // by DNSSEC
	Root      netip.AddrPort // where walks start; zero means at the servers of the root zone. A port holds for all servers
	Family    int            // 4 or 6 for servers of a walk there only
	Anchors   *Anchors       // nil means those of the root zone
	Timeout   time.Duration  // of one query
	Socket    rawsock.Config
}

// A Study is a probe.Prober. The Detail of each outcome is a *probe.DNSWalk, or with
// Validate a *probe.DNSVerdict. Reply says that the end was reached, whatever it is.
type Study struct {
	cfg     StudyConfig
	servers []Asked
	queries uint64
}

// NewStudy returns a Study.
func NewStudy(cfg StudyConfig) *Study { return &Study{cfg: cfg} }

// SetServers says which servers to ask. Walks have one, which stands for all.
func (s *Study) SetServers(servers []Asked) { s.servers = servers }

// Clock is that of the times told.
func (s *Study) Clock() probe.Clock { return probe.User }

// Counters may be called after Probe.
func (s *Study) Counters() Counters { return Counters{Sent: s.queries} }

// Close does nothing: sockets are open no longer than a query.
func (s *Study) Close() error { return nil }

// Probe implements probe.Prober. Its error is always nil.
func (s *Study) Probe(ctx context.Context, emit func(probe.Result)) error {
	for i, q := range s.cfg.Questions {
		for j := range s.servers {
			if ctx.Err() != nil {
				return nil
			}
			t := s.servers[j].Target
			if t.Err != nil {
				continue
			}
			r := probe.Result{Sent: time.Now()}
			if s.cfg.Validate {
				s.validate(ctx, q, t, &r)
			} else {
				s.walk(ctx, q, &r)
			}
			r.Target, r.Seq = t, uint64(i+1)
			if ctx.Err() != nil && r.Status != probe.Reply {
				r.Status, r.Reason, r.Err = probe.Pending, probe.Canceled, nil
			}
			emit(r)
		}
	}
	return nil
}

func (s *Study) walkConfig(q Question) WalkConfig {
	return WalkConfig{
		Name: q.name, Type: typeName(q.typ), Root: s.cfg.Root, Port: s.cfg.Root.Port(), Family: s.cfg.Family,
		Timeout: s.cfg.Timeout, Socket: s.cfg.Socket,
	}
}

// walk goes from the root to the answer.
func (s *Study) walk(ctx context.Context, q Question, r *probe.Result) {
	p, err := Walk(ctx, s.walkConfig(q))
	if err != nil {
		fail(r, err.Error())
		return
	}
	w := &probe.DNSWalk{
		Question: q.Words(), Rcode: p.Rcode, Answers: recordsIn(p.Answer), Zone: p.Zone, Queries: len(p.Steps), Took: p.Took,
	}
	for _, x := range p.Steps {
		w.Steps = append(w.Steps, probe.DNSStep{
			Zone: x.Zone, Server: x.Server, Addr: x.Addr, Name: x.Name, Type: x.Type, Depth: x.Depth, Kind: x.Kind.String(),
			Rcode: x.Rcode, AA: x.AA, Took: x.Took, To: x.To, Servers: x.Servers, Refused: x.Refused, Why: x.Why,
		})
	}
	s.queries += uint64(len(p.Steps))
	r.Detail, r.RTT = w, p.Took
	r.Status, r.Reason = probe.Reply, probe.DNSReply
	if n := len(p.Steps); n > 0 && p.Broke == nil {
		r.From = p.Steps[n-1].Addr.Addr()
	}
	if b := p.Broke; b != nil {
		w.Broke, w.BrokeAt = b.Why, b.Zone
		r.Status, r.Reason, r.RTT = probe.Lost, probe.NoResponse, 0
		if b.Local {
			fail(r, b.Why)
		}
	}
}

// validate judges the answer.
func (s *Study) validate(ctx context.Context, q Question, t *probe.Target, r *probe.Result) {
	cfg := ValidateConfig{
		Name: q.name, Type: typeName(q.typ), Server: t.Addr, Anchors: s.cfg.Anchors, Timeout: s.cfg.Timeout, Socket: s.cfg.Socket,
	}
	if s.cfg.Walk {
		w := s.walkConfig(q)
		cfg.Walk = &w
	}
	var ours error // why this host could not ask
	cfg.exchange = func(ctx context.Context, server netip.AddrPort, m *dns.Msg) (*dns.Msg, time.Duration, error) {
		reply, took, err := carrier{s.cfg.Socket}.exchange(ctx, server, m)
		if errors.Is(err, errLocal) {
			ours = err
		}
		return reply, took, err
	}
	v, err := Validate(ctx, cfg)
	if err != nil {
		fail(r, err.Error())
		return
	}
	d := &probe.DNSVerdict{
		Question: q.Words(), Status: v.Status.String(), Why: v.Why, Rcode: v.Rcode, Answers: recordsIn(v.Answer),
		Until: v.Until, Queries: v.Queries, Took: v.Took,
	}
	for _, z := range v.Chain {
		l := probe.DNSLink{Zone: z.Zone, Anchor: z.Anchor, Status: z.Status.String(), Why: z.Why, Until: z.Until, Took: z.Took}
		for _, x := range z.DS {
			l.DS = append(l.DS, probe.DNSKeyID{Tag: x.Tag, Algorithm: x.Algorithm, Digest: x.Digest})
		}
		for _, x := range z.Keys {
			l.Keys = append(l.Keys, probe.DNSKeyID{Tag: x.Tag, Algorithm: x.Algorithm, SEP: x.SEP, Used: x.Used})
		}
		d.Chain = append(d.Chain, l)
	}
	s.queries += uint64(v.Queries)
	r.Detail, r.RTT = d, v.Took
	r.Status, r.Reason, r.From = probe.Reply, probe.DNSReply, t.Addr.Addr()
	switch {
	case v.Rcode == "" && ours != nil:
		fail(r, ours.Error())
	case v.Rcode == "":
		r.Status, r.Reason, r.From, r.RTT = probe.Lost, probe.NoResponse, netip.Addr{}, 0
	}
}

// fail makes r a failure of this host.
func fail(r *probe.Result, why string) {
	r.Status, r.Reason, r.Err, r.Sent, r.RTT = probe.Failed, probe.ReasonOther, errors.New(why), time.Time{}, 0
}

// recordsIn reads records in zone file form, as the library writes them: name, TTL,
// class, type and data between tabs.
func recordsIn(lines []string) []probe.DNSRecord {
	out := []probe.DNSRecord{}
	for _, line := range lines {
		f := strings.SplitN(line, "\t", 5)
		if len(f) != 5 {
			continue
		}
		ttl, _ := strconv.ParseUint(f[1], 10, 32)
		out = append(out, probe.DNSRecord{Name: f[0], TTL: uint32(ttl), Class: f[2], Type: f[3], Data: f[4]})
	}
	return out
}
