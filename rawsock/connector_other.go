//go:build !linux

package rawsock

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

type connector struct{}

func (*connector) openConnector(Config) error {
	return fmt.Errorf("rawsock: connects of several sockets at a time: %w", errors.ErrUnsupported)
}

func (*connector) begin(netip.AddrPort) (int, error)    { return 0, errors.ErrUnsupported }
func (*connector) poll(time.Duration, func(*Connected)) {}
func (*connector) giveUp(int) *Connected                { return &Connected{} }
func (*connector) rouse()                               {}
func (*connector) shut() error                          { return nil }
