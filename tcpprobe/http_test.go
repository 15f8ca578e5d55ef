package tcpprobe

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/http1"
	"netprobe/probe"
	"netprobe/rawsock"
)

// respond reads a request, then says text and goes on.
func respond(text string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, text)
			then(c)
		}
	}
}

func done(net.Conn) {}

func TestHTTP(t *testing.T) {
	redirect := "HTTP/1.1 301 Moved Permanently\r\nServer: x/1\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		want   map[string]any
	}{
		{"length", respond("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", hold),
			map[string]any{"http_status": 200, "http_version": "HTTP/1.1", "http_body_bytes": 5, "http_server": nil, "http_body_truncated": nil}},
		{"chunks", respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", hold), map[string]any{"http_body_bytes": 5}},
		{"to the end", respond("HTTP/1.0 200 OK\r\n\r\nhello", done), map[string]any{"http_body_bytes": 5, "http_version": "HTTP/1.0"}},
		{"redirect", respond(redirect, hold), map[string]any{"http_status": 301, "http_server": "x/1", "http_location": "/there"}},
		{"no content", respond("HTTP/1.1 204 No Content\r\n\r\n", hold), map[string]any{"http_status": 204, "http_body_bytes": 0}},
		{"early hints", respond("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", hold), map[string]any{"http_status": 200}},
		{"large", respond("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 2*maxBody), done), map[string]any{"http_body_bytes": maxBody, "http_body_truncated": true}},
		{"tiny chunks", respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1\r\nx\r\n", maxBody), hold),
			map[string]any{"http_body_bytes": maxBody, "http_body_truncated": true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := climb(t, serve(t, tc.handle), Climb{HTTP: "/"}, patience)
			got := passed(t, a)
			for k, want := range tc.want {
				if got[k] != want {
					t.Errorf("%s: %v, want %v", k, got[k], want)
				}
			}
			if phases(&a) != "connect first_byte transfer" {
				t.Errorf("phases %s", phases(&a))
			}
		})
	}
}

func TestHTTPFaults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		reason probe.Reason
		why    string
	}{
		{"status", respond("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", hold), probe.HTTPStatus, "status 503 Service Unavailable"},
		{"not found", respond("HTTP/1.1 404 Gone fishing\r\nContent-Length: 0\r\n\r\n", hold), probe.HTTPStatus, "status 404 Not Found"},
		{"other protocol", say("SSH-2.0-OpenSSH_9.2\r\n", hold), probe.BadReply, "answered in something that is not HTTP: SSH-2.0-OpenSSH_9.2"},
		{"tls", say("\x15\x03\x01\x00\x02\x02\x46", done), probe.BadReply, "the server speaks TLS here"},
		{"binary", say("\x00\x01\x02\x03\x04", done), probe.BadReply, "answered in something that is not HTTP"},
		{"malformed", respond("HTTP/1.1 2000 Fine\r\n\r\n", hold), probe.BadReply, `malformed response: malformed HTTP status code "2000"`},
		{"malformed header", respond("HTTP/1.1 200 OK\r\nx\r\n\r\n", hold), probe.BadReply, "malformed response: malformed MIME header"},
		{"long header", respond("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2*http1.MaxHead)+"\r\n\r\n", hold), probe.BadReply, "header longer than 65536 bytes"},
		{"long status line", respond("HTTP/1.1 200 "+strings.Repeat("x", 2*http1.MaxHead)+"\r\n\r\n", hold), probe.BadReply, "header longer than 65536 bytes"},
		{"hints for ever", respond(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100), hold), probe.BadReply, "more than 8 interim responses"},
		{"broken header", respond("HTTP/1.1 200 OK\r\nX: y\r\n", done), probe.BadReply, "closed by the server after 23 bytes"},
		{"broken body", respond("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", done), probe.BadReply, "the body broke off after 5 of 500 bytes"},
		{"broken chunks", respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", done), probe.BadReply, "the body broke off after 5 bytes"},
		{"bad chunks", respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", hold), probe.BadReply, "the body broke off after 0 bytes: invalid byte in chunk length"},
		{"stalled body", respond("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", hold), probe.NoResponse, "the body stalled after 5 of 500 bytes, not done within 300 ms"},
		{"stalled header", respond("HTTP/1.1 200 OK\r\n", hold), probe.NoResponse, "stalled after 17 bytes, not done within 300 ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			timeout := patience
			if tc.reason == probe.NoResponse {
				timeout = impatience
			}
			a := climb(t, serve(t, tc.handle), Climb{HTTP: "/"}, timeout)
			broke(t, a, "http", tc.reason, tc.why)
		})
	}
}

func TestHTTPStatus(t *testing.T) {
	to := serve(t, respond("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", hold))
	for _, tc := range []struct{ expect, why string }{
		{"404", ""}, {"4xx", ""}, {"200,400-410", ""},
		{"2xx,301", "status 404 Not Found, expected 2xx,301"},
	} {
		s, err := ParseStatuses(tc.expect)
		if err != nil {
			t.Fatal(err)
		}
		a := climb(t, to, Climb{HTTP: "/", Status: s}, patience)
		if tc.why == "" {
			passed(t, a)
		} else {
			broke(t, a, "http", probe.HTTPStatus, tc.why)
		}
	}
}

// The body may be asked to match.
func TestHTTPExpect(t *testing.T) {
	to := serve(t, respond("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"up\"}", hold))
	passed(t, climb(t, to, Climb{HTTP: "/", Expect: regexpOf(`"status":\s*"up"`)}, patience))
	broke(t, climb(t, to, Climb{HTTP: "/", Expect: regexpOf(`down`)}, patience), "expect", probe.BadReply, "the body does not match")
}

// What is asked is what the command line says, for the host that it says.
func TestHTTPRequest(t *testing.T) {
	ca, cert := root()
	requests := make(chan *http.Request, 1)
	handle := func(c net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			requests <- r
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			hold(c)
		}
	}
	plain := serve(t, handle)
	ssl := secure(t, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}, handle)
	for _, tc := range []struct {
		to   netip.AddrPort
		c    Climb
		host string
	}{
		{plain, Climb{HTTP: "/health?x=1"}, fmt.Sprintf("www.example.com:%d", plain.Port())},
		{plain, Climb{HTTP: "/", ServerName: "2001:db8::1", Agent: "netprobe/1"}, fmt.Sprintf("[2001:db8::1]:%d", plain.Port())},
		{ssl, Climb{HTTP: "/", TLS: true, Roots: ca.pool()}, fmt.Sprintf("www.example.com:%d", ssl.Port())},
	} {
		a := climb(t, tc.to, tc.c, patience)
		got := passed(t, a)
		r := <-requests
		if r.Host != tc.host || r.RequestURI != tc.c.HTTP || r.Method != "GET" || !strings.HasPrefix(r.UserAgent(), "netprobe") || !r.Close {
			t.Errorf("%+v", r)
		}
		if tc.c.TLS && (got["tls_alpn"] != "http/1.1" || phases(&a) != "connect tls first_byte transfer") {
			t.Errorf("%v, %s", got, phases(&a))
		}
	}
}

func TestAuthority(t *testing.T) {
	for _, tc := range []struct {
		host   string
		port   uint16
		secure bool
		want   string
	}{
		{"www.example.com", 80, false, "www.example.com"},
		{"www.example.com", 443, true, "www.example.com"},
		{"www.example.com.", 443, false, "www.example.com:443"},
		{"www.example.com", 80, true, "www.example.com:80"},
		{"fe80::1%eth0", 80, false, "[fe80::1]"},
		{"", 8080, false, "192.0.2.1:8080"},
		{"", 443, true, "192.0.2.1"},
	} {
		w := ascent{Climb: &Climb{TLS: tc.secure}, try: crew.Try{To: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), tc.port), Host: tc.host}}
		if got := w.authority(); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

// Whatever a server says over HTTP, it is read to an end within bounds.
func FuzzHTTP(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 500 x\r\n\r\n", "SSH-2.0-x\r\n", "\x15\x03\x01\x00\x02\x02\x46", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		w, l := rehearse(t, said, Climb{HTTP: "/", Expect: regexpOf("x")})
		fault := w.http()
		if fault == nil && (facts(l)["http_status"] == nil || facts(l)["http_body_bytes"] == nil) {
			t.Errorf("no fault, and %v", l.Facts)
		}
		checkFault(t, fault)
	})
}

// rehearse returns a climb whose server says what it says, then closes.
func rehearse(t *testing.T, said []byte, c Climb) (*ascent, *probe.Layers) {
	client := &script{said: said}
	l := &probe.Layers{}
	w := &ascent{
		Climb: &c, ctx: t.Context(), socket: &rawsock.Config{}, until: time.Now().Add(patience), layers: l,
		try: crew.Try{To: netip.MustParseAddrPort("192.0.2.1:80"), Timeout: patience},
	}
	w.wire = &wire{Conn: client, ctx: w.ctx}
	w.conn = w.wire
	return w, l
}

// script is the connection of a server that only speaks.
type script struct {
	net.Conn
	said []byte
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.said)
	s.said = s.said[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) { return len(p), nil }
func (s *script) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)} }

// checkFault checks what holds for every fault.
func checkFault(t *testing.T, f *fault) {
	t.Helper()
	if f != nil && (f.why == "" || f.canceled || f.own != nil || len(f.why) > 500 || strings.ContainsAny(f.why, "\r\n")) {
		t.Errorf("%+v", f)
	}
}
