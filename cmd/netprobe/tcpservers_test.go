package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// servers are those a script can start at a port of 127.0.0.1, by name.
var servers = map[string]func(net.Conn){
	"web":       web,
	"https":     overTLS("localhost", 71, web),
	"expired":   overTLS("localhost", -3, web),
	"misnamed":  overTLS("other.example", 71, web),
	"ssh":       says("SSH-2.0-Example_1.0\r\n"),
	"hostile":   says("\x1b]0;owned\a\x1b[2J\u202ehello\r\n"),
	"silent":    says(""),
	"crashing":  func(net.Conn) {},
	"redis":     replies("", map[string]string{"PING": "+PONG\r\n"}, nil),
	"mail":      replies("220 mail.example ESMTP\r\n", map[string]string{"EHLO": "250-mail.example\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n"}, overTLS("localhost", 71, says(""))),
	"mail-bare": replies("220 mail.example ESMTP\r\n", map[string]string{"EHLO": "250 mail.example\r\n"}, nil),
}

// server NAME starts one; its address is then $addr. What signs its certificate
// is trusted by what the script runs from here on.
func server(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || servers[args[0]] == nil {
		ts.Fatalf("usage: server NAME")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				servers[args[0]](c)
			}()
		}
	})
	ts.Defer(func() { l.Close(); running.Wait() })
	ts.Setenv("addr", "localhost:"+l.Addr().String()[len("127.0.0.1:"):])
	file := ts.MkAbs("ca.pem")
	ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer().Certificate[0]}), 0o644))
	s := ts.Value("script").(*script)
	s.env = append(s.env, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+ts.MkAbs("none"))
}

// web is a server of HTTP that knows a few paths.
func web(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	answer := map[string]string{
		"/":      "200 OK\r\nServer: example\r\nContent-Length: 5\r\n\r\nfine\n",
		"/down":  "503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"/moved": "301 Moved Permanently\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n",
	}[r.URL.Path]
	if answer == "" {
		answer = "404 Not Found\r\nContent-Length: 0\r\n\r\n"
	}
	_, _ = io.WriteString(c, "HTTP/1.1 "+answer)
	_, _ = io.Copy(io.Discard, c)
}

// says is a server that says text and waits.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	}
}

// replies is a server that answers lines by their first word; then goes on
// after STARTTLS.
func replies(greeting string, answers map[string]string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		for in := bufio.NewReader(c); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			word := strings.Fields(line + " -")[0]
			_, _ = io.WriteString(c, answers[word])
			if word == "STARTTLS" {
				then(c)
				return
			}
		}
	}
}

// overTLS is a server with a certificate for name that has days left.
func overTLS(name string, days int, handle func(net.Conn)) func(net.Conn) {
	cert := sync.OnceValue(func() tls.Certificate { return certify(name, days, new(signer())) })
	return func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert()}, NextProtos: []string{"h2", "http/1.1"}})
		if s.Handshake() == nil {
			handle(s)
		}
	}
}

// signer is the authority of all servers.
var signer = sync.OnceValue(func() tls.Certificate { return certify("Example CA", 365, nil) })

// certify returns a certificate by ca, that of an authority if ca is nil.
func certify(name string, days int, ca *tls.Certificate) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	expires := time.Now().Add(time.Duration(days)*24*time.Hour + time.Duration(days/max(days, -days))*time.Hour)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(int64(1000 + days)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-400 * 24 * time.Hour), NotAfter: expires, BasicConstraintsValid: true,
	}
	parent, by := c, key
	if ca == nil {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		c.DNSNames = []string{name}
		by = ca.PrivateKey.(*ecdsa.PrivateKey)
		if parent, err = x509.ParseCertificate(ca.Certificate[0]); err != nil {
			panic(err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
