package dnsprobe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"netprobe/probe"
)

// authority is a CA of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a certificate for name, an address or a host, valid from and to those
// times from now.
func (a *authority) issue(t testing.TB, name string, from, to time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsServer answers one query for each connection, by script.
func tlsServer(t testing.TB, cert tls.Certificate, script say) *server {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &server{t: t, tcp: l, addr: netip.MustParseAddrPort(l.Addr().String())}
	go s.serveTCP(script)
	return s
}

// dohServer is a web server that answers queries.
func dohServer(t testing.TB, cert tls.Certificate, http2 bool, handler http.HandlerFunc) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	h := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, Protocols: &protocols}
	t.Cleanup(func() { h.Close() })
	go h.ServeTLS(l, "", "")
	return &server{t: t, tcp: l, addr: netip.MustParseAddrPort(l.Addr().String())}
}

// answerHTTP answers as RFC 8484 says.
func answerHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	q := new(dns.Msg)
	if r.Method != "POST" || r.URL.Path != "/dns-query" || r.Header.Get("Content-Type") != mediaType || q.Unpack(b) != nil || q.Id != 0 || len(b)%padTo != 0 {
		w.WriteHeader(400)
		return
	}
	b, _ = respond(q).Pack()
	w.Header().Set("Content-Type", mediaType)
	_, _ = w.Write(b)
}

func phaseNames(d *probe.DNS) string {
	var names []string
	for _, p := range d.Phases {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// Each transport brings the answer and tells its phases.
func TestStreams(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, "127.0.0.1", -time.Hour, time.Hour)
	good := func(_ *server, _ int, q *dns.Msg, w writer) { w.msg(respond(q)) }
	for _, tc := range []struct {
		name   string
		how    Transport
		server *server
		phases string
	}{
		{"tcp", TCP, newServer(t, "127.0.0.1", good), "connect request"},
		{"tls", DoT, tlsServer(t, cert, good), "connect tls request"},
		{"https 2", DoH, dohServer(t, cert, true, answerHTTP), "connect tls request"},
		{"https 1.1", DoH, dohServer(t, cert, false, answerHTTP), "connect tls request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, d := one(t, askServers(t, Config{TLS: TLS{Roots: ca.pool}, Timeout: 10 * time.Second}, asked(tc.how, tc.server)))
			if r.Status != probe.Reply || r.Reason != probe.DNSReply || d.Answer == nil || d.Answer.Answers[0].Data != "192.0.2.7" {
				t.Fatalf("%v %v, %+v", r.Status, r.Reason, d.Attempts)
			}
			var sum time.Duration
			for _, p := range d.Phases {
				sum += p.Took
			}
			if phaseNames(d) != tc.phases || d.Transport != tc.how.String() || sum > r.RTT || r.RTT <= 0 || r.Clock != probe.User {
				t.Errorf("phases %v of %v by %s", d.Phases, r.RTT, d.Transport)
			}
		})
	}
}

// What goes wrong on a stream is told with its place and in words.
func TestStreamFailures(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	hour := time.Hour
	good := func(_ *server, _ int, q *dns.Msg, w writer) { w.msg(respond(q)) }
	cert := ca.issue(t, "127.0.0.1", -hour, hour)
	web := func(f http.HandlerFunc) *server { return dohServer(t, cert, true, f) }
	for _, tc := range []struct {
		name   string
		how    Transport
		server *server
		tls    TLS
		reason probe.Reason
		why    string
		phases string
	}{
		{"expired", DoT, tlsServer(t, ca.issue(t, "127.0.0.1", -100*hour, -75*hour), good), TLS{}, probe.TLSFailed, "certificate expired 3 days ago", "connect tls"},
		{"not yet", DoT, tlsServer(t, ca.issue(t, "127.0.0.1", 50*hour, 99*hour), good), TLS{}, probe.TLSFailed, "certificate is not valid before " + time.Now().Add(50*hour).UTC().Format(time.DateOnly) + " (in 2 days)", "connect tls"},
		{"wrong name", DoT, tlsServer(t, ca.issue(t, "dns.example.test", -hour, hour), good), TLS{}, probe.TLSFailed, "certificate is for dns.example.test, not for 127.0.0.1", "connect tls"},
		{"untrusted", DoT, tlsServer(t, other.issue(t, "127.0.0.1", -hour, hour), good), TLS{}, probe.TLSFailed, "certificate is signed by the unknown authority test authority, and no intermediate certificate was sent", "connect tls"},
		{"no tls", DoT, newServer(t, "127.0.0.1", func(_ *server, _ int, _ *dns.Msg, w writer) {}), TLS{}, probe.NoResponse, "connected, and no end of the TLS handshake in time", "connect tls"},
		{"status", DoH, web(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), TLS{}, probe.HTTPStatus, "HTTP status 503", "connect tls request"},
		{"type", DoH, web(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }), TLS{}, probe.BadReply, `answered with "text/html; charset=utf-8" instead of application/dns-message`, "connect tls request"},
		{"huge", DoH, web(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			_, _ = w.Write(make([]byte, 1<<20))
		}), TLS{}, probe.BadReply, "answer longer than any DNS message", "connect tls request"},
		{"close", TCP, newServer(t, "127.0.0.1", func(_ *server, _ int, _ *dns.Msg, w writer) { w.close() }), TLS{}, probe.BadReply, "connection closed without an answer", "connect request"},
		{"half", TCP, newServer(t, "127.0.0.1", func(_ *server, _ int, _ *dns.Msg, w writer) {
			w.bytes([]byte{0, 100, 1, 2, 3})
			w.close()
		}), TLS{}, probe.BadReply, "connection closed after 3 of 100 bytes of an answer", "connect request"},
		{"silence", TCP, newServer(t, "127.0.0.1", func(*server, int, *dns.Msg, writer) { time.Sleep(time.Second) }), TLS{}, probe.NoResponse, "connected, and no answer in time", "connect request"},
		{"others", TCP, newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
			for range 50 {
				m := respond(q)
				m.Id++
				w.msg(m)
			}
		}), TLS{}, probe.BadReply, "answers to other questions only", "connect request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.tls.Roots = ca.pool
			r, d := one(t, askServers(t, Config{TLS: tc.tls, Timeout: 700 * ms}, asked(tc.how, tc.server)))
			if r.Status != probe.Lost || r.Reason != tc.reason || r.From.IsValid() || d.Answer != nil {
				t.Errorf("%v %v from %v", r.Status, r.Reason, r.From)
			}
			if len(d.Attempts) != 1 || d.Attempts[0].Why != tc.why || phaseNames(d) != tc.phases {
				t.Errorf("attempts %+v, phases %v", d.Attempts, d.Phases)
			}
		})
	}
}

// --insecure takes any certificate, --servername another name.
func TestTLSNames(t *testing.T) {
	ca := newAuthority(t)
	s := tlsServer(t, ca.issue(t, "dns.example.test", -time.Hour, time.Hour), func(_ *server, _ int, q *dns.Msg, w writer) { w.msg(respond(q)) })
	for _, cfg := range []TLS{{Insecure: true}, {ServerName: "dns.example.test", Roots: ca.pool}} {
		if r, d := one(t, askServers(t, Config{TLS: cfg, Timeout: 10 * time.Second}, asked(DoT, s))); r.Status != probe.Reply {
			t.Errorf("%+v: %v, %+v", cfg, r.Status, d.Attempts)
		}
	}
}

// The largest answer there is does no harm, and neither does one that claims to be
// larger than what follows.
func TestLargestAnswer(t *testing.T) {
	s := newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
		m := respond(q)
		m.Answer, m.Extra = nil, nil
		txt := strings.Repeat("a", 255)
		for m.Len() < 65000 {
			m.Answer = append(m.Answer, record(q.Question[0].Name+` 1 IN TXT "`+txt+`"`))
			m.Compress = true
		}
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		b = append(b, make([]byte, maxMessage-len(b))...) // what follows the records is nobody's
		w.raw(b)
	})
	r, d := one(t, askServers(t, Config{Timeout: 10 * time.Second}, asked(TCP, s)))
	if r.Status != probe.Reply || r.Size != maxMessage || len(d.Answer.Answers) < 200 {
		t.Errorf("%v %v, %d bytes, %+v", r.Status, r.Reason, r.Size, d.Attempts)
	}
}

// A refused connection is told as such.
func TestStreamRefused(t *testing.T) {
	s := answering(t)
	s.tcp.Close()
	r, d := one(t, askServers(t, Config{}, asked(TCP, s)))
	if r.Status != probe.Refused || r.Reason != probe.RST || r.From != s.addr.Addr() || len(d.Attempts) != 1 {
		t.Errorf("%+v", r)
	}
}
