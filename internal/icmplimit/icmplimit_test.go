package icmplimit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Every closed port is decided, in little more than what the limit allows, and
// after ten seconds it is known how long that will be.
func TestClosedPorts(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		cases := []struct {
			name   string
			limit  limiter
			period time.Duration
			burst  int
			rate   float64
			within float64 // of the period
			most   float64 // times what the limit allows
			lies   int
		}{
			{"Linux, IPv4", newPeerBucket(time.Second), time.Second, 6, 1000, 0.03, 1.03, 0},
			{"Linux, IPv6 to a /64", newPeerBucket(252 * ms), 252 * ms, 6, 1000, 0.03, 1.05, 0},
			{"Linux, IPv6 by default route", newPeerBucket(64 * ms), 64 * ms, 6, 1000, 0.05, 1.1, 0},
			{"slow", newPeerBucket(3 * time.Second), 3 * time.Second, 6, 1000, 0.05, 1.05, 0},
			{"BSD", &perSecond{most: 200}, 5 * ms, 200, 2000, 0.15, 1.4, 0},
			{"Linux, for all peers", newGlobalBucket(rnd), ms, 50, 20000, 0.7, 2.2, 0},
		}
		for _, tc := range cases {
			n := &network{closed: 1000, limit: tc.limit, rtt: 20 * ms, jitter: ms, rate: tc.rate, rnd: rnd}
			s := n.scan(2*time.Hour, 10*time.Second)
			name := fmt.Sprintf("%s, seed %d", tc.name, seed)
			allowed := time.Duration(n.closed-tc.burst) * tc.period
			if s.left != 0 || s.lies > tc.lies {
				t.Errorf("%s: %d of %d undecided, %d wrong", name, s.left, n.closed, s.lies)
			}
			if f := float64(s.took) / float64(allowed); f > tc.most {
				t.Errorf("%s: took %v, %.3f of the %v that are allowed", name, s.took, f, allowed)
			}
			if f := math.Abs(float64(s.half)/float64(tc.period) - 1); f > tc.within {
				t.Errorf("%s: interval %v, want %v", name, s.half, tc.period)
			}
			if s.packets > 12*n.closed {
				t.Errorf("%s: %d packets", name, s.packets)
			}
			if eta, asked := s.eta[10*time.Second]; asked && eta > 0 && s.took > 30*time.Second {
				left := s.took - 10*time.Second
				if f := math.Abs(float64(eta)/float64(left) - 1); f > 0.1 {
					t.Errorf("%s: after 10s it was to take %v for %d ports, and took %v", name, eta, s.remaining[10*time.Second], left)
				}
			}
		}
	}
}

// Closed ports among silent ones are found, hardly any is called silent where
// packets are lost and none else, and the silent ones take no longer than they must.
func TestMixed(t *testing.T) {
	for seed := range uint64(4) {
		for _, tc := range []struct {
			closed, silent int
			limit          limiter
			loss           float64
			most           time.Duration
		}{
			{300, 300, newPeerBucket(time.Second), 0, 400 * time.Second},
			{50, 950, newPeerBucket(time.Second), 0, 500 * time.Second},
			{300, 300, newPeerBucket(time.Second), 0.1, 500 * time.Second},
			{500, 500, &perSecond{most: 200}, 0, 120 * time.Second},
			{500, 500, none{}, 0, 12 * time.Second},
			{500, 500, none{}, 0.1, 15 * time.Second},
			{0, 1000, none{}, 0.1, 8 * time.Second},
			{3, 997, newPeerBucket(time.Second), 0, 15 * time.Second},
			{8, 0, newPeerBucket(time.Second), 0, 3 * time.Second},
			{20, 0, newPeerBucket(time.Second), 0, 20 * time.Second},
			{30, 30, newPeerBucket(time.Second), 0, 50 * time.Second},
			{60, 0, newPeerBucket(time.Second), 0, 60 * time.Second},
			{20, 5, none{}, 0, 8 * time.Second},
		} {
			n := &network{
				closed: tc.closed, silent: tc.silent, limit: tc.limit, loss: tc.loss,
				rtt: 20 * ms, jitter: ms, rate: 1000, rnd: rand.New(rand.NewPCG(seed, 9)),
			}
			s := n.scan(time.Hour)
			name := fmt.Sprintf("%d closed, %d silent, %T, %g lost, seed %d", tc.closed, tc.silent, tc.limit, tc.loss, seed)
			period, _ := s.limit.Interval()
			t.Logf("%s: %v, %d packets, %d wrong, interval %v", name, s.took, s.packets, s.lies, period)
			lies := 0
			if tc.loss > 0 {
				lies = tc.closed / 25 // three tries in a row, each lost one way or the other
			}
			if s.left != 0 || s.lies > lies || s.took > tc.most {
				t.Errorf("%s: %d undecided, %d wrong, took %v", name, s.left, s.lies, s.took)
			}
		}
	}
}

// Who looks late at what has come finds no limit: neither after a pause in which
// answers waited, nor where the last to be asked are the ports that are silent.
func TestNoTurn(t *testing.T) {
	var l Limit
	now := time.Duration(0)
	answer := func(sent time.Duration) { l.Answered(sent, sent+ms/10, -1) }
	for range sample {
		l.Sent(now, true, 1)
		answer(now)
		now += ms
	}
	paused := now
	for range 4 * sample {
		l.Sent(now, true, 4*sample)
		now += ms / 100
	}
	now += 100 * ms
	l.Next(now)
	if !l.Suspect() {
		t.Error("no suspicion where nothing is answered any more")
	}
	for i := range 4 * sample {
		answer(paused + time.Duration(i)*ms/100)
	}
	if l.Suspect() {
		t.Error("a limit is suspected though all was answered")
	}
	for range 4 * sample { // one port that is silent, again and again
		l.Sent(now, false, 1)
		now += 400 * ms
		l.Next(now)
	}
	if l.Suspect() || !l.Covered(now-400*ms) {
		t.Error("a limit is suspected for one silent port")
	}
}

// Answers are there before silence is: that the last to end are silent is no sign.
func TestHalfSilent(t *testing.T) {
	var l Limit
	for i := range 8 * sample {
		l.Sent(0, true, i+1)
	}
	for range 4 * sample {
		l.Answered(0, ms, -1)
	}
	l.Next(time.Second)
	if l.Suspect() {
		t.Error("a limit is suspected where half of the ports are silent")
	}
}

// However many ports there are: where a burst takes the tokens of a bucket, in any
// order, the host is suspected before each port was asked three times.
func TestBurst(t *testing.T) {
	for _, ports := range []int{9, 20, 40, 60, 64, 65, 80, 96, 97, 100, 130, 250, 1000} {
		var l Limit
		asked, silent := 0, 0
		send := func(at time.Duration, n int) {
			for range min(n, ports-asked) {
				asked, silent = asked+1, silent+1
				l.Sent(at, true, silent)
			}
		}
		now := time.Duration(0)
		send(now, sample)
		for range 6 { // each answer has two more tries leave, of which one is answered
			silent--
			l.Answered(now, now+ms/50, -1)
			now += ms / 50
			send(now, 2)
		}
		least := 2 // tries at each
		for window := 2 * sample; !l.Suspect() && least < 4; window *= 2 {
			now += 100 * ms
			l.Next(now)
			for range silent {
				l.Sent(now, false, silent)
			}
			if asked == ports {
				least++
			}
			send(now, window-silent)
		}
		now += 100 * ms
		l.Next(now)
		if !l.Suspect() {
			t.Errorf("%d ports: no suspicion", ports)
		}
	}
}

// Where only one port is left to ask, suspicion ends as soon as where there are many.
func TestAcquittal(t *testing.T) {
	for _, tc := range []struct {
		asked int
		gap   time.Duration
	}{{1, 400 * ms}, {1000, 50 * ms}} {
		var l Limit
		l.Sent(0, true, 1)
		l.Sent(200*ms, false, 1)
		l.Answered(200*ms, 201*ms, 0)
		if !l.Suspect() {
			t.Fatal("no suspicion of a port that answered when it was asked again")
		}
		now := 201 * ms
		for l.Suspect() && now < time.Minute {
			l.Sent(now, false, tc.asked)
			now += tc.gap
			l.Next(now)
		}
		if now < acquittal || now > acquittal+time.Second {
			t.Errorf("%d ports left: acquitted after %v", tc.asked, now)
		}
		l.Sent(now, false, tc.asked)
		l.Sent(now+time.Second, true, tc.asked)
		l.Answered(now+time.Second, now+1001*ms, -1)
		if l.Suspect() || !l.Covered(now) {
			t.Errorf("%d ports left: suspected again for what was known", tc.asked)
		}
	}
}

// Nothing known is nothing said.
func TestZero(t *testing.T) {
	var l Limit
	if at := l.Next(time.Second); at != time.Second {
		t.Errorf("next at %v", at)
	}
	if _, known := l.ETA(9); known || !l.Covered(0) || l.Suspect() {
		t.Error("a limit out of nothing")
	}
	l.Sent(time.Second, true, 1)
	l.Answered(time.Second, 1020*ms, -1)
	if _, known := l.Interval(); known || !l.Covered(time.Second) {
		t.Error("a limit out of one answer")
	}
}

// Answers may come in any order, late, and to tries nobody remembers.
func FuzzLimit(f *testing.F) {
	f.Add([]byte("\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0"))
	f.Add([]byte("\x01\xff\x02\xff\x03\xff\x04\xff\x05\xff\x06\xff\x07\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l Limit
		now := time.Duration(0)
		for i, b := range data {
			now += time.Duration(b) * 10 * ms
			switch i % 3 {
			case 0:
				l.Sent(now, b%2 == 0, i)
			case 1:
				l.Answered(max(0, now-time.Duration(b)*5*ms), now, time.Duration(int8(b))*time.Second)
			default:
				if at := l.Next(now); at < now || at > now+time.Hour {
					t.Fatalf("next at %v, it is %v", at, now)
				}
			}
			l.Covered(now / 2)
			if d, known := l.ETA(i); known && d < 0 {
				t.Fatalf("it takes %v", d)
			}
		}
	})
}
