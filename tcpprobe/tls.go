package tcpprobe

import (
	"crypto/tls"
	"crypto/x509"
	"strconv"
	"strings"
	"time"

	"netprobe/internal/certs"
	"netprobe/probe"
)

// tls does the handshake (RFC 8446, RFC 5246), then judges the certificate: the
// library is told to take any, or it would say less about a bad one.
func (w *ascent) tls() *fault {
	asked := false
	conn := tls.Client(w.wire, w.config(func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return new(tls.Certificate), nil
	}))
	if f := w.phase("tls", func() *fault {
		err := conn.Handshake()
		if err == nil {
			return nil
		}
		if why, ok := certs.WhyNot(err, w.wire.first, asked); ok {
			return &fault{reason: probe.TLSFailed, why: why}
		}
		return w.broken(err, probe.TLSFailed)
	}); f != nil {
		return f
	}
	w.conn = conn
	state := conn.ConnectionState()
	version := tls.VersionName(state.Version)
	w.tell("tls_version", version, strings.TrimSuffix(version+" "+clip(state.NegotiatedProtocol, maxExcerpt), " "))
	w.learn("tls_cipher", tls.CipherSuiteName(state.CipherSuite))
	if state.CurveID != 0 {
		w.learn("tls_group", state.CurveID.String())
	}
	w.learn("tls_alpn", state.NegotiatedProtocol)
	if asked {
		w.tell("tls_client_cert", "requested", "client certificate requested")
	}
	v := certs.Judge(state.PeerCertificates, w.Roots, w.host(), time.Now())
	w.learnCertificate(state.PeerCertificates, &v)
	switch {
	case w.Insecure:
	case v.Err != nil:
		return &fault{own: new(ours(v.Err))}
	case v.Bad():
		return &fault{reason: probe.TLSFailed, why: v.Why()}
	}
	return nil
}

// config asks for what clients of today take. Where anything goes, the oldest
// version and the weakest cipher do, too.
func (w *ascent) config(clientCert func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *tls.Config {
	c := &tls.Config{
		ServerName:           w.host(), // an address is not sent (RFC 6066, section 3)
		NextProtos:           w.alpn(),
		InsecureSkipVerify:   true, // certs.Judge does it
		GetClientCertificate: clientCert,
	}
	if w.Insecure {
		c.MinVersion = tls.VersionTLS10
		for _, suites := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
			for _, s := range suites {
				c.CipherSuites = append(c.CipherSuites, s.ID)
			}
		}
	}
	return c
}

// alpn is what to offer (RFC 7301). A server that knows ALPN and none of what
// is offered ends the handshake, so nothing is where another protocol than that
// of the web may be spoken.
func (w *ascent) alpn() []string {
	switch {
	case w.ALPN != nil:
		return w.ALPN
	case w.HTTP != "":
		return []string{"http/1.1"}
	case w.StartTLS == Postgres:
		return []string{"postgresql"}
	case w.StartTLS != "" || w.Banner || w.Expect != nil:
		return nil
	}
	return []string{"h2", "http/1.1"}
}

// learnCertificate adds what the certificate says, and what to think of it.
func (w *ascent) learnCertificate(chain []*x509.Certificate, v *certs.Verdict) {
	w.tell("tls_verdict", v.Word(), v.Why()) // valid is not worth the words
	if len(chain) == 0 {
		return
	}
	leaf := chain[0]
	days := v.DaysLeft()
	w.tell("tls_days_left", days, daysText(days))
	w.learn("tls_expires", v.Expires.UTC().Format(time.RFC3339))
	w.learn("tls_subject", certs.Subject(leaf))
	if names := certs.Names(leaf); len(names) > 0 {
		few := names[:min(len(names), maxNames)]
		for i := range few {
			few[i] = clip(few[i], maxFact)
		}
		w.learn("tls_names", few)
	}
	w.learn("tls_issuer", certs.Organised(leaf.Issuer))
}

// maxNames is how many names of a certificate are told.
const maxNames = 5

// daysText says how many days are left; what is over, the verdict says.
func daysText(days int) string {
	switch {
	case days < 0:
		return ""
	case days == 1:
		return "1 day left"
	}
	return strconv.Itoa(days) + " days left"
}
