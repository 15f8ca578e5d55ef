package dnsprobe

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"netprobe/rawsock"
)

// WalkConfig is one question to be answered from the root down, as a resolver
// with an empty memory does it.
type WalkConfig struct {
	Name       string
	Type       string         // A, MX, TYPE65534; empty means A
	Root       netip.AddrPort // start here; zero means at the servers of the root zone. Port 0 means Port
	Family     int            // 4 or 6 asks servers there only; 0 asks both, IPv4 first
	Port       uint16         // of every server; 0 means 53
	Timeout    time.Duration  // of one query; 0 means 2 s
	MaxQueries int            // of the whole walk; 0 means 64
	DNSSEC     bool           // ask for signatures (DO)
	Socket     rawsock.Config // Source, Interface, Mark, TTL and TOS count

	exchange exchanger          // nil means by UDP and TCP
	order    func([]nameserver) // of servers that are equally good; nil shuffles
}

// Path is what a walk found.
type Path struct {
	Name   string
	Type   string
	Steps  []WalkStep
	Rcode  string   // of the last answer; empty if the walk broke
	Answer []string // records in zone file form, with the aliases on the way; at most maxAnswers
	Zone   string   // whose server gave the last answer
	Took   time.Duration
	Broke  *Break // where and why the walk could not go on; nil if it came to an end
}

// Break is where a walk could not go on.
type Break struct {
	Zone  string // none of whose servers led further
	Why   string // for people, on one line, not escaped
	Local bool   // this host could not ask: nothing is known about the zone
}

// WalkStep is one question to one server.
type WalkStep struct {
	Zone    string // that the server is asked about as one of its servers
	Server  string // its name; empty for the address a walk was told to start at
	Addr    netip.AddrPort
	Name    string // asked for: that of the walk, of an alias, or of a server
	Type    string
	Depth   int // 0 for the walk's own question, more to find the address of a server for the depth above
	Took    time.Duration
	Kind    StepKind
	Rcode   string   // empty if Silent or Unasked
	AA      bool     // the answer has authority
	To      string   // zone of a Referral, target of an Alias
	Servers []string // of a Referral, with their addresses
	Records []string // of an Answered or Alias; at most maxAnswers
	Refused []string // what it said and was not believed, for people
	Why     string   // of Silent, Unasked, Lame and Refusal: for people
	Next    string   // server that was tried instead; empty if the step led further, or was the last
}

// Walk asks from the root down until somebody has the answer, or nobody leads
// further. The error is about the question; whatever comes, or does not come,
// from the network is in the path.
func Walk(ctx context.Context, cfg WalkConfig) (Path, error) {
	name, typ, err := parseQuestion(cfg.Name, cfg.Type)
	if err != nil {
		return Path{}, err
	}
	w := newWalker(cfg)
	p := Path{Name: show(name), Type: showType(typ)}
	seen := map[string]bool{name: true}
	for {
		l := w.lookup(ctx, name, typ, 0)
		p.add(l)
		if l.broke != nil || l.kind != Alias {
			break
		}
		name = l.to
		if seen[name] || len(seen) > maxAliases {
			p.Broke = &Break{Zone: show(l.zone), Why: "aliases lead in a circle: " + show(name) + " again"}
			if !seen[name] {
				p.Broke.Why = "more aliases than are followed"
			}
			break
		}
		seen[name] = true
	}
	p.Steps, p.Took = w.steps, w.took
	return p, nil
}

// add takes one finding, which may be an alias on the way to the next.
func (p *Path) add(l finding) {
	p.Broke, p.Zone, p.Rcode = l.broke, show(l.zone), ""
	if l.msg != nil {
		p.Rcode = showRcode(l.msg.Rcode)
	}
	p.Answer = append(p.Answer, texts(l.records)...)
	p.Answer = p.Answer[:min(len(p.Answer), maxAnswers)]
}

func texts(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs[:min(len(rrs), maxAnswers)] {
		out = append(out, rr.String())
	}
	return out
}
