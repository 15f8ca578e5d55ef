package rawsock

import "time"

// An Alarm lets one goroutine wait for an instant more exactly than Go's timers
// do, which on Linux wake within a millisecond of it, with a burst of scheduler
// activity just when a packet is about to leave. On other systems it is a timer.
type Alarm struct{ alarm }

// NewAlarm returns an Alarm; Close must follow. On error, a wrapped
// *os.SyscallError, there is no descriptor left.
func NewAlarm() (*Alarm, error) {
	a := &Alarm{}
	return a, a.open()
}

// Wait returns after d, or as soon as Wake was called since the last Wait
// returned. Calls must not overlap.
func (a *Alarm) Wait(d time.Duration) { a.wait(d) }

// Wake makes the present Wait return, or the next one. It may be called at any
// time before Close.
func (a *Alarm) Wake() { a.wake() }

// Close closes the descriptor.
func (a *Alarm) Close() error { return a.close() }
