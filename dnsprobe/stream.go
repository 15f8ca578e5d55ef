package dnsprobe

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// maxMessage is the longest message there is: its length on a stream has 16 bits
// (RFC 1035, section 4.2.2).
const maxMessage = 1<<16 - 1

// maxStrays is how many messages on one connection may be something else than the
// answer.
const maxStreamStrays = 16

// A call is one query over a connection of its own, which goes through phases:
// connect, tls, request. It is made and read by one goroutine.
type call struct {
	server  *Server
	addr    netip.AddrPort
	form    *form
	cookie  []byte
	how     Transport
	tls     *TLS
	socket  rawsock.Config
	timeout time.Duration

	start   time.Time
	attempt probe.DNSAttempt
	strays  []probe.DNSStray
	result  crew.Answer // Status, Reason, From, Type, Code and Err of what went wrong
	msg     []byte      // the answer; nil if there is none
	reply   reply       // the same at a glance
}

// mishap is why a call failed above the transport.
type mishap struct {
	reason probe.Reason
	why    string
}

func (f *mishap) Error() string { return f.why }

// run makes the call. It takes no longer than its timeout, and less if ctx ends.
func (c *call) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	c.start = time.Now()
	c.attempt = probe.DNSAttempt{Transport: c.how.String(), Sent: c.start}
	hook := rawsock.Dial{Config: c.socket}
	defer hook.Close()
	err := c.climb(ctx, &hook)
	if err == nil {
		c.attempt.RTT, c.attempt.HasRTT = time.Since(c.start), true
		c.attempt.Size, c.attempt.Truncated = len(c.msg), c.reply.truncated()
		c.attempt.Rcode = rcodeName(c.reply.rcode)
		c.result.Status, c.result.Reason, c.result.From = probe.Reply, probe.DNSReply, c.addr.Addr()
	} else {
		c.result.Result = c.fail(ctx, &hook, err)
	}
	c.attempt.Status, c.attempt.Reason = c.result.Status, c.result.Reason
	if c.result.Status == probe.Failed {
		c.attempt.Sent = time.Time{}
	}
}

// phase does one step and notes how long it took.
func (c *call) phase(name string, do func() error) error {
	began := time.Now()
	err := do()
	c.attempt.Phases = append(c.attempt.Phases, probe.Step{Name: name, Took: time.Since(began)})
	return err
}

// climb goes through the phases.
func (c *call) climb(ctx context.Context, hook *rawsock.Dial) error {
	if a, ok := crew.Unable(c.addr.Addr(), &c.socket); ok {
		c.result = a
		return a.Err
	}
	var conn net.Conn
	err := c.phase("connect", func() (err error) {
		conn, err = c.dial(ctx, hook)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	// Whatever ends the call ends what it waits for.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if c.how == DoT || c.how == DoH {
		var secure *tls.Conn
		if err := c.phase("tls", func() (err error) {
			secure, err = c.handshake(ctx, conn)
			return err
		}); err != nil {
			return err
		}
		conn = secure
	}
	return c.phase("request", func() error {
		if c.how == DoH {
			return c.http(conn)
		}
		return c.ask(conn)
	})
}

func (c *call) dial(ctx context.Context, hook *rawsock.Dial) (net.Conn, error) {
	d := net.Dialer{Control: hook.Control, KeepAlive: -1}
	network := "tcp4"
	if c.addr.Addr().Is6() {
		network = "tcp6"
	}
	if src := c.socket.Source; src.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
	}
	conn, err := d.DialContext(ctx, network, c.addr.String())
	if err != nil {
		return nil, err
	}
	_ = conn.(*net.TCPConn).SetNoDelay(true) // the default, said where it counts
	return conn, nil
}

// ask sends the query and reads the answer, each after its length.
func (c *call) ask(conn net.Conn) error {
	id := randomID()
	b := c.form.append(make([]byte, 2, 512), id, c.cookie, c.how == DoT)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	if _, err := conn.Write(b); err != nil {
		return err
	}
	for range maxStreamStrays {
		msg, err := readMessage(conn)
		if err != nil {
			return err
		}
		if c.accept(msg, id) {
			return nil
		}
	}
	return &mishap{probe.BadReply, "answers to other questions only"}
}

// readMessage reads one message after its length.
func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if n, err := io.ReadFull(r, msg); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &mishap{probe.BadReply, fmt.Sprintf("connection closed after %d of %d bytes of an answer", n, len(msg))}
		}
		return nil, err
	}
	return msg, nil
}

// accept takes msg if it is the answer, else notes what it is.
func (c *call) accept(msg []byte, id uint16) bool {
	r, err := parseReply(msg)
	why, what := "", ""
	switch {
	case err != nil:
		why, what = "malformed", err.Error()
	case r.id != id:
		why, what = "wrong id", fmt.Sprintf("%d instead of %d", r.id, id)
	default:
		why, what = r.answers(c.form, c.cookie)
	}
	if why == "" {
		c.msg, c.reply = msg, r
		return true
	}
	c.strays = append(c.strays, probe.DNSStray{From: c.addr, Why: why, What: what, At: time.Since(c.start)})
	return false
}

// fail says what err, with which a call ended, means.
func (c *call) fail(ctx context.Context, hook *rawsock.Dial, err error) probe.Result {
	dst := c.addr.Addr()
	if c.result.Status == probe.Failed && c.result.Err != nil {
		return c.result.Result
	}
	if f, ok := errors.AsType[*mishap](err); ok {
		c.attempt.Why = f.why
		return probe.Result{Status: probe.Lost, Reason: f.reason}
	}
	timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return probe.Result{Status: probe.Pending, Reason: probe.Canceled}
	case len(c.attempt.Phases) > 1:
		return c.broken(err, timeout)
	}
	if e, ok := hook.Rejected(); ok {
		if a, ok := crew.Rejected(dst, hook.Local(), e); ok {
			a.RTT = time.Since(c.start)
			return a.Result
		}
	}
	errno, _ := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return probe.Result{Status: probe.Refused, Reason: probe.RST, From: dst, RTT: time.Since(c.start)}
	case timeout, errno == syscall.ETIMEDOUT:
		if a, ok := crew.Homeless(dst, hook.Local()); ok {
			return a.Result
		}
		c.attempt.Why = "no answer to connect"
		return probe.Result{Status: probe.Lost, Reason: probe.NoResponse}
	}
	return crew.Failure(dst, &c.socket, err).Result
}

// broken says what an error on a connection that stood means: the server's fault, as
// this host had all it takes.
func (c *call) broken(err error, timeout bool) probe.Result {
	last := c.attempt.Phases[len(c.attempt.Phases)-1].Name
	r := probe.Result{Status: probe.Lost, Reason: probe.BadReply}
	switch {
	case timeout:
		r.Reason = probe.NoResponse
		if c.strays != nil {
			r.Reason = probe.BadReply
		}
		c.attempt.Why = "connected, and no answer in time"
		if last == "tls" {
			c.attempt.Why = "connected, and no end of the TLS handshake in time"
		}
	case last == "tls":
		r.Reason, c.attempt.Why = probe.TLSFailed, tlsWords(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		c.attempt.Why = "connection closed without an answer"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		r.Reason, c.attempt.Why = probe.RST, "connection reset without an answer"
	default:
		c.attempt.Why = err.Error()
	}
	return r
}
