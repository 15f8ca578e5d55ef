package udpprobe

import (
	"context"
	"net"
	"net/netip"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/udpprobe/payload"
)

// Config is how questions are asked. Its zero value asks what goes with the port.
type Config struct {
	Socket  rawsock.Config    // Source, Interface, Mark, TTL and TOS count
	Proto   *payload.Protocol // nil picks it by the port that is asked; a port without one is sent an empty datagram
	Payload []byte            // sent instead if not nil, and whatever comes back is an answer
	Any     bool              // whatever comes back is an answer, and nobody wants to know what it says

	// Somebody has a datagram that is no valid answer count as the word of
	// somebody who is there: a Reply with the reason BadReply where it would be
	// Lost with that reason.
	Somebody bool
}

// Protocol is what cfg asks at port; nil if it is nothing that can be understood.
func (cfg Config) Protocol(port uint16) *payload.Protocol {
	switch {
	case cfg.Payload != nil:
		return nil
	case cfg.Proto != nil:
		return cfg.Proto
	}
	return payload.ByPort(port)
}

// NewAsker returns an Asker that sends one datagram a try, from a socket and thus
// a port of its own, and listens until a valid answer, an ICMP error or the
// timeout. The Detail of its answers is a *probe.Layers where there is something
// to tell: what a valid answer said, or why one was not valid.
//
// Its sockets are connected, which is how the kernel tells them of ICMP errors on
// every system: an answer from another address or port than was asked is not heard.
// Where a protocol answers from another port (TFTP), they are not.
func NewAsker(cfg Config) crew.Asker {
	if !cfg.Any {
		rawsock.KeepStamps()
	}
	return newDialer(cfg)
}

// dialer is the crew.Asker of one worker.
type dialer struct {
	cfg      Config
	hook     rawsock.Dial
	net      net.Dialer
	question payload.Transaction
	payload  []byte
	answer   []byte
}

// longest is the largest answer that is read whole: no service has more to say
// to what is asked here, and there may be thousands of readers.
const longest = 4096

func newDialer(cfg Config) *dialer {
	d := &dialer{cfg: cfg, hook: rawsock.Dial{Config: cfg.Socket, Stamps: !cfg.Any}, answer: make([]byte, longest+1)}
	d.net = net.Dialer{Control: d.hook.Control}
	if src := cfg.Socket.Source; src.IsValid() {
		d.net.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
	}
	return d
}

// Ask sends one datagram from a socket of its own.
func (d *dialer) Ask(ctx context.Context, t crew.Try) crew.Answer {
	if ctx.Err() != nil {
		return canceled()
	}
	if a, ok := crew.Unable(t.To.Addr(), &d.hook.Config); ok {
		return a
	}
	c := try{dialer: d, ctx: ctx, proto: d.cfg.Protocol(t.To.Port()), to: t.To, start: time.Now()}
	if err := c.open(); err != nil {
		return c.failure(err)
	}
	defer c.conn.Close()
	c.compose()
	_ = c.conn.SetDeadline(time.Now().Add(t.Timeout))
	defer context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })()
	a := c.exchange()
	if a.Status == probe.Reply && a.RTT > t.Timeout {
		a.Status = probe.Late
	}
	if a.Status != probe.Failed {
		a.Sent = c.sent
	}
	return a
}

func canceled() crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Pending, Reason: probe.Canceled}}
}
