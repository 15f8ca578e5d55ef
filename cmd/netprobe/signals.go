package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"
)

// errSignal is the cause of a run that a signal ended.
var errSignal = errors.New("signal")

// watchSignals starts to turn signals into what they mean for a run: the end,
// the statistics so far on stderr, a redraw. Before the report exists only the
// end means anything. The function it returns ends the watch.
//
// After the first signal that ends the run, the next one ends the process.
func (s *session) watchSignals(stop context.CancelCauseFunc) (end func()) {
	ignorePipe()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, slices.Concat(stopSignals(), snapshotSignals, resizeSignals)...)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case sig := <-signals:
				s.onSignal(sig, stop)
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(done)
		wg.Wait()
	}
}

func (s *session) onSignal(sig os.Signal, stop context.CancelCauseFunc) {
	report := s.report.Load()
	switch {
	case slices.Contains(stopSignals(), sig):
		stop(errSignal)
		signal.Reset(stopSignals()...)
	case report == nil:
	case slices.Contains(snapshotSignals, sig):
		// Whoever does not read stderr must not keep the next signal from being
		// heard. One snapshot may be stuck there; more would say no more.
		if s.telling.CompareAndSwap(false, true) {
			go func() {
				_ = report.Snapshot(s.stderr) // a closed stderr is no reason to stop
				s.telling.Store(false)
			}()
		}
	case slices.Contains(resizeSignals, sig):
		_ = report.Refresh(time.Now()) // the next Record meets the same error
	}
}
