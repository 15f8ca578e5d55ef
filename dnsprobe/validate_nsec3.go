package dnsprobe

import (
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// hashed is a denial by NSEC3: names stand in it by their hashes.
type hashed struct {
	zone    string
	records []span3
	salt    string
	iter    uint16
	budget  *budget
	hashes  map[string]string // of names already hashed
}

// span3 is from one hash to the next, both raw.
type span3 struct {
	from, to string
	types    types
	optOut   bool
}

var base32hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// add takes a record, or says why not. All of one answer have the same
// parameters (RFC 5155 section 8.2); unknown hashes and flags do not count
// (section 8.1).
func (h *hashed) add(b *budget, rr *dns.NSEC3, zone string) string {
	name := owner(rr)
	label, _, _ := strings.Cut(name, ".")
	from, err1 := base32hex.DecodeString(strings.ToUpper(label))
	to, err2 := base32hex.DecodeString(strings.ToUpper(rr.NextDomain))
	switch {
	case rr.Hash != dns.SHA1:
		return fmt.Sprintf("NSEC3 of %s is by hash %d, which is not known here", show(zone), rr.Hash)
	case rr.Flags&^1 != 0:
		return fmt.Sprintf("NSEC3 of %s has flags %#x, which are not known here", show(zone), rr.Flags)
	case err1 != nil || err2 != nil || len(from) != 20 || len(to) != 20 || parentOf(name) != zone:
		return fmt.Sprintf("NSEC3 %s is not of %s", show(name), show(zone))
	case len(h.records) > 0 && (rr.Iterations != h.iter || !strings.EqualFold(rr.Salt, h.salt)):
		return fmt.Sprintf("NSEC3 of %s are of several salts or iterations", show(zone))
	}
	if len(h.records) == 0 {
		*h = hashed{zone: zone, salt: rr.Salt, iter: rr.Iterations, budget: b, hashes: map[string]string{}}
	}
	h.records = append(h.records, span3{string(from), string(to), rr.TypeBitMap, rr.Flags&1 != 0})
	return ""
}

// hash returns the raw hash of name; it is empty once too many were computed.
func (h *hashed) hash(name string) string {
	if sum, ok := h.hashes[name]; ok {
		return sum
	}
	if !h.budget.hash() {
		return ""
	}
	sum, err := base32hex.DecodeString(dns.HashName(name, dns.SHA1, h.iter, h.salt))
	if err != nil {
		return ""
	}
	h.hashes[name] = string(sum)
	return string(sum)
}

func (h *hashed) matching(name string) *span3 {
	sum := h.hash(name)
	for i := range h.records {
		if sum != "" && h.records[i].from == sum {
			return &h.records[i]
		}
	}
	return nil
}

func (h *hashed) covering(name string) *span3 {
	sum := h.hash(name)
	for i := range h.records {
		if sum != "" && h.records[i].covers(sum) {
			return &h.records[i]
		}
	}
	return nil
}

// covers says whether sum is between the hashes. The last of a zone points at
// the first, and a sole one at itself.
func (s *span3) covers(sum string) bool {
	if s.from < s.to {
		return s.from < sum && sum < s.to
	}
	return s.from < sum || sum < s.to
}

// closest proves which name above name is the deepest that exists, and that the
// one a label longer does not (RFC 5155 section 8.3). cover is nil if it cannot.
func (h *hashed) closest(name string) (encloser string, cover *span3) {
	for next := name; next != h.zone && within(next, h.zone); next = parentOf(next) {
		encloser = parentOf(next)
		m := h.matching(encloser)
		if m == nil {
			continue
		}
		if m.types.hides() {
			return encloser, nil
		}
		return encloser, h.covering(next)
	}
	return "", nil
}

func (h *hashed) noData(name string, typ uint16) proof {
	if m := h.matching(name); m != nil {
		return m.types.lacks("NSEC3", name, typ)
	}
	encloser, cover := h.closest(name)
	if cover == nil {
		return h.unproven("that %s has no %s", show(name), showType(typ))
	}
	wildcard := wildcardOf(encloser)
	if m := h.matching(wildcard); m != nil {
		p := m.types.lacks("NSEC3", wildcard, typ)
		p.optOut, p.delegation = p.ok && cover.optOut, false
		return p
	}
	if cover.optOut {
		return proof{ok: true, optOut: true}
	}
	return h.unproven("that %s has no %s: it says that the name does not exist", show(name), showType(typ))
}

func (h *hashed) noName(name string) proof {
	if h.matching(name) != nil {
		return disproof("NSEC3 proves that %s does exist", show(name))
	}
	encloser, cover := h.closest(name)
	if cover == nil {
		return h.unproven("that %s does not exist", show(name))
	}
	if wildcard := wildcardOf(encloser); h.covering(wildcard) == nil {
		return h.unproven("that no wildcard %s stands for %s", show(wildcard), show(name))
	}
	return proof{ok: true, optOut: cover.optOut}
}

func (h *hashed) noCloser(name, encloser string) proof {
	next := suffixOf(name, dns.CountLabel(encloser)+1)
	cover := h.covering(next)
	if cover == nil {
		return h.unproven("that wildcard %s may stand for %s", show(wildcardOf(encloser)), show(name))
	}
	return proof{ok: true, optOut: cover.optOut}
}

func (h *hashed) unproven(format string, args ...any) proof {
	if h.budget.hashes > maxHashes {
		return disproof("NSEC3 of %s needs more than %d hashes", show(h.zone), maxHashes)
	}
	return disproof("NSEC3 does not prove "+format, args...)
}
