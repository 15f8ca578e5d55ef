package rawsock

import "time"

// An Alarm lets one goroutine wait for an instant and for sockets at once, on
// Linux more exactly than Go's timers do: those wake within a millisecond of
// the instant, with a burst of scheduler activity just when a packet is about
// to leave.
//
// That the goroutine that sends also waits for answers has one more reason:
// the kernel queues a departure's timestamp from within the driver and wakes
// whoever blocks on the socket, before the packet goes on its way. A reader
// asleep on the socket made every round trip over a veth 20 µs longer.
type Alarm struct{ alarm }

// NewAlarm returns an Alarm; Close must follow. On error, a wrapped
// *os.SyscallError, there is no descriptor left.
func NewAlarm() (*Alarm, error) {
	a := &Alarm{}
	return a, a.open()
}

// Watch makes Wait return also when c has something to Drain. It reports
// whether this system can; otherwise somebody must Wait on c itself. No Wait may
// be under way.
func (a *Alarm) Watch(c *Conn) bool { return a.watch(c) }

// WatchTracer is Watch for a Tracer, with all its sockets. There is nothing else
// to wait with; where this reports false, OpenTracer does not succeed.
func (a *Alarm) WatchTracer(t *Tracer) bool { return a.watchTracer(t) }

// WatchHalfOpen is WatchTracer for a HalfOpen.
func (a *Alarm) WatchHalfOpen(h *HalfOpen) bool { return a.watchTracer(h.t) }

// WatchUDP is Watch for a UDPConn.
func (a *Alarm) WatchUDP(c *UDPConn) bool { return a.watchUDP(c) }

// Wait returns after d, as soon as Wake was called since the last Wait
// returned, or when something watched has something to Drain, which it then
// reports. Calls must not overlap.
func (a *Alarm) Wait(d time.Duration) (readable bool) { return a.wait(d) }

// Wake makes the present Wait return, or the next one. It may be called at any
// time, after Close in vain.
func (a *Alarm) Wake() { a.wake() }

// Close closes the descriptor.
func (a *Alarm) Close() error { return a.close() }
