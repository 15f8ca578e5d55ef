//go:build !linux

package rawsock

import (
	"errors"
	"fmt"
	"runtime"
)

// tracer is empty: nothing opens one.
type tracer struct{}

func openTracer(cfg TracerConfig) (*Tracer, error) {
	what := "tracing a path"
	if cfg.ports > 0 {
		what = "half-open scanning"
	}
	return nil, fmt.Errorf("rawsock: %s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

func (tracer) kernelClock() bool         { return false }
func (tracer) drops() uint32             { return 0 }
func (tracer) send([]Probe) (int, error) { return 0, errors.ErrUnsupported }
func (tracer) drain(func(*Reply)) error  { return errors.ErrUnsupported }
func (tracer) close() error              { return nil }
