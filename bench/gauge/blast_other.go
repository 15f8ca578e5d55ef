//go:build !linux

package main

import (
	"errors"
	"fmt"
)

// blast needs sendmmsg and recvmmsg of Linux.
func blast(blastPlan) (blasted, error) {
	return blasted{}, fmt.Errorf("blast: %w", errors.ErrUnsupported)
}
