package icmp

import (
	"time"

	"netprobe/rawsock"
)

// alarm is what the sender waits with. socketAlarm is the real one.
type alarm interface {
	// Watch makes Wait return also when c has something to Drain; false if it
	// cannot.
	Watch(c conn) bool
	// Wait returns after the given time, or sooner for Wake or a watched conn.
	Wait(time.Duration) (readable bool)
	Wake()
	Close() error
}

// socketAlarm is a rawsock.Alarm.
type socketAlarm struct{ *rawsock.Alarm }

func (a socketAlarm) Watch(c conn) bool {
	s, ok := c.(*rawsock.Conn)
	return ok && a.Alarm.Watch(s)
}
