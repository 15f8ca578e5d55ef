package tcpprobe

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// verdict is what to think of a certificate chain (RFC 5280, RFC 9525).
type verdict struct {
	now      time.Time
	expires  time.Time // when the first certificate of the chain does; of the chain that was sent where none can be trusted
	problems []problem // in the order in which people want to hear of them
	err      error     // why there is no verdict: a trouble of this host
}

// problem is one thing that is wrong with a chain.
type problem struct {
	word string // for machines, one of a few
	why  string // for people
}

// word is what is wrong in the first place, for machines.
func (v *verdict) word() string {
	switch {
	case len(v.problems) > 0:
		return v.problems[0].word
	case v.err != nil:
		return "unknown"
	}
	return "valid"
}

// why says all that is wrong, for people.
func (v *verdict) why() string {
	var b strings.Builder
	for i, p := range v.problems {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.why)
	}
	return b.String()
}

func (v *verdict) add(word, format string, args ...any) {
	v.problems = append(v.problems, problem{word, fmt.Sprintf(format, args...)})
}

// judge judges the chain that a server named host sent.
func judge(chain []*x509.Certificate, roots *x509.CertPool, host string, now time.Time) verdict {
	v := verdict{now: now}
	if len(chain) == 0 {
		v.add("missing", "the server has no certificate")
		return v
	}
	leaf := chain[0]
	v.expires = earliest(chain)
	v.judgeTime("certificate", leaf)
	v.judgeTrust(chain, roots)
	if err := leaf.VerifyHostname(host); err != nil {
		v.add("wrong-name", "%s", wrongName(leaf, host))
	}
	return v
}

// judgeTime looks at the dates of one certificate.
func (v *verdict) judgeTime(what string, c *x509.Certificate) {
	switch {
	case v.now.After(c.NotAfter):
		v.add("expired", "%s expired %s ago", what, age(v.now.Sub(c.NotAfter)))
	case v.now.Before(c.NotBefore):
		v.add("not-yet-valid", "%s is not valid before %s (in %s)", what, c.NotBefore.UTC().Format(time.DateOnly), age(c.NotBefore.Sub(v.now)))
	}
}

// judgeTrust looks for a way from the leaf to a root. Dates of the leaf are not
// its matter: it is looked at within them, so that all that is wrong is found.
func (v *verdict) judgeTrust(chain []*x509.Certificate, roots *x509.CertPool) {
	leaf := chain[0]
	at := v.now
	switch {
	case at.After(leaf.NotAfter):
		at = leaf.NotAfter
	case at.Before(leaf.NotBefore):
		at = leaf.NotBefore
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: at}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	ways, err := leaf.Verify(o)
	if err == nil {
		v.expires = latest(ways)
		return
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		v.err = ErrNoRoots
		return
	}
	v.distrust(chain, err, at)
}

// distrust says why no way to a root was found.
func (v *verdict) distrust(chain []*x509.Certificate, err error, at time.Time) {
	leaf := chain[0]
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case unknown && selfSigned(leaf):
		v.add("self-signed", "certificate is self-signed")
	case unknown && len(chain) == 1:
		v.add("unknown-authority", "certificate is signed by the unknown authority %s, and no intermediate certificate was sent", organised(leaf.Issuer))
	case unknown:
		v.add("unknown-authority", "certificate is signed by the unknown authority %s", organised(chain[len(chain)-1].Issuer))
	case invalid.Cert != nil && invalid.Reason == x509.Expired && at.Equal(v.now):
		v.judgeTime(role(invalid.Cert), invalid.Cert)
	case invalid.Cert != nil && invalid.Reason == x509.Expired:
		// Not at the time at which the leaf was valid, either.
		v.add("invalid", "%s is not of the same time as the certificate it vouches for", role(invalid.Cert))
	case invalid.Cert != nil && invalid.Reason == x509.IncompatibleUsage:
		v.add("invalid", "certificate is not meant for servers")
	default:
		v.add("invalid", "certificate is not valid: %s", clip(strings.TrimPrefix(err.Error(), "x509: "), maxExcerpt))
	}
}

// role names a certificate that is not the server's own.
func role(c *x509.Certificate) string {
	if selfSigned(c) {
		return "root certificate " + subject(c)
	}
	return "intermediate certificate " + subject(c)
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// earliest is when the first of a chain expires.
func earliest(chain []*x509.Certificate) time.Time {
	at := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(at) {
			at = c.NotAfter
		}
	}
	return at
}

// latest is until when one of several chains is good.
func latest(ways [][]*x509.Certificate) time.Time {
	var at time.Time
	for _, chain := range ways {
		if e := earliest(chain); e.After(at) {
			at = e
		}
	}
	return at
}

// wrongName says for what names the certificate is instead.
func wrongName(leaf *x509.Certificate, host string) string {
	names := namesOf(leaf)
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
		names[i] = clip(names[i], maxExcerpt)
	}
	return fmt.Sprintf("certificate is for %s%s, not for %s", strings.Join(names, ", "), more, host)
}

// namesOf returns the names and addresses a certificate is for (RFC 9525: the
// common name is none).
func namesOf(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, a.Unmap().String())
		}
	}
	return names
}

// subject names whose certificate it is, shortly.
func subject(c *x509.Certificate) string {
	if name := organised(c.Subject); name != "" {
		return name
	}
	if names := namesOf(c); len(names) > 0 {
		return clip(names[0], maxExcerpt)
	}
	return "without a name"
}

// organised is the organisation and the common name of a distinguished name.
func organised(n pkix.Name) string {
	name := n.CommonName
	if len(n.Organization) > 0 && !strings.Contains(name, n.Organization[0]) {
		name = strings.TrimSpace(n.Organization[0] + " " + name)
	}
	if name == "" {
		name = n.String()
	}
	return clip(name, maxExcerpt)
}

// age writes how long ago something was in the largest unit that is full.
func age(d time.Duration) string {
	for _, u := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch n := int(d / u.of); n {
		case 0:
		case 1:
			return "1 " + u.name
		default:
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "less than a minute"
}
