//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

var resizeSignals = []os.Signal{syscall.SIGWINCH}

// stopSignals end a run. SIGHUP does unless it was ignored from the start:
// nohup must keep its meaning.
func stopSignals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// ignorePipe makes a write to a closed pipe an error (EPIPE): the run then ends
// in good order instead of the process at once.
func ignorePipe() { signal.Ignore(syscall.SIGPIPE) }
