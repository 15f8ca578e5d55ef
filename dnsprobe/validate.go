package dnsprobe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"netprobe/rawsock"
)

// An exchanger sends q to server and returns what it answered. Transport, id,
// source address and the way from a truncated answer to TCP are its business.
// An error that wraps errLocal says that this host could not ask; any other, that
// the server gave no answer.
type exchanger func(ctx context.Context, server netip.AddrPort, q *dns.Msg) (reply *dns.Msg, took time.Duration, err error)

// errLocal is wrapped by errors of an exchanger that are this host's own: no
// route, no permission, no descriptors.
var errLocal = errors.New("could not ask from this host")

// Security is the verdict of DNSSEC on an answer (RFC 4033 section 5).
type Security int

const (
	Indeterminate Security = iota // what is needed for a verdict did not come
	Secure                        // signed, in an unbroken chain from the anchor
	Insecure                      // proven to be in a zone that nothing vouches for
	Bogus                         // it should be secure and is not
)

func (s Security) String() string {
	return [...]string{"indeterminate", "secure", "insecure", "bogus"}[s]
}

// Bounds of one validation.
const (
	maxValidateQueries = 128
	maxAliases         = 12 // CNAMEs and DNAMEs followed
)

// ValidateConfig is one question whose answer is to be judged.
type ValidateConfig struct {
	Name    string
	Type    string         // A, MX, TYPE65534; empty means A
	Server  netip.AddrPort // a resolver; or, if the anchor is for its zone, an authoritative server
	Walk    *WalkConfig    // fetch from the authoritative servers instead, as Walk does; its Name, Type and DNSSEC do not count
	Anchors *Anchors       // nil means those of the root zone
	At      time.Time      // when signatures have to be valid; zero means now
	Timeout time.Duration  // of one query; 0 means 5 s
	Socket  rawsock.Config // Source, Interface, Mark, TTL and TOS count; with Walk, its own does

	exchange exchanger // nil means by UDP and TCP
}

// Verdict is what the chain of signatures says about an answer.
type Verdict struct {
	Status  Security
	Why     string // for people, on one line, not escaped; empty if Secure
	Name    string // that was asked for
	Type    string
	Rcode   string     // of the answer; empty if none came
	Answer  []string   // records that were judged, in zone file form: all that a Secure answer consists of; at most maxAnswers
	Chain   []ZoneStep // zones, from the anchor down, in the order in which they were entered
	Until   time.Time  // when the first of the signatures relied on ends; zero if not Secure
	Queries int
	Took    time.Duration // of all queries
}

// maxAnswers bounds what is kept of an answer for display.
const maxAnswers = 256

// ZoneStep is one zone of a chain.
type ZoneStep struct {
	Zone   string
	Anchor bool               // the chain starts here: DS are of the anchor
	DS     []DelegationSigner // by which the zone above vouches for it, at most maxListed; none if nothing does
	Keys   []SigningKey       // at most maxListed
	Status Security           // Secure if its keys are trusted
	Why    string             // they are not
	Until  time.Time          // when the first signature on the way to its keys ends; zero if there is none
	Took   time.Duration      // of the queries for it
}

// DelegationSigner is a DS record.
type DelegationSigner struct {
	Tag       uint16
	Algorithm string
	Digest    string // its kind: SHA256; empty if it is not known here
}

// SigningKey is a DNSKEY record.
type SigningKey struct {
	Tag       uint16
	Algorithm string
	SEP       bool // it is meant to be vouched for by the parent (a KSK)
	Used      bool // a signature by it was checked and right
}

// validator is one run of Validate.
type validator struct {
	verdict Verdict
	anchors *Anchors
	fetch   fetcher
	now     time.Time
	budget  *budget
	took    time.Duration    // of queries since the last link of the chain
	zones   map[string]*zone // that anchors are for
	cuts    map[string]cut
	linked  []*zone // in the order of the chain
}

// fetcher gets the answer for one name and type.
type fetcher func(ctx context.Context, name string, typ uint16) (*dns.Msg, time.Duration, error)

// budget counts work that a hostile zone could make endless.
type budget struct{ checks, hashes int }

func (b *budget) check() bool { b.checks++; return b.checks <= maxChecks }
func (b *budget) hash() bool  { b.hashes++; return b.hashes <= maxHashes }

// Validate fetches the answer to a question and what is needed to judge it: keys
// and delegations from the anchor down to the zone of the answer (RFC 4033 to
// 4035, 5155, 6840, 9276). The error is about the question; whatever comes, or
// does not come, from the network is in the verdict.
//
// The server is asked not to validate itself (CD), so that bogus data arrives
// and can be explained.
func Validate(ctx context.Context, cfg ValidateConfig) (Verdict, error) {
	name, typ, err := parseQuestion(cfg.Name, cfg.Type)
	if err != nil {
		return Verdict{}, err
	}
	v := newValidator(cfg)
	v.verdict.Name, v.verdict.Type = show(name), showType(typ)
	a, f := v.answer(ctx, name, typ)
	v.finish()
	if f != nil {
		v.verdict.Status, v.verdict.Why = f.is, f.why
	} else {
		v.verdict.Status, v.verdict.Until = Secure, a.until
	}
	return v.verdict, nil
}

func newValidator(cfg ValidateConfig) *validator {
	v := &validator{
		anchors: cfg.Anchors,
		fetch:   cfg.fetcher(),
		now:     cfg.At,
		budget:  &budget{},
		zones:   map[string]*zone{},
		cuts:    map[string]cut{},
	}
	if v.anchors == nil {
		v.anchors = rootAnchors()
	}
	if v.now.IsZero() {
		v.now = time.Now()
	}
	return v
}

func (cfg ValidateConfig) fetcher() fetcher {
	if cfg.Walk != nil {
		w := *cfg.Walk
		w.DNSSEC = true
		if w.exchange == nil {
			w.exchange = cfg.exchange
		}
		return newWalker(w).fetch
	}
	exchange := cfg.exchange
	if exchange == nil {
		exchange = carrier{cfg.Socket}.exchange
	}
	timeout := cmp.Or(max(cfg.Timeout, 0), 5*time.Second)
	return func(ctx context.Context, name string, typ uint16) (*dns.Msg, time.Duration, error) {
		q := lookupQuery(name, typ, true)
		q.RecursionDesired, q.CheckingDisabled = true, true
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		reply, took, err := exchange(ctx, cfg.Server, q)
		switch {
		case err == nil:
			err = mismatch(reply, q)
		case errors.Is(err, context.DeadlineExceeded):
			err = fmt.Errorf("nothing came within %v", timeout)
		}
		return reply, took, err
	}
}

// parseQuestion reads what a user wrote.
func parseQuestion(name, typ string) (string, uint16, error) {
	at, err := canonical(name)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not a domain name", name)
	}
	t, ok := recordType(cmp.Or(typ, "A"))
	switch {
	case !ok:
		return "", 0, fmt.Errorf("unknown record type %q", typ)
	case t >= dns.TypeTKEY && t < dns.TypeANY, t == dns.TypeOPT, t == dns.TypeRRSIG, t == dns.TypeNone:
		return "", 0, fmt.Errorf("a record type like %s cannot be looked up this way", showType(t))
	}
	return at, t, nil
}

// lookupQuery returns a query for name and typ.
func lookupQuery(name string, typ uint16, dnssec bool) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, typ)
	q.RecursionDesired = false
	q.SetEdns0(1232, dnssec) // what passes everywhere unfragmented
	return q
}

// mismatch says what is wrong with a reply to q as such, if anything.
func mismatch(reply, q *dns.Msg) error {
	switch {
	case reply == nil:
		return errors.New("no reply")
	case !reply.Response || reply.Opcode != dns.OpcodeQuery:
		return errors.New("the reply is no response")
	case len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		return nil // what could not be parsed cannot be repeated
	case len(reply.Question) != 1:
		return errors.New("the reply repeats no question")
	}
	got, want := reply.Question[0], q.Question[0]
	if dns.CanonicalName(got.Name) != dns.CanonicalName(want.Name) || got.Qtype != want.Qtype || got.Qclass != want.Qclass {
		return fmt.Errorf("the reply is to another question (%s %s)", show(got.Name), showType(got.Qtype))
	}
	return nil
}

// judged is an answer found secure.
type judged struct{ until time.Time }

func (j *judged) relyOn(until time.Time) { j.until = earliest(j.until, until) }

// answer asks, judges each set on the way along aliases, and asks on where the
// server did not follow them itself.
func (v *validator) answer(ctx context.Context, name string, typ uint16) (judged, *flaw) {
	j := judged{}
	seen := []string{name}
	for {
		msg, f := v.ask(ctx, name, typ)
		if msg != nil {
			v.verdict.Rcode = showRcode(msg.Rcode)
		}
		if f != nil {
			return j, f
		}
		a := alias{msg: msg, sets: setsOf(msg.Answer), seen: seen}
		done, f := v.follow(ctx, &a, &j, typ)
		if done || f != nil {
			return j, f
		}
		seen = a.seen
		name = seen[len(seen)-1]
	}
}

// note keeps what is judged for display.
func (v *validator) note(set rrset) {
	all := append(v.verdict.Answer, texts(set.rrs)...)
	v.verdict.Answer = all[:min(len(all), maxAnswers)]
}

// alias is a way through one message.
type alias struct {
	msg  *dns.Msg
	sets []rrset
	seen []string // names so far, the last is the one looked for
}

// follow judges what msg says about the last name in a.seen. It is not done
// where the message leads to a name of which it says nothing.
func (v *validator) follow(ctx context.Context, a *alias, j *judged, typ uint16) (done bool, f *flaw) {
	for hops := 0; ; hops++ {
		name := a.seen[len(a.seen)-1]
		found := false
		for _, s := range a.sets {
			if s.name == name && (s.typ == typ || typ == dns.TypeANY) {
				found = true
				if f := v.judge(ctx, a.msg, s, j); f != nil {
					return true, f
				}
			}
		}
		if found && a.msg.Rcode == dns.RcodeNameError {
			return true, bogus("the answer has records of %s and says NXDOMAIN", show(name))
		}
		if found {
			return true, nil
		}
		target, f := v.redirect(ctx, a, j, name, typ)
		if f != nil {
			return true, f
		}
		if target == "" {
			if hops > 0 && !denies(a.msg, name) {
				return false, nil
			}
			return true, v.nothing(ctx, a.msg, name, typ, j)
		}
		if slices.Contains(a.seen, target) {
			return true, bogus("aliases lead in a circle: %s is an alias of %s again", show(name), show(target))
		}
		if len(a.seen) > maxAliases {
			return true, &flaw{Indeterminate, fmt.Sprintf("more than %d aliases from %s", maxAliases, show(a.seen[0]))}
		}
		a.seen = append(a.seen, target)
	}
}

// redirect returns where name leads by a CNAME, or by a DNAME above it. A CNAME
// made from a DNAME is not signed; it only has to say the same (RFC 6672
// section 5.3.1).
func (v *validator) redirect(ctx context.Context, a *alias, j *judged, name string, typ uint16) (string, *flaw) {
	if typ == dns.TypeCNAME || typ == dns.TypeANY {
		return "", nil
	}
	cname, aliased := findSet(a.sets, name, dns.TypeCNAME)
	for _, s := range a.sets {
		if s.typ != dns.TypeDNAME || !below(name, s.name) || aliased && len(cname.sigs) > 0 {
			continue
		}
		if f := v.judge(ctx, a.msg, s, j); f != nil {
			return "", f
		}
		target, f := substitute(name, s)
		if f == nil && aliased && targetOf(cname.rrs[0]) != target {
			f = bogus("%v is not what the DNAME of %s makes of it", cname, show(s.name))
		}
		return target, f
	}
	if !aliased {
		return "", nil
	}
	if severalTargets(cname) {
		return "", bogus("%s is an alias of several names", show(name))
	}
	return targetOf(cname.rrs[0]), v.judge(ctx, a.msg, cname, j)
}

// targetOf returns where a CNAME or DNAME points to, in canonical form.
func targetOf(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.CNAME:
		return dns.CanonicalName(rr.Target)
	case *dns.DNAME:
		return dns.CanonicalName(rr.Target)
	}
	return ""
}

// severalTargets reports whether the records of a set of aliases differ.
func severalTargets(set rrset) bool {
	return slices.ContainsFunc(set.rrs, func(rr dns.RR) bool { return targetOf(rr) != targetOf(set.rrs[0]) })
}

// substitute puts the target of a DNAME in the place of its owner.
func substitute(name string, set rrset) (string, *flaw) {
	d, ok := set.rrs[0].(*dns.DNAME)
	if !ok || severalTargets(set) {
		return "", bogus("%v is not one record", set)
	}
	made := name[:len(name)-len(set.name)]
	if set.name == "." {
		made = name
	}
	if d.Target != "." {
		made += d.Target
	}
	target, err := canonical(made)
	if err != nil {
		return "", bogus("the DNAME of %s makes too long a name of %s", show(set.name), show(name))
	}
	return target, nil
}

// judge finds the zone of a set and verifies it with that zone's keys.
func (v *validator) judge(ctx context.Context, msg *dns.Msg, set rrset, j *judged) *flaw {
	v.note(set)
	z, f := v.zoneOf(ctx, set)
	if f != nil {
		return f
	}
	encloser, until, f := v.verify(set, z)
	if f != nil {
		return f
	}
	if encloser != "" {
		if f := v.expanded(z, msg, set, encloser, j); f != nil {
			return f
		}
	}
	if f := v.occluded(ctx, z, set); f != nil {
		return f
	}
	j.relyOn(until)
	j.relyOn(z.until)
	return nil
}

// zoneOf descends to the zone a set says it is signed by, or, where it is not
// signed, to the zone of its name: to be told that this is insecure, or that the
// signature is missing.
func (v *validator) zoneOf(ctx context.Context, set rrset) (*zone, *flaw) {
	home := set.name
	if set.typ == dns.TypeDS {
		home = parentOf(home) // DS is the parent's
	}
	return v.descend(ctx, cmp.Or(signerOf([]rrset{set}, home), home))
}

// expanded checks the proof that a wildcard may stand for the name of set.
func (v *validator) expanded(z *zone, msg *dns.Msg, set rrset, encloser string, j *judged) *flaw {
	d, f := v.denialBy(z, msg, set.name)
	if f != nil {
		if f.is == Bogus {
			return bogus("%v was made from the wildcard %s without proof that %s does not exist: %s",
				set, show(wildcardOf(encloser)), show(set.name), f.why)
		}
		return f
	}
	p := d.noCloser(set.name, encloser)
	j.relyOn(d.until)
	switch {
	case !p.ok:
		return bogus("%s", p.why)
	case p.optOut:
		return &flaw{Insecure, fmt.Sprintf("an unsigned zone may be at %s instead of the wildcard (NSEC3 opt-out)", show(set.name))}
	}
	return nil
}

// occluded looks for a zone cut between z and a set that z has signed: then the
// set is not z's to sign (RFC 4035 section 5.3.1). Only a proof that there is one
// counts, as servers that answer well may answer DS badly.
func (v *validator) occluded(ctx context.Context, z *zone, set rrset) *flaw {
	const most = 4 // labels looked at: more are not found where people delegate
	home := set.name
	if set.typ == dns.TypeDS {
		home = parentOf(home)
	}
	first, last := dns.CountLabel(z.name)+1, dns.CountLabel(home)
	for n := first; n <= min(last, first+most-1); n++ {
		c, f := v.cutAt(ctx, z, suffixOf(home, n))
		switch {
		case f != nil || c.end:
			return nil
		case c.zone != nil && c.sure:
			return bogus("signature of %v is by %s, but the zone of the data is %s", set, show(z.name), show(c.zone.name))
		}
	}
	return nil
}

// denies says whether the message is about the absence of name.
func denies(msg *dns.Msg, name string) bool {
	if msg.Rcode == dns.RcodeNameError {
		return true
	}
	for _, rr := range msg.Ns {
		if rr.Header().Rrtype == dns.TypeSOA && within(name, owner(rr)) {
			return true
		}
	}
	return false
}

// nothing judges the statement that name, or its type, does not exist.
func (v *validator) nothing(ctx context.Context, msg *dns.Msg, name string, typ uint16, j *judged) *flaw {
	sets := setsOf(msg.Ns)
	home := name
	if typ == dns.TypeDS {
		home = parentOf(home)
	}
	z, f := v.descend(ctx, cmp.Or(signerOf(sets, home), home))
	if f != nil {
		return f
	}
	d, f := v.denialBy(z, msg, name)
	if f != nil {
		return f
	}
	if soa, ok := findSet(sets, z.name, dns.TypeSOA); ok {
		_, until, f := v.verify(soa, z)
		if f != nil {
			return f
		}
		j.relyOn(until)
	}
	var p proof
	if msg.Rcode == dns.RcodeNameError {
		p = d.noName(name)
	} else {
		p = d.noData(name, typ)
	}
	j.relyOn(d.until)
	j.relyOn(z.until)
	switch {
	case !p.ok:
		return bogus("%s", p.why)
	case p.optOut:
		return &flaw{Insecure, fmt.Sprintf("%s leaves unsigned what may be at %s (NSEC3 opt-out)", show(z.name), show(name))}
	}
	return nil
}
