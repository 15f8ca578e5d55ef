// Package http1 reads responses of HTTP/1.1 (RFC 9112) to a GET or POST that is
// the only request of its connection: what a probe must know of them, within
// bounds. It is here as net/http brings a client, a server and HTTP/2 along.
//
//	HTTP/1.1 200 OK CRLF
//	*( name ":" value CRLF )
//	CRLF
//	body: framed by Content-Length, by chunks, or by the end of the connection
//
// A chunked body is complete with its last chunk (section 8): trailers are not
// waited for, as nothing on the connection follows them.
package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of what a server may say.
const (
	MaxHead    = 64 << 10 // bytes of all heads, that of the final response included
	maxFramed  = 8 << 20  // bytes that a body may come in: each chunk has a length of its own
	maxInterim = 8        // responses like 103 before the final one
	maxStart   = 128      // bytes kept of the start of a response
)

// ErrTooLong is the error of heads that do not end within MaxHead.
var ErrTooLong = fmt.Errorf("header longer than %d bytes", MaxHead)

// A Malformed says what is wrong with a response. It may quote bytes of the server,
// as %q does.
type Malformed string

func (m Malformed) Error() string { return string(m) }

func malformed(format string, args ...any) error {
	return Malformed(fmt.Sprintf(format, args...))
}

// A Reader reads the response of one connection.
type Reader struct {
	in    *bufio.Reader
	limit io.LimitedReader // of what in may still read
	start []byte           // of the response whose head was read last
}

// NewReader returns a Reader of the response on conn.
func NewReader(conn io.Reader) *Reader {
	r := &Reader{limit: io.LimitedReader{R: conn, N: MaxHead}}
	r.in = bufio.NewReader(&r.limit)
	return r
}

// Wait waits for the first byte.
func (r *Reader) Wait() error {
	_, err := r.in.Peek(1)
	return err
}

// Start returns how the response started whose head was read last, or could not
// be read: up to 128 bytes of it.
func (r *Reader) Start() []byte { return r.start }

// Full reports whether the server said more than is read.
func (r *Reader) Full() bool { return r.limit.N <= 0 }

// A Head is the status line and the header of a response.
type Head struct {
	Version string // "HTTP/1.1"
	Status  int    // 101, 200 to 999
	Length  int64  // of the body, by Content-Length; -1 if it is not told
	Chunked bool   // the body comes in chunks; Length is -1

	fields []field
}

type field struct{ name, value string }

// Field returns the value of the first header field of that name, in any case, or "".
func (h *Head) Field(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// Head reads the head of the final response; those before it (1xx) are skipped.
// Its errors are those of the connection, io.EOF if it ends too early, ErrTooLong
// or a Malformed.
func (r *Reader) Head() (*Head, error) {
	for range maxInterim {
		h, err := r.head()
		if err != nil {
			if r.Full() && errors.Is(err, io.EOF) {
				err = ErrTooLong
			}
			return nil, err
		}
		if h.Status >= 200 || h.Status == 101 {
			return h, nil
		}
	}
	return nil, malformed("more than %d interim responses", maxInterim)
}

func (r *Reader) head() (*Head, error) {
	line, err := r.in.ReadString('\n')
	r.keepStart(line)
	if err != nil {
		return nil, err
	}
	h := &Head{Length: -1}
	if err := h.statusLine(trimLine(line)); err != nil {
		return nil, err
	}
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line = trimLine(line); line == "" {
			return h, h.frame()
		}
		if err := h.headerLine(line); err != nil {
			return nil, err
		}
	}
}

// keepStart keeps the first line, and what else has come if that is short.
func (r *Reader) keepStart(line string) {
	r.start = append(r.start[:0], line[:min(len(line), maxStart)]...)
	more, _ := r.in.Peek(min(r.in.Buffered(), maxStart-len(r.start)))
	r.start = append(r.start, more...)
}

func trimLine(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

// statusLine reads the first line (section 4).
func (h *Head) statusLine(line string) error {
	version, rest, ok := strings.Cut(line, " ")
	number, isHTTP := strings.CutPrefix(version, "HTTP/")
	if !ok || !isHTTP {
		return malformed("malformed HTTP response %q", line)
	}
	if len(number) != 3 || !isDigit(number[0]) || number[1] != '.' || !isDigit(number[2]) {
		return malformed("malformed HTTP version %q", version)
	}
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || status < 100 {
		return malformed("malformed HTTP status code %q", code)
	}
	h.Version, h.Status = version, int(status)
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// headerLine reads a line of the header (section 5); one that starts with a blank
// continues the one before.
func (h *Head) headerLine(line string) error {
	if line[0] == ' ' || line[0] == '\t' {
		if len(h.fields) == 0 {
			return malformed("malformed MIME header: it starts with a blank: %q", line)
		}
		last := &h.fields[len(h.fields)-1]
		last.value = strings.Trim(last.value+" "+strings.Trim(line, " \t"), " \t")
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return malformed("malformed MIME header: missing colon: %q", line)
	}
	if name == "" || strings.ContainsFunc(name, isNoToken) {
		return malformed("malformed MIME header: bad name: %q", name)
	}
	h.fields = append(h.fields, field{name, strings.Trim(value, " \t")})
	return nil
}

// isNoToken reports whether c may not be in the name of a field (RFC 9110, section
// 5.6.2).
func isNoToken(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
}

// frame finds out how the body is framed (section 6.3).
func (h *Head) frame() error {
	if h.Status < 200 || h.Status == 204 || h.Status == 304 {
		h.Length = 0
		return nil
	}
	length := ""
	for _, f := range h.fields {
		switch {
		case strings.EqualFold(f.name, "Transfer-Encoding") && h.Version != "HTTP/1.0":
			if h.Chunked || !strings.EqualFold(f.value, "chunked") {
				return malformed("unsupported transfer encoding: %q", f.value)
			}
			h.Chunked = true
		case strings.EqualFold(f.name, "Content-Length"):
			if length != "" && length != f.value {
				return malformed("two values of Content-Length: %q and %q", length, f.value)
			}
			n, err := strconv.ParseUint(f.value, 10, 63)
			if err != nil {
				return malformed("bad Content-Length %q", f.value)
			}
			length, h.Length = f.value, int64(n)
		}
	}
	if h.Chunked {
		h.Length = -1
	}
	return nil
}
