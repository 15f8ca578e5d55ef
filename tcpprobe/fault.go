package tcpprobe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// fault is why a layer did not get through.
type fault struct {
	reason   probe.Reason
	why      string       // for people; what the server said in it is bounded, not escaped
	canceled bool         // the run ended before
	own      *crew.Answer // it is not the target's, but this host's or a router's; else nil
}

// badf is the fault of a server that answers, but not as it should.
func badf(format string, args ...any) *fault {
	return &fault{reason: probe.BadReply, why: fmt.Sprintf(format, args...)}
}

const (
	resetByServer   = "connection reset by the server"
	closedByServer  = "connection closed by the server"
	wantsClientCert = "the server wants a certificate from its client"
)

// broken says what an error of reading or writing means, where one that is no
// matter of the connection itself has the reason otherwise.
func (w *ascent) broken(err error, otherwise probe.Reason) *fault {
	if w.ctx.Err() != nil {
		return &fault{canceled: true}
	}
	errno, _ := errors.AsType[syscall.Errno](err)
	switch {
	case isTimeout(err) && errno == 0:
		return w.silent()
	case errno == syscall.ETIMEDOUT:
		return &fault{reason: probe.NoResponse, why: "no answer, and the connection timed out"}
	case errno == syscall.ECONNRESET, errno == syscall.EPIPE, errno == syscall.ECONNABORTED:
		return &fault{reason: probe.RST, why: resetByServer}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if w.wire.in == 0 {
			return &fault{reason: otherwise, why: closedByServer + " without a word"}
		}
		return &fault{reason: otherwise, why: fmt.Sprintf("%s after %s", closedByServer, byteCount(w.wire.in))}
	case errno != 0:
		own := crew.Failure(w.try.To.Addr(), w.socket, err)
		return &fault{own: &own}
	}
	if alert, ok := alertOf(err); ok {
		return &fault{reason: probe.TLSFailed, why: alert}
	}
	return &fault{reason: otherwise, why: clip(strings.TrimPrefix(err.Error(), "tls: "), maxExcerpt)}
}

// tardiness is how late this process may notice that the time is up. If it is
// later, it was kept from running, and silence says nothing about the target.
const tardiness = time.Second

// silent is the fault of a server that does not answer in time.
func (w *ascent) silent() *fault {
	if time.Since(w.until) > tardiness {
		own := busy()
		return &fault{own: &own}
	}
	within := span(w.try.Timeout)
	if w.wire.in > 0 {
		return &fault{reason: probe.NoResponse, why: fmt.Sprintf("stalled after %s, not done within %s", byteCount(w.wire.in), within)}
	}
	return &fault{reason: probe.NoResponse, why: "no answer within " + within}
}

// errBusy is our failure to look in time.
var errBusy = errors.New("this host was too busy to notice an answer in time")

func busy() crew.Answer { return ours(errBusy) }

// ours is the answer where err, a trouble of this host, kept us from testing.
func ours(err error) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Failed, Reason: probe.ReasonOther, Err: err}}
}

// alertOf returns the TLS alert (RFC 8446, section 6) that the server ended the
// connection with.
func alertOf(err error) (string, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return "", false
	}
	text := strings.TrimPrefix(op.Err.Error(), "tls: ")
	switch text {
	case "protocol version not supported":
		text = "the server speaks neither TLS 1.2 nor 1.3 (alert: " + text + ")"
	case "no application protocol":
		text = "the server takes none of the ALPN protocols offered (alert: " + text + ")"
	case "unrecognized name":
		text = "the server knows no such name (alert: " + text + ")"
	case "certificate required", "bad certificate":
		text = wantsClientCert + " (alert: " + text + ")"
	default:
		text = "the server refused (alert: " + text + ")"
	}
	return text, true
}

// maxExcerpt is how much of what a server said is shown in a Why, in bytes.
const maxExcerpt = 80

// excerpt returns the first line of what a server said, shortened.
func excerpt(said []byte) string {
	text := strings.TrimLeft(string(said[:min(len(said), 4*maxExcerpt)]), "\r\n\t ")
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		text = text[:i]
	}
	return clip(strings.TrimRight(text, " \t"), maxExcerpt)
}

// clip shortens text to n bytes, the mark of it included, without cutting a
// character in two.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	const mark = "..."
	n -= len(mark)
	for n > 0 && text[n]&0xc0 == 0x80 {
		n--
	}
	return text[:n] + mark
}

// readable reports whether said is text that a person can read.
func readable(said []byte) bool {
	for _, b := range said {
		if (b < ' ' || b > '~') && b != '\r' && b != '\n' && b != '\t' {
			return false
		}
	}
	return len(said) > 0
}

// span writes a duration as people do: 3 s, 500 ms.
func span(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatFloat(float64(d.Round(10*time.Microsecond))/1e6, 'f', -1, 64) + " ms"
	}
	return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', -1, 64) + " s"
}

func byteCount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}
