package stats

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netprobe/probe"
)

// begin is when every run in these tests starts.
var begin = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func target() *probe.Target {
	return &probe.Target{Name: "192.0.2.1", Addr: netip.MustParseAddrPort("192.0.2.1:0")}
}

// result returns probe seq to t, sent a second after the one before.
func result(t *probe.Target, seq uint64, s probe.Status, rtt time.Duration) probe.Result {
	r := probe.Result{Target: t, Seq: seq, Status: s, RTT: rtt}
	if s == probe.Failed {
		r.Err, r.Reason = errors.New("no route"), probe.NoRoute
	} else {
		r.Sent = begin.Add(time.Duration(seq-1) * time.Second)
	}
	return r
}

// naive computes a Summary with all Results at hand, as its fields are defined.
func naive(t *probe.Target, results []probe.Result) Summary {
	s := Summary{Target: t}
	inOrder := slices.Clone(results)
	slices.SortStableFunc(inOrder, func(a, b probe.Result) int { return int(a.Seq) - int(b.Seq) })
	var rtts []time.Duration // in the order of sending
	var current, longest *Outage
	var first, last, before time.Time
	for _, r := range inOrder {
		if r.Interim {
			continue
		}
		if r.Flags.Has(probe.Dup) {
			s.Duplicates++
			continue
		}
		naiveFlags(&s, r.Flags)
		if r.Status != probe.Failed {
			s.Sent++
			s.Retrans += uint64(r.Retrans)
			if first.IsZero() {
				first = r.Sent
			}
			last = r.Sent
		}
		switch r.Status {
		case probe.Reply:
			s.Received++
			if r.Retrans == 0 {
				rtts = append(rtts, r.RTT)
			}
		case probe.Late:
			s.Late++
		case probe.Lost:
			s.Lost++
		case probe.Pending:
			s.Pending++
			continue
		case probe.Failed:
			s.Failed++
			continue
		default:
			s.Errors++
		}
		answered := r.Status == probe.Reply || r.Status == probe.Late
		var half time.Duration
		if !before.IsZero() {
			half = r.Sent.Sub(before) / 2
		}
		before = r.Sent
		switch {
		case !answered && current == nil:
			current = &Outage{From: r.Sent, To: r.Sent, Probes: 1, Ongoing: true, Uncertainty: half}
		case !answered:
			current.To, current.Probes = r.Sent, current.Probes+1
		case current != nil:
			current.To, current.Ongoing, current.Uncertainty = r.Sent, false, max(current.Uncertainty, half)
			s.Outages.add(current)
		}
		if current != nil {
			current.Length = current.To.Sub(current.From)
			if longest == nil || current.Length > longest.Length || current.Length == longest.Length && current.Probes > longest.Probes {
				longest = new(*current)
			}
		}
		if answered {
			current = nil
		}
	}
	if current != nil {
		s.Outages.add(current)
	}
	s.Outage, s.Span = longest, last.Sub(first)
	if n := s.Sent - s.Pending; n > 0 {
		s.HasLoss, s.LossPercent = true, 100*float64(s.Lost+s.Errors)/float64(n)
	}
	naiveRTT(&s, rtts)
	return s
}

func (all *Outages) add(o *Outage) {
	all.N++
	all.Total += o.To.Sub(o.From)
	all.Uncertainty = max(all.Uncertainty, o.Uncertainty)
}

func naiveFlags(s *Summary, f probe.Flags) {
	if f.Has(probe.Reordered) {
		s.Reordered++
	}
	if f.Has(probe.Corrupt) {
		s.Corrupt++
	}
	if f.Has(probe.Truncated) {
		s.Truncated++
	}
	if f.Has(probe.WrongSource) {
		s.WrongSource++
	}
}

func naiveRTT(s *Summary, rtts []time.Duration) {
	if len(rtts) == 0 {
		return
	}
	var sum, squares, differ float64
	for i, d := range rtts {
		sum += float64(d)
		if i > 0 {
			differ += math.Abs(float64(d - rtts[i-1]))
		}
	}
	mean := sum / float64(len(rtts))
	for _, d := range rtts {
		squares += (float64(d) - mean) * (float64(d) - mean)
	}
	if len(rtts) > 1 {
		s.HasJitter, s.Jitter = true, time.Duration(math.Round(differ/float64(len(rtts)-1)))
	}
	sorted := slices.Sorted(slices.Values(rtts))
	at := func(q float64) time.Duration {
		return sorted[min(max(int(math.Ceil(q*float64(len(sorted)))), 1), len(sorted))-1]
	}
	s.RTT = &RTT{
		Min: sorted[0], Mean: time.Duration(math.Round(mean)), Max: sorted[len(sorted)-1],
		P50: at(0.50), P90: at(0.90), P95: at(0.95), P99: at(0.99),
		StdDev: time.Duration(math.Round(math.Sqrt(squares / float64(len(rtts))))),
		First:  rtts[0],
	}
}

// random returns n outcomes in a random order of arrival, with further answers
// and Interim Results among them. No two are further apart than window.
func random(rng *rand.Rand, t *probe.Target, n, window int) []probe.Result {
	var results []probe.Result
	type arrival struct {
		at float64
		r  probe.Result
	}
	var arrivals []arrival
	reach := rng.IntN(window) + 1
	weights := rng.Perm(8)
	for i := range n {
		status := probe.Reply
		if rng.IntN(10) < weights[0] {
			status = probe.Status(rng.IntN(8))
		}
		r := result(t, uint64(i+1), status, time.Duration(math.Exp(rng.NormFloat64()*2)*1e6))
		r.Retrans = uint8(max(0, rng.IntN(20)-16))
		if rng.IntN(10) == 0 {
			r.Flags = probe.Flags(rng.IntN(16) << 1)
		}
		when := float64(i) + rng.Float64()*float64(reach)
		arrivals = append(arrivals, arrival{when, r})
		if rng.IntN(20) == 0 {
			r.Flags |= probe.Dup
			arrivals = append(arrivals, arrival{when + 1, r})
		}
		if rng.IntN(20) == 0 {
			r.Flags, r.Interim = 0, true
			arrivals = append(arrivals, arrival{when - 1, r})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return int(math.Copysign(1, a.at-b.at)) })
	for _, a := range arrivals {
		results = append(results, a.r)
	}
	return results
}

// about compares durations that were summed in another order: within a
// microsecond, or the given share.
func about(share float64) cmp.Option {
	return cmp.Comparer(func(a, b time.Duration) bool {
		return math.Abs(float64(a-b)) <= max(1000, share*float64(max(a, b)))
	})
}

func TestAgainstNaive(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		tg := target()
		results := random(rng, tg, 1+rng.IntN(600), 50)
		set := New([]*probe.Target{tg})
		for i := range results {
			set.Record(&results[i])
		}
		got, want := set.Rows()[0].Summary(), naive(tg, results)
		if got.Sent != got.Received+got.Lost+got.Late+got.Errors+got.Pending {
			t.Fatalf("seed %d: counts do not add up: %+v", seed, got)
		}
		if got.RTT != nil {
			got.RTT.EWMA = 0 // depends on the order of arrival
		}
		got.Error, got.ErrorReason = nil, 0
		share := 0.0
		if got.Received > exactSamples {
			share = 0.01
		}
		if diff := cmp.Diff(want, got, about(share), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Fatalf("seed %d (-naive +got):\n%s", seed, diff)
		}
	}
}

// What a Summary says in the middle of a run counts what waits behind a gap.
func TestSummaryBehindGap(t *testing.T) {
	tg := target()
	set := New([]*probe.Target{tg})
	for _, r := range []probe.Result{
		result(tg, 2, probe.Reply, 10*time.Millisecond), result(tg, 3, probe.Reply, 12*time.Millisecond),
		result(tg, 4, probe.Lost, 0),
	} {
		set.Record(&r)
	}
	s := set.Rows()[0].Summary()
	if s.Jitter != 2*time.Millisecond || s.Outage == nil || !s.Outage.Ongoing || s.Outage.Probes != 1 {
		t.Errorf("jitter %v, outage %+v", s.Jitter, s.Outage)
	}
	first := result(tg, 1, probe.Reply, 20*time.Millisecond)
	set.Record(&first)
	s = set.Rows()[0].Summary()
	if s.Jitter != 6*time.Millisecond || s.RTT.First != 20*time.Millisecond {
		t.Errorf("with the first: jitter %v, first %v", s.Jitter, s.RTT.First)
	}
}

func TestOutage(t *testing.T) {
	const (
		r = probe.Reply
		l = probe.Lost
		u = probe.Unreachable
		a = probe.Late
		f = probe.Failed
		p = probe.Pending

		half = time.Second / 2
	)
	for _, tt := range []struct {
		name     string
		statuses []probe.Status
		from, to int // seconds after begin
		probes   uint64
		ongoing  bool
		gap      time.Duration
		all      Outages
	}{
		{"none", []probe.Status{r, r, f, p}, 0, 0, 0, false, 0, Outages{}},
		{"one", []probe.Status{r, l, r}, 1, 2, 1, false, half, Outages{1, 2 * half, half}},
		{"first of two alike", []probe.Status{l, r, u, r}, 0, 1, 1, false, half, Outages{2, 4 * half, half}},
		{"longer one later", []probe.Status{l, r, l, u, r}, 2, 4, 2, false, half, Outages{2, 6 * half, half}},
		{"late ends it", []probe.Status{l, l, a, l, r}, 0, 2, 2, false, half, Outages{2, 6 * half, half}},
		{"failed and pending do neither", []probe.Status{l, f, p, l, f, r}, 0, 5, 2, false, 2 * half, Outages{1, 10 * half, 2 * half}},
		{"the gap before", []probe.Status{r, f, f, l, r}, 3, 4, 1, false, 3 * half, Outages{1, 2 * half, 3 * half}},
		{"ongoing", []probe.Status{r, l, l, l, p}, 1, 3, 3, true, half, Outages{1, 4 * half, half}},
		{"one over, one ongoing", []probe.Status{r, l, l, r, l}, 1, 3, 2, false, half, Outages{2, 4 * half, half}},
		{"never answered", []probe.Status{u, u}, 0, 1, 2, true, 0, Outages{1, 2 * half, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tg := target()
			set := New([]*probe.Target{tg})
			for i, s := range tt.statuses {
				res := result(tg, uint64(i+1), s, time.Millisecond)
				set.Record(&res)
			}
			sum := set.Rows()[0].Summary()
			o := sum.Outage
			if sum.Outages != tt.all {
				t.Errorf("all %+v, want %+v", sum.Outages, tt.all)
			}
			if tt.probes == 0 {
				if o != nil {
					t.Errorf("got %+v, want none", *o)
				}
				return
			}
			second := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
			want := &Outage{
				From: second(tt.from), To: second(tt.to), Length: time.Duration(tt.to-tt.from) * time.Second,
				Probes: tt.probes, Ongoing: tt.ongoing, Uncertainty: tt.gap,
			}
			if diff := cmp.Diff(want, o); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The wall clock goes back an hour in the middle of an outage: its length is
// still that of the monotonic clock.
func TestOutageClockStep(t *testing.T) {
	start := time.Now()
	line := sequencer{}
	for i, s := range []probe.Status{probe.Reply, probe.Lost, probe.Reply} {
		r := probe.Result{Seq: uint64(i + 1), Status: s, Sent: start.Add(time.Duration(i) * time.Second)}
		line.add(&r)
	}
	o := line.timeline()
	o.longest.to -= int64(time.Hour)
	if got := o.outage(); got.Length != time.Second {
		t.Errorf("length %v, want 1s", got.Length)
	}
}

// A probe that stays undecided while more than maxWindow later ones are decided
// no longer holds them up, and does no harm when it comes.
func TestWindowOverflow(t *testing.T) {
	tg := target()
	set := New([]*probe.Target{tg})
	const n = maxWindow + 1000
	for seq := uint64(2); seq <= n; seq++ {
		r := result(tg, seq, probe.Reply, time.Duration(seq%2)*time.Millisecond)
		set.Record(&r)
	}
	row := set.Rows()[0]
	if len(row.order.ring) > maxWindow {
		t.Errorf("window of %d slots", len(row.order.ring))
	}
	if row.order.head <= 1 {
		t.Error("still waits for the first probe")
	}
	r := result(tg, 1, probe.Reply, time.Hour)
	set.Record(&r)
	far := result(tg, math.MaxUint64-1, probe.Lost, 0)
	set.Record(&far)
	s := row.Summary()
	if s.Jitter != time.Millisecond || s.Received != n || s.Lost != 1 {
		t.Errorf("jitter %v, received %d, lost %d", s.Jitter, s.Received, s.Lost)
	}
}

func TestVerdict(t *testing.T) {
	unresolved := &probe.Target{Name: "x", Err: errors.New("no such host")}
	for _, tt := range []struct {
		name     string
		target   *probe.Target
		statuses []probe.Status
		want     Verdict
		reason   probe.Reason
	}{
		{"reply", target(), []probe.Status{probe.Lost, probe.Reply}, Answered, 0},
		{"late", target(), []probe.Status{probe.Late}, Answered, 0},
		{"lost", target(), []probe.Status{probe.Lost, probe.Failed}, Silent, 0},
		{"error", target(), []probe.Status{probe.Unreachable}, Silent, 0},
		{"pending", target(), []probe.Status{probe.Pending}, Silent, 0},
		{"failed", target(), []probe.Status{probe.Failed}, Untested, probe.NoRoute},
		{"nothing", target(), nil, Untested, 0},
		{"unresolved", unresolved, nil, Untested, probe.ResolveFailed},
	} {
		set := New([]*probe.Target{tt.target})
		for i, s := range tt.statuses {
			r := result(tt.target, uint64(i+1), s, time.Millisecond)
			set.Record(&r)
		}
		s := set.Rows()[0].Summary()
		if s.Verdict() != tt.want || s.ErrorReason != tt.reason || (s.Error != nil) != (tt.reason != 0) {
			t.Errorf("%s: verdict %d, error %v (%v)", tt.name, s.Verdict(), s.Error, s.ErrorReason)
		}
	}
}

// A target that answers, while what is asked above its transport fails, is none
// that works: errors, loss, an outage, and no round-trip times of failures.
func TestFaults(t *testing.T) {
	to := target()
	set := New([]*probe.Target{to})
	broken := &probe.Layers{FailedAt: "http", Reason: probe.HTTPStatus, Why: "status 503"}
	for seq, fails := range []bool{false, true, true, false} {
		r := result(to, uint64(seq+1), probe.Reply, time.Duration(seq+1)*time.Millisecond)
		if fails {
			r.Detail, r.Reason = broken, broken.Reason
		}
		set.Record(&r)
		s := set.Rows()[0].Summary()
		if seq == 0 && (!s.Answered() || s.Errors != 0) {
			t.Errorf("%+v", s)
		}
	}
	s := set.Rows()[0].Summary()
	if s.Sent != 4 || s.Received != 2 || s.Errors != 2 || s.Lost != 0 || s.LossPercent != 50 {
		t.Errorf("%+v", s)
	}
	if s.RTT.Min != time.Millisecond || s.RTT.Max != 4*time.Millisecond || s.Jitter != 3*time.Millisecond {
		t.Errorf("%+v, jitter %v", s.RTT, s.Jitter)
	}
	if o := s.Outage; o == nil || o.Probes != 2 || o.Length != 2*time.Second || o.Ongoing {
		t.Errorf("%+v", o)
	}

	set = New([]*probe.Target{to})
	r := result(to, 1, probe.Reply, time.Millisecond)
	r.Detail = broken
	set.Record(&r)
	if s := set.Rows()[0].Summary(); s.Answered() || s.Verdict() != Silent || s.RTT != nil {
		t.Errorf("%+v", s)
	}
}

func TestRetarget(t *testing.T) {
	old := &probe.Target{Name: "x", Err: errors.New("no such host")}
	set := New([]*probe.Target{old})
	mended := target()
	set.Retarget(mended)
	r := result(mended, 1, probe.Reply, time.Millisecond)
	if row := set.Record(&r); row.Target != mended {
		t.Error("row still shows the old target")
	}
	s := set.Rows()[0].Summary()
	if s.Error != nil || s.Verdict() != Answered {
		t.Errorf("error %v, verdict %d", s.Error, s.Verdict())
	}
}

func TestPathMTU(t *testing.T) {
	tg := target()
	for _, detail := range []any{probe.PathMTU{MTU: 1400}, &probe.PathMTU{MTU: 1400}} {
		set := New([]*probe.Target{tg})
		r := result(tg, 1, probe.Reply, time.Millisecond)
		r.Detail = detail
		set.Record(&r)
		if m := set.Rows()[0].Summary().PathMTU; m == nil || m.MTU != 1400 {
			t.Errorf("%T: path MTU %v", detail, m)
		}
	}
}

func TestRecordAllocates(t *testing.T) {
	tg := target()
	set := New([]*probe.Target{tg})
	seq := uint64(0)
	record := func() {
		// Pairs arrive in reverse, so that the window works too.
		for _, s := range [...]uint64{seq + 2, seq + 1} {
			r := result(tg, s, probe.Reply, time.Duration(10+s%50)*time.Millisecond)
			if s%16 == 0 {
				r.Status = probe.Lost
			}
			set.Record(&r)
		}
		seq += 2
	}
	for range 1000 {
		record()
	}
	if n := testing.AllocsPerRun(1000, record); n != 0 {
		t.Errorf("%v allocations for two Results, want 0", n)
	}
}

// 1,000 targets with round-trip times spread over a decade take less than 5 MB.
// Further replies fall into buckets already there: they widen counts, no more.
func TestMemory(t *testing.T) {
	const targets, each = 1000, 500
	var list []*probe.Target
	for i := range targets {
		list = append(list, &probe.Target{ID: i})
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	set := New(list)
	rng := rand.New(rand.NewPCG(1, 1))
	for seq := uint64(1); seq <= each; seq++ {
		for _, tg := range list {
			r := result(tg, seq, probe.Reply, 10*time.Millisecond+time.Duration(rng.ExpFloat64()*2e6))
			set.Record(&r)
		}
	}
	used := int64(heap()) - int64(before)
	runtime.KeepAlive(set)
	t.Logf("%d bytes for a target", used/targets)
	if used > 5<<20 {
		t.Errorf("%d targets take %d bytes", targets, used)
	}
}

func BenchmarkRecord(b *testing.B) {
	tg := target()
	set := New([]*probe.Target{tg})
	rng := rand.New(rand.NewPCG(1, 1))
	var rtts [1024]time.Duration
	for i := range rtts {
		rtts[i] = 10*time.Millisecond + time.Duration(rng.ExpFloat64()*2e6)
	}
	r := result(tg, 1, probe.Reply, 0)
	b.ReportAllocs()
	for b.Loop() {
		r.RTT = rtts[r.Seq%1024]
		set.Record(&r)
		r.Seq++
	}
}
