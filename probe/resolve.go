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

// A Resolver looks up many names at once, within one time limit. The zero
// value asks the system.
type Resolver struct {
	// Network is "ip" (any family; also if empty), "ip4" or "ip6".
	Network string
	Limit   int           // lookups at once; 0 means 64
	Timeout time.Duration // for all names of one call together; 0 means 5 s

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

// Resolve looks up hosts and returns one Answer each, in order. Literals never
// touch the resolver, a name given several times is asked for once. It returns
// when all are known, at the latest after Timeout or when ctx ends; what is
// unknown then has its Err set.
func (r *Resolver) Resolve(ctx context.Context, hosts []Host) []Answer {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	answers := make([]Answer, len(hosts))
	byName := make(map[string][]int) // rows that wait for the same name
	var names []string
	for i, h := range hosts {
		answers[i].Host = h
		if h.Addr.IsValid() {
			answers[i].Addrs = []netip.Addr{h.Addr}
			continue
		}
		if byName[h.Lookup] == nil {
			names = append(names, h.Lookup)
		}
		byName[h.Lookup] = append(byName[h.Lookup], i)
	}
	r.each(limited, names, func(name string, addrs []netip.Addr, err error) {
		for _, i := range byName[name] {
			answers[i].Addrs = addrs
			if err != nil {
				answers[i].Err = &ResolveError{hosts[i].Name, err, r.explain(ctx, err, timeout)}
			}
		}
	})
	return answers
}

// each looks up names, Limit at once, and tells what came of each. The calls of
// tell may come at once, for different names.
func (r *Resolver) each(ctx context.Context, names []string, tell func(string, []netip.Addr, error)) {
	limit := r.Limit
	if limit == 0 {
		limit = 64
	}
	todo := make(chan string)
	var wg sync.WaitGroup
	for range min(limit, len(names)) {
		wg.Go(func() {
			for name := range todo {
				addrs, err := r.one(ctx, name)
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

// explain puts a lookup's error into words for people. ctx is the caller's: if
// it has not ended, a context error means that the time limit passed.
func (r *Resolver) explain(ctx context.Context, err error, limit time.Duration) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case ctx.Err() != nil:
		return "not resolved before the run ended"
	case isDNS && dns.IsNotFound && r.Network == "ip4":
		return "no such host, or it has no IPv4 address"
	case isDNS && dns.IsNotFound && r.Network == "ip6":
		return "no such host, or it has no IPv6 address"
	case isDNS && dns.IsNotFound:
		return "no such host"
	case isDNS && dns.IsTimeout && dns.Server != "":
		return fmt.Sprintf("no answer from name server %s within %v", dns.Server, limit)
	case errors.Is(err, context.DeadlineExceeded), isDNS && dns.IsTimeout:
		return fmt.Sprintf("name not resolved within %v", limit)
	case isDNS && dns.Server != "":
		return fmt.Sprintf("name server %s: %s", dns.Server, dns.Err)
	case isDNS:
		return dns.Err
	}
	return err.Error()
}

// Targets makes the rows of a run: one a host at its first address, or with all
// one an address. A host without an address is a row with Err set.
func Targets(answers []Answer, all bool) []*Target {
	var targets []*Target
	add := func(t Target) {
		t.ID = len(targets)
		targets = append(targets, &t)
	}
	for _, a := range answers {
		switch {
		case a.Err != nil:
			add(Target{Name: a.Host.Name, Err: a.Err})
		case all:
			for _, addr := range a.Addrs {
				add(Target{Name: a.Host.Name, Addr: netip.AddrPortFrom(addr, 0)})
			}
		default:
			add(Target{Name: a.Host.Name, Addr: netip.AddrPortFrom(a.Addrs[0], 0)})
		}
	}
	return targets
}
