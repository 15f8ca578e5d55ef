//go:build unix && !(darwin || dragonfly || freebsd || netbsd || openbsd)

package main

import (
	"os"
	"syscall"
)

// snapshotSignals print the statistics so far; SIGQUIT is Ctrl-\.
var snapshotSignals = []os.Signal{syscall.SIGQUIT, syscall.SIGUSR1}
