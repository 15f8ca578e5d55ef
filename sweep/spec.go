package sweep

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"netprobe/probe"
)

// Spec is one target as a user wrote it: a range of addresses, or a name.
type Spec struct {
	Text  string      // as written
	Range probe.Range // the addresses; the zero Range for a name
	Host  probe.Host  // the name; the zero Host for addresses
}

// Parser reads what users write for a target.
type Parser struct {
	Broadcast bool   // keep the network and broadcast addresses of IPv4 networks
	Zone      string // of link-local addresses written without one
	Family    int    // 4 or 6 refuses the other family's addresses; 0 takes both

	ToASCII func(string) (string, error) // as for probe.ParseHost
}

// Parse reads
//
//	192.0.2.0/24  2001:db8::/112  fe80::%eth0/120  a network; host bits may be set
//	192.0.2.1-192.0.2.99  2001:db8::1-2001:db8::ff from one address to another
//	192.0.2.1-9                                    the same, in the last octet
//	192.0.2.1  2001:db8::1  fe80::1%eth0           an address
//	www.example.com  web-1                         a name
//
// IPv4 networks lose their first and last address unless p.Broadcast; those of
// two addresses or one keep all (RFC 3021). Networks and ranges with addresses
// that are no host's (multicast, unspecified, limited broadcast) are refused.
//
// Errors say what is wrong, without the target. No resolver is asked.
func (p Parser) Parse(s string) (Spec, error) {
	var r probe.Range
	var err error
	if addr, bits, ok := strings.Cut(s, "/"); ok {
		var n network
		if n, err = parseNetwork(addr, bits); err == nil {
			r, err = p.hosts(n)
		}
	} else if first, last, ok := cutRange(s); ok {
		if r, err = parseRange(first, last); err == nil {
			err = checkHosts(r)
		}
	} else {
		var host probe.Host
		if host, err = probe.ParseHost(s, p.ToASCII); err == nil && !host.Addr.IsValid() {
			return Spec{Text: s, Host: host}, nil
		}
		r = probe.Range{First: host.Addr, Last: host.Addr}
		if err == nil && host.Addr.Zone() != "" {
			err = checkHosts(r)
		}
	}
	if err == nil {
		r, err = p.local(r)
	}
	if err == nil && len(r.First.Zone()) > maxZone {
		err = fmt.Errorf("zone longer than %d characters", maxZone)
	}
	if err != nil {
		return Spec{}, err
	}
	return Spec{Text: s, Range: r}, nil
}

// hosts returns the addresses of n that hosts may have.
func (p Parser) hosts(n network) (probe.Range, error) {
	r := n.all()
	if n.Bits() == 0 && n.Addr().Is4() {
		return r, errors.New("all of IPv4 includes multicast and broadcast addresses: list the networks to sweep")
	}
	if n.Bits() == 0 {
		return r, errors.New("all of IPv6 includes multicast addresses: list the networks to sweep")
	}
	if err := checkHosts(r); err != nil {
		return r, err
	}
	if n.Addr().Is4() && n.Bits() <= 30 && !p.Broadcast {
		r.First, r.Last = r.First.Next(), r.Last.Prev()
	}
	return r, nil
}

// local checks the family of r and gives link-local addresses their zone.
func (p Parser) local(r probe.Range) (probe.Range, error) {
	switch {
	case p.Family == 4 && !r.First.Is4():
		return r, errors.New("not IPv4")
	case p.Family == 6 && !r.First.Is6():
		return r, errors.New("not IPv6")
	case r.First.Zone() != "" || !overlap(r, linkLocal):
		return r, nil
	case p.Zone == "":
		return r, errors.New("link-local: needs a zone, the interface to leave through, as in fe80::1%eth0 or fe80::%eth0/120")
	}
	r.First, r.Last = r.First.WithZone(p.Zone), r.Last.WithZone(p.Zone)
	return r, nil
}

var linkLocal = probe.PrefixRange(netip.MustParsePrefix("fe80::/10"))

// noHosts are the addresses that packets to one host never have.
var noHosts = []struct {
	probe.Range
	text string
}{
	{probe.PrefixRange(netip.MustParsePrefix("0.0.0.0/32")), "includes 0.0.0.0, the unspecified address"},
	{probe.PrefixRange(netip.MustParsePrefix("224.0.0.0/4")), "includes multicast addresses (224.0.0.0/4)"},
	{probe.PrefixRange(netip.MustParsePrefix("255.255.255.255/32")), "includes 255.255.255.255, the broadcast address"},
	{probe.PrefixRange(netip.MustParsePrefix("::/128")), "includes ::, the unspecified address"},
	{probe.PrefixRange(netip.MustParsePrefix("ff00::/8")), "includes multicast addresses (ff00::/8)"},
}

// checkHosts refuses ranges with addresses that are no host's.
func checkHosts(r probe.Range) error {
	for _, no := range noHosts {
		if overlap(r, no.Range) {
			return errors.New(no.text)
		}
	}
	return nil
}

// overlap reports whether a and b share an address, in whatever zone.
func overlap(a, b probe.Range) bool {
	if a.First.BitLen() != b.First.BitLen() {
		return false
	}
	a, b = unzoned(a), unzoned(b)
	return !a.Last.Less(b.First) && !b.Last.Less(a.First)
}

func unzoned(r probe.Range) probe.Range {
	return probe.Range{First: r.First.WithZone(""), Last: r.Last.WithZone("")}
}

// maxRangeText bounds how long a target is looked at as a range: longer than
// two addresses with zones.
const maxRangeText = 256

// maxZone is beyond the longest name of an interface: 15 octets on Linux and
// the BSDs (IF_NAMESIZE).
const maxZone = 64

// cutRange reports whether s can only be meant as a range, and returns its
// ends. Names and zones may have hyphens: there is a range where an address is
// to the left of one, and what could be an end to the right of it.
func cutRange(s string) (first, last string, ok bool) {
	if len(s) > maxRangeText || !strings.Contains(s, "-") {
		return "", "", false
	}
	for i := range len(s) {
		if s[i] != '-' {
			continue
		}
		from, err := parseAddr(s[:i])
		if err != nil {
			continue
		}
		if _, err := parseEnd(from, s[i+1:]); err == nil || from.Zone() == "" {
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

func parseRange(first, last string) (probe.Range, error) {
	from, err := parseAddr(first)
	if err != nil {
		return probe.Range{}, errors.New("not a range: no address before the hyphen")
	}
	to, err := parseEnd(from, last)
	if err != nil {
		return probe.Range{}, err
	}
	switch {
	case from.BitLen() != to.BitLen():
		return probe.Range{}, errors.New("not a range: from one address family to the other")
	case from.Zone() == "":
		from = from.WithZone(to.Zone())
	case to.Zone() == "":
		to = to.WithZone(from.Zone())
	}
	switch {
	case from.Zone() != to.Zone():
		return probe.Range{}, errors.New("not a range: from one zone to another")
	case to.Less(from):
		return probe.Range{}, errors.New("not a range: ends before it starts")
	}
	return probe.Range{First: from, Last: to}, nil
}

// parseEnd reads the end of a range that starts at from: an address, or the
// last octet of one.
func parseEnd(from netip.Addr, s string) (netip.Addr, error) {
	if s == "" || !from.Is4() || strings.Trim(s, "0123456789") != "" {
		to, err := parseAddr(s)
		if err != nil {
			return to, errors.New("not a range: no address after the hyphen")
		}
		return to, nil
	}
	octet, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return netip.Addr{}, errors.New("not a range: last octet over 255")
	}
	b := from.As4()
	b[3] = byte(octet)
	return netip.AddrFrom4(b), nil
}

// parseAddr reads an address, possibly in brackets.
func parseAddr(s string) (netip.Addr, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		s = inner[:len(inner)-1]
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err
}

// network is an IP network as written. A netip.Prefix has no zone.
type network struct {
	netip.Prefix
	zone string
}

// all returns all addresses of n.
func (n network) all() probe.Range {
	r := probe.PrefixRange(n.Prefix)
	return probe.Range{First: r.First.WithZone(n.zone), Last: r.Last.WithZone(n.zone)}
}

func parseNetwork(addr, length string) (network, error) {
	a, err := parseAddr(addr)
	if err != nil {
		return network{}, errors.New("not a network: no address before the slash")
	}
	bits, err := strconv.ParseUint(length, 10, 16)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.HasPrefix(length, "+") || len(length) > 1 && length[0] == '0' {
		return network{}, errors.New("not a network: prefix length is not a number")
	}
	most, least := uint64(a.BitLen()), uint64(0)
	if a.Is4() && strings.Contains(addr, ":") {
		most, least = 128, 96 // an IPv4 network written as mapped into IPv6
	}
	switch {
	case err != nil || bits > most:
		return network{}, fmt.Errorf("not a network: prefix length over %d", most)
	case bits < least:
		return network{}, fmt.Errorf("not a network: prefix length below %d for mapped IPv4", least)
	}
	return network{netip.PrefixFrom(a, int(bits-least)), a.Zone()}, nil
}
