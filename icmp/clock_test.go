package icmp

import (
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// When the wall clock is set, no RTT is negative nor hour-long, and those that
// the step may have touched say that the monotonic clock measured them.
func TestClockSteps(t *testing.T) {
	steps := []time.Duration{time.Hour, -time.Hour, time.Second, -time.Second, 5 * ms, -5 * ms}
	instants := []struct {
		name string
		at   time.Duration // since the start; probes leave at 0, 100, ... and answers take 20 ms
		user []uint64      // probes whose RTT must not be by the kernel's clock
	}{
		{"before", -ms, nil},
		{"between departure and answer", 210 * ms, []uint64{3}},
		{"between two probes", 250 * ms, nil},
		{"after", 10 * time.Second, nil},
	}
	for _, at := range instants {
		for _, step := range steps {
			t.Run(at.name+" by "+step.String(), func(t *testing.T) {
				families(t, func(t *testing.T, addr string) {
					synctest.Test(t, func(t *testing.T) {
						p := newPlay(t, rtt20, Config{Targets: targets(addr), Count: 6, Interval: 100 * ms, Size: 56})
						set := time.Now().Add(warmUp + at.at)
						wall := func(now time.Time) int64 {
							if now.Before(set) {
								return now.UnixNano()
							}
							return now.Add(step).UnixNano()
						}
						p.network.wall, p.Engine.wall.Read = wall, wall
						p.run(t.Context())
						user := map[uint64]bool{}
						for _, seq := range at.user {
							user[seq] = true
						}
						for _, r := range p.results {
							if r.RTT != 20*ms || (r.Clock == probe.User) != user[r.Seq] {
								t.Errorf("probe %d: RTT %v by the %v clock", r.Seq, r.RTT, r.Clock)
							}
						}
						if got, want := p.Counters().UserClock, uint64(len(at.user)); got != want {
							t.Errorf("%d by the user clock, want %d", got, want)
						}
					})
				})
			})
		}
	}
}

// Stamps that are missing, swapped or absurd are not believed.
func TestStampsNotBelieved(t *testing.T) {
	cases := []struct {
		name  string
		alter func(*rawsock.Message)
		user  bool
	}{
		{"as they are", func(*rawsock.Message) {}, false},
		{"no arrival", func(m *rawsock.Message) { zero(m, rawsock.Echo) }, true},
		{"no departure", func(m *rawsock.Message) { zero(m, rawsock.Stamp) }, true},
		{"departure an hour ago", func(m *rawsock.Message) { shift(m, rawsock.Stamp, -time.Hour) }, true},
		{"departure after the arrival", func(m *rawsock.Message) { shift(m, rawsock.Stamp, time.Second) }, true},
		{"arrival an hour ago", func(m *rawsock.Message) { shift(m, rawsock.Echo, -time.Hour) }, true},
		{"arrival in the future", func(m *rawsock.Message) { shift(m, rawsock.Echo, time.Hour) }, true},
		{"swapped", func(m *rawsock.Message) {
			shift(m, rawsock.Echo, -20*ms)
			shift(m, rawsock.Stamp, 20*ms)
		}, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				synctest.Test(t, func(t *testing.T) {
					p := newPlay(t, rtt20, Config{Targets: targets(addr), Count: 3, Interval: 100 * ms, Size: 56})
					p.alter = tc.alter
					p.run(t.Context())
					for _, r := range p.results {
						// An arrival that lies between may be off, never absurd.
						if r.RTT < 0 || r.RTT > 20*ms || (r.Clock == probe.User) != tc.user || tc.name != "swapped" && r.RTT != 20*ms {
							t.Errorf("probe %d: RTT %v by the %v clock", r.Seq, r.RTT, r.Clock)
						}
					}
					if got := p.Counters().UserClock; (got == 3) != tc.user || got != 0 && got != 3 {
						t.Errorf("%d by the user clock", got)
					}
				})
			})
		})
	}
}

func zero(m *rawsock.Message, e rawsock.Event) {
	if m.Event == e {
		m.Stamp = 0
	}
}

func shift(m *rawsock.Message, e rawsock.Event, d time.Duration) {
	if m.Event == e {
		m.Stamp += int64(d)
	}
}

// A departure's stamp that never comes concerns its probe alone.
func TestLostStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, rtt20, Config{Targets: targets(target4), Count: 9, Interval: 100 * ms, Size: 56})
		p.network.lose = func(key uint32) bool { return key%3 == 0 }
		p.run(t.Context())
		for _, r := range p.results {
			if r.RTT != 20*ms || (r.Clock == probe.User) != (r.Seq%3 == 0) {
				t.Errorf("probe %d: RTT %v by the %v clock", r.Seq, r.RTT, r.Clock)
			}
		}
	})
}

// Without kernel stamps nothing is missing.
func TestUserClockSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlayWithout(t, rtt20, Config{Targets: targets(target4), Count: 3, Interval: 100 * ms, Size: 56})
		c := p.socket(rawsock.IPv4, 0x4000, 1)
		c.stamps = false
		p.addPort(p.lane(rawsock.IPv4), c)
		if p.Clock() != probe.User {
			t.Errorf("clock %v", p.Clock())
		}
		p.run(t.Context())
		for _, r := range p.results {
			if r.RTT != 20*ms || r.Clock != probe.User {
				t.Errorf("probe %d: RTT %v by the %v clock", r.Seq, r.RTT, r.Clock)
			}
		}
		if got := p.Counters().UserClock; got != 0 {
			t.Errorf("%d by the user clock", got)
		}
	})
}

// A process that was stopped while deadlines passed finds the answers in its
// socket: they are replies with their true RTT, neither late nor lost, and
// probes that nobody answered are lost all the same.
func TestStoppedProcess(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		synctest.Test(t, func(t *testing.T) {
			topo := rtt20
			topo.Hook = lab.Each(map[int]lab.Verdict{2: {Drop: true}, 4: {Delay: 300 * ms}, 5: {Delay: 900 * ms}})
			cfg := Config{Targets: targets(addr), Count: 5, Interval: 8 * ms, Timeout: 200 * ms, Late: 300 * ms, Size: 56}
			p := newPlay(t, topo, cfg)
			p.stop = func() time.Duration {
				if time.Since(p.start) < 32*ms {
					return 0
				}
				return 30 * time.Second
			}
			p.run(t.Context())
			p.wantLogged()
			if got, want := p.tally(), (tally{Sent: 5, Received: 2, Late: 1, Lost: 2}); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
			for _, r := range p.outcomes() {
				switch r.Seq {
				case 3:
					if r.RTT != 20*ms || r.Clock != probe.Kernel || r.Host < 29*time.Second {
						t.Errorf("probe 3: RTT %v by %v, host %v", r.RTT, r.Clock, r.Host)
					}
				case 4:
					if r.RTT != 320*ms || r.Status != probe.Late {
						t.Errorf("probe 4: %v, RTT %v", r.Status, r.RTT)
					}
				}
			}
		})
	})
}
