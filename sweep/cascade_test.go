package sweep

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/probe"
)

// listed is a Source of n hosts.
type listed struct {
	n, taken int
}

func (l *listed) Notify(func()) {}

func (l *listed) Next() (probe.Candidate, probe.Supply) {
	if l.taken == l.n {
		return probe.Candidate{}, probe.Over
	}
	l.taken++
	return candidate(l.taken - 1), probe.Ready
}

func candidate(i int) probe.Candidate {
	return probe.Candidate{Index: uint64(i), Addr: netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), Name: "host"}
}

// fakeSweeper asks a host each gap and tells what verdict says, after delay.
type fakeSweeper struct {
	src     probe.Source
	port    uint16
	gap     time.Duration
	delay   time.Duration
	verdict func(i int) probe.Result
	extra   func(i int) []probe.Result // after the outcome
	fail    error                      // what Probe returns at once
	asked   []int
}

func (f *fakeSweeper) Probe(ctx context.Context, emit func(probe.Result)) error {
	if f.fail != nil {
		return f.fail
	}
	wake := make(chan struct{}, 1)
	f.src.Notify(func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for ctx.Err() == nil {
		c, supply := f.src.Next()
		switch supply {
		case probe.Over:
			return nil
		case probe.Later:
			select {
			case <-wake:
			case <-ctx.Done():
			}
			continue
		}
		f.asked = append(f.asked, int(c.Index))
		waiting.Go(func() { f.ask(ctx, c, emit) })
		time.Sleep(f.gap)
	}
	return nil
}

func (f *fakeSweeper) ask(ctx context.Context, c probe.Candidate, emit func(probe.Result)) {
	target := &probe.Target{ID: int(c.Index), Name: c.Name, Addr: netip.AddrPortFrom(c.Addr, f.port)}
	r := probe.Result{Target: target, Seq: 2, Status: probe.Pending, Reason: probe.Canceled}
	if !sleep(ctx, f.delay) {
		emit(r)
		return
	}
	v := f.verdict(int(c.Index))
	v.Target, v.Seq = target, 2
	emit(v)
	if f.extra != nil {
		for _, v := range f.extra(int(c.Index)) {
			time.Sleep(100 * time.Millisecond)
			v.Target, v.Seq = target, 2
			emit(v)
		}
	}
}

// sleep reports whether d passed before ctx ended. A timer that is due at once
// is never waited for: inside a bubble the race detector of Go 1.26 crashes on
// a select that finds one.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// cascadeOf runs sweepers as stages over n hosts and returns what they tell.
func cascadeOf(t *testing.T, ctx context.Context, n int, sweepers ...*fakeSweeper) ([]probe.Result, error) {
	t.Helper()
	var stages []Stage
	for i, f := range sweepers {
		f.port = uint16(i)
		stages = append(stages, Stage{Kind: "fake", Sweeper: func(src probe.Source) (probe.Prober, error) {
			f.src = src
			return f, nil
		}})
	}
	c, err := NewCascade(&listed{n: n}, stages...)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var results []probe.Result
	err = c.Probe(ctx, func(r probe.Result) {
		mu.Lock()
		defer mu.Unlock()
		r.Target = new(*r.Target)
		results = append(results, r)
	})
	if len(c.open) > 0 && ctx.Err() == nil {
		t.Errorf("%d hosts still remembered", len(c.open))
	}
	return results, err
}

// outcomesOf returns the one outcome of each host.
func outcomesOf(t *testing.T, results []probe.Result) map[int]probe.Result {
	t.Helper()
	got := map[int]probe.Result{}
	for _, r := range results {
		if !r.Outcome() {
			continue
		}
		if _, ok := got[r.Target.ID]; ok {
			t.Errorf("host %d has a second outcome: %v", r.Target.ID, r.Status)
		}
		got[r.Target.ID] = r
	}
	return got
}

var (
	lost       = probe.Result{Status: probe.Lost, Reason: probe.NoResponse}
	reply      = probe.Result{Status: probe.Reply, Reason: probe.EchoReply}
	refused    = probe.Result{Status: probe.Refused, Reason: probe.RST}
	prohibited = probe.Result{Status: probe.Unreachable, Reason: probe.AdminProhibited, From: netip.MustParseAddr("198.51.100.1")}
	gone       = probe.Result{Status: probe.Unreachable, Reason: probe.HostUnreachable}
)

// pick returns a verdict by the remainder of the host's number.
func pick(rs ...probe.Result) func(int) probe.Result {
	return func(i int) probe.Result { return rs[i%len(rs)] }
}

// Only hosts that stay silent, or are only shielded, go on to the next stage;
// each has one outcome, with the probes of its stage, or of all if none decided.
func TestCascade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &fakeSweeper{verdict: pick(reply, lost, prohibited, gone, lost, prohibited)}
		second := &fakeSweeper{verdict: pick(reply, refused, lost, reply, lost, refused), gap: time.Millisecond}
		third := &fakeSweeper{verdict: pick(reply, reply, lost, reply, lost, reply)}
		results, err := cascadeOf(t, t.Context(), 60, first, second, third)
		if err != nil {
			t.Fatal(err)
		}
		want := []struct {
			r      probe.Result
			probes uint64
			stage  int
		}{{reply, 2, 0}, {refused, 2, 1}, {prohibited, 6, 2}, {gone, 2, 0}, {lost, 6, 2}, {refused, 2, 1}}
		got := outcomesOf(t, results)
		for i := range 60 {
			w, r := want[i%6], got[i]
			if r.Status != w.r.Status || r.Reason != w.r.Reason || r.From != w.r.From || r.Seq != w.probes || int(r.Target.Addr.Port()) != w.stage || r.Target.Name != "host" {
				t.Errorf("host %d: %v %v from %v after %d probes in stage %d, want %+v", i, r.Status, r.Reason, r.From, r.Seq, r.Target.Addr.Port(), w)
			}
		}
		if len(first.asked) != 60 || len(second.asked) != 40 || len(third.asked) != 20 {
			t.Errorf("asked %d, %d, %d hosts", len(first.asked), len(second.asked), len(third.asked))
		}
	})
}

// An answer to an earlier stage that comes while a later one still asks decides;
// one that comes after the verdict does not.
func TestCascadeLateAnswer(t *testing.T) {
	late := probe.Result{Status: probe.Late, Reason: probe.EchoReply, Interim: true}
	elsewhere := late
	elsewhere.Flags = probe.WrongSource
	for _, tc := range []struct {
		name    string
		late    probe.Result
		delay   time.Duration // of the second stage
		verdict probe.Result
		want    probe.Status
		interim int
	}{
		{"while the next asks, which finds nothing", late, time.Second, lost, probe.Late, 0},
		{"while the next asks, which finds it too", late, time.Second, reply, probe.Late, 0},
		{"from another address, while the next asks", elsewhere, time.Second, lost, probe.Lost, 1},
		{"after the verdict", late, time.Millisecond, lost, probe.Lost, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := &fakeSweeper{verdict: pick(lost), extra: func(int) []probe.Result { return []probe.Result{tc.late} }}
				second := &fakeSweeper{verdict: pick(tc.verdict), delay: tc.delay}
				results, _ := cascadeOf(t, t.Context(), 3, first, second)
				for i, r := range outcomesOf(t, results) {
					if r.Status != tc.want {
						t.Errorf("host %d: %v, want %v", i, r.Status, tc.want)
					}
				}
				if n := len(results) - 3; n != 3*tc.interim {
					t.Errorf("%d further results, want %d", n, 3*tc.interim)
				}
			})
		})
	}
}

// A slow stage holds the one before back: what waits between them is bounded.
func TestCascadeHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * queueLimit
		first := &fakeSweeper{verdict: pick(lost), gap: 100 * time.Nanosecond}
		second := &fakeSweeper{gap: time.Microsecond}
		var mu sync.Mutex
		most := 0
		second.verdict = func(i int) probe.Result {
			q := second.src.(*queue)
			q.mu.Lock()
			waiting := len(q.hosts)
			q.mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			most = max(most, waiting)
			return reply
		}
		results, err := cascadeOf(t, t.Context(), n, first, second)
		if got := outcomesOf(t, results); err != nil || len(got) != n {
			t.Errorf("%d outcomes, %v", len(got), err)
		}
		// What the first had already asked still comes.
		if most < queueLimit/2 || most > queueLimit+64 {
			t.Errorf("%d hosts waited at most, limit %d", most, queueLimit)
		}
	})
}

// A run that is cut leaves a host pending wherever it was.
func TestCascadeCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		first := &fakeSweeper{verdict: pick(lost, reply), gap: time.Millisecond}
		second := &fakeSweeper{verdict: pick(reply), gap: 10 * time.Millisecond, delay: 35 * time.Millisecond}
		results, err := cascadeOf(t, ctx, 1000, first, second)
		if err != nil {
			t.Error(err)
		}
		got := outcomesOf(t, results)
		asked := slices.Sorted(slices.Values(first.asked))
		if !slices.Equal(slices.Sorted(maps.Keys(got)), asked) {
			t.Errorf("%d outcomes of %d hosts asked", len(got), len(asked))
		}
		n := map[probe.Status]int{}
		for _, r := range got {
			n[r.Status]++
		}
		if n[probe.Reply] < 25 || n[probe.Pending] < 15 || n[probe.Lost] > 0 {
			t.Errorf("outcomes %v", n)
		}
	})
}

// If one stage fails, all end with its error.
func TestCascadeStageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		first := &fakeSweeper{verdict: pick(lost), gap: time.Millisecond}
		second := &fakeSweeper{fail: broken}
		if _, err := cascadeOf(t, t.Context(), 100_000, first, second); !errors.Is(err, broken) {
			t.Errorf("%v, want the stage's error", err)
		}
		if len(first.asked) > 10 {
			t.Errorf("the first stage asked %d hosts after that", len(first.asked))
		}
	})
}
