//go:build !linux

package rawsock

import "time"

// alarm is a timer and a channel.
type alarm struct {
	timer *time.Timer
	kick  chan struct{}
}

func (a *alarm) open() error {
	a.timer, a.kick = time.NewTimer(time.Hour), make(chan struct{}, 1)
	return nil
}

// watch cannot: these sockets belong to package net.
func (a *alarm) watch(*Conn) bool { return false }

func (a *alarm) watchTracer(*Tracer) bool { return false }

func (a *alarm) watchUDP(*UDPConn) bool { return false }

func (a *alarm) wait(d time.Duration) (readable bool) {
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
	case <-a.kick:
	}
	return false
}

func (a *alarm) wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

func (a *alarm) close() error {
	a.timer.Stop()
	return nil
}
