package icmp

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// kinds runs f for each kind of socket on topo, with a real kernel at our end.
func kinds(t *testing.T, topo lab.Topology, f func(t *testing.T, l *lab.Lab, kind rawsock.Kind)) {
	for _, kind := range []rawsock.Kind{rawsock.Raw, rawsock.Datagram} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			l := lab.Start(t, topo)
			l.Must(l.PingGroups(0, 0))
			f(t, l, kind)
		})
	}
}

// liveRun runs cfg inside l in real time.
func liveRun(t *testing.T, l *lab.Lab, cfg Config) *play {
	t.Helper()
	p := &play{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.live(ctx, l, cfg, func(probe.Result) {})
	return p
}

// live runs cfg inside l: the sockets, and the sender, which asks for routes.
func (p *play) live(ctx context.Context, l *lab.Lab, cfg Config, emitted func(probe.Result)) {
	p.t.Helper()
	var err error
	l.Do(func() {
		if p.Engine, err = Open(cfg); err != nil {
			return
		}
		err = p.Probe(ctx, func(r probe.Result) {
			p.results = append(p.results, r)
			emitted(r)
		})
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.check()
}

// The counts over a real kernel and real sockets are those of the simulator's
// own log, whatever it does to the packets.
func TestLiveCounts(t *testing.T) {
	topo := lab.Topology{
		Seed: 11,
		Out:  lab.Link{Delay: 5 * ms, Loss: .15, Duplicate: .1},
		Back: lab.Link{Delay: 5 * ms, Jitter: 10 * ms, Loss: .15, Duplicate: .1, Reorder: .15, ReorderDelay: 60 * ms},
		Hops: []lab.Hop{{Addrs: hop1}},
	}
	kinds(t, topo, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		cfg := Config{
			Targets: targets(target4, target6, "203.0.113.8", "2001:db8:7::8"), Count: 100, Interval: 10 * ms,
			Timeout: time.Second, Late: 500 * ms, Size: 56, Socket: rawsock.Config{Kind: kind},
		}
		p := liveRun(t, l, cfg)
		got, want := p.tally(), tallyOf(l.Log().Count(cfg.Timeout, cfg.Late))
		// The run ends with its last answer, maybe before that one's duplicate; and
		// which of two answers of one instant came first is for the kernel to say.
		want.Duplicates, want.Reordered = got.Duplicates, got.Reordered
		if got != want || got.Lost == 0 || got.Duplicates == 0 || got.Reordered == 0 {
			t.Errorf("counted %+v, the network did %+v", got, l.Log().Count(cfg.Timeout, cfg.Late))
		}
		if c := p.Counters(); c.UserClock > uint64(got.Received/10) || c.Dropped != 0 {
			t.Errorf("counters %+v", c)
		}
	})
}

// Errors of hops and hosts are told as such on both kinds of socket.
func TestLiveErrors(t *testing.T) {
	topo := lab.Topology{
		Hops: []lab.Hop{{Addrs: hop1}},
		Hosts: []lab.Host{
			{At: lab.At("203.0.113.7", "2001:db8:7::7")},
			{At: lab.At("203.0.113.1", "2001:db8:7::1"), Error: lab.HostUnreachable},
			{At: lab.At("203.0.113.2", "2001:db8:7::2"), Error: lab.AdminProhibited, Quote: lab.Quote{Transport: 8}},
			{At: lab.At("203.0.113.3", "2001:db8:7::3"), Payload: lab.Zeroed},
			{At: lab.At("203.0.113.4", "2001:db8:7::4"), Silent: true},
			{At: lab.At("203.0.113.5", "2001:db8:7::5"), Reflect: true},
		},
	}
	want := []meaning{
		{probe.Reply, probe.EchoReply}, unreachable(probe.HostUnreachable), unreachable(probe.AdminProhibited),
		{probe.Lost, probe.BadReply}, noVerdict, noVerdict,
	}
	kinds(t, topo, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		ts := targets("203.0.113.7", "203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5",
			"2001:db8:7::7", "2001:db8:7::1", "2001:db8:7::2", "2001:db8:7::3", "2001:db8:7::4", "2001:db8:7::5")
		cfg := Config{Targets: ts, Count: 5, Interval: 50 * ms, Timeout: 500 * ms, Late: 100 * ms, Size: 56, Socket: rawsock.Config{Kind: kind}}
		p := liveRun(t, l, cfg)
		for _, r := range p.outcomes() {
			if w := want[r.Target.ID%6]; r.Status != w.status || r.Reason != w.reason {
				t.Errorf("%v, probe %d: %v %v, want %v %v", r.Target.Name, r.Seq, r.Status, r.Reason, w.status, w.reason)
			}
		}
	})
}

// While the link is down every probe is our failure; then the run recovers.
func TestLiveLinkDownAndUp(t *testing.T) {
	kinds(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		cfg := Config{Targets: targets(target4, target6), Interval: 20 * ms, Timeout: 500 * ms, Size: 56, Count: 1000, Socket: rawsock.Config{Kind: kind}}
		disturb(t, l, cfg, l.Down, l.Up, func(r probe.Result) bool {
			return r.Status == probe.Failed && (r.Reason == probe.LinkDown || r.Reason == probe.NoRoute)
		})
	})
}

// The same while the host has no address to send from.
func TestLiveAddressRemoved(t *testing.T) {
	for _, addr := range []string{target4, target6} {
		kinds(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
			mine := same(addr, "192.0.2.1", "2001:db8::1")
			cfg := Config{
				Targets: targets(addr), Interval: 20 * ms, Timeout: 500 * ms, Size: 56, Count: 1000,
				Socket: rawsock.Config{Kind: kind, Source: mine},
			}
			disturb(t, l, cfg, func() error { return l.RemoveAddr(mine) }, func() error {
				return l.AddAddr(netip.PrefixFrom(mine, mine.BitLen()))
			}, func(r probe.Result) bool { return r.Status == probe.Failed && r.Reason == probe.NoRoute })
		})
	}
}

// disturb runs cfg, breaks the network after some replies, mends it when each
// target had a failure, and ends when each had replies again.
func disturb(t *testing.T, l *lab.Lab, cfg Config, brk, mend func() error, failure func(probe.Result) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen, step := map[int]int{}, 0
	p := &play{t: t}
	p.live(ctx, l, cfg, func(r probe.Result) {
		good := r.Status == probe.Reply
		if step == 1 {
			good = failure(r)
		}
		if good {
			seen[r.Target.ID]++
		}
		for id := range cfg.Targets {
			if seen[id] < 5 {
				return
			}
		}
		clear(seen)
		switch step++; step {
		case 1:
			l.Must(brk())
		case 2:
			l.Must(mend())
		case 3:
			cancel()
		}
	})
	if step < 3 {
		t.Errorf("at step %d after %+v; last %+v", step, p.tally(), p.results[max(0, len(p.results)-3):])
	}
}

// The path MTU is found through real sockets, by name and in a black hole.
func TestLiveMTU(t *testing.T) {
	for _, hole := range []bool{false, true} {
		topo := lab.Topology{Hops: []lab.Hop{{Addrs: hop1, Out: lab.Link{MTU: 1400, BlackHole: hole}}}}
		kinds(t, topo, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
			cfg := Config{
				Targets: targets(target4, target6), Pace: Lockstep, Timeout: 300 * ms,
				Sizer:  NewMTUSearch(func(*probe.Target) int { return 1500 }),
				Socket: rawsock.Config{Kind: kind, PMTU: rawsock.PMTUProbe},
			}
			p := liveRun(t, l, cfg)
			found := 0
			for _, r := range p.results {
				if m, ok := r.Detail.(*probe.PathMTU); ok {
					found++
					if m.MTU != 1400 || m.BlackHole != hole || m.From.IsValid() == hole {
						t.Errorf("%v: found %+v", r.Target.Name, m)
					}
				}
			}
			if found != 2 {
				t.Errorf("%d found", found)
			}
		})
	}
}

// A storm on the host does not disturb a raw socket's counts.
func TestLiveStorm(t *testing.T) {
	kinds(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		cfg := Config{Targets: targets(target4, target6), Count: 50, Interval: 10 * ms, Timeout: 5 * time.Second, Size: 56, Socket: rawsock.Config{Kind: kind}}
		l.Storm(20_000, 500*ms)
		p := liveRun(t, l, cfg)
		if got, want := p.tally(), (tally{Sent: 100, Received: 100}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

// Over loopback, with whatever socket this process may open.
func TestLiveLoopback(t *testing.T) {
	var ts []*probe.Target
	for i, a := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		ts = append(ts, targetAt(i, a))
	}
	e, err := Open(Config{Targets: ts, Count: 20, Interval: 5 * ms, Timeout: 5 * time.Second, Size: 56})
	if _, denied := errors.AsType[*rawsock.PermissionError](err); denied {
		t.Skip("no ICMP socket is allowed: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, Engine: e}
	if err := e.Probe(t.Context(), func(r probe.Result) { p.results = append(p.results, r) }); err != nil {
		t.Fatal(err)
	}
	p.check()
	for _, r := range p.results {
		if r.Status == probe.Failed && r.Target.ID == 2 {
			t.Skip("no IPv6 here: ", r.Err)
		}
	}
	if got, want := p.tally(), (tally{Sent: 60, Received: 60}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if err := e.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"source of the other family": {Targets: targets(target4), Socket: rawsock.Config{Source: netip.MustParseAddr("::1")}},
		"no such interface":          {Targets: targets(target4), Socket: rawsock.Config{Interface: "nosuch0"}},
	} {
		if e, err := Open(cfg); err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
		}
	}
	e, err := Open(Config{}) // no targets yet, no sockets
	if err != nil {
		t.Fatal(err)
	}
	if e.Clock() != probe.User {
		t.Errorf("clock %v", e.Clock())
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
