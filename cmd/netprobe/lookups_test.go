package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/probe"
)

// clockwork resolves a name that says when and how: "ok3s.example" has an
// address after 3 s, "no3s.example" turns out to be unknown then, "dead.example"
// is never answered.
func clockwork(ctx context.Context, _, name string) ([]netip.Addr, error) {
	label, _, _ := strings.Cut(name, ".")
	if strings.HasPrefix(label, "dead") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	d, err := time.ParseDuration(label[2:])
	if err != nil {
		return nil, err
	}
	if !sleep(ctx, d) {
		return nil, ctx.Err()
	}
	if label[:2] == "no" {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
}

// Names do not hold up what can be probed: the run begins when the first
// addresses are known, and the others join in or say why they cannot.
func TestSessionSlowNames(t *testing.T) {
	for _, tt := range []struct {
		name      string
		flags     runFlags
		hosts     []string
		cut       time.Duration // the run is stopped then; 0 for never
		began     time.Duration // when the engine began; -1 if it did not
		took      time.Duration
		moves     []string
		stderr    string
		exit      int
		stoppedBy string
	}{
		{"none slow", runFlags{}, []string{"192.0.2.1", "ok10ms.example"}, 0, 10 * time.Millisecond, 10 * time.Millisecond, nil, "", 0, "done"},
		{"one late", runFlags{}, []string{"ok3s.example", "192.0.2.1"}, 0, grace, 3 * time.Second,
			[]string{"0 ok3s.example 192.0.2.7"}, "", 0, "done"},
		{"one unknown", runFlags{}, []string{"192.0.2.1", "no3s.example"}, 0, grace, 3 * time.Second,
			[]string{"1 no3s.example: no such host"}, "netprobe: no3s.example: no such host\n", 3, "done"},
		{"one dead", runFlags{}, []string{"dead.example", "192.0.2.1"}, 0, grace, 5 * time.Second,
			[]string{"0 dead.example: name not resolved within 5s"}, "netprobe: dead.example: name not resolved within 5s\n", 3, "done"},
		{"only dead", runFlags{}, []string{"dead.example", "dead2.example"}, 0, -1, 5 * time.Second, nil,
			"netprobe: dead.example: name not resolved within 5s\nnetprobe: dead2.example: name not resolved within 5s\n", 3, "done"},
		{"names alone", runFlags{}, []string{"ok1s.example", "ok1100ms.example", "ok2s.example"}, 0, time.Second + grace, 2 * time.Second,
			[]string{"2 ok2s.example 192.0.2.7"}, "", 0, "done"},
		{"stopped", runFlags{}, []string{"dead.example", "192.0.2.1"}, 2 * time.Second, grace, 2 * time.Second,
			[]string{"0 dead.example: not resolved before the run ended"}, "netprobe: dead.example: not resolved before the run ended\n", 3, "deadline"},
		{"stopped before it began", runFlags{}, []string{"dead.example"}, 2 * time.Second, -1, 2 * time.Second, nil,
			"netprobe: dead.example: not resolved before the run ended\n", 3, "deadline"},
		{"all addresses", runFlags{all: true}, []string{"ok3s.example", "192.0.2.1"}, 0, 3 * time.Second, 3 * time.Second, nil, "", 0, "done"},
		{"until the other is up", runFlags{until: "up"}, []string{"dead.example", "192.0.2.1"}, 0, grace, grace,
			[]string{"0 dead.example: not resolved before the run ended"}, "netprobe: dead.example: not resolved before the run ended\n", 0, "until"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stdout := newTestSession(t, &tt.flags, tt.hosts...)
				s.lookup = clockwork
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				if tt.cut > 0 {
					time.AfterFunc(tt.cut, func() { stop(errDeadline) })
				}
				start, began := time.Now(), time.Duration(-1)
				eng := &fakeEngine{play: func(ctx context.Context, e *fakeEngine, emit func(probe.Result)) error {
					began = time.Since(start)
					e.answer(emit)
					e.settled(ctx)
					e.answer(emit)
					return nil
				}}
				r := rehearse(t, ctx, s, eng, stdout)
				if began != tt.began || r.took.Truncate(10*time.Millisecond) != tt.took { // closing the output may take some
					t.Errorf("began after %v, took %v, want %v and %v", began, r.took, tt.began, tt.took)
				}
				if !slices.Equal(eng.moves, tt.moves) || r.stderr != tt.stderr {
					t.Errorf("moves %q, stderr %q, want %q and %q", eng.moves, r.stderr, tt.moves, tt.stderr)
				}
				if r.end.Exit != tt.exit || r.end.StoppedBy != tt.stoppedBy {
					t.Errorf("exit %d by %s, want %d by %s", r.end.Exit, r.end.StoppedBy, tt.exit, tt.stoppedBy)
				}
				if strings.Contains(r.stdout, probe.ErrNotYet.Error()) {
					t.Errorf("the summary is not final:\n%s", r.stdout)
				}
			})
		})
	}
}

// Many dead names are shown before all of them are through.
func TestSessionManyDeadNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 300 {
			names = append(names, fmt.Sprintf("dead%d.example", i))
		}
		s, stdout := newTestSession(t, &runFlags{}, names...)
		s.lookup = clockwork
		start, began := time.Now(), time.Duration(-1)
		r := rehearse(t, t.Context(), s, &fakeEngine{play: func(ctx context.Context, e *fakeEngine, _ func(probe.Result)) error {
			began = time.Since(start)
			e.settled(ctx)
			return nil
		}}, stdout)
		if began != patience || r.took.Round(time.Second) != 10*time.Second || r.end.Exit != exitUntested {
			t.Errorf("began after %v, took %v, exit %d", began, r.took, r.end.Exit)
		}
		if n := strings.Count(r.stderr, "\n"); n != 11 || !strings.HasSuffix(r.stderr, "netprobe: and 290 more like this\n") {
			t.Errorf("%d lines: %s", n, r.stderr)
		}
	})
}

// With --re-resolve, names are looked up again once the first lookups are over,
// from what those found.
func TestSessionFollowsLateNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stdout := newTestSession(t, &runFlags{reResolve: time.Second}, "192.0.2.1", "ok3s.example")
		s.lookup = clockwork
		eng := &fakeEngine{play: func(ctx context.Context, e *fakeEngine, _ func(probe.Result)) error {
			sleep(ctx, time.Minute)
			return nil
		}}
		rehearse(t, t.Context(), s, eng, stdout)
		if want := []string{"1 ok3s.example 192.0.2.7"}; !slices.Equal(eng.moves, want) {
			t.Errorf("moves %q, want %q", eng.moves, want)
		}
	})
}

// What is still looked up is planned; what has no address is not.
func TestPlanned(t *testing.T) {
	answers := []probe.Answer{
		probe.NotYet(probe.Host{Name: "late.example"}),
		{Host: probe.Host{Name: "nosuch.example"}, Err: &net.DNSError{Err: "no such host"}},
		{Host: probe.Host{Name: "192.0.2.1"}, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
	}
	s := &session{common: common{flags: &runFlags{}}, planned: 4}
	if h := s.describe(&fakeEngine{}, probe.Targets(answers, false)); h.Planned != 8 {
		t.Errorf("%d probes planned, want 8", h.Planned)
	}
}

// Of many lines people see a few, and nothing while a table is redrawn.
func TestNotices(t *testing.T) {
	for _, hold := range []bool{false, true} {
		var b bytes.Buffer
		n := notices{w: &b, hold: hold}
		for range 10_000 {
			n.add("x: no such host")
		}
		if hold && b.Len() > 0 {
			t.Errorf("not held back: %s", b.String())
		}
		n.flush()
		n.flush()
		if lines := strings.Count(b.String(), "\n"); lines != 11 || !strings.HasSuffix(b.String(), "netprobe: and 9990 more like this\n") {
			t.Errorf("%d lines: %s", lines, b.String())
		}
	}
}
