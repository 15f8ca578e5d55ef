package probe

import "time"

const (
	// grace is added to the round-trip time until an epoch is judged: the
	// process that reads answers does not wake at once.
	grace = 5 * time.Millisecond
	// secondLook is how much later bad news is looked at again. It is longer
	// than a busy machine usually keeps a process waiting.
	secondLook = 20 * time.Millisecond
	// used is the part of its allowance that a sender must use for the rate to
	// be what limits it.
	used = 3. / 4
)

// A watch looks at one sign, epoch by epoch.
type watch struct {
	sign
	next  uint64        // the first epoch that was not judged yet
	from  uint64        // the first one that counts
	due   time.Duration // when to look next
	trial trial
}

// A trial is a cut of which it is to be seen whether it helps.
type trial struct {
	rate    float64 // before the cut, packets per second; 0 if there is no trial
	share   float64 // the sign's at that rate
	ceiling float64 // of before
}

// epochLength returns how long an epoch is. It is longer than a round trip, so
// that few epochs are open to doubt at once, and long enough for those of two
// timeouts to be kept.
func (g *Governor) epochLength() time.Duration {
	return max(epochMin, g.rtt.median*3/2, g.timeout*2/epochCount)
}

// judge looks at both signs as far as their time has come.
func (g *Governor) judge(now time.Duration) {
	if now >= g.share.due && !g.ordered {
		g.look(&g.share, 0, now)
	}
	if now >= g.clean.due {
		g.look(&g.clean, g.timeout, now)
	}
}

// look judges the epochs of w that ended long enough ago: lag longer than it
// takes for answers to come.
func (g *Governor) look(w *watch, lag, now time.Duration) {
	if !g.rtt.known() {
		w.due = now + time.Millisecond
		return
	}
	lag += g.rtt.late + g.rtt.late/4 + grace
	for w.next = max(w.next, g.epochs.oldest()); ; w.next++ {
		if w.next >= g.epochs.open {
			w.due = now + time.Millisecond
			return
		}
		e := g.epochs.at(w.next)
		if w.due = e.end + lag; now < w.due {
			return
		}
		if w.next < w.from {
			continue
		}
		s := w.sign
		g.count(w, &s, e)
		v := s.judge()
		if w.due += secondLook; v > same && now < w.due {
			return
		}
		w.sign = s
		g.weigh(w, v, e, now)
	}
}

// count adds what epoch e says about w's sign to s.
func (g *Governor) count(w *watch, s *sign, e *epoch) {
	if w == &g.share {
		s.add(float64(e.first), float64(e.prompt))
	} else {
		s.add(float64(e.prompt+e.again), float64(e.prompt))
	}
}

// weigh draws the consequence of verdict v about epoch e.
func (g *Governor) weigh(w *watch, v verdict, e *epoch, now time.Duration) {
	leads := w == &g.share || g.ordered // the sign that lets the rate grow
	switch {
	case v == same, v == less && !leads:
		w.trial = trial{}
		w.accept()
		if leads && e.pace() >= used*e.rate {
			g.grow(g.climb.up(e), now)
		}
	case v != unsure:
		if w.trial.rate > 0 && !w.helped(e) {
			g.endure(w)
		} else {
			g.cut(w, v, e, now)
		}
		w.drop()
	}
}

// cut slows down from the rate of epoch e.
func (g *Governor) cut(w *watch, v verdict, e *epoch, now time.Duration) {
	rate := min(e.rate, e.pace())
	w.trial = trial{rate: rate, share: w.share(), ceiling: g.climb.ceiling}
	through := rate * w.share() / w.reference()
	g.climb.fell(through)
	to := rate / 2
	if v == less {
		to = through * headroom
	}
	g.slow(to, now)
}

// helped tells whether the sign is better at the rate of epoch e than it was
// before the cut: more than half as much better as it would be if a fixed number
// of packets came through.
func (w *watch) helped(e *epoch) bool {
	t := w.trial
	fixed := min(w.reference(), t.share*t.rate/min(e.rate, e.pace()))
	return w.sign.share() > (t.share+fixed)/2
}

// endure takes what w sees for normal, since a lower rate did not mend it. That
// nobody answers any more is not normal: the rate stays where it is until
// somebody does.
func (g *Governor) endure(w *watch) {
	if w.k == 0 {
		return
	}
	w.replace()
	g.climb.ceiling = w.trial.ceiling
	w.trial = trial{}
}

// grow raises the rate; it does nothing if to is not more.
func (g *Governor) grow(to float64, now time.Duration) {
	if to > g.rate {
		g.setRate(min(to, g.most), now)
	}
}

// slow lowers the rate. What is in flight left at another rate: it counts for
// neither sign.
func (g *Governor) slow(to float64, now time.Duration) {
	g.setRate(min(g.rate, max(to, g.floor)), now)
	g.clean.from = g.epochs.open + 1
	g.clean.drop()
	g.pacer.next = max(g.pacer.next, float64(now)) // what was not caught up with is let go
}

// setRate changes the rate. Epochs of before do not speak about the new one; a
// sign that is known only later may speak about all since the last cut.
func (g *Governor) setRate(rate float64, now time.Duration) {
	if rate == g.rate {
		return
	}
	g.rate, g.pacer.gap = rate, 1e9/rate
	g.climb.changed = now
	g.epochs.over = true
	g.share.from = g.epochs.open + 1
	g.share.drop()
	if g.ordered {
		g.clean.from = g.share.from
		g.clean.drop()
	}
}
