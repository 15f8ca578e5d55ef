package tcpprobe

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	"netprobe/internal/certs"
	"netprobe/internal/crew"
	"netprobe/internal/snippet"
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
	resetByServer  = "connection reset by the server"
	closedByServer = "connection closed by the server"
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
	if why, ok := certs.WhyNot(err, w.wire.first, false); ok {
		return &fault{reason: probe.TLSFailed, why: why}
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

// maxExcerpt is how much of what a server said is shown in a Why, in bytes.
const maxExcerpt = snippet.Max

func excerpt(said []byte) string { return snippet.Line(said) }

func clip(text string, n int) string { return snippet.Clip(text, n) }

func readable(said []byte) bool { return snippet.Readable(said) }

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
