package main

import (
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
// end is called for each signal that ends the run until it says that it was the
// last one: the next one then ends the process.
func (c *common) watchSignals(end func() (last bool)) (unwatch func()) {
	ignorePipe()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, slices.Concat(stopSignals(), snapshotSignals, resizeSignals)...)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case sig := <-signals:
				c.onSignal(sig, end)
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

func (c *common) onSignal(sig os.Signal, end func() (last bool)) {
	report := c.report.Load()
	switch {
	case slices.Contains(stopSignals(), sig):
		if end() {
			signal.Reset(stopSignals()...)
		}
	case report == nil:
	case slices.Contains(snapshotSignals, sig):
		// Whoever does not read stderr must not keep the next signal from being
		// heard. One snapshot may be stuck there; more would say no more.
		if c.telling.CompareAndSwap(false, true) {
			go func() {
				_ = report.Snapshot(c.stderr) // a closed stderr is no reason to stop
				c.telling.Store(false)
			}()
		}
	case slices.Contains(resizeSignals, sig):
		_ = report.Refresh(time.Now()) // the next Record meets the same error
	}
}
