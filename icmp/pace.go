package icmp

import (
	"time"

	"netprobe/probe"
)

// floodWait is how long a flood waits for an answer before it sends anyway.
const floodWait = 10 * time.Millisecond

// catchUp is how far behind a row may fall and still send all it missed, so that
// `-i 0.01 -c 1000` takes 10 s on a busy machine too. Beyond that (the process
// was stopped, the machine slept) the missed rounds are left out.
const catchUp = time.Second

// catchUpRate is how many packets per second leave at most while rounds missed
// are sent after all: a burst would overflow somebody's queue, and the target
// would be blamed for it. The schedule itself never needs so many.
func (e *Engine) catchUpRate() float64 {
	if e.cfg.Pace != Fixed {
		return 0
	}
	return max(1000, 4*float64(len(e.cfg.Targets))/e.cfg.Interval.Seconds())
}

// advance sets when row i is due again after a probe left at now.
func (e *Engine) advance(i int, now time.Duration) {
	r := &e.rows[i]
	if e.cfg.Count > 0 && r.seq >= uint64(e.cfg.Count) {
		r.done = true
		e.sched.Set(i, probe.Never)
		return
	}
	switch e.cfg.Pace {
	case Adaptive:
		e.sched.Set(i, now+e.cfg.Interval)
	case Flood:
		e.sched.Set(i, now+floodWait)
	case Lockstep:
		e.sched.Set(i, probe.Never)
	default:
		due := e.sched.Due(i) + e.cfg.Interval
		if behind := now - due; behind > max(catchUp, e.cfg.Interval) {
			due += behind / e.cfg.Interval * e.cfg.Interval
		}
		e.sched.Set(i, due)
	}
}

// hurry lets a row go on whose probe seq was decided, where the pace depends on
// that. A failed send hurries nobody, or a broken link would make us spin;
// Lockstep alone has nothing else to wait for.
func (e *Engine) hurry(r *probe.Result, now time.Duration) {
	row := &e.rows[r.Target.ID]
	switch e.cfg.Pace {
	case Adaptive:
		if r.Status == probe.Failed || r.Seq != row.seq {
			return
		}
	case Flood:
		if r.Status == probe.Failed {
			return
		}
	case Lockstep:
		if row.open > 0 {
			return
		}
	default:
		return
	}
	if !row.done {
		e.sched.Set(r.Target.ID, max(now, row.last+e.cfg.MinGap))
		e.wake()
	}
}
