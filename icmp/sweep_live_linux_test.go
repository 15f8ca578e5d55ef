package icmp

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// liveSweep runs cfg inside l in real time.
func liveSweep(t *testing.T, l *lab.Lab, cfg SweepConfig) *sweepPlay {
	t.Helper()
	p := &sweepPlay{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var err error
	l.Do(func() {
		if p.Sweep, err = OpenSweep(cfg); err != nil {
			return
		}
		err = p.Probe(ctx, func(r probe.Result) {
			e := told{r, *r.Target, time.Since(p.start)}
			e.Target = &e.who
			p.results = append(p.results, e)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// both returns a Source of the same number of addresses of both families.
func both(n int) *hosts {
	v4, v6 := hostsOf("203.0.112.0", n), hostsOf("2001:db8:7::", n)
	v4.left = append(v4.left, v6.left...)
	return v4
}

// Real kernels and both kinds of socket on a lossy path: who is alive is found,
// who is not is not, errors end the wait, and RTTs are the kernel's.
func TestLiveSweep(t *testing.T) {
	const n = 300
	topo := lab.Topology{
		Seed: 5,
		Out:  lab.Link{Delay: 5 * ms, Loss: .1, Duplicate: .05},
		Back: lab.Link{Delay: 5 * ms, Jitter: 10 * ms, Loss: .1},
		Hops: []lab.Hop{{Addrs: hop1}},
		Hosts: []lab.Host{
			{At: lab.At("203.0.112.0/25", "2001:db8:7::/121")},
			{At: lab.At("203.0.112.128/26", "2001:db8:7::80/122"), Error: lab.HostUnreachable},
			{Silent: true},
		},
	}
	kinds(t, topo, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		p := liveSweep(t, l, SweepConfig{
			Source: both(n), Planned: 2 * n, Retries: 6, Timeout: 100 * ms, Backoff: 1.2, Size: 56,
			Pace: probe.NewGovernor(probe.GovernorConfig{Rate: 5000}), Socket: rawsock.Config{Kind: kind},
		})
		user := 0
		for addr, r := range p.outcomes(2 * n) {
			want := probe.Lost
			switch {
			case netip.MustParsePrefix("203.0.112.0/25").Contains(addr), netip.MustParsePrefix("2001:db8:7::/121").Contains(addr):
				want = probe.Reply
			case netip.MustParsePrefix("203.0.112.128/26").Contains(addr), netip.MustParsePrefix("2001:db8:7::80/122").Contains(addr):
				want = probe.Unreachable
			}
			if got := r.Status; got != want && !(want == probe.Reply && got == probe.Late) {
				t.Errorf("%v: %v, want %v", addr, got, want)
			}
			if r.Status == probe.Reply && (r.RTT < 10*ms || r.RTT > 100*ms) {
				t.Errorf("%v: rtt %v", addr, r.RTT)
			}
			if r.Status == probe.Reply && r.Clock == probe.User {
				user++
			}
		}
		if user > n/10 {
			t.Errorf("%d answers by the user clock", user)
		}
		if sent, seen := p.Counters().Sent, len(l.Log().Probes()); sent != uint64(seen) {
			t.Errorf("counted %d packets, the network saw %d", sent, seen)
		}
	})
}

// As fast as it goes, against a kernel that answers for a whole prefix: nobody
// is missed, nobody is found twice.
func TestLiveSweepAtFullSpeed(t *testing.T) {
	const n = 20_000
	kinds(t, lab.Topology{Hosts: []lab.Host{{At: lab.At("203.0.0.0/16"), Kernel: true}}}, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		p := liveSweep(t, l, SweepConfig{
			Source: hostsOf("203.0.0.1", n), Planned: n, Retries: 3, Size: 56, NoStamps: true,
			Socket: rawsock.Config{Kind: kind, RecvBuf: 8 << 20},
		})
		if got := p.count(n); got[probe.Reply]+got[probe.Late] != n {
			t.Errorf("outcomes %v", got)
		}
	})
}

// While the interface is down, hosts are not tested, and that is all that is
// said of them.
func TestLiveSweepLinkDown(t *testing.T) {
	kinds(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, kind rawsock.Kind) {
		l.Must(l.Down())
		p := liveSweep(t, l, SweepConfig{Source: both(50), Size: 56, Socket: rawsock.Config{Kind: kind}})
		for addr, r := range p.outcomes(100) {
			if r.Status != probe.Failed || r.Err.Error() == "" || r.Seq != 0 {
				t.Errorf("%v: %v %v after %d probes, want failed", addr, r.Status, r.Err, r.Seq)
			}
		}
	})
}
