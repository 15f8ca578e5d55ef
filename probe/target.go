package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Host is one host as a user wrote it, checked but not looked up: a literal
// address, or a name fit for a resolver.
type Host struct {
	Name   string     // as written
	Addr   netip.Addr // the literal, unmapped; invalid for a name
	Lookup string     // the name to ask a resolver for, in ASCII; empty for a literal
	Port   uint16     // of it that is asked, 0 where the protocol has none; ParseHost knows of none
}

// ErrAddress is inside the errors of ParseHost for what is an address, but not
// the address of one host: unspecified, multicast, limited broadcast.
var ErrAddress = errors.New("not the address of one host")

// maxName is the longest host name in text: 255 octets on the wire less the
// length octet of the first label and the root label (RFC 1035, section 2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// ParseHost reads an address ("192.0.2.1", "2001:db8::1", "[2001:db8::1]",
// "fe80::1%eth0") or a host name. toASCII turns a name with other characters
// into its ASCII form (RFC 5891); nil refuses those names. What looks like an
// IPv4 address and is none ("256.1.1.1", "1.2.3", "010.0.0.1") is an error,
// never a name: no top-level domain is a number (RFC 3696, section 2).
//
// Errors say what is wrong, without the name. No resolver is asked.
func ParseHost(s string, toASCII func(string) (string, error)) (Host, error) {
	if literal, ok := literalOf(s); ok {
		addr, err := netip.ParseAddr(literal)
		if err != nil {
			return Host{}, errors.New("not an IP address")
		}
		addr = addr.Unmap()
		if err := CheckUnicast(addr); err != nil {
			return Host{}, err
		}
		return Host{Name: s, Addr: addr}, nil
	}
	name := s
	if !isASCII(s) {
		if toASCII == nil {
			return Host{}, errors.New("not a host name: not in ASCII")
		}
		var err error
		if name, err = toASCII(s); err != nil {
			return Host{}, errors.New("not a host name: not allowed in an internationalized name")
		}
	}
	if err := checkName(name); err != nil {
		return Host{}, err
	}
	return Host{Name: s, Lookup: name}, nil
}

// CheckUnicast returns an error wrapping ErrAddress unless packets to addr
// reach one host, which then answers from that address. The broadcast address
// of a subnet is not recognized: it depends on the subnet.
func CheckUnicast(addr netip.Addr) error {
	switch {
	case addr.WithZone("").IsUnspecified():
		return fmt.Errorf("%w: unspecified", ErrAddress)
	case addr.IsMulticast():
		return fmt.Errorf("%w: multicast", ErrAddress)
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%w: broadcast", ErrAddress)
	}
	return nil
}

// literalOf reports whether s can only be meant as an address, and returns it
// without brackets.
func literalOf(s string) (string, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, _ = strings.CutSuffix(inner, "]")
		return inner, strings.HasSuffix(s, "]") && strings.Contains(inner, ":")
	}
	if strings.Count(s, ":") >= 2 && !strings.Contains(s, "/") {
		return s, true
	}
	last := strings.TrimSuffix(s, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	return s, isNumber(last)
}

// isNumber reports whether a last label is one that inet_aton(3) would read as
// part of an address: decimal, octal or hexadecimal.
func isNumber(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		label, digits = rest, "0123456789abcdef"
		if label == "" {
			return true
		}
	}
	return label != "" && strings.Trim(strings.ToLower(label), digits) == ""
}

// checkName checks the form of an ASCII host name (RFC 1123, section 2.1), with
// the underscore that so many hosts have nevertheless.
func checkName(name string) error {
	name = strings.TrimSuffix(name, ".")
	switch {
	case name == "":
		return errors.New("not a host name: empty")
	case len(name) > maxName:
		return fmt.Errorf("not a host name: longer than %d characters", maxName)
	case name[0] == '-':
		return errors.New("not a host name: starts with a hyphen")
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return errors.New("not a host name: empty label")
		case len(label) > maxLabel:
			return fmt.Errorf("not a host name: label longer than %d characters", maxLabel)
		}
		if i := strings.IndexFunc(label, notInName); i >= 0 {
			return fmt.Errorf("not a host name: character %q", label[i])
		}
	}
	return nil
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
