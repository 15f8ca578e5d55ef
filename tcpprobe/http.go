package tcpprobe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"netprobe/probe"
)

const (
	maxHead    = 64 << 10 // bytes of a status line and its header
	maxBody    = 1 << 20  // bytes of a body that are read
	maxFramed  = 8 << 20  // bytes that they may come in: each chunk has a length of its own
	maxInterim = 8        // responses like 103 before the final one
)

// http gets a path by HTTP/1.1 (RFC 9112): first_byte counts from the request,
// transfer from there to the end of the body. Redirects are told, not followed.
func (w *ascent) http() *fault {
	rest := &io.LimitedReader{R: w.conn, N: maxHead}
	in := bufio.NewReader(rest)
	f := w.phase("first_byte", func() *fault {
		if _, err := io.WriteString(w.conn, w.request()); err != nil {
			return w.broken(err, probe.BadReply)
		}
		if _, err := in.Peek(1); err != nil {
			return w.broken(err, probe.BadReply)
		}
		return nil
	})
	if f != nil {
		return f
	}
	var r *http.Response
	var read int64
	f = w.phase("transfer", func() (f *fault) {
		if r, f = w.response(in, rest); f != nil {
			return f
		}
		rest.N = maxFramed
		read, f = w.body(r, rest)
		return f
	})
	if r != nil {
		w.tell("http_status", r.StatusCode, "status "+strconv.Itoa(r.StatusCode))
		w.learn("http_version", r.Proto)
		w.learn("http_server", r.Header.Get("Server"))
		if to := r.Header.Get("Location"); to != "" {
			w.tell("http_location", to, "to "+excerpt([]byte(to)))
		}
	}
	if f != nil {
		return f
	}
	w.learn("http_body_bytes", int(read))
	if read >= maxBody || rest.N <= 0 {
		w.learn("http_body_truncated", true)
	}
	return w.judgeStatus(r.StatusCode)
}

// request is what asks for the path. The connection is for this request alone.
func (w *ascent) request() string {
	agent := w.Agent
	if agent == "" {
		agent = "netprobe"
	}
	return "GET " + w.HTTP + " HTTP/1.1\r\nHost: " + w.authority() +
		"\r\nUser-Agent: " + agent + "\r\nAccept: */*\r\nConnection: close\r\n\r\n"
}

// authority is the value of Host: the port is left out where it goes without
// saying (RFC 9110, section 4.2.3).
func (w *ascent) authority() string {
	host, port := w.host(), w.try.To.Port()
	if w.secure() && port == 443 || !w.secure() && port == 80 {
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// response reads the head of the final response.
func (w *ascent) response(in *bufio.Reader, rest *io.LimitedReader) (*http.Response, *fault) {
	for range maxInterim {
		start, _ := in.Peek(min(in.Buffered(), maxFirst))
		start = append([]byte(nil), start...)
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return nil, w.malformed(err, start, rest.N <= 0)
		}
		if r.StatusCode >= 200 || r.StatusCode == http.StatusSwitchingProtocols {
			return r, nil
		}
	}
	return nil, badf("more than %d interim responses", maxInterim)
}

// malformed is the fault of a head that cannot be read and started so.
func (w *ascent) malformed(err error, start []byte, full bool) *fault {
	const alert = 0x15 // content type of a TLS record (RFC 8446, section 5.1)
	f := w.broken(err, probe.BadReply)
	text := excerpt(start)
	switch {
	case full:
		return badf("header longer than %s", byteCount(maxHead))
	case f.reason != probe.BadReply:
		return f
	case len(start) > 1 && start[0] == alert && start[1] == 3:
		return badf("the server speaks TLS here")
	case strings.HasPrefix(text, "HTTP/") && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		return f
	case strings.HasPrefix(text, "HTTP/"):
		return badf("malformed response: %s", clip(strings.TrimPrefix(err.Error(), "net/http: "), maxExcerpt))
	case readable([]byte(text)):
		return badf("answered in something that is not HTTP: %s", text)
	}
	return badf("answered in something that is not HTTP")
}

// body reads the body, which is not closed, as that would read on, to its end,
// or as much of it as is read at most. What Expect may look at is kept.
func (w *ascent) body(r *http.Response, rest *io.LimitedReader) (n int64, f *fault) {
	buf := make([]byte, 32<<10)
	for n < maxBody && rest.N > 0 {
		some, err := r.Body.Read(buf[:min(int64(len(buf)), maxBody-n)])
		n += int64(some)
		if w.Expect != nil {
			w.said = append(w.said, buf[:min(some, maxSaid-len(w.said))]...)
		}
		switch {
		case errors.Is(err, io.EOF), r.ContentLength < 0 && len(r.TransferEncoding) == 0 && errors.Is(err, io.ErrUnexpectedEOF):
			// Where the end of the connection is that of the body, many servers
			// forget to say so in TLS.
			return n, nil
		case err != nil && rest.N > 0:
			return n, w.cutOff(err, n, r.ContentLength)
		}
	}
	return n, nil
}

// cutOff is the fault of a body that breaks off after n bytes.
func (w *ascent) cutOff(err error, n, of int64) *fault {
	f := w.broken(err, probe.BadReply)
	if f.canceled || f.own != nil {
		return f
	}
	all := ""
	if of > 0 {
		all = fmt.Sprintf(" of %d", of)
	}
	switch f.reason {
	case probe.NoResponse:
		f.why = fmt.Sprintf("the body stalled after %d%s bytes, not done within %s", n, all, span(w.try.Timeout))
	case probe.RST:
		f.why = fmt.Sprintf("%s after %d%s bytes of the body", resetByServer, n, all)
	default:
		f.why = fmt.Sprintf("the body broke off after %d%s bytes: %s", n, all, f.why)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			f.why = fmt.Sprintf("the body broke off after %d%s bytes", n, all)
		}
	}
	return f
}

func (w *ascent) judgeStatus(code int) *fault {
	if w.Status.has(code) {
		return nil
	}
	why := "status " + strconv.Itoa(code)
	if text := http.StatusText(code); text != "" {
		why += " " + text
	}
	if len(w.Status) > 0 {
		why += ", expected " + w.Status.String()
	}
	return &fault{reason: probe.HTTPStatus, why: why}
}
