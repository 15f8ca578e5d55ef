package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Reverse lookups are a courtesy: they must neither hold up a trace nor burden
// a name server.
const (
	reverseAtOnce   = 32                     // lookups under way
	reverseLimit    = 2 * time.Second        // for one lookup
	reverseTotal    = 1 << 14                // addresses looked up in one run
	reversePatience = 500 * time.Millisecond // how long a finished trace waits for its names
	maxName         = 255                    // octets of a name (RFC 1035, section 2.3.4)
)

// reverse finds the names of addresses, each once, while a run goes on. Its
// methods may be called from several goroutines.
type reverse struct {
	ctx  context.Context
	stop context.CancelFunc

	// ask is net.Resolver.LookupAddr, or a test's.
	ask func(ctx context.Context, addr string) ([]string, error)

	mu      sync.Mutex
	known   map[netip.Addr]*reverseName
	queue   []*reverseName
	workers int
	first   time.Time // when the first lookup began; zero before that
	alive   bool      // some lookup came to an end other than by its time limit

	wg sync.WaitGroup // the workers
}

// A reverseName is the name of one address.
type reverseName struct {
	addr netip.Addr
	name string        // set before done is closed; empty if there is none
	done chan struct{} // closed when the lookup is over
}

// newReverse returns what looks names up with ask, nil for the system's
// resolver, until end is called or ctx ends.
func newReverse(ctx context.Context, ask func(context.Context, string) ([]string, error)) *reverse {
	r := &reverse{known: map[netip.Addr]*reverseName{}, ask: ask}
	r.ctx, r.stop = context.WithCancel(ctx)
	if r.ask == nil {
		r.ask = r.resolver().LookupAddr
	}
	return r
}

// resolver asks the hosts file and name servers as the lookups of targets do.
// Go's resolver sees the end of a context only between its queries: ending them
// with it is for us.
func (r *reverse) resolver() *net.Resolver {
	system := runtime.GOOS == "windows" || runtime.GOOS == "darwin"
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		}
		return c, err
	}
	return &net.Resolver{PreferGo: !system, Dial: dial}
}

// see starts to look up the name of addr unless it was seen before.
func (r *reverse) see(addr netip.Addr) {
	addr = addr.WithZone("")
	if !addr.IsValid() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
		return // no name server knows these
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[addr] != nil || len(r.known) >= reverseTotal {
		return
	}
	n := &reverseName{addr: addr, done: make(chan struct{})}
	r.known[addr] = n
	r.queue = append(r.queue, n)
	if r.first.IsZero() {
		r.first = time.Now()
	}
	if r.workers < reverseAtOnce {
		r.workers++
		r.wg.Go(r.work)
	}
}

// work looks up what is queued until nothing is.
func (r *reverse) work() {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.workers--
			r.mu.Unlock()
			return
		}
		n := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		name, alive := r.lookUp(n.addr)
		r.mu.Lock()
		n.name = name
		r.alive = r.alive || alive
		close(n.done)
		r.mu.Unlock()
	}
}

// lookUp asks for one name; alive reports whether anybody answered.
func (r *reverse) lookUp(addr netip.Addr) (name string, alive bool) {
	if r.ctx.Err() != nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(r.ctx, reverseLimit)
	defer cancel()
	names, err := r.ask(ctx, addr.String())
	if ctx.Err() != nil {
		return "", false
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	return firstName(names), err == nil || isDNS && dns.IsNotFound
}

// firstName returns the first of names that can be one, without the dot at its
// end. What it holds is up to whoever runs the name server: it is shown escaped.
// An address is no name: it would pass for the one that was asked about.
func firstName(names []string) string {
	for _, n := range names {
		if n == "" || len(n) > maxName {
			continue
		}
		n = strings.TrimSuffix(n, ".")
		if _, err := netip.ParseAddr(n); err != nil && n != "" {
			return n
		}
	}
	return ""
}

// name returns the name of addr as far as it is known by now. It is known also
// if there turned out to be none.
func (r *reverse) name(addr netip.Addr) (name string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.known[addr.WithZone("")]
	if n == nil {
		return "", false
	}
	select {
	case <-n.done:
		return n.name, true
	default:
		return "", false
	}
}

// names returns the names of addrs that are known by now.
func (r *reverse) names(addrs []netip.Addr) map[netip.Addr]string {
	found := make(map[netip.Addr]string, len(addrs))
	for _, a := range addrs {
		if name, _ := r.name(a); name != "" {
			found[a] = name
		}
	}
	return found
}

// waiting reports whether lookups of addrs are under way.
func (r *reverse) waiting(addrs []netip.Addr) bool {
	for _, n := range r.entries(addrs) {
		select {
		case <-n.done:
		default:
			return true
		}
	}
	return false
}

func (r *reverse) entries(addrs []netip.Addr) []*reverseName {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*reverseName
	for _, a := range addrs {
		if n := r.known[a.WithZone("")]; n != nil {
			list = append(list, n)
		}
	}
	return list
}

// await waits until the lookups of addrs are over, but briefly: less if no name
// server has answered anything yet, and not at all once ctx has ended.
func (r *reverse) await(ctx context.Context, addrs []netip.Addr) {
	timer := time.NewTimer(r.patience())
	defer timer.Stop()
	for _, n := range r.entries(addrs) {
		select {
		case <-n.done:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// patience is how long it is worth waiting for a name: where no name server has
// answered since the first lookup began, that time counts.
func (r *reverse) patience() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive || r.first.IsZero() {
		return reversePatience
	}
	return max(reversePatience-time.Since(r.first), 0)
}

// end ends all lookups.
func (r *reverse) end() {
	r.stop()
	r.wg.Wait()
}
