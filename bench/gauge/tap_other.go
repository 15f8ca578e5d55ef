//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/gopacket/gopacket"
)

// tap needs the packet sockets of Linux.
func tap(context.Context, string, func(), func([]byte, gopacket.CaptureInfo) error) error {
	return fmt.Errorf("capture: %w", errors.ErrUnsupported)
}
