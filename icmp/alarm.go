package icmp

import "time"

// alarm is what the sender waits with; *rawsock.Alarm is the real one.
type alarm interface {
	Wait(time.Duration)
	Wake()
	Close() error
}

// timerAlarm is an alarm in the time of a testing/synctest bubble.
type timerAlarm chan struct{}

func newTimerAlarm() timerAlarm { return make(timerAlarm, 1) }

func (a timerAlarm) Wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-a:
	}
}

func (a timerAlarm) Wake() {
	select {
	case a <- struct{}{}:
	default:
	}
}

func (timerAlarm) Close() error { return nil }
