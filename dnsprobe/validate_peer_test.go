package dnsprobe

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// needServer finds a program of another project, or skips the test with the
// reason; NETPROBE_SERVERS=require makes that a failure.
func needServer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
			if p, e := exec.LookPath(filepath.Join(dir, name)); e == nil {
				return p
			}
		}
		if os.Getenv("NETPROBE_SERVERS") == "require" {
			t.Fatalf("NETPROBE_SERVERS=require, but %v", err)
		}
		t.Skipf("no second opinion: %v", err)
	}
	return path
}

// serve answers from the tree on a port of loopback, by UDP up to a size, and TCP.
func (tree *testTree) serve(t *testing.T, size int) netip.AddrPort {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := tree.reply(q)
		if _, ok := w.LocalAddr().(*net.UDPAddr); ok {
			m.Truncate(size)
		} else {
			tree.streams.Add(1)
		}
		_ = w.WriteMsg(m)
	})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: ln, Handler: handler}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// startUnbound runs a validating resolver that forwards all to server.
func startUnbound(t *testing.T, server netip.AddrPort, anchor string) netip.AddrPort {
	t.Helper()
	path := needServer(t, "unbound")
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	pc.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "unbound.conf")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "anchor"), anchor+"\n")
	write(conf, fmt.Sprintf(`server:
  directory: "%[1]s"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@%[2]d
  port: %[2]d
  access-control: 127.0.0.0/8 allow
  do-ip6: no
  do-daemonize: no
  num-threads: 1
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "%[1]s/anchor"
  val-permissive-mode: no
  val-sig-skew-min: 0
  val-sig-skew-max: 0
  harden-below-nxdomain: no
  aggressive-nsec: no
  qname-minimisation: no
  local-zone: "test." nodefault
  local-zone: "opt." nodefault
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  verbosity: 1
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: %[3]s@%[4]d
`, dir, at.Port(), server.Addr(), server.Port()))
	var log bytes.Buffer
	cmd := exec.Command(path, "-d", "-c", conf)
	cmd.Stderr, cmd.Stdout = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("unbound: %s", log.Bytes())
		}
	})
	for range 100 {
		q := new(dns.Msg)
		q.SetQuestion("version.server.", dns.TypeTXT)
		q.Question[0].Qclass = dns.ClassCHAOS
		c := dns.Client{Timeout: 100 * time.Millisecond}
		if _, _, err := c.Exchange(q, at.String()); err == nil {
			return at
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("unbound does not answer")
	return at
}

// TestVerdictsOfUnbound asks another validator for the same verdicts, over the
// same servers.
func TestVerdictsOfUnbound(t *testing.T) {
	t.Parallel()
	needServer(t, "unbound")
	tree := newTree(t, time.Now())
	at := startUnbound(t, tree.serve(t, 1232), tree.zones["."].ksk.rr.String())
	for _, tt := range verdicts {
		t.Run(tt.name+"_"+tt.typ, func(t *testing.T) {
			if why := tt.ours + tt.unbound; why != "" {
				t.Skip(why)
			}
			q := new(dns.Msg)
			q.SetQuestion(dns.Fqdn(tt.name), dns.StringToType[tt.typ])
			q.SetEdns0(1232, true)
			m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(q, at.String())
			if err != nil {
				t.Fatal(err)
			}
			if got := unboundSays(m); got != tt.want {
				t.Errorf("unbound: %v, we: %v\n%v", got, tt.want, m)
			}
		})
	}
}

func unboundSays(m *dns.Msg) Security {
	switch {
	case m.Rcode == dns.RcodeServerFailure:
		return Bogus
	case m.AuthenticatedData:
		return Secure
	}
	return Insecure
}

// TestVerdictsOfDelv asks BIND's validator, which tells its verdict in words.
func TestVerdictsOfDelv(t *testing.T) {
	t.Parallel()
	path := needServer(t, "delv")
	tree := newTree(t, time.Now())
	server := tree.serve(t, 1232)
	ksk := tree.zones["."].ksk.rr
	anchors := filepath.Join(t.TempDir(), "anchors")
	text := fmt.Sprintf("trust-anchors { . static-key %d %d %d %q; };\n", ksk.Flags, ksk.Protocol, ksk.Algorithm, ksk.PublicKey)
	if err := os.WriteFile(anchors, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range verdicts {
		t.Run(tt.name+"_"+tt.typ, func(t *testing.T) {
			if why := tt.ours + tt.delv; why != "" {
				t.Skip(why)
			}
			out, err := exec.Command(path, "-a", anchors, "+root", "@"+server.Addr().String(), "-p", fmt.Sprint(server.Port()), tt.name, tt.typ).CombinedOutput()
			if got := delvSays(string(out)); got != tt.want {
				t.Errorf("delv: %v, we: %v (%v)\n%s", got, tt.want, err, out)
			}
		})
	}
}

// delvSays reads a line for each part of the answer: the worst counts.
func delvSays(out string) Security {
	switch {
	case strings.Contains(out, ";; resolution failed: ") && !strings.Contains(out, ";; resolution failed: ncache"):
		return Bogus
	case strings.Contains(out, "unsigned answer"), strings.Contains(out, "; negative response, unsigned"):
		return Insecure
	case strings.Contains(out, "fully validated"):
		return Secure
	}
	return Indeterminate
}
