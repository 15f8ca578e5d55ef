package tcpprobe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"netprobe/internal/http1"
	"netprobe/probe"
)

// maxBody is how many bytes of a body are read.
const maxBody = 1 << 20

// http gets a path by HTTP/1.1 (RFC 9112): first_byte counts from the request,
// transfer from there to the end of the body. Redirects are told, not followed.
func (w *ascent) http() *fault {
	in := http1.NewReader(w.conn)
	f := w.phase("first_byte", func() *fault {
		if _, err := io.WriteString(w.conn, w.request()); err != nil {
			return w.broken(err, probe.BadReply)
		}
		if err := in.Wait(); err != nil {
			return w.broken(err, probe.BadReply)
		}
		return nil
	})
	if f != nil {
		return f
	}
	var head *http1.Head
	var read int64
	f = w.phase("transfer", func() (f *fault) {
		var err error
		if head, err = in.Head(); err != nil {
			return w.malformed(err, in.Start())
		}
		read, f = w.body(head, in)
		return f
	})
	if head != nil {
		w.tell("http_status", head.Status, "status "+strconv.Itoa(head.Status))
		w.learn("http_version", head.Version)
		w.learn("http_server", head.Field("Server"))
		if to := head.Field("Location"); to != "" {
			w.tell("http_location", to, "to "+excerpt([]byte(to)))
		}
	}
	if f != nil {
		return f
	}
	w.learn("http_body_bytes", int(read))
	if read >= maxBody || in.Full() {
		w.learn("http_body_truncated", true)
	}
	return w.judgeStatus(head.Status)
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

// malformed is the fault of a head that cannot be read and started so.
func (w *ascent) malformed(err error, start []byte) *fault {
	const alert = 0x15 // content type of a TLS record (RFC 8446, section 5.1)
	if errors.Is(err, http1.ErrTooLong) {
		return badf("%v", err)
	}
	wrong, ok := errors.AsType[http1.Malformed](err)
	text := excerpt(start)
	isHTTP := text == "" || strings.HasPrefix(text, "HTTP/")
	if f := w.broken(err, probe.BadReply); f.reason != probe.BadReply || !ok && isHTTP {
		return f
	}
	switch {
	case len(start) > 1 && start[0] == alert && start[1] == 3:
		return badf("the server speaks TLS here")
	case isHTTP:
		return badf("malformed response: %s", clip(string(wrong), maxExcerpt))
	case readable([]byte(text)):
		return badf("answered in something that is not HTTP: %s", text)
	}
	return badf("answered in something that is not HTTP")
}

// body reads the body to its end, or as much of it as is read at most. What Expect
// may look at is kept.
func (w *ascent) body(head *http1.Head, in *http1.Reader) (n int64, f *fault) {
	body := in.Body(head)
	buf := make([]byte, 32<<10)
	for n < maxBody {
		some, err := body.Read(buf[:min(int64(len(buf)), maxBody-n)])
		n += int64(some)
		if w.Expect != nil {
			w.said = append(w.said, buf[:min(some, maxSaid-len(w.said))]...)
		}
		switch {
		case errors.Is(err, io.EOF), err != nil && in.Full():
			return n, nil
		case err != nil:
			return n, w.cutOff(err, n, head.Length)
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
	if text := http1.StatusText(code); text != "" {
		why += " " + text
	}
	if len(w.Status) > 0 {
		why += ", expected " + w.Status.String()
	}
	return &fault{reason: probe.HTTPStatus, why: why}
}
