//go:build unix

package main

import (
	"errors"
	"syscall"
)

// isClosedPipe reports whether the reader of our output has left.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
