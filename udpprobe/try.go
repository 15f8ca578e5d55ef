package udpprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/udpprobe/payload"
)

// try is one datagram and what comes of it.
type try struct {
	*dialer
	ctx   context.Context
	conn  *net.UDPConn
	proto *payload.Protocol // nil if any answer is one
	to    netip.AddrPort
	src   netip.Addr // which it leaves from; invalid if unknown
	start time.Time  // zero of wall's times
	sent  time.Time
	wall  engine.Wall
	told  rawsock.Errors // by the error queue
	bad   *crew.Answer   // the first answer that was not valid
}

// open makes the socket. That sends nothing and does not wait.
func (c *try) open() error {
	network := "udp4"
	if c.to.Addr().Is6() {
		network = "udp6"
	}
	if c.loose() {
		return c.listen(network)
	}
	conn, err := c.net.DialContext(c.ctx, network, c.to.String())
	if err != nil {
		return err
	}
	c.conn = conn.(*net.UDPConn)
	local := c.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	c.src = local.Addr().Unmap()
	c.question.Local = netip.AddrPortFrom(c.src, local.Port())
	return nil
}

// loose reports whether answers may come from another port.
func (c *try) loose() bool { return c.proto != nil && c.proto.AnyPort }

// listen makes a socket that hears everybody. On Linux it hears of ICMP errors all
// the same, as its error queue is switched on (ip(7), IP_RECVERR).
func (c *try) listen(network string) error {
	local := ":0"
	if src := c.cfg.Socket.Source; src.IsValid() {
		local = netip.AddrPortFrom(src, 0).String()
	}
	l := net.ListenConfig{Control: c.hook.Control}
	conn, err := l.ListenPacket(c.ctx, network, local)
	if err != nil {
		return err
	}
	c.conn = conn.(*net.UDPConn)
	if route, err := rawsock.RouteTo(c.to.Addr(), c.cfg.Socket); err == nil {
		c.src = route.Source
	}
	return nil
}

// compose writes the payload of a new question.
func (c *try) compose() {
	switch {
	case c.cfg.Payload != nil:
		c.payload = append(c.payload[:0], c.cfg.Payload...)
	case c.proto == nil:
		c.payload = c.payload[:0]
	default:
		c.question.To = c.to
		c.question.Renew()
		c.payload = c.proto.Append(c.payload[:0], &c.question)
	}
}

// exchange sends the payload and listens until what comes decides the try. A
// wrong answer does not: the right one may be behind it.
func (c *try) exchange() crew.Answer {
	c.sent = time.Now()
	c.wall.Observe(c.sent, c.start)
	c.question.Sent = c.sent
	if err := c.send(); err != nil {
		return c.failure(err)
	}
	for {
		r, err := rawsock.Receive(c.conn, c.answer)
		if err != nil {
			return c.ended(err)
		}
		if a, ok := c.judge(r); ok {
			return a
		}
	}
}

func (c *try) send() (err error) {
	if c.loose() {
		_, err = c.conn.WriteToUDPAddrPort(c.payload, c.to)
		return err
	}
	_, err = c.conn.Write(c.payload)
	return err
}

// headerLen is the length of a UDP header (RFC 768).
const headerLen = 8

// judge reads a datagram. It is ok if it is a valid answer; the first of others
// is kept.
func (c *try) judge(r rawsock.Receipt) (a crew.Answer, ok bool) {
	now := time.Now()
	if c.loose() && !engine.SameHost(r.From.Addr(), c.to.Addr()) {
		return a, false // a stranger's
	}
	a.Result = probe.Result{
		Status: probe.Reply, Reason: probe.UDPReply, From: c.to.Addr(), Size: headerLen + r.Len, TTL: r.TTL,
	}
	c.readErrors()
	c.time(&a, r.Stamp, now)
	said, err := c.understand(r.Len, c.sent.Add(a.RTT))
	if err == nil {
		if len(said) > 0 {
			a.Detail = &probe.Layers{Facts: said}
		}
		return a, true
	}
	if c.bad == nil {
		c.bad = c.foreign(a, err)
	}
	return a, false
}

// understand returns what an answer of n octets says, or why it is none.
func (c *try) understand(n int, arrived time.Time) ([]probe.Fact, error) {
	switch {
	case c.cfg.Any || c.proto == nil:
		return nil, nil
	case n > longest:
		return nil, fmt.Errorf("more than %d bytes", longest)
	}
	c.question.Arrived = arrived
	return c.proto.Parse(c.answer[:n], &c.question)
}

// foreign makes a, which is not valid for that reason, what it is to be told as.
func (c *try) foreign(a crew.Answer, err error) *crew.Answer {
	a.Reason = probe.BadReply
	a.Detail = &probe.Layers{
		FailedAt: c.proto.Name, Reason: probe.BadReply, Why: fmt.Sprintf("the answer is not %s: %v", c.proto.Name, err),
	}
	if !c.cfg.Somebody {
		// Nothing proves that the question was seen.
		a.Status, a.From, a.RTT, a.Host, a.Clock, a.TTL = probe.Lost, netip.Addr{}, 0, 0, probe.User, 0
	}
	return &a
}

// time sets how long an answer took that is there now, by the kernel's clock where
// it told when the question left and, as arrived, when the answer came.
func (c *try) time(a *crew.Answer, arrived int64, now time.Time) {
	c.wall.Observe(now, c.start)
	a.RTT, a.Clock, a.Host = c.wall.RTT(c.told.Left, arrived, c.sent.Sub(c.start), now.Sub(c.start))
}

// readErrors adds to what the error queue has told.
func (c *try) readErrors() {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return
	}
	e := rawsock.ReadErrors(raw)
	if e.Left == 0 {
		e.Left = c.told.Left
	}
	if c.told.Rejected {
		e.Rejection, e.Rejected, e.Stamp = c.told.Rejection, true, c.told.Stamp
	}
	c.told = e
}

// ended judges a try whose reading ended with err: by an ICMP error, by its
// deadline, or by the end of the run.
func (c *try) ended(err error) crew.Answer {
	now := time.Now()
	c.readErrors()
	if c.told.Rejected {
		if a, ok := crew.Rejected(c.to.Addr(), c.src, c.told.Rejection); ok {
			c.time(&a, c.told.Stamp, now)
			return a
		}
	}
	for range lastWords {
		r, more := rawsock.LastWord(c.conn, c.answer)
		if !more {
			break
		}
		if a, ok := c.judge(r); ok {
			return a
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		// Only where there is no error queue: who said so is unknown.
		return crew.Answer{Result: probe.Result{Status: probe.Refused, Reason: probe.PortUnreachable}}
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return c.failure(err)
	case c.ctx.Err() != nil:
		return canceled()
	case c.bad != nil:
		return *c.bad
	}
	if a, ok := crew.Homeless(c.to.Addr(), c.src); ok {
		return a
	}
	return crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}
}

// lastWords bounds what is read of that which came before the deadline.
const lastWords = 64

// failure is the answer where a system call failed, unless the run is over.
func (c *try) failure(err error) crew.Answer {
	if c.ctx.Err() != nil {
		return canceled()
	}
	return crew.Failure(c.to.Addr(), &c.hook.Config, err)
}
