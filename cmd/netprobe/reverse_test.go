package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/probe"
)

// nameServer answers as long after a question as slow says, and counts.
type nameServer struct {
	slow func(addr string) time.Duration // negative: it never answers
	none bool                            // no address has a name

	mu          sync.Mutex
	asked       map[string]int
	now, atMost int // questions under way
}

func (n *nameServer) ask(ctx context.Context, addr string) ([]string, error) {
	n.mu.Lock()
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	n.asked[addr]++
	n.now++
	n.atMost = max(n.atMost, n.now)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.now--
		n.mu.Unlock()
	}()
	wait := n.slow(addr)
	if wait < 0 {
		wait = time.Hour
	}
	if !sleep(ctx, wait) {
		return nil, &net.DNSError{Err: "timeout", IsTimeout: true}
	}
	if n.none {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return []string{"r" + addr[strings.LastIndexAny(addr, ".:")+1:] + ".example."}, nil
}

func steady(d time.Duration) func(string) time.Duration {
	return func(string) time.Duration { return d }
}

// paths is a Sink that remembers when each path was concluded, with which names.
type paths struct {
	mu    sync.Mutex
	start time.Time
	said  []string
}

func (p *paths) Record(r *probe.Result) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if path, ok := r.Detail.(*probe.Path); ok {
		p.said = append(p.said, fmt.Sprintf("%v %s: %d names", time.Since(p.start), r.Target.Name, len(path.Names)))
	}
	return nil
}

// found is a Result of a hop at which 198.51.100.n answered.
func found(t *probe.Target, n int) *probe.Result {
	addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})
	return &probe.Result{Target: t, Seq: uint64(n), Status: probe.Expired, From: addr, Detail: &probe.Hop{TTL: uint8(n)}}
}

func concluded(t *probe.Target) *probe.Result {
	return &probe.Result{Target: t, Detail: &probe.Path{Target: t}}
}

// A path waits for its names only as long as that is worth it, and nothing else
// waits with it.
func TestNamesOfPath(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server *nameServer
		took   time.Duration // of the trace, from its first answer
		want   string        // when the path is shown
	}{
		{"in time", &nameServer{slow: steady(20 * time.Millisecond)}, 100 * time.Millisecond, "100ms a: 3 names"},
		{"a little late", &nameServer{slow: steady(150 * time.Millisecond)}, 100 * time.Millisecond, "150ms a: 3 names"},
		{"none", &nameServer{slow: steady(20 * time.Millisecond), none: true}, 10 * time.Millisecond, "20ms a: 0 names"},
		{"one never", &nameServer{slow: func(a string) time.Duration {
			if a == "198.51.100.2" {
				return -1
			}
			return 20 * time.Millisecond
		}}, 100 * time.Millisecond, "600ms a: 2 names"},
		{"no server", &nameServer{slow: steady(-1)}, 100 * time.Millisecond, "500ms a: 0 names"},
		{"no server, for long", &nameServer{slow: steady(-1)}, 1200 * time.Millisecond, "1.2s a: 0 names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &paths{start: time.Now()}
				s := newNamingSink(t.Context(), sink, newReverse(t.Context(), tt.server.ask))
				a := &probe.Target{Name: "a"}
				for n := range 3 {
					_ = s.Record(found(a, n+1))
				}
				time.Sleep(tt.took)
				begin := time.Now()
				_ = s.Record(concluded(a))
				if d := time.Since(begin); d > 0 {
					t.Errorf("the run was held up for %v", d)
				}
				if err := s.end(); err != nil {
					t.Error(err)
				}
				if got := strings.Join(sink.said, "; "); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// Each address is asked about once, however many targets it leads to, and only
// so many at once.
func TestNamesAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &nameServer{slow: steady(100 * time.Millisecond)}
		sink := &paths{start: time.Now()}
		s := newNamingSink(t.Context(), sink, newReverse(t.Context(), server.ask))
		for id := range 4 {
			target := &probe.Target{ID: id, Name: fmt.Sprint(id)}
			for n := range 100 {
				_ = s.Record(found(target, n))
				_ = s.Record(found(target, n))
			}
		}
		time.Sleep(time.Second)
		_ = s.end()
		if len(server.asked) != 100 || server.atMost != reverseAtOnce {
			t.Errorf("%d addresses asked about, %d at once", len(server.asked), server.atMost)
		}
		for addr, n := range server.asked {
			if n != 1 {
				t.Errorf("%s: asked %d times", addr, n)
			}
		}
	})
}

// The end of the run ends the waiting and every lookup.
func TestNamesEndWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		server := &nameServer{slow: steady(-1)}
		sink := &paths{start: time.Now()}
		s := newNamingSink(ctx, sink, newReverse(ctx, server.ask))
		a := &probe.Target{Name: "a"}
		for n := range 100 {
			_ = s.Record(found(a, n))
		}
		time.AfterFunc(50*time.Millisecond, stop)
		_ = s.Record(concluded(a))
		_ = s.end()
		if took := time.Since(sink.start); took != 50*time.Millisecond || len(sink.said) != 1 {
			t.Errorf("took %v, %q", took, sink.said)
		}
	})
}

// What was known when a view asks, it is told.
func TestNamesWhileUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReverse(t.Context(), (&nameServer{slow: steady(100 * time.Millisecond)}).ask)
		addr := netip.MustParseAddr("198.51.100.7")
		if _, known := r.name(addr); known {
			t.Error("known before anybody asked")
		}
		r.see(addr)
		synctest.Wait()
		if _, known := r.name(addr); known {
			t.Error("known before the answer")
		}
		time.Sleep(101 * time.Millisecond)
		if name, known := r.name(addr); !known || name != "r7.example" {
			t.Errorf("%q, %v", name, known)
		}
		r.end()
	})
}

func TestFirstName(t *testing.T) {
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"gw.example."}, "gw.example"},
		{[]string{"gw.example.", "other.example."}, "gw.example"},
		{[]string{"", ".", "gw.example."}, "gw.example"},
		{[]string{strings.Repeat("a", 256), "gw.example."}, "gw.example"},
		{[]string{"192.0.2.1.", "192.0.2.1"}, ""}, // would pass for an address that answered
		{[]string{"a\x1b[2Jb."}, "a\x1b[2Jb"},     // views escape it
		{[]string{strings.Repeat("b", 254) + "."}, strings.Repeat("b", 254)},
	} {
		if got := firstName(tt.names); got != tt.want {
			t.Errorf("%.40q: got %.40q, want %.40q", tt.names, got, tt.want)
		}
	}
}

// The table of names has an end, whatever a run meets.
func TestNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &nameServer{slow: steady(0)}
		r := newReverse(t.Context(), server.ask)
		for i := range reverseTotal + 1000 {
			r.see(netip.AddrFrom4([4]byte{198, 18 + byte(i>>16), byte(i >> 8), byte(i)}))
		}
		r.see(netip.MustParseAddr("fe80::1%lo"))
		r.see(netip.Addr{})
		time.Sleep(time.Second)
		r.end()
		if len(r.known) != reverseTotal || len(server.asked) != reverseTotal {
			t.Errorf("%d addresses known, %d asked about", len(r.known), len(server.asked))
		}
	})
}
