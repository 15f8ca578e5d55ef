//go:build unix

package tcpprobe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"netprobe/probe"
)

// Servers that others wrote, where they are installed.

// need returns the first of the programs that is there. A test without skips,
// but where NETPROBE_SERVERS says that it must not.
func need(t *testing.T, patterns ...string) string {
	t.Helper()
	for _, p := range patterns {
		if found, _ := filepath.Glob(p); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	if os.Getenv("NETPROBE_SERVERS") == "require" {
		t.Fatalf("not installed: %v", patterns)
	}
	t.Skipf("not installed: %v", patterns)
	return ""
}

// nobody is the user of servers that refuse to run as root.
const nobody = 65534

// workplace is a directory for a server.
func workplace(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "netprobe-server")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// unprivileged gives files to a user who is not root, and returns how a server
// runs as that: as we do, or as nobody where we are root. Tests of ordinary users
// may run as the root of a user namespace that has nobody else.
func unprivileged(t *testing.T, files ...string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}
	}
	for _, f := range files {
		switch err := os.Chown(f, nobody, nobody); {
		case errors.Is(err, syscall.EINVAL):
			return inOwnNamespace(nobody)
		case err != nil:
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// freePort returns a port of 127.0.0.1 that nobody listens at, for the moment.
func freePort(t *testing.T) uint16 { return closedPort(t, "127.0.0.1") }

// start runs a server until the test ends, or stop is called, and waits until
// all ports listen.
func start(t *testing.T, as *syscall.SysProcAttr, dir string, ports []uint16, name string, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr, c.Dir, c.SysProcAttr = &out, &out, dir, as
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGQUIT) } // both end at once by that
	c.WaitDelay = 10 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	for _, port := range ports {
		if !listens(port, ended) {
			stop()
			t.Fatalf("%s does not listen at %d:\n%s", name, port, out.Bytes())
		}
	}
	return stop
}

func listens(port uint16, ended chan struct{}) bool {
	for range 600 {
		if c, err := net.Dial("tcp4", local(port).String()); err == nil {
			c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
	return false
}

func local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}

// write puts a certificate and its key into files that a server reads.
func write(t *testing.T, dir, name string, cert tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	var chain []byte
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for file, text := range map[string][]byte{certFile: chain, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestNginx(t *testing.T) {
	nginx := need(t, "/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx")
	dir := workplace(t)
	ca, good := root()
	old := chain(sign(t, ca, testName, []string{testName}, -90*day, -3*day-2*time.Hour))
	goodCert, goodKey := write(t, dir, "good", good)
	oldCert, oldKey := write(t, dir, "old", old)
	plain, ssl, expired, picky := freePort(t), freePort(t), freePort(t), freePort(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`
daemon off;
master_process off;
user root root; # whoever that is; it matters to root alone
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	ssl_protocols TLSv1.2 TLSv1.3;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server {
		listen 127.0.0.1:%[2]d;
		listen 127.0.0.1:%[3]d ssl http2;
		ssl_certificate %[6]s; ssl_certificate_key %[7]s;
		location /health { return 200 "fine $host\n"; }
		location /moved { return 301 /health; }
		location / { return 404; }
		location /down { return 503; }
	}
	server {
		listen 127.0.0.1:%[4]d ssl;
		ssl_certificate %[8]s; ssl_certificate_key %[9]s;
	}
	server {
		listen 127.0.0.1:%[5]d ssl;
		ssl_certificate %[6]s; ssl_certificate_key %[7]s;
		ssl_client_certificate %[6]s; ssl_verify_client on;
	}
}
`, dir, plain, ssl, expired, picky, goodCert, goodKey, oldCert, oldKey)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, nil, dir, []uint16{plain, ssl, expired, picky}, nginx, "-p", dir, "-e", "stderr", "-c", conf)

	a := climb(t, local(plain), Climb{HTTP: "/health", Expect: regexpOf("^fine " + testName)}, patience)
	if got := passed(t, a); got["http_status"] != 200 || got["http_body_bytes"] != len("fine \n"+testName) {
		t.Errorf("%v", got)
	}
	a = climb(t, local(ssl), Climb{TLS: true, Roots: ca.pool()}, patience)
	if got := passed(t, a); got["tls_version"] != "TLS 1.3" || got["tls_alpn"] != "h2" || got["tls_days_left"] != 71 {
		t.Errorf("%v", got)
	}
	c := Climb{TLS: true, Roots: ca.pool(), HTTP: "/moved"}
	if got := passed(t, climb(t, local(ssl), c, patience)); got["tls_alpn"] != "http/1.1" || got["http_status"] != 301 || got["http_location"] == nil {
		t.Errorf("%v", got)
	}
	c.HTTP = "/nowhere"
	broke(t, climb(t, local(ssl), c, patience), "http", probe.HTTPStatus, "status 404 Not Found")
	c.HTTP = "/down"
	broke(t, climb(t, local(ssl), c, patience), "http", probe.HTTPStatus, "status 503 Service Unavailable")
	broke(t, climb(t, local(expired), c, patience), "tls", probe.TLSFailed, "certificate expired 3 days ago")
	broke(t, climb(t, local(plain), c, patience), "tls", probe.TLSFailed, "answered in plain text: HTTP/1.1 400 Bad Request")
	broke(t, climb(t, local(ssl), Climb{HTTP: "/"}, patience), "http", probe.HTTPStatus, "status 400 Bad Request")
	if got := broke(t, climb(t, local(picky), c, patience), "http", probe.HTTPStatus, "status 400 Bad Request"); got["tls_client_cert"] != "requested" {
		t.Errorf("%v", got)
	}
	broke(t, climb(t, local(plain), Climb{Banner: true}, impatience), "banner", probe.NoResponse, "the server said nothing within 300 ms")
}

func TestPostgres(t *testing.T) {
	initdb := need(t, "/usr/lib/postgresql/*/bin/initdb", "/usr/local/pgsql/bin/initdb", "/usr/bin/initdb", "/usr/local/bin/initdb")
	postgres := filepath.Join(filepath.Dir(initdb), "postgres")
	dir := workplace(t)
	ca, good := root()
	cert, key := write(t, dir, "server", good)
	as := unprivileged(t, dir, cert, key)
	data := filepath.Join(dir, "data")
	c := exec.CommandContext(t.Context(), initdb, "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale")
	c.Dir, c.SysProcAttr = dir, as
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "HOME="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	port := freePort(t)
	args := []string{"-D", data, "-p", strconv.Itoa(int(port)), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"}
	stop := start(t, as, dir, []uint16{port}, postgres, append(args, "-c", "ssl=on", "-c", "ssl_cert_file="+cert, "-c", "ssl_key_file="+key)...)
	a := climb(t, local(port), Climb{StartTLS: Postgres, Roots: ca.pool()}, patience)
	if got := passed(t, a); got["tls_version"] != "TLS 1.3" || got["tls_verdict"] != "valid" || phases(&a) != "connect starttls tls" {
		t.Errorf("%v, phases %s", got, phases(&a))
	}
	stop()

	port = freePort(t)
	args[3] = strconv.Itoa(int(port))
	start(t, as, dir, []uint16{port}, postgres, append(args, "-c", "ssl=off")...)
	broke(t, climb(t, local(port), Climb{StartTLS: Postgres}, patience), "starttls", probe.BadReply, "the server has no TLS (ssl is off)")
	broke(t, climb(t, local(port), Climb{StartTLS: MySQL}, impatience), "starttls", probe.NoResponse, "no answer within 300 ms")
}
