//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import (
	"os"
	"syscall"
)

// snapshotSignals print the statistics so far; SIGINFO is Ctrl-T there.
var snapshotSignals = []os.Signal{syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGINFO}
