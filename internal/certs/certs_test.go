package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// now is when all certificates here are judged.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	host = "www.example.com"
)

type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate of subject for names, valid from and to those times
// from now, by ca, or by itself.
func issue(t *testing.T, ca *pair, subject string, names []string, from, to time.Duration) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: subject, Organization: []string{"Example"}},
		NotBefore: now.Add(from), NotAfter: now.Add(to), DNSNames: names,
		IsCA: names == nil, BasicConstraintsValid: true,
	}
	by := &pair{tmpl, key}
	if ca != nil {
		by = ca
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{cert, key}
}

func TestJudge(t *testing.T) {
	root := issue(t, nil, "Root", nil, -365*day, 365*day)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	names := []string{host}
	stranger := issue(t, nil, "Stranger", nil, -day, day)
	short := issue(t, root, "Intermediate", nil, -day, 9*day)
	client := issue(t, root, "x", names, -day, day)
	client.cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, tc := range []struct {
		name  string
		chain []*pair
		word  string
		days  int
		why   string
	}{
		{"good", []*pair{issue(t, root, "x", names, -day, 71*day+time.Hour)}, "valid", 71, ""},
		{"intermediate expires first", []*pair{issue(t, short, "x", names, -day, 80*day), short}, "valid", 9, ""},
		{"none", nil, "missing", 0, "the server has no certificate"},
		{"expired", []*pair{issue(t, root, "x", names, -9*day, -time.Hour)}, "expired", -1, "certificate expired 1 hour ago"},
		{"not yet", []*pair{issue(t, root, "x", names, 2*day, 9*day)}, "not-yet-valid", 9, "certificate is not valid before 2026-05-03 (in 2 days)"},
		{"stranger", []*pair{issue(t, stranger, "x", names, -day, day), stranger}, "unknown-authority", 1, "certificate is signed by the unknown authority Example Stranger"},
		{"for clients", []*pair{client}, "invalid", 1, "certificate is not meant for servers"},
		{"all at once", []*pair{issue(t, nil, "x", []string{"a.example", "b.example", "c.example", "d.example"}, -9*day, -2*day)}, "expired", -2,
			"certificate expired 2 days ago; certificate is self-signed; certificate is for a.example, b.example, c.example and 1 more, not for www.example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var chain []*x509.Certificate
			for _, p := range tc.chain {
				chain = append(chain, p.cert)
			}
			v := Judge(chain, pool, host, now)
			if v.Word() != tc.word || v.Why() != tc.why || v.Bad() != (tc.why != "") || v.Err != nil {
				t.Errorf("%s: %s, %v", v.Word(), v.Why(), v.Err)
			}
			if chain != nil && v.DaysLeft() != tc.days {
				t.Errorf("%d days left, want %d", v.DaysLeft(), tc.days)
			}
		})
	}
}

func TestWhyNot(t *testing.T) {
	refused := func(text string) error { return &net.OpError{Op: "remote error", Err: errors.New("tls: " + text)} }
	header := tls.RecordHeaderError{RecordHeader: [5]byte{'H', 'T', 'T', 'P', '/'}}
	for _, tc := range []struct {
		err   error
		first string
		asked bool
		why   string // empty if that is no matter of TLS
	}{
		{header, "", false, "answered in plain text: HTTP/"},
		{header, "HTTP/1.1 400 Bad Request\r\nServer: x\r\n", false, "answered in plain text: HTTP/1.1 400 Bad Request"},
		{header, "\x00\x01\x02", false, "answered in something that is not TLS"},
		{refused("no application protocol"), "", false, "the server takes none of the ALPN protocols offered (alert: no application protocol)"},
		{refused("handshake failure"), "", false, "the server refused (alert: handshake failure)"},
		{refused("handshake failure"), "", true, "the server wants a certificate from its client (alert: handshake failure)"},
		{refused("certificate required"), "", false, "the server wants a certificate from its client (alert: certificate required)"},
		{errors.New("tls: server selected unsupported protocol version 301"), "", false, "the server speaks TLS 1.0 at most, which is too old to be safe"},
		{errors.New("tls: server selected unsupported protocol version x"), "", false, ""},
		{io.EOF, "", false, ""},
		{&net.OpError{Op: "read", Err: errors.New("x")}, "", true, ""},
	} {
		if why, ok := WhyNot(tc.err, []byte(tc.first), tc.asked); why != tc.why || ok != (tc.why != "") {
			t.Errorf("%v, %q: %q, %v", tc.err, tc.first, why, ok)
		}
	}
}

func TestServerName(t *testing.T) {
	for in, want := range map[string]string{
		"www.example.com.": "www.example.com", "www.example.com": "www.example.com", "fe80::1%eth0": "fe80::1", "192.0.2.1": "192.0.2.1", ".": ".",
	} {
		if got := ServerName(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "less than a minute", 90 * time.Second: "1 minute", 3 * time.Hour: "3 hours", 25 * time.Hour: "1 day", 90 * day: "90 days",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
