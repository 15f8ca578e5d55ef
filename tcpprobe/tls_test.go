package tcpprobe

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

func TestTLS(t *testing.T) {
	ca, cert := root()
	var name string
	cfg := &tls.Config{NextProtos: []string{"h2", "http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name = h.ServerName
		return &cert, nil
	}}
	a := climb(t, secure(t, cfg, hold), Climb{TLS: true, Roots: ca.pool()}, patience)
	got := passed(t, a)
	for k, want := range map[string]any{
		"tls_version": "TLS 1.3", "tls_alpn": "h2", "tls_verdict": "valid", "tls_days_left": 71,
		"tls_subject": "Example " + testName, "tls_issuer": "Example Root",
	} {
		if got[k] != want {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	if names, _ := got["tls_names"].([]string); len(names) != 1 || names[0] != testName || got["tls_cipher"] == "" || got["tls_client_cert"] != nil {
		t.Errorf("%v", got)
	}
	if name != testName || phases(&a) != "connect tls" {
		t.Errorf("asked for %q, phases %s", name, phases(&a))
	}
	// The RTT is that of the connect, however long the rest takes.
	l := layersOf(t, &a)
	if a.RTT > l.Phases[0].Took || a.At.Sub(a.Sent) < l.Phases[0].Took+l.Phases[1].Took {
		t.Errorf("rtt %v, phases %v, all %v", a.RTT, l.Phases, a.At.Sub(a.Sent))
	}
}

// What is wrong with a certificate is said in words, all of it, and accepted
// where anything is; the facts say it then, too.
func TestCertificates(t *testing.T) {
	ca, _ := root()
	names := []string{testName}
	stranger := sign(t, nil, "Unheard-of CA", nil, -day, 365*day)
	short := sign(t, ca, "Example Intermediate", nil, -30*day, 9*day)
	over := sign(t, ca, "Old Intermediate", nil, -30*day, -5*day)
	early := sign(t, ca, "New Intermediate", nil, 2*day, 30*day)
	for _, tc := range []struct {
		name    string
		chain   tls.Certificate
		verdict string
		days    int
		why     string
	}{
		{"intermediate expires first", chain(sign(t, short, testName, names, -day, 80*day), short), "valid", 9, ""},
		{"expired", chain(sign(t, ca, testName, names, -90*day, -3*day-2*time.Hour)), "expired", -3, "certificate expired 3 days ago"},
		{"expired today", chain(sign(t, ca, testName, names, -90*day, -6*time.Hour)), "expired", -1, "certificate expired 5 hours ago"},
		{"not yet valid", chain(sign(t, ca, testName, names, 2*day+2*time.Hour, 90*day)), "not-yet-valid", 90, "(in 2 days)"},
		{"other name", chain(sign(t, ca, "x", []string{"a.example.net", "b.example.net", "c.example.net", "d.example.net", "192.0.2.7"}, -day, 90*day)), "wrong-name", 90,
			"certificate is for a.example.net, b.example.net, c.example.net and 2 more, not for www.example.com"},
		{"no name", chain(sign(t, ca, testName, nil, -day, 90*day)), "wrong-name", 90, "certificate is for no name at all"},
		{"self-signed", chain(sign(t, nil, testName, names, -day, 90*day)), "self-signed", 90, "certificate is self-signed"},
		{"self-signed, expired, other name", chain(sign(t, nil, "x", []string{"old.example.net"}, -90*day, -1*day-2*time.Hour)), "expired", -1,
			"certificate expired 1 day ago; certificate is self-signed; certificate is for old.example.net, not for www.example.com"},
		{"unknown authority", chain(sign(t, stranger, testName, names, -day, 90*day), stranger), "unknown-authority", 90,
			"certificate is signed by the unknown authority Example Unheard-of CA"},
		{"intermediate missing", chain(sign(t, short, testName, names, -day, 80*day)), "unknown-authority", 80,
			"unknown authority Example Intermediate, and no intermediate certificate was sent"},
		{"intermediate expired", chain(sign(t, over, testName, names, -day, 80*day), over), "expired", -4,
			"intermediate certificate Example Old Intermediate expired 4 days ago"},
		{"intermediate too young", chain(sign(t, early, testName, names, -day, 80*day), early), "not-yet-valid", 30,
			"intermediate certificate Example New Intermediate is not valid before"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := secure(t, &tls.Config{Certificates: []tls.Certificate{tc.chain}}, hold)
			c := Climb{TLS: true, Roots: ca.pool()}
			a := climb(t, to, c, patience)
			var got map[string]any
			if tc.why == "" {
				got = passed(t, a)
			} else {
				got = broke(t, a, "tls", probe.TLSFailed, tc.why)
			}
			c.Insecure = true
			for _, got := range []map[string]any{got, passed(t, climb(t, to, c, patience))} {
				if got["tls_verdict"] != tc.verdict || got["tls_days_left"] != tc.days {
					t.Errorf("%v with %v days left, want %v with %v", got["tls_verdict"], got["tls_days_left"], tc.verdict, tc.days)
				}
			}
		})
	}
}

// The name to expect is that of the target, its address, or another given.
func TestServerName(t *testing.T) {
	ca, _ := root()
	for _, tc := range []struct {
		host, servername string
		names            []string
		sent             string
		fails            bool
	}{
		{"www.example.com.", "", []string{"www.example.com"}, "www.example.com", false},
		{"", "", []string{"127.0.0.1"}, "", false},
		{"127.0.0.1", "", []string{"www.example.com"}, "", true},
		{"127.0.0.1", "www.example.com", []string{"www.example.com"}, "www.example.com", false},
		{"fe80::1%eth0", "", []string{"fe80::1"}, "", false},
	} {
		var sent string
		cert := chain(sign(t, ca, "x", tc.names, -day, day))
		to := secure(t, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			sent = h.ServerName
			return &cert, nil
		}}, hold)
		asker := NewAsker(rawsock.Config{}, &Climb{TLS: true, Roots: ca.pool(), ServerName: tc.servername})
		a := asker.Ask(t.Context(), crew.Try{To: to, Host: tc.host, Timeout: patience})
		if sent != tc.sent || a.Good() == tc.fails {
			t.Errorf("%q, %q: asked for %q, %s", tc.host, tc.servername, sent, layersOf(t, &a).Why)
		}
	}
}

func TestTLSRefusals(t *testing.T) {
	ca, cert := root()
	certs := []tls.Certificate{cert}
	for _, tc := range []struct {
		name string
		cfg  *tls.Config
		why  string
		any  bool // where anything goes, this does
	}{
		{"old", &tls.Config{Certificates: certs, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			"the server speaks neither TLS 1.2 nor 1.3 (alert: protocol version not supported)", true},
		{"alpn", &tls.Config{Certificates: certs, NextProtos: []string{"imap"}},
			"the server takes none of the ALPN protocols offered (alert: no application protocol)", false},
		{"no certificate", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }},
			"(alert: ", false},
		{"client certificate", &tls.Config{Certificates: certs, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
			"the server wants a certificate from its client (alert: ", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := secure(t, tc.cfg, hold)
			c := Climb{TLS: true, Roots: ca.pool()}
			broke(t, climb(t, to, c, patience), "tls", probe.TLSFailed, tc.why)
			c.Insecure = true
			if a := climb(t, to, c, patience); a.Good() != tc.any {
				t.Errorf("insecure: %v", layersOf(t, &a))
			}
		})
	}
	// With TLS 1.3 the handshake is over for us before the server misses a
	// certificate: it is a fact, and the fault of the layer above.
	to := secure(t, &tls.Config{Certificates: certs, ClientAuth: tls.RequireAnyClientCert}, hold)
	if got := passed(t, climb(t, to, Climb{TLS: true, Roots: ca.pool()}, patience)); got["tls_client_cert"] != "requested" {
		t.Errorf("%v", got)
	}
	broke(t, climb(t, to, Climb{TLS: true, Roots: ca.pool(), HTTP: "/"}, patience), "http", probe.TLSFailed, "wants a certificate from its client")
}

// A server that is too old says so in its hello.
func TestTLSOldHello(t *testing.T) {
	to := serve(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		_, _ = c.Read(buf)
		hello := append([]byte{2, 0, 0, 38, 3, 1}, make([]byte, 32)...) // TLS 1.0
		hello = append(hello, 0, 0, 0x2f, 0)                            // no session, TLS_RSA_WITH_AES_128_CBC_SHA
		_, _ = c.Write(append([]byte{22, 3, 1, 0, byte(len(hello))}, hello...))
		hold(c)
	})
	broke(t, climb(t, to, Climb{TLS: true}, patience), "tls", probe.TLSFailed, "the server speaks TLS 1.0 at most")
}

// What is no TLS is shown.
func TestNotTLS(t *testing.T) {
	for _, tc := range []struct {
		say, why string
		first    bool // it does not wait for us
	}{
		{"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "answered in plain text: HTTP/1.1 400 Bad Request", false},
		{"220 mail.example.com ESMTP\r\n", "answered in plain text: 220 mail.example.com ESMTP", true},
		{"\x00\x01\x02\x03\x04\x05\x06\x07", "answered in something that is not TLS", true},
		{"\x1b[2J\x1b]0;hi\a\r\n", "answered in something that is not TLS", true},
	} {
		to := serve(t, func(c net.Conn) {
			if !tc.first {
				_, _ = c.Read(make([]byte, 4096))
			}
			_, _ = io.WriteString(c, tc.say)
			hold(c)
		})
		broke(t, climb(t, to, Climb{TLS: true}, patience), "tls", probe.TLSFailed, tc.why)
	}
}

// Servers that stall or go away, at every layer that comes first.
func TestStalls(t *testing.T) {
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		reason probe.Reason
		why    string
	}{
		{"silent", hold, probe.NoResponse, "within 300 ms"},
		{"closes", func(net.Conn) {}, 0, "closed by the server without a word"},
		{"resets", reset, probe.RST, "reset by the server"},
	} {
		for _, l := range []struct {
			at     string
			c      Climb
			closed probe.Reason
		}{
			{"tls", Climb{TLS: true}, probe.TLSFailed},
			{"banner", Climb{Banner: true}, probe.BadReply},
			{"http", Climb{HTTP: "/"}, probe.BadReply},
			{"expect", Climb{Send: "x", Expect: regexpOf("y")}, probe.BadReply},
			{"expect", Climb{Expect: regexpOf("y")}, probe.BadReply},
			{"starttls", Climb{StartTLS: SMTP}, probe.BadReply},
			{"starttls", Climb{StartTLS: IMAP}, probe.BadReply},
			{"starttls", Climb{StartTLS: POP3}, probe.BadReply},
			{"starttls", Climb{StartTLS: Postgres}, probe.BadReply},
			{"starttls", Climb{StartTLS: MySQL}, probe.BadReply},
		} {
			t.Run(tc.name+" "+l.at+" "+string(l.c.StartTLS), func(t *testing.T) {
				t.Parallel()
				to := serve(t, tc.handle)
				a := climb(t, to, l.c, impatience)
				got := layersOf(t, &a)
				// Who closes without reading what we said resets, says TCP.
				if tc.reason == 0 && got.Reason == probe.RST {
					broke(t, a, l.at, probe.RST, "reset by the server")
					return
				}
				want := tc.reason
				if want == 0 {
					want = l.closed
				}
				broke(t, a, l.at, want, tc.why)
			})
		}
	}
}

// A tarpit that sends a handshake byte by byte is given up in time, too.
func TestTarpit(t *testing.T) {
	ca, cert := root()
	to := serve(t, func(c net.Conn) {
		_ = tls.Server(slow{c}, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
	})
	began := time.Now()
	a := climb(t, to, Climb{TLS: true, Roots: ca.pool()}, impatience)
	broke(t, a, "tls", probe.NoResponse, "not done within 300 ms")
	if took := time.Since(began); took > patience {
		t.Errorf("took %v", took)
	}
}

// slow writes a byte at a time.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	for i := range p {
		time.Sleep(5 * time.Millisecond)
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// When the run ends, a climb ends as pending; nothing is said of its target.
func TestClimbCanceled(t *testing.T) {
	for _, c := range []Climb{{TLS: true}, {Banner: true}, {HTTP: "/"}, {StartTLS: SMTP}, {Expect: regexpOf("x")}} {
		ctx, cancel := contextOf(t)
		to := serve(t, func(c net.Conn) { cancel(); hold(c) })
		a := climbUntil(ctx, to, c, patience)
		if a.Status != probe.Pending || a.Reason != probe.Canceled || a.Good() || a.From.IsValid() {
			t.Errorf("%+v", a.Result)
		}
	}
}

// Without an address to ask nothing is climbed.
func TestClimbRefused(t *testing.T) {
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), closedPort(t, "127.0.0.1"))
	a := climb(t, to, Climb{TLS: true}, patience)
	if a.Status != probe.Refused || a.Reason != probe.RST || a.Detail != nil {
		t.Errorf("%+v", a.Result)
	}
}

// Certificates cannot be judged without those of authorities, and that is known before.
func TestCheck(t *testing.T) {
	if err := (&Climb{HTTP: "/"}).Check(); err != nil {
		t.Error(err)
	}
	if err := (&Climb{TLS: true, Insecure: true}).Check(); err != nil {
		t.Error(err)
	}
}
