package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A Resolver looks up many names at once, each within the same time limit. The
// zero value asks the system.
type Resolver struct {
	// Network is "ip" (any family; also if empty), "ip4" or "ip6".
	Network string
	Limit   int           // lookups at once; 0 means 256
	Timeout time.Duration // for each name, from the start of its own lookup; 0 means 5 s

	// Lookup asks for one name, as net.Resolver.LookupNetIP does. Nil asks the
	// system's hosts file and name servers.
	Lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)
}

// An Answer is what a Resolver found out about one Host.
type Answer struct {
	Host  Host
	Addrs []netip.Addr // unmapped, in the order of the system's preference (RFC 6724); not empty unless Err is set
	Err   error        // a *ResolveError
}

// ResolveError says why a name has no address. Its text leaves the name out:
// whoever prints it knows the name.
type ResolveError struct {
	Name string // as the user wrote it
	Err  error
	text string
}

func (e *ResolveError) Error() string { return e.text }
func (e *ResolveError) Unwrap() error { return e.Err }

// ErrNotYet is what a ResolveError wraps while a name is still looked up.
var ErrNotYet = errors.New("name not resolved yet")

// NotYet is the Answer about h before there is one.
func NotYet(h Host) Answer {
	return Answer{Host: h, Err: &ResolveError{h.Name, ErrNotYet, ErrNotYet.Error()}}
}

// Resolve is Each for whoever needs all Answers at once, in the order of hosts.
func (r *Resolver) Resolve(ctx context.Context, hosts []Host) []Answer {
	answers := make([]Answer, len(hosts))
	r.Each(ctx, hosts, func(i int, a Answer) { answers[i] = a })
	return answers
}

// Each looks up hosts and tells the Answer about each, hosts[i], as soon as it
// is known; the calls of tell come one at a time. Literals come first and never
// touch the resolver, a name given several times is asked for once. It returns
// when all are told. When ctx ends, what is unknown is told with an Err that
// wraps ctx's.
func (r *Resolver) Each(ctx context.Context, hosts []Host, tell func(i int, a Answer)) {
	rows := make(map[string][]int) // rows that wait for the same name
	var names []string
	for i, h := range hosts {
		if h.Addr.IsValid() {
			tell(i, Answer{Host: h, Addrs: []netip.Addr{h.Addr}})
			continue
		}
		if rows[h.Lookup] == nil {
			names = append(names, h.Lookup)
		}
		rows[h.Lookup] = append(rows[h.Lookup], i)
	}
	var mu sync.Mutex
	r.lookUp(ctx, names, func(name string, addrs []netip.Addr, err error) {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range rows[name] {
			a := Answer{Host: hosts[i], Addrs: addrs}
			if err != nil {
				a.Err = r.explain(ctx, hosts[i], err)
			}
			tell(i, a)
		}
	})
}

// lookUp looks up names, Limit at once, and tells what came of each. The calls
// of tell may come at once, for different names.
func (r *Resolver) lookUp(ctx context.Context, names []string, tell func(string, []netip.Addr, error)) {
	limit := r.Limit
	if limit == 0 {
		limit = 256
	}
	todo := make(chan string)
	var wg sync.WaitGroup
	for range min(limit, len(names)) {
		wg.Go(func() {
			for name := range todo {
				limited, cancel := context.WithTimeout(ctx, r.timeout())
				addrs, err := r.one(limited, name)
				cancel()
				tell(name, addrs, err)
			}
		})
	}
	for _, name := range names {
		todo <- name
	}
	close(todo)
	wg.Wait()
}

// timeout is how long one lookup may take.
func (r *Resolver) timeout() time.Duration {
	if r.Timeout == 0 {
		return 5 * time.Second
	}
	return r.Timeout
}

// one looks up one name and leaves out addresses that are nobody's.
func (r *Resolver) one(ctx context.Context, name string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	network := r.Network
	if network == "" {
		network = "ip"
	}
	if isLocalhost(name) {
		return localhost(network), nil
	}
	lookup := r.Lookup
	if lookup == nil {
		lookup = systemLookup
	}
	found, err := lookup(ctx, network, name)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	var last error
	for _, a := range found {
		a = a.Unmap()
		if err := CheckUnicast(a); err != nil {
			last = fmt.Errorf("resolves to %s: %w", a, err)
			continue
		}
		addrs = append(addrs, a)
	}
	if len(addrs) == 0 {
		if last == nil {
			last = &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		}
		return nil, last
	}
	return addrs, nil
}

// systemLookup asks as the Go resolver does (hosts file, then name servers), so
// that a binary linked with libc answers like the static one; on systems whose
// resolver is no file in /etc, the system is asked.
func systemLookup(ctx context.Context, network, name string) ([]netip.Addr, error) {
	system := runtime.GOOS == "windows" || runtime.GOOS == "darwin"
	r := net.Resolver{PreferGo: !system}
	return r.LookupNetIP(ctx, network, name)
}

// isLocalhost reports whether name is "localhost" or below it: always loopback,
// and no name server is asked (RFC 6761, section 6.3).
func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func localhost(network string) []netip.Addr {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	switch network {
	case "ip4":
		return []netip.Addr{v4}
	case "ip6":
		return []netip.Addr{v6}
	}
	return []netip.Addr{v4, v6}
}

// explain says why h has no address. ctx is the caller's: once that has ended,
// whatever went wrong did so because of it.
func (r *Resolver) explain(ctx context.Context, h Host, err error) *ResolveError {
	if ended := ctx.Err(); ended != nil {
		return &ResolveError{h.Name, ended, "not resolved before the run ended"}
	}
	return &ResolveError{h.Name, err, r.words(err)}
}

// words puts a lookup's error into words for people.
func (r *Resolver) words(err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dns.IsNotFound && r.Network == "ip4":
		return "no such host, or it has no IPv4 address"
	case isDNS && dns.IsNotFound && r.Network == "ip6":
		return "no such host, or it has no IPv6 address"
	case isDNS && dns.IsNotFound:
		return "no such host"
	case isDNS && dns.IsTimeout && dns.Server != "":
		return fmt.Sprintf("no answer from name server %s within %v", dns.Server, r.timeout())
	case errors.Is(err, context.DeadlineExceeded), isDNS && dns.IsTimeout:
		return fmt.Sprintf("name not resolved within %v", r.timeout())
	case isDNS && dns.Server != "":
		return fmt.Sprintf("name server %s: %s", dns.Server, dns.Err)
	case isDNS:
		return dns.Err
	}
	return err.Error()
}

// Targets makes the rows of a run: one a host at its first address, or with all
// one an address. A host without an address is a row with Err set, which has its
// port alone.
func Targets(answers []Answer, all bool) []*Target {
	var targets []*Target
	add := func(h Host, addr netip.Addr, err error) {
		targets = append(targets, &Target{ID: len(targets), Name: h.Name, Host: h.Lookup, Addr: netip.AddrPortFrom(addr, h.Port), Err: err})
	}
	for _, a := range answers {
		switch {
		case a.Err != nil:
			add(a.Host, netip.Addr{}, a.Err)
		case all:
			for _, addr := range a.Addrs {
				add(a.Host, addr, nil)
			}
		default:
			add(a.Host, a.Addrs[0], nil)
		}
	}
	return targets
}
