package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads a response to its end.
func read(said string) (*Head, string, error) {
	r := NewReader(strings.NewReader(said))
	h, err := r.Head()
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(r.Body(h))
	return h, string(body), err
}

func TestBody(t *testing.T) {
	for _, tc := range []struct{ name, said, body string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world", "hello"},
		{"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", "hello"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\nhello", "hello"},
		{"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"bare line feeds", "HTTP/1.1 200\nContent-Length: 5\n\nhello", "hello"},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n003 ; x=y\r\nllo\r\n0\r\n", "hello"},
		{"chunks and length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: trailer\r\n\r\n", "hello"},
		{"no chunks in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello", "hello"},
		{"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", ""},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", "hello"},
		{"long line", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", MaxHead/2) + "\r\n\r\nhello", "hello"},
	} {
		if h, body, err := read(tc.said); err != nil || body != tc.body {
			t.Errorf("%s: %q, %v, head %+v", tc.name, body, err, h)
		}
	}
}

func TestHead(t *testing.T) {
	h, _, err := read("HTTP/1.1 301 Moved\r\nSERVER:\t x/1 \r\nServer: second\r\nLocation: /a\r\n\tb\r\nX:\r\n\r\n")
	if err != nil || h.Version != "HTTP/1.1" || h.Status != 301 || h.Length != -1 || h.Chunked {
		t.Errorf("%+v, %v", h, err)
	}
	for name, want := range map[string]string{"Server": "x/1", "location": "/a b", "X": "", "Y": ""} {
		if got := h.Field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestMalformed(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tc := range []struct{ said, want string }{
		{"SSH-2.0-x\r\n", `malformed HTTP response "SSH-2.0-x"`},
		{"HTTP/1.1\r\n", `malformed HTTP response "HTTP/1.1"`},
		{"HTTP/one 200 OK\r\n", `malformed HTTP version "HTTP/one"`},
		{"HTTP/1.10 200 OK\r\n", `malformed HTTP version "HTTP/1.10"`},
		{"HTTP/1.1 2000 OK\r\n", `malformed HTTP status code "2000"`},
		{"HTTP/1.1 +20 OK\r\n", `malformed HTTP status code "+20"`},
		{"HTTP/1.1 099 OK\r\n", `malformed HTTP status code "099"`},
		{ok + "x\r\n", `malformed MIME header: missing colon: "x"`},
		{ok + " x: y\r\n", `malformed MIME header: it starts with a blank: " x: y"`},
		{ok + "x : y\r\n", `malformed MIME header: bad name: "x "`},
		{ok + ": y\r\n", `malformed MIME header: bad name: ""`},
		{ok + "Content-Length: -1\r\n\r\n", `bad Content-Length "-1"`},
		{ok + "Content-Length: 9223372036854775808\r\n\r\n", `bad Content-Length "9223372036854775808"`},
		{ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", `two values of Content-Length: "1" and "2"`},
		{ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", `unsupported transfer encoding: "gzip, chunked"`},
		{strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9), "more than 8 interim responses"},
		{ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid byte in chunk length"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n\r\n", "invalid byte in chunk length"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "chunk length too large"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n", "a chunk longer than its length"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 8<<10), "chunk without an end of its first line"},
	} {
		_, _, err := read(tc.said)
		if m, is := errors.AsType[Malformed](err); !is || string(m) != tc.want {
			t.Errorf("%.40q: %v, want %s", tc.said, err, tc.want)
		}
	}
}

// An end before its time is told from one that is due.
func TestCutOff(t *testing.T) {
	for _, tc := range []struct {
		said string
		want error
	}{
		{"", io.EOF},
		{"HTTP/1.1 20", io.EOF},
		{"HTTP/1.1 200 OK\r\nX: y\r\n", io.EOF},
		{"HTTP/1.1 103 Early Hints\r\n\r\n", io.EOF},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", io.ErrUnexpectedEOF},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", io.ErrUnexpectedEOF},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", io.ErrUnexpectedEOF},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", io.ErrUnexpectedEOF},
	} {
		if _, _, err := read(tc.said); !errors.Is(err, tc.want) {
			t.Errorf("%q: %v, want %v", tc.said, err, tc.want)
		}
	}
	// An end of TLS that is not announced, and a failure that is one.
	const head = "HTTP/1.1 200 OK\r\n\r\nhello"
	for _, tc := range []struct{ end, want error }{{io.ErrUnexpectedEOF, nil}, {io.ErrClosedPipe, io.ErrClosedPipe}} {
		r := NewReader(io.MultiReader(strings.NewReader(head), iotest.ErrReader(tc.end)))
		h, err := r.Head()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r.Body(h)); string(b) != "hello" || !errors.Is(err, tc.want) {
			t.Errorf("%v: %q, %v", tc.end, b, err)
		}
	}
}

// Who says much is not listened to for ever, and who said it is told.
func TestFull(t *testing.T) {
	for _, start := range []string{"HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "never"} {
		r := NewReader(io.MultiReader(strings.NewReader(start), endless("x")))
		if _, err := r.Head(); !errors.Is(err, ErrTooLong) || !bytes.HasPrefix(r.Start(), []byte(start)) || len(r.Start()) > maxStart {
			t.Errorf("%q: %v, start %q", start, err, r.Start())
		}
	}
	r := NewReader(io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), endless("1;x\r\nx\r\n")))
	h, err := r.Head()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r.Body(h)); !r.Full() || n < maxFramed/16 || n > maxFramed || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// endless says the same again and again.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(e) {
		n += copy(p[n:], e)
	}
	return max(n, copy(p, e)), nil
}

func TestStatusText(t *testing.T) {
	for code := range 1000 {
		if got, want := StatusText(code), http.StatusText(code); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

// Nothing a server says does harm, and what is understood is what net/http understands.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 x\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nhello", "SSH-2.0-x\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 x\r\nServer: a\r\n b\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		r := NewReader(iotest.OneByteReader(bytes.NewReader(said)))
		h, err := r.Head()
		if err != nil {
			return
		}
		if h.Status < 101 || h.Status > 999 || h.Length < -1 || h.Chunked && h.Length >= 0 || len(r.Start()) > maxStart {
			t.Errorf("%+v", h)
		}
		body, err := io.ReadAll(r.Body(h))
		if len(body) > len(said) || h.Length >= 0 && err == nil && int64(len(body)) != h.Length {
			t.Errorf("%d bytes of %d, %v", len(body), h.Length, err)
		}
		other, theirs, ok := byOthers(said)
		if err != nil || !ok {
			return
		}
		// How many blanks a folded line stands for is left open (RFC 9112, section 5.2).
		server := blanks.ReplaceAllString(strings.Trim(other.Header.Get("Server"), " \t"), " ")
		if other.StatusCode != h.Status || server != blanks.ReplaceAllString(h.Field("Server"), " ") || !bytes.Equal(theirs, body) {
			t.Errorf("status %d, server %q, body %q; want %d, %q, %q", h.Status, h.Field("Server"), body, other.StatusCode, server, theirs)
		}
	})
}

var blanks = regexp.MustCompile(`[ \t]+`)

// byOthers returns what net/http reads, if it can.
func byOthers(said []byte) (*http.Response, []byte, bool) {
	in := bufio.NewReader(bytes.NewReader(said))
	for range maxInterim {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return nil, nil, false
		}
		if r.StatusCode >= 200 || r.StatusCode == 101 {
			body, err := io.ReadAll(r.Body)
			return r, body, err == nil
		}
	}
	return nil, nil, false
}
