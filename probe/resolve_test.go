package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func hosts(t *testing.T, names ...string) []Host {
	t.Helper()
	var hs []Host
	for _, n := range names {
		h, err := ParseHost(n, nil)
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	return hs
}

func addrs(ss ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range ss {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// phonebook answers from a map, and with "no such host" for the rest.
func phonebook(book map[string][]netip.Addr) func(context.Context, string, string) ([]netip.Addr, error) {
	return func(_ context.Context, _, name string) ([]netip.Addr, error) {
		if as, ok := book[name]; ok {
			return as, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
}

func TestResolveMakesRows(t *testing.T) {
	r := Resolver{Lookup: phonebook(map[string][]netip.Addr{
		"two.example":  addrs("2001:db8::1", "::ffff:192.0.2.1"),
		"sink.example": addrs("0.0.0.0"),
		"none.example": nil,
	})}
	answers := r.Resolve(t.Context(), hosts(t, "two.example", "192.0.2.9", "nosuch.example", "two.example", "sink.example", "none.example", "localhost"))
	for _, tt := range []struct {
		name string
		all  bool
		want []string
	}{
		{"first address", false, []string{
			"0 two.example [2001:db8::1]:0", "1 192.0.2.9 192.0.2.9:0", "2 nosuch.example: no such host", "3 two.example [2001:db8::1]:0",
			"4 sink.example: resolves to 0.0.0.0: not the address of one host: unspecified", "5 none.example: no such host", "6 localhost 127.0.0.1:0"}},
		{"all addresses", true, []string{
			"0 two.example [2001:db8::1]:0", "1 two.example 192.0.2.1:0", "2 192.0.2.9 192.0.2.9:0", "3 nosuch.example: no such host",
			"4 two.example [2001:db8::1]:0", "5 two.example 192.0.2.1:0", "6 sink.example: resolves to 0.0.0.0: not the address of one host: unspecified",
			"7 none.example: no such host", "8 localhost 127.0.0.1:0", "9 localhost [::1]:0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			targets := Targets(answers, tt.all)
			if len(targets) != len(tt.want) {
				t.Fatalf("%d rows, want %d", len(targets), len(tt.want))
			}
			for i, target := range targets {
				got := fmt.Sprintf("%d %s %v", target.ID, target.Name, target.Addr)
				if target.Err != nil {
					got = fmt.Sprintf("%d %s: %v", target.ID, target.Name, target.Err)
				}
				if got != tt.want[i] {
					t.Errorf("got  %s\nwant %s", got, tt.want[i])
				}
			}
		})
	}
}

func TestResolveAsksOncePerName(t *testing.T) {
	var asked atomic.Int32
	r := Resolver{Lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		asked.Add(1)
		return addrs("192.0.2.1"), nil
	}}
	r.Resolve(t.Context(), hosts(t, "a.example", "a.example", "192.0.2.1", "localhost", "sub.localhost.", "a.example"))
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestResolveLocalhostByFamily(t *testing.T) {
	for network, want := range map[string]string{"": "127.0.0.1", "ip": "127.0.0.1", "ip4": "127.0.0.1", "ip6": "::1"} {
		r := Resolver{Network: network, Lookup: phonebook(nil)}
		a := r.Resolve(t.Context(), hosts(t, "LocalHost"))[0]
		if a.Err != nil || a.Addrs[0].String() != want {
			t.Errorf("network %q: %v %v, want %s", network, a.Addrs, a.Err, want)
		}
	}
}

func TestResolveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		count := func(d int) {
			mu.Lock()
			defer mu.Unlock()
			now += d
			most = max(most, now)
		}
		r := Resolver{Limit: 8, Timeout: time.Minute, Lookup: func(context.Context, string, string) ([]netip.Addr, error) {
			count(1)
			defer count(-1)
			time.Sleep(time.Second)
			return addrs("192.0.2.1"), nil
		}}
		var names []string
		for i := range 80 {
			names = append(names, fmt.Sprintf("h%d.example", i))
		}
		start := time.Now()
		for i, a := range r.Resolve(t.Context(), hosts(t, names...)) {
			if a.Err != nil || a.Host.Name != names[i] {
				t.Fatalf("answer %d: %+v", i, a)
			}
		}
		if most != 8 || time.Since(start) != 10*time.Second {
			t.Errorf("%d lookups at once in %v, want 8 in 10s", most, time.Since(start))
		}
	})
}

// The limit holds for each name from the start of its own lookup: names that
// are not answered do not use up the time of those that wait for their turn.
func TestResolveTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := Resolver{Limit: 2, Lookup: func(ctx context.Context, _, name string) ([]netip.Addr, error) {
			if name == "quick.example" {
				return addrs("192.0.2.1"), nil
			}
			<-ctx.Done()
			if name == "c.example" {
				return nil, ctx.Err()
			}
			return nil, &net.DNSError{Err: "i/o timeout", Name: name, Server: "192.0.2.53:53", IsTimeout: true}
		}}
		start := time.Now()
		answers := r.Resolve(t.Context(), hosts(t, "a.example", "b.example", "c.example", "quick.example"))
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("took %v, want 10s", d)
		}
		want := []string{"no answer from name server 192.0.2.53:53 within 5s", "no answer from name server 192.0.2.53:53 within 5s", "name not resolved within 5s", "<nil>"}
		for i, a := range answers {
			if got := fmt.Sprint(a.Err); got != want[i] {
				t.Errorf("answer %d: %q, want %q", i, got, want[i])
			}
		}
	})
}

// With a hundred dead names the one that has an address is told at once.
func TestResolveTellsEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := Resolver{Lookup: func(ctx context.Context, _, name string) ([]netip.Addr, error) {
			if name == "quick.example" {
				return addrs("192.0.2.1"), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("dead%d.example", i))
		}
		names = append(names, "quick.example", "192.0.2.9", "dead0.example")
		start := time.Now()
		told := make(map[int]time.Duration)
		r.Each(t.Context(), hosts(t, names...), func(i int, a Answer) {
			if a.Host.Name != names[i] || (a.Err == nil) != (i == 100 || i == 101) {
				t.Errorf("answer %d: %+v", i, a)
			}
			if _, twice := told[i]; twice {
				t.Errorf("answer %d told twice", i)
			}
			told[i] = time.Since(start)
		})
		if len(told) != len(names) || told[0] != 5*time.Second || told[100] != 0 || told[101] != 0 || told[102] != 5*time.Second {
			t.Errorf("told %d at %v", len(told), told)
		}
	})
}

func TestResolveEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r := Resolver{Lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		start := time.Now()
		a := r.Resolve(ctx, hosts(t, "a.example"))[0]
		if time.Since(start) != time.Second || !errors.Is(a.Err, context.Canceled) || a.Err.Error() != "not resolved before the run ended" {
			t.Errorf("after %v: %v", time.Since(start), a.Err)
		}
	})
}

func TestResolveExplains(t *testing.T) {
	notFound := &net.DNSError{Err: "no such host", IsNotFound: true}
	for _, tt := range []struct {
		network string
		err     error
		want    string
	}{
		{"ip", notFound, "no such host"},
		{"ip4", notFound, "no such host, or it has no IPv4 address"},
		{"ip6", notFound, "no such host, or it has no IPv6 address"},
		{"ip", &net.DNSError{Err: "server misbehaving", Server: "192.0.2.53:53"}, "name server 192.0.2.53:53: server misbehaving"},
		{"ip", &net.DNSError{Err: "no name servers"}, "no name servers"},
		{"ip", errors.New("surprise"), "surprise"},
	} {
		r := Resolver{Network: tt.network, Lookup: func(context.Context, string, string) ([]netip.Addr, error) { return nil, tt.err }}
		a := r.Resolve(t.Context(), hosts(t, "a.example"))[0]
		if a.Err == nil || a.Err.Error() != tt.want || !errors.Is(a.Err, tt.err) {
			t.Errorf("got %v, want %q wrapping %v", a.Err, tt.want, tt.err)
		}
	}
}

// Rows know their host's name without the port, in the form protocols say it in.
func TestTargetHost(t *testing.T) {
	named, literal := Host{Name: "bücher.example:443", Lookup: "xn--bcher-kva.example", Port: 443}, Host{Name: "192.0.2.1:443", Addr: netip.MustParseAddr("192.0.2.1"), Port: 443}
	answers := []Answer{
		{Host: named, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}},
		{Host: literal, Addrs: []netip.Addr{literal.Addr}},
		{Host: named, Err: ErrNotYet},
	}
	want := []string{"xn--bcher-kva.example", "xn--bcher-kva.example", "", "xn--bcher-kva.example"}
	for i, target := range Targets(answers, true) {
		if target.Host != want[i] || target.Addr.Port() != 443 {
			t.Errorf("%+v", target)
		}
	}
}
