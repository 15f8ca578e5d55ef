package dnsprobe

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// key is a DNSKEY that may sign what is in its zone.
type key struct {
	rr       *dns.DNSKEY
	tag      uint16
	unusable string // why signatures by it cannot be checked here; empty if they can
	used     bool   // a signature by it was checked and right
}

// keysOf returns the zone keys of a set. Keys of another kind, and those their
// owner has revoked (RFC 5011 section 2.1), sign nothing.
func keysOf(set rrset) []*key {
	var keys []*key
	for _, rr := range set.rrs {
		k, ok := rr.(*dns.DNSKEY)
		if !ok || k.Flags&dns.ZONE == 0 || k.Flags&dns.REVOKE != 0 || k.Protocol != 3 {
			continue
		}
		keys = append(keys, &key{rr: k, tag: k.KeyTag(), unusable: unusable(k)})
	}
	return keys
}

// minRSA is the fewest bits of an RSA key that crypto/rsa verifies with, and
// what no key of DNSSEC should fall below (RFC 8624 section 3.1 and RFC 6781).
const minRSA = 1024

// unusable says why the crypto packages cannot work with a key, if so.
func unusable(k *dns.DNSKEY) string {
	raw, err := base64.StdEncoding.DecodeString(k.PublicKey)
	if err != nil {
		return "it is no base64"
	}
	size := map[uint8]int{dns.ECDSAP256SHA256: 64, dns.ECDSAP384SHA384: 96, dns.ED25519: 32}[k.Algorithm]
	switch {
	case !knownAlgorithm(k.Algorithm):
		return fmt.Sprintf("it is for %s", showAlgorithm(k.Algorithm))
	case size > 0 && len(raw) != size:
		return fmt.Sprintf("it has %d bytes, not the %d of %s", len(raw), size, showAlgorithm(k.Algorithm))
	case size > 0:
		return ""
	}
	return unusableRSA(raw)
}

// unusableRSA reads the form of RFC 3110 section 2.
func unusableRSA(raw []byte) string {
	if len(raw) < 3 {
		return "it is too short for RSA"
	}
	exponent, at := int(raw[0]), 1
	if exponent == 0 {
		exponent, at = int(raw[1])<<8|int(raw[2]), 3
	}
	bits := (len(raw) - at - exponent) * 8
	switch {
	case exponent == 0 || bits <= 0:
		return "it is no RSA key"
	case exponent > 4:
		return fmt.Sprintf("its RSA exponent has %d bits", exponent*8)
	case bits < minRSA:
		return fmt.Sprintf("it has %d bits, and RSA under %d is not trusted", bits, minRSA)
	case bits > 4096:
		return fmt.Sprintf("it has %d bits, and RSA over 4096 is not checked", bits)
	}
	return ""
}

// delegations are the DS records a parent (or an anchor) has for a zone.
type delegations []*dns.DS

// understood leaves those whose algorithm and digest are known here. Weak SHA-1
// digests do not count beside strong ones (RFC 4509 section 3).
func (ds delegations) understood() delegations {
	var kept delegations
	strong := false
	for _, d := range ds {
		switch d.DigestType {
		case dns.SHA256, dns.SHA384:
			strong = strong || knownAlgorithm(d.Algorithm)
		case dns.SHA1:
		default:
			continue
		}
		if knownAlgorithm(d.Algorithm) {
			kept = append(kept, d)
		}
	}
	return slices.DeleteFunc(kept, func(d *dns.DS) bool { return strong && d.DigestType == dns.SHA1 })
}

// match returns the keys that one of ds is the digest of.
func (ds delegations) match(keys []*key) []*key {
	var matched []*key
	digests := 0
	for _, k := range keys {
		for _, d := range ds {
			if d.KeyTag != k.tag || d.Algorithm != k.rr.Algorithm {
				continue
			}
			if digests++; digests > maxDigests {
				return matched
			}
			if of := k.rr.ToDS(d.DigestType); of != nil && strings.EqualFold(of.Digest, d.Digest) {
				matched = append(matched, k)
				break
			}
		}
	}
	return matched
}

// String lists them as tags with algorithms, the first few.
func (ds delegations) String() string {
	const most = 4
	var b strings.Builder
	for i, d := range ds {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(ds)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d/%s", d.KeyTag, showAlgorithm(d.Algorithm))
	}
	return b.String()
}

// algorithms names each algorithm and digest once.
func (ds delegations) algorithms() string {
	var names []string
	for _, d := range ds {
		names = append(names, fmt.Sprintf("%s with digest %s", showAlgorithm(d.Algorithm),
			cmp.Or(dns.HashToString[d.DigestType], fmt.Sprint(d.DigestType))))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 4 {
		names = append(names[:4], "...")
	}
	return strings.Join(names, ", ")
}
