package tcpprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// dialer is the crew.Asker of one worker.
type dialer struct {
	hook  rawsock.Dial
	net   net.Dialer
	climb *Climb // nil if nothing is asked above the connection
}

func newDialer(socket *rawsock.Config) *dialer {
	d := &dialer{hook: rawsock.Dial{Config: *socket}}
	d.net = net.Dialer{Control: d.hook.Control, KeepAlive: -1}
	if src := socket.Source; src.IsValid() {
		d.net.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
	}
	return d
}

// Ask connects once, and climbs.
func (d *dialer) Ask(ctx context.Context, t crew.Try) crew.Answer {
	dst := t.To.Addr()
	if ctx.Err() != nil {
		return canceled()
	}
	if d.climb != nil && d.climb.Timeout > 0 {
		t.Timeout = min(t.Timeout, d.climb.Timeout)
	}
	if a, ok := crew.Unable(dst, &d.hook.Config); ok {
		return a
	}
	network := "tcp4"
	if dst.Is6() {
		network = "tcp6"
	}
	whole, sent := t, time.Now()
	name, instead := d.resolve(ctx, t)
	if instead != nil {
		return *instead
	}
	dialled := time.Now()
	// Never 0, which would be for ever.
	t.Timeout = max(whole.Timeout-dialled.Sub(sent), time.Millisecond)
	d.net.Timeout = t.Timeout
	conn, err := d.net.DialContext(ctx, network, t.To.String())
	took := time.Since(dialled)
	defer d.hook.Close()
	var a crew.Answer
	if err == nil {
		c := conn.(*net.TCPConn)
		a = connected(c, dst, took)
		if d.climb != nil && a.Status == probe.Reply && (name == nil || name.err == nil) {
			d.ascend(ctx, whole, c, sent, took, &a)
		}
		conn.Close()
	} else {
		a = d.ended(ctx, t, err, took)
		if d.climb != nil && a.From.IsValid() && a.Reason == probe.Connected {
			d.unasked(ctx, took, &a)
		}
	}
	if name != nil {
		name.complete(&a, t, took, whole.Timeout)
	}
	if a.Status != probe.Failed {
		a.Sent = sent
	}
	return a
}

func canceled() crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Pending, Reason: probe.Canceled}}
}

// connected judges a connection that stands. It may be one with itself: where
// the kernel happens to pick the very port that is asked, a SYN to a closed port
// of this host is answered by its own sender (RFC 9293, section 3.5).
func connected(conn *net.TCPConn, dst netip.Addr, took time.Duration) crew.Answer {
	if conn.LocalAddr().String() == conn.RemoteAddr().String() {
		return from(dst, probe.Refused, probe.RST, took)
	}
	// Nothing is written, so there is nothing to delay; package net says so
	// by itself, too.
	_ = conn.SetNoDelay(true)
	a := from(dst, probe.Reply, probe.Connected, took)
	if raw, err := conn.SyscallConn(); err == nil {
		if h, ok := rawsock.HandshakeOf(raw); ok {
			clock(&a, h)
		}
	}
	return a
}

// from is the answer of the target itself, which took as long by this process.
func from(dst netip.Addr, s probe.Status, why probe.Reason, took time.Duration) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: s, Reason: why, From: dst, RTT: took}}
}

// clock puts the kernel's round-trip time in the place of ours, which counts
// from the first SYN whichever was answered; the rest is Host. Where a SYN was
// sent again, the kernel tells by the target's TCP timestamps, to the
// millisecond, which one was answered. Without those it tells no time (RFC 6298,
// section 3), nor does it of what was refused: then ours counts from the last.
func clock(a *crew.Answer, h rawsock.Handshake) {
	wait := a.RTT
	a.Retrans = uint8(min(h.Retrans, 255))
	switch {
	case h.RTT > 0 && h.RTT <= wait:
		a.RTT, a.Clock = h.RTT, probe.Kernel
	case h.Retrans > 0:
		if since := wait - time.Duration(h.Retrans)*synTimeout; since > 0 {
			a.RTT = since
		}
	}
	a.Host = wait - a.RTT
}

// synTimeout is how long the kernel waits for the answer to a SYN before it
// sends another (RFC 6298, section 2.1). From the second on some wait twice as long each
// time: then a little too much is counted, never too little.
const synTimeout = time.Second

// ended judges a connect that failed after took.
func (d *dialer) ended(ctx context.Context, t crew.Try, err error, took time.Duration) crew.Answer {
	dst := t.To.Addr()
	if e, ok := d.hook.Rejected(); ok {
		if a, ok := crew.Rejected(dst, d.hook.Local(), e); ok {
			a.RTT = took
			d.countAgain(&a)
			return a
		}
	}
	var e rawsock.Ending
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		// Time was up. What came meanwhile, while this process was kept from
		// running, counts all the same.
		if e = d.hook.End(); e.Errno != 0 {
			errno, err = e.Errno, e.Errno
		}
	}
	switch {
	case e.Connected:
		return tardy(t, e.Handshake, took)
	case errno == syscall.ECONNREFUSED:
		a := from(dst, probe.Refused, probe.RST, took)
		d.countAgain(&a)
		return a
	case errno == syscall.ECONNRESET, errno == syscall.EPIPE:
		// Accepted, and reset before we looked.
		a := from(dst, probe.Reply, probe.Connected, took)
		clock(&a, d.hook.End().Handshake)
		return a
	case errno == syscall.ETIMEDOUT, errno == 0 && took >= t.Timeout && isTimeout(err):
		a := silent(dst, d.hook.Local())
		a.Retrans = uint8(min(d.hook.End().Handshake.Retrans, 255))
		return a
	case errno == 0 && (ctx.Err() != nil || isTimeout(err)):
		// A deadline of ctx may be noticed by the dial before ctx says so.
		return canceled()
	}
	return crew.Failure(dst, &d.hook.Config, err)
}

// countAgain has a, the answer to a connect that failed, count from the SYN
// before it. Before synTimeout there was but one, and nothing to ask the kernel.
func (d *dialer) countAgain(a *crew.Answer) {
	if a.RTT >= synTimeout {
		clock(a, rawsock.Handshake{Retrans: d.hook.End().Handshake.Retrans})
	}
}

// tardy judges a connection that stood when net gave up: the answer was there,
// but this process was kept from noticing.
func tardy(t crew.Try, h rawsock.Handshake, took time.Duration) crew.Answer {
	a := from(t.To.Addr(), probe.Reply, probe.Connected, took)
	clock(&a, h)
	if a.RTT > t.Timeout {
		a.Status = probe.Late
	}
	return a
}

func silent(dst, src netip.Addr) crew.Answer {
	if a, ok := crew.Homeless(dst, src); ok {
		return a
	}
	return crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
