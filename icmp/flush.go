package icmp

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// A full queue is tried again after fullWait, then twice that and so on, for
// fullLimit at most: after that the probe was not sent, and we say so. Over the
// whole run no more than one part in fullShare of the time goes into waiting, as
// everybody else waits with it.
const (
	fullWait  = time.Millisecond
	fullLimit = 200 * time.Millisecond
	fullShare = 10
)

// flush hands what collect registered to the kernel.
func (e *Engine) flush(ctx context.Context) {
	for p := range e.ports() {
		if len(p.batch.pkts) > 0 {
			e.flushPort(ctx, p)
			p.batch.pkts = p.batch.pkts[:0]
			p.batch.flights = p.batch.flights[:0]
		}
	}
}

func (e *Engine) flushPort(ctx context.Context, p *port) {
	b := &p.batch
	wait := fullWait
	for i := 0; i < len(b.pkts); {
		p.sending.Lock()
		n, err := p.Send(b.pkts[i:])
		p.sending.Unlock()
		i += n
		e.count(n)
		if n > batchLen/2 || e.cfg.Pace == Flood {
			// On a short path the answers are here already. Taking them now keeps
			// the receive buffer empty however fast we send, and a flood going.
			e.drain(p)
		}
		if n > 0 {
			wait = fullWait
		}
		if err == nil {
			continue
		}
		if rawsock.CauseOf(err) == rawsock.Full && wait < fullLimit && ctx.Err() == nil &&
			e.waited+wait < 2*fullLimit+e.now()/fullShare {
			time.Sleep(wait)
			e.waited += wait
			wait *= 2
			e.restamp(p.lane, b.flights[i:])
			continue
		}
		e.fail(p.lane, b.flights[i], err)
		i++
	}
}

func (e *Engine) count(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counters.Sent += uint64(n)
}

// restamp moves the departure of probes that had to wait and are tried again.
func (e *Engine) restamp(l *lane, ns []uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counters.Retried++
	now := e.now()
	for _, n := range ns {
		if f := l.at(n); f != nil {
			f.lag += uint32(min((now - f.sent).Microseconds(), 1<<31))
			f.sent = now
		}
	}
}

// fail decides a probe that could not leave: our failure, not the target's.
func (e *Engine) fail(l *lane, n uint64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := l.at(n)
	if f == nil {
		return
	}
	r := probe.Result{Status: probe.Failed}
	var why string
	r.Reason, r.MTU, why = e.explain(f.t, err, headers(l.family)+int(f.size))
	r.Err = &SendError{why, err}
	e.settle(l, f, r)
}

// A SendError says in words for people why a probe could not leave. It wraps
// the *os.SyscallError.
type SendError struct {
	why string
	err error
}

func (e *SendError) Error() string { return e.why }
func (e *SendError) Unwrap() error { return e.err }

// unable returns why no packet to t can leave through l; nil if one can.
func (e *Engine) unable(l *lane, t *probe.Target) error {
	switch {
	case l == nil:
		return errNoSocket
	case len(l.ports) == 0:
		return l.err
	case e.homeless(l, t):
		return e.errHomeless()
	}
	return nil
}

var errNoSocket = errors.New("no socket of this address family")

// failUnsent reports the next probe of r, which cannot leave.
func (e *Engine) failUnsent(r *row, err error) {
	res := probe.Result{Target: r.t, Seq: r.seq, Status: probe.Failed, Reason: probe.NoRoute, Err: err}
	e.learn(&res)
	e.emit(res)
	e.hurry(&res, e.now())
}

// explain turns a failed send of a packet of size bytes into a reason and
// words, with the path MTU where that is what it was about.
func (e *Engine) explain(t *probe.Target, err error, size int) (r probe.Reason, mtu int, why string) {
	switch rawsock.CauseOf(err) {
	case rawsock.Full:
		return probe.NoBuffers, 0, "the send queue of this host is full"
	case rawsock.Denied:
		return probe.Permission, 0, "a firewall rule or a missing privilege on this host forbids it"
	case rawsock.NoRoute:
		return probe.NoRoute, 0, "no route from this host"
	case rawsock.NoSource:
		if src := e.cfg.Socket.Source; src.IsValid() {
			return probe.NoRoute, 0, fmt.Sprintf("source address %v is not on this host", src)
		}
		return probe.NoRoute, 0, "this host refuses to send there (a blackhole route?)"
	case rawsock.LinkDown:
		return probe.LinkDown, 0, "the interface is down"
	case rawsock.TooBig:
		route, _ := rawsock.RouteTo(t.Addr.Addr(), e.cfg.Socket)
		why = fmt.Sprintf("packet of %d bytes exceeds the path MTU of %d", size, route.MTU)
		if t.Addr.Addr().Is4() {
			return probe.FragNeeded, route.MTU, why
		}
		return probe.PacketTooBig, route.MTU, why
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return probe.ReasonOther, 0, errno.Error()
	}
	return probe.ReasonOther, 0, err.Error()
}

// headers is the size of the IP and ICMP headers before a payload.
func headers(f rawsock.Family) int {
	if f == rawsock.IPv6 {
		return 40 + rawsock.EchoHeaderLen
	}
	return 20 + rawsock.EchoHeaderLen
}
