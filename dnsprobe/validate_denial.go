package dnsprobe

import (
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// denial is what a zone says, under its signature, about what it does not have.
type denial struct {
	zone    string
	nsec    []*dns.NSEC
	nsec3   hashed
	until   time.Time
	refused string // why a record of it did not count
}

// proof is what a denial shows about one name.
type proof struct {
	ok         bool
	optOut     bool   // only that nothing signed is there (RFC 5155 section 6)
	delegation bool   // a zone starts at the name; valid if ok
	why        string // not ok, for people
}

// denialBy takes the NSEC and NSEC3 records of the authority section that z has
// signed. The flaw is Insecure where a zone asks for more hashing than is done
// here, after its signature was found right (RFC 9276 section 3.2).
func (v *validator) denialBy(z *zone, msg *dns.Msg, name string) (denial, *flaw) {
	d := denial{zone: z.name}
	var first *flaw
	for _, set := range setsOf(msg.Ns) {
		if set.typ != dns.TypeNSEC && set.typ != dns.TypeNSEC3 {
			continue
		}
		encloser, until, f := v.verify(set, z)
		if f == nil && encloser != "" {
			// Renamed from the wildcard's own: it says nothing about this name.
			f = bogus("%v was made from a wildcard", set)
		}
		if f != nil {
			if first == nil {
				first = f
			}
			continue
		}
		d.until = earliest(d.until, until)
		if f := d.take(v, set); f != nil {
			return d, f
		}
	}
	if len(d.nsec) > 0 || len(d.nsec3.records) > 0 {
		return d, nil
	}
	if first != nil {
		d.refused = first.why
		return d, first
	}
	if d.refused != "" {
		return d, bogus("%s", d.refused)
	}
	return d, bogus("no NSEC or NSEC3 for %s came though %s is signed", show(name), show(z.name))
}

func (d *denial) take(v *validator, set rrset) *flaw {
	for _, rr := range set.rrs {
		switch rr := rr.(type) {
		case *dns.NSEC:
			d.nsec = append(d.nsec, rr)
		case *dns.NSEC3:
			if rr.Iterations > maxIterations {
				return &flaw{Insecure, fmt.Sprintf("NSEC3 of %s asks for %d iterations, and over %d are not done (RFC 9276)",
					show(d.zone), rr.Iterations, maxIterations)}
			}
			if why := d.nsec3.add(v.budget, rr, d.zone); why != "" {
				d.refused = why
			}
		}
	}
	return nil
}

// noData shows that name exists without records of type typ.
func (d *denial) noData(name string, typ uint16) proof {
	if len(d.nsec3.records) > 0 {
		return d.nsec3.noData(name, typ)
	}
	return d.noDataNSEC(name, typ)
}

// noName shows that name does not exist, nor a wildcard that would stand for it.
func (d *denial) noName(name string) proof {
	if len(d.nsec3.records) > 0 {
		return d.nsec3.noName(name)
	}
	return d.noNameNSEC(name)
}

// noCloser shows that name was rightly made from the wildcard below encloser:
// nothing closer to name exists.
func (d *denial) noCloser(name, encloser string) proof {
	if len(d.nsec3.records) > 0 {
		return d.nsec3.noCloser(name, encloser)
	}
	return d.noCloserNSEC(name, encloser)
}

// types is the bitmap of an NSEC or NSEC3.
type types []uint16

func (t types) has(typ uint16) bool {
	return slices.Contains(t, typ)
}

// delegates says that the record is of the parent's side of a zone cut, so that
// it says nothing of what is below (RFC 6840 section 4.1).
func (t types) delegates() bool { return t.has(dns.TypeNS) && !t.has(dns.TypeSOA) }

// hides says that names below the record's may exist elsewhere: it is a
// delegation or is redirected.
func (t types) hides() bool { return t.delegates() || t.has(dns.TypeDNAME) }

// lacks judges the record that is of the name itself.
func (t types) lacks(kind, name string, typ uint16) proof {
	switch {
	case t.has(typ):
		return disproof("%s of %s says that it has %s", kind, show(name), showType(typ))
	case t.has(dns.TypeCNAME):
		return disproof("%s of %s says that it is an alias", kind, show(name))
	case typ != dns.TypeDS && t.delegates():
		return disproof("%s of %s is of the zone above it, which cannot tell its %s", kind, show(name), showType(typ))
	case typ == dns.TypeDS && t.has(dns.TypeSOA) && name != ".":
		return disproof("%s of %s is its own, and only the zone above can tell its DS", kind, show(name))
	}
	return proof{ok: true, delegation: t.delegates()}
}

func disproof(format string, args ...any) proof {
	return proof{why: fmt.Sprintf(format, args...)}
}
