package tcpprobe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// named is who looks names up as answer says.
func named(answer func(context.Context) ([]netip.Addr, error)) *probe.Resolver {
	return &probe.Resolver{Lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) { return answer(ctx) }}
}

func addrs(list ...string) func(context.Context) ([]netip.Addr, error) {
	return func(context.Context) (found []netip.Addr, err error) {
		for _, s := range list {
			found = append(found, netip.MustParseAddr(s))
		}
		return found, nil
	}
}

func greet(c net.Conn) { _, _ = io.WriteString(c, "hello\n") }

// askNamed asks c of to, whose name is looked up.
func askNamed(t *testing.T, to netip.AddrPort, host string, c Climb, timeout time.Duration) (a crew.Answer) {
	t.Helper()
	for range 10 {
		a = NewAsker(rawsock.Config{}, &c).Ask(t.Context(), crew.Try{To: to, N: 1, Host: host, Timeout: timeout})
		if a.Err != errBusy {
			return a
		}
	}
	t.Skip(a.Err)
	return a
}

// Looking up the name is the first phase, and that it means somebody else by now a
// fact. A literal has none.
func TestResolvePhase(t *testing.T) {
	to := serve(t, greet)
	for _, tc := range []struct {
		name, host string
		lookup     func(context.Context) ([]netip.Addr, error)
		phases     string
		now        []string
	}{
		{"same", testName, addrs("192.0.2.1", "127.0.0.1"), "resolve connect banner", nil},
		{"mapped", testName, addrs("::ffff:127.0.0.1"), "resolve connect banner", nil},
		{"changed", testName, addrs("192.0.2.7", "2001:db8::7"), "resolve connect banner", []string{"192.0.2.7", "2001:db8::7"}},
		{"literal", "127.0.0.1", nil, "connect banner", nil},
		{"no name", "", nil, "connect banner", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := askNamed(t, to, tc.host, Climb{Banner: true, Names: named(tc.lookup)}, patience)
			if !a.Good() || a.Status != probe.Reply || phases(&a) != tc.phases {
				t.Fatalf("%v %v, phases %s", a.Status, a.Reason, phases(&a))
			}
			got := facts(a.Detail.(*probe.Layers))
			now, _ := got["resolve_changed_to"].([]string)
			if len(now) != len(tc.now) || len(now) > 0 && now[1] != tc.now[1] || got["banner"] != "hello\n" {
				t.Errorf("%v", got)
			}
		})
	}
}

// The time of the lookup is part of the probe's, and none of the round trip.
func TestResolveTime(t *testing.T) {
	const slow = 50 * time.Millisecond
	c := Climb{Banner: true, Names: named(func(ctx context.Context) ([]netip.Addr, error) {
		time.Sleep(slow)
		return addrs("127.0.0.1")(ctx)
	})}
	a := askNamed(t, serve(t, greet), testName, c, patience)
	l := a.Detail.(*probe.Layers)
	if !a.Good() || l.Phases[0].Took < slow || a.RTT > l.Phases[1].Took || a.At.Sub(a.Sent) < l.Phases[0].Took+l.Phases[1].Took {
		t.Errorf("%v %v, rtt %v, %v", a.Status, a.Reason, a.RTT, l)
	}
}

// That a name does not exist is the word of its name servers: the address is asked
// all the same, nothing above it.
func TestResolveGone(t *testing.T) {
	gone := &net.DNSError{Err: "no such host", Name: testName, IsNotFound: true}
	c := Climb{Banner: true, Names: named(func(context.Context) ([]netip.Addr, error) { return nil, gone })}
	a := askNamed(t, serve(t, greet), testName, c, patience)
	l := a.Detail.(*probe.Layers)
	if a.Status != probe.Reply || a.Reason != probe.ResolveFailed || a.Good() || l.FailedAt != "resolve" || l.Why != "no such host" || phases(&a) != "resolve connect" {
		t.Errorf("%v %v, %+v", a.Status, a.Reason, l)
	}
	closed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), closedPort(t, "127.0.0.1"))
	a = askNamed(t, closed, testName, c, patience)
	l = a.Detail.(*probe.Layers)
	if a.Status != probe.Refused || a.Reason != probe.RST || l.FailedAt != "resolve" || phases(&a) != "resolve connect" {
		t.Errorf("%v %v, %+v", a.Status, a.Reason, l)
	}
	c.Names = named(addrs("0.0.0.0"))
	a = askNamed(t, closed, testName, c, patience)
	if l = a.Detail.(*probe.Layers); l.FailedAt != "resolve" {
		t.Errorf("%v %v, %+v", a.Status, a.Reason, l)
	}
}

// Whatever else keeps a name from being looked up is no fault of the target.
func TestResolveTroubles(t *testing.T) {
	to := serve(t, greet)
	for name, err := range map[string]error{
		"refuses": &net.DNSError{Err: "server misbehaving", Server: "192.0.2.53:53", IsTemporary: true},
		"other":   errors.New("no name server"),
	} {
		t.Run(name, func(t *testing.T) {
			c := Climb{Banner: true, Names: named(func(context.Context) ([]netip.Addr, error) { return nil, err })}
			if a := askNamed(t, to, testName, c, patience); a.Status != probe.Failed || a.Reason != probe.ResolveFailed || a.Err == nil || !a.Sent.IsZero() {
				t.Errorf("%+v", a.Result)
			}
		})
	}
	wait := named(func(ctx context.Context) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() })
	began := time.Now()
	a := askNamed(t, to, testName, Climb{Banner: true, Names: wait}, impatience)
	if a.Status != probe.Failed || a.Reason != probe.ResolveFailed || time.Since(began) > patience {
		t.Errorf("%+v after %v", a.Result, time.Since(began))
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	a = NewAsker(rawsock.Config{}, &Climb{Banner: true, Names: wait}).Ask(ctx, crew.Try{To: to, Host: testName, Timeout: patience})
	if a.Status != probe.Pending || a.Reason != probe.Canceled {
		t.Errorf("%+v", a.Result)
	}
}

// A target that had little time to answer, as looking it up took the rest, was not tested.
func TestResolveTookIt(t *testing.T) {
	to := netip.MustParseAddrPort("192.0.2.1:1")
	n := &naming{took: 900 * time.Millisecond, addrs: []netip.Addr{to.Addr()}}
	lost := crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}
	a := lost
	n.complete(&a, crew.Try{To: to}, 100*time.Millisecond, time.Second)
	if a.Status != probe.Failed || a.Reason != probe.ResolveFailed || a.Err.Error() != "looking up the name took 900 ms of 1 s" {
		t.Errorf("%+v", a.Result)
	}
	a, n.took = lost, 100*time.Millisecond
	n.complete(&a, crew.Try{To: to}, 900*time.Millisecond, time.Second)
	if a.Status != probe.Lost || phases(&a) != "resolve connect" {
		t.Errorf("%+v", a.Result)
	}
}
