package crew

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew/crewtest"
	"netprobe/probe"
)

const ms = time.Millisecond

// network is an Asker that needs no network: answer says what becomes of a try.
type network struct {
	answer func(t Try) (Answer, time.Duration) // after how long, at most the try's timeout
	start  time.Time

	mu    sync.Mutex
	tries map[netip.Addr][]time.Duration // when each host was asked
	open  int
	most  int
}

func newNetwork(answer func(t Try) (Answer, time.Duration)) *network {
	return &network{answer: answer, start: time.Now(), tries: map[netip.Addr][]time.Duration{}}
}

func (n *network) Ask(ctx context.Context, t Try) Answer {
	n.mu.Lock()
	n.open++
	n.most = max(n.most, n.open)
	n.tries[t.To.Addr()] = append(n.tries[t.To.Addr()], time.Since(n.start))
	a, after := n.answer(t)
	n.mu.Unlock()
	sent := time.Now()
	if after > 0 { // inside a bubble the race detector of Go 1.26 crashes on a timer that is due at once
		select {
		case <-time.After(after):
		case <-ctx.Done():
			a = Answer{Result: probe.Result{Status: probe.Pending, Reason: probe.Canceled}}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open--
	if a.Status != probe.Failed {
		a.Sent = sent
	}
	return a
}

func (n *network) crew(cfg Config) *Crew { return New(cfg, func() Asker { return n }) }

func alive(t Try) (Answer, time.Duration) {
	return Answer{Result: probe.Result{Status: probe.Reply, Reason: probe.Connected, From: t.To.Addr()}}, 5 * ms
}

func mute(t Try) (Answer, time.Duration) {
	return Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}, t.Timeout
}

func short(why probe.Reason) func(Try) (Answer, time.Duration) {
	return func(Try) (Answer, time.Duration) {
		return Answer{Result: probe.Result{Status: probe.Failed, Reason: why, Err: errors.New("none left")}}, 0
	}
}

// The silent are asked again, each time for longer; others are not.
func TestRetries(t *testing.T) {
	cases := []struct {
		name   string
		answer func(Try) (Answer, time.Duration)
		status probe.Status
		asked  []time.Duration
		end    time.Duration
	}{
		{"alive", alive, probe.Reply, []time.Duration{0}, 5 * ms},
		{"mute", mute, probe.Lost, []time.Duration{0, 100 * ms, 300 * ms}, 700 * ms},
		{"third time lucky", func(t Try) (Answer, time.Duration) {
			if t.N == 3 {
				return alive(t)
			}
			return mute(t)
		}, probe.Reply, []time.Duration{0, 100 * ms, 300 * ms}, 305 * ms},
		{"unreachable", func(t Try) (Answer, time.Duration) {
			return Answer{Result: probe.Result{Status: probe.Unreachable, Reason: probe.HostUnreachable, From: t.To.Addr()}}, ms
		}, probe.Unreachable, []time.Duration{0}, ms},
		{"denied", short(probe.Permission), probe.Failed, []time.Duration{0}, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, l := newNetwork(tc.answer), crewtest.Of("192.0.2.1")
				c := n.crew(Config{Source: l, Port: 80, Retries: 2, Timeout: 100 * ms, Backoff: 2})
				o := crewtest.Run(t, t.Context(), c, l)[0]
				asked := n.tries[o.Addr.Addr()]
				if o.Status != tc.status || o.At != tc.end || !slices.Equal(asked, tc.asked) || o.Addr.Port() != 80 {
					t.Errorf("%v at %v, asked at %v; want %v at %v, asked at %v", o.Status, o.At, asked, tc.status, tc.end, tc.asked)
				}
				want := uint64(len(tc.asked))
				if tc.status == probe.Failed {
					want = 0
				}
				if got := c.Counters(); o.Seq != want || got.Sent != want || got.Retried != want-min(want, 1) {
					t.Errorf("try %d, counters %+v, want %d", o.Seq, got, want)
				}
			})
		})
	}
}

// No more hosts are asked at a time than allowed, and no fewer.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(mute), crewtest.Count("192.0.2.0", 100)
		got := crewtest.Run(t, t.Context(), n.crew(Config{Source: l, Timeout: 100 * ms, Limit: 8}), l)
		var last time.Duration
		for _, o := range got {
			last = max(last, o.At)
		}
		if n.most != 8 || last != 1300*ms || len(got) != 100 {
			t.Errorf("%d hosts, %d at a time, done at %v", len(got), n.most, last)
		}
	})
}

// What this host lacks is waited for and never passes for an answer; how many
// are asked at a time follows what there is.
func TestShortage(t *testing.T) {
	for _, why := range []probe.Reason{probe.NoDescriptors, probe.NoLocalPort, probe.NoBuffers} {
		t.Run(why.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const there = 10
				n, l := newNetwork(nil), crewtest.Count("192.0.2.0", 200)
				n.answer = func(t Try) (Answer, time.Duration) {
					if n.open > there {
						return short(why)(t)
					}
					return mute(t)
				}
				c := n.crew(Config{Source: l, Timeout: 100 * ms, Limit: 100})
				var last time.Duration
				for i, o := range crewtest.Run(t, t.Context(), c, l) {
					if o.Status != probe.Lost || o.Seq != 1 {
						t.Errorf("host %d: %v %v, try %d", i, o.Status, o.Reason, o.Seq)
					}
					last = max(last, o.At)
				}
				counters := c.Counters()
				if counters.Sent != 200 || counters.Shortages == 0 || counters.Shortages > 250 || last > 5*time.Second {
					t.Errorf("%+v, done at %v", counters, last)
				}
			})
		})
	}
}

// Where it never comes back that is told after a while, as ours.
func TestShortageLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(short(probe.NoDescriptors)), crewtest.Count("192.0.2.0", 50)
		got := crewtest.Run(t, t.Context(), n.crew(Config{Source: l, Retries: 3}), l)
		want := (10 + 20 + 40 + 80 + 160 + 320 + 500 + 500) * ms
		for i, o := range got {
			if o.Status != probe.Failed || o.Reason != probe.NoDescriptors || o.Seq != 0 || o.At != want {
				t.Errorf("host %d: %v %v, try %d at %v, want %v", i, o.Status, o.Reason, o.Seq, o.At, want)
			}
		}
	})
}

// Candidates are asked as they come, and the run ends with the last of them.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(alive), crewtest.Count("192.0.2.0", 6).Hold(2)
		go func() {
			for range 2 {
				time.Sleep(time.Second)
				l.Supply(2)
			}
		}()
		for i, o := range crewtest.Run(t, t.Context(), n.crew(Config{Source: l}), l) {
			if want := time.Duration(i/2)*time.Second + 5*ms; o.At != want {
				t.Errorf("host %d at %v, want %v", i, o.At, want)
			}
		}
	})
}

// A run that is ended decides at once what it began and begins nothing more.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(mute), crewtest.Count("192.0.2.0", 100)
		ctx, cancel := context.WithTimeout(t.Context(), 250*ms)
		defer cancel()
		c := n.crew(Config{Source: l, Timeout: 100 * ms, Limit: 10, Retries: 1, Backoff: 1})
		count := map[probe.Status]int{}
		for _, o := range crewtest.Run(t, ctx, c, l) {
			count[o.Status]++
			if o.Status == probe.Pending && (o.At != 250*ms || o.Reason != probe.Canceled) {
				t.Errorf("pending at %v: %v", o.At, o.Reason)
			}
		}
		if count[probe.Lost] != 10 || count[probe.Pending] != 10 || len(count) != 2 {
			t.Error(count)
		}
	})
}

// slow is a Pacer that lets a packet pass every gap, and one to each of the slow
// subnets every subnetGap.
type slow struct {
	mu             sync.Mutex
	gap, subnetGap time.Duration
	slow           netip.Prefix
	next, turn     time.Duration
	takes, agains  int
	heard          []string
	chokes, asked  int
}

func (s *slow) Next(time.Duration) time.Duration { return s.next }

func (s *slow) Turn(a netip.Addr, now time.Duration) time.Duration {
	s.asked++
	if s.slow.IsValid() && s.slow.Contains(a) {
		return s.turn
	}
	return now
}

func (s *slow) take(a netip.Addr, now time.Duration) {
	s.next = now + s.gap
	if s.slow.IsValid() && s.slow.Contains(a) {
		s.turn = now + s.subnetGap
	}
}

func (s *slow) Take(a netip.Addr, now time.Duration) { s.takes++; s.take(a, now) }

func (s *slow) Again(a netip.Addr, now time.Duration) { s.agains++; s.take(a, now) }

func (s *slow) Heard(a netip.Addr, sent, now time.Duration, try int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, fmt.Sprint(a, sent, now, try))
}

func (s *slow) Choke(time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chokes++
}

// The pace of the run holds for first tries and further ones alike.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(mute), crewtest.Count("192.0.2.0", 3)
		p := &slow{gap: 40 * ms}
		got := crewtest.Run(t, t.Context(), n.crew(Config{Source: l, Timeout: 100 * ms, Retries: 1, Backoff: 2, Pace: p}), l)
		want := [][]time.Duration{{0, 120 * ms}, {40 * ms, 160 * ms}, {80 * ms, 200 * ms}}
		for i, o := range got {
			if asked := n.tries[o.Addr.Addr()]; !slices.Equal(asked, want[i]) {
				t.Errorf("host %d asked at %v, want %v", i, asked, want[i])
			}
		}
		if p.takes != 3 || p.agains != 3 || p.heard != nil {
			t.Errorf("%d taken, %d again, heard %v", p.takes, p.agains, p.heard)
		}
	})
}

// So it does under a Governor with a fixed rate.
func TestGovernor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(alive), crewtest.Count("192.0.2.0", 100)
		g := probe.NewGovernor(probe.GovernorConfig{Rate: 50})
		var last time.Duration
		for _, o := range crewtest.Run(t, t.Context(), n.crew(Config{Source: l, Pace: g}), l) {
			last = max(last, o.At)
		}
		if want := 99*20*ms + 5*ms; last > want || last < want-20*ms {
			t.Errorf("done at %v, want %v", last, want)
		}
	})
}

// A slow subnet waits in line for its own turns and holds nobody else up, nor
// is everybody in the line asked about at each turn.
func TestSlowSubnet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(alive), crewtest.Count("192.0.2.0", 512)
		p := &slow{subnetGap: 50 * ms, slow: netip.MustParsePrefix("192.0.2.0/24")}
		got := crewtest.Run(t, t.Context(), n.crew(Config{Source: l, Limit: 300, Pace: p}), l)
		for i, o := range got {
			want := 5 * ms
			if i < 256 {
				want += time.Duration(i) * 50 * ms
			}
			if o.At > want+5*ms || o.At < want {
				t.Errorf("host %d at %v, want %v", i, o.At, want)
			}
		}
		if p.asked > 2*512 || len(p.heard) != 512 {
			t.Errorf("asked about %d times, heard of %d", p.asked, len(p.heard))
		}
	})
}

// The Pacer hears when an answer came and to which try, but nothing of silence and
// of what this host itself says; it is told of want of buffers.
func TestPacerHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNetwork(nil), crewtest.Of("192.0.2.1", "192.0.2.2", "192.0.2.3")
		n.answer = func(t Try) (Answer, time.Duration) {
			switch {
			case t.To.Addr().As4()[3] == 2:
				a, d := alive(t)
				a.Own = true
				return a, d
			case t.To.Addr().As4()[3] == 3:
				return short(probe.NoBuffers)(t)
			case t.N == 1:
				return mute(t)
			}
			return alive(t)
		}
		p := new(slow)
		crewtest.Run(t, t.Context(), n.crew(Config{Source: l, Retries: 1, Timeout: 100 * ms, Pace: p}), l)
		if want := []string{"192.0.2.1 100ms 105ms 2"}; !slices.Equal(p.heard, want) || p.chokes != shortTries+1 {
			t.Errorf("heard %v, want %v; choked %d times", p.heard, want, p.chokes)
		}
	})
}

// Counters may be asked for at any time, the end of a run included.
func TestCountersMeanwhile(t *testing.T) {
	n, l := newNetwork(mute), crewtest.Count("192.0.2.0", 100)
	c := n.crew(Config{Source: l, Timeout: ms, Limit: 10})
	stop := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Microsecond):
				c.Counters()
			}
		}
	})
	crewtest.Run(t, t.Context(), c, l)
	close(stop)
	watcher.Wait()
	if got := c.Counters(); got.InFlight != 0 || got.Deferred != 0 || got.Sent != 100 {
		t.Errorf("%+v", got)
	}
}
