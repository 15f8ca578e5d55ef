package lab

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a timer of the kernel's. Go's own timers go off up to a millisecond
// late while the process is idle, because it waits in whole milliseconds for
// them; this one is an event that ends the wait.
type alarm struct {
	fd   int // of file, which would become blocking if it were asked for it
	file *os.File
	wg   sync.WaitGroup
}

// wakeExactly lets s be woken by an alarm from now on. stop must be called after
// s was closed.
func (s *sim) wakeExactly() (stop func() error, err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("lab: make a timer: %w", os.NewSyscallError("timerfd_create", err))
	}
	a := &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timer")}
	a.wg.Go(func() {
		var expirations [8]byte
		for {
			if _, err := a.file.Read(expirations[:]); err != nil {
				return // closed
			}
			s.tick()
		}
	})
	s.mu.Lock()
	s.alarm = a.set
	s.mu.Unlock()
	return func() error {
		err := a.file.Close()
		a.wg.Wait()
		return err
	}, nil
}

// set lets the alarm go off once, after d.
func (a *alarm) set(d time.Duration) {
	// 0 would stop it. It cannot fail: the descriptor is a timer, the time valid.
	value := unix.NsecToTimespec(int64(max(d, 1)))
	_ = unix.TimerfdSettime(a.fd, 0, &unix.ItimerSpec{Value: value}, nil)
}
