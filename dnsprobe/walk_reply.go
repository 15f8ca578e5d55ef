package dnsprobe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// StepKind is what one server of a walk had to say.
type StepKind int

const (
	Silent   StepKind = iota // it did not answer, or not with a DNS message for us
	Unasked                  // this host could not ask: says nothing of the server
	Referral                 // ask the servers of To
	Answered                 // here are the records
	Alias                    // ask for To instead
	NoName                   // NXDOMAIN
	NoData                   // the name has no such records
	Lame                     // it does not serve the zone it is named for
	Refusal                  // REFUSED, SERVFAIL or another rcode
)

func (k StepKind) String() string {
	return [...]string{"no answer", "not asked", "referral", "answer", "alias", "no such name", "no such data", "lame", "refused"}[k]
}

// nameserver is one server of a zone with the addresses known of it.
type nameserver struct {
	name  string
	addrs []netip.Addr
}

// Bounds of what is taken from one message.
const (
	maxServers = 20 // of a zone
	maxGlue    = 8  // addresses of a server
)

// meaning is what a reply of a server of zone says about a question.
type meaning struct {
	kind     StepKind
	why      string       // of Lame and Refusal, for people
	to       string       // zone of a Referral, target of an Alias
	servers  []nameserver // of a Referral
	refused  []string     // what was not believed, for people
	records  []dns.RR     // of an Answered or Alias
	mandated bool         // AA was set
}

// meaningOf finds out what msg, from a server of zone, says about name and typ.
func meaningOf(msg *dns.Msg, zone, name string, typ uint16) meaning {
	m := meaning{mandated: msg.Authoritative}
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		m.kind, m.why = Refusal, "it answered "+showRcode(msg.Rcode)
		return m
	}
	if m.find(msg, zone, name, typ) {
		return m.unlessCached(msg, zone)
	}
	cut := referralOf(msg, name)
	switch {
	case cut != "" && below(cut, zone) && msg.Rcode == dns.RcodeSuccess && !(cut == name && typ == dns.TypeDS):
		m.kind, m.to = Referral, cut
		m.glue(msg, zone)
		return m
	case msg.Rcode == dns.RcodeNameError:
		m.kind = NoName
	case hasSOA(msg, zone, name) || msg.Authoritative || cut == name && typ == dns.TypeDS:
		m.kind = NoData
	case cut == zone:
		m.kind, m.why = Lame, fmt.Sprintf("it refers to the servers of %s, of which it is to be one", show(zone))
		return m
	case cut != "":
		m.kind, m.why = Lame, fmt.Sprintf("it refers upward, to %s", show(cut))
		return m
	default:
		m.kind, m.why = Lame, "its answer is neither authoritative nor a referral"
		return m
	}
	return m.unlessCached(msg, zone)
}

// unlessCached tells a resolver, which answers from what it heard, from a server
// of the zone. Where every server of a path seems to be one, something on the
// way answers in their place.
func (m meaning) unlessCached(msg *dns.Msg, zone string) meaning {
	if !msg.Authoritative && msg.RecursionAvailable {
		return meaning{kind: Lame, refused: m.refused,
			why: fmt.Sprintf("it answered as a resolver, not as a server of %s (or something on the way answers in its place)", show(zone))}
	}
	return m
}

// find looks for records of the question, and follows aliases as far as the
// message and the zone reach.
func (m *meaning) find(msg *dns.Msg, zone, name string, typ uint16) bool {
	at := name
	for hops := 0; hops <= maxAliases; hops++ {
		if own := recordsOf(msg.Answer, at, typ); len(own) > 0 {
			m.kind = Answered
			m.records = append(m.records, own...)
			return true
		}
		next, rr := leads(msg.Answer, at, typ)
		if next == "" {
			break
		}
		m.kind, m.to = Alias, next
		m.records = append(m.records, rr)
		if at = next; !within(at, zone) {
			if len(msg.Answer) > len(m.records) {
				m.refuse(msg.Answer, at, zone)
			}
			break
		}
	}
	return m.kind == Alias
}

// refuse names records beyond the zone, which its servers cannot know.
func (m *meaning) refuse(section []dns.RR, at, zone string) {
	for _, rr := range section {
		if owner(rr) == at && rr.Header().Rrtype != dns.TypeRRSIG {
			m.disbelieve("%s %s, which is outside of %s", show(at), showType(rr.Header().Rrtype), show(zone))
		}
	}
}

func (m *meaning) disbelieve(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); len(m.refused) < maxServers && !slices.Contains(m.refused, s) {
		m.refused = append(m.refused, s)
	}
}

func recordsOf(section []dns.RR, name string, typ uint16) []dns.RR {
	var own []dns.RR
	for _, rr := range section {
		h := rr.Header()
		if h.Class == dns.ClassINET && owner(rr) == name && (h.Rrtype == typ || typ == dns.TypeANY && h.Rrtype != dns.TypeRRSIG) {
			own = append(own, rr)
		}
	}
	return own
}

// leads returns where name leads by a CNAME, or by a DNAME above it.
func leads(section []dns.RR, name string, typ uint16) (string, dns.RR) {
	if typ == dns.TypeCNAME {
		return "", nil
	}
	for _, rr := range section {
		if c, ok := rr.(*dns.CNAME); ok && owner(rr) == name {
			return dns.CanonicalName(c.Target), rr
		}
	}
	for _, rr := range section {
		if _, ok := rr.(*dns.DNAME); ok && below(name, owner(rr)) {
			rr := dns.Copy(rr)
			rr.Header().Name = owner(rr)
			if to, f := substitute(name, rrset{name: owner(rr), typ: dns.TypeDNAME, rrs: []dns.RR{rr}}); f == nil {
				return to, rr
			}
		}
	}
	return "", nil
}

// referralOf returns the zone above name whose servers the authority section
// names: the deepest, should there be several.
func referralOf(msg *dns.Msg, name string) string {
	cut := ""
	for _, rr := range msg.Ns {
		if _, ok := rr.(*dns.NS); ok && within(name, owner(rr)) && (cut == "" || below(owner(rr), cut)) {
			cut = owner(rr)
		}
	}
	if cut == "" || hasSOA(msg, cut, name) {
		return ""
	}
	return cut
}

// hasSOA says whether the authority section has the SOA of zone or of a zone
// between it and name: the mark of an answer that there is nothing.
func hasSOA(msg *dns.Msg, zone, name string) bool {
	return slices.ContainsFunc(msg.Ns, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA && within(name, owner(rr)) && within(owner(rr), zone)
	})
}

// glue takes the servers of m.to, and the addresses that come with them of those
// inside of zone. Addresses of others would be hearsay: they could be anybody's.
func (m *meaning) glue(msg *dns.Msg, zone string) {
	for _, rr := range msg.Ns {
		ns, ok := rr.(*dns.NS)
		if !ok || owner(rr) != m.to || len(m.servers) == maxServers {
			continue
		}
		name := dns.CanonicalName(ns.Ns)
		if !slices.ContainsFunc(m.servers, func(s nameserver) bool { return s.name == name }) {
			m.servers = append(m.servers, nameserver{name: name})
		}
	}
	for _, rr := range msg.Extra {
		addr := addrOf(rr)
		i := slices.IndexFunc(m.servers, func(s nameserver) bool { return s.name == owner(rr) })
		switch {
		case !addr.IsValid() || i < 0:
		case !within(owner(rr), zone):
			m.disbelieve("address of %s, which is outside of %s", show(owner(rr)), show(zone))
		case !addressable(addr):
			m.disbelieve("address %v of %s, which is no host's", addr, show(owner(rr)))
		case len(m.servers[i].addrs) < maxGlue && !slices.Contains(m.servers[i].addrs, addr):
			m.servers[i].addrs = append(m.servers[i].addrs, addr)
		}
	}
}

// addressable says whether a name server can be at addr.
func addressable(addr netip.Addr) bool {
	return !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func addrOf(rr dns.RR) netip.Addr {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap()
}

func (s nameserver) String() string {
	if len(s.addrs) == 0 {
		return show(s.name) + " (no address came)"
	}
	var b strings.Builder
	b.WriteString(show(s.name) + " (")
	for i, a := range s.addrs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	return b.String() + ")"
}
