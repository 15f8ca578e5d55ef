package dnsprobe

import "github.com/miekg/dns"

// rrset is the records of one name and type, with the signatures over them.
type rrset struct {
	name string
	typ  uint16
	rrs  []dns.RR
	sigs []*dns.RRSIG
}

func (s rrset) String() string { return show(s.name) + " " + showType(s.typ) }

// setsOf sorts the records of a section into sets, in their order. The records
// are copies whose owners are in lower case: signatures are made over that, and
// a resolver may mix the case of one set. Sets that have only signatures left
// are dropped.
func setsOf(section []dns.RR) []rrset {
	type key struct {
		name string
		typ  uint16
	}
	index := map[key]int{}
	var sets []rrset
	at := func(k key) *rrset {
		i, ok := index[k]
		if !ok {
			i = len(sets)
			index[k] = i
			sets = append(sets, rrset{name: k.name, typ: k.typ})
		}
		return &sets[i]
	}
	for _, rr := range section {
		h := rr.Header()
		if h.Class != dns.ClassINET || h.Rrtype == dns.TypeOPT {
			continue
		}
		rr = dns.Copy(rr)
		rr.Header().Name = owner(rr)
		if sig, ok := rr.(*dns.RRSIG); ok {
			s := at(key{sig.Hdr.Name, sig.TypeCovered})
			s.sigs = append(s.sigs, sig)
			continue
		}
		s := at(key{rr.Header().Name, h.Rrtype})
		s.rrs = append(s.rrs, rr)
	}
	kept := sets[:0]
	for _, s := range sets {
		if len(s.rrs) > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

func findSet(sets []rrset, name string, typ uint16) (rrset, bool) {
	for _, s := range sets {
		if s.name == name && s.typ == typ {
			return s, true
		}
	}
	return rrset{}, false
}

// signerOf returns the zone that claims to have signed one of sets, and could
// have by its name: the deepest that name is within. It is empty if none does.
func signerOf(sets []rrset, name string) string {
	deepest := ""
	for _, s := range sets {
		for _, sig := range s.sigs {
			signer := dns.CanonicalName(sig.SignerName)
			if within(name, signer) && within(s.name, signer) && (deepest == "" || below(signer, deepest)) {
				deepest = signer
			}
		}
	}
	return deepest
}
