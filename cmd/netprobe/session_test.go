package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// fakeEngine probes no network: play says what happens.
type fakeEngine struct {
	play  func(ctx context.Context, e *fakeEngine, emit func(probe.Result)) error
	trace bool // it traces paths

	mu      sync.Mutex
	targets []*probe.Target
	moves   []string      // what Retarget was told
	expects chan struct{} // closed when Expect(false) follows Expect(true); nil unless more is expected
}

func (e *fakeEngine) SetTargets(targets []*probe.Target) { e.targets = slices.Clone(targets) }

func (e *fakeEngine) Retarget(t *probe.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.targets[t.ID] = t
	move := fmt.Sprintf("%d %s %v", t.ID, t.Name, t.Addr.Addr())
	if t.Err != nil {
		move = fmt.Sprintf("%d %s: %v", t.ID, t.Name, t.Err)
	}
	e.moves = append(e.moves, move)
}

func (e *fakeEngine) Expect(more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.expects != nil && !more {
		close(e.expects)
		e.expects = nil
	}
	if more {
		e.expects = make(chan struct{})
	}
}

// settled waits until no more targets are expected, or ctx ends.
func (e *fakeEngine) settled(ctx context.Context) {
	e.mu.Lock()
	expects := e.expects
	e.mu.Unlock()
	if expects == nil {
		return
	}
	select {
	case <-expects:
	case <-ctx.Done():
	}
}

// answer lets each target with an address answer a probe.
func (e *fakeEngine) answer(emit func(probe.Result)) {
	e.mu.Lock()
	targets := slices.Clone(e.targets)
	e.mu.Unlock()
	for _, t := range targets {
		if t.Err == nil {
			emit(probe.Result{Target: t, Seq: 1, Status: probe.Reply, Reason: probe.EchoReply, RTT: 1, Sent: time.Now(), From: t.Addr.Addr()})
		}
	}
}

func (e *fakeEngine) Probe(ctx context.Context, emit func(probe.Result)) error {
	return e.play(ctx, e, emit)
}

func (e *fakeEngine) Describe(h *output.Header) {
	h.Socket = "raw"
	if e.trace {
		h.Trace = &output.TraceHeader{Proto: "icmp", Count: 1}
	}
}
func (e *fakeEngine) Doubts() []string { return nil }
func (e *fakeEngine) Log(*slog.Logger) {}
func (e *fakeEngine) Close() error     { return nil }

// outcomes lets each target in turn have one probe a second with the given
// outcomes, then waits for the end of the run.
func outcomes(list ...probe.Status) func(context.Context, *fakeEngine, func(probe.Result)) error {
	return func(ctx context.Context, e *fakeEngine, emit func(probe.Result)) error {
		for i, s := range list {
			t := e.targets[i%len(e.targets)]
			r := probe.Result{Target: t, Seq: uint64(i/len(e.targets) + 1), Status: s, Sent: time.Now()}
			switch s {
			case probe.Reply, probe.Late:
				r.From, r.RTT, r.Reason = t.Addr.Addr(), time.Millisecond, probe.EchoReply
			case probe.Lost:
				r.Reason = probe.NoResponse
			case probe.Failed:
				r.Err, r.Reason = syscall.ENETUNREACH, probe.NoRoute
			}
			emit(r)
			if !sleep(ctx, time.Second) {
				return nil
			}
		}
		return nil
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// ran is what a session did.
type ran struct {
	end            *output.End
	err            error
	stdout, stderr string
	took           time.Duration
}

// rehearse runs s from the point where its sockets are open. Command lines of
// tests resolve names with s.lookup.
func rehearse(t *testing.T, ctx context.Context, s *session, eng engine, stdout fmt.Stringer) ran {
	t.Helper()
	var stderr bytes.Buffer
	s.stderr, s.log = &stderr, slog.New(slog.DiscardHandler)
	s.verb, s.planned = cmp.Or(s.verb, "ping"), -1
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	start := time.Now()
	out, err := openOutlets(s.flags, s.stdout, nil, stop)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.prepare(ctx, stop, eng, out)
	if err != nil {
		t.Fatal(err)
	}
	var r ran
	r.end, r.err = s.finish(ctx, c, s.drive(ctx, c))
	if err := out.close(s.stderr); r.err == nil {
		r.err = err
	}
	c.unknown.flush()
	r.took = time.Since(start)
	r.stdout, r.stderr = stdout.String(), stderr.String()
	return r
}

func newTestSession(t *testing.T, f *runFlags, names ...string) (*session, *bytes.Buffer) {
	t.Helper()
	s := &session{common: common{flags: f, display: display{usual: pingFormat, view: output.NewView}}}
	for _, n := range names {
		h, err := parseHost(n)
		if err != nil {
			t.Fatal(err)
		}
		s.hosts = append(s.hosts, h)
	}
	s.lookup = func(_ context.Context, _, name string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	stdout := &bytes.Buffer{}
	s.stdout = stdout
	return s, stdout
}

func TestSessionEnds(t *testing.T) {
	condition, err := stats.ParseCondition("loss>20%")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		flags     runFlags
		hosts     []string
		outcomes  []probe.Status
		exit      int
		stoppedBy string
		took      time.Duration
		stderr    string
		note      string
	}{
		{"answered", runFlags{}, []string{"192.0.2.1"}, []probe.Status{probe.Reply, probe.Lost}, 0, "done", 2 * time.Second, "", ""},
		{"silent", runFlags{}, []string{"192.0.2.1", "192.0.2.2"}, []probe.Status{probe.Reply, probe.Lost}, 1, "done", 2 * time.Second, "", ""},
		{"no route", runFlags{}, []string{"192.0.2.1", "192.0.2.2"}, []probe.Status{probe.Lost, probe.Failed}, 3, "done", 2 * time.Second, "", ""},
		{"one unresolved", runFlags{}, []string{"192.0.2.1", "nosuch.example"}, []probe.Status{probe.Reply}, 3, "done", time.Second, "netprobe: nosuch.example: no such host\n", ""},
		{"none resolved", runFlags{}, []string{"nosuch.example"}, []probe.Status{probe.Reply}, 3, "done", 0, "netprobe: nosuch.example: no such host\n", ""},
		{"until up", runFlags{until: "up"}, []string{"192.0.2.1"}, []probe.Status{probe.Lost, probe.Failed, probe.Late, probe.Reply}, 0, "until", 2 * time.Second, "", "192.0.2.1 is up: seq 3, echo-reply"},
		{"until down", runFlags{until: "down"}, []string{"192.0.2.1"}, []probe.Status{probe.Reply, probe.Failed, probe.Lost, probe.Lost}, 0, "until", 2 * time.Second, "", "192.0.2.1 is down: seq 3, no-response"},
		{"never up", runFlags{until: "up"}, []string{"192.0.2.1"}, []probe.Status{probe.Lost}, 1, "done", time.Second, "", ""},
		{"expectation failed", runFlags{failIf: condition}, []string{"192.0.2.1"}, []probe.Status{probe.Reply, probe.Lost}, 1, "done", 2 * time.Second,
			"netprobe: fail-if fired: 192.0.2.1: loss>20% (50%)\n", "fail-if fired: 192.0.2.1: loss>20% (50%)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stdout := newTestSession(t, &tt.flags, tt.hosts...)
				r := rehearse(t, t.Context(), s, &fakeEngine{play: outcomes(tt.outcomes...)}, stdout)
				if r.err != nil || r.end.Exit != tt.exit || r.end.StoppedBy != tt.stoppedBy {
					t.Errorf("exit %d by %s, %v, want %d by %s", r.end.Exit, r.end.StoppedBy, r.err, tt.exit, tt.stoppedBy)
				}
				if r.took.Truncate(100*time.Millisecond) != tt.took {
					t.Errorf("took %v, want %v", r.took, tt.took)
				}
				if r.stderr != tt.stderr {
					t.Errorf("stderr %q, want %q", r.stderr, tt.stderr)
				}
				if notes := strings.Join(r.end.Notes, "\n"); notes != tt.note {
					t.Errorf("notes %q, want %q", notes, tt.note)
				}
				for _, host := range tt.hosts {
					if !strings.Contains(r.stdout, host) {
						t.Errorf("no word of %s in\n%s", host, r.stdout)
					}
				}
			})
		})
	}
}

// A cause ends the run and its name stands in the end record.
func TestSessionIsStopped(t *testing.T) {
	for _, tt := range []struct {
		cause     error
		stoppedBy string
	}{{errDeadline, "deadline"}, {errSignal, "signal"}, {context.Canceled, "signal"}, {&probe.SinkError{Err: syscall.EPIPE}, "output"}} {
		t.Run(tt.stoppedBy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stdout := newTestSession(t, &runFlags{}, "192.0.2.1")
				ctx, stop := context.WithCancelCause(t.Context())
				time.AfterFunc(1500*time.Millisecond, func() { stop(tt.cause) })
				r := rehearse(t, ctx, s, &fakeEngine{play: outcomes(make([]probe.Status, 100)...)}, stdout)
				if r.end.StoppedBy != tt.stoppedBy || r.end.Exit != exitSilent || r.took != 1500*time.Millisecond {
					t.Errorf("exit %d by %s after %v, want 1 by %s", r.end.Exit, r.end.StoppedBy, r.took, tt.stoppedBy)
				}
			})
		})
	}
}

// brokenWriter fails after its first line.
type brokenWriter struct {
	bytes.Buffer
	err error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.Len() > 0 {
		return 0, w.err
	}
	return w.Buffer.Write(p)
}

// When stdout fails, the run ends at the line that failed, not at the next.
func TestSessionOutputFails(t *testing.T) {
	for _, tt := range []struct {
		err  error
		exit int
		said string
	}{{syscall.EPIPE, exitAnswered, ""}, {syscall.ENOSPC, exitUntested, "cannot write output: no space left on device"}} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newTestSession(t, &runFlags{}, "192.0.2.1")
				w := &brokenWriter{err: tt.err}
				s.stdout = w
				all := slices.Repeat([]probe.Status{probe.Reply}, 100)
				r := rehearse(t, t.Context(), s, &fakeEngine{play: outcomes(all...)}, w)
				if r.end.Exit != tt.exit || r.end.StoppedBy != "output" || r.took > time.Second {
					t.Errorf("exit %d by %s after %v", r.end.Exit, r.end.StoppedBy, r.took)
				}
				if tt.said == "" && r.err != nil || tt.said != "" && (r.err == nil || r.err.Error() != tt.said) {
					t.Errorf("error %v, want %q", r.err, tt.said)
				}
			})
		})
	}
}

func TestSessionEngineFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stdout := newTestSession(t, &runFlags{}, "192.0.2.1")
		r := rehearse(t, t.Context(), s, &fakeEngine{play: func(context.Context, *fakeEngine, func(probe.Result)) error {
			return errors.New("socket broke")
		}}, stdout)
		if r.end.Exit != exitUntested || r.err == nil || r.err.Error() != "the run stopped: socket broke" {
			t.Errorf("exit %d, %v", r.end.Exit, r.err)
		}
	})
}

// With --re-resolve a row follows its name: it stays while the name still has
// its address, survives lookups that fail, and an unresolved row comes to life.
func TestSessionFollowsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stdout := newTestSession(t, &runFlags{reResolve: time.Minute}, "moves.example", "192.0.2.9", "born.example", "turns.example")
		start := time.Now()
		s.lookup = func(_ context.Context, _, name string) ([]netip.Addr, error) {
			minute := int(time.Since(start) / time.Minute)
			a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
			switch {
			case name == "turns.example":
				return [][]netip.Addr{{a, b}, {b, a}}[minute%2], nil
			case name == "moves.example" && minute < 2:
				return []netip.Addr{a}, nil
			case name == "moves.example" && minute > 2, name == "born.example" && minute > 0:
				return []netip.Addr{b}, nil
			}
			return nil, errors.New("server failure")
		}
		eng := &fakeEngine{play: func(ctx context.Context, e *fakeEngine, emit func(probe.Result)) error {
			sleep(ctx, 5*time.Minute+time.Second)
			return nil
		}}
		r := rehearse(t, t.Context(), s, eng, stdout)
		want := []string{"2 born.example 192.0.2.2", "0 moves.example 192.0.2.2"}
		if !slices.Equal(eng.moves, want) {
			t.Errorf("moves %q, want %q", eng.moves, want)
		}
		if r.stderr != "netprobe: born.example: server failure\n" {
			t.Errorf("stderr %q", r.stderr)
		}
	})
}
