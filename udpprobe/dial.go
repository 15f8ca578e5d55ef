package udpprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// dialer is the crew.Asker of one worker.
type dialer struct {
	hook    rawsock.Dial
	net     net.Dialer
	payload []byte
	answer  []byte
}

// longest is how much of an answer is read: its size is all that counts.
const longest = 2048

func newDialer(socket *rawsock.Config) *dialer {
	d := &dialer{hook: rawsock.Dial{Config: *socket}, answer: make([]byte, longest)}
	d.net = net.Dialer{Control: d.hook.Control}
	if src := socket.Source; src.IsValid() {
		d.net.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
	}
	return d
}

// headerLen is the length of a UDP header (RFC 768).
const headerLen = 8

// Ask sends one datagram from a socket of its own.
func (d *dialer) Ask(ctx context.Context, t crew.Try) crew.Answer {
	dst := t.To.Addr()
	if ctx.Err() != nil {
		return canceled()
	}
	if a, ok := crew.Unable(dst, &d.hook.Config); ok {
		return a
	}
	network := "udp4"
	if dst.Is6() {
		network = "udp6"
	}
	// Connecting a UDP socket sends nothing and does not wait.
	c, err := d.net.DialContext(ctx, network, t.To.String())
	if err != nil {
		if ctx.Err() != nil {
			return canceled()
		}
		return crew.Failure(dst, &d.hook.Config, err)
	}
	conn := c.(*net.UDPConn)
	defer conn.Close()
	sent := time.Now()
	_ = conn.SetDeadline(sent.Add(t.Timeout))
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	d.payload = appendPayload(d.payload[:0], t.To.Port())
	a := d.exchange(ctx, conn, dst)
	if a.From.IsValid() {
		a.RTT = time.Since(sent)
		if a.Status == probe.Reply && a.RTT > t.Timeout {
			a.Status = probe.Late
		}
	}
	if a.Status != probe.Failed {
		a.Sent = sent
	}
	return a
}

func canceled() crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Pending, Reason: probe.Canceled}}
}

// exchange sends the payload and waits for what comes of it.
func (d *dialer) exchange(ctx context.Context, conn *net.UDPConn, dst netip.Addr) crew.Answer {
	if _, err := conn.Write(d.payload); err != nil {
		if ctx.Err() != nil {
			return canceled()
		}
		return crew.Failure(dst, &d.hook.Config, err)
	}
	src := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	n, err := conn.Read(d.answer)
	if err == nil {
		return replied(dst, n)
	}
	raw, broken := conn.SyscallConn()
	if broken != nil {
		return crew.Failure(dst, &d.hook.Config, broken)
	}
	if e, ok := rawsock.Rejected(raw); ok {
		if a, ok := crew.Rejected(dst, src, e); ok {
			return a
		}
	}
	if n, ok := rawsock.LastWord(raw, d.answer); ok {
		return replied(dst, n)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		// Only where there is no error queue: who said so is unknown.
		return crew.Answer{Result: probe.Result{Status: probe.Refused, Reason: probe.PortUnreachable}}
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return crew.Failure(dst, &d.hook.Config, err)
	case ctx.Err() != nil:
		return canceled()
	}
	if a, ok := crew.Homeless(dst, src); ok {
		return a
	}
	return crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}
}

// replied is the answer of a service that sent n octets of payload.
func replied(dst netip.Addr, n int) crew.Answer {
	return crew.Answer{Result: probe.Result{
		Status: probe.Reply, Reason: probe.UDPReply, From: dst, Size: headerLen + n,
	}}
}
