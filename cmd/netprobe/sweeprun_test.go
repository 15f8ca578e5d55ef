package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
	"netprobe/sweep"
)

// sweepOf returns a run over targets whose Results are still to come.
func sweepOf(t *testing.T, f *sweepFlags, targets ...string) *sweepRun {
	t.Helper()
	cfg := sweep.Config{Ordered: true}
	for _, text := range targets {
		spec, err := f.parser().Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Specs = append(cfg.Specs, spec)
	}
	hosts, err := sweep.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &sweepRun{f: f, stats: stats.NewSweep(0, 0)}
	s.h, s.hosts, s.list = &f.hostFlags, hosts, &list{}
	s.flags = &f.runFlags
	s.bad = newBads(io.Discard, s.log, "stdin")
	s.head = &output.Header{Start: time.Now(), Sweep: &output.SweepHeader{Stats: s.stats}}
	s.tally = &tally{sink: output.NewReport(s.head, nil), keep: true}
	s.bad.failed = s.tally.unresolved
	return s
}

// play lets the next hosts have the given outcomes.
func (s *sweepRun) play(t *testing.T, list ...probe.Status) {
	t.Helper()
	for _, status := range list {
		c, supply := s.hosts.Next()
		if supply != probe.Ready {
			t.Fatal("no more hosts")
		}
		r := probe.Result{
			Target: &probe.Target{ID: int(c.Index), Addr: netip.AddrPortFrom(c.Addr, 0)},
			Seq:    1, Status: status,
		}
		if status == probe.Failed {
			r.Err = errors.New("no route")
		}
		if err := s.tally.Record(&r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweepExitCode(t *testing.T) {
	const a, l, f, p = probe.Reply, probe.Lost, probe.Failed, probe.Pending
	for _, tt := range []struct {
		name     string
		outcomes []probe.Status // of four hosts
		how      stopped
		bad      bool
		want     int
	}{
		{"all alive", []probe.Status{a, a, probe.Late, probe.Refused}, stopped{by: "done"}, false, 0},
		{"one silent", []probe.Status{a, a, a, l}, stopped{by: "done"}, false, 1},
		{"one unreachable", []probe.Status{a, a, a, probe.Unreachable}, stopped{by: "done"}, false, 1},
		{"one not tested", []probe.Status{a, l, a, f}, stopped{by: "done"}, false, 3},
		{"a bad line", []probe.Status{a, a, a, a}, stopped{by: "done"}, true, 3},
		{"interrupted", []probe.Status{a, a}, stopped{by: "signal"}, false, 3},
		{"interrupted in flight", []probe.Status{a, a, a, p}, stopped{by: "signal"}, false, 3},
		{"interrupted at the end", []probe.Status{a, a, a, a}, stopped{by: "signal"}, false, 0},
		{"deadline", []probe.Status{l}, stopped{by: "deadline"}, false, 3},
		{"reader left", []probe.Status{a, a, p}, stopped{by: "output"}, false, 0},
		{"reader left, one silent", []probe.Status{a, l, p}, stopped{by: "output"}, false, 1},
		{"output broken", []probe.Status{a}, stopped{by: "output", broken: true}, false, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sweepOf(t, &sweepFlags{}, "192.0.2.1-4")
			s.play(t, tt.outcomes...)
			if tt.bad {
				s.bad.tell(7, "foo!bar", errors.New("not a host name"))
			}
			if got := s.exitCode(tt.how); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}

// What a cut run has not decided is what the next one asks.
func TestSweepUndecided(t *testing.T) {
	s := sweepOf(t, &sweepFlags{}, "192.0.2.1-6")
	s.play(t, probe.Reply, probe.Pending, probe.Lost, probe.Pending)
	state := s.hosts.State(s.tally.undecided)
	if state.Position != 4 || len(state.Undecided) != 2 || state.Undecided[0] != 1 || state.Undecided[1] != 3 {
		t.Errorf("position %d, undecided %d, want 4 and [1 3]", state.Position, state.Undecided)
	}
	if s.complete() {
		t.Error("complete, though two hosts were never asked")
	}
}

// Names without an address are hosts that could not be tested, lines that are no
// targets are not hosts; both are told.
func TestSweepBads(t *testing.T) {
	var stderr bytes.Buffer
	s := sweepOf(t, &sweepFlags{}, "192.0.2.1-4")
	s.bad = newBads(&stderr, s.log, "a\x1bb")
	s.bad.failed = s.tally.unresolved
	s.bad.tell(0, "nosuch.example", errors.New("no such host"))
	s.bad.tell(3, "x\x07y", errors.New("not a host name"))
	for range 30 {
		s.bad.tell(4, "z", errors.New("not a host name"))
	}
	s.bad.broke(errors.New("input/output error"))
	s.bad.flush()
	if sum := s.stats.Summary(); sum.Hosts != 1 || sum.Failed != 1 {
		t.Errorf("%d hosts, %d not tested, want 1 and 1", sum.Hosts, sum.Failed)
	}
	text := stderr.String()
	for _, line := range []string{
		"netprobe: nosuch.example: no such host\n", `netprobe: a\x1bb:3: "x\ay": not a host name` + "\n",
		`netprobe: cannot read more targets from a\x1bb: input/output error` + "\n", "netprobe: and 11 more like this\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in %q", line, text)
		}
	}
}

func TestMeter(t *testing.T) {
	var m meter
	start := time.Unix(1000, 0)
	if r := m.rate(start, 0); r != 0 {
		t.Errorf("rate %v before anything was measured", r)
	}
	// A thousand a second for ten seconds, then ten thousand.
	at, decided := start, uint64(0)
	for i := range 100 {
		m.sample(at, decided)
		at = at.Add(progressEvery)
		decided += 200
		if i >= 50 {
			decided += 1800
		}
		switch r := math.Round(m.rate(at, decided)); {
		case i < 50 && r != 1000, i > 75 && r != 10_000, r < 1000 || r > 10_000:
			t.Fatalf("rate %v after %v", r, at.Sub(start))
		}
	}
}

// stuckReader reads nothing until it is let.
type stuckReader struct{ let chan struct{} }

func (r stuckReader) Write(p []byte) (int, error) {
	<-r.let
	return len(p), nil
}

// While too much output waits there is no host to ask; when it was read, whoever
// asks is called.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := stuckReader{make(chan struct{})}
		out, err := openOutlets(&runFlags{}, reader, nil, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		s := sweepOf(t, &sweepFlags{}, "192.0.2.0/24")
		g := &gate{Source: s.hosts, backlog: out.lines}
		woken := make(chan struct{}, 1)
		g.Notify(func() { woken <- struct{}{} })
		if _, supply := g.Next(); supply != probe.Ready {
			t.Fatal("no host, though nothing waits")
		}
		line := bytes.Repeat([]byte{'x'}, 1<<20)
		for range 5 {
			_, _ = out.lines.Write(line)
		}
		synctest.Wait()
		if _, supply := g.Next(); supply != probe.Later {
			t.Errorf("a host, though %d bytes wait", out.lines.waiting())
		}
		close(reader.let)
		<-woken
		if _, supply := g.Next(); supply != probe.Ready {
			t.Errorf("no host, though %d bytes wait", out.lines.waiting())
		}
		out.lines.drain(t.Context())
		if err := out.close(io.Discard); err != nil || out.stdout.Dropped() != 0 {
			t.Errorf("%v, %d lines dropped", err, out.stdout.Dropped())
		}
	})
}

// What finds no room is dropped, and nobody waits for it to be read.
func TestBacklogDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := stuckReader{make(chan struct{})}
		out, err := openOutlets(&runFlags{}, reader, nil, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		line := bytes.Repeat([]byte{'x'}, 1<<20)
		for range 40 {
			_, _ = out.lines.Write(line)
		}
		synctest.Wait()
		if out.stdout.Dropped() == 0 {
			t.Fatal("nothing was dropped")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		close(reader.let)
		out.lines.drain(ctx)
		if ctx.Err() != nil {
			t.Errorf("%d bytes are still waited for", out.lines.waiting())
		}
		_ = out.close(io.Discard)
	})
}
