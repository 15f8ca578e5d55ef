package scan

import "time"

// window is how many tries may be on their way at once: to one host, or in the
// whole run. It doubles with each window of tries that got through or met
// silence, and shrinks for loss that is proven, unless shrinking does not help.
type window struct {
	size     float64
	min, max float64
	slow     float64 // from here on it grows by a little
	open     int     // tries on their way: not answered, and an answer could still be due

	since    time.Duration // of the present size: older tries tell nothing about it
	answered float64       // tries that left since then and were answered
	lost     float64       // likewise, proven lost
	cut      bool          // the present size is smaller than the one before
	before   float64       // share lost before the cut
	was      float64       // size before the cut
	path     float64       // share that is lost whatever is sent
}

func newWindow(start, least, most float64) window {
	return window{size: start, min: least, max: most, slow: most}
}

func (w *window) room() int { return int(w.size) - w.open }

// judgeAfter tries tell whether the share that is lost is what it was.
const judgeAfter = 40

// answer counts a try that left at sent and was answered.
func (w *window) answer(sent time.Duration) {
	if sent >= w.since {
		w.answered++
	}
	if w.size < w.slow {
		w.size++
	} else {
		w.size += 4 / w.size
	}
	w.size = min(w.size, w.max)
}

// silence counts a try for whose answer it is late. It is no loss; but where loss
// was seen, it is no reason to grow either.
func (w *window) silence(most float64) {
	if w.lost == 0 && !w.cut && w.size < min(most, w.max) {
		w.size++
	}
}

// loss counts a try that left at sent and was lost, as is known at now, and sees
// whether there was too much of that. It reports whether the window shrank.
func (w *window) loss(sent, now time.Duration) bool {
	if sent < w.since {
		return false
	}
	w.lost++
	total := w.lost + w.answered
	if total < judgeAfter {
		return false
	}
	share := w.lost / total
	switch {
	case share <= w.path+0.1:
		w.restart(now)
		w.cut = false
		return false
	case w.cut && share > w.before*2/3:
		// Half as much at a time, and as much of it lost: that is how the path is.
		w.path = max(w.path, share)
		w.size, w.cut = w.was, false
		w.restart(now)
		return false
	}
	w.before, w.was, w.cut = share, w.size, true
	w.size = max(w.size/2, w.min)
	w.slow = w.size
	w.restart(now)
	return true
}

// restart begins to count anew.
func (w *window) restart(now time.Duration) {
	w.since, w.answered, w.lost = now, 0, 0
}
