package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

const ms = time.Millisecond

// hopAddrs are the addresses of the nth hop, from 1.
func hopAddrs(n int) []netip.Addr {
	return lab.Addrs(fmt.Sprintf("198.51.100.%d", n), fmt.Sprintf("2001:db8:100::%x", n))
}

// line is a path of n hops, each trip farther than the one before.
func line(n int, trip time.Duration) lab.Topology {
	half := lab.Link{Delay: trip / 2}
	t := lab.Topology{Out: half, Back: half}
	for i := range n {
		t.Hops = append(t.Hops, lab.Hop{Addrs: hopAddrs(i + 1), Out: half, Back: half})
	}
	t.Hops[n-1].Out, t.Hops[n-1].Back = lab.Link{}, lab.Link{}
	t.Hosts = []lab.Host{{Out: half, Back: half, TCP: []uint16{80}}}
	return t
}

// everyKind runs f for every protocol and family.
func everyKind(t *testing.T, f func(t *testing.T, proto rawsock.Proto, addr string)) {
	for _, proto := range []rawsock.Proto{rawsock.ICMP, rawsock.UDP, rawsock.TCP} {
		for _, addr := range []string{target4, target6} {
			t.Run(proto.String()+" "+addr, func(t *testing.T) { f(t, proto, addr) })
		}
	}
}

// wantRow fails the test unless the hop at ttl answered from addr, or nobody
// did and addr is empty.
func wantRow(t *testing.T, p *probe.Path, ttl int, addr string) {
	t.Helper()
	i := ttl - int(p.First)
	if i < 0 || i >= len(p.Hops) {
		t.Errorf("no hop %d among %d", ttl, len(p.Hops))
		return
	}
	var list []string
	for _, a := range p.Hops[i].Addrs() {
		list = append(list, a.String())
	}
	if got := strings.Join(list, " "); got != addr {
		t.Errorf("hop %d is %q, want %q", ttl, got, addr)
	}
}

// hopOf is the address of the nth hop in the family of target.
func hopOf(n int, target string) string {
	as := hopAddrs(n)
	if netip.MustParseAddr(target).Is4() {
		return as[0].String()
	}
	return as[1].String()
}

// A path of 20 hops whose end is 100 ms away is known after one round trip and
// a half, with three probes a hop, all in one flow.
func TestWholePathInOneTrip(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		rehearse(t, line(19, 5*ms), Config{Targets: targets(addr), Proto: proto}, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			if path.Stop != probe.StopReached || len(path.Hops) != 20 {
				t.Fatalf("stop %v after %d hops", path.Stop, len(path.Hops))
			}
			for n := 1; n < 20; n++ {
				wantRow(t, path, n, hopOf(n, addr))
			}
			wantRow(t, path, 20, addr)
			for i, h := range path.Hops {
				if len(h.Probes) != 3 {
					t.Errorf("hop %d has %d probes", h.TTL, len(h.Probes))
				}
				for _, r := range h.Probes {
					if d := r.Detail.(*probe.Hop); d.Flow != path.Flow || r.RTT != time.Duration(i+1)*5*ms || r.Clock != probe.Kernel {
						t.Errorf("hop %d: flow %d, RTT %v by the %v clock", h.TTL, d.Flow, r.RTT, r.Clock)
					}
				}
			}
			if p.took > 150*ms {
				t.Errorf("took %v", p.took)
			}
		})
	})
}

// Hops that never answer cost a fair time, not a fixed one.
func TestSilentHops(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		topo := line(19, 5*ms)
		for _, n := range []int{5, 9, 13} {
			topo.Hops[n-1].Silent = true
		}
		rehearse(t, topo, Config{Targets: targets(addr), Proto: proto}, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			if path.Stop != probe.StopReached || len(path.Hops) != 20 {
				t.Fatalf("stop %v after %d hops", path.Stop, len(path.Hops))
			}
			for n := 1; n < 20; n++ {
				want := hopOf(n, addr)
				if topo.Hops[n-1].Silent {
					want = ""
				}
				wantRow(t, path, n, want)
			}
			if p.took > 480*ms {
				t.Errorf("took %v", p.took)
			}
		})
	})
}

// A target behind a firewall ends the trace a second after the last answer.
func TestFirewalledTarget(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		topo := line(19, 5*ms)
		for n := 16; n <= 19; n++ {
			topo.Hops[n-1].Silent = true
		}
		topo.Hosts[0].Silent = true
		rehearse(t, topo, Config{Targets: targets(addr), Proto: proto}, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			if path.Stop != probe.StopGap || path.Reached() {
				t.Fatalf("stop %v", path.Stop)
			}
			if end := p.ends[0]; end.Status != probe.Lost || end.From.IsValid() {
				t.Errorf("concluded as %v from %v", end.Status, end.From)
			}
			for n := 1; n <= 15; n++ {
				wantRow(t, path, n, hopOf(n, addr))
			}
			for n := 16; n <= len(path.Hops); n++ {
				wantRow(t, path, n, "")
			}
			if p.took > 1200*ms {
				t.Errorf("took %v", p.took)
			}
		})
	})
}

// A router that answers after a second on a short path is shown with its RTT.
func TestSlowHop(t *testing.T) {
	for _, delay := range []time.Duration{600 * ms, 1200 * ms} {
		t.Run(delay.String(), func(t *testing.T) {
			topo := line(3, 4*ms)
			topo.Hops[1].Delay = delay
			rehearse(t, topo, Config{Targets: targets(target4)}, func(t *testing.T, p *rehearsal) {
				path := p.paths[0]
				wantRow(t, path, 2, hopOf(2, target4))
				wantRow(t, path, 4, target4)
				for _, r := range path.Hops[1].Probes {
					if r.Status != probe.Expired || r.RTT != delay+8*ms {
						t.Errorf("hop 2: %v after %v", r.Status, r.RTT)
					}
				}
			})
		})
	}
}

// Both slow hops of a path are waited for: the first to answer shows what this
// path is like.
func TestSlowHops(t *testing.T) {
	topo := line(3, 4*ms)
	topo.Hops[1].Delay, topo.Hops[2].Delay = 600*ms, 1200*ms
	rehearse(t, topo, Config{Targets: targets(target4)}, func(t *testing.T, p *rehearsal) {
		for n := 1; n <= 3; n++ {
			wantRow(t, p.paths[0], n, hopOf(n, target4))
		}
	})
}

// With a timeout of the user's each probe has exactly that long.
func TestTimeout(t *testing.T) {
	topo := line(3, 4*ms)
	topo.Hops[1].Silent = true
	rehearse(t, topo, Config{Targets: targets(target4), Timeout: 2 * time.Second}, func(t *testing.T, p *rehearsal) {
		if p.took < 2*time.Second || p.took > 4*time.Second {
			t.Errorf("took %v", p.took)
		}
	})
}

// A router that says that the path leads nowhere ends the trace.
func TestUnreachable(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		topo := line(6, 4*ms)
		topo.Hops[3].Error = lab.AdminProhibited
		rehearse(t, topo, Config{Targets: targets(addr), Proto: proto}, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			if path.Stop != probe.StopUnreachable {
				t.Fatalf("stop %v", path.Stop)
			}
			end := p.ends[0]
			if end.Status != probe.Unreachable || end.Reason != probe.AdminProhibited || end.From.String() != hopOf(4, addr) {
				t.Errorf("concluded as %v %v from %v", end.Status, end.Reason, end.From)
			}
			last := path.Hops[len(path.Hops)-1]
			if last.TTL != 4 {
				t.Errorf("ends with hop %d", last.TTL)
			}
			if p.took > 300*ms {
				t.Errorf("took %v", p.took)
			}
		})
	})
}

// What never left is no hop that kept silent.
func TestUnsentProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRehearsal(t, line(3, 4*ms), Config{Targets: targets(target4)})
		p.conn.fail = func(pr rawsock.Probe) error {
			if pr.TTL == 2 {
				return errDenied
			}
			return nil
		}
		p.run(t.Context())
		for _, r := range p.results {
			if h := r.Detail.(*probe.Hop); (h.TTL == 2) != (r.Status == probe.Failed) || r.Status == probe.Lost {
				t.Errorf("TTL %d is %v", h.TTL, r.Status)
			}
		}
		wantRow(t, p.paths[0], 4, target4)
	})
}

// Without a way to send there is no path, and no silence.
func TestNothingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRehearsal(t, line(3, 4*ms), Config{Targets: targets(target4)})
		p.conn.fail = func(rawsock.Probe) error { return errDenied }
		p.run(t.Context())
		end := p.ends[0]
		if end.Status != probe.Failed || end.Reason != probe.Permission || p.paths[0].Stop != probe.StopFailed || end.Err == nil {
			t.Errorf("%v %v (%v), stop %v", end.Status, end.Reason, end.Err, p.paths[0].Stop)
		}
		if len(p.paths[0].Hops) != 0 {
			t.Errorf("%d hops", len(p.paths[0].Hops))
		}
	})
}

// Where everybody who was asked has answered, nothing is waited for.
func TestRangeOfHops(t *testing.T) {
	for _, r := range [][2]uint8{{1, 1}, {1, 5}, {3, 5}, {5, 5}} {
		cfg := Config{Targets: targets(target4), First: r[0], Max: r[1]}
		rehearse(t, line(9, 5*ms), cfg, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			if path.Stop != probe.StopMaxTTL || len(path.Hops) != int(r[1]-r[0])+1 {
				t.Errorf("%v: stop %v after %d hops", r, path.Stop, len(path.Hops))
			}
			for ttl := int(r[0]); ttl <= int(r[1]); ttl++ {
				wantRow(t, path, ttl, hopOf(ttl, target4))
			}
			if p.took > 60*ms {
				t.Errorf("%v: took %v", r, p.took)
			}
		})
	}
}

// Probes too large for the path end where that is said.
func TestProbesTooLarge(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		topo := line(6, 4*ms)
		topo.Hops[2].Out.MTU = 1400
		rehearse(t, topo, Config{Targets: targets(addr), Proto: proto, Size: 1500}, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			if path.Stop != probe.StopUnreachable || len(path.Hops) != 3 {
				t.Fatalf("stop %v after %d hops", path.Stop, len(path.Hops))
			}
			if end := p.ends[0]; end.Status != probe.Unreachable || end.From.String() != hopOf(3, addr) {
				t.Errorf("concluded as %v %v from %v", end.Status, end.Reason, end.From)
			}
		})
	})
}
