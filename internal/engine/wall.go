package engine

import (
	"time"

	"netprobe/probe"
)

// Wall judges round-trip times by kernel timestamps, which are in wall time. It
// notices when that clock is set: an RTT whose two stamps stand on both sides
// of a step is worthless. Times without a date are since the start of the run,
// on the monotonic clock. The zero value is ready.
type Wall struct {
	// Read returns the wall clock of a reading, ns since 1970; nil takes what
	// the reading says. It is for tests.
	Read func(time.Time) int64

	offset  int64         // wall clock minus monotonic clock, ns
	seen    time.Duration // when it was last read
	stepped time.Duration // when a step was last noticed
	known   bool
}

// Slewing the clock moves it by at most 500 ppm as a rule (adjtimex(2)). More
// than stepSlew of the time since the last reading, and stepSlack for the two
// clocks not being read at the very same moment, is a step.
const (
	stepSlack = 50 * time.Microsecond
	stepSlew  = 1000 // one part in 1000
)

// Observe reads both clocks out of t, which came after start. On a busy machine
// this thread may have been preempted between the two readings that t consists
// of, which looks like a step; a real one is still there on a second look.
func (w *Wall) Observe(t, start time.Time) {
	if w.jumped(t.Sub(start), w.at(t)) {
		t = time.Now()
	}
	w.observe(t.Sub(start), w.at(t))
}

func (w *Wall) at(t time.Time) int64 {
	if w.Read != nil {
		return w.Read(t)
	}
	return t.UnixNano()
}

// observe takes a reading of both clocks at once. Readings may come a little
// out of order.
func (w *Wall) observe(mono time.Duration, wall int64) {
	if w.jumped(mono, wall) {
		w.stepped = max(w.stepped, mono)
	}
	w.offset, w.seen, w.known = wall-int64(mono), mono, true
}

// jumped reports whether a reading is further from the last one than slewing
// explains.
func (w *Wall) jumped(mono time.Duration, wall int64) bool {
	moved := time.Duration(wall - int64(mono) - w.offset).Abs()
	return w.known && moved > stepSlack+(mono-w.seen).Abs()/stepSlew
}

// Since returns a kernel timestamp (ns since 1970) as time since the start.
func (w *Wall) Since(stamp int64) time.Duration { return time.Duration(stamp - w.offset) }

// RTT returns how long the answer took to a packet that left at tx by the
// kernel and at sent by this process, and arrived at rx and arrived; tx and rx
// are in ns since 1970, 0 if unknown. The kernel's reading is believed only if
// the wall clock was not set meanwhile and it lies within what the monotonic
// clock saw around it. Host is what of that was spent in this host, if c is Kernel.
func (w *Wall) RTT(tx, rx int64, sent, arrived time.Duration) (rtt time.Duration, c probe.Clock, host time.Duration) {
	user := arrived - sent
	if rx == 0 || sent < w.stepped {
		return user, probe.User, 0
	}
	if k := time.Duration(rx - tx); tx != 0 && k >= 0 && k <= user {
		return k, probe.Kernel, user - k
	}
	// Half of it is better than nothing: the kernel's arrival spares us the time
	// this process took to be woken.
	if k := w.Since(rx) - sent; k >= 0 && k <= user {
		return k, probe.User, 0
	}
	return user, probe.User, 0
}
