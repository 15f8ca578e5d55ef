package icmp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// Probe implements probe.Prober. It may be called once, closes the sockets, and
// returns an error only if a socket failed for good. If ctx ends first, hosts
// without a verdict are Pending.
func (s *Sweep) Probe(ctx context.Context, emit func(probe.Result)) error {
	time.Sleep(warmUp - time.Since(s.opened))
	s.start, s.emit = time.Now(), emit
	s.wall.Observe(s.start, s.start)
	s.seen = s.start
	s.cfg.Source.Notify(s.alarm.Wake)
	var readers readers
	for _, p := range s.ports {
		if !s.alarm.Watch(p.conn) {
			readers.add(p.conn, s.alarm.Wake)
		}
	}
	s.loop(ctx, &readers)
	for _, p := range s.ports {
		p.Shutdown()
	}
	readers.end()
	return errors.Join(s.broken, s.Close())
}

// loop sends, judges and receives until every host has its outcome or ctx ends.
// It holds on to its thread: to be moved to another just after waking up would
// cost time when it counts.
func (s *Sweep) loop(ctx context.Context, r *readers) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer context.AfterFunc(ctx, s.alarm.Wake)()
	for ctx.Err() == nil && s.broken == nil {
		if now := s.now(); s.nextExpiry() <= now {
			// What has arrived by now is not silence, however late we come to look.
			s.drain()
			s.expire(now)
		}
		wake, sending := s.collect(s.now())
		if sending {
			s.flush()
			continue
		}
		if s.over && s.hosts() == 0 {
			return
		}
		wake = min(wake, s.nextExpiry()) - s.now()
		if s.alarm.Wait(wake) || wake <= 0 || r.readable() {
			s.drain()
			r.drained()
		}
	}
	s.abandon()
}

// now is the time since the start of the run on the monotonic clock.
func (s *Sweep) now() time.Duration { return time.Since(s.start) }

// hosts is how many have been taken from the Source and have no outcome.
func (s *Sweep) hosts() int64 { return s.counters.inFlight.Load() }

// drain takes in all that has arrived. What the kernel had to drop for want of
// buffer means that we are too fast for ourselves.
func (s *Sweep) drain() {
	s.undrained = 0
	for _, p := range s.ports {
		if err := p.Drain(p.visit); err != nil && !errors.Is(err, net.ErrClosed) && s.broken == nil {
			s.broken = err
		}
	}
	if n := s.drops(); n > s.dropped {
		s.dropped = n
		s.cfg.Pace.Choke(s.now())
	}
}

// nextExpiry returns when the next probe runs out of time; Never if none is out.
func (s *Sweep) nextExpiry() time.Duration {
	next := probe.Never
	for _, l := range s.lanes {
		if l == nil {
			continue
		}
		for try := 1; try < len(s.waits); try++ {
			if a := l.firstWaiting(try); a != nil {
				next = min(next, a.sent+s.waits[try])
			}
		}
		if s.cfg.Late > 0 {
			if a := l.firstOverdue(len(s.waits) - 1); a != nil {
				next = min(next, a.sent+s.waits[a.try]+s.cfg.Late)
			}
		}
	}
	return next
}

// expire moves every host on whose probe ran out of time by now.
func (s *Sweep) expire(now time.Duration) {
	for _, l := range s.lanes {
		if l == nil {
			continue
		}
		for try := 1; try < len(s.waits); try++ {
			for a := l.firstWaiting(try); a != nil && a.sent+s.waits[try] <= now; a = l.firstWaiting(try) {
				s.overdue(l, a)
			}
		}
		for s.cfg.Late > 0 {
			a := l.firstOverdue(len(s.waits) - 1)
			if a == nil || a.sent+s.waits[a.try]+s.cfg.Late > now {
				break
			}
			s.lose(l, a)
		}
	}
}

// overdue decides what follows from the silence after a probe: an answer that
// was held counts now, else the host is asked again or given up.
func (s *Sweep) overdue(l *sweepLane, a *ask) {
	if a.held {
		h := l.held[a.n]
		if r := h.responder; r != nil {
			r.Detail = &h.responders
			s.settle(l, a, *r)
			return
		}
		if h.err != nil {
			s.settle(l, a, *h.err)
			return
		}
	}
	switch {
	case l.home.lost(a.addr, s.now()):
		s.settle(l, a, l.home.failure())
	case int(a.try) < len(s.waits)-1:
		a.state = askSilent
		l.again = append(l.again, a.n)
	case s.cfg.Late > 0:
		a.state = askOverdue
	default:
		s.lose(l, a)
	}
}

// lose decides that nobody answered for the host of a, or not as it should.
func (s *Sweep) lose(l *sweepLane, a *ask) {
	if a.held {
		if bad := l.held[a.n].bad; bad != nil {
			s.settle(l, a, *bad)
			return
		}
	}
	s.settle(l, a, probe.Result{Status: probe.Lost, Reason: probe.NoResponse})
}

// settle gives the host of a its one outcome.
func (s *Sweep) settle(l *sweepLane, a *ask, r probe.Result) {
	a.state = askDecided
	if r.Status == probe.Reply || r.Status == probe.Late {
		a.state = askAnswered
	}
	l.release(a)
	s.counters.inFlight.Add(-1)
	s.tell(l, a, r)
}

// tell emits r about the host of a.
func (s *Sweep) tell(l *sweepLane, a *ask, r probe.Result) {
	who := probe.Candidate{Index: a.index, Addr: a.addr, Name: l.nameOf(a)}
	r.Seq = uint64(a.try)
	if r.Sent.IsZero() && r.Status != probe.Failed {
		r.Sent = s.at(a.sent)
	}
	s.say(who, r)
}

// say emits r about who.
func (s *Sweep) say(who probe.Candidate, r probe.Result) {
	s.target = probe.Target{ID: int(who.Index), Name: who.Name, Addr: netip.AddrPortFrom(who.Addr, 0)}
	r.Target = &s.target
	if r.Size == 0 {
		r.Size = rawsock.EchoHeaderLen + s.cfg.Size
	}
	s.emit(r)
}

// at is a time since the start of the run as the wall clock has it now.
func (s *Sweep) at(d time.Duration) time.Time { return s.seen.Add(d - s.seen.Sub(s.start)) }

// abandon ends every host without an outcome: Lost if it ran out of time, else
// Pending, as nobody knows.
func (s *Sweep) abandon() {
	s.drain()
	pending := probe.Result{Status: probe.Pending, Reason: probe.Canceled}
	for _, l := range s.lanes {
		if l == nil {
			continue
		}
		for i := range l.table {
			a := &l.table[i]
			switch {
			case !a.undecided():
			case a.state == askOverdue:
				s.lose(l, a)
			default:
				s.settle(l, a, pending)
			}
		}
	}
	for _, t := range s.waiting {
		if t.prev == 0 {
			s.counters.inFlight.Add(-1)
			pending.Seq = uint64(t.try - 1)
			s.say(t.who, pending)
		}
	}
}

// readers wait for sockets that the alarm cannot watch: on other systems than
// Linux.
type readers struct {
	wg      sync.WaitGroup
	came    atomic.Bool
	drains  []chan struct{}
	stopped chan struct{}
}

// add starts a goroutine that calls wake when c can be read, and then waits for
// that to be done.
func (r *readers) add(c conn, wake func()) {
	if r.stopped == nil {
		r.stopped = make(chan struct{})
	}
	done := make(chan struct{}, 1)
	r.drains = append(r.drains, done)
	r.wg.Go(func() {
		for !errors.Is(c.Wait(), net.ErrClosed) {
			r.came.Store(true)
			wake()
			select {
			case <-done:
			case <-r.stopped:
				return
			}
		}
	})
}

// readable reports whether something may have come since the last time.
func (r *readers) readable() bool { return r.came.Swap(false) }

// drained lets the readers wait again.
func (r *readers) drained() {
	for _, d := range r.drains {
		select {
		case d <- struct{}{}:
		default:
		}
	}
}

// end waits for the readers, whose sockets are shut down.
func (r *readers) end() {
	if r.stopped != nil {
		close(r.stopped)
	}
	r.wg.Wait()
}
