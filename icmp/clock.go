package icmp

import (
	"time"

	"netprobe/probe"
)

// wallWatch notices when the wall clock, which kernel timestamps are in, is
// set. An RTT whose two stamps stand on both sides of a step is worthless.
type wallWatch struct {
	offset  int64         // wall clock minus monotonic clock, ns
	seen    time.Duration // when it was last read, since the start
	stepped time.Duration // when a step was last noticed, since the start
	known   bool
}

// Slewing the clock moves it by at most 500 ppm as a rule (adjtimex(2)). More
// than stepSlew of the time since the last reading, and stepSlack for the two
// clocks not being read at the very same moment, is a step.
const (
	stepSlack = 50 * time.Microsecond
	stepSlew  = 1000 // one part in 1000
)

// observe reads both clocks out of t. On a busy machine this thread may have been
// preempted between the two readings that t consists of, which looks like a
// step; a real one is still there on a second look.
func (e *Engine) observe(t time.Time) {
	if e.wall.jumped(t.Sub(e.start), e.wallAt(t)) {
		t = time.Now()
	}
	e.wall.observe(t.Sub(e.start), e.wallAt(t))
}

// observe takes a reading of both clocks at once: since the start, and ns since
// 1970. Readings may come a little out of order.
func (w *wallWatch) observe(mono time.Duration, wall int64) {
	if w.jumped(mono, wall) {
		w.stepped = max(w.stepped, mono)
	}
	w.offset, w.seen, w.known = wall-int64(mono), mono, true
}

// jumped reports whether a reading is further from the last one than slewing
// explains.
func (w *wallWatch) jumped(mono time.Duration, wall int64) bool {
	moved := time.Duration(wall - int64(mono) - w.offset).Abs()
	return w.known && moved > stepSlack+(mono-w.seen).Abs()/stepSlew
}

// rtt returns how long the answer to f took that the kernel received at rx (ns
// since 1970, 0 if unknown) and this process at arrived. The kernel's reading
// is believed only if the wall clock was not set meanwhile and it lies within
// what the monotonic clock saw around it.
func (e *Engine) rtt(f *flight, rx int64, arrived time.Time) (rtt time.Duration, c probe.Clock, host time.Duration) {
	user := arrived.Sub(e.start) - f.sent
	if rx == 0 || f.sent < e.wall.stepped {
		return user, probe.User, 0
	}
	if k := time.Duration(rx - f.tx); f.tx != 0 && k >= 0 && k <= user {
		return k, probe.Kernel, user - k
	}
	// Half of it is better than nothing: the kernel's arrival spares us the time
	// this process took to be woken.
	if k := time.Duration(rx - e.wall.offset - int64(f.sent)); k >= 0 && k <= user {
		return k, probe.User, 0
	}
	return user, probe.User, 0
}
