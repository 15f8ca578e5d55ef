package main

import (
	"context"
	"sync/atomic"
	"time"

	"netprobe/output"
	"netprobe/probe"
)

// How much output may wait for its reader before no further host is asked, and
// how little of it is left when that goes on, bytes. Answers of hosts that were
// asked by then still find room.
const (
	backlogHigh = 4 << 20
	backlogLow  = 1 << 20
)

// A backlog is the output that waits for whoever reads it. It is the writer of
// views, in front of w.
type backlog struct {
	w              *output.Writer
	taken, written atomic.Int64  // bytes
	empty          chan struct{} // holds one: nothing waits

	held atomic.Bool // wake is to be called when little is left
	wake func()      // set before held
}

// Write takes whole lines; those that find no room are dropped by w, and no
// longer wait. It is called by one goroutine at a time.
func (b *backlog) Write(p []byte) (int, error) {
	dropped := b.w.Dropped()
	b.taken.Add(int64(len(p)))
	n, err := b.w.Write(p)
	if b.w.Dropped() != dropped {
		b.taken.Add(-int64(len(p)))
	}
	return n, err
}

// passed takes in that n bytes were read.
func (b *backlog) passed(n int) {
	b.written.Add(int64(n))
	if b.waiting() == 0 {
		select {
		case b.empty <- struct{}{}:
		default:
		}
	}
	if b.held.Load() && b.waiting() < backlogLow && b.held.Swap(false) {
		b.wake()
	}
}

// waiting is the number of bytes nobody has read yet.
func (b *backlog) waiting() int64 { return b.taken.Load() - b.written.Load() }

// hold reports whether too much waits for more to be asked. wake is called when
// little is left.
func (b *backlog) hold(wake func()) bool {
	if b.waiting() <= backlogHigh {
		return false
	}
	b.wake = wake
	b.held.Store(true)
	return b.waiting() >= backlogLow || !b.held.Swap(false)
}

// drain waits until everything is read, or ctx ends.
func (b *backlog) drain(ctx context.Context) {
	b.w.Hurry()
	ticker := time.NewTicker(20 * time.Millisecond) // for what is dropped and never read
	defer ticker.Stop()
	for b.waiting() > 0 {
		select {
		case <-b.empty:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// A gate is a Source that has nothing to ask for while too much output waits: a
// result that nobody had room for would be lost, and a sweep can wait for its
// reader. Probes that are under way are not held up.
type gate struct {
	probe.Source
	backlog holder // set before the first Next
	wake    func()
}

// A holder says whether to wait, until it calls wake.
type holder interface{ hold(wake func()) bool }

func (g *gate) Notify(wake func()) {
	g.wake = wake
	g.Source.Notify(wake)
}

func (g *gate) Next() (probe.Candidate, probe.Supply) {
	if g.backlog.hold(g.wake) {
		return probe.Candidate{}, probe.Later
	}
	return g.Source.Next()
}
