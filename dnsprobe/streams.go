package dnsprobe

import (
	"context"
	"sync"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// streams are the calls of a run: each has a goroutine while it is under way.
type streams struct {
	ctx   context.Context
	limit int       // calls at a time
	queue []*errand // that wait for their turn
	open  int

	wg   sync.WaitGroup
	mu   sync.Mutex
	done []*errand
}

// An errand is a query by a connection.
type errand struct {
	f    *flight
	call call
}

// maxStreams is how many connections there are at a time, if descriptors allow it.
const maxStreams = 128

func (s *streams) begin(ctx context.Context, _ *run) {
	s.ctx, s.limit = ctx, maxStreams
	if n := rawsock.Descriptors(); n > 0 {
		s.limit = max(1, min(s.limit, (n-min(64, n/2))/rawsock.DialCost))
	}
}

// start makes a call for f, soon.
func (s *streams) start(e *run, f *flight, how Transport) {
	r := &e.rows[f.server]
	s.queue = append(s.queue, &errand{f: f, call: call{
		server: r.server, addr: r.target.Addr, form: e.form(f), cookie: r.cookie, how: how,
		tls: &e.cfg.TLS, socket: e.cfg.Socket, timeout: e.cfg.Timeout,
	}})
	s.next(e)
}

// next begins the calls there is room for.
func (s *streams) next(e *run) {
	for s.open < s.limit && len(s.queue) > 0 && s.ctx.Err() == nil {
		x := s.queue[0]
		s.queue = s.queue[1:]
		s.open++
		e.counters.Streams++
		e.counters.Sent++
		s.wg.Go(func() {
			x.call.run(s.ctx)
			s.mu.Lock()
			s.done = append(s.done, x)
			s.mu.Unlock()
			e.wake()
		})
	}
}

// collect takes in the calls that have ended.
func (s *streams) collect(e *run) {
	s.mu.Lock()
	done := s.done
	s.done = nil
	s.mu.Unlock()
	for _, x := range done {
		s.open--
		e.called(x)
	}
	s.next(e)
}

// end waits for all calls, which the end of the run's context has cut short.
func (s *streams) end(e *run) {
	s.wg.Wait()
	s.collect(e)
	for _, x := range s.queue {
		e.tell(x.f, probe.Result{Status: probe.Pending, Reason: probe.Canceled, Sent: x.f.first})
	}
	s.queue = nil
}

// called takes in what came of a call.
func (e *run) called(x *errand) {
	f, c := x.f, &x.call
	f.told = append(f.told, c.attempt)
	for _, s := range c.strays {
		f.stray(s)
		e.counters.Strays++
	}
	res := c.result.Result
	res.Sent, res.Size = c.attempt.Sent, len(c.msg)
	if c.msg == nil {
		if res.Status == probe.Lost && f.strayN > 0 && res.Reason == probe.NoResponse {
			res.Reason = probe.BadReply
		}
		e.tell(f, res)
		return
	}
	res.RTT = c.attempt.RTT
	if !f.first.IsZero() { // the truncated answer by UDP is part of the wait
		res.Sent = f.first
		res.RTT += f.answeredIn()
	}
	e.conclude(f, res, c.msg, &c.reply, c.cookie)
}

// answeredIn is how long the answer by UDP took that was truncated.
func (f *flight) answeredIn() time.Duration {
	for _, t := range f.told {
		if t.Truncated && t.HasRTT {
			return t.RTT
		}
	}
	return 0
}
