package sweep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	maxQueue = 2 // batches read ahead

	// A batch of a pipe is closed before it is full when nothing came for
	// maxQuiet, or its first target has waited for maxAge; but not while others
	// wait for their turn.
	maxQuiet = 20 * time.Millisecond
	maxAge   = 200 * time.Millisecond
)

// ErrChanged is inside Run's error if File is not what Check read.
var ErrChanged = errors.New("changed since it was checked")

// Run reads File and looks names up. It must run beside whoever calls Next, and
// returns when Next has said Over, or when ctx ends; Next says Over then. Errors
// are File's: what was read before is swept all the same. That ctx ended is no
// error.
//
// A pipe's Read that does not return, and has no deadline that could end it,
// leaves a goroutine behind until it does.
func (h *Hosts) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { h.lookUp(ctx) })
	if h.cfg.File != nil {
		wg.Go(func() {
			err = h.readFile(ctx)
			if ctx.Err() == nil { // else what is left of File is not known
				h.read()
			}
		})
	}
	select {
	case <-h.over:
	case <-ctx.Done():
		h.Stop()
	}
	cancel()
	wg.Wait()
	return err
}

// readFile makes batches of what File lists, until its end or ctx's.
func (h *Hosts) readFile(ctx context.Context) error {
	r := reader{h: h, ctx: ctx, batch: h.list.batch(true)}
	hash := sha256.New()
	l := lines{target: r.target}
	err := h.pieces(ctx, func(piece []byte) bool {
		hash.Write(piece)
		return l.feed(piece)
	}, &r)
	if err == nil && ctx.Err() == nil {
		l.finish()
	}
	r.flush()
	switch listing := h.cfg.Listing; {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", h.cfg.FileName, err)
	case listing != nil && h.cfg.Steady && listing.file != [sha256.Size]byte(hash.Sum(nil)):
		return fmt.Errorf("%s: %w", h.cfg.FileName, ErrChanged)
	}
	return nil
}

// reader makes batches of targets.
type reader struct {
	h     *Hosts
	ctx   context.Context // of Run
	batch *batch          // not full
	since time.Time       // when the first of batch came; set if there is any
}

// target takes the next target of File. It reports whether to go on.
func (r *reader) target(line int, text string, err error) bool {
	if len(r.batch.entries) == 0 {
		r.since = time.Now()
	}
	if err == nil {
		err = r.h.list.read(text, r.h.cfg.Parser, r.batch)
	}
	if err != nil {
		r.h.tell(line, text, err)
	}
	if len(r.batch.entries) >= r.h.cfg.full() {
		r.flush()
	}
	return r.ctx.Err() == nil
}

// flush closes the batch and begins another. It waits while enough is read
// ahead.
func (r *reader) flush() {
	for r.ctx.Err() == nil && r.h.queued() >= maxQueue {
		select {
		case <-r.h.room:
		case <-r.ctx.Done():
			return
		}
	}
	r.h.push(r.batch)
	r.batch = r.h.list.batch(true)
}

// hurry closes the batch of a pipe that is not full, unless others wait.
func (r *reader) hurry() {
	if !r.h.cfg.Steady && len(r.batch.entries) > 0 && r.h.queued() == 0 {
		r.flush()
	}
}

func (h *Hosts) queued() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queue)
}

// piece is what one Read gave.
type piece struct {
	bytes []byte
	err   error
}

// pieces feeds what it reads from File, and has r close batches in time.
func (h *Hosts) pieces(ctx context.Context, feed func([]byte) bool, r *reader) error {
	full, empty := make(chan piece), make(chan []byte, 2)
	empty <- make([]byte, pieceSize)
	empty <- make([]byte, pieceSize)
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { readPieces(ctx, h.cfg.File, full, empty) })
	over := false // readPieces has returned, or is about to
	defer func() {
		cancel()
		if over || h.cfg.Steady || expire(h.cfg.File) {
			done.Wait()
		}
	}()
	timer := time.NewTimer(maxQuiet)
	defer timer.Stop()
	for {
		timer.Reset(maxQuiet)
		if time.Since(r.since) >= maxAge {
			r.hurry()
		}
		select {
		case p := <-full:
			over = p.err != nil
			if !feed(p.bytes) || p.err == io.EOF {
				return nil
			}
			if p.err != nil {
				return p.err
			}
			empty <- p.bytes[:pieceSize]
		case <-timer.C:
			r.hurry()
		case <-ctx.Done():
			return nil
		}
	}
}

// readPieces reads from r into buffers from empty.
func readPieces(ctx context.Context, r io.Reader, full chan<- piece, empty <-chan []byte) {
	idle := 0
	for {
		select {
		case buf := <-empty:
			n, err := r.Read(buf)
			if idle++; n > 0 {
				idle = 0
			}
			if err == nil && idle == maxIdle {
				err = io.ErrNoProgress
			}
			select {
			case full <- piece{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// expire ends a Read that is under way, if r can do that.
func expire(r io.Reader) bool {
	d, ok := r.(interface{ SetReadDeadline(time.Time) error })
	return ok && d.SetReadDeadline(time.Unix(1, 0)) == nil
}
