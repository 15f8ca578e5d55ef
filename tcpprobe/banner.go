package tcpprobe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"netprobe/probe"
)

const (
	maxBanner = 512      // bytes of a banner; RFC 5321 gives a greeting as many, RFC 4253 half of it
	maxSaid   = 64 << 10 // bytes in which Expect is looked for
	// quiet is how long a server may pause before its banner counts as complete.
	quiet = 100 * time.Millisecond
)

// banner listens to what the server says by itself. A connection that ends
// after that is told, as servers that do not like whom they greet do so.
func (w *ascent) banner() *fault {
	f := w.phase("banner", func() *fault {
		for len(w.said) < maxBanner && w.eof == nil {
			if len(w.said) > 0 {
				w.allow(earlier(w.until, time.Now().Add(quiet)))
			}
			err := w.hear(maxBanner)
			switch {
			case err == nil:
				w.last = time.Now()
			case len(w.said) == 0:
				return w.unspoken(err)
			case isTimeout(err):
				return nil
			}
		}
		return nil
	})
	if w.ctx.Err() != nil {
		return &fault{canceled: true}
	}
	w.allow(w.until)
	if f != nil {
		return f
	}
	w.tell("banner", string(w.said), quote(w.said))
	if len(w.said) == maxBanner {
		w.learn("banner_truncated", true)
	}
	switch {
	case errors.Is(w.eof, syscall.ECONNRESET):
		w.tell("banner_then", "reset", "then reset")
	case w.eof != nil:
		w.tell("banner_then", "closed", "then closed")
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// hear reads once, up to limit bytes of what the server said in all. An error
// that is not for want of time is there to stay.
func (w *ascent) hear(limit int) error {
	buf := make([]byte, min(limit-len(w.said), 4096))
	n, err := w.conn.Read(buf)
	w.said = append(w.said, buf[:n]...)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.eof = err
	}
	if n > 0 {
		return nil
	}
	return err
}

// unspoken is the fault of a server that says nothing when it is its turn.
func (w *ascent) unspoken(err error) *fault {
	f := w.broken(err, probe.BadReply)
	if f.reason == probe.NoResponse {
		f.why = "the server said nothing within " + span(w.try.Timeout)
	}
	return f
}

// expect sends what there is to send and waits for an answer that matches. What
// the server said before counts only if nothing was sent.
func (w *ascent) expect() *fault {
	if w.HTTP != "" {
		if !w.Expect.Match(w.said) {
			return badf("the body does not match")
		}
		return nil
	}
	return w.phase("expect", func() *fault {
		if w.Send != "" {
			w.said = nil
			if _, err := io.WriteString(w.conn, w.Send); err != nil {
				return w.broken(err, probe.BadReply)
			}
		}
		for {
			if at := w.Expect.FindIndex(w.said); at != nil {
				match := w.said[at[0]:at[1]]
				w.tell("expect_match", string(match), "match "+quote(match))
				return nil
			}
			if len(w.said) == maxSaid {
				return badf("no match in the first %s: %s", byteCount(maxSaid), quote(w.said))
			}
			err := w.eof
			if err == nil {
				err = w.hear(maxSaid)
			}
			if err != nil {
				return w.unmatched(err)
			}
		}
	})
}

// unmatched is the fault of a server that says no more, and nothing that matched.
func (w *ascent) unmatched(err error) *fault {
	if len(w.said) == 0 {
		return w.unspoken(err)
	}
	f := w.broken(err, probe.BadReply)
	if f.canceled || f.own != nil {
		return f
	}
	how := f.why
	if f.reason == probe.NoResponse {
		how = "no more came within " + span(w.try.Timeout)
	}
	return &fault{reason: probe.BadReply, why: fmt.Sprintf("no match in %s, and %s", quote(w.said), how)}
}

// quote is the excerpt of what a server said, between quotation marks.
func quote(said []byte) string { return `"` + excerpt(said) + `"` }
