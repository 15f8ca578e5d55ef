package icmp

import "time"

// timerAlarm is an alarm in the time of a testing/synctest bubble. It watches
// conns that can tell it of an arrival.
type timerAlarm struct{ kick chan struct{} }

func newTimerAlarm() timerAlarm { return timerAlarm{make(chan struct{}, 1)} }

func (a timerAlarm) Watch(c conn) bool {
	w, ok := c.(interface{ watch(arrived func()) bool })
	return ok && w.watch(a.Wake)
}

func (a timerAlarm) Wait(d time.Duration) (readable bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.kick:
	}
	return true
}

func (a timerAlarm) Wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

func (timerAlarm) Close() error { return nil }
