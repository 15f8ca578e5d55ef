package icmp

import (
	"time"

	"netprobe/probe"
)

// floodWait is how long a flood waits for an answer before it sends anyway.
const floodWait = 10 * time.Millisecond

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
		e.sched.Follow(i, e.cfg.Interval, now)
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
