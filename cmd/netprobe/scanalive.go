package main

import (
	"context"
	"sync"

	"netprobe/probe"
	"netprobe/stats"
)

// alive is a Source of hosts that answered a sweep.
type alive struct {
	sweep probe.Prober

	mu      sync.Mutex
	wake    func()
	hosts   []probe.Candidate
	held    func() // lets the sweep go on; nil unless it waits
	over    bool
	silent  uint64   // hosts that did not answer
	failed  uint64   // hosts that could not be asked
	pending []uint64 // Index of those that were cut off
	why     error    // of the first that failed
}

func (a *alive) Notify(wake func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake = wake
}

func (a *alive) Next() (probe.Candidate, probe.Supply) {
	c, supply, goOn := a.next()
	if goOn != nil {
		goOn()
	}
	return c, supply
}

func (a *alive) next() (c probe.Candidate, supply probe.Supply, goOn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(a.hosts) > 0:
		c, a.hosts = a.hosts[0], a.hosts[1:]
	case a.over:
		supply = probe.Over
	default:
		supply = probe.Later
	}
	if len(a.hosts) < aliveMost/2 {
		goOn, a.held = a.held, nil
	}
	return c, supply, goOn
}

// aliveMost is how many hosts wait to be scanned before the sweep waits, too.
const aliveMost = 1 << 14

// hold implements holder: a sweep is faster than a scan.
func (a *alive) hold(wake func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.hosts) < aliveMost {
		return false
	}
	a.held = wake
	return true
}

// run sweeps until there is nobody left to ask.
func (a *alive) run(ctx context.Context) error {
	err := a.sweep.Probe(ctx, a.take)
	a.mu.Lock()
	a.over = true
	wake := a.wake
	a.mu.Unlock()
	if wake != nil {
		wake()
	}
	return err
}

// take is told what became of a host of the sweep.
func (a *alive) take(r probe.Result) {
	if !r.Outcome() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch stats.StateOf(&r) {
	case stats.HostAlive:
		a.hosts = append(a.hosts, probe.Candidate{Index: uint64(r.Target.ID), Addr: r.Target.Addr.Addr(), Name: r.Target.Name})
		if a.wake != nil {
			a.wake()
		}
	case stats.HostFailed:
		a.failed++
		if a.why == nil {
			a.why = r.Err
		}
	case stats.HostPending:
		a.pending = append(a.pending, uint64(r.Target.ID))
	default:
		a.silent++
	}
}

// unheard is how many hosts did not answer. A nil alive asked nobody.
func (a *alive) unheard() uint64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.silent
}

// unable reports whether a host could not be asked.
func (a *alive) unable() bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed > 0
}

// left are the hosts that were handed to the sweep and not to the scan.
func (a *alive) left() []uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := a.pending
	for _, c := range a.hosts {
		left = append(left, c.Index)
	}
	return left
}
