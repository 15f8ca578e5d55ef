package dnsprobe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// simAlarm is an alarm in virtual time.
type simAlarm struct{ kick chan struct{} }

func newSimAlarm() *simAlarm { return &simAlarm{make(chan struct{}, 1)} }

func (a *simAlarm) Wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.kick:
	}
	return true
}

func (a *simAlarm) Wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

func (a *simAlarm) Close() error { return nil }

// simSocket is a socket whose peers are a function: it is told each datagram with
// its number, from 1, and returns after how long which answers arrive.
type simSocket struct {
	alarm  *simAlarm
	peer   func(n int, to netip.AddrPort, q []byte) []simAnswer
	refuse func(n int) error // why a send fails; nil for none

	mu    sync.Mutex
	n     int
	sent  []time.Time
	queue []rawsock.UDPMessage
}

type simAnswer struct {
	after time.Duration
	from  netip.AddrPort
	msg   []byte
}

func (s *simSocket) Send(ps []rawsock.UDPPacket) (int, error) {
	for i, p := range ps {
		s.mu.Lock()
		s.n++
		n := s.n
		if s.refuse != nil {
			if err := s.refuse(n); err != nil {
				s.mu.Unlock()
				return i, err
			}
		}
		s.sent = append(s.sent, time.Now())
		s.queue = append(s.queue, rawsock.UDPMessage{Message: rawsock.Message{Event: rawsock.Stamp, Key: p.Key, Stamp: time.Now().UnixNano()}})
		s.mu.Unlock()
		for _, a := range s.peer(n, p.To, append([]byte(nil), p.Data...)) {
			time.AfterFunc(a.after, func() {
				s.mu.Lock()
				s.queue = append(s.queue, rawsock.UDPMessage{
					Message: rawsock.Message{Event: rawsock.Echo, From: a.from.Addr(), Payload: a.msg, Size: len(a.msg), TTL: 64, Stamp: time.Now().UnixNano()},
					Port:    a.from.Port(),
				})
				s.mu.Unlock()
				s.alarm.Wake()
			})
		}
	}
	return len(ps), nil
}

func (s *simSocket) Drain(visit func(*rawsock.UDPMessage)) error {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for i := range queue {
		queue[i].Arrived = time.Now()
		visit(&queue[i])
	}
	return nil
}

func (s *simSocket) Wait() error       { return nil }
func (s *simSocket) KernelClock() bool { return true }
func (s *simSocket) Dropped() uint32   { return 0 }
func (s *simSocket) Close() error      { return nil }

// reply turns a query into an answer of that rcode without records.
func replyTo(q []byte, rcode byte) []byte {
	b := append([]byte(nil), q...)
	b[2] |= 0x80
	b[3] = rcode
	return b
}

// answerAfter is a peer that answers each query after d.
func answerAfter(d time.Duration) func(int, netip.AddrPort, []byte) []simAnswer {
	return func(_ int, to netip.AddrPort, q []byte) []simAnswer { return []simAnswer{{d, to, replyTo(q, 0)}} }
}

// simulate runs cfg against n servers that are all played by s, and returns the
// Results, with the time since the start at which each was told.
func simulate(t *testing.T, ctx context.Context, cfg Config, s *simSocket, servers int) (got []probe.Result, at []time.Duration) {
	t.Helper()
	if cfg.Questions == nil {
		cfg.Questions = []Question{question4(t, "www.example.test", "A")}
	}
	e := &Engine{}
	if err := e.open(cfg, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = e.alarm.Close(), e.nap.Close()
	s.alarm = newSimAlarm()
	e.alarm, e.nap = s.alarm, newSimAlarm()
	e.lanes[rawsock.IPv4] = &lane{family: rawsock.IPv4, conn: s, watched: true, ids: newIDs()}
	e.opened = time.Now()
	var asked []Asked
	for i := range servers {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(53 + i)}), 53)
		asked = append(asked, Asked{Target: &probe.Target{ID: i, Addr: addr}})
	}
	e.SetServers(asked)
	start := time.Now().Add(warmUp)
	if err := e.Probe(ctx, func(r probe.Result) {
		got = append(got, r)
		at = append(at, time.Since(start))
	}); err != nil {
		t.Fatal(err)
	}
	for _, l := range e.lanes {
		if l.ids.used != 0 {
			t.Errorf("%d ids still in use", l.ids.used)
		}
	}
	if e.flying != 0 {
		t.Errorf("%d queries without an outcome", e.flying)
	}
	return got, at
}

// Rounds are an interval apart from the start on, however long answers take.
func TestSimSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &simSocket{peer: answerAfter(30 * ms)}
		start := time.Now().Add(warmUp)
		got, at := simulate(t, t.Context(), Config{Count: 3, Interval: 100 * ms}, s, 1)
		for i, r := range got {
			want := time.Duration(i) * 100 * ms
			if s.sent[i].Sub(start) != want || at[i] != want+30*ms || r.Status != probe.Reply || r.RTT != 30*ms || r.Clock != probe.Kernel || r.Lag != 0 || r.Seq != uint64(i+1) {
				t.Errorf("query %d left at %v, was decided at %v: %+v", i, s.sent[i].Sub(start), at[i], r)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d outcomes", len(got))
		}
	})
}

// Silence is asked again after each timeout, and is lost when the last late window
// is over.
func TestSimLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &simSocket{peer: func(int, netip.AddrPort, []byte) []simAnswer { return nil }}
		start := time.Now().Add(warmUp)
		got, at := simulate(t, t.Context(), Config{Timeout: time.Second, Late: 500 * ms, Retries: 2}, s, 1)
		if len(got) != 1 || at[0] != 3500*ms || got[0].Status != probe.Lost || got[0].Reason != probe.NoResponse {
			t.Errorf("%v %+v", at, got)
		}
		for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
			if len(s.sent) != 3 || s.sent[i].Sub(start) != want {
				t.Errorf("sent at %v", s.sent)
			}
		}
	})
}

// An answer to the first attempt that comes during the second is late; one that
// comes after its late window is not taken any more.
func TestSimLate(t *testing.T) {
	for _, tc := range []struct {
		after   time.Duration
		retries int
		want    probe.Status
		at      time.Duration
	}{
		{999 * ms, 1, probe.Reply, 999 * ms},
		{time.Second + 1, 0, probe.Late, time.Second + 1},
		{1400 * ms, 1, probe.Late, 1400 * ms},
		{1600 * ms, 1, probe.Lost, 2500 * ms},
		{1600 * ms, 0, probe.Lost, 1500 * ms},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &simSocket{peer: func(n int, to netip.AddrPort, q []byte) []simAnswer {
				if n > 1 {
					return nil
				}
				return answerAfter(tc.after)(n, to, q)
			}}
			got, at := simulate(t, t.Context(), Config{Timeout: time.Second, Late: 500 * ms, Retries: tc.retries}, s, 1)
			if len(got) != 1 || got[0].Status != tc.want || at[0] != tc.at {
				t.Errorf("after %v with %d retries: %v at %v", tc.after, tc.retries, got[0].Status, at)
			}
			time.Sleep(10 * time.Second) // for timers that are left
		})
	}
}

// A rate is held exactly, and shared among servers in turn.
func TestSimRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &simSocket{peer: answerAfter(5 * ms)}
		start := time.Now().Add(warmUp)
		got, _ := simulate(t, t.Context(), Config{Count: 10, Rate: 100, Window: 1000}, s, 3)
		if len(got) != 30 {
			t.Fatalf("%d outcomes", len(got))
		}
		for i, sent := range s.sent {
			if want := time.Duration(i) * 10 * ms; sent.Sub(start) != want {
				t.Errorf("query %d left at %v, want %v", i, sent.Sub(start), want)
			}
			if got[i].Target.ID != i%3 || got[i].Lag != 0 {
				t.Errorf("query %d to server %d, %v late", i, got[i].Target.ID, got[i].Lag)
			}
		}
	})
}

// Many queries a second leave in batches, none too early, and the lag is told.
func TestSimHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &simSocket{peer: answerAfter(700 * time.Microsecond)}
		start := time.Now().Add(warmUp)
		got, _ := simulate(t, t.Context(), Config{Count: 5000, Rate: 5000, Window: 10000}, s, 1)
		for i, sent := range s.sent {
			planned := time.Duration(i) * 200 * time.Microsecond
			if late := sent.Sub(start) - planned; late < 0 || late > 2*napTime {
				t.Fatalf("query %d left %v late", i, late)
			}
		}
		for _, r := range got {
			if r.Status != probe.Reply || r.RTT != 700*time.Microsecond || r.Lag > 2*napTime {
				t.Fatalf("%+v", r)
			}
		}
		if len(got) != 5000 {
			t.Errorf("%d outcomes", len(got))
		}
	})
}

// No more queries are under way to a server than the window has room for.
func TestSimWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &simSocket{peer: answerAfter(100 * ms)}
		start := time.Now().Add(warmUp)
		got, _ := simulate(t, t.Context(), Config{Count: 10, Window: 4}, s, 1)
		for i, sent := range s.sent {
			if want := time.Duration(i/4) * 100 * ms; sent.Sub(start) != want {
				t.Errorf("query %d left at %v, want %v", i, sent.Sub(start), want)
			}
		}
		if len(got) != 10 {
			t.Errorf("%d outcomes", len(got))
		}
	})
}

// When the run ends, what is still awaited is pending, and what was overdue lost.
func TestSimCanceled(t *testing.T) {
	for _, tc := range []struct {
		end  time.Duration
		want probe.Status
	}{{500 * ms, probe.Pending}, {1200 * ms, probe.Lost}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), warmUp+tc.end)
			defer cancel()
			s := &simSocket{peer: func(int, netip.AddrPort, []byte) []simAnswer { return nil }}
			got, _ := simulate(t, ctx, Config{Timeout: time.Second, Late: 500 * ms}, s, 2)
			if len(got) != 2 || got[0].Status != tc.want || got[1].Status != tc.want || got[0].Sent.IsZero() {
				t.Errorf("%v: %+v", tc.end, got)
			}
		})
	}
}

// What this host cannot send is its failure, now or after a full queue; others are
// asked all the same.
func TestSimSendFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := 0
		s := &simSocket{peer: answerAfter(10 * ms), refuse: func(n int) error {
			switch {
			case n == 2:
				return fmt.Errorf("sendmmsg: %w", syscall.EPERM)
			case n > 3 && full < 5:
				full++
				return fmt.Errorf("sendmmsg: %w", syscall.ENOBUFS)
			}
			return nil
		}}
		got, _ := simulate(t, t.Context(), Config{}, s, 4)
		var failed, replied int
		for _, r := range got {
			switch r.Status {
			case probe.Failed:
				failed++
				if r.Reason != probe.Permission || r.Err == nil || !r.Sent.IsZero() {
					t.Errorf("%+v", r)
				}
			case probe.Reply:
				replied++
			}
		}
		if failed != 1 || replied != 3 {
			t.Errorf("%d failed, %d replied", failed, replied)
		}
	})
}

// A repetition that cannot leave does not undo what was sent before.
func TestSimRetryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &simSocket{
			peer: func(int, netip.AddrPort, []byte) []simAnswer { return nil },
			refuse: func(n int) error {
				if n == 2 {
					return fmt.Errorf("sendmmsg: %w", syscall.ENETUNREACH)
				}
				return nil
			},
		}
		got, at := simulate(t, t.Context(), Config{Timeout: time.Second, Late: 500 * ms, Retries: 1}, s, 1)
		if len(got) != 1 || got[0].Status != probe.Lost || at[0] != 1500*ms {
			t.Fatalf("%v %+v", at, got)
		}
		d := got[0].Detail.(*probe.DNS)
		if len(d.Attempts) != 2 || d.Attempts[1].Status != probe.Failed || !strings.Contains(d.Attempts[1].Why, "no route") {
			t.Errorf("%+v", d.Attempts)
		}
	})
}

// Thousands of queries have ids that are theirs alone, and guesses hit none.
func TestSimGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[uint16]int{}
		s := &simSocket{peer: func(n int, to netip.AddrPort, q []byte) []simAnswer {
			id := binary.BigEndian.Uint16(q)
			seen[id]++
			guess := replyTo(q, 3)
			binary.BigEndian.PutUint16(guess, id^0x5555)
			return []simAnswer{{ms, to, guess}, {2 * ms, netip.MustParseAddrPort("198.51.100.66:53"), replyTo(q, 3)}, {20 * ms, to, replyTo(q, 0)}}
		}}
		var qs []Question
		for i := range 2000 {
			qs = append(qs, question4(t, fmt.Sprintf("host%d.example.test", i), "A"))
		}
		got, _ := simulate(t, t.Context(), Config{Questions: qs, Window: 5000}, s, 1)
		for _, r := range got {
			d := r.Detail.(*probe.DNS)
			if r.Status != probe.Reply || d.Answer.Rcode != "NOERROR" {
				t.Fatalf("%v %+v", r.Status, d.Answer)
			}
			for _, x := range d.Strays {
				if x.Why != "wrong source" && x.Why != "wrong id" && x.Why != "wrong question" {
					t.Fatalf("%+v", x)
				}
			}
		}
		if len(got) != 2000 || len(seen) < 1900 {
			t.Errorf("%d outcomes, %d ids", len(got), len(seen))
		}
	})
}
