package probe

import (
	"context"
	"sync"
)

// A Prober probes until its order is exhausted or ctx ends. Silence is a
// Result; an error means the whole run stopped. It may call emit concurrently.
type Prober interface {
	Probe(ctx context.Context, emit func(Result)) error
}

// A Sink is told each Result, one call at a time. An error from it (the reader
// went away, the disk is full) ends the run.
type Sink interface {
	Record(*Result) error
}

// SinkError is the cause with which Run ends a run whose Sink failed.
type SinkError struct{ Err error }

func (e *SinkError) Error() string { return e.Err.Error() }
func (e *SinkError) Unwrap() error { return e.Err }

// Run lets p probe and tells s each Result. It returns p's error, or a
// *SinkError if s failed first; Results after that are dropped.
func Run(ctx context.Context, p Prober, s Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var failed *SinkError
	// One Result lives here for the whole run: handing its address to a Sink
	// then costs no allocation per probe.
	var current Result
	err := p.Probe(ctx, func(r Result) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil {
			return
		}
		current = r
		if err := s.Record(&current); err != nil {
			failed = &SinkError{err}
			cancel(failed)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
