package trace

import (
	"container/heap"
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// activeLimit is how many targets are traced at once: 65,534 numbers must do
// for what is in flight.
const activeLimit = 600

// batchLen is how many probes leave in one system call.
const batchLen = 64

// breath is the shortest pause when there is nothing to do.
const breath = 100 * time.Microsecond

// Probe implements probe.Prober. It may be called once, closes the sockets, and
// returns an error only if a socket failed for good.
func (e *Engine) Probe(ctx context.Context, emit func(probe.Result)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer context.AfterFunc(ctx, e.alarm.Wake)()
	time.Sleep(warmUp - time.Since(e.opened))
	e.emit = emit
	e.start = time.Now()
	e.wall.Observe(e.start, e.start)
	e.pacer = probe.NewPacer(e.cfg.Rate)
	e.sched = probe.NewSchedule(len(e.cfg.Targets))
	e.tracks = make([]*track, len(e.cfg.Targets))
	for i, t := range e.cfg.Targets {
		e.adopt(i, t)
	}
	err := e.run(ctx)
	return errors.Join(err, e.Close())
}

// run goes on until all targets are traced or ctx ends.
func (e *Engine) run(ctx context.Context) error {
	for ctx.Err() == nil {
		e.takeInbox()
		e.expire()
		e.release()
		e.admit()
		wake := min(e.collect(), e.timers.next(), e.heldUntil())
		if e.flush(ctx) {
			wake = 0 // those that were told may want to send more
		}
		if len(e.ready) == 0 && e.active == 0 && !e.awaiting() {
			return nil
		}
		if e.alarm.Wait(max(wake-e.now(), breath)) {
			if err := e.drain(); err != nil {
				return err
			}
		}
	}
	err := e.drain()
	for _, tr := range e.tracks {
		if tr != nil && !tr.over {
			e.conclude(tr, stopFor(ctx))
		}
	}
	return err
}

// awaiting reports whether Retarget may still bring work.
func (e *Engine) awaiting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.expected || len(e.inbox) > 0
}

func (e *Engine) takeInbox() {
	e.mu.Lock()
	inbox := e.inbox
	e.inbox = nil
	e.mu.Unlock()
	for _, t := range inbox {
		if t.ID < len(e.tracks) && e.tracks[t.ID] == nil {
			e.adopt(t.ID, t)
			e.begun = min(e.begun, t.ID)
		}
	}
}

// adopt makes the track of a target that has an address.
func (e *Engine) adopt(i int, t *probe.Target) {
	if t.Err == nil {
		e.tracks[i] = newTrack(t, e.lanes[rawsock.FamilyOf(t.Addr.Addr())])
	}
}

// admit starts tracks as long as there is room for them.
func (e *Engine) admit() {
	for ; e.begun < len(e.tracks) && e.active < activeLimit; e.begun++ {
		tr := e.tracks[e.begun]
		if tr == nil || tr.begun || tr.over {
			continue
		}
		e.begin(tr)
	}
}

func (e *Engine) begin(tr *track) {
	tr.begun = true
	tr.started = e.now()
	tr.look = newLook(&e.cfg)
	tr.phase = tr.look
	e.active++
	var err error
	switch {
	case tr.lane == nil:
		err = errors.New("no socket of this address family")
	case tr.lane.conn == nil:
		err = tr.lane.err
	default:
		tr.look.flows = tr.lane.flowLimit()
		tr.src, err = e.route(tr.addr())
	}
	if err != nil {
		e.refuse(tr, err)
		return
	}
	e.makeReady(tr)
}

// refuse ends a track that this host has no way to.
func (e *Engine) refuse(tr *track, err error) {
	via := engine.Via{Target: tr.addr(), Socket: e.via()}
	reason, _, why := via.Explain(err, e.size(tr))
	if reason == probe.ReasonOther && tr.lane != nil && tr.lane.conn == nil {
		reason = probe.NoRoute
	}
	tr.failure = probe.Result{Status: probe.Failed, Reason: reason, Err: why}
	e.conclude(tr, probe.StopFailed)
}

// size is the usual size of a probe, bytes.
func (e *Engine) size(tr *track) int {
	switch {
	case e.cfg.Size > 0:
		return e.cfg.Size
	case tr.addr().Is4():
		return 60
	}
	return 80
}

// expire tells phases of what has run out of time.
func (e *Engine) expire() {
	asked := e.now()
	if e.timers.next() > asked {
		return
	}
	// What has arrived by now is not lost, however late we come to look.
	_ = e.drain() // the next one meets the same error
	for e.timers.next() <= asked {
		f := heap.Pop(&e.timers).(*flight)
		f.state = overdue
		if e.cfg.Monitor {
			f.res = probe.Result{Status: probe.Lost, Reason: probe.NoResponse}
			e.finish(f)
		}
		e.tell(f)
	}
}

// drain takes in all that has arrived.
func (e *Engine) drain() error {
	for _, l := range e.lanes {
		if l.conn == nil {
			continue
		}
		if err := l.conn.Drain(l.visit); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// spell is how long the cap on the rate lets probes gather, so that a few leave
// in one system call.
const spell = time.Millisecond

// collect lets the tracks that are ready send, each one probe in turn, and
// returns when the next one may be.
func (e *Engine) collect() (wake time.Duration) {
	now := e.now()
	for i, due := e.sched.Next(); due <= now; i, due = e.sched.Next() {
		e.sched.Set(i, probe.Never)
		e.makeReady(e.tracks[i])
	}
	if now < e.gate && len(e.ready) > 0 {
		return e.gate
	}
	for range batchLen {
		if len(e.ready) == 0 {
			_, due := e.sched.Next()
			return due
		}
		if due := e.pacer.Next(); due > now {
			e.gate = max(due, now+spell)
			return e.gate
		}
		tr := e.ready[0]
		if _, ok := tr.lane.number(now); !ok {
			return now + 10*time.Millisecond
		}
		e.ready = e.ready[1:]
		tr.ready = false
		if !tr.over && e.serve(tr, now) {
			e.makeReady(tr)
		}
	}
	return now
}

// makeReady puts tr at the end of those that may have something to send.
func (e *Engine) makeReady(tr *track) {
	if !tr.ready && !tr.over {
		tr.ready = true
		e.ready = append(e.ready, tr)
	}
}

// serve lets tr send one probe, if it wants to; else it sets when it is to be
// asked again.
func (e *Engine) serve(tr *track, now time.Duration) (sent bool) {
	for {
		o, wake, ok := tr.phase.next(now)
		if ok {
			e.launch(tr, o, now)
			return true
		}
		if tr.leaving > 0 || tr.held > 0 {
			return false // it will be told when they have left, or are matched
		}
		if !tr.phase.done(now) {
			if wake != probe.Never {
				wake = max(wake, now+breath)
			}
			e.sched.Set(tr.t.ID, wake)
			return false
		}
		if !e.nextPhase(tr, now) {
			return false
		}
	}
}

// launch makes the packet of an order.
func (e *Engine) launch(tr *track, o order, now time.Duration) {
	l := tr.lane
	n, _ := l.number(now)
	l.n = n
	tr.seq++
	a := &attempt{order: o, seq: tr.seq, sent: now}
	size := orDefault(o.size, e.size(tr))
	a.hop = probe.Hop{TTL: o.ttl, Flow: l.flow + o.flow, Size: size}
	f := &flight{attempt: a, track: tr, n: n, flow: a.hop.Flow, cookie: uint64(n)<<48 | e.chance.Uint64()>>16}
	l.flights[n] = f
	if data := l.dataOf(f); data > 0 && e.cfg.Proto == rawsock.TCP && !slices.Contains(l.data, data) {
		l.data = append(l.data, data)
	}
	tr.add(f)
	tr.leaving++
	e.pacer.Take(now)
	l.leaving = append(l.leaving, f)
	l.batch = append(l.batch, rawsock.Probe{
		From: tr.src, To: tr.addr(), Port: e.cfg.Port, TTL: o.ttl, TOS: e.cfg.TOS,
		Flow: f.flow, N: n, Cookie: f.cookie, Size: size, Key: uint32(n),
	})
}

// A full queue is tried again after fullWait, then twice that and so on, for
// fullLimit at most: after that the probe was not sent, and we say so.
const (
	fullWait  = time.Millisecond
	fullLimit = 200 * time.Millisecond
)

// flush hands what collect made to the kernel, and reports whether that was
// anything: then phases have been told what became of it.
func (e *Engine) flush(ctx context.Context) (told bool) {
	for _, l := range e.lanes {
		told = told || len(l.batch) > 0
		wait := fullWait
		for i := 0; i < len(l.batch); {
			n, err := l.conn.Send(l.batch[i:])
			e.left(l.leaving[i : i+n])
			i += n
			if err == nil {
				continue
			}
			if rawsock.CauseOf(err) == rawsock.Full && wait < fullLimit && ctx.Err() == nil {
				time.Sleep(wait)
				wait *= 2
				e.postpone(l.leaving[i:])
				continue
			}
			e.fail(l.leaving[i], err)
			i++
		}
		l.batch, l.leaving = l.batch[:0], l.leaving[:0]
	}
	return told
}

// left tells phases what has left.
func (e *Engine) left(flights []*flight) {
	e.count(func(c *Counters) { c.Sent += uint64(len(flights)) })
	for _, f := range flights {
		if f.wait > 0 {
			heap.Push(&e.timers, f)
		}
		f.track.leaving--
		e.tell(f)
	}
}

// postpone moves the departure of probes that had to wait.
func (e *Engine) postpone(flights []*flight) {
	e.count(func(c *Counters) { c.Retried++ })
	now := e.now()
	for _, f := range flights {
		f.lag += now - f.sent
		f.sent = now
	}
}

// fail decides a probe that could not leave: our failure, nobody else's.
func (e *Engine) fail(f *flight, err error) {
	via := engine.Via{Target: f.track.addr(), Socket: e.via()}
	f.state = failed
	f.track.leaving--
	f.res = probe.Result{Status: probe.Failed}
	f.res.Reason, f.res.MTU, f.res.Err = via.Explain(err, f.hop.Size)
	f.track.failure = f.res
	e.finish(f)
	e.tell(f)
}

// tell lets the phase know of f, and the track's turn come.
func (e *Engine) tell(f *flight) {
	tr := f.track
	f.phase.tell(e.now(), f.attempt)
	e.makeReady(tr)
}

// finish completes the Result of f, which is decided, and emits it.
func (e *Engine) finish(f *flight) {
	r := &f.res
	r.Target, r.Seq, r.Lag, r.Detail = f.track.t, f.seq, f.lag, &f.hop
	if f.state != failed {
		r.Sent = e.start.Add(f.sent)
	}
	if r.Size == 0 {
		r.Size = f.hop.Size
	}
	f.told = true
	e.emit(*r)
}

// answer takes in the answer res to f: its first one, or one more.
func (e *Engine) answer(f *flight, res probe.Result, detail func()) {
	if f.state == answered {
		res.Flags |= probe.Dup
		res.Target, res.Seq, res.Detail, res.Sent = f.track.t, f.seq, &f.hop, e.start.Add(f.sent)
		e.emit(res)
		return
	}
	if f.told || f.state == failed {
		e.count(func(c *Counters) { c.Strays++ })
		return
	}
	detail()
	f.res, f.state = res, answered
	if f.fromTarget() && !f.track.reply.From.IsValid() {
		f.track.reply = res
		f.track.reply.Sent = e.start.Add(f.sent)
	}
	e.finish(f)
	e.tell(f)
}
