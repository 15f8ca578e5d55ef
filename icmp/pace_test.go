package icmp

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
)

// every returns n instants gap apart, from the first on.
func every(n int, first, gap time.Duration) []time.Duration {
	var list []time.Duration
	for i := range n {
		list = append(list, first+time.Duration(i)*gap)
	}
	return list
}

// rtt20 is a path of 20 ms.
var rtt20 = lab.Topology{Out: lab.Link{Delay: 10 * ms}, Back: lab.Link{Delay: 10 * ms}}

// drop returns rtt20 without the answers to the given probes.
func drop(seqs ...int) lab.Topology {
	topo := rtt20
	v := map[int]lab.Verdict{}
	for _, n := range seqs {
		v[n] = lab.Verdict{Drop: true}
	}
	topo.Hook = lab.Each(v)
	return topo
}

var silence = lab.Topology{Hosts: []lab.Host{{Silent: true}}}

func TestDepartures(t *testing.T) {
	cases := []struct {
		name string
		topo lab.Topology
		cfg  Config
		want []time.Duration
		end  time.Duration
	}{
		{"fixed", rtt20, Config{Count: 5, Interval: 100 * ms}, every(5, 0, 100*ms), 420 * ms},
		{"fixed, one probe", rtt20, Config{Count: 1}, every(1, 0, 0), 20 * ms},
		{"fixed, fraction of a millisecond", rtt20, Config{Count: 4, Interval: 1250 * time.Microsecond}, every(4, 0, 1250*time.Microsecond), 23750 * time.Microsecond},
		{"fixed, silence ends with the late window", silence, Config{Count: 3, Interval: 100 * ms, Timeout: 200 * ms, Late: 50 * ms}, every(3, 0, 100*ms), 450 * ms},
		{"fixed, answers out of order", lab.Topology{Hook: lab.Nth(1, lab.Verdict{Delay: 250 * ms})}, Config{Count: 3, Interval: 100 * ms}, every(3, 0, 100*ms), 250 * ms},
		{"adaptive", rtt20, Config{Pace: Adaptive, Count: 5}, every(5, 0, 20*ms), 100 * ms},
		{"adaptive with a gap", rtt20, Config{Pace: Adaptive, Count: 5, MinGap: 30 * ms}, every(5, 0, 30*ms), 140 * ms},
		{"adaptive goes on at the timeout", drop(2), Config{Pace: Adaptive, Count: 4, Timeout: 100 * ms, Late: time.Second},
			[]time.Duration{0, 20 * ms, 120 * ms, 140 * ms}, 1120 * ms},
		{"adaptive goes on at the interval", drop(2), Config{Pace: Adaptive, Count: 4, Interval: 50 * ms, Timeout: 100 * ms},
			[]time.Duration{0, 20 * ms, 70 * ms, 90 * ms}, 120 * ms},
		{"adaptive, an old timeout hurries nobody", silence, Config{Pace: Adaptive, Count: 4, Interval: 100 * ms, Timeout: 150 * ms}, every(4, 0, 100*ms), 450 * ms},
		{"flood", lab.Topology{Out: lab.Link{Delay: 3 * ms}}, Config{Pace: Flood, Count: 5}, every(5, 0, 3*ms), 15 * ms},
		{"flood into silence", silence, Config{Pace: Flood, Count: 5, Timeout: 100 * ms}, every(5, 0, 10*ms), 140 * ms},
		{"flood with a gap", lab.Topology{}, Config{Pace: Flood, Count: 5, MinGap: 2 * ms}, every(5, 0, 2*ms), 8 * ms},
		{"lockstep", drop(2), Config{Pace: Lockstep, Count: 4, Timeout: 100 * ms, Late: 50 * ms},
			[]time.Duration{0, 20 * ms, 170 * ms, 190 * ms}, 210 * ms},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				tc.cfg.Targets, tc.cfg.Size = targets(addr), 56
				rehearse(t, tc.topo, tc.cfg, func(t *testing.T, p *play) {
					if got := p.departures(0); !slices.Equal(got, tc.want) {
						t.Errorf("probes left at %v, want %v", got, tc.want)
					}
					if p.ended != tc.end {
						t.Errorf("run took %v, want %v", p.ended, tc.end)
					}
					p.wantLogged()
				})
			})
		})
	}
}

func TestPhases(t *testing.T) {
	cases := []struct {
		targets int
		phase   func(i int) time.Duration
	}{
		{1, func(int) time.Duration { return 0 }},
		{3, func(i int) time.Duration { return time.Duration(i) * 10 * ms }},
		{100, func(i int) time.Duration { return time.Duration(i) * 10 * ms }},
		{1000, func(i int) time.Duration { return time.Duration(i/20) * 20 * ms }}, // few wake-ups
	}
	for _, tc := range cases {
		t.Run(fmt.Sprint(tc.targets), func(t *testing.T) {
			rehearse(t, rtt20, Config{Targets: crowd(tc.targets), Count: 3, Size: 16}, func(t *testing.T, p *play) {
				for i := range tc.targets {
					got, want := p.departures(i), every(3, tc.phase(i), time.Second)
					// In the first round what is due at the same time leaves a little apart.
					if d := got[0] - want[0]; d > 0 && d < 6*ms {
						got[0] = want[0]
					}
					if !slices.Equal(got, want) {
						t.Fatalf("target %d: probes left at %v, want %v", i, got, want)
					}
				}
				p.wantLogged()
			})
		})
	}
}

// crowd makes n targets, of both families in turn.
func crowd(n int) []*probe.Target {
	var ts []*probe.Target
	for i := range n {
		addr := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff)
		if i%2 == 1 {
			addr = fmt.Sprintf("2001:db8:7::%x:%x", i>>16, i&0xffff)
		}
		ts = append(ts, targetAt(i, addr))
	}
	return ts
}

func TestRateCap(t *testing.T) {
	cfg := Config{Targets: crowd(10), Count: 10, Interval: 10 * ms, Rate: 100, Size: 16}
	rehearse(t, rtt20, cfg, func(t *testing.T, p *play) {
		var all []time.Duration
		for i := range 10 {
			all = append(all, p.departures(i)...)
		}
		slices.Sort(all)
		if want := every(100, 0, 10*ms); !slices.Equal(all, want) {
			t.Errorf("probes left at %v, want %v", all, want)
		}
		for _, r := range p.results {
			if r.Lag != 0 {
				t.Errorf("probe %d to %v: lag %v: the cap is part of the plan", r.Seq, r.Target.Name, r.Lag)
			}
		}
		p.wantLogged()
	})
}

// A high rate is held although the timer wakes late: bursts make up for it.
func TestHighRate(t *testing.T) {
	cfg := Config{Targets: targets(target4), Count: 5000, Pace: Flood, Rate: 10_000, Size: 16}
	rehearse(t, lab.Topology{}, cfg, func(t *testing.T, p *play) {
		if p.ended < 499*ms || p.ended > 501*ms {
			t.Errorf("5000 probes at 10000/s took %v", p.ended)
		}
		p.wantLogged()
	})
}

func TestDeadline(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t, rtt20, Config{Targets: targets(addr), Interval: 100 * ms, Size: 56})
			ctx, cancel := context.WithTimeout(t.Context(), warmUp+410*ms)
			defer cancel()
			p.run(ctx)
			if got, want := p.tally(), (tally{Sent: 5, Received: 4, Pending: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			last := p.results[len(p.results)-1]
			if last.Seq != 5 || last.Reason != probe.Canceled || last.Sent.Sub(p.start) != 400*ms {
				t.Errorf("last result %+v", last)
			}
			if p.ended != 410*ms {
				t.Errorf("ended after %v", p.ended)
			}
		})
	})
}

// Probes past their timeout are lost also where the run ends within the late
// window: a short run must be able to say so.
func TestDeadlineWithinLateWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, silence, Config{Targets: targets(target4, target6), Count: 1, Timeout: 100 * ms, Late: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), warmUp+500*ms)
		defer cancel()
		p.run(ctx)
		if got, want := p.tally(), (tally{Sent: 2, Lost: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// A run that is over before it began tells nothing, and leaves nothing open.
func TestCanceledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, silence, Config{Targets: targets(target4)})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.run(ctx)
		if len(p.results) != 0 {
			t.Errorf("results %+v", p.results)
		}
	})
}

// When the process was stopped, up to a second of missed rounds is sent at
// once; what is older is left out.
func TestMissedRounds(t *testing.T) {
	cases := []struct {
		name string
		stop time.Duration
		sent int // until 5 s
	}{
		{"caught up", 900 * ms, 51},
		{"left out", 3 * time.Second, 23},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t, lab.Topology{}, Config{Targets: targets(target4), Interval: 100 * ms, Size: 56})
				stopped := false
				p.stop = func() time.Duration {
					if stopped || time.Since(p.start) < time.Second {
						return 0
					}
					stopped = true
					return tc.stop
				}
				ctx, cancel := context.WithTimeout(t.Context(), warmUp+5*time.Second+ms)
				defer cancel()
				p.run(ctx)
				if got := p.tally().Sent; got != tc.sent {
					t.Errorf("%d probes in 5 s with a stop of %v, want %d", got, tc.stop, tc.sent)
				}
				for i, at := range p.departures(0) {
					if at%(100*ms) != 0 {
						t.Errorf("probe %d left at %v, off the schedule", i+1, at)
					}
				}
			})
		})
	}
}

// interims returns when the interim results came, and the outcomes after them.
func TestTimeoutInstants(t *testing.T) {
	cases := []struct {
		name          string
		timeout, late time.Duration
		interim, lost time.Duration
	}{
		{"with a late window", 200 * ms, 300 * ms, 200 * ms, 500 * ms},
		{"without", 200 * ms, 0, 200 * ms, 200 * ms},
		{"defaults", 0, time.Second, time.Second, 2 * time.Second},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				cfg := Config{Targets: targets(addr), Count: 3, Interval: 70 * ms, Timeout: tc.timeout, Late: tc.late}
				rehearse(t, silence, cfg, func(t *testing.T, p *play) {
					if len(p.results) != 6 {
						t.Fatalf("%d results, want 3 interim ones and 3 outcomes", len(p.results))
					}
					for i, r := range p.results {
						want := r.Sent.Sub(p.start) + tc.lost
						if r.Interim {
							want = r.Sent.Sub(p.start) + tc.interim
						}
						if p.at[i] != want {
							t.Errorf("probe %d, interim %v: told at %v, want %v", r.Seq, r.Interim, p.at[i], want)
						}
						if r.Status != probe.Lost || r.Reason != probe.NoResponse || r.Size != 8 {
							t.Errorf("probe %d: %+v", r.Seq, r)
						}
					}
					p.wantLogged()
				})
			})
		})
	}
}

func TestLateAnswers(t *testing.T) {
	cases := []struct {
		name   string
		delay  time.Duration
		status probe.Status
		told   time.Duration
		strays uint64
	}{
		{"in time", 199 * ms, probe.Reply, 199 * ms, 0},
		{"on the dot", 200 * ms, probe.Reply, 200 * ms, 0},
		{"late", 201 * ms, probe.Late, 201 * ms, 0},
		{"near the end of the window", 299 * ms, probe.Late, 299 * ms, 0},
		{"too late", 301 * ms, probe.Lost, 300 * ms, 1},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				// A second probe keeps the run going until the answer is there.
				cfg := Config{Targets: targets(addr), Count: 2, Interval: 500 * ms, Timeout: 200 * ms, Late: 100 * ms, Size: 56}
				rehearse(t, lab.Topology{Hook: lab.Nth(1, lab.Verdict{Delay: tc.delay})}, cfg, func(t *testing.T, p *play) {
					for i, r := range p.results {
						if r.Seq != 1 || r.Interim {
							continue
						}
						if r.Status != tc.status || p.at[i] != tc.told {
							t.Errorf("got %v at %v, want %v at %v", r.Status, p.at[i], tc.status, tc.told)
						}
						if r.Status != probe.Lost && (r.RTT != tc.delay || r.Clock != probe.Kernel || r.Host != 0) {
							t.Errorf("RTT %v by %v, host %v; want %v", r.RTT, r.Clock, r.Host, tc.delay)
						}
					}
					if got := p.Counters().Strays; got != tc.strays {
						t.Errorf("%d strays, want %d", got, tc.strays)
					}
					p.wantLogged()
				})
			})
		})
	}
}
