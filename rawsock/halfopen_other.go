//go:build !linux

package rawsock

import (
	"errors"
	"net/netip"
)

func (tracer) defaultTTL() int { return 64 }

func (tracer) recvBuf() int { return 0 }

func (tracer) forgetSources() {}

func (tracer) source(netip.Addr) (netip.Addr, error) { return netip.Addr{}, errors.ErrUnsupported }

func (h *HalfOpen) halve() {}
