package icmp

import (
	"cmp"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// What finds no room in this host is tried again after fullWait, then twice that
// and so on up to fullWaitMost: an address table of the kernel takes seconds to
// forget neighbours that do not answer. That table may have room for others; after
// fullRow refusals in a row a queue is full, and everybody waits. A probe that had
// no room for fullGiveUp was not sent, and we say so; likewise once nothing had
// for as long.
const (
	fullRow      = 8
	fullWaitMost = time.Second
	fullGiveUp   = 10 * time.Second
)

// crowdedWait is how long no host is asked that was not asked before, while all
// the table is full of hosts that are to be asked again.
const crowdedWait = 10 * time.Millisecond

// collect registers the probes whose turn has come and puts them into the
// batches of their ports. It returns when it wants to be called next, and
// whether packets wait to be flushed.
func (s *Sweep) collect(now time.Duration) (wake time.Duration, sending bool) {
	if now < s.stuck {
		return s.stuck, false
	}
	for range batchLen {
		if next := s.cfg.Pace.Next(now); next > now {
			return next, sending
		}
		t, wake := s.nextTurn(now)
		if t.lane == nil {
			return wake, sending
		}
		switch t.lane.room(t.prev) {
		case awaitsEnd:
			t.at = now
			s.waiting.put(t)
			return s.nextExpiry(), sending
		case awaitsRetry:
			s.crowded = now + crowdedWait
			t.at = s.crowded
			s.waiting.put(t)
			continue
		}
		s.launch(t, now)
		sending = true
	}
	return now, sending
}

// nextTurn returns the next probe that may leave: one that had to wait, a silent
// host's, or that of a host not asked yet. Without a lane there is none before
// wake.
func (s *Sweep) nextTurn(now time.Duration) (t turn, wake time.Duration) {
	for range maxPostponed {
		if s.waiting.next() <= now {
			t = s.waiting.take()
			if a := t.lane.at(t.prev); t.prev != 0 && (a == nil || a.state != askSilent) {
				continue // it answered after all
			}
		} else if t, wake = s.newTurn(now); t.lane == nil {
			return t, wake
		}
		if t.at = s.cfg.Pace.Turn(t.who.Addr, now); t.at <= now {
			return t, 0
		}
		s.counters.deferred.Add(1)
		s.waiting.put(t)
	}
	return turn{}, now
}

// maxPostponed bounds how many hosts are looked at for one that can be asked, and
// whose subnet may be, before answers are looked at again.
const maxPostponed = 1024

// newTurn returns the next probe that has not had to wait.
func (s *Sweep) newTurn(now time.Duration) (t turn, wake time.Duration) {
	if len(s.waiting) >= maxTurns {
		return turn{}, s.waiting.next()
	}
	for _, l := range s.lanes {
		if l == nil || len(l.again) == 0 {
			continue
		}
		if a := l.nextSilent(); a != nil {
			who := probe.Candidate{Index: a.index, Addr: a.addr, Name: l.nameOf(a)}
			return turn{who: who, lane: l, prev: a.n, try: a.try + 1}, 0
		}
	}
	if now < s.crowded {
		return turn{}, s.waiting.next()
	}
	for n := 0; !s.over; n++ {
		if n == maxPostponed {
			return turn{}, now
		}
		c, supply := s.cfg.Source.Next()
		switch supply {
		case probe.Later:
			return turn{}, s.waiting.next()
		case probe.Over:
			s.over = true
		default:
			s.counters.inFlight.Add(1)
			l := *s.lane(rawsock.FamilyOf(c.Addr))
			if r, ok := s.unable(l, c); !ok {
				s.counters.inFlight.Add(-1)
				s.say(c, r)
				continue
			}
			return turn{who: c, lane: l, try: 1}, 0
		}
	}
	return turn{}, s.waiting.next()
}

// unable returns the outcome of a host to which no packet can leave through l.
func (s *Sweep) unable(l *sweepLane, c probe.Candidate) (r probe.Result, ok bool) {
	r = probe.Result{Status: probe.Failed, Reason: probe.NoRoute}
	switch {
	case l == nil:
		r.Err = errNoSocket
	case len(l.ports) == 0:
		r.Err = l.err
	case l.home.lost(c.Addr, s.now()):
		r = l.home.failure()
	default:
		return r, true
	}
	return r, false
}

// launch registers t and puts its packet into the batch of its port.
func (s *Sweep) launch(t turn, now time.Duration) {
	l := t.lane
	a, own := l.add(t.prev)
	if own {
		t.prev = 0
	}
	a.addr, a.index, a.try, a.sent = t.who.Addr, t.who.Index, t.try, now
	l.name(a, t.who.Name)
	if t.try == 1 {
		s.cfg.Pace.Take(t.who.Addr, now)
	} else {
		s.cfg.Pace.Again(t.who.Addr, now)
	}

	wire, index, seq := l.wire(a.n)
	p := l.ports[0]
	if len(l.ports) > 1 {
		p = l.ports[index]
	}
	msg := p.bufs[len(p.pkts)]
	copy(msg[rawsock.EchoHeaderLen:], s.cookies.of(wire, t.who.Addr))
	rawsock.PutEcho(l.family, msg, l.ids[index], seq)
	p.pkts = append(p.pkts, rawsock.Packet{To: t.who.Addr, Msg: msg, Key: wire})
	p.turns = append(p.turns, t)
	p.ns = append(p.ns, a.n)
}

// flush hands what collect registered to the kernel, and takes in what has come:
// on a short path the answers are here already, and the receive buffer stays
// empty however fast we send.
func (s *Sweep) flush() {
	for _, p := range s.ports {
		if len(p.pkts) > 0 {
			s.undrained += s.flushPort(p)
			p.pkts, p.turns, p.ns = p.pkts[:0], p.turns[:0], p.ns[:0]
		}
	}
	if s.undrained >= batchLen {
		s.drain()
	}
}

func (s *Sweep) flushPort(p *sweepPort) (sent int) {
	for i := 0; i < len(p.pkts); {
		before := s.now()
		n, err := p.Send(p.pkts[i:])
		s.sent(p, i, n, before, s.now())
		i += n
		sent += n
		if err == nil {
			continue
		}
		if rawsock.CauseOf(err) != rawsock.Full {
			s.fail(p, i, err)
			i++
			continue
		}
		end := i + 1
		if s.noRoom(); s.stuck > 0 {
			end = len(p.pkts)
		}
		for ; i < end; i++ {
			s.putBack(p, i, err)
		}
	}
	return sent
}

// sent notes that n packets from the i'th on left between two moments. The
// kernel sends them one after the other, so each has its own.
func (s *Sweep) sent(p *sweepPort, i, n int, from, to time.Duration) {
	if n == 0 {
		return
	}
	s.wait, s.stuck, s.fullSince, s.refused = 0, 0, 0, 0
	s.counters.sent.Add(uint64(n))
	l := p.lane
	for k := range n {
		a := l.at(p.ns[i+k])
		a.sent = from + (to-from)*time.Duration(k)/time.Duration(n)
		if prev := l.at(p.turns[i+k].prev); prev != nil {
			l.supersede(prev, a)
		}
	}
}

// noRoom notes that a packet found no room; if that happens again and again,
// nothing leaves before stuck.
func (s *Sweep) noRoom() {
	now := s.now()
	s.cfg.Pace.Choke(now)
	s.fullSince = cmp.Or(s.fullSince, now)
	if s.refused++; s.refused >= fullRow {
		s.wait = min(max(2*s.wait, fullWait), fullWaitMost)
		s.stuck = now + s.wait
	}
}

// putBack lets the i'th packet wait, which found no room, or would find none.
func (s *Sweep) putBack(p *sweepPort, i int, err error) {
	now := s.now()
	t := p.turns[i]
	t.refused = cmp.Or(t.refused, now)
	if now-t.refused > fullGiveUp || now-s.fullSince > fullGiveUp {
		s.stuck = 0
		s.fail(p, i, err)
		return
	}
	t.at = max(s.stuck, now+min(max(now-t.refused, fullWait), fullWaitMost))
	a := p.lane.at(p.ns[i])
	p.lane.forget(a)
	a.state = askFree
	s.waiting.put(t)
	s.counters.retried.Add(1)
}

// fail decides the host of the i'th packet, which could not leave: our failure,
// not the host's.
func (s *Sweep) fail(p *sweepPort, i int, err error) {
	l, t := p.lane, p.turns[i]
	a := l.at(p.ns[i])
	if prev := l.at(t.prev); prev != nil {
		l.supersede(prev, a)
	}
	a.try-- // as many left
	r := probe.Result{Status: probe.Failed}
	via := engine.Via{Target: t.who.Addr, Socket: s.cfg.Socket}
	r.Reason, r.MTU, r.Err = via.Explain(err, headers(l.family)+s.cfg.Size)
	s.settle(l, a, r)
}
