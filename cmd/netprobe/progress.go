package main

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// A tally counts the hosts of a sweep on their way to the report, for whoever
// wants to know before the end.
type tally struct {
	sink           probe.Sink
	decided, alive atomic.Uint64
	keep           bool // the hosts that are cut off: for --resume

	mu        sync.Mutex
	undecided []uint64 // Index of each of those
}

// Record implements probe.Sink; it may be called from several goroutines.
func (t *tally) Record(r *probe.Result) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Outcome() {
		t.decided.Add(1)
		switch stats.StateOf(r) {
		case stats.HostAlive:
			t.alive.Add(1)
		case stats.HostPending:
			if t.keep {
				t.undecided = append(t.undecided, uint64(r.Target.ID))
			}
		}
	}
	return t.sink.Record(r)
}

// unresolved records a name without an address: a host that cannot be tested.
func (t *tally) unresolved(name string, err error) {
	_ = t.Record(&probe.Result{ // the next Record meets the same error
		Target: &probe.Target{Name: name, Err: err}, Status: probe.Failed, Reason: probe.ResolveFailed, Err: err,
	})
}

// How often progress is shown, and over which time its rate is the mean.
const (
	progressEvery  = 200 * time.Millisecond
	progressWindow = 5 * time.Second
)

// A meter measures how many there are a second: of hosts or ports decided, or packets.
type meter struct {
	mu    sync.Mutex
	marks [progressWindow / progressEvery]mark // a ring
	n     int                                  // marks so far
}

type mark struct {
	at time.Time
	n  uint64
}

// sample is called at equal intervals, and returns the rate of late.
func (m *meter) sample(at time.Time, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks[m.n%len(m.marks)] = mark{at, n}
	m.n++
}

// rate is how many came a second since the oldest sample; 0 if that is unknown.
func (m *meter) rate(at time.Time, n uint64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	oldest := m.marks[0]
	if m.n > len(m.marks) {
		oldest = m.marks[m.n%len(m.marks)]
	}
	if span := at.Sub(oldest.at); m.n > 0 && span > 0 {
		return float64(n-oldest.n) / span.Seconds()
	}
	return 0
}

// progress says how far the run is.
func (s *sweepRun) progress() output.Progress {
	now := time.Now()
	p := output.Progress{
		Asked: s.hosts.Taken(), Decided: s.tally.decided.Load(), Alive: s.tally.alive.Load(),
		Elapsed: now.Sub(s.head.Start), Blind: s.f.patience() + progressWindow/2,
	}
	p.Planned, p.Known = s.hosts.Planned()
	p.Rate = s.gauge.done.rate(now, p.Decided)
	p.Pace = s.gauge.sent.rate(now, s.head.Sweep.Sent())
	return p
}

// A gauge measures how fast a run of one pass is, and shows on a terminal how far.
type gauge struct {
	done   meter    // of what is decided: hosts, or ports
	sent   meter    // of packets
	screen *os.File // stderr if progress is shown there
}

// show has a line on stderr say how far the run is, if that is a terminal, and
// everything else on the same terminal keep out of its way.
func (g *gauge) show(c *common, stderr io.Writer) {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || dumb() {
		return
	}
	g.screen = file
	c.line = output.NewStatusLine(c.stdout, file)
	c.stderr = c.line.Messages()
	c.logTo(c.stderr)
}

// hideProgress ends the line for good.
func (c *common) hideProgress() {
	if c.line != nil {
		c.line.Close()
	}
}

// watch measures, and shows on a terminal, how far the run is that began at
// start, until ctx ends. counts returns what is decided and the packets that
// left, progress what is shown.
func (g *gauge) watch(ctx context.Context, c *common, start time.Time, counts func() (done, sent uint64), progress func() output.Progress) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	g.done.sample(start, 0)
	g.sent.sample(start, 0)
	for {
		select {
		case now := <-ticker.C:
			if c.line != nil {
				c.line.Set(string(output.AppendProgress(nil, progress(), columns(g.screen))))
			}
			done, sent := counts()
			g.done.sample(now, done)
			g.sent.sample(now, sent)
		case <-ctx.Done():
			return
		}
	}
}

// watchProgress has the gauge watch a sweep.
func (s *sweepRun) watchProgress(ctx context.Context) {
	s.gauge.watch(ctx, &s.common, s.head.Start, func() (done, sent uint64) {
		return s.tally.decided.Load(), s.head.Sweep.Sent()
	}, s.progress)
}

// columns is the present width of a terminal in character cells.
func columns(terminal *os.File) int {
	cols, _, err := term.GetSize(int(terminal.Fd()))
	if err != nil || cols <= 0 {
		return 80
	}
	return cols
}
