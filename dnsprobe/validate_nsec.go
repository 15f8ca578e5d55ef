package dnsprobe

import "github.com/miekg/dns"

// typeNXNAME in the bitmap of a name says that it does not exist: denial made on
// the spot names each name that is asked for (RFC 9824 section 3.4).
const typeNXNAME = 128

// matching returns the NSEC of name.
func (d *denial) matching(name string) *dns.NSEC {
	for _, n := range d.nsec {
		if owner(n) == name {
			return n
		}
	}
	return nil
}

// covering returns an NSEC between whose names name would be, if there were one.
// Those of a delegation or a DNAME above name say nothing about it.
func (d *denial) covering(name string) *dns.NSEC {
	for _, n := range d.nsec {
		if spans(owner(n), dns.CanonicalName(n.NextDomain), name, d.zone) &&
			!(below(name, owner(n)) && types(n.TypeBitMap).hides()) {
			return n
		}
	}
	return nil
}

// spans says whether name is between two names of zone. The last NSEC of a zone
// points at its first name, the zone's own.
func spans(from, to, name, zone string) bool {
	if !within(name, zone) || !within(from, zone) || !within(to, zone) || compareNames(from, name) >= 0 {
		return false
	}
	return to == zone || compareNames(name, to) < 0
}

// encloserOf is the deepest name that exists above name, by the NSEC covering it.
func encloserOf(n *dns.NSEC, name string) string {
	a := commonOf(name, owner(n))
	if b := commonOf(name, dns.CanonicalName(n.NextDomain)); below(b, a) {
		return b
	}
	return a
}

func (d *denial) noDataNSEC(name string, typ uint16) proof {
	if n := d.matching(name); n != nil {
		return types(n.TypeBitMap).lacks("NSEC", name, typ)
	}
	n := d.covering(name)
	if n == nil {
		return disproof("NSEC does not prove that %s has no %s", show(name), showType(typ))
	}
	if within(dns.CanonicalName(n.NextDomain), name) {
		return proof{ok: true} // an empty name on the way to another
	}
	wildcard := wildcardOf(encloserOf(n, name))
	if w := d.matching(wildcard); w != nil {
		p := types(w.TypeBitMap).lacks("NSEC", wildcard, typ)
		p.delegation = false // at the wildcard, which stands for no zone
		return p
	}
	return disproof("NSEC does not prove that %s has no %s: it says that the name does not exist", show(name), showType(typ))
}

func (d *denial) noNameNSEC(name string) proof {
	if n := d.matching(name); n != nil {
		if types(n.TypeBitMap).has(typeNXNAME) {
			return proof{ok: true}
		}
		return disproof("NSEC proves that %s does exist", show(name))
	}
	n := d.covering(name)
	if n == nil {
		return disproof("NSEC does not prove that %s does not exist", show(name))
	}
	if within(dns.CanonicalName(n.NextDomain), name) {
		return disproof("NSEC proves that %s does exist, as there are names below it", show(name))
	}
	if wildcard := wildcardOf(encloserOf(n, name)); d.covering(wildcard) == nil {
		return disproof("NSEC does not prove that no wildcard %s stands for %s", show(wildcard), show(name))
	}
	return proof{ok: true}
}

func (d *denial) noCloserNSEC(name, encloser string) proof {
	n := d.covering(name)
	if n == nil || encloserOf(n, name) != encloser {
		return disproof("NSEC does not prove that wildcard %s may stand for %s", show(wildcardOf(encloser)), show(name))
	}
	return proof{ok: true}
}
