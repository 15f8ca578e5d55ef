package probe

import "time"

const (
	// grace is added to the round-trip time until an epoch is judged: sender and
	// reader do not wake at once.
	grace = 5 * time.Millisecond
	// stall is longer than a busy machine usually keeps a process waiting. Bad
	// news is looked at again after it, and an answer is late from it on.
	stall = 30 * time.Millisecond
	// used is the part of its allowance that a sender must use for the rate to
	// be what limits it.
	used = 3. / 4
)

// A watch looks at one sign, epoch by epoch.
type watch struct {
	sign
	next  uint64        // the first epoch that was not judged yet
	from  uint64        // the first one that counts, and
	after time.Duration // when it begins at the earliest
	due   time.Duration // when to look next
	doubt bool          // the next epoch looked bad when it was looked at first
	trial trial
}

// A trial is a cut of which it is to be seen whether it helps.
type trial struct {
	rate    float64 // before the cut, packets per second; 0 if there is no trial
	share   float64 // the sign's at that rate
	came    float64 // the same, with answers that came late
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
	if g.usual == 0 {
		g.refresh()
	}
	lag += g.usual + g.usual/4 + grace
	for w.next = max(w.next, g.epochs.oldest()); ; w.next++ {
		if w.next >= g.epochs.open {
			w.due = now + time.Millisecond
			return
		}
		e := g.epochs.at(w.next)
		if w.due = e.end + lag; now < w.due {
			return
		}
		if w.next < w.from || e.start < w.after {
			continue
		}
		s := w.sign
		g.count(w, &s, e)
		v := s.judge(g.climb.fine(e.rate))
		if w.due += stall; v > same && now < w.due {
			w.doubt = true
			return
		}
		w.sign = s
		g.weigh(w, v, e, now)
		w.doubt = false
	}
}

// refresh says anew how long answers take. It is done while all is well: when a
// queue grows, answers are late, which tells of it before it overflows.
func (g *Governor) refresh() { g.usual = g.rtt.late }

// isLate tells whether an answer that took d came much later than usual.
func (g *Governor) isLate(d time.Duration) bool {
	return g.usual > 0 && d > g.usual+g.usual/2+stall
}

// count adds what epoch e says about w's sign to s. A retry that had to wait for
// its turn is dated too late: an epoch has no more of them than it lacks answers.
func (g *Governor) count(w *watch, s *sign, e *epoch) {
	if w == &g.share {
		s.add(float64(e.first), float64(e.prompt-e.late), float64(e.late))
	} else {
		again := min(e.again, e.first-min(e.prompt, e.first))
		s.add(float64(e.prompt+again), float64(e.prompt), 0)
	}
}

// weigh draws the consequence of verdict v about epoch e.
func (g *Governor) weigh(w *watch, v verdict, e *epoch, now time.Duration) {
	leads := w == &g.share || g.ordered // the sign that lets the rate grow
	switch {
	case v == same, v == less && !leads:
		w.trial = trial{}
		w.accept()
		g.refresh()
		if leads && !w.doubt && e.pace() >= used*e.rate {
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

// cut slows down from the rate of epoch e: to half, or to a quarter if even less
// came through; if little was lost, to a little less than came through. What came
// late came through a queue, and counts half: some of it will be too much.
func (g *Governor) cut(w *watch, v verdict, e *epoch, now time.Duration) {
	rate := min(e.rate, e.pace())
	w.trial = trial{rate: rate, share: w.part(0), came: w.part(1), ceiling: g.climb.ceiling}
	g.mending = false
	through := max(rate*w.part(0.5)/w.reference(), rate/4)
	g.climb.fell(through)
	to := through * headroom
	if v == worse {
		to = min(to, rate/2)
	}
	g.slow(max(to, rate/4), now)
}

// helped tells whether the sign is better at the rate of epoch e than it was
// before the cut, with late answers or without: more than half as much better as
// it would be if a fixed number of packets came through.
func (w *watch) helped(e *epoch) bool {
	more := w.trial.rate / min(e.rate, e.pace())
	better := func(was, is float64) bool { return is > (was+min(w.reference(), was*more))/2 }
	return better(w.trial.share, w.part(0)) || better(w.trial.came, w.part(1))
}

// endure takes what w sees for normal, since a lower rate did not mend it. That
// nobody answers any more is not normal, unless the path has become longer: the
// rate stays where it is until somebody does.
func (g *Governor) endure(w *watch) {
	g.refresh()
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
// neither sign. Nor does what leaves while queues drain, nor, where retries tell,
// what leaves within a timeout: retries leave late when the rate has just been
// lowered, and reveal loss that is older than it seems.
func (g *Governor) slow(to float64, now time.Duration) {
	g.setRate(min(g.rate, max(to, g.floor)), now)
	g.share.after, g.clean.after = now+2*g.rtt.late, now+g.timeout
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
