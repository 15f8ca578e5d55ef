package dnsprobe

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Names are kept in lower case, with their final dot, and with exactly the
// escapes that unpacking a message gives, so that equal names are equal strings.

// canonical returns the one form of a name that a user wrote or a record holds.
func canonical(name string) (string, error) {
	var wire [255]byte
	n, err := dns.PackDomainName(dns.Fqdn(name), wire[:], 0, nil, false)
	if err != nil {
		return "", errors.New("not a domain name")
	}
	name, _, err = dns.UnpackDomainName(wire[:n], 0)
	if err != nil {
		return "", errors.New("not a domain name")
	}
	return dns.CanonicalName(name), nil
}

// owner returns the canonical name of a record out of a message.
func owner(rr dns.RR) string { return dns.CanonicalName(rr.Header().Name) }

// parentOf returns the name without its first label; the root is its own parent.
func parentOf(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// suffixOf returns the last n labels of name.
func suffixOf(name string, n int) string {
	for range dns.CountLabel(name) - n {
		name = parentOf(name)
	}
	return name
}

// within says whether name is zone or below it.
func within(name, zone string) bool { return dns.IsSubDomain(zone, name) }

// below says whether name is below zone.
func below(name, zone string) bool { return name != zone && within(name, zone) }

// commonOf returns the deepest name that both are, or are below.
func commonOf(a, b string) string { return suffixOf(a, dns.CompareDomainName(a, b)) }

// wildcardOf returns the wildcard whose parent is name.
func wildcardOf(name string) string {
	if name == "." {
		return "*."
	}
	return "*." + name
}

// compareNames orders names canonically (RFC 4034 section 6.1): by their labels
// as raw bytes in lower case, from the last one.
func compareNames(a, b string) int {
	la, lb := rawLabels(a), rawLabels(b)
	slices.Reverse(la)
	slices.Reverse(lb)
	for i := range min(len(la), len(lb)) {
		if c := bytes.Compare(la[i], lb[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(la), len(lb))
}

func rawLabels(name string) [][]byte {
	var wire [255]byte
	n, err := dns.PackDomainName(name, wire[:], 0, nil, false)
	if err != nil {
		return nil
	}
	var labels [][]byte
	for i := 0; i < n && wire[i] != 0; i += 1 + int(wire[i]) {
		labels = append(labels, bytes.Clone(wire[i+1:i+1+int(wire[i])]))
	}
	return labels
}

// show writes a name as people do: without the final dot.
func show(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// showType names a record type.
func showType(t uint16) string { return dns.Type(t).String() }
