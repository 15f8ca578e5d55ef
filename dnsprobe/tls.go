package dnsprobe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// handshake proves that the server is who it should be.
func (c *call) handshake(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	cfg := &tls.Config{ServerName: c.tlsName(), RootCAs: c.tls.Roots, InsecureSkipVerify: c.tls.Insecure}
	if c.how == DoH {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	secure := tls.Client(conn, cfg)
	return secure, secure.HandshakeContext(ctx)
}

// tlsName is the name that the certificate must have.
func (c *call) tlsName() string {
	if c.tls.ServerName != "" {
		return c.tls.ServerName
	}
	return c.server.name()
}

// tlsWords says what went wrong in a handshake, for people.
func tlsWords(err error, name string) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired && e.Cert != nil {
		now := time.Now()
		if now.Before(e.Cert.NotBefore) {
			return "certificate not valid for another " + days(e.Cert.NotBefore.Sub(now))
		}
		return "certificate expired " + days(now.Sub(e.Cert.NotAfter)) + " ago"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate is for " + certNames(e.Certificate) + ", not for " + name
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate is signed by nobody this host trusts"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "server answers in something that is not TLS"
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "remote error: "), "tls: ")
}

// certNames lists the first names that a certificate is for.
func certNames(cert *x509.Certificate) string {
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	switch n := len(names); {
	case n == 0:
		return "nobody by name"
	case n > 3:
		names = append(names[:3:3], fmt.Sprintf("%d more", n-3))
	}
	return strings.Join(names, " ")
}

// days is a duration in the unit people think of certificates in.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	case d >= time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d min", int(d/time.Minute))
}
