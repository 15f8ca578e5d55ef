package trace

import (
	"net/netip"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// lane is one family: its sockets and what is in flight on them.
type lane struct {
	family  rawsock.Family
	conn    conn  // nil if the family cannot be used
	err     error // why
	flow    uint16
	data    []int // octets of data that TCP probes have carried, each once
	visit   func(*rawsock.Reply)
	flights []*flight // by number
	n       uint16    // number of the newest probe
	batch   []rawsock.Probe
	leaving []*flight // those of batch
}

// flowLimit is how many flows there are from that of the run on.
func (l *lane) flowLimit() int {
	limit := rawsock.MaxFlows
	if l.conn.Kind() == rawsock.Datagram {
		limit = rawsock.MaxDatagramFlows
	}
	return min(limit, 1<<16-int(l.flow))
}

// flight is one attempt on its way.
type flight struct {
	*attempt
	phase  phase // which ordered it
	track  *track
	n      uint16
	flow   uint16 // as on the wire
	cookie uint64 // its high 16 bits are n, the rest is chance
	tx     int64  // kernel timestamp of its departure, ns since 1970; 0 if unknown
	lag    time.Duration
	told   bool // its outcome was emitted
}

// forgotten is how long an unanswered probe keeps its number from being used
// again.
const forgotten = 10 * time.Second

// free reports whether the number of f can be used again.
func (f *flight) free(now time.Duration) bool {
	return f == nil || f.track.over || f.state != inFlight || now-f.sent > max(forgotten, f.wait)
}

// number returns the next number; ok is false if all are in flight. 0 and 65535
// are no checksums a UDP datagram can be given (RFC 768).
func (l *lane) number(now time.Duration) (n uint16, ok bool) {
	n = l.n + 1
	for n == 0 || n == 1<<16-1 {
		n++
	}
	return n, l.flights[n].free(now)
}

// take matches one message with the probe it is about.
func (e *Engine) take(l *lane, r *rawsock.Reply) {
	if r.Event == rawsock.Stamp {
		if f := l.flights[uint16(r.Key)]; f != nil {
			f.tx = r.Stamp
		}
		return
	}
	e.wall.Observe(r.Arrived, e.start)
	if r.Event != rawsock.Echo && r.Event != rawsock.Error {
		e.stray(r)
		return
	}
	if f := e.match(l, r); f != nil {
		e.accept(f, r)
		return
	}
	if e.anonymous(l, r) {
		return
	}
	e.stray(r)
}

// accept takes r as an answer to f, if it is a verdict.
func (e *Engine) accept(f *flight, r *rawsock.Reply) {
	res, ok := e.result(f, r)
	if !ok {
		e.stray(r)
		return
	}
	e.answer(f, res, func() { e.detail(f, r) })
}

func (e *Engine) stray(r *rawsock.Reply) {
	e.count(func(c *Counters) {
		if r.Event == rawsock.Error && !r.HasN && !r.HasIPID && !r.HasCookie {
			c.Unidentified++
		} else {
			c.Strays++
		}
	})
}

// match returns the probe r is about, nil if it is none of ours.
//
// The cookie is proof, and where it can be read nothing else counts. Short
// quotes leave two numbers, by the transport header and by the IP header. One of
// them may have suffered: checksums from translators and from senders that leave
// them to the network card, IP IDs from translators. So either will do
// if the rest of the header fits; should they name different probes, the one
// counts that suffers less: the IP ID of UDP, the transport's number of others.
func (e *Engine) match(l *lane, r *rawsock.Reply) *flight {
	if r.HasCookie {
		f := l.flights[r.Cookie>>48]
		if f != nil && !f.track.over && f.cookie == r.Cookie {
			return f
		}
		return nil
	}
	var byN, byID *flight
	switch {
	case r.HasN && r.Proto == rawsock.TCP:
		byN = e.bySequence(l, r)
	case r.HasN:
		byN = e.plausible(l.flights[r.N], r)
	}
	if r.HasIPID {
		byID = e.plausible(l.flights[r.IPID], r)
	}
	switch {
	case byN == nil:
		return byID
	case byID == nil, r.Proto != rawsock.UDP:
		return byN
	}
	return byID
}

// bySequence matches a TCP answer or quote, whose whole sequence number must be
// that of the probe. A RST acknowledges what data a large SYN carried, too.
func (e *Engine) bySequence(l *lane, r *rawsock.Reply) *flight {
	seq := uint32(r.N)<<16 | uint32(r.Check)
	for _, data := range append([]int{0}, l.data...) {
		n := (seq - uint32(data)) >> 16
		f := l.flights[n]
		if f == nil || uint16(seq-uint32(data)) != uint16(f.cookie) || data > 0 && l.dataOf(f) != data {
			continue
		}
		r.N, r.Check = f.n, uint16(f.cookie)
		if f = e.plausible(f, r); f != nil {
			return f
		}
	}
	return nil
}

// dataOf is how many octets of data f carries if it is a TCP SYN (see
// rawsock.Probe).
func (l *lane) dataOf(f *flight) int {
	if l.family == rawsock.IPv6 {
		return f.hop.Size - 80
	}
	return f.hop.Size - 60
}

// plausible returns f if r may be about it.
func (e *Engine) plausible(f *flight, r *rawsock.Reply) *flight {
	if f == nil || f.track.over {
		return nil
	}
	to := f.track.addr()
	switch {
	case r.Event == rawsock.Echo:
		// Nobody but the target answers in its place without a cookie.
		if !engine.SameHost(r.From, to) || r.Flow != f.flow {
			return nil
		}
	case !r.Quoted.Seen:
		if r.Flow != f.flow {
			return nil
		}
	case r.HasN && r.N == f.n && (r.HasIPID && r.IPID == f.n || r.Proto == rawsock.TCP && r.Check == uint16(f.cookie)):
		// Two numbers agree: addresses and ports may be a translator's.
	case r.Quoted.Dst != to.WithZone(""), r.Quoted.Src == f.track.src.WithZone("") && r.Flow != f.flow:
		return nil
	}
	return f
}

// result is what r says about f; not ok if that is no verdict.
func (e *Engine) result(f *flight, r *rawsock.Reply) (res probe.Result, ok bool) {
	res = probe.Result{From: r.From, TTL: r.TTL, Type: r.Type, Code: r.Code, Size: r.Size, MTU: r.MTU}
	target := engine.SameHost(r.From, f.track.addr())
	if target {
		res.From = f.track.addr()
	}
	if r.Event == rawsock.Echo {
		res.Status, res.Reason = answerOf(r)
		if !target {
			res.Flags |= probe.WrongSource
		}
	} else if res.Status, res.Reason, ok = engine.Verdict(rawsock.FamilyOf(f.track.addr()), r.Type, r.Code); !ok {
		return res, false
	} else if target && (res.Reason == probe.PortUnreachable || res.Reason == probe.ProtoUnreachable) {
		res.Status = probe.Refused // by the target itself, which thus is there
	}
	res.RTT, res.Clock, res.Host = e.wall.RTT(f.tx, r.Stamp, f.sent, r.Arrived.Sub(e.start))
	if res.Clock == probe.User && e.lanes[rawsock.FamilyOf(f.track.addr())].conn.KernelClock() {
		e.count(func(c *Counters) { c.UserClock++ })
	}
	if e.cfg.Timeout > 0 && res.RTT > e.cfg.Timeout && res.Status == probe.Reply {
		res.Status = probe.Late
	}
	return res, true
}

// answerOf says what an answer of the target by the probe's protocol means.
func answerOf(r *rawsock.Reply) (probe.Status, probe.Reason) {
	switch r.Proto {
	case rawsock.UDP:
		return probe.Reply, probe.UDPReply
	case rawsock.TCP:
		const rst = 4
		if r.TCPFlags&rst != 0 {
			return probe.Refused, probe.RST
		}
		return probe.Reply, probe.SynAck
	}
	return probe.Reply, probe.EchoReply
}

// detail fills in what r shows beside the answer.
func (e *Engine) detail(f *flight, r *rawsock.Reply) {
	h := &f.hop
	for _, m := range r.MPLS {
		h.MPLS = append(h.MPLS, probe.Label(m))
	}
	for _, i := range r.Interfaces {
		h.Interfaces = append(h.Interfaces, probe.Interface{
			Role: probe.InterfaceRole(i.Role), Index: i.Index, Addr: i.Addr, Name: i.Name, MTU: i.MTU,
		})
	}
	if r.Event == rawsock.Error && r.Quoted.Seen {
		h.Quote = &probe.Quote{TTL: r.Quoted.TTL, TOS: r.Quoted.TOS, Rewritten: e.rewritten(f, r)}
	}
}

// rewritten compares the quoted header with what was sent.
func (e *Engine) rewritten(f *flight, r *rawsock.Reply) (w probe.Rewrite) {
	q := &r.Quoted
	same := func(a, b netip.Addr) bool { return !b.IsValid() || engine.SameHost(a, b) }
	for _, c := range []struct {
		changed bool
		flag    probe.Rewrite
	}{
		{!same(q.Src, f.track.src), probe.RewroteSource},
		{!same(q.Dst, f.track.addr()), probe.RewroteDestination},
		{r.Flow != f.flow, probe.RewroteSourcePort},
		{r.Proto != rawsock.ICMP && r.Port != e.cfg.Port, probe.RewroteDestinationPort},
		{q.HasSum && r.Proto != rawsock.ICMP && q.Sum != f.n, probe.RewroteChecksum},
		{q.HasSum && r.Proto == rawsock.ICMP && q.Sum != f.flow, probe.RewroteChecksum},
		{q.TOS != e.cfg.TOS, probe.RewroteTOS},
	} {
		if c.changed {
			w |= c.flag
		}
	}
	return w
}
