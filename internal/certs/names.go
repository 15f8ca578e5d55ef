package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/netip"
	"strings"

	"netprobe/internal/snippet"
)

// ServerName is what a server is asked for and has to be by its certificate, if it
// was given as host: without the dot that may end a name and the zone of an address.
func ServerName(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.WithZone("").String()
	}
	if n := len(host); n > 1 && host[n-1] == '.' {
		return host[:n-1]
	}
	return host
}

// wrongName says for what names the certificate is instead.
func wrongName(leaf *x509.Certificate, host string) string {
	names := Names(leaf)
	if len(names) == 0 {
		return "certificate is for no name at all (it has no subject alternative names), not for " + host
	}
	const few = 3
	more := ""
	if len(names) > few {
		more = fmt.Sprintf(" and %d more", len(names)-few)
		names = names[:few]
	}
	for i := range names {
		names[i] = snippet.Clip(names[i], snippet.Max)
	}
	return fmt.Sprintf("certificate is for %s%s, not for %s", strings.Join(names, ", "), more, host)
}

// Names returns the names and addresses a certificate is for (RFC 9525: the
// common name is none).
func Names(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, a.Unmap().String())
		}
	}
	return names
}

// Subject names whose certificate it is, shortly.
func Subject(c *x509.Certificate) string {
	if name := Organised(c.Subject); name != "" {
		return name
	}
	if names := Names(c); len(names) > 0 {
		return snippet.Clip(names[0], snippet.Max)
	}
	return "without a name"
}

// Organised is the organisation and the common name of a distinguished name.
func Organised(n pkix.Name) string {
	name := n.CommonName
	if len(n.Organization) > 0 && !strings.Contains(name, n.Organization[0]) {
		name = strings.TrimSpace(n.Organization[0] + " " + name)
	}
	if name == "" {
		name = n.String()
	}
	return snippet.Clip(name, snippet.Max)
}
