package sweep

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"netprobe/probe"
)

const (
	maxLookups    = 256             // at once
	lookupTimeout = 5 * time.Second // of one name
)

// names are the names of a sweep between their turn and their being handed out.
type names struct {
	queue   []name                // their turn has come
	running map[uint64]probe.Host // being looked up, or cut off by the end of the run; by index
	workers int
	found   []probe.Candidate // looked up
	popped  int               // of found, handed out
}

// pop puts the next name that has an address into c, if there is one.
func (n *names) pop(c *probe.Candidate) bool {
	if n.popped == len(n.found) {
		return false
	}
	*c = n.found[n.popped]
	n.found[n.popped] = probe.Candidate{}
	if n.popped++; n.popped == len(n.found) {
		n.found, n.popped = n.found[:0], 0
	}
	return true
}

// open returns how many names are not yet looked up.
func (n *names) open() int { return len(n.queue) + len(n.running) }

// indices returns the indices of all that was not wholly handed out.
func (n *names) indices() []uint64 {
	all := slices.Collect(maps.Keys(n.running))
	for _, name := range n.queue {
		all = append(all, name.index)
	}
	for _, c := range n.found[n.popped:] {
		all = append(all, c.Index)
	}
	return all
}

// lookUp looks names up as their turn comes, until ctx ends.
func (h *Hosts) lookUp(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for {
		select {
		case <-h.called:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		more := min(len(h.names.queue), maxLookups-h.names.workers)
		h.names.workers += more
		h.mu.Unlock()
		for range more {
			workers.Go(func() { h.work(ctx) })
		}
	}
}

// work looks names up until none is waiting.
func (h *Hosts) work(ctx context.Context) {
	for {
		h.mu.Lock()
		if len(h.names.queue) == 0 || ctx.Err() != nil {
			h.names.workers--
			h.mu.Unlock()
			return
		}
		n := h.names.queue[0]
		h.names.queue[0] = name{}
		h.names.queue = h.names.queue[1:]
		h.names.running[n.index] = n.host
		h.mu.Unlock()
		h.resolve(ctx, n)
	}
}

// resolve looks n up and puts what comes of it where Next finds it. A lookup cut
// off by the end of the run leaves n among the undecided.
func (h *Hosts) resolve(ctx context.Context, n name) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	addrs, err := h.cfg.Lookup(limited, n.host)
	late := limited.Err() != nil
	cancel()
	switch {
	case err != nil && ctx.Err() != nil:
		return
	case err != nil && late:
		err = fmt.Errorf("name not resolved within %v", lookupTimeout)
	}
	if err == nil {
		addrs, err = h.usable(addrs)
	}
	if err != nil {
		h.tell(0, n.host.Name, err)
	}
	if !h.cfg.All && len(addrs) > 1 {
		addrs = addrs[:1]
	}
	h.mu.Lock()
	delete(h.names.running, n.index)
	for _, a := range addrs {
		h.names.found = append(h.names.found, probe.Candidate{Index: n.index, Addr: a, Name: n.host.Name})
	}
	if len(addrs) == 0 {
		h.count.less++
	} else {
		h.count.more += uint64(len(addrs) - 1)
	}
	wake := h.wakeup()
	h.mu.Unlock()
	wake()
}

// usable returns those of a name's addresses that may be asked.
func (h *Hosts) usable(found []netip.Addr) ([]netip.Addr, error) {
	var addrs []netip.Addr
	var last error
	for _, a := range found {
		a = a.Unmap()
		err := probe.CheckUnicast(a)
		switch {
		case err != nil:
			last = fmt.Errorf("resolves to %s: %w", a, err)
		case h.cfg.Parser.Family == 4 && !a.Is4(), h.cfg.Parser.Family == 6 && !a.Is6():
		case h.list.excluded(a):
			last = fmt.Errorf("resolves to %s, which is %w", a, ErrExcluded)
		case !slices.Contains(addrs, a):
			addrs = append(addrs, a)
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case last != nil:
		return nil, last
	case h.cfg.Parser.Family != 0:
		return nil, fmt.Errorf("no such host, or it has no IPv%d address", h.cfg.Parser.Family)
	}
	return nil, fmt.Errorf("no such host")
}

// systemLookup returns a Config.Lookup that asks the system for addresses of a
// family, or of both if that is 0.
func systemLookup(family int) func(context.Context, probe.Host) ([]netip.Addr, error) {
	network := map[int]string{0: "ip", 4: "ip4", 6: "ip6"}[family]
	r := probe.Resolver{Network: network, Timeout: lookupTimeout}
	return func(ctx context.Context, h probe.Host) ([]netip.Addr, error) {
		a := r.Resolve(ctx, []probe.Host{h})[0]
		return a.Addrs, a.Err
	}
}
