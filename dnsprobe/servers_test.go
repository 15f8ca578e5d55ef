package dnsprobe

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// realServer is one of another project, on loopback.
type realServer struct {
	dns, tls, https netip.AddrPort
	roots           *x509.CertPool
}

// freePorts returns loopback addresses whose ports were free for UDP and TCP just now.
func freePorts(t *testing.T, n int) []netip.AddrPort {
	t.Helper()
	var all []netip.AddrPort
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			t.Skip(err)
		}
		defer pc.Close()
		all = append(all, netip.MustParseAddrPort(l.Addr().String()))
	}
	return all
}

// bigZone has a set of records that no datagram takes.
func bigZone() string {
	var b strings.Builder
	b.WriteString("$TTL 300\n@ SOA ns1 hostmaster 2024050101 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.7\nalias CNAME www\n")
	for i := range 60 {
		fmt.Fprintf(&b, "big TXT \"record %d of many, together too long for a datagram of the usual size\"\n", i)
	}
	return b.String()
}

// writeCertificate puts a certificate for 127.0.0.1 into dir.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	ca := newAuthority(t)
	cert := ca.issue(t, "127.0.0.1", -time.Hour, time.Hour)
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})))
	return ca.pool
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startProgram runs a server until the test is over, and waits until it answers by
// TLS, which is what comes up last.
func (s *realServer) startProgram(t *testing.T, name string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, log.Bytes())
		}
	})
	for range 100 {
		up := true
		for _, at := range []netip.AddrPort{s.dns, s.tls, s.https} {
			c, err := net.DialTimeout("tcp", at.String(), time.Second)
			if up = up && err == nil; err == nil {
				c.Close()
			}
		}
		if up {
			if c, err := tls.Dial("tcp", s.tls.String(), &tls.Config{RootCAs: s.roots}); err == nil {
				c.Close()
				return
			}
		}
		time.Sleep(100 * ms)
	}
	t.Fatalf("%s does not come up", name)
}

func newRealServer(t *testing.T, dir string) *realServer {
	p := freePorts(t, 3)
	return &realServer{dns: p[0], tls: p[1], https: p[2], roots: writeCertificate(t, dir)}
}

func startNamed(t *testing.T) *realServer {
	t.Helper()
	path := needServer(t, "named")
	dir := t.TempDir()
	s := newRealServer(t, dir)
	writeFile(t, filepath.Join(dir, "zone"), bigZone())
	writeFile(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(`
tls local { cert-file "%[1]s/cert.pem"; key-file "%[1]s/key.pem"; };
options {
	directory "%[1]s"; pid-file none; session-keyfile none; managed-keys-directory "%[1]s";
	listen-on port %[2]d { 127.0.0.1; };
	listen-on port %[3]d tls local { 127.0.0.1; };
	listen-on port %[4]d tls local http default { 127.0.0.1; };
	listen-on-v6 { none; };
	recursion no; dnssec-validation no; server-id "named-1"; allow-query { 127.0.0.0/8; };
};
controls {};
zone "example.test" { type primary; file "zone"; };
`, dir, s.dns.Port(), s.tls.Port(), s.https.Port()))
	s.startProgram(t, path, "-g", "-c", filepath.Join(dir, "named.conf"))
	return s
}

func startUnboundServer(t *testing.T) *realServer {
	t.Helper()
	path := needServer(t, "unbound")
	dir := t.TempDir()
	s := newRealServer(t, dir)
	var data strings.Builder
	for _, rr := range []string{"www.example.test. 300 A 192.0.2.7", "example.test. 300 SOA ns1.example.test. hostmaster.example.test. 2024050101 3600 600 86400 60"} {
		fmt.Fprintf(&data, "  local-data: %q\n", rr)
	}
	for i := range 60 {
		fmt.Fprintf(&data, "  local-data: 'big.example.test. 300 TXT \"record %d of many, together too long for a datagram of the usual size\"'\n", i)
	}
	writeFile(t, filepath.Join(dir, "unbound.conf"), fmt.Sprintf(`server:
  directory: "%[1]s"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  interface: 127.0.0.1@%[2]d
  interface: 127.0.0.1@%[3]d
  interface: 127.0.0.1@%[4]d
  port: %[2]d
  tls-port: %[3]d
  https-port: %[4]d
  tls-service-key: "%[1]s/key.pem"
  tls-service-pem: "%[1]s/cert.pem"
  access-control: 127.0.0.0/8 allow
  do-ip6: no
  nsid: "ascii_unbound-1"
  module-config: "iterator"
  local-zone: "example.test." static
%[5]s
remote-control:
  control-enable: no
`, dir, s.dns.Port(), s.tls.Port(), s.https.Port(), data.String()))
	s.startProgram(t, path, "-d", "-c", filepath.Join(dir, "unbound.conf"))
	return s
}

// ask asks the server for all of qs by each transport.
func (s *realServer) ask(t *testing.T, cfg Config) []probe.Result {
	t.Helper()
	cfg.TLS.Roots, cfg.Timeout = s.roots, 10*time.Second
	e, err := Open(cfg, rawsock.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	var all []Asked
	for i, at := range []netip.AddrPort{s.dns, s.dns, s.tls, s.https} {
		all = append(all, Asked{
			Server: Server{Transport: Transport(i), Host: probe.Host{Addr: at.Addr()}, Port: at.Port(), Path: DefaultPath},
			Target: &probe.Target{ID: i, Addr: at},
		})
	}
	e.SetServers(all)
	var got []probe.Result
	if err := e.Probe(t.Context(), func(r probe.Result) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	return got
}

// Servers that the world uses are understood, and understand us, by every transport.
func TestRealServers(t *testing.T) {
	for _, tc := range []struct {
		name, nsid string
		start      func(*testing.T) *realServer
	}{{"named", "named-1", startNamed}, {"unbound", "unbound-1", startUnboundServer}} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.start(t)
			var qs []Question
			for _, name := range []string{"www", "nosuch", "big"} {
				typ := "A"
				if name == "big" {
					typ = "TXT"
				}
				qs = append(qs, question4(t, name+".example.test", typ))
			}
			got := s.ask(t, Config{Questions: qs, Options: Options{Cookie: true, DO: true, Subnet: netip.MustParsePrefix("198.51.100.0/24")}})
			if len(got) != 12 {
				t.Fatalf("%d outcomes", len(got))
			}
			for _, r := range got {
				d := r.Detail.(*probe.DNS)
				if r.Status != probe.Reply {
					t.Errorf("%s %s: %v %v, %+v", d.Transport, d.Question.Name, r.Status, r.Reason, d.Attempts)
					continue
				}
				s.check(t, r, d, tc.nsid)
			}
		})
	}
}

func (s *realServer) check(t *testing.T, r probe.Result, d *probe.DNS, nsid string) {
	t.Helper()
	m := d.Answer
	who := d.Transport + " " + d.Question.Name
	if m.EDNS == nil || m.EDNS.NSID != nsid || d.StrayN != 0 {
		t.Errorf("%s: %+v, %d strays", who, m.EDNS, d.StrayN)
	}
	switch name, _, _ := strings.Cut(d.Question.Name, "."); name {
	case "www":
		if m.Rcode != "NOERROR" || len(m.Answers) != 1 || m.Answers[0].Data != "192.0.2.7" {
			t.Errorf("%s: %+v", who, m)
		}
		if phases := phaseNames(d); !strings.HasSuffix(phases, "request") || (r.Target.ID >= 2) != strings.Contains(phases, "tls") {
			t.Errorf("%s: phases %s", who, phases)
		}
	case "nosuch":
		if m.Rcode != "NXDOMAIN" || len(m.Answers) != 0 || len(m.Authority) == 0 || m.Authority[0].Type != "SOA" {
			t.Errorf("%s: %+v", who, m)
		}
	case "big":
		if len(m.Answers) != 60 {
			t.Errorf("%s: %s with %d records", who, m.Rcode, len(m.Answers))
		}
		if udp := r.Target.ID == 0; udp && (len(d.Attempts) != 2 || !d.Attempts[0].Truncated || d.Transport != "tcp") {
			t.Errorf("%s: %+v", who, d.Attempts)
		}
	}
}

// The cookie of a real server is good the second time, too.
func TestRealCookies(t *testing.T) {
	s := startNamed(t)
	got := s.ask(t, Config{Questions: []Question{question4(t, "www.example.test", "A")}, Options: Options{Cookie: true}, Count: 2})
	for _, r := range got {
		d := r.Detail.(*probe.DNS)
		if r.Status != probe.Reply || d.Answer.EDNS == nil || !d.Answer.EDNS.CookieOK || d.Answer.EDNS.Cookie == "" {
			t.Errorf("%s: %v, %+v", d.Transport, r.Status, d.Answer)
		}
	}
}
