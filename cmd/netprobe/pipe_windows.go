package main

import (
	"errors"
	"syscall"
)

// isClosedPipe reports whether the reader of our output has left: a pipe it
// closed is ERROR_BROKEN_PIPE, one that is going away ERROR_NO_DATA.
func isClosedPipe(err error) bool {
	const noData = syscall.Errno(232)
	return errors.Is(err, syscall.ERROR_BROKEN_PIPE) || errors.Is(err, noData)
}
