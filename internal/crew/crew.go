// Package crew asks the candidates of a sweep by ordinary sockets, many at a
// time: it takes them from their Source, keeps the pace, asks the silent once
// more, and gives each exactly one outcome. What asking is, an Asker knows.
//
//	Source ──► dispatcher ──► workers (one Asker each) ──► emit
//	              ▲               │
//	              └─ asked again ─┘
//
// What surprises: what this host lacks (descriptors, ports, buffers) says
// nothing about the host that was to be asked. Then fewer are asked at a time,
// and that one once more, before the failure is told as ours.
package crew

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"time"

	"netprobe/probe"
)

// MaxLimit is how many hosts are asked at a time at most, unless Config says so.
const MaxLimit = 4096

// Config is one sweep.
type Config struct {
	Source  probe.Source
	Port    uint16
	Retries int           // further tries for a host that stayed silent
	Timeout time.Duration // of the first try; 0 means 1 s
	Backoff float64       // each further try waits this much longer; 0 means 1.5
	Pace    Pacer         // nil for no cap
	Limit   int           // hosts asked at a time; 0 means MaxLimit. The descriptor limit caps both
	Each    int           // descriptors that asking one host takes
}

// A Pacer says when packets may leave; *probe.Governor is one. Times are since
// the start of the run.
type Pacer interface {
	Next(now time.Duration) time.Duration
	Turn(a netip.Addr, now time.Duration) time.Duration
	Take(a netip.Addr, now time.Duration)  // the first packet to a
	Again(a netip.Addr, now time.Duration) // a further one
	Heard(a netip.Addr, sent, now time.Duration, try int)
	Choke(now time.Duration)
}

// Try is one question to one host.
type Try struct {
	To      netip.AddrPort
	N       int           // from 1
	Host    string        // name of the host, for protocols in which one says it; may be empty
	Timeout time.Duration // how long to wait for an answer
}

// Answer is what became of a Try. Of its Result the crew sets Target and Seq.
// Status Lost means silence, Pending that the context ended. Sent is zero if
// nothing left.
type Answer struct {
	probe.Result
	Own bool      // it came from this host, not from the network
	At  time.Time // when it was there, by this process; zero for now. RTT may be left 0 then, and is what passed since the try left
}

// An Asker asks one host at a time.
type Asker interface {
	Ask(ctx context.Context, t Try) Answer
}

// Counters are what a crew did. They say nothing about single hosts.
type Counters struct {
	Sent      uint64 // tries that left
	Retried   uint64 // those of them that were not a host's first
	Shortages uint64 // tries that had to wait as this host lacked something
	InFlight  int    // hosts being asked
	Deferred  int    // hosts that wait for their turn
}

// A Crew is a probe.Prober that runs once.
type Crew struct {
	cfg   Config
	asker func() Asker

	mu       sync.Mutex
	counters Counters
}

// New returns a crew each of whose workers has an Asker of its own.
func New(cfg Config, asker func() Asker) *Crew {
	cfg.Timeout = cmp.Or(max(cfg.Timeout, 0), time.Second)
	if cfg.Backoff < 1 {
		cfg.Backoff = 1.5
	}
	if cfg.Pace == nil {
		cfg.Pace = (*probe.Governor)(nil)
	}
	cfg.Each = max(cfg.Each, 1)
	return &Crew{cfg: cfg, asker: asker}
}

// Counters may be called while Probe runs.
func (c *Crew) Counters() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counters
}

// Probe implements probe.Prober. It returns nil: whatever goes wrong is the
// outcome of a host. When ctx ends, the hosts taken and not yet decided are Pending.
func (c *Crew) Probe(ctx context.Context, emit func(probe.Result)) error {
	r := newRun(c, ctx, emit)
	budget.join()
	defer budget.leave()
	c.cfg.Source.Notify(r.poke)
	r.drive()
	r.end()
	return nil
}

// timeout returns how long try n may take.
func (c *Crew) timeout(n int) time.Duration {
	d := float64(c.cfg.Timeout)
	for range n - 1 {
		d *= c.cfg.Backoff
	}
	return time.Duration(min(d, float64(maxTimeout)))
}

// maxTimeout keeps a backoff over many tries from overflowing.
const maxTimeout = time.Hour
