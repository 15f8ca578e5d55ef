package scan

import (
	"container/heap"
	"time"
)

// stage says what a timer is for.
type stage uint8

const (
	slotOver stage = iota // the try is no longer on its way, as far as windows go
	askLater              // by now the answer would be here: the port may be asked again
	settled               // the last try had its time
	lastCall              // so it had, and what came while this process slept has been read
	retake                // a try for which this host lacked something is made again
	rested                // the host's limit lets another try leave
)

// timer is a moment at which something is due for try n of a port. It counts
// only if nothing came of that try before.
type timer struct {
	at    time.Duration
	h     *host
	p     uint16
	n     uint8
	stage stage
}

type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = timer{}
	*t = (*t)[:last]
	return x
}

// overslept is how late silence is noticed if this process was stopped, or had no
// turn: answers may be there that nobody has read yet.
const overslept = 100 * time.Millisecond

func (e *Engine) arm(t timer) { heap.Push(&e.timers, t) }

// expire does what is due at now.
func (e *Engine) expire(now time.Duration) {
	for len(e.timers) > 0 && e.timers[0].at <= now {
		t := heap.Pop(&e.timers).(timer)
		s := &t.h.ports[t.p]
		switch {
		case t.h.done:
		case t.stage == rested:
			t.h.rests = false
			e.ready(t.h)
		case s.decided:
		case t.stage == retake:
			if s.lacked { // else it was asked in the meantime
				t.h.askAgain(t.p)
				e.ready(t.h)
			}
		case s.tries == t.n && !s.waits:
			e.due(t, s, now)
		}
	}
}

// due moves a try one stage on.
func (e *Engine) due(t timer, s *port, now time.Duration) {
	h := t.h
	switch t.stage {
	case slotOver:
		e.freeSlot(h, s)
		h.window.silence(silentMost, now, h.rtt.slot())
		e.window.silence(silentMostAll, now, blindSlot)
		e.ready(h)
		t.at, t.stage = max(s.sent+h.rtt.again(t.n), now), askLater
		e.arm(t)
	case askLater:
		if !e.enough(h, t.p) {
			h.askAgain(t.p)
			e.ready(h)
			return
		}
		h.tail = append(h.tail, t.p)
		t.at, t.stage = max(s.sent+e.settle(h), now), settled
		e.arm(t)
	case settled, lastCall:
		switch {
		case !e.enough(h, t.p):
			h.askAgain(t.p)
			e.ready(h)
		case e.carrier.Timed(): // which looks for itself before it gives up
		case t.stage == settled && now-s.sent > e.settle(h)+overslept:
			t.at, t.stage = now+overslept, lastCall
			e.arm(t)
		default:
			e.silent(h, t.p)
		}
	}
}

// settle is how long the last try at a port of h is waited for.
func (e *Engine) settle(h *host) time.Duration {
	return max(e.cfg.Settle, h.rtt.timeout())
}
