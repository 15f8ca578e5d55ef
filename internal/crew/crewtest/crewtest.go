// Package crewtest has what the tests of sweeps by sockets share: a Source of
// given candidates, and a run that checks that each gets exactly one outcome.
package crewtest

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"netprobe/probe"
)

// A List is a Source of addresses. It has no more than Supplied of them, and
// says Later where there are more; Supply supplies more.
type List struct {
	mu       sync.Mutex
	addrs    []netip.Addr
	next     int
	supplied int
	wake     func()
}

// Of returns a List of all addrs at once.
func Of(addrs ...string) *List {
	l := new(List)
	for _, a := range addrs {
		l.addrs = append(l.addrs, netip.MustParseAddr(a))
	}
	l.supplied = len(addrs)
	return l
}

// Count returns a List of the first n addresses from first on.
func Count(first string, n int) *List {
	l := &List{supplied: n}
	a := netip.MustParseAddr(first)
	for range n {
		l.addrs = append(l.addrs, a)
		a = a.Next()
	}
	return l
}

// Hold has the List say Later after n candidates, until Supply.
func (l *List) Hold(n int) *List {
	l.supplied = n
	return l
}

// Supply lets the List hand out n candidates more.
func (l *List) Supply(n int) {
	l.mu.Lock()
	l.supplied += n
	l.mu.Unlock()
	l.wake()
}

// Next implements probe.Source.
func (l *List) Next() (probe.Candidate, probe.Supply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.next {
	case len(l.addrs):
		return probe.Candidate{}, probe.Over
	case l.supplied:
		return probe.Candidate{}, probe.Later
	}
	c := probe.Candidate{Index: uint64(l.next), Addr: l.addrs[l.next]}
	l.next++
	return c, probe.Ready
}

// Notify implements probe.Source.
func (l *List) Notify(wake func()) { l.wake = wake }

// Taken is how many candidates were handed out.
func (l *List) Taken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// An Outcome is a Result without what is reused, and when it was emitted.
type Outcome struct {
	probe.Result
	Addr netip.AddrPort
	At   time.Duration
}

// Run runs p and returns the outcomes by the index of their candidate. It
// fails the test if one that was handed out has none, or two, or one that does
// not add up.
func Run(t *testing.T, ctx context.Context, p probe.Prober, l *List) map[int]Outcome {
	t.Helper()
	got := map[int]Outcome{}
	start := time.Now()
	var mu sync.Mutex
	err := p.Probe(ctx, func(r probe.Result) {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := got[r.Target.ID]; twice {
			t.Errorf("two outcomes of %v", r.Target.Addr)
		}
		if (r.Status == probe.Failed) != (r.Err != nil) || (r.Status == probe.Lost) != (r.Reason == probe.NoResponse) {
			t.Errorf("%v: %v %v, error %v", r.Target.Addr, r.Status, r.Reason, r.Err)
		}
		if (r.Status == probe.Reply || r.Status == probe.Lost) && (r.Seq == 0 || r.Sent.IsZero()) {
			t.Errorf("%v: %v to try %d, sent at %v", r.Target.Addr, r.Status, r.Seq, r.Sent)
		}
		got[r.Target.ID] = Outcome{r, r.Target.Addr, time.Since(start)}
	})
	if err != nil || len(got) != l.Taken() {
		t.Errorf("%d outcomes of %d hosts, error %v", len(got), l.Taken(), err)
	}
	for i, o := range got {
		if o.Addr.Addr() != l.addrs[i] {
			t.Errorf("host %d is %v, not %v", i, o.Addr, l.addrs[i])
		}
	}
	return got
}
