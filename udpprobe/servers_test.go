package udpprobe

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/udpprobe/payload"
)

// A server is a program that others wrote, started on a port of loopback.
type server struct {
	proto   string
	program string
	args    func(t *testing.T, dir string, port uint16) []string
	says    string // the start of the summary of its answer
}

var servers = []server{
	{"ntp", "chronyd", func(t *testing.T, dir string, port uint16) []string {
		conf := write(t, dir, "chrony.conf", fmt.Sprintf(
			"local stratum 5\nallow\nport %d\ncmdport 0\nbindaddress 127.0.0.1\npidfile %s/pid\nbindcmdaddress /\n", port, dir))
		me, err := user.Current()
		if err != nil {
			t.Skip(err)
		}
		// -x leaves the clock of this machine alone, -U needs no privilege.
		return []string{"-d", "-x", "-U", "-u", me.Username, "-f", conf}
	}, "reply udp-reply ntp_stratum=5 ntp_offset_ms="},
	{"dns", "unbound", func(t *testing.T, dir string, port uint16) []string {
		conf := write(t, dir, "unbound.conf", fmt.Sprintf(`server:
  interface: 127.0.0.1
  port: %d
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  local-zone: "." refuse
remote-control:
  control-enable: no
`, port, dir))
		return []string{"-d", "-p", "-c", conf}
	}, "reply udp-reply dns_rcode=REFUSED dns_recursion=true"},
	{"dtls", "openssl", func(t *testing.T, dir string, port uint16) []string {
		cert := certificate(t, dir)
		return []string{"s_server", "-dtls", "-listen", "-accept", fmt.Sprintf("127.0.0.1:%d", port), "-cert", cert, "-key", cert, "-quiet"}
	}, "reply udp-reply dtls_answer=hello verify request dtls_cookie_bytes="},
}

// Programs that others wrote are understood, and understand what they are asked.
func TestServers(t *testing.T) {
	for _, s := range servers {
		t.Run(s.program, func(t *testing.T) {
			path := find(t, s.program)
			to := freePort(t)
			var said bytes.Buffer
			cmd := exec.CommandContext(t.Context(), path, s.args(t, t.TempDir(), to.Port())...)
			cmd.Stdout, cmd.Stderr = &said, &said
			if s.program == "openssl" {
				in, err := cmd.StdinPipe() // whose end would be that of the server
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var last string
			for range 100 { // until it has started
				a := ask(t, Config{Proto: payload.ByName(s.proto)}, to, time.Second)
				if last = summary(a); a.Status != probe.Refused {
					break
				}
				time.Sleep(50 * ms)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if !strings.HasPrefix(last, s.says) {
				t.Errorf("%s, want %s...; it says\n%s", last, s.says, said.Bytes())
			}
		})
	}
}

// find returns the path of a program of this system, or skips the test.
func find(t *testing.T, program string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	skip := t.Skipf
	if os.Getenv("NETPROBE_SERVERS") == "require" {
		skip = t.Fatalf
	}
	skip("%s is not installed", program)
	return ""
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort is a port of loopback that nobody has now.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// certificate writes a new key and a certificate of its own into one file.
func certificate(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	return write(t, dir, "server.pem", string(text))
}
