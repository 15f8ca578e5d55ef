package icmp

import (
	"context"
	"errors"
	"iter"
	"net"
	"runtime"
	"sync"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// Probe implements probe.Prober. It may be called once, closes the sockets, and
// returns an error only if a socket failed for good. If ctx ends first, a
// probe without an outcome is Lost if its timeout has passed, else Pending.
func (e *Engine) Probe(ctx context.Context, emit func(probe.Result)) error {
	time.Sleep(warmUp - time.Since(e.opened))
	e.begin(emit)
	var readers sync.WaitGroup
	for p := range e.ports() {
		if p.watched = e.alarm.Watch(p.conn); !p.watched {
			readers.Go(func() { e.read(p) })
		}
	}
	e.send(ctx)
	for p := range e.ports() {
		p.Shutdown()
	}
	readers.Wait()
	return errors.Join(e.broken, e.Close())
}

// ports returns the sockets of all families.
func (e *Engine) ports() iter.Seq[*port] {
	return func(yield func(*port) bool) {
		for _, l := range e.lanes {
			for _, p := range l.ports {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// read waits for what comes in through p until Shutdown.
func (e *Engine) read(p *port) {
	for {
		err := p.Wait()
		p.sending.Lock()
		p.sending.Unlock() //lint:ignore SA2001 waits for the batch to leave
		if err == nil {
			e.drain(p)
		} else {
			e.breakDown(err)
		}
		if errors.Is(err, net.ErrClosed) || e.down() != nil {
			return
		}
	}
}

// drain takes in all that has arrived at p.
func (e *Engine) drain(p *port) {
	p.drain.Lock()
	defer p.drain.Unlock()
	if err := p.Drain(p.visit); err != nil {
		e.breakDown(err)
	}
}

// breakDown ends the run for an error that nothing can mend.
func (e *Engine) breakDown(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken == nil {
		e.broken = err
		e.wake()
	}
}

// down returns why the run cannot go on; nil if it can.
func (e *Engine) down() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.broken
}

func (e *Engine) begin(emit func(probe.Result)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.emit = emit
	e.start = time.Now()
	e.wall.Observe(e.start, e.start)
	e.pacer = probe.NewPacer(e.cfg.Rate)
	if e.cfg.Pace == Fixed {
		e.spread = probe.NewPacer(probe.CatchUpRate(len(e.cfg.Targets), e.cfg.Interval))
	}
	e.sched = probe.NewSchedule(len(e.cfg.Targets))
	e.rows = make([]row, len(e.cfg.Targets))
	for i, t := range e.cfg.Targets {
		e.rows[i].t = t
		if t.Err == nil {
			e.sched.Set(i, probe.Phase(i, len(e.rows), e.cfg.Interval, rowGap))
		}
	}
}

// rowGap is how far apart the first probes of few targets are.
const rowGap = 10 * time.Millisecond

// send is the one goroutine that sends, judges and, where it can, receives:
// what is due leaves, what has run out of time is decided, then it sleeps until
// either is due again or something arrives. It holds on to its thread: to be
// moved to another just after waking up would cost time when it counts.
func (e *Engine) send(ctx context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer context.AfterFunc(ctx, e.wake)()
	for ctx.Err() == nil && e.down() == nil {
		wake, sending := e.turn()
		if sending {
			e.flush(ctx)
			continue
		}
		if wake == probe.Never && !e.awaiting() {
			return
		}
		if e.alarm.Wait(wake - e.now()) {
			e.drainAll()
		}
	}
	e.abandon()
}

// awaiting reports whether Retarget may still bring the run work. What Expect
// announced is waited for; with Await and a count, a run that has probed all it
// could does not wait for the rest.
func (e *Engine) awaiting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.expected || !e.cfg.Await {
		return e.expected
	}
	missing, done := 0, 0
	for i := range e.rows {
		if e.rows[i].done {
			done++
		} else {
			missing++
		}
	}
	return missing > 0 && (e.cfg.Count == 0 || done == 0)
}

// turn decides what has run out of time and registers what is due. It returns
// when it wants to be called next, Never if the run is over, and whether
// packets wait to be flushed.
func (e *Engine) turn() (wake time.Duration, sending bool) {
	e.mu.Lock()
	expiry := e.nextExpiry()
	late := expiry <= e.now()
	e.mu.Unlock()
	if late {
		// What has arrived by now is not lost, however late we come to look.
		asked := e.now()
		e.drainAll()
		e.mu.Lock()
		e.expire(asked)
		e.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	wake, sending = e.collect()
	return min(wake, e.nextExpiry()), sending
}

func (e *Engine) drainAll() {
	for p := range e.ports() {
		e.drain(p)
	}
}

// abandon ends every probe without an outcome: past its timeout it is lost,
// before that it is Pending, as nobody knows.
func (e *Engine) abandon() {
	e.drainAll()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lanes {
		for n := l.gone + 1; n <= l.n; n++ {
			f := l.at(n)
			switch {
			case f == nil || !f.open():
			case f.state == overdue:
				e.lose(l, f)
			default:
				e.settle(l, f, probe.Result{Status: probe.Pending, Reason: probe.Canceled})
			}
		}
	}
}

// batch is what leaves in one system call.
type batch struct {
	pkts    []rawsock.Packet
	flights []uint64 // their numbers
	bufs    [][]byte
}

// batchBytes bounds the packets of one batch, batchLen their number.
const (
	batchBytes = 256 << 10
	batchLen   = 64
)

// collect registers the probes that are due and puts them into the batches of
// their ports. It returns when the next one is due.
func (e *Engine) collect() (wake time.Duration, sending bool) {
	t := time.Now()
	e.wall.Observe(t, e.start)
	now := t.Sub(e.start)
	for budget := batchBytes; budget > 0; {
		i, due := e.sched.Next()
		if due == probe.Never {
			return probe.Never, sending
		}
		due = max(due, e.pacer.Next())
		if next := max(due, e.spread.Next()); next > now {
			return next, sending
		}
		n, full := e.launch(i, due, now)
		if full {
			// Only a decision makes room: settle wakes us.
			e.full = true
			return e.nextExpiry(), sending
		}
		if n > 0 {
			sending = true
			budget -= max(n, batchBytes/batchLen)
		}
	}
	return now, sending
}

// launch makes the next packet of row i, due at due, and returns its size; 0 if
// the row sends none now. Full says that no more can be in flight.
func (e *Engine) launch(i int, due, now time.Duration) (n int, full bool) {
	r := &e.rows[i]
	size, ok := e.nextSize(r)
	if !ok {
		// A row that lost its address may get another one.
		r.done = r.t.Err == nil
		e.sched.Set(i, probe.Never)
		return 0, false
	}
	l := e.lanes[rawsock.FamilyOf(r.t.Addr.Addr())]
	if err := e.unable(l, r.t); err != nil {
		r.seq++
		e.advance(i, now)
		e.failUnsent(r, err)
		return 0, false
	}
	f := l.add()
	if f == nil {
		return 0, true
	}
	r.seq++
	r.open++
	r.last = now
	e.open++
	f.t, f.seq, f.sent, f.size = r.t, r.seq, now, uint16(size)
	f.lag = uint32(min((now - due).Microseconds(), 1<<32-1))
	e.pacer.Take(now)
	e.spread.Take(now)
	e.advance(i, now)
	l.enqueue(e, f)
	return rawsock.EchoHeaderLen + size, false
}

func (e *Engine) nextSize(r *row) (int, bool) {
	if r.t.Err != nil || e.cfg.Count > 0 && r.seq >= uint64(e.cfg.Count) {
		return 0, false
	}
	if e.cfg.Sizer != nil {
		return e.cfg.Sizer.Size(r.t, r.seq+1)
	}
	return e.cfg.Size, true
}

// enqueue builds the packet of f in the batch of its port.
func (l *lane) enqueue(e *Engine, f *flight) {
	key, index, seq := l.wire(f.n)
	p := l.portOf(index)
	b := &p.batch
	k := len(b.pkts)
	if k == len(b.bufs) {
		b.bufs = append(b.bufs, nil)
	}
	size := rawsock.EchoHeaderLen + int(f.size)
	if cap(b.bufs[k]) < size {
		b.bufs[k] = make([]byte, size)
	}
	msg := b.bufs[k][:size]
	payload := msg[rawsock.EchoHeaderLen:]
	copy(payload, e.payload.template(int(f.size)))
	copy(payload, e.cookies.of(f.n, f.t))
	rawsock.PutEcho(l.family, msg, l.ids[index], seq)
	b.pkts = append(b.pkts, rawsock.Packet{To: f.t.Addr.Addr(), Msg: msg, Key: key})
	b.flights = append(b.flights, f.n)
}

// portOf returns the port that has the index'th identifier.
func (l *lane) portOf(index int) *port {
	if len(l.ports) == 1 {
		return l.ports[0]
	}
	return l.ports[index]
}
