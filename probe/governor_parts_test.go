package probe

import (
	"testing"
	"time"
)

func TestSignJudges(t *testing.T) {
	cases := []struct {
		name             string
		refN, refK, n, k float64
		fine             float64
		want             verdict
	}{
		{"nothing known yet", 0, 0, 50, 7, 0, unsure},
		{"the first answers", 0, 0, 50, 8, 0, same},
		{"too few expected", 1000, 10, 700, 0, 0, unsure},
		{"the same", 1000, 500, 50, 25, 0, same},
		{"more", 1000, 500, 50, 40, 0, same},
		{"one deviation less", 1000, 500, 100, 46, 0, same},
		{"two less", 1000, 500, 100, 40, 0, unsure},
		{"two less, of more", 1000, 500, 400, 180, 0, unsure},
		{"half", 1000, 500, 200, 50, 0, worse},
		{"half, of too few", 1000, 500, 20, 5, 0, unsure},
		{"none", 1000, 500, 50, 0, 0, worse},
		{"5 % of many", 10_000, 10_000, 1000, 950, 0, less},
		{"1 % of many", 10_000, 10_000, 10_000, 9900, 0, same},
		{"3 %, but few are missing", 10_000, 10_000, 100, 97, 0, unsure},
		{"11 % of many", 10_000, 10_000, 1000, 890, 0, worse},
		{"the reference is the doubt", 50, 25, 200, 85, 0, same},
		{"the same, but not known well enough", 1000, 500, 100, 50, 0.1, unsure},
		{"the same, and known well enough", 10_000, 5000, 2000, 1000, 0.1, same},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := sign{n: tc.n, k: tc.k, refN: tc.refN, refK: tc.refK}
			if got := s.judge(tc.fine); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestSignAccepts(t *testing.T) {
	s := sign{n: 100, k: 50}
	s.accept()
	s.add(100, 60, 0)
	if s.accept(); s != (sign{refN: 200, refK: 110}) {
		t.Errorf("like evidence is not added: %+v", s)
	}
	s.add(100, 95, 3)
	if s.accept(); s != (sign{refN: 100, refK: 95}) {
		t.Errorf("a share that rose is not taken over: %+v", s)
	}
	for range 1000 {
		s.add(100, 95, 0)
		s.accept()
	}
	if s.refK > memory || s.reference() < 0.94 || s.reference() > 0.96 {
		t.Errorf("remembers %v of %v", s.refK, s.refN)
	}
}

func TestRTTs(t *testing.T) {
	for d := time.Duration(0); d < time.Hour; d += d/7 + 1 {
		if up := rttUpper(rttBucket(d)); up < d || up > d+d/4+4096 {
			t.Fatalf("%v is in a bucket that ends at %v", d, up)
		}
	}
	for _, d := range []time.Duration{-time.Hour, 1<<63 - 1} { // never out of range
		rttBucket(d)
	}

	var r rtts
	for i := range 100_000 {
		r.add([]time.Duration{ms, ms, ms, 200 * ms}[i%4])
		if known := i+1 >= enough; r.known() != known {
			t.Fatalf("known after %d: %v", i+1, !known)
		}
	}
	if r.median < ms || r.median > 2*ms || r.late < 200*ms || r.late > 250*ms {
		t.Errorf("two humps: median %v, late %v", r.median, r.late)
	}
	for range 20_000 {
		r.add(10 * ms)
	}
	if r.median < 10*ms || r.late > 13*ms {
		t.Errorf("the old humps are not forgotten: median %v, late %v", r.median, r.late)
	}
}

// Each packet's answer finds the epoch in which the packet was counted, as long
// as that is kept, and epochs follow each other without a gap.
func TestEpochsFind(t *testing.T) {
	var s epochs
	in := map[time.Duration]uint64{}
	var order []time.Duration
	now := time.Duration(0)
	for i := range 200_000 {
		now += time.Duration(i%5) * 100 * us // now and then two at one instant
		if i%5000 == 2500 {
			s.over = true
		}
		s.take(now, epochMin, 1000, true)
		if was, ok := in[now]; ok && was != s.open {
			t.Fatalf("the packets of %v are in two epochs", now)
		}
		in[now] = s.open
		order = append(order, now)
	}
	kept := 0
	for _, at := range order {
		e := s.find(at)
		if in[at] < s.oldest() {
			if e != nil {
				t.Fatalf("finds the epoch of %v, which is forgotten", at)
			}
			continue
		}
		if kept++; e != s.at(in[at]) {
			t.Fatalf("packet of %v: wrong epoch", at)
		}
	}
	if kept == 0 || kept == len(order) {
		t.Errorf("%d packets of %d kept", kept, len(order))
	}
	for i := s.oldest(); i < s.open; i++ {
		if e, next := s.at(i), s.at(i+1); e.end != next.start || e.all == 0 {
			t.Fatalf("epoch %d: %+v, then %+v", i, e, next)
		}
	}
}

func TestClimb(t *testing.T) {
	c := climb{ceiling: 1000, step: firstStep}
	at := func(rate float64, held time.Duration) float64 {
		return c.up(&epoch{rate: rate, start: held - 10*ms, end: held})
	}
	for _, tc := range []struct {
		rate float64
		held time.Duration
		want float64
	}{
		{500, 0, 600},
		{850, 0, 900},
		{900, 249 * ms, 900},
		{900, 250 * ms, 925},
		{925, 250 * ms, 975},
		{975, 250 * ms, 1075},
		{1075, 250 * ms, 1275},
		{1275, 250 * ms, 1675},
		{1675, 250 * ms, 2475},
		{2475, 250 * ms, 3712.5},
	} {
		if got := at(tc.rate, tc.held); got != tc.want {
			t.Errorf("from %v after %v: %v, want %v", tc.rate, tc.held, got, tc.want)
		}
	}
	if c = (climb{}); at(1000, 0) != 2000 {
		t.Error("does not double where nothing was ever lost")
	}
}

func TestWaited(t *testing.T) {
	g := NewGovernor(GovernorConfig{Adaptive: true, Timeout: 2 * time.Second, Backoff: 1.5})
	for try, want := range []time.Duration{0, 0, 2 * time.Second, 5 * time.Second, 9500 * ms} {
		if got := g.waited(try); got != want {
			t.Errorf("try %d leaves %v after the first, want %v", try, got, want)
		}
	}
	if g.waited(1<<40) < 0 {
		t.Error("overflow")
	}
}
