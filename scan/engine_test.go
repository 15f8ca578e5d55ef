package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// A host that refuses: as many tries as ports, in a few round trips.
func TestRefused(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(1)
		w.timed, w.answer = timed, opens(true, 22, 443, 8080)
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(65535), Seed: 7})
		if r.count(probe.PortOpen) != 3 || r.count(probe.PortClosed) != 65532 || len(w.sent) != 65535 || r.took > 400*ms {
			t.Error(r)
		}
		t.Log(r)
	})
}

// A firewall that drops all but five ports costs little more than the wait for the last try.
func TestDropped(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		for seed := range uint64(20) {
			w := newWorld(seed)
			w.timed, w.answer = timed, opens(false, 22, 80, 443, 500, 900)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), Seed: seed, Retries: Adaptive})
			if r.count(probe.PortOpen) != 5 || r.count(probe.PortFiltered) != 995 || r.took > 3*time.Second || len(w.sent) > 3000 {
				t.Error(r)
			}
			if seed == 0 {
				t.Log(r)
			}
		}
	})
}

// One packet in ten is lost each way, and every open port is found, soon.
func TestLossy(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		var longest time.Duration
		for seed := range uint64(50) {
			w := newWorld(seed)
			w.timed, w.loss, w.answer = timed, 0.1, opens(true, portsTo(20)...)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), Seed: seed, Retries: Adaptive})
			if r.count(probe.PortOpen) != 20 || r.count(probe.PortClosed) != 980 {
				t.Error(r)
			}
			if seed == 0 {
				t.Log(r)
			}
			longest = max(longest, r.took)
		}
		t.Log("longest", longest)
	})
}

// What is sent too fast for a link is lost there. The scan slows down, and all is
// found.
func TestCongested(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(3)
		w.timed, w.rtt, w.answer = timed, 20*ms, opens(true, 22, 443)
		queue := newBucket(2000, 40) // packets a second, and how many wait
		w.lose = func(netip.AddrPort, int) bool { return !queue.take(time.Since(w.from)) }
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(10000), Retries: Adaptive})
		if r.count(probe.PortOpen) != 2 || r.count(probe.PortClosed) != 9998 || r.took > 15*time.Second || len(w.sent) > 16000 {
			t.Error(r)
		}
		t.Log(r)
	})
}

// A host that refuses no more than 200 times a second (as FreeBSD does) is not
// called filtered for it.
func TestRefusalsLimited(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(4)
		w.timed = timed
		limit := newBucket(200, 200)
		w.answer = opens(true, 22, 443, 8080)
		w.lose = func(to netip.AddrPort, _ int) bool {
			return w.answer(to, 1).Status == probe.Refused && !limit.take(time.Since(w.from))
		}
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(9000), Retries: Adaptive})
		if r.count(probe.PortOpen) != 3 || r.count(probe.PortFiltered) > 9 || r.took > 150*time.Second {
			t.Error(r)
		}
		t.Log(r)
	})
}

// bucket holds tokens: as many a second, no more than burst.
type bucket struct {
	rate, burst, have float64
	last              time.Duration
}

func newBucket(rate, burst float64) *bucket { return &bucket{rate: rate, burst: burst, have: burst} }

func (b *bucket) take(now time.Duration) bool {
	b.have = min(b.have+(now-b.last).Seconds()*b.rate, b.burst)
	b.last = now
	if b.have < 1 {
		return false
	}
	b.have--
	return true
}

// Three quarters of a network are absent: that costs no more than their silence.
func TestAbsentHosts(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(5)
		w.timed = timed
		w.answer = func(to netip.AddrPort, n int) crew.Answer {
			if to.Addr().As4()[3]%4 != 0 {
				return crew.Answer{}
			}
			return opens(true, 2, 11)(to, n)
		}
		var all []string
		for i := range 256 {
			all = append(all, fmt.Sprintf("192.0.2.%d", i))
		}
		r := w.play(t, t.Context(), Config{Source: hostsOf(all...), Ports: portsTo(20), Retries: Adaptive})
		if r.count(probe.PortOpen) != 128 || r.count(probe.PortClosed) != 64*18 || r.count(probe.PortFiltered) != 192*20 || r.took > 3*time.Second {
			t.Error(r)
		}
		t.Log(r)
	})
}

// A path of a second is no path of silence.
func TestSlowPath(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		for _, rtt := range []time.Duration{300 * ms, 900 * ms, 1200 * ms} {
			w := newWorld(6)
			w.timed, w.rtt, w.answer = timed, rtt, opens(true, 22)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(500), Retries: Adaptive})
			if r.count(probe.PortOpen) != 1 || r.count(probe.PortClosed) != 499 {
				t.Error(rtt, r)
			}
		}
	})
}

// An open port that takes a second to answer beside closed ones that take none
// is found, though nothing of the host foretold it.
func TestSlowPort(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(7)
		w.timed = timed
		w.answer = func(to netip.AddrPort, n int) crew.Answer {
			a := opens(true, 22)(to, n)
			if a.Status == probe.Reply {
				a.RTT = 1100 * ms
			}
			return a
		}
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(100), Retries: Adaptive})
		if r.count(probe.PortOpen) != 1 || r.count(probe.PortClosed) != 99 {
			t.Error(r)
		}
	})
}

// What this host lacks makes a scan slower, and nothing else of it.
func TestShortages(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(8)
		w.timed, w.room = timed, 16
		good := opens(true, 22, 443)
		w.answer = func(to netip.AddrPort, n int) crew.Answer {
			if w.random.IntN(2) == 0 {
				return failed(probe.NoLocalPort)
			}
			return good(to, n)
		}
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), Retries: Adaptive})
		if r.count(probe.PortOpen) != 2 || r.count(probe.PortClosed) != 998 || r.Counters().Shortages == 0 || r.Counters().Sent < 1000 {
			t.Error(r)
		}
		if w.most > 16 {
			t.Errorf("%d tries at a time", w.most)
		}
	})
}

// Where it lacks it for good, or was not allowed to ask, that is no state of a port.
func TestFailures(t *testing.T) {
	for _, why := range []probe.Reason{probe.NoDescriptors, probe.Permission, probe.NoRoute} {
		both(t, func(t *testing.T, timed bool) {
			w := newWorld(9)
			w.timed = timed
			w.answer = func(netip.AddrPort, int) crew.Answer { return failed(why) }
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(10), Retries: Adaptive})
			if r.count(probe.PortUnknown) != 10 {
				t.Error(r)
			}
			for _, res := range r.all {
				if res.Status != probe.Failed || res.Reason != why || res.Err == nil {
					t.Errorf("%+v", res)
				}
			}
		})
	}
}

func failed(why probe.Reason) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Failed, Reason: why, Err: errors.New("test")}}
}

// The tries of the whole run keep to a rate, and retries are as many as asked for.
func TestRateAndRetries(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		for retries := range 4 {
			w := newWorld(10)
			w.timed, w.answer = timed, opens(false)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1", "192.0.2.2"), Ports: portsTo(50), Rate: 100, Retries: retries})
			sent := 100 * (retries + 1)
			if least := time.Duration(sent-2) * 10 * ms; len(w.sent) != sent || r.took < least || r.count(probe.PortFiltered) != 100 {
				t.Error(retries, r)
			}
			for i, s := range w.sent[1:] {
				if gap := s.at - w.sent[i].at; gap < 9*ms {
					t.Errorf("%v between tries", gap)
				}
			}
			for _, n := range r.tries {
				if n != uint64(retries+1) {
					t.Errorf("%d tries", n)
				}
			}
		}
	})
}

// Every machine has its part: no port of any host is asked twice or left out.
func TestShards(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		asked := map[netip.AddrPort]int{}
		for i := range uint64(7) {
			w := newWorld(i)
			w.timed, w.answer = timed, opens(true, 1)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1", "192.0.2.2", "192.0.2.3"), Ports: portsTo(5), Seed: i, Shard: probe.Shard{I: i + 1, N: 7}})
			for to := range r.states {
				asked[to]++
			}
		}
		if len(asked) != 15 {
			t.Errorf("%d pairs asked", len(asked))
		}
		for to, n := range asked {
			if n != 1 {
				t.Errorf("%v asked %d times", to, n)
			}
		}
	})
}

// A scan that was cut goes on where it was: what was decided is not asked again,
// what was not is.
func TestResume(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		for _, finish := range []bool{false, true} {
			decided := map[netip.AddrPort]int{}
			var left []Begun
			source := hostsOf("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
			for round := 0; len(decided) < 4*300 && round < 100; round++ {
				w := newWorld(uint64(round))
				w.timed, w.rtt, w.loss, w.answer = timed, 10*ms, 0.05, opens(true, 22, 80)
				again := source.hosts[:source.next]
				source.hosts, source.next = append(hostsLeft(again, left), source.hosts[source.next:]...), 0
				ctx, cancel := context.WithCancel(t.Context())
				cfg := Config{Source: source, Ports: portsTo(300), Seed: 5, Retries: Adaptive, Rate: 1000, Hosts: 2, From: left}
				e := New(cfg, w)
				time.AfterFunc(150*ms, func() {
					if e.Finish(); !finish {
						cancel()
					}
				})
				_ = e.Probe(ctx, func(r probe.Result) {
					if r.Status != probe.Pending {
						decided[r.Target.Addr]++
					}
				})
				cancel()
				w.Close()
				left = e.Left()
			}
			if len(decided) != 1200 || len(left) != 0 {
				t.Errorf("finish %v: %d decided, left %v", finish, len(decided), left)
			}
			for to, n := range decided {
				if n != 1 {
					t.Errorf("finish %v: %v decided %d times", finish, to, n)
				}
			}
		}
	})
}

// hostsLeft are those of hosts that are in left.
func hostsLeft(hosts []probe.Candidate, left []Begun) (again []probe.Candidate) {
	for _, c := range hosts {
		if slices.ContainsFunc(left, func(b Begun) bool { return b.Index == c.Index }) {
			again = append(again, c)
		}
	}
	return again
}

// A run that ends early says of each port of the hosts it began that it was not
// decided.
func TestCut(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(11)
		w.timed, w.answer = timed, opens(false, 22)
		ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
		defer cancel()
		r := w.play(t, ctx, Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), Retries: Adaptive})
		if len(r.states) != 1000 || r.count(probe.PortUnknown) < 900 || r.took != 500*ms {
			t.Error(r)
		}
	})
}

// Two names of one address are two hosts, one after the other.
func TestSameAddress(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(12)
		w.timed, w.answer = timed, opens(true, 22)
		source := hostsOf("192.0.2.1", "192.0.2.1", "192.0.2.2")
		e := New(Config{Source: source, Ports: portsTo(100)}, w)
		got := map[int]int{}
		_ = e.Probe(t.Context(), func(r probe.Result) { got[r.Target.ID]++ })
		w.Close()
		if got[0] != 100 || got[1] != 100 || got[2] != 100 {
			t.Error(got)
		}
	})
}

// An answer that comes when its port was called silent is counted, and no second
// outcome.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(13)
		w.answer = func(to netip.AddrPort, n int) crew.Answer {
			a := openPort(to)
			if to.Port() == 1 {
				a.RTT = 2 * time.Second
			}
			if to.Port() == 2 { // keeps the run going
				return crew.Answer{}
			}
			return a
		}
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1", "192.0.2.2"), Ports: portsTo(2), Rate: 1, Retries: 0})
		if r.Counters().Late == 0 || r.count(probe.PortOpen) != 0 {
			t.Error(r)
		}
	})
}

// What is on its way to an address when a host is decided says nothing of
// another host of that address.
func TestSameAddressInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(14)
		w.timed, w.rtt, w.answer = true, 1200*ms, opens(true, 1)
		n := 0
		w.lose = func(netip.AddrPort, int) bool { // the second try at the one, the first at the other
			n++
			return n == 2 || n == 3
		}
		var got []probe.Status
		e := New(Config{Source: hostsOf("192.0.2.1", "192.0.2.1"), Ports: portsTo(1), Retries: 1}, w)
		_ = e.Probe(t.Context(), func(r probe.Result) { got = append(got, r.Status) })
		w.Close()
		if !slices.Equal(got, []probe.Status{probe.Reply, probe.Reply}) || n != 4 {
			t.Errorf("%v after %d tries", got, n)
		}
	})
}

// A process that was stopped reads what came meanwhile before it calls anything
// silent.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stopped{world: newWorld(15)}
		w.rtt, w.answer = 500*ms, opens(false, 1)
		e := New(Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(2), Retries: 0}, w)
		states := map[uint16]probe.Status{}
		_ = e.Probe(t.Context(), func(r probe.Result) { states[r.Target.Addr.Port()] = r.Status })
		w.Close()
		if states[1] != probe.Reply || states[2] != probe.Lost {
			t.Error(states)
		}
	})
}

// stopped is a world seen by a process that is stopped for a minute, and then
// reads nothing before its first look.
type stopped struct {
	*world
	waits int
	blind bool
}

func (w *stopped) Wait(d time.Duration) {
	if w.waits++; w.waits == 1 {
		time.Sleep(time.Minute)
		w.blind = true
		return
	}
	w.world.Wait(d)
}

func (w *stopped) Collect(visit func(netip.AddrPort, int, *crew.Answer)) {
	if w.blind {
		w.blind = false
		return
	}
	w.world.Collect(visit)
}

// Hosts come and go: what is kept of them is bounded, however many there are.
func TestManyHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(16)
		w.answer = func(to netip.AddrPort, n int) crew.Answer {
			if to.Addr().As4()[3]%4 != 0 {
				return crew.Answer{}
			}
			return opens(true, 1, 2)(to, n)
		}
		source := &list{}
		for i := range 1 << 14 {
			source.hosts = append(source.hosts, probe.Candidate{Index: uint64(i), Addr: netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})})
		}
		e := New(Config{Source: source, Ports: portsTo(10), Retries: Adaptive}, w)
		ports, active, timers := 0, 0, 0
		_ = e.Probe(t.Context(), func(probe.Result) {
			ports++
			w.sent = w.sent[:0]
			active, timers = max(active, len(e.active)), max(timers, len(e.timers))
		})
		w.Close()
		t.Logf("%d hosts and %d timers at a time, %v", active, timers, e.now())
		if ports != 10<<14 || active > maxHosts || timers > 1<<14 || len(e.hosts)+len(e.active)+len(e.timers) > timers {
			t.Errorf("%d ports, %d hosts and %d timers at a time", ports, active, timers)
		}
	})
}
