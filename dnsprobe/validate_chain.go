package dnsprobe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// zone is one whose keys are trusted, or which is known to be signed by nobody
// that the anchor vouches for.
type zone struct {
	name  string
	all   []*key    // it has
	keys  []*key    // that are trusted
	until time.Time // when the first signature on the way here ends
	flaw  *flaw     // why nothing in it is secure; nil if its keys are trusted
}

// cut is what the parent says about one name below its own.
type cut struct {
	zone *zone // that starts there; nil if none does
	sure bool  // it does start there: opt-out only says that it may
	end  bool  // the name does not exist, so nothing is below it (RFC 8020)
}

// descend goes from the nearest anchor down to the zone that target is in,
// label by label, as only the parent of each name can say whether a zone starts
// there and whether it is signed. It ends early at an insecure zone.
func (v *validator) descend(ctx context.Context, target string) (*zone, *flaw) {
	z, f := v.anchored(ctx, target)
	if f != nil {
		return nil, f
	}
	for n := dns.CountLabel(z.name) + 1; n <= dns.CountLabel(target) && z.flaw == nil; n++ {
		c, f := v.cutAt(ctx, z, suffixOf(target, n))
		if f != nil {
			return nil, f
		}
		if c.end {
			break
		}
		if c.zone != nil {
			z = c.zone
		}
	}
	return z, z.flaw
}

// anchored returns the deepest zone above name that an anchor is for.
func (v *validator) anchored(ctx context.Context, name string) (*zone, *flaw) {
	for at := name; ; at = parentOf(at) {
		if ds := v.anchors.of(at); len(ds) > 0 {
			z, ok := v.zones[at]
			if !ok {
				z = v.enter(ctx, at, ds, nil)
				v.zones[at] = z
			}
			return z, nil
		}
		if at == "." {
			return nil, &flaw{Indeterminate, fmt.Sprintf("no trust anchor is for %s or a zone above it", show(name))}
		}
	}
}

// cutAt asks the parent zone z whether a zone starts at name.
func (v *validator) cutAt(ctx context.Context, z *zone, name string) (cut, *flaw) {
	if c, ok := v.cuts[name]; ok {
		return c, nil
	}
	c, f := v.askCut(ctx, z, name)
	if f == nil {
		v.cuts[name] = c
	}
	return c, f
}

func (v *validator) askCut(ctx context.Context, z *zone, name string) (cut, *flaw) {
	msg, f := v.ask(ctx, name, dns.TypeDS)
	if f != nil {
		return cut{}, f
	}
	sets := setsOf(msg.Answer)
	if ds, ok := findSet(sets, name, dns.TypeDS); ok {
		return v.signedCut(ctx, z, ds)
	}
	for _, s := range sets {
		// A name that is an alias, or is below one, is no zone.
		if s.typ == dns.TypeCNAME && s.name == name || s.typ == dns.TypeDNAME && below(name, s.name) {
			_, _, f := v.verify(s, z)
			return cut{}, f
		}
	}
	return v.unsignedCut(z, msg, name)
}

func (v *validator) signedCut(ctx context.Context, z *zone, set rrset) (cut, *flaw) {
	encloser, until, f := v.verify(set, z)
	if f == nil && encloser != "" {
		f = bogus("the DS of %s was made from a wildcard", show(set.name))
	}
	if f != nil {
		return cut{}, f
	}
	var ds delegations
	for _, rr := range set.rrs {
		if d, ok := rr.(*dns.DS); ok {
			ds = append(ds, d)
		}
	}
	below := v.enter(ctx, set.name, ds, z)
	below.until = earliest(below.until, until)
	return cut{zone: below, sure: true}, nil
}

// unsignedCut reads the proof that there is no DS: a zone that starts here is
// insecure then, and only then.
func (v *validator) unsignedCut(z *zone, msg *dns.Msg, name string) (cut, *flaw) {
	d, f := v.denialBy(z, msg, name)
	switch {
	case f == nil:
	case f.is == Insecure:
		return cut{zone: v.island(z, name, d, f.why)}, nil
	case d.refused == "":
		return cut{}, bogus("no DS of %s came, and no proof by %s that there is none", show(name), show(z.name))
	default:
		return cut{}, f
	}
	p := d.noData(name, dns.TypeDS)
	if !p.ok {
		nx := d.noName(name)
		if !nx.ok {
			return cut{}, bogus("%s", p.why)
		}
		if !nx.optOut {
			return cut{end: true}, nil
		}
		p = nx
	}
	switch {
	case p.optOut:
		return cut{zone: v.island(z, name, d, fmt.Sprintf("%s leaves unsigned what is at %s (NSEC3 opt-out)", show(z.name), show(name)))}, nil
	case p.delegation:
		return cut{zone: v.island(z, name, d, fmt.Sprintf("%s proves that there is no DS of %s", show(z.name), show(name))), sure: true}, nil
	}
	return cut{}, nil
}

// island is a zone that nothing vouches for.
func (v *validator) island(parent *zone, name string, d denial, why string) *zone {
	z := &zone{name: name, until: earliest(parent.until, d.until), flaw: &flaw{Insecure, why}}
	v.link(z, ZoneStep{})
	return z
}

// enter fetches the keys of the zone that ds vouch for.
func (v *validator) enter(ctx context.Context, name string, ds delegations, parent *zone) *zone {
	z := &zone{name: name}
	step := ZoneStep{Anchor: parent == nil}
	for _, d := range ds[:min(len(ds), maxListed)] {
		step.DS = append(step.DS, DelegationSigner{d.KeyTag, showAlgorithm(d.Algorithm), dns.HashToString[d.DigestType]})
	}
	if parent != nil {
		z.until = parent.until
	}
	known := ds.understood()
	if len(known) == 0 {
		z.flaw = &flaw{Insecure, fmt.Sprintf("all DS of %s are of kinds not known here: %s", show(name), ds.algorithms())}
		v.link(z, step)
		return z
	}
	msg, f := v.ask(ctx, name, dns.TypeDNSKEY)
	var set rrset
	if f == nil {
		set, f = v.keySet(msg, name, parent == nil)
	}
	if f == nil {
		f = v.trust(z, known, set)
	}
	z.flaw = f
	v.link(z, step)
	return z
}

func (v *validator) keySet(msg *dns.Msg, name string, first bool) (rrset, *flaw) {
	set, ok := findSet(setsOf(msg.Answer), name, dns.TypeDNSKEY)
	opt := msg.IsEdns0()
	switch {
	case (!ok || len(set.sigs) == 0) && first && (opt == nil || !opt.Do()):
		return set, &flaw{Indeterminate, "the server passes no DNSSEC records on (its answers lack the DO bit)"}
	case !ok:
		return set, bogus("%s has no DNSKEY though there is a DS of it", show(name))
	}
	return set, nil
}

// trust takes the keys of set for z's if one that ds vouch for has signed them
// (RFC 4035 section 5.2).
func (v *validator) trust(z *zone, ds delegations, set rrset) *flaw {
	z.all = keysOf(set)
	vouched := ds.match(z.all)
	switch {
	case len(vouched) == 0:
		return bogus("DS of %s (%v) matches no DNSKEY", show(z.name), ds)
	case !slices.ContainsFunc(vouched, func(k *key) bool { return k.unusable == "" }):
		return &flaw{Insecure, fmt.Sprintf("the key of %s that its DS matches cannot be used here: %s", show(z.name), vouched[0].unusable)}
	}
	z.keys = vouched
	_, until, f := v.verify(set, z)
	if f != nil {
		return f
	}
	z.keys = z.all
	z.until = earliest(z.until, until)
	return nil
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// link appends the zone to the chain that is told.
func (v *validator) link(z *zone, step ZoneStep) {
	step.Zone, step.Status = show(z.name), Secure
	if z.flaw != nil {
		step.Status, step.Why = z.flaw.is, z.flaw.why
	}
	step.Took, v.took = v.took, 0
	v.verdict.Chain = append(v.verdict.Chain, step)
	v.linked = append(v.linked, z)
}

// maxListed is how many DS and how many keys are told of a zone.
const maxListed = 32

// finish adds to the chain what was learned of its zones after they were entered.
func (v *validator) finish() {
	for i, z := range v.linked {
		step := &v.verdict.Chain[i]
		step.Until = z.until
		for _, k := range z.all[:min(len(z.all), maxListed)] {
			step.Keys = append(step.Keys, SigningKey{Tag: k.tag, Algorithm: showAlgorithm(k.rr.Algorithm), SEP: k.rr.Flags&dns.SEP != 0, Used: k.used})
		}
	}
}

// ask fetches one set. Silence and refusals leave the verdict open.
func (v *validator) ask(ctx context.Context, name string, typ uint16) (*dns.Msg, *flaw) {
	if v.verdict.Queries++; v.verdict.Queries > maxValidateQueries {
		return nil, &flaw{Indeterminate, fmt.Sprintf("more than %d queries needed", maxValidateQueries)}
	}
	msg, took, err := v.fetch(ctx, name, typ)
	v.took += took
	v.verdict.Took += took
	what := show(name) + " " + showType(typ)
	switch {
	case ctx.Err() != nil:
		return nil, &flaw{Indeterminate, "interrupted before the chain was complete"}
	case err != nil:
		return nil, &flaw{Indeterminate, fmt.Sprintf("no answer for %s: %v", what, err)}
	case msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError:
		return nil, &flaw{Indeterminate, fmt.Sprintf("the server answered %s for %s", showRcode(msg.Rcode), what)}
	}
	return msg, nil
}

func showRcode(r int) string {
	if s, ok := dns.RcodeToString[r]; ok {
		return s
	}
	return fmt.Sprintf("rcode %d", r)
}
