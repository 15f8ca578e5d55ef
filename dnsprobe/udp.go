package dnsprobe

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// errNoFamily is what a host without an IP version says.
var errNoFamily = syscall.EAFNOSUPPORT

// A datagram that finds the queues of this host full is sent again after fullWait,
// fullTries times.
const (
	fullWait  = time.Millisecond
	fullTries = 200
)

// ipOverhead is what UDP and the shortest IP header add, for people.
const ipOverhead = 8 + 20

// send puts an attempt of f by UDP into the batch of its socket.
func (e *run) send(f *flight, now time.Duration) {
	r := &e.rows[f.server]
	addr := r.target.Addr
	l := e.lanes[rawsock.FamilyOf(addr.Addr())]
	if l == nil {
		e.fail(f, probe.NoRoute, e.noLane(addr.Addr()))
		return
	}
	k := len(f.attempts)
	id, ok := l.ids.take(f, k)
	if !ok {
		e.fail(f, probe.NoBuffers, &engine.SendError{Why: "more queries under way than there are ids", Err: syscall.ENOBUFS})
		return
	}
	f.attempts = append(f.attempts, attempt{id: id, sent: now, told: len(f.told), cookie: r.cookie})
	f.told = append(f.told, probe.DNSAttempt{Transport: UDP.String(), Status: probe.Pending, Reason: probe.Canceled})
	i := len(l.pkts)
	if i == len(l.bufs) {
		l.bufs = append(l.bufs, make([]byte, 0, 512))
	}
	l.bufs[i] = e.form(f).append(l.bufs[i][:0], id, r.cookie, false)
	l.pkts = append(l.pkts, rawsock.UDPPacket{To: addr, Data: l.bufs[i], Key: keyOf(id, f.seq)})
	l.keys = append(l.keys, deadline{f: f, k: k})
	if len(l.pkts) == batch {
		e.flushLane(l)
	}
}

// batch is how many datagrams leave in one call.
const batch = 64

// keyOf is by what the kernel's timestamp of a departure is known: an id, and what
// tells it from the same id later.
func keyOf(id uint16, seq uint64) uint32 { return uint32(seq)<<16 | uint32(id) }

// noLane says why there is no socket for addr.
func (e *run) noLane(addr netip.Addr) error {
	if src := e.cfg.Socket.Source; src.IsValid() && src.Is4() != addr.Is4() {
		return &engine.SendError{Why: fmt.Sprintf("source address %v is not IPv%d", src, rawsock.FamilyOf(addr)), Err: syscall.EAFNOSUPPORT}
	}
	return &engine.SendError{Why: fmt.Sprintf("this host has no IPv%d", rawsock.FamilyOf(addr)), Err: syscall.EAFNOSUPPORT}
}

func (e *run) flush() {
	for _, l := range e.lanes {
		e.flushLane(l)
	}
}

// flushLane sends the batch of l. What cannot leave says nothing about its server.
func (e *run) flushLane(l *lane) {
	full := 0
	for at := 0; at < len(l.pkts); {
		t := time.Now()
		for _, x := range l.keys[at:] {
			a := &x.f.attempts[x.k]
			a.at, a.sent = t, t.Sub(e.start)
		}
		n, err := l.conn.Send(l.pkts[at:])
		for _, x := range l.keys[at : at+n] {
			e.left(x)
		}
		at += n
		switch {
		case err == nil:
			continue
		case rawsock.CauseOf(err) == rawsock.Full && full < fullTries:
			full++
			e.nap.Wait(fullWait)
			continue
		}
		if at < len(l.pkts) {
			x := l.keys[at]
			reason, _, why := engine.Via{Target: l.pkts[at].To.Addr(), Socket: e.cfg.Socket}.Explain(err, len(l.pkts[at].Data)+ipOverhead)
			if x.k > 0 {
				// Earlier attempts left: it is they who decide.
				e.unsent(x, reason, why)
			} else {
				e.fail(x.f, reason, why)
			}
			at++
		}
	}
	l.pkts, l.keys = l.pkts[:0], l.keys[:0]
}

// unsent notes that a repetition could not leave.
func (e *run) unsent(x deadline, reason probe.Reason, why error) {
	a := &x.f.attempts[x.k]
	e.freeAttempt(x.f, a, false)
	x.f.overdue++
	told := &x.f.told[a.told]
	told.Status, told.Reason, told.Why = probe.Failed, reason, why.Error()
	if !x.f.waiting() {
		e.lose(x.f)
	}
}

// left notes that an attempt has left.
func (e *run) left(x deadline) {
	a := &x.f.attempts[x.k]
	e.counters.Sent++
	if x.k > 0 {
		e.counters.Retried++
	} else {
		x.f.first = a.at
	}
	x.f.told[a.told].Sent = a.at
	e.timeouts.push(deadline{at: a.sent + e.cfg.Timeout, f: x.f, k: x.k})
}

// drain takes in what has arrived.
func (e *run) drain() {
	for _, l := range e.lanes {
		if err := l.conn.Drain(func(m *rawsock.UDPMessage) { e.hear(l, m) }); err != nil && e.broken == nil {
			e.broken = err
		}
	}
}

func (e *run) hear(l *lane, m *rawsock.UDPMessage) {
	switch m.Event {
	case rawsock.Stamp:
		s := &l.ids.slots[uint16(m.Key)]
		if s.flight != nil && keyOf(uint16(m.Key), s.seq) == m.Key {
			s.flight.attempts[s.attempt].tx = m.Stamp
		}
	case rawsock.Echo:
		e.hearAnswer(l, m)
	case rawsock.Error:
		e.hearError(l, m)
	}
}

// hearAnswer takes in a datagram, which is an answer to what was asked, or named.
func (e *run) hearAnswer(l *lane, m *rawsock.UDPMessage) {
	from := netip.AddrPortFrom(m.From, m.Port)
	if len(m.Payload) < headerLen {
		e.strayFrom(from, nil, "malformed", "it ends early", m)
		return
	}
	id := binary.BigEndian.Uint16(m.Payload)
	s := &l.ids.slots[id]
	if s.flight == nil {
		e.hearUnasked(s, from, id, m)
		return
	}
	f := s.flight
	if from != wire(e.rows[f.server].target.Addr) {
		e.strayOf(f, from, "wrong source", "", m)
		return
	}
	r, err := parseReply(m.Payload)
	if err != nil {
		what := err.Error()
		if m.Size > len(m.Payload) {
			what = fmt.Sprintf("%d bytes by UDP", m.Size)
		}
		e.strayOf(f, from, "malformed", what, m)
		return
	}
	a := &f.attempts[s.attempt]
	if why, what := r.answers(e.form(f), a.cookie); why != "" {
		e.strayOf(f, from, why, what, m)
		return
	}
	e.answered(l, f, s.attempt, &r, m)
}

// hearUnasked takes in a datagram with an id that nobody waits for: once more what
// was answered, or a guess.
func (e *run) hearUnasked(s *slot, from netip.AddrPort, id uint16, m *rawsock.UDPMessage) {
	i, known := e.sources[from]
	if !known {
		e.counters.Strays++
		return
	}
	if s.seq > 0 && wire(e.rows[s.server].target.Addr) == from {
		if s.answered {
			e.emit(probe.Result{
				Target: e.rows[s.server].target, Seq: s.seq, Status: probe.Reply, Reason: probe.DNSReply, Flags: probe.Dup,
				From: m.From, TTL: m.TTL, Size: m.Size, Sent: m.Arrived,
			})
		} else {
			e.counters.Strays++ // after its late window
		}
		return
	}
	e.strayFrom(from, &i, "wrong id", fmt.Sprint(id), m)
}

// strayFrom notes a datagram that no id leads to: for the query that is under way to
// its sender and asks the same, if there is one among the first.
func (e *run) strayFrom(from netip.AddrPort, server *int, why, what string, m *rawsock.UDPMessage) {
	if i, known := e.sources[from]; known && server == nil {
		server = &i
	}
	if server != nil {
		r, err := parseReply(m.Payload)
		for i, looked := e.timeouts.head, 0; i < len(e.timeouts.q) && looked < strayLook; i, looked = i+1, looked+1 {
			f := e.timeouts.q[i].f
			if f.server == *server && !f.decided && (err != nil || sameQuestion(r.question, e.form(f).question)) {
				e.strayOf(f, from, why, what, m)
				return
			}
		}
	}
	e.counters.Strays++
}

// strayLook is how many queries are looked through for the one a stray belongs to:
// a flood of them must not hold up the run.
const strayLook = 64

func (e *run) strayOf(f *flight, from netip.AddrPort, why, what string, m *rawsock.UDPMessage) {
	e.counters.Strays++
	f.stray(probe.DNSStray{From: from, Why: why, What: what, At: max(0, m.Arrived.Sub(f.attempts[0].at))})
}

// answered takes in the answer to attempt k of f.
func (e *run) answered(l *lane, f *flight, k int, r *reply, m *rawsock.UDPMessage) {
	a := &f.attempts[k]
	rtt, clock, host := e.wall.RTT(a.tx, m.Stamp, a.sent, m.Arrived.Sub(e.start))
	told := &f.told[a.told]
	told.RTT, told.HasRTT, told.Clock, told.Size = rtt, true, clock, m.Size
	told.Rcode, told.Truncated = rcodeName(r.rcode), r.truncated()
	told.Status, told.Reason = probe.Reply, probe.DNSReply
	if rtt > e.cfg.Timeout {
		told.Status = probe.Late
	}
	told.Phases = []probe.Step{{Name: "request", Took: rtt}}
	e.learnCookie(f, r)
	switch {
	case r.rcode == badCookie && f.cookies == 0 && len(r.cookie) > cookieLen:
		// The server wants its own cookie back (RFC 7873, section 5.3).
		f.cookies++
		e.freeAttempt(f, a, true)
		f.overdue++
		e.send(f, e.now())
		return
	case r.truncated() && !e.cfg.KeepTruncated:
		e.freeAll(f, true)
		e.streams.start(e, f, TCP)
		return
	}
	res := probe.Result{
		Status: told.Status, Reason: probe.DNSReply, From: m.From, Sent: a.at, RTT: rtt, Clock: clock, Host: host,
		TTL: m.TTL, Size: m.Size,
	}
	e.conclude(f, res, m.Payload, r, a.cookie)
}

const badCookie = 23

// learnCookie keeps what the server adds to our cookie.
func (e *run) learnCookie(f *flight, r *reply) {
	if own := &e.rows[f.server].cookie; len(r.cookie) > cookieLen && string(r.cookie[:cookieLen]) == string((*own)[:cookieLen]) {
		*own = append([]byte(nil), r.cookie...) // queries under way keep theirs
	}
}

// hearError takes in an ICMP error about an attempt.
func (e *run) hearError(l *lane, m *rawsock.UDPMessage) {
	if len(m.Payload) < 2 {
		return
	}
	s := &l.ids.slots[binary.BigEndian.Uint16(m.Payload)]
	f := s.flight
	if f == nil || m.To != wire(e.rows[f.server].target.Addr) {
		return
	}
	status, reason, ok := engine.Verdict(l.family, m.Type, m.Code)
	if !ok {
		return
	}
	if reason == probe.PortUnreachable && engine.SameHost(m.From, m.To.Addr()) {
		status = probe.Refused // by the server itself, which thus is there
	}
	a := &f.attempts[s.attempt]
	rtt, clock, _ := e.wall.RTT(a.tx, m.Stamp, a.sent, m.Arrived.Sub(e.start))
	told := &f.told[a.told]
	told.Status, told.Reason = status, reason
	e.tell(f, probe.Result{
		Status: status, Reason: reason, From: m.From, Type: m.Type, Code: m.Code, MTU: m.MTU, TTL: m.TTL,
		Sent: a.at, RTT: rtt, Clock: clock,
	})
}

// expire decides what has run out of time by now.
func (e *run) expire(now time.Duration) {
	for e.timeouts.next() <= now {
		x := e.timeouts.pop()
		f := x.f
		a := &f.attempts[x.k]
		f.overdue++
		told := &f.told[a.told]
		told.Status, told.Reason = probe.Lost, probe.NoResponse
		e.ends.push(deadline{at: a.sent + e.cfg.Timeout + e.cfg.Late, f: f, k: x.k})
		if e.counted(f) <= e.cfg.Retries && f.overdue == len(f.attempts) {
			e.send(f, now)
		}
	}
	for e.ends.next() <= now {
		x := e.ends.pop()
		e.freeAttempt(x.f, &x.f.attempts[x.k], false)
		if x.f.overdue == len(x.f.attempts) && !x.f.waiting() {
			e.lose(x.f)
		}
	}
}

// counted is how many attempts of f were made, but for those that only brought a
// cookie.
func (e *run) counted(f *flight) int { return len(f.attempts) - f.cookies }

// waiting reports whether an attempt of f may still be answered.
func (f *flight) waiting() bool {
	for i := range f.attempts {
		if !f.attempts[i].gone {
			return true
		}
	}
	return false
}

func (e *run) freeAttempt(f *flight, a *attempt, answered bool) {
	if l := e.lanes[rawsock.FamilyOf(e.rows[f.server].target.Addr.Addr())]; l != nil {
		l.ids.free(a, answered)
	}
}

func (e *run) freeAll(f *flight, answered bool) {
	for i := range f.attempts {
		e.freeAttempt(f, &f.attempts[i], answered)
	}
}

// lose ends a query that nobody answered.
func (e *run) lose(f *flight) {
	reason := probe.NoResponse
	if f.strayN > 0 {
		reason = probe.BadReply
	}
	e.tell(f, probe.Result{Status: probe.Lost, Reason: reason, Sent: f.first})
}

// fail ends a query that this host could not send.
func (e *run) fail(f *flight, reason probe.Reason, err error) {
	if n := len(f.told); n > 0 && f.told[n-1].Status == probe.Pending {
		f.told[n-1].Status, f.told[n-1].Reason, f.told[n-1].Why = probe.Failed, reason, err.Error()
	}
	e.tell(f, probe.Result{Status: probe.Failed, Reason: reason, Err: err})
}
