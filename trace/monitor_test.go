package trace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
)

// perHop counts outcomes by TTL, of probes that came no farther than last.
func perHop(results []probe.Result, last int) (sent, answered map[int]int) {
	sent, answered = map[int]int{}, map[int]int{}
	for _, r := range results {
		ttl := int(r.Detail.(*probe.Hop).TTL)
		if !r.Outcome() || r.Status == probe.Pending || ttl > last {
			continue
		}
		sent[ttl]++
		if r.From.IsValid() {
			answered[ttl]++
		}
	}
	return sent, answered
}

// Every round asks every hop once, and the run ends with the last round.
func TestMonitorRounds(t *testing.T) {
	everyKind2(t, func(t *testing.T, addr string) {
		cfg := Config{Targets: targets(addr), Monitor: true, Count: 10}
		rehearse(t, line(9, 5*ms), cfg, func(t *testing.T, p *rehearsal) {
			sent, answered := perHop(p.results, 10)
			for ttl := 1; ttl <= 10; ttl++ {
				if sent[ttl] != 10 || answered[ttl] != 10 {
					t.Errorf("hop %d: %d of %d answered", ttl, answered[ttl], sent[ttl])
				}
			}
			if p.took < 9*time.Second || p.took > 10*time.Second {
				t.Errorf("took %v", p.took)
			}
			if !p.paths[0].Reached() || len(p.paths[0].Hops) != 10 {
				t.Errorf("stop %v after %d hops", p.paths[0].Stop, len(p.paths[0].Hops))
			}
		})
	})
}

// everyKind2 runs f for both families.
func everyKind2(t *testing.T, f func(t *testing.T, addr string)) {
	for _, addr := range []string{target4, target6} {
		t.Run(addr, func(t *testing.T) { f(t, addr) })
	}
}

// Without a count a monitor goes on until it is stopped, and what is under way
// then is nobody's loss.
func TestMonitorUntilStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { stop(errors.New("signal")) })
		p := newRehearsal(t, line(5, 5*ms), Config{Targets: targets(target4), Monitor: true}).run(ctx)
		sent, answered := perHop(p.results, 6)
		for ttl := 1; ttl <= 6; ttl++ {
			if sent[ttl] < 59 || sent[ttl] > 61 || answered[ttl] != sent[ttl] {
				t.Errorf("hop %d: %d of %d answered", ttl, answered[ttl], sent[ttl])
			}
		}
		if n := len(p.tracks[0].flights); n > 200 {
			t.Errorf("%d flights are kept", n)
		}
	})
}

// Losses are told as such, with the wait they were given.
func TestMonitorLoss(t *testing.T) {
	topo := line(5, 5*ms)
	topo.Hops[2].RateLimit = lab.RateLimit{PerSecond: 0.5, Burst: 1}
	rehearse(t, topo, Config{Targets: targets(target4), Monitor: true, Count: 20}, func(t *testing.T, p *rehearsal) {
		sent, answered := perHop(p.results, 6)
		if sent[3] != 20 || answered[3] < 9 || answered[3] > 12 {
			t.Errorf("hop 3: %d of %d answered", answered[3], sent[3])
		}
		if answered[6] != 20 {
			t.Errorf("target: %d of %d answered", answered[6], sent[6])
		}
		if p.took > 25*time.Second {
			t.Errorf("took %v", p.took)
		}
		agree(t, p, 5)
	})
}

// A hop that answers in more than an interval still answers.
func TestMonitorSlowHop(t *testing.T) {
	topo := line(5, 5*ms)
	topo.Hops[2].Delay = 1500 * ms
	rehearse(t, topo, Config{Targets: targets(target4), Monitor: true, Count: 5}, func(t *testing.T, p *rehearsal) {
		sent, answered := perHop(p.results, 6)
		if answered[3] < 5 || answered[3] != sent[3] {
			t.Errorf("hop 3: %d of %d answered", answered[3], sent[3])
		}
	})
}

// A path that becomes longer is followed.
func TestMonitorFollows(t *testing.T) {
	topo := line(3, 5*ms)
	topo.Hops[1] = lab.Hop{Ways: [][]lab.Hop{{{Addrs: hopAddrs(2)}}, {{Addrs: hopAddrs(12)}, {Addrs: hopAddrs(13)}}}, PerPacket: true}
	topo.Seed = 4
	rehearse(t, topo, Config{Targets: targets(target4), Monitor: true, Count: 30}, func(t *testing.T, p *rehearsal) {
		if !p.paths[0].Reached() {
			t.Errorf("stop %v", p.paths[0].Stop)
		}
	})
}
