package probe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

// proberFunc is a Prober of one function.
type proberFunc func(ctx context.Context, emit func(Result)) error

func (f proberFunc) Probe(ctx context.Context, emit func(Result)) error { return f(ctx, emit) }

// sinkFunc is a Sink of one function.
type sinkFunc func(*Result) error

func (f sinkFunc) Record(r *Result) error { return f(r) }

// However many emit at once, the sink hears one at a time and all of them.
func TestRunSerialises(t *testing.T) {
	const goroutines, each = 8, 1000
	p := proberFunc(func(_ context.Context, emit func(Result)) error {
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					emit(Result{Seq: uint64(g*each + i)})
				}
			})
		}
		wg.Wait()
		return nil
	})
	seen := make(map[uint64]bool) // unguarded: the race detector watches
	last := make([]uint64, goroutines)
	err := Run(t.Context(), p, sinkFunc(func(r *Result) error {
		seen[r.Seq] = true
		if g := r.Seq / each; r.Seq < last[g] {
			t.Errorf("%d after %d", r.Seq, last[g])
		} else {
			last[g] = r.Seq
		}
		return nil
	}))
	if err != nil || len(seen) != goroutines*each {
		t.Errorf("%d results, %v", len(seen), err)
	}
}

// A sink that fails ends the run, hears nothing more, and its error is told as
// its own, even if the prober fails too.
func TestRunSinkFails(t *testing.T) {
	broken := errors.New("no space left")
	heard := 0
	p := proberFunc(func(ctx context.Context, emit func(Result)) error {
		for ctx.Err() == nil {
			emit(Result{})
		}
		emit(Result{})
		if cause, ok := errors.AsType[*SinkError](context.Cause(ctx)); !ok || !errors.Is(cause, broken) {
			t.Errorf("the cause is %v", context.Cause(ctx))
		}
		return errors.New("and so do I")
	})
	err := Run(t.Context(), p, sinkFunc(func(*Result) error {
		if heard++; heard == 3 {
			return broken
		}
		return nil
	}))
	if sink, ok := errors.AsType[*SinkError](err); !ok || !errors.Is(sink, broken) || err.Error() != broken.Error() {
		t.Errorf("got %v", err)
	}
	if heard != 3 {
		t.Errorf("heard %d results", heard)
	}
}

func TestRunProberFails(t *testing.T) {
	broken := errors.New("socket gone")
	err := Run(t.Context(), proberFunc(func(context.Context, func(Result)) error { return broken }), sinkFunc(func(*Result) error { return nil }))
	if _, ok := errors.AsType[*SinkError](err); ok || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	sum := uint64(0)
	sink := sinkFunc(func(r *Result) error { sum += r.Seq; return nil })
	p := proberFunc(func(_ context.Context, emit func(Result)) error {
		if n := testing.AllocsPerRun(1000, func() { emit(Result{Seq: 1}) }); n != 0 {
			t.Errorf("%v allocations a result", n)
		}
		return nil
	})
	if err := Run(t.Context(), p, sink); err != nil || sum < 1000 {
		t.Errorf("sum %d, %v", sum, err)
	}
}

// The names are those that users script against.
func TestNames(t *testing.T) {
	statuses := []string{"lost", "reply", "late", "unreachable", "expired", "refused", "pending", "failed"}
	if got := Statuses(); !slices.Equal(got, statuses) {
		t.Errorf("statuses %q", got)
	}
	reasons := []string{
		"echo-reply", "syn-ack", "connected", "udp-reply", "dns-reply", "rst", "no-response", "net-unreachable",
		"host-unreachable", "proto-unreachable", "port-unreachable", "frag-needed", "net-prohibited", "host-prohibited",
		"admin-prohibited", "ttl-exceeded", "reassembly-exceeded", "parameter-problem", "redirect",
		"packet-too-big", "no-route", "permission", "no-buffers", "no-descriptors", "no-local-port", "link-down",
		"resolve-failed", "tls-failed", "http-status", "bad-reply", "canceled", "other",
	}
	got := Reasons()
	slices.Sort(got)
	slices.Sort(reasons)
	if !slices.Equal(got, reasons) {
		t.Errorf("reasons %q", got)
	}
	if got, want := FlagNames(), []string{"dup", "reordered", "wrong-source", "corrupt", "truncated"}; !slices.Equal(got, want) {
		t.Errorf("flags %q", got)
	}
	for s, want := range map[interface{ String() string }]string{
		Lost: "lost", Reply: "reply", Failed: "failed", Status(200): "other", ReasonOther: "other", EchoReply: "echo-reply",
		Canceled: "canceled", NoLocalPort: "no-local-port", Reason(200): "other", User: "user", Kernel: "kernel",
	} {
		if s.String() != want {
			t.Errorf("%v, want %v", s, want)
		}
	}
	if got := (Dup | Corrupt).AppendNames([]string{"x"}); !slices.Equal(got, []string{"x", "dup", "corrupt"}) {
		t.Errorf("flags %q", got)
	}
	if all := Dup | Reordered | WrongSource | Corrupt | Truncated; len(all.AppendNames(nil)) != 5 || !all.Has(Dup|Truncated) || Dup.Has(Dup|Corrupt) {
		t.Error("flags do not add up")
	}
	// What is handed out is a copy.
	Statuses()[0], Reasons()[0], FlagNames()[0] = "x", "x", "x"
	if Lost.String() != "lost" || ReasonOther.String() != "other" || FlagNames()[0] != "dup" {
		t.Error("the names can be changed from outside")
	}
}

func TestOutcome(t *testing.T) {
	for _, tc := range []struct {
		r    Result
		want bool
	}{
		{Result{Status: Reply}, true}, {Result{Status: Lost}, true}, {Result{Status: Lost, Interim: true}, false},
		{Result{Status: Reply, Flags: Dup | Reordered}, false}, {Result{Status: Reply, Flags: Reordered}, true},
	} {
		if got := tc.r.Outcome(); got != tc.want {
			t.Errorf("%+v: %v", tc.r, got)
		}
	}
}
