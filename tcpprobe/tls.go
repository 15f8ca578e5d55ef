package tcpprobe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strconv"
	"strings"
	"time"

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
	if f := w.phase("tls", func() *fault { return w.handshake(conn) }); f != nil {
		const vague = "the server refused"
		if said, ok := strings.CutPrefix(f.why, vague); ok && asked {
			f.why = wantsClientCert + said
		}
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
	v := judge(state.PeerCertificates, w.Roots, w.host(), time.Now())
	w.learnCertificate(state.PeerCertificates, &v)
	if v.err != nil && !w.Insecure {
		return &fault{own: new(ours(v.err))}
	}
	if len(v.problems) > 0 && !w.Insecure {
		return &fault{reason: probe.TLSFailed, why: v.why()}
	}
	return nil
}

// config asks for what clients of today take. Where anything goes, the oldest
// version and the weakest cipher do, too.
func (w *ascent) config(clientCert func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *tls.Config {
	c := &tls.Config{
		ServerName:           w.host(), // an address is not sent (RFC 6066, section 3)
		NextProtos:           w.alpn(),
		InsecureSkipVerify:   true, // judge does it
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

func (w *ascent) handshake(conn *tls.Conn) *fault {
	err := conn.Handshake()
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &fault{reason: probe.TLSFailed, why: notTLS(w.wire.first)}
	}
	f := w.broken(err, probe.TLSFailed)
	if version, ok := strings.CutPrefix(f.why, "server selected unsupported protocol version "); ok {
		if v, err := strconv.ParseUint(version, 16, 16); err == nil {
			f.why = "the server speaks " + tls.VersionName(uint16(v)) + " at most, which is too old to be safe"
		}
	}
	return f
}

// notTLS says what a server answered instead.
func notTLS(said []byte) string {
	text := excerpt(said)
	if text == "" || !readable([]byte(text)) {
		return "answered in something that is not TLS"
	}
	return "answered in plain text: " + text
}

// learnCertificate adds what the certificate says, and what to think of it.
func (w *ascent) learnCertificate(chain []*x509.Certificate, v *verdict) {
	w.tell("tls_verdict", v.word(), v.why()) // valid is not worth the words
	if len(chain) == 0 {
		return
	}
	leaf := chain[0]
	days := daysLeft(v.expires.Sub(v.now))
	w.tell("tls_days_left", days, daysText(days))
	w.learn("tls_expires", v.expires.UTC().Format(time.RFC3339))
	w.learn("tls_subject", subject(leaf))
	if names := namesOf(leaf); len(names) > 0 {
		few := names[:min(len(names), maxNames)]
		for i := range few {
			few[i] = clip(few[i], maxFact)
		}
		w.learn("tls_names", few)
	}
	w.learn("tls_issuer", organised(leaf.Issuer))
}

// maxNames is how many names of a certificate are told.
const maxNames = 5

// daysLeft counts whole days; what is over by less than one is over by one.
func daysLeft(left time.Duration) int {
	days := int(left / (24 * time.Hour))
	if left < 0 && days == 0 {
		return -1
	}
	return days
}

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
