package dnsprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"netprobe/internal/certs"
	"netprobe/internal/crew"
	"netprobe/internal/snippet"
	"netprobe/probe"
)

// handshake proves that the server is who it should be.
func (c *call) handshake(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	cfg := &tls.Config{ServerName: c.tlsName(), InsecureSkipVerify: true} // certs.Judge does it
	if c.how == DoH {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil || c.tls.Insecure {
		return secure, err
	}
	v := certs.Judge(secure.ConnectionState().PeerCertificates, c.tls.Roots, c.tlsName(), time.Now())
	switch {
	case v.Err != nil: // which says nothing about the server
		c.result = crew.Answer{Result: probe.Result{Status: probe.Failed, Reason: probe.ReasonOther, Err: v.Err}}
		return secure, v.Err
	case v.Bad():
		return secure, &mishap{probe.TLSFailed, v.Why()}
	}
	return secure, nil
}

// tlsName is the name that the certificate must have.
func (c *call) tlsName() string {
	if c.tls.ServerName != "" {
		return certs.ServerName(c.tls.ServerName)
	}
	return certs.ServerName(c.server.name())
}

// tlsWords says how the server ended a handshake, for people.
func tlsWords(err error) string {
	if why, ok := certs.WhyNot(err, nil, false); ok {
		return why
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed in the TLS handshake"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset in the TLS handshake"
	}
	return snippet.Clip(strings.TrimPrefix(err.Error(), "tls: "), snippet.Max)
}
