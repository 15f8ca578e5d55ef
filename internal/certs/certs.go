// Package certs says what to think of a server's certificate (RFC 5280, RFC 9525)
// and of how a TLS handshake ended, in the same words for whoever asks.
//
// What surprises: the TLS library is to be told to take any certificate, and
// Judge to judge the chain then. The library stops at the first thing that is
// wrong; people want to hear of all.
package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"netprobe/internal/snippet"
)

// A Verdict is what to think of a chain of certificates.
type Verdict struct {
	Expires  time.Time // when the first certificate of the chain does; of the chain that was sent where none can be trusted
	Err      error     // why there is no verdict: a trouble of this host
	problems []problem // in the order in which people want to hear of them
	now      time.Time
}

// problem is one thing that is wrong with a chain.
type problem struct {
	word string // for machines, one of a few
	why  string // for people
}

// Word is what is wrong in the first place, for machines.
func (v *Verdict) Word() string {
	switch {
	case len(v.problems) > 0:
		return v.problems[0].word
	case v.Err != nil:
		return "unknown"
	}
	return "valid"
}

// Why says all that is wrong, for people.
func (v *Verdict) Why() string {
	var b strings.Builder
	for i, p := range v.problems {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.why)
	}
	return b.String()
}

// DaysLeft counts whole days; what is over by less than one is over by one.
func (v *Verdict) DaysLeft() int {
	left := v.Expires.Sub(v.now)
	days := int(left / (24 * time.Hour))
	if left < 0 && days == 0 {
		return -1
	}
	return days
}

// Bad reports whether anything is wrong.
func (v *Verdict) Bad() bool { return len(v.problems) > 0 }

func (v *Verdict) add(word, format string, args ...any) {
	v.problems = append(v.problems, problem{word, fmt.Sprintf(format, args...)})
}

// ErrNoRoots is why no certificate can be judged.
var ErrNoRoots = errors.New("this host has no CA certificates to judge those of servers by")

// CheckRoots returns why this host could judge no certificate.
func CheckRoots() error {
	roots, err := x509.SystemCertPool()
	if err != nil || roots.Equal(x509.NewCertPool()) {
		return ErrNoRoots
	}
	return nil
}

// Judge judges the chain that a server with that name or address sent; nil roots
// are those of this host.
func Judge(chain []*x509.Certificate, roots *x509.CertPool, host string, now time.Time) Verdict {
	v := Verdict{now: now}
	if len(chain) == 0 {
		v.add("missing", "the server has no certificate")
		return v
	}
	leaf := chain[0]
	v.Expires = earliest(chain)
	v.judgeTime("certificate", leaf)
	v.judgeTrust(chain, roots)
	if err := leaf.VerifyHostname(host); err != nil {
		v.add("wrong-name", "%s", wrongName(leaf, host))
	}
	return v
}

// judgeTime looks at the dates of one certificate.
func (v *Verdict) judgeTime(what string, c *x509.Certificate) {
	switch {
	case v.now.After(c.NotAfter):
		v.add("expired", "%s expired %s ago", what, age(v.now.Sub(c.NotAfter)))
	case v.now.Before(c.NotBefore):
		v.add("not-yet-valid", "%s is not valid before %s (in %s)", what, c.NotBefore.UTC().Format(time.DateOnly), age(c.NotBefore.Sub(v.now)))
	}
}

// judgeTrust looks for a way from the leaf to a root. Dates of the leaf are not
// its matter: it is looked at within them, so that all that is wrong is found.
func (v *Verdict) judgeTrust(chain []*x509.Certificate, roots *x509.CertPool) {
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
		v.Expires = latest(ways)
		return
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		v.Err = ErrNoRoots
		return
	}
	v.distrust(chain, err, at)
}

// distrust says why no way to a root was found.
func (v *Verdict) distrust(chain []*x509.Certificate, err error, at time.Time) {
	leaf := chain[0]
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case unknown && selfSigned(leaf):
		v.add("self-signed", "certificate is self-signed")
	case unknown && len(chain) == 1:
		v.add("unknown-authority", "certificate is signed by the unknown authority %s, and no intermediate certificate was sent", Organised(leaf.Issuer))
	case unknown:
		v.add("unknown-authority", "certificate is signed by the unknown authority %s", Organised(chain[len(chain)-1].Issuer))
	case invalid.Cert != nil && invalid.Reason == x509.Expired && at.Equal(v.now):
		v.judgeTime(role(invalid.Cert), invalid.Cert)
	case invalid.Cert != nil && invalid.Reason == x509.Expired:
		// Not at the time at which the leaf was valid, either.
		v.add("invalid", "%s is not of the same time as the certificate it vouches for", role(invalid.Cert))
	case invalid.Cert != nil && invalid.Reason == x509.IncompatibleUsage:
		v.add("invalid", "certificate is not meant for servers")
	default:
		v.add("invalid", "certificate is not valid: %s", snippet.Clip(strings.TrimPrefix(err.Error(), "x509: "), snippet.Max))
	}
}

// role names a certificate that is not the server's own.
func role(c *x509.Certificate) string {
	if selfSigned(c) {
		return "root certificate " + Subject(c)
	}
	return "intermediate certificate " + Subject(c)
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
