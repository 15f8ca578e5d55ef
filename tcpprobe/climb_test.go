package tcpprobe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// patience is how long a climb may take that gets through.
const patience = 30 * time.Second

// impatience is how long one may take that meets a server which stalls.
const impatience = 300 * time.Millisecond

const testName = "www.example.com"

// serve has handle talk to whoever connects to the address it returns.
func serve(t *testing.T, handle func(c net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		close(done)
		open.Wait()
	})
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					select {
					case <-done:
					case <-stop:
					}
					c.Close()
				}()
				handle(c)
			})
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// hold reads until the other end is gone.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// reset ends c by an RST.
func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// climb asks once, as www.example.com; again where this host was too busy.
func climb(t *testing.T, to netip.AddrPort, c Climb, timeout time.Duration) (a crew.Answer) {
	t.Helper()
	for range 10 {
		if a = climbUntil(t.Context(), to, c, timeout); a.Status != probe.Failed || a.Err != errBusy {
			return a
		}
	}
	t.Skip(a.Err)
	return a
}

func climbUntil(ctx context.Context, to netip.AddrPort, c Climb, timeout time.Duration) crew.Answer {
	return NewAsker(rawsock.Config{}, &c).Ask(ctx, crew.Try{To: to, N: 1, Host: testName, Timeout: timeout})
}

// layersOf returns what a says of the layers, with what holds for every climb.
func layersOf(t *testing.T, a *crew.Answer) *probe.Layers {
	t.Helper()
	l, ok := a.Detail.(*probe.Layers)
	if !ok {
		t.Fatalf("no layers: %v %v %v", a.Status, a.Reason, a.Err)
	}
	if len(l.Phases) == 0 || l.Phases[0].Name != "connect" {
		t.Errorf("phases %v", l.Phases)
	}
	for _, p := range l.Phases {
		if p.Took < 0 {
			t.Errorf("%s took %v", p.Name, p.Took)
		}
	}
	if l.FailedAt != "" && (l.Why == "" || a.Reason != l.Reason) {
		t.Errorf("failed at %s: %q, %v and %v", l.FailedAt, l.Why, l.Reason, a.Reason)
	}
	return l
}

// passed checks that a climb got through, and returns what it learned.
func passed(t *testing.T, a crew.Answer) map[string]any {
	t.Helper()
	l := layersOf(t, &a)
	if a.Status != probe.Reply || a.Reason != probe.Connected || !a.Good() || l.FailedAt != "" || l.Why != "" {
		t.Fatalf("%v %v, failed at %s: %s", a.Status, a.Reason, l.FailedAt, l.Why)
	}
	return facts(l)
}

func facts(l *probe.Layers) map[string]any {
	m := make(map[string]any)
	for _, f := range l.Facts {
		m[f.Name] = f.Value
	}
	return m
}

// broke checks that a climb failed, and where and why.
func broke(t *testing.T, a crew.Answer, at string, reason probe.Reason, why string) map[string]any {
	t.Helper()
	l := layersOf(t, &a)
	if a.Status != probe.Reply || a.Good() || !a.From.IsValid() || a.RTT <= 0 || a.Sent.IsZero() {
		t.Errorf("%+v", a.Result)
	}
	if l.FailedAt != at || l.Reason != reason || !strings.Contains(l.Why, why) {
		t.Errorf("failed at %s (%v): %s; want at %s (%v): %s", l.FailedAt, l.Reason, l.Why, at, reason, why)
	}
	if strings.ContainsAny(l.Why, "\r\n") || len(l.Why) > 500 {
		t.Errorf("not a line: %q", l.Why)
	}
	return facts(l)
}

func phases(a *crew.Answer) string {
	var names []string
	for _, p := range a.Detail.(*probe.Layers).Phases {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ")
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial = func() func() *big.Int {
	var mu sync.Mutex
	n := int64(0)
	return func() *big.Int {
		mu.Lock()
		defer mu.Unlock()
		n++
		return big.NewInt(n)
	}
}()

const day = 24 * time.Hour

// sign returns a certificate for what, which by is the issuer of; itself if by
// is nil. It has the names, and is good from days ago to days ahead, and an hour.
func sign(t *testing.T, by *authority, what string, names []string, from, to time.Duration) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: what, Organization: []string{"Example"}},
		NotBefore: now.Add(from).Add(-time.Hour), NotAfter: now.Add(to).Add(time.Hour), BasicConstraintsValid: true,
	}
	if names == nil && what != testName {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// chain is what a server sends that has the certificate leaf, with those above it.
func chain(leaf *authority, above ...*authority) tls.Certificate {
	c := tls.Certificate{PrivateKey: leaf.key, Certificate: [][]byte{leaf.cert.Raw}}
	for _, a := range above {
		c.Certificate = append(c.Certificate, a.cert.Raw)
	}
	return c
}

// secure serves TLS with cfg, then has handle talk.
func secure(t *testing.T, cfg *tls.Config, handle func(c net.Conn)) netip.AddrPort {
	return serve(t, func(c net.Conn) {
		s := tls.Server(c, cfg)
		if s.Handshake() != nil {
			return
		}
		handle(s)
	})
}

// root is an authority for many tests, and a certificate of it for testName.
var root = sync.OnceValues(func() (*authority, tls.Certificate) {
	t := new(testing.T)
	ca := sign(t, nil, "Example Root", nil, -365*day, 365*day)
	return ca, chain(sign(t, ca, testName, []string{testName}, -day, 71*day))
})
