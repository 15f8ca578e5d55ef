package scan

import "time"

// window is how many tries may be on their way at once: to one host, or in the
// whole run.
//
// It grows with what is answered, and with what meets silence as long as nothing
// is known to be lost; but in the time it takes to notice loss no further than to
// twice its size. Loss that is proven halves it. If then half as much is
// answered, too, it was not the window: such is the path, and that share of loss
// is expected from then on. If as much is answered as before, too much was sent.
type window struct {
	size     float64
	min, max float64
	slow     float64 // from here on it grows by a little
	open     int     // tries on their way: not answered, and an answer could still be due

	base   float64 // size at baseAt: it may double until a new one is taken
	baseAt time.Duration

	since    time.Duration // the last cut, or its taking back: older tries tell nothing about the size
	answered float64       // tries that left since then and were answered, the more recent ones
	lost     float64       // likewise, proven lost
	cut      bool          // the present size is smaller than the one before
	was      float64       // size before the cut
	rateWas  float64       // answers a second before the cut
	path     float64       // share that is lost whatever is sent
	lastCut  time.Duration

	rate    float64 // answers a second in the last span
	arrived float64 // answers since spanAt
	spanAt  time.Duration
}

func newWindow(start, least, most float64) window {
	return window{size: start, base: start, min: least, max: most, slow: most}
}

func (w *window) room() int { return int(w.size) - w.open }

const (
	judgeAfter = 40   // tries tell what share of them is lost
	tolerated  = 0.1  // so much more loss than is expected is no reason to slow down
	fewer      = 0.75 // of the answers of before: fewer than that is less
)

// answer counts, at now, the answer to a try that left at sent. Loss shows after
// notice.
func (w *window) answer(sent, now, notice time.Duration) {
	if span := now - w.spanAt; span >= notice {
		w.rate, w.arrived, w.spanAt = w.arrived/span.Seconds(), 0, now
	}
	w.arrived++
	if sent >= w.since {
		w.answered++
	}
	if w.size < w.slow {
		w.grow(1, w.max, now, notice)
	} else {
		w.grow(4/w.size, w.max, now, notice)
	}
}

// silence counts a try for whose answer it is late. It is no loss; but where loss
// was seen, it is no reason to grow either.
func (w *window) silence(most float64, now, notice time.Duration) {
	if w.lost == 0 && !w.cut && w.lastCut == 0 {
		w.grow(1, min(most, w.max), now, notice)
	}
}

func (w *window) grow(by, most float64, now, notice time.Duration) {
	if now-w.baseAt >= notice {
		w.base, w.baseAt = w.size, now
	}
	w.size = max(w.size, min(w.size+by, most, 2*w.base))
}

// loss counts a try that left at sent and was lost, as is known at now, and sees
// whether there is too much of that.
func (w *window) loss(sent, now, notice time.Duration) {
	if sent < w.since {
		return
	}
	w.lost++
	total := w.lost + w.answered
	if total < judgeAfter || now-w.since < 3*notice {
		return
	}
	share := w.lost / total
	switch {
	case share <= w.path+tolerated:
		w.path = (w.path + min(w.path, share)) / 2
		w.cut = false
		if total > 4*judgeAfter { // what was long ago counts less
			w.answered, w.lost = w.answered/2, w.lost/2
		}
	case w.cut && w.rate < w.rateWas*fewer, w.size <= w.min:
		w.path = max(w.path, share)
		w.resize(max(w.was, w.size), now)
		w.cut = false
	default:
		w.was, w.rateWas, w.cut, w.lastCut = w.size, w.rate, true, now
		w.slow = max(w.size/2, w.min)
		w.resize(w.slow, now)
	}
}

func (w *window) resize(size float64, now time.Duration) {
	w.size, w.base, w.baseAt = size, size, now
	w.since, w.answered, w.lost = now, 0, 0
	w.arrived, w.spanAt = 0, now
}
