package icmp

import (
	"context"
	"errors"
	"time"

	"netprobe/internal/engine"
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
	via := engine.Via{Target: f.t.Addr.Addr(), Socket: e.cfg.Socket}
	r.Reason, r.MTU, r.Err = via.Explain(err, headers(l.family)+int(f.size))
	e.settle(l, f, r)
}

// unable returns why no packet to t can leave through l; nil if one can.
func (e *Engine) unable(l *lane, t *probe.Target) error {
	switch {
	case l == nil:
		return errNoSocket
	case len(l.ports) == 0:
		return l.err
	case l.home.lost(t.Addr.Addr(), e.now()):
		return l.home.failure().Err
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

// headers is the size of the IP and ICMP headers before a payload.
func headers(f rawsock.Family) int {
	if f == rawsock.IPv6 {
		return 40 + rawsock.EchoHeaderLen
	}
	return 20 + rawsock.EchoHeaderLen
}
