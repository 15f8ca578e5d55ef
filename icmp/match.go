package icmp

import (
	"bytes"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// take matches one message from p with the probe it is about.
func (e *Engine) take(p *port, m *rawsock.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.Event == rawsock.Stamp {
		if f := p.lane.byWire(m.Key); f != nil && f.state != decided {
			f.tx = m.Stamp
		}
		return
	}
	e.wall.Observe(m.Arrived, e.start)
	f := p.flightOf(m)
	if f == nil {
		e.counters.Strays++
		return
	}
	switch m.Event {
	case rawsock.Echo:
		e.takeEcho(p, f, m)
	case rawsock.Error:
		e.takeError(p.lane, f, m)
	case rawsock.Redirect:
		if !engine.SameHost(m.Dst, f.t.Addr.Addr()) {
			e.counters.Strays++
			return
		}
		e.counters.Redirects++
	}
}

// flightOf returns the probe with the identifier and sequence number of m, nil
// if the identifier is not one of p's: not every system keeps others out.
func (p *port) flightOf(m *rawsock.Message) *flight {
	i := m.ID - p.first
	if i >= p.ids {
		return nil
	}
	return p.lane.onWire(p.index+int(i), m.Seq)
}

// takeEcho judges an echo reply to f. The cookie proves that whoever sent it
// has seen the request.
func (e *Engine) takeEcho(p *port, f *flight, m *rawsock.Message) {
	flags, proven := e.payload.verify(m, int(f.size), e.cookies.of(f.n, f.t))
	target := engine.SameHost(m.From, f.t.Addr.Addr())
	if !target {
		flags |= probe.WrongSource
	}
	if !target && (!proven || f.size < cookieLen) {
		e.counters.Strays++
		return
	}
	r := probe.Result{
		Status: probe.Reply, Reason: probe.EchoReply, Flags: flags,
		From: m.From, TTL: m.TTL, Type: m.Type, Code: m.Code, Size: m.Size,
	}
	if target {
		r.From = f.t.Addr.Addr()
	}
	e.clock(f, m, &r)
	switch {
	case !proven && f.open():
		r.Status, r.Reason = probe.Lost, probe.BadReply
		p.lane.hold(f, held{r, true})
	case !proven, f.state == decided, r.RTT > e.cfg.Timeout+e.cfg.Late:
		e.counters.Strays++
	case f.state == answered:
		r.Flags |= probe.Dup
		e.emit(e.fill(f, r))
	default:
		e.answer(p, f, r, m)
	}
}

// answer decides f by the proven reply m.
func (e *Engine) answer(p *port, f *flight, r probe.Result, m *rawsock.Message) {
	row := &e.rows[f.t.ID]
	if f.seq > row.best {
		row.best, row.bestAt = f.seq, m.Stamp
	} else if m.Stamp == 0 || m.Stamp > row.bestAt {
		// Several sockets are read one after the other: where the kernel tells,
		// what counts is when the two arrived.
		r.Flags |= probe.Reordered
	}
	if r.RTT > e.cfg.Timeout {
		r.Status = probe.Late
	}
	if r.Clock == probe.User && p.KernelClock() {
		e.counters.UserClock++
	}
	e.settle(p.lane, f, r)
}

// takeError judges an ICMP error about f. Its quote must be of a packet to the
// target, and carry the cookie if it is long enough to. One that is too short
// is held: a real answer in time beats it.
func (e *Engine) takeError(l *lane, f *flight, m *rawsock.Message) {
	if !f.open() || !engine.SameHost(m.Dst, f.t.Addr.Addr()) {
		e.counters.Strays++
		return
	}
	proven := f.size >= cookieLen && len(m.Payload) >= cookieLen
	if proven && !bytes.HasPrefix(m.Payload, e.cookies.of(f.n, f.t)) {
		e.counters.Strays++
		return
	}
	r := probe.Result{From: m.From, TTL: m.TTL, Type: m.Type, Code: m.Code, MTU: m.MTU}
	var ok bool
	if r.Status, r.Reason, ok = engine.Verdict(l.family, m.Type, m.Code); !ok {
		return
	}
	if r.Reason == probe.PortUnreachable && engine.SameHost(m.From, f.t.Addr.Addr()) {
		r.Status = probe.Refused // by the target itself, which thus is there
	}
	e.clock(f, m, &r)
	if !proven {
		l.hold(f, held{Result: r})
		return
	}
	e.settle(l, f, r)
}

// clock sets how long the answer m to f took, and as its lag what f waited in
// this host after it was sent, as for its neighbour's address; fill adds the rest.
func (e *Engine) clock(f *flight, m *rawsock.Message, r *probe.Result) {
	r.RTT, r.Clock, r.Host = e.wall.RTT(f.tx, m.Stamp, f.sent, m.Arrived.Sub(e.start))
	if r.Clock != probe.Kernel {
		return
	}
	if waited := e.wall.Since(f.tx) - f.sent; waited > noticeable {
		r.Lag = waited
	}
}

// noticeable is what a packet may spend between the system call and the wire
// before it counts as lag.
const noticeable = time.Millisecond
