package main

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"netprobe/probe"
)

// namingSink passes Results on and has the names of all who answered looked up
// meanwhile. Only the Result that concludes a path waits for its names, a
// moment and beside the run: no probe, and no other target, is held up by it.
type namingSink struct {
	probe.Sink // may be called from several goroutines
	names      *reverse
	ctx        context.Context // of the run: when it ends, nothing waits any more

	seen map[int]map[netip.Addr]struct{} // who answered, by target

	wg  sync.WaitGroup // the Results that wait
	mu  sync.Mutex
	err error // the first of those
}

func newNamingSink(ctx context.Context, next probe.Sink, names *reverse) *namingSink {
	return &namingSink{Sink: next, names: names, ctx: ctx, seen: map[int]map[netip.Addr]struct{}{}}
}

func (s *namingSink) Record(r *probe.Result) error {
	if path, ok := r.Detail.(*probe.Path); ok {
		return s.conclude(*r, *path)
	}
	if r.From.IsValid() {
		s.see(r.Target.ID, r.From)
	}
	return s.Sink.Record(r)
}

// see takes in that addr answered on the way to the target with that ID.
func (s *namingSink) see(id int, addr netip.Addr) {
	if s.seen[id] == nil {
		s.seen[id] = map[netip.Addr]struct{}{}
	}
	if _, old := s.seen[id][addr]; old || len(s.seen[id]) >= reverseTotal {
		return
	}
	s.seen[id][addr] = struct{}{}
	s.names.see(addr)
}

// conclude passes r on with the names on its path.
func (s *namingSink) conclude(r probe.Result, path probe.Path) error {
	if r.From.IsValid() {
		s.see(r.Target.ID, r.From)
	}
	addrs := slices.Collect(maps.Keys(s.seen[r.Target.ID]))
	delete(s.seen, r.Target.ID)
	r.Detail = &path
	pass := func() error {
		path.Names = s.names.names(addrs)
		return s.Sink.Record(&r)
	}
	if !s.names.waiting(addrs) {
		s.fail(pass())
		return s.failed()
	}
	s.wg.Go(func() {
		s.names.await(s.ctx, addrs)
		s.fail(pass())
	})
	return s.failed()
}

func (s *namingSink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *namingSink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// end waits until everything has been passed on, ends all lookups, and returns
// the first error of what waited.
func (s *namingSink) end() error {
	s.wg.Wait()
	s.names.end()
	return s.failed()
}
