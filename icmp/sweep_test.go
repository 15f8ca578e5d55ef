package icmp

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// What one host does decides its one outcome, and when.
func TestSweepHost(t *testing.T) {
	// 10 ms away; probes at 0, 200 and 500 ms, given up at 950 ms.
	const (
		second = 200 * ms
		third  = 500 * ms
		end    = 950 * ms
	)
	type want struct {
		status probe.Status
		reason probe.Reason
		flags  probe.Flags
		probes uint64
		at     time.Duration
	}
	cases := []struct {
		name  string
		topo  lab.Topology
		size  int
		want  want
		extra int // Results beside the outcome
	}{
		{"answers", host(lab.Host{}), 56, want{probe.Reply, probe.EchoReply, 0, 1, 10 * ms}, 0},
		{"no payload", host(lab.Host{}), 0, want{probe.Reply, probe.EchoReply, 0, 1, 10 * ms}, 0},
		{"silence", host(lab.Host{Silent: true}), 56, want{probe.Lost, probe.NoResponse, 0, 3, end}, 0},
		{"slower than the first timeout", host(lab.Host{Delay: 250 * ms}), 56, want{probe.Late, probe.EchoReply, 0, 2, 260 * ms}, 0},
		{"slower than two timeouts", host(lab.Host{Delay: 510 * ms}), 56, want{probe.Late, probe.EchoReply, 0, 3, 520 * ms}, 0},
		{"duplicates", lab.Topology{Back: lab.Link{Duplicate: 1, Delay: 10 * ms}}, 56, want{probe.Reply, probe.EchoReply, 0, 1, 10 * ms}, 1},

		{"zeroed", host(lab.Host{Payload: lab.Zeroed}), 56, want{probe.Lost, probe.BadReply, probe.Corrupt, 3, end}, 0},
		{"truncated, cookie kept", host(lab.Host{Payload: lab.Truncated(20)}), 56, want{probe.Reply, probe.EchoReply, probe.Truncated, 1, 10 * ms}, 0},
		{"another address answers", host(lab.Host{From: elsewhere}), 56, want{probe.Reply, probe.EchoReply, probe.WrongSource, 1, second}, 0},
		{"another address, too small to prove itself", host(lab.Host{From: elsewhere}), 7, want{probe.Lost, probe.NoResponse, 0, 3, end}, 0},
		{"forged before", forge(lab.Forgery{Shift: -5 * ms}), 56, want{probe.Reply, probe.EchoReply, 0, 1, 20 * ms}, 0},
		{"forged only", host(lab.Host{Silent: true, Forge: []lab.Forgery{{}}}), 56, want{probe.Lost, probe.BadReply, probe.Corrupt, 3, end}, 0},
		{"wrong sequence", host(lab.Host{Silent: true, Forge: []lab.Forgery{{Seq: 0x40, Payload: lab.Kept}}}), 56, want{probe.Lost, probe.NoResponse, 0, 3, end}, 0},

		{"unreachable ends the wait", hopError(lab.HostUnreachable, lab.Quote{}), 56, want{probe.Unreachable, probe.HostUnreachable, 0, 1, 0}, 0},
		{"unreachable with 8 octets is held", hopError(lab.HostUnreachable, lab.Quote{Transport: 8}), 56, want{probe.Unreachable, probe.HostUnreachable, 0, 1, second}, 0},
		{"prohibited", hopError(lab.AdminProhibited, lab.Quote{}), 56, want{probe.Unreachable, probe.AdminProhibited, 0, 1, 0}, 0},
		{"TTL exceeded", hopError(lab.TimeExceeded, lab.Quote{}), 56, want{probe.Expired, probe.TTLExceeded, 0, 1, 0}, 0},
		{"port unreachable by the host itself", host(lab.Host{Error: lab.PortUnreachable}), 56, want{probe.Refused, probe.PortUnreachable, 0, 1, 10 * ms}, 0},
		{"port unreachable by the host itself, which proves nothing", host(lab.Host{Error: lab.PortUnreachable}), 4, want{probe.Unreachable, probe.PortUnreachable, 0, 1, second}, 0},
		{"a reply beats an error that proves nothing", forgeFrom(lab.Host{Delay: 20 * ms}, lab.Forgery{Shift: -10 * ms, Error: lab.HostUnreachable}), 4, want{probe.Reply, probe.EchoReply, 0, 1, 30 * ms}, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				cfg := SweepConfig{Source: hostsOf(addr, 1), Retries: 2, Timeout: 200 * ms, Size: tc.size}
				sweep(t, tc.topo, cfg, func(t *testing.T, p *sweepPlay) {
					r := p.outcomes(1)[netip.MustParseAddr(addr)]
					if got := (want{r.Status, r.Reason, r.Flags, r.Seq, r.at}); got != tc.want {
						t.Errorf("%+v, want %+v", got, tc.want)
					}
					if n := len(p.results) - 1; n != tc.extra {
						t.Errorf("%d further results, want %d", n, tc.extra)
					}
					if got := p.Counters().Sent; got != tc.want.probes {
						t.Errorf("%d packets sent, want %d", got, tc.want.probes)
					}
					if p.ended != tc.want.at {
						t.Errorf("ended at %v, want %v: with the last outcome", p.ended, tc.want.at)
					}
				})
			})
		})
	}
}

// With a late window the last probe is waited for that much longer.
func TestSweepLateWindow(t *testing.T) {
	cfg := SweepConfig{Source: hostsOf(target4, 1), Timeout: 200 * ms, Late: 100 * ms, Size: 56}
	sweep(t, host(lab.Host{Delay: 240 * ms}), cfg, func(t *testing.T, p *sweepPlay) {
		if r := p.outcomes(1)[netip.MustParseAddr(target4)]; r.Status != probe.Late || r.at != 250*ms || r.RTT != 250*ms {
			t.Errorf("%v at %v, rtt %v; want late at 250 ms", r.Status, r.at, r.RTT)
		}
	})
	cfg.Source = hostsOf(target4, 1)
	sweep(t, host(lab.Host{Silent: true}), cfg, func(t *testing.T, p *sweepPlay) {
		if r := p.outcomes(1)[netip.MustParseAddr(target4)]; r.Status != probe.Lost || r.at != 300*ms {
			t.Errorf("%v at %v; want lost at 300 ms", r.Status, r.at)
		}
	})
}

// An answer after the verdict is told once, and makes no second host. The run
// goes on meanwhile because of another host, asked later.
func TestSweepAnswerAfterVerdict(t *testing.T) {
	slow, silent := netip.MustParseAddr(target4), netip.MustParseAddr("203.0.113.8")
	topo := lab.Topology{
		Back:  lab.Link{Duplicate: 1},
		Hosts: []lab.Host{{At: lab.At(target4), Delay: 250 * ms}, {At: lab.At(silent.String()), Silent: true}},
	}
	synctest.Test(t, func(t *testing.T) {
		src := hostsOf(target4, 1)
		src.ended = false
		p := newSweepPlay(t, topo, SweepConfig{Source: src, Timeout: 200 * ms, Size: 56}, 1)
		time.AfterFunc(100*ms, func() { src.more(true, probe.Candidate{Index: 1, Addr: silent}) })
		p.run(t.Context())
		for addr, r := range p.outcomes(2) {
			if r.Status != probe.Lost {
				t.Errorf("%v: %v, want lost", addr, r.Status)
			}
		}
		late := slices.DeleteFunc(slices.Clone(p.results), func(r told) bool { return r.Outcome() })
		if len(late) != 1 || late[0].Status != probe.Late || late[0].who.Addr.Addr() != slow || late[0].RTT != 250*ms {
			t.Errorf("told %+v beside the outcomes, want one late answer", late)
		}
		if n := p.Counters().Late; n != 2 {
			t.Errorf("%d late answers counted, want 2", n)
		}
	})
}

// An address for which several hosts answer is a broadcast address: one
// outcome, with all who answered.
func TestSweepBroadcast(t *testing.T) {
	var forge []lab.Forgery
	want := []netip.Addr{}
	for i := range 5 {
		from := netip.AddrFrom4([4]byte{203, 0, 113, byte(20 + i)})
		want = append(want, from)
		forge = append(forge, lab.Forgery{From: from, Payload: lab.Kept, Shift: time.Duration(i) * ms})
	}
	quiet := host(lab.Host{Silent: true, Forge: append(forge, forge[2])})
	cfg := SweepConfig{Source: hostsOf(target4, 1), Retries: 1, Timeout: 200 * ms, Size: 56}
	sweep(t, quiet, cfg, func(t *testing.T, p *sweepPlay) {
		r := p.outcomes(1)[netip.MustParseAddr(target4)]
		d, ok := r.Detail.(*probe.Responders)
		if !ok || r.Status != probe.Reply || !r.Flags.Has(probe.WrongSource) || r.Seq != 1 || r.at != 200*ms {
			t.Fatalf("%+v, want a reply from other addresses at the timeout", r)
		}
		if d.Count != 5 || !slices.Equal(d.Addrs, want) {
			t.Errorf("responders %+v, want %v", d, want)
		}
	})
	// The host itself answers as well, last: it is alive, the others are extra.
	cfg.Source = hostsOf(target4, 1)
	sweep(t, host(lab.Host{Delay: 20 * ms, Forge: []lab.Forgery{
		{From: want[0], Payload: lab.Kept, Shift: -5 * ms}, {From: want[1], Payload: lab.Kept, Shift: 0},
	}}), cfg, func(t *testing.T, p *sweepPlay) {
		r := p.outcomes(1)[netip.MustParseAddr(target4)]
		if r.Status != probe.Reply || r.Flags != 0 || r.Detail != nil || r.at != 30*ms {
			t.Errorf("%+v, want an ordinary reply", r)
		}
		if len(p.results) < 2 || p.results[1].Flags != probe.Dup|probe.WrongSource || p.results[1].From != want[0] {
			t.Errorf("%+v, want the other's answer as a duplicate", p.results)
		}
	})
}

// Every host has one outcome, whatever the network does; the packets are those
// the network saw, and nobody is found alive who is not.
func TestSweepManyHosts(t *testing.T) {
	for _, first := range []string{"203.0.112.0", "2001:db8:7::"} {
		t.Run(first, func(t *testing.T) {
			a := netip.MustParseAddr(first)
			alive := netip.PrefixFrom(a, a.BitLen()-9).Masked()
			topo := lab.Topology{
				Seed:  7,
				Out:   lab.Link{Delay: 5 * ms, Jitter: 20 * ms, Loss: 0.1, Duplicate: 0.05},
				Back:  lab.Link{Delay: 5 * ms, Loss: 0.1, Reorder: 0.2, ReorderDelay: 30 * ms},
				Hosts: []lab.Host{{At: []netip.Prefix{alive}}, {Silent: true}},
			}
			const n = 1024
			cfg := SweepConfig{Source: hostsOf(first, n), Retries: 5, Timeout: 100 * ms, Size: 56, Pace: probe.NewGovernor(probe.GovernorConfig{Rate: 20000})}
			sweep(t, topo, cfg, func(t *testing.T, p *sweepPlay) {
				found := 0
				for addr, r := range p.outcomes(n) {
					if r.Status == probe.Reply || r.Status == probe.Late {
						found++
						if !alive.Contains(addr) {
							t.Errorf("%v found alive", addr)
						}
					} else if r.Status != probe.Lost || r.Seq != 6 {
						t.Errorf("%v: %v after %d probes, want lost after 6", addr, r.Status, r.Seq)
					}
				}
				// Each probe fails with 19 %; six in a row fail once in 21,000.
				if found < 511 {
					t.Errorf("found %d of 512", found)
				}
				if sent, seen := p.Counters().Sent, len(p.mem.Log().Probes()); sent != uint64(seen) {
					t.Errorf("counted %d packets, the network saw %d", sent, seen)
				}
			})
		})
	}
}

// Only as many packets leave as the pace allows, retries included, and a silent
// prefix ends within timeout and retries of the last first probe.
func TestSweepPace(t *testing.T) {
	const n, rate = 500, 1000
	cfg := SweepConfig{
		Source: hostsOf("203.0.112.0", n), Retries: 1, Timeout: 100 * ms, Backoff: 2, Size: 56,
		Pace: probe.NewGovernor(probe.GovernorConfig{Rate: rate}),
	}
	sweep(t, host(lab.Host{Silent: true}), cfg, func(t *testing.T, p *sweepPlay) {
		if got := p.count(n); got[probe.Lost] != n {
			t.Errorf("outcomes %v", got)
		}
		// 1,000 packets take a second; the last is waited for 200 ms.
		if want := 2*n*time.Second/rate + 200*ms; (p.ended - want).Abs() > 15*ms {
			t.Errorf("ended at %v, want %v", p.ended, want)
		}
	})
}

// Hosts are asked while others are still being listed.
func TestSweepStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := hostsOf("203.0.113.1", 2)
		src.ended = false
		p := newSweepPlay(t, host(lab.Host{}), SweepConfig{Source: src, Size: 56}, 1)
		time.AfterFunc(time.Second, func() {
			src.more(false, probe.Candidate{Index: 2, Addr: netip.MustParseAddr("203.0.113.9"), Name: "nine"})
		})
		time.AfterFunc(3*time.Second, func() { src.more(true) })
		p.run(t.Context())
		got := p.outcomes(3)
		if r := got[netip.MustParseAddr("203.0.113.1")]; r.at != 10*ms {
			t.Errorf("the first host was told at %v, want 10 ms", r.at)
		}
		if r := got[netip.MustParseAddr("203.0.113.9")]; r.at != time.Second-warmUp+10*ms || r.who.Name != "nine" || r.who.ID != 2 {
			t.Errorf("%+v at %v, want nine 10 ms after it was listed", r.who, r.at)
		}
		if p.ended != 3*time.Second-warmUp {
			t.Errorf("ended at %v, want 3 s: when the list did", p.ended)
		}
	})
}

// A run that is cut leaves hosts pending, whether asked, to be asked again, or
// only taken.
func TestSweepCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := SweepConfig{
			Source: hostsOf("203.0.112.0", 400), Retries: 3, Timeout: 100 * ms, Size: 56,
			Pace: probe.NewGovernor(probe.GovernorConfig{Rate: 1000}),
		}
		topo := lab.Topology{Hosts: []lab.Host{{At: lab.At("203.0.112.0/28")}, {Silent: true}}}
		p := newSweepPlay(t, topo, cfg, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 250*ms)
		defer cancel()
		p.run(ctx)
		n := 400 - len(cfg.Source.(*hosts).left)
		for addr, r := range p.outcomes(n) {
			if alive := netip.MustParsePrefix("203.0.112.0/28").Contains(addr); (r.Status == probe.Reply) != alive || !alive && r.Status != probe.Pending {
				t.Errorf("%v: %v", addr, r.Status)
			}
		}
		// 1,000 a second, and from 100 ms on every other one asks again.
		if n < 140 || n > 180 || p.ended != 250*ms-warmUp {
			t.Errorf("%d hosts at %v", n, p.ended)
		}
	})
}

// A full queue delays, and neither loses hosts nor blames them; what stays full
// is said to be ours.
func TestSweepFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSweepPlay(t, host(lab.Host{}), SweepConfig{Source: hostsOf("203.0.112.0", 300), Size: 56}, 1)
		p.network.fail = func(rawsock.Packet) error {
			if since := time.Since(p.start); since >= 0 && since < 700*ms {
				return refuse(syscall.ENOBUFS)
			}
			return nil
		}
		p.run(t.Context())
		if got := p.count(300); got[probe.Reply] != 300 {
			t.Errorf("outcomes %v", got)
		}
		if p.Counters().Retried == 0 || p.Counters().Sent != 300 {
			t.Errorf("counters %+v", p.Counters())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := newSweepPlay(t, host(lab.Host{}), SweepConfig{Source: hostsOf("203.0.112.0", 100), Size: 56}, 1)
		p.network.fail = func(rawsock.Packet) error { return refuse(syscall.ENOBUFS) }
		p.run(t.Context())
		for _, r := range p.outcomes(100) {
			if r.Status != probe.Failed || r.Reason != probe.NoBuffers || r.Seq != 0 {
				t.Fatalf("%v %v after %d probes, want failed", r.Status, r.Reason, r.Seq)
			}
		}
		if p.ended < fullGiveUp || p.ended > fullGiveUp+3*time.Second {
			t.Errorf("gave up at %v", p.ended)
		}
	})
}

// An address table without room for some does not hold up the others.
func TestSweepNoRoomForSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSweepPlay(t, host(lab.Host{}), SweepConfig{Source: hostsOf("203.0.112.0", 300), Size: 56}, 1)
		crowded := func(a netip.Addr) bool { return a.As4()[3]%16 == 7 }
		p.network.fail = func(pkt rawsock.Packet) error {
			if crowded(pkt.To) && time.Since(p.start) < 3*time.Second {
				return refuse(syscall.ENOBUFS)
			}
			return nil
		}
		p.run(t.Context())
		for addr, r := range p.outcomes(300) {
			if late := r.at > 100*ms; r.Status != probe.Reply || late != crowded(addr) || r.at > 5*time.Second {
				t.Errorf("%v: %v at %v", addr, r.Status, r.at)
			}
		}
	})
}

// What cannot be sent is our failure; the others go on.
func TestSweepSendFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := netip.MustParseAddr("203.0.113.77")
		p := newSweepPlay(t, host(lab.Host{}), SweepConfig{Source: hostsOf("203.0.113.0", 256), Size: 56}, 1)
		p.network.fail = func(pkt rawsock.Packet) error {
			if pkt.To == bad {
				return refuse(syscall.EPERM)
			}
			return nil
		}
		p.run(t.Context())
		for addr, r := range p.outcomes(256) {
			want := probe.Reply
			if addr == bad {
				want = probe.Failed
			}
			if r.Status != want {
				t.Errorf("%v: %v, want %v", addr, r.Status, want)
			}
		}
	})
}

// More hosts than there are wire numbers, all silent: the sender waits for room,
// and the table stays within its bounds.
func TestSweepTableFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1<<16 + 5000
		p := newSweepPlay(t, host(lab.Host{Silent: true}), SweepConfig{Source: hostsOf("203.0.0.0", n), Timeout: 100 * ms, Size: 8}, 1)
		p.run(t.Context())
		if got := p.count(n); !maps.Equal(got, map[probe.Status]int{probe.Lost: n}) {
			t.Errorf("outcomes %v", got)
		}
		if got := len(p.lanes[0].table); got != 1<<16 {
			t.Errorf("table of %d", got)
		}
		if p.ended != 200*ms {
			t.Errorf("ended at %v, want 200 ms: two full tables", p.ended)
		}
	})
}

// However long somebody wants to wait, times do not overflow; and tries are as
// many as can be counted.
func TestSweepWaits(t *testing.T) {
	for _, cfg := range []SweepConfig{
		{Retries: 3, Timeout: 365 * 24 * time.Hour, Backoff: 1e300},
		{Retries: 1 << 20, Timeout: math.MaxInt64, Late: math.MaxInt64, Backoff: math.Inf(1)},
		{Retries: -1, Timeout: -1, Late: -1, Backoff: -2},
		{Retries: 300, Timeout: 1, Backoff: -3},
	} {
		s, err := newSweep(cfg, newTimerAlarm())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(s.waits) - 1; n < 1 || n > math.MaxUint8 || cfg.Retries < 256 && n != max(cfg.Retries, 0)+1 {
			t.Errorf("%+v: %d tries", cfg, n)
		}
		for try := 1; try < len(s.waits); try++ {
			const run = 365 * 24 * time.Hour
			if end := run + s.waits[try] + s.cfg.Late; s.waits[try] < max(s.waits[try-1], 1) || s.cfg.Late < 0 || end < run {
				t.Fatalf("%+v: try %d waits %v, the one before %v, late %v", cfg, try, s.waits[try], s.waits[try-1], s.cfg.Late)
			}
		}
	}
}

// All wire numbers and all places are used several times over; answers to the
// probe that had them before decide nobody.
func TestSweepWireNumbersReused(t *testing.T) {
	const n, step = 3 << 16, 1 << 13 // a step every 12 ms: all numbers in 96 ms
	slow := lab.Host{At: lab.At("203.0.0.0/17", "203.2.0.0/15"), Delay: 150 * ms}
	topo := host(lab.Host{})
	topo.Hosts = append([]lab.Host{slow}, topo.Hosts...)
	synctest.Test(t, func(t *testing.T) {
		src := hostsOf("203.0.0.0", n)
		all := src.left
		rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
		src.left, src.ended = all[:step:step], false
		p := newSweepPlay(t, topo, SweepConfig{Source: src, Timeout: 100 * ms, Size: 8}, 1)
		for i := 1; i < n/step; i++ {
			time.AfterFunc(warmUp+time.Duration(i)*12*ms, func() { src.more((i+1)*step == n, all[i*step:][:step]...) })
		}
		p.run(t.Context())
		for addr, r := range p.outcomes(n) {
			want := probe.Reply
			if slow.At[0].Contains(addr) || slow.At[1].Contains(addr) {
				want = probe.Lost
			}
			if r.Status != want || r.Seq != 1 || want == probe.Reply && r.RTT != 10*ms {
				t.Fatalf("%v: %v after %d probes, rtt %v, want %v", addr, r.Status, r.Seq, r.RTT, want)
			}
		}
		if c := p.Counters(); c.Strays == 0 {
			t.Errorf("no answer found its number taken: %+v", c)
		}
		if l := p.lanes[0]; l.n != n || len(l.held)+len(l.again) != 0 {
			t.Errorf("%d probes, %d held, %d silent", l.n, len(l.held), len(l.again))
		}
	})
}

// Where one socket has one identifier, as datagram sockets do, several share the
// numbers: answers find their probes whichever socket they come to.
func TestSweepSeveralPorts(t *testing.T) {
	const n, ports = 2000, 4
	var sockets []func(*sweepPlay, rawsock.Family) conn
	for i := range uint16(ports) {
		sockets = append(sockets, func(p *sweepPlay, f rawsock.Family) conn { return p.socket(f, 0x4000+0x111*i, 1) })
	}
	synctest.Test(t, func(t *testing.T) {
		topo := lab.Topology{Seed: 1, Out: lab.Link{Loss: .2}, Back: lab.Link{Delay: 30 * ms, Jitter: 20 * ms, Duplicate: .1}}
		topo.Hosts = []lab.Host{{At: lab.At("203.0.112.0/22")}, {Silent: true}}
		p := newSweepPlayOn(t, topo, SweepConfig{Source: hostsOf("203.0.112.0", n), Retries: 8, Timeout: 40 * ms, Backoff: 1, Size: 56}, sockets...)
		l := p.lanes[0]
		l.n = 1<<16 - n/2 // from the numbers of one socket to those of the next
		for try := range l.due {
			l.due[try] = l.n
		}
		l.gone = l.n
		p.run(t.Context())
		for addr, r := range p.outcomes(n) {
			alive := netip.MustParsePrefix("203.0.112.0/22").Contains(addr)
			if found := r.Status == probe.Reply || r.Status == probe.Late; found != alive {
				t.Errorf("%v: %v", addr, r.Status)
			}
			if r.Status == probe.Reply && (r.RTT < 30*ms || r.RTT > 40*ms) {
				t.Errorf("%v: reply with rtt %v", addr, r.RTT)
			}
		}
		if c := p.Counters(); c.Strays != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// A host that answers allocates nothing on its way.
func TestSweepNoAllocations(t *testing.T) {
	found := 0
	src := &endless{addr: netip.MustParseAddr("203.0.113.0")}
	s, err := newSweep(SweepConfig{Source: src, Retries: 3, Size: 56, Pace: probe.NewGovernor(probe.GovernorConfig{Rate: 1e8})}, newTimerAlarm())
	if err != nil {
		t.Fatal(err)
	}
	l := s.addLane(rawsock.IPv4)
	l.home.until = probe.Never
	s.addPort(l, &loopConn{family: rawsock.IPv4, id: 0x4000})
	s.start, s.emit = time.Now(), func(r probe.Result) {
		if r.Status == probe.Reply && r.Target.Addr.Addr() == r.From {
			found++
		}
	}
	round := func() {
		s.collect(s.now())
		s.flush()
		s.drain()
		s.nextExpiry()
	}
	for range 500 {
		round()
	}
	before := found
	if n := testing.AllocsPerRun(500, round); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if n := found - before; n < 500*batchLen {
		t.Errorf("only %d hosts", n)
	}
}

// endless is a Source without end.
type endless struct{ addr netip.Addr }

func (e *endless) Notify(func()) {}
func (e *endless) Next() (probe.Candidate, probe.Supply) {
	e.addr = e.addr.Next()
	return probe.Candidate{Addr: e.addr}, probe.Ready
}

// A table full of silent hosts: they are asked again in their own places, and
// those that found no place are asked after them.
func TestSweepTableFullOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1<<16 + 5000
		cfg := SweepConfig{Source: hostsOf("203.0.0.0", n), Retries: 1, Timeout: 100 * ms, Size: 8}
		p := newSweepPlay(t, host(lab.Host{Silent: true}), cfg, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p.run(ctx)
		for addr, r := range p.outcomes(n) {
			if r.Status != probe.Lost || r.Seq != 2 {
				t.Fatalf("%v: %v after %d probes, want lost after 2", addr, r.Status, r.Seq)
			}
		}
		if p.Counters().Sent != 2*n {
			t.Errorf("%d packets sent, want %d", p.Counters().Sent, 2*n)
		}
		if p.ended > time.Second {
			t.Errorf("ended at %v", p.ended)
		}
	})
}
