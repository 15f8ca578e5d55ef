package probe

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// limiter lets rate packets per second through to subnet number net, after a
// burst, and all to the others.
func limiter(net int, rate, burst float64, next carry) carry {
	tokens, last := burst, time.Duration(0)
	return func(w *world, host int, now time.Duration) (time.Duration, bool) {
		if host>>8 != net {
			return next(w, host, now)
		}
		tokens, last = min(burst, tokens+rate*(now-last).Seconds()), now
		if tokens < 1 {
			return 0, false
		}
		tokens--
		return next(w, host, now)
	}
}

// foundIn returns how many hosts of subnet number net were found.
func (w *world) foundIn(net int) (n int) {
	for _, h := range w.state[net<<8 : (net+1)<<8] {
		if h.found {
			n++
		}
	}
	return n
}

// A subnet behind a limit on ICMP is slowed, and it alone; its hosts are found,
// which they are not where the sender does not ask for their turn.
func TestSubnetBehindALimit(t *testing.T) {
	alone(t)
	const limited = 77
	cases := []struct {
		rate     float64 // of the limit, packets per second
		cap      float64 // of the run
		hosts    int
		found    int // of the subnet's 256, at least
		foundNot int // at most, without turns
	}{
		{5, 10_000, 524_288, 254, 252},
		{8, 5_000, 131_072, 254, 230},
		{5, 5_000, 131_072, 250, 170},
		{3, 5_000, 131_072, 200, 110},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%v/s", tc.rate), func(t *testing.T) {
			w := &world{hosts: tc.hosts, retries: 3, config: GovernorConfig{Rate: tc.cap}}
			slowed := false
			w.each = func(w *world, now time.Duration) {
				slowed = slowed || w.g.Slowed() == 1
				if w.g.Slowed() > 1 || w.g.Slowed() == 1 && w.g.subnets.of(addrOf(limited<<8)).slow == nil {
					t.Fatalf("another subnet is slowed at %v", now)
				}
			}
			w.carry = limiter(limited, tc.rate, 5, delay(ms))
			if w.run(); !slowed {
				t.Error("not slowed")
			}
			if got := w.foundIn(limited); got < tc.found {
				t.Errorf("found %d of its hosts", got)
			}
			if others := w.found - w.foundIn(limited); others != tc.hosts-256 {
				t.Errorf("found %d others", others)
			}
			if w.least(time.Second, w.asked) < 1000 {
				t.Error("the run was slowed as well")
			}

			rude := (&world{hosts: tc.hosts, retries: 3, rude: true, config: w.config, carry: limiter(limited, tc.rate, 5, delay(ms))}).run()
			if got := rude.foundIn(limited); got > tc.foundNot {
				t.Errorf("found %d even without turns: this shows nothing", got)
			}
		})
	}
}

// Loss that all subnets have in common slows none of them.
func TestSubnetsInTheSameTrouble(t *testing.T) {
	alone(t)
	w := &world{hosts: 65_536, retries: 3, config: GovernorConfig{Rate: 10_000}}
	w.carry = lossy(.2, delay(ms))
	most := 0
	w.each = func(w *world, _ time.Duration) { most = max(most, w.g.Slowed()) }
	if w.run(); most > 3 {
		t.Errorf("%d of 256 subnets were slowed", most)
	}
}

// A subnet whose packets are lost at any rate is slowed for a while only.
func TestSubnetSlowedInVain(t *testing.T) {
	alone(t)
	const bad = 77
	w := &world{hosts: 524_288, retries: 3, config: GovernorConfig{Rate: 20_000}}
	w.carry = func(w *world, host int, now time.Duration) (time.Duration, bool) {
		return now + ms, host>>8 != bad || w.rnd.Float64() < 0.4
	}
	slowed := false
	w.each = func(w *world, _ time.Duration) { slowed = slowed || w.g.Slowed() > 0 }
	if w.run(); !slowed || w.g.Slowed() > 0 || !w.g.subnets.of(addrOf(bad<<8)).vain {
		t.Errorf("slowed at all: %v, now: %d", slowed, w.g.Slowed())
	}
	if w.done > 90*time.Second { // 32 without the limit
		t.Errorf("the last packet left at %v", w.done)
	}
}

// Life of a limit, told answer by answer.
func TestSubnetLimit(t *testing.T) {
	s := newSubnets(time.Second)
	s.answered = 1000 // elsewhere, without a retry
	a := func(i int) netip.Addr { return addrOf(i) }
	p := s.of(a(0))
	for i := range 100 { // 100/s
		s.take(p, a(i), time.Duration(i)*10*ms)
	}
	hear := func(i int, now time.Duration, retried bool) int32 { return s.heard(p, a(i), now, retried) }
	for i := range 12 {
		if hear(i, time.Second, false) != 0 {
			t.Fatal("slowed without a retry")
		}
	}
	for i := 12; i < 16; i++ { // 4 of 16: not more than a quarter
		if hear(i, time.Second, true) != 0 {
			t.Fatalf("slowed at %d of %d", p.retried, p.answered)
		}
	}
	if hear(16, time.Second, true) != 1 || p.slow.rate != 50 {
		t.Fatalf("not slowed to a half: %+v", p.slow)
	}

	// What left before the limit was set does not count under it.
	for i := 20; i < 60; i++ {
		if hear(i, time.Second+ms, true) != 0 || p.answered != 0 {
			t.Fatal("counts an answer to a packet from before")
		}
	}
	// Halved again for hosts that needed two packets under it.
	now := 2 * time.Second
	for i := 60; i < 65; i++ {
		s.take(p, a(i), now)
		s.take(p, a(i), now+time.Second)
		hear(i, now+time.Second, false)
	}
	if p.slow.rate != 25 {
		t.Fatalf("%v/s, want 25", p.slow.rate)
	}
	// Grows once it has stood for long enough, and is gone at twice the rate of old.
	more := int32(0)
	for i := 0; p.slow != nil && i < 1000; i++ {
		now += 100 * ms
		s.take(p, a(i%256), now)
		more += hear(i%256, now, false)
		if p.slow != nil {
			p.slow.twice = [4]uint64{} // each round is another 256 hosts
		}
	}
	if p.slow != nil || more != -1 || p.pacer != (Pacer{}) || p.vain {
		t.Errorf("still limited: %+v", p.slow)
	}
}

// Under a limit, hosts of the subnet wait for their turn, and others do not.
func TestTurn(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true})
	a, b := addrOf(1), addrOf(1<<8)
	p := g.subnets.of(a)
	p.slow = &slow{rate: 10, full: 20}
	p.pacer = NewPacer(10)
	g.slowed.Store(1)
	for i := range 5 {
		want := time.Duration(i) * 100 * ms
		if got := g.Turn(a, want); got != want {
			t.Errorf("packet %d may leave at %v, want %v", i, got, want)
		}
		if got := g.Turn(b, want); got > want {
			t.Errorf("the other subnet must wait until %v", got)
		}
		g.Take(a, want)
	}
}

// Places hold a /24 or a /112, and neighbours spread over the table.
func TestSubnetPlaces(t *testing.T) {
	s := newSubnets(time.Second)
	cases := []struct {
		a, b string
		same bool
	}{
		{"192.0.2.0", "192.0.2.255", true},
		{"192.0.2.255", "192.0.3.0", false},
		{"2001:db8::", "2001:db8::ffff", true},
		{"2001:db8::ffff", "2001:db8::1:0", false},
		{"2001:db8::", "2001:db8:0:1::", false},
	}
	for _, tc := range cases {
		if got := s.of(netip.MustParseAddr(tc.a)) == s.of(netip.MustParseAddr(tc.b)); got != tc.same {
			t.Errorf("%s and %s: same place %v", tc.a, tc.b, got)
		}
	}
	six := func(i int) netip.Addr {
		b := netip.MustParseAddr("2001:db8::").As16()
		b[11], b[12], b[13] = byte(i>>16), byte(i>>8), byte(i)
		return netip.AddrFrom16(b)
	}
	link := func(i int) netip.Addr {
		b := netip.MustParseAddr("2001:db8::1").As16()
		b[6], b[7] = byte(i>>8), byte(i)
		return netip.AddrFrom16(b)
	}
	for name, addr := range map[string]func(int) netip.Addr{
		"/24":  func(i int) netip.Addr { return addrOf(i << 8) },
		"/112": six, "/64": link,
	} {
		used := map[*subnet]bool{}
		for i := range len(s.place) {
			used[s.of(addr(i))] = true
		}
		// By chance 63 % of the places would be used.
		if len(used) < len(s.place)/2 {
			t.Errorf("4,096 neighbouring %s use %d places", name, len(used))
		}
	}
}
