package dnsprobe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"netprobe/probe"
)

// Question is what is asked. The zero Class is IN.
type Question struct {
	name  string // fully qualified, presentation format
	typ   uint16
	class uint16
}

// NewQuestion reads a name, which is taken as fully qualified, a type (A, TYPE65280,
// any; empty for A) and a class (IN, CH, HS; empty for IN).
func NewQuestion(name, typ, class string) (Question, error) {
	q := Question{typ: dns.TypeA, class: dns.ClassINET}
	if typ != "" {
		var ok bool
		if q.typ, ok = parseType(typ); !ok {
			return q, fmt.Errorf("%q is not a record type", typ)
		}
	}
	if class != "" {
		var ok bool
		if q.class, ok = dns.StringToClass[strings.ToUpper(class)]; !ok {
			return q, fmt.Errorf("%q is not a class", class)
		}
	}
	var err error
	q.name, err = checkName(name)
	return q, err
}

// IsType reports whether word is the name of a record type.
func IsType(word string) bool {
	_, ok := parseType(word)
	return ok
}

// Types returns the names of the usual record types.
func Types() []string {
	return []string{"A", "AAAA", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SVCB", "TLSA", "TXT"}
}

// parseType reads the name of a type that can be asked for: also those of RFC 3597
// (TYPE65280), but no transfer, which is more than one answer.
func parseType(word string) (uint16, bool) {
	up := strings.ToUpper(word)
	typ, ok := dns.StringToType[up]
	if !ok {
		typ, ok = numbered(up, "TYPE")
	}
	switch typ {
	case dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeIXFR, dns.TypeAXFR:
		return 0, false
	}
	return typ, ok
}

// numbered reads TYPE65280, where prefix is TYPE.
func numbered(word, prefix string) (uint16, bool) {
	number, ok := strings.CutPrefix(word, prefix)
	n, err := strconv.ParseUint(number, 10, 16)
	return uint16(n), ok && err == nil && strconv.FormatUint(n, 10) == number
}

// checkName returns a name fully qualified, if it is one.
func checkName(name string) (string, error) {
	if name == "" {
		return "", errors.New("not a domain name: empty")
	}
	fqdn := dns.Fqdn(name)
	wire := make([]byte, 256)
	if _, ok := dns.IsDomainName(fqdn); !ok {
		return "", errors.New("not a domain name")
	}
	if n, err := dns.PackDomainName(fqdn, wire, 0, nil, false); err != nil || n > 255 {
		return "", errors.New("not a domain name: longer than 255 octets, or a label longer than 63")
	}
	return fqdn, nil
}

// ReverseName is the name whose PTR records say what an address is called.
func ReverseName(addr netip.Addr) string {
	name, err := dns.ReverseAddr(addr.WithZone("").String())
	if err != nil {
		return "" // not for valid addresses
	}
	return name
}

// Words is the question as records and people have it.
func (q Question) Words() probe.DNSQuestion {
	return probe.DNSQuestion{Name: q.name, Type: typeName(q.typ), Class: className(q.class)}
}

// typeName is the name of a type, TYPE123 if it has none (RFC 3597, section 5).
func typeName(typ uint16) string { return dns.Type(typ).String() }

func className(class uint16) string { return dns.Class(class).String() }

// rcodeName is the name of an rcode, RCODE42 if it has none.
func rcodeName(rcode int) string {
	if rcode == dns.RcodeBadVers { // and BADSIG, which is of TSIG
		return "BADVERS"
	}
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

// Rcodes returns the names of all rcodes an answer may have.
func Rcodes() []string {
	var names []string
	for code := range dns.RcodeToString {
		names = append(names, rcodeName(code))
	}
	slices.Sort(names)
	return names
}
