package output

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// writerLimit bounds what waits for a reader that stalls. At 10,000 lines
	// a second it is about twenty seconds' worth.
	writerLimit = 16 << 20
	// writerPause is the shortest time between two writes. The first line
	// after a pause leaves at once; under a stream of lines it saves a system
	// call and a wake-up for nearly each.
	writerPause = 5 * time.Millisecond
	// spareLimit is the largest buffer kept for the next batch, so that one
	// stall does not cost memory for the rest of the run.
	spareLimit = 1 << 20
)

// ErrClosed is returned by writes after Close.
var ErrClosed = errors.New("output: writer is closed")

// Writer decouples those who write lines from a reader who may stall: Write
// only appends to a buffer of bounded size, and one goroutine, started by the
// first Write, empties it. Lines that find the buffer full are dropped whole
// and counted.
type Writer struct {
	f     io.Writer
	hurry chan struct{} // closed when pauses would keep somebody waiting
	once  sync.Once

	mu      sync.Mutex
	wake    sync.Cond // pending, closed or failed has changed
	pending []byte    // not yet handed to f
	spare   []byte    // the buffer of the last write, to use again
	err     error     // first error of f; nothing is written after it
	dropped uint64    // lines
	closed  bool
	done    chan struct{} // closed when the goroutine has returned; nil until it starts
}

// NewWriter returns a Writer to f.
func NewWriter(f io.Writer) *Writer {
	w := &Writer{f: f, hurry: make(chan struct{})}
	w.wake.L = &w.mu
	return w
}

// Write takes p, one or more whole lines, and never blocks. Its error is the
// first one that f returned for an earlier Write: it comes late, but it comes.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		w.dropped += lines(p)
		return 0, w.err
	case w.closed:
		return 0, ErrClosed
	case len(w.pending)+len(p) > writerLimit:
		w.dropped += lines(p)
		return len(p), nil
	}
	if w.done == nil {
		w.done = make(chan struct{})
		go w.run()
	}
	w.pending = append(w.pending, p...)
	w.wake.Signal()
	return len(p), nil
}

// run writes what is pending until Close or an error of f.
func (w *Writer) run() {
	defer close(w.done)
	for {
		batch := w.take()
		if len(batch) == 0 {
			return
		}
		n, err := w.f.Write(batch)
		if err == nil && n < len(batch) {
			err = io.ErrShortWrite
		}
		if !w.settle(batch, max(n, 0), err) {
			return
		}
	}
}

// take waits for something to write and takes it; after Close it may be nothing.
func (w *Writer) take() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) == 0 && !w.closed {
		w.wake.Wait()
	}
	batch := w.pending
	w.pending, w.spare = w.spare[:0], nil
	return batch
}

// settle notes how the write of batch ended and reports whether to go on, after
// the pause that lets lines gather.
func (w *Writer) settle(batch []byte, n int, err error) bool {
	w.mu.Lock()
	if cap(batch) <= spareLimit {
		w.spare = batch
	}
	if err != nil {
		w.err = err
		w.dropped += lines(batch[min(n, len(batch)):]) + lines(w.pending)
		w.pending, w.spare = nil, nil
	}
	closed := w.closed
	w.mu.Unlock()
	if err == nil && !closed {
		w.pause()
	}
	return err == nil
}

// pause lets lines gather.
func (w *Writer) pause() {
	timer := time.NewTimer(writerPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.hurry:
	}
}

// Hurry has all lines from now on leave at once: these are the last.
func (w *Writer) Hurry() { w.once.Do(func() { close(w.hurry) }) }

// Close writes what is pending, waiting for the reader at most limit, and
// returns the first error of f: os.ErrDeadlineExceeded if the reader was too
// slow. It does not close f. If f is stuck in a write it cannot be called back
// from (a blocking pipe that nobody empties), the goroutine stays in it until
// the reader or the process ends; nothing else is left behind.
func (w *Writer) Close(limit time.Duration) error {
	w.Hurry()
	w.mu.Lock()
	w.closed = true
	w.wake.Signal()
	done := w.done
	w.mu.Unlock()
	if done == nil {
		return nil
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		w.abandon()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// abandon gives up on a write that hangs, calling it back where f can do that.
func (w *Writer) abandon() {
	f, ok := w.f.(interface{ SetWriteDeadline(time.Time) error })
	if ok && f.SetWriteDeadline(time.Unix(1, 0)) == nil {
		<-w.done
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = os.ErrDeadlineExceeded
		w.dropped += lines(w.pending)
		w.pending = nil
	}
}

// Dropped returns how many lines were not written so far because the reader
// stalled or the write failed.
func (w *Writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// lines counts the lines in p, one not ended included.
func lines(p []byte) uint64 {
	n := uint64(bytes.Count(p, []byte{'\n'}))
	if len(p) > 0 && p[len(p)-1] != '\n' {
		n++
	}
	return n
}
