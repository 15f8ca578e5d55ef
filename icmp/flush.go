package icmp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// A full queue is tried again after fullWait, then twice that and so on, for
// fullLimit at most: after that the probe was not sent, and we say so.
const (
	fullWait  = time.Millisecond
	fullLimit = 200 * time.Millisecond
)

// flush hands what collect registered to the kernel.
func (e *Engine) flush(ctx context.Context) {
	for _, l := range e.lanes {
		for _, p := range l.ports {
			if len(p.batch.pkts) > 0 {
				e.flushPort(ctx, p)
				p.batch.pkts = p.batch.pkts[:0]
				p.batch.flights = p.batch.flights[:0]
			}
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
		e.count(n, err)
		if n > batchLen/2 {
			// On a short path the answers are here already. Taking them now keeps
			// the receive buffer empty however fast we send.
			_ = e.drain(p) // the reader meets the same error and reports it
		}
		if n > 0 {
			wait = fullWait
		}
		if err == nil {
			continue
		}
		if rawsock.CauseOf(err) == rawsock.Full && wait < fullLimit && ctx.Err() == nil {
			time.Sleep(wait)
			wait *= 2
			e.restamp(p.lane, b.flights[i:])
			continue
		}
		e.fail(p.lane, b.flights[i], err)
		i++
	}
}

func (e *Engine) count(n int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counters.Sent += uint64(n)
	if err != nil && rawsock.CauseOf(err) == rawsock.Full {
		e.counters.Retried++
	}
}

// restamp moves the departure of probes that had to wait.
func (e *Engine) restamp(l *lane, ns []uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
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
	r := probe.Result{Status: probe.Failed, Err: err}
	r.Reason, r.MTU = e.explain(f.t, err)
	if r.MTU > 0 {
		r.Err = fmt.Errorf("packet of %d bytes exceeds the path MTU of %d: %w", ipSize(l.family, int(f.size)), r.MTU, err)
	}
	e.settle(l, f, r)
}

// failWithoutSocket reports a probe of a family that has no socket.
func (e *Engine) failWithoutSocket(r *row, l *lane) {
	err := errors.New("icmp: no socket of this address family")
	if l != nil && l.err != nil {
		err = l.err
	}
	res := probe.Result{Target: r.t, Seq: r.seq, Status: probe.Failed, Err: err}
	res.Reason, _ = e.explain(r.t, err)
	if e.cfg.Sizer != nil {
		e.cfg.Sizer.Learn(&res)
	}
	e.emit(res)
	e.hurry(&res, e.now())
}

// explain turns a failed send into a reason, with the path MTU where that is
// what it was about.
func (e *Engine) explain(t *probe.Target, err error) (probe.Reason, int) {
	switch rawsock.CauseOf(err) {
	case rawsock.Full:
		return probe.NoBuffers, 0
	case rawsock.Denied:
		return probe.Permission, 0
	case rawsock.NoRoute, rawsock.NoSource:
		return probe.NoRoute, 0
	case rawsock.LinkDown:
		return probe.LinkDown, 0
	case rawsock.TooBig:
		route, _ := rawsock.RouteTo(t.Addr.Addr(), e.cfg.Socket)
		if t.Addr.Addr().Is4() {
			return probe.FragNeeded, route.MTU
		}
		return probe.PacketTooBig, route.MTU
	}
	return probe.ReasonOther, 0
}

// ipSize is the size of the IP packet around a payload.
func ipSize(f rawsock.Family, payload int) int { return headers(f) + payload }

// headers is the size of the IP and ICMP headers before a payload.
func headers(f rawsock.Family) int {
	if f == rawsock.IPv6 {
		return 40 + rawsock.EchoHeaderLen
	}
	return 20 + rawsock.EchoHeaderLen
}
