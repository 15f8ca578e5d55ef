package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/output"
	"netprobe/probe"
	"netprobe/scan"
	"netprobe/stats"
	"netprobe/sweep"
)

// wire is a Transport into a network under virtual time: ports say what answer
// has for them, after delay, the zero Answer for nothing.
type wire struct {
	answer func(to netip.AddrPort) crew.Answer
	delay  time.Duration

	kick  chan struct{}
	mu    sync.Mutex
	got   []heardOf
	asked map[netip.AddrPort]int
}

type heardOf struct {
	crew.Try
	crew.Answer
}

func newWire(answer func(to netip.AddrPort) crew.Answer) *wire {
	return &wire{answer: answer, delay: time.Millisecond, kick: make(chan struct{}, 1), asked: map[netip.AddrPort]int{}}
}

func (w *wire) Room() int    { return 100 }
func (w *wire) Timed() bool  { return true }
func (w *wire) Close() error { return nil }

func (w *wire) Start(tries []crew.Try) int {
	for _, t := range tries {
		w.asked[t.To]++
		a, after := w.answer(t.To), w.delay
		if a == (crew.Answer{}) {
			a, after = crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}, t.Timeout
		}
		time.AfterFunc(after, func() {
			w.mu.Lock()
			w.got = append(w.got, heardOf{t, a})
			w.mu.Unlock()
			w.Wake()
		})
	}
	return len(tries)
}

func (w *wire) Wait(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-w.kick:
	case <-time.After(d):
	}
}

func (w *wire) Wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *wire) Collect(visit func(to netip.AddrPort, n int, a *crew.Answer)) {
	w.mu.Lock()
	got := w.got
	w.got = nil
	w.mu.Unlock()
	for i := range got {
		visit(got[i].To, got[i].N, &got[i].Answer)
	}
}

func answers(status probe.Status, reason probe.Reason) func(netip.AddrPort) crew.Answer {
	return func(to netip.AddrPort) crew.Answer {
		a := crew.Answer{Result: probe.Result{Status: status, Reason: reason}}
		switch status {
		case probe.Reply, probe.Refused:
			a.From, a.RTT = to.Addr(), time.Millisecond
		case probe.Failed:
			a.Err = errors.New("no route from this host")
		case probe.Lost:
			return crew.Answer{}
		}
		return a
	}
}

// scanOf returns a run over targets that is ready to be driven.
func scanOf(t *testing.T, f *scanFlags, w *wire, targets ...string) *scanRun {
	t.Helper()
	cfg := sweep.Config{Ordered: true}
	for _, text := range targets {
		spec, err := f.parser().Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Specs = append(cfg.Specs, spec)
	}
	if f.ports == nil {
		f.ports = []uint16{22, 80}
	}
	f.retries = scan.Adaptive
	s := &scanRun{f: f, carrier: w}
	var err error
	if s.from, err = readState(f.resume); err != nil {
		t.Fatal(err)
	}
	if s.begun, err = f.readRest(s.from); err != nil {
		t.Fatal(err)
	}
	cfg.From = s.from
	if s.hosts, err = sweep.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.h, s.flags, s.list = &f.hostFlags, &f.runFlags, &list{}
	s.log, s.stderr = slog.New(slog.DiscardHandler), io.Discard
	s.bad = newBads(io.Discard, s.log, "stdin")
	s.display = display{usual: func(bool, int) string { return "table" }, view: output.NewScanView}
	return s
}

// play drives the run to its end, with what is done beside it, and returns its
// end and what it printed.
func (s *scanRun) play(t *testing.T, ctx context.Context, stdout io.Writer) *output.End {
	t.Helper()
	out, err := openOutlets(s.flags, stdout, nil, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.announce(out); err != nil {
		t.Fatal(err)
	}
	runErr := s.drive(ctx)
	end, err := s.finish(ctx, runErr)
	if err != nil {
		t.Error(err)
	}
	out.lines.drain(ctx)
	if err := out.close(io.Discard); err != nil {
		t.Error(err)
	}
	return end
}

func TestScanExitCode(t *testing.T) {
	mixed := func(to netip.AddrPort) crew.Answer {
		if to.Port() == 22 {
			return answers(probe.Reply, probe.Connected)(to)
		}
		return answers(probe.Refused, probe.RST)(to)
	}
	cut := func(d time.Duration, cause error) func(*scanRun, context.CancelCauseFunc) {
		return func(_ *scanRun, stop context.CancelCauseFunc) { time.AfterFunc(d, func() { stop(cause) }) }
	}
	for _, tt := range []struct {
		name   string
		answer func(netip.AddrPort) crew.Answer
		flags  scanFlags
		beside func(*scanRun, context.CancelCauseFunc)
		want   int
		by     string
	}{
		{name: "open", answer: mixed, want: 0, by: "done"},
		{name: "all silent", answer: answers(probe.Lost, 0), want: 0, by: "done"},
		{name: "all rejected", answer: answers(probe.Unreachable, probe.AdminProhibited), want: 0, by: "done"},
		{name: "not tested", answer: answers(probe.Failed, probe.NoRoute), want: 3, by: "done"},
		{name: "as expected", answer: mixed, flags: scanFlags{expecting: stats.Expect(22)}, want: 0, by: "done"},
		{name: "more is open", answer: mixed, flags: scanFlags{expecting: stats.Expect()}, want: 1, by: "done"},
		{name: "less is open", answer: mixed, flags: scanFlags{expecting: stats.Expect(22, 80)}, want: 1, by: "done"},
		{name: "nobody knows", answer: answers(probe.Failed, probe.NoRoute), flags: scanFlags{expecting: stats.Expect(22)}, want: 3, by: "done"},
		{name: "a bad line", answer: mixed, beside: func(s *scanRun, _ context.CancelCauseFunc) { s.bad.tell(7, "foo!", errors.New("no")) }, want: 3, by: "done"},
		{name: "signal", answer: answers(probe.Lost, 0), beside: cut(time.Second, errSignal), want: 3, by: "signal"},
		{name: "deadline", answer: answers(probe.Lost, 0), beside: cut(time.Second, errDeadline), want: 3, by: "deadline"},
		{name: "budget", answer: answers(probe.Lost, 0), beside: cut(time.Second, errBudget), want: 3, by: "deadline"},
		{name: "signal after the end", answer: mixed, beside: cut(time.Hour, errSignal), want: 0, by: "done"},
		{name: "reader left", answer: answers(probe.Lost, 0), beside: cut(time.Second, &probe.SinkError{Err: syscall.EPIPE}), want: 0, by: "output"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				s := scanOf(t, &tt.flags, newWire(tt.answer), "192.0.2.1-4")
				if tt.beside != nil {
					tt.beside(s, stop)
				}
				end := s.play(t, ctx, io.Discard)
				if end.Exit != tt.want || end.StoppedBy != tt.by {
					t.Errorf("exit code %d, stopped by %s, want %d and %s", end.Exit, end.StoppedBy, tt.want, tt.by)
				}
			})
		})
	}
}

// Ctrl-C with --resume lets what is in flight be decided; the next run decides
// the rest, and nothing twice. The file is gone when all is done.
func TestScanResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flags scanFlags
		flags.resume, flags.rate = filepath.Join(t.TempDir(), "state"), 100
		for p := range uint16(50) {
			flags.ports = append(flags.ports, p+1)
		}
		flags.text = "1-50"
		decided := map[netip.AddrPort]int{}
		for round := range 4 {
			w := newWire(answers(probe.Refused, probe.RST))
			w.delay = 30 * time.Millisecond
			f := flags
			s := scanOf(t, &f, w, "192.0.2.1-3")
			ctx, stop := context.WithCancelCause(t.Context())
			if round < 3 {
				time.AfterFunc(time.Duration(300+100*round)*time.Millisecond, func() {
					if s.onStop(stop) {
						t.Error("the first signal is the last")
					}
				})
			}
			if err := s.mark(); round > 0 && err != nil {
				t.Fatal(err)
			}
			var stdout bytes.Buffer
			f.format = "json"
			end := s.play(t, ctx, &stdout)
			stop(nil)
			for line := range strings.Lines(stdout.String()) {
				var r struct {
					Record, Addr, Status string
					Port                 uint16
				}
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				if r.Record == "port" && r.Status != "pending" {
					decided[netip.AddrPortFrom(netip.MustParseAddr(r.Addr), r.Port)]++
				}
			}
			notes := s.keep()
			_, err := os.Stat(flags.resume)
			if last := round == 3; last != (end.Exit == 0) || last != errors.Is(err, os.ErrNotExist) || last != (len(notes) == 0) {
				t.Errorf("round %d: exit code %d, %q, state %v", round, end.Exit, notes, err)
			}
		}
		if len(decided) != 150 {
			t.Errorf("%d ports decided", len(decided))
		}
		for to, n := range decided {
			if n != 1 {
				t.Errorf("%v decided %d times", to, n)
			}
		}
	})
}

// The state of another scan, or a damaged one, is refused.
func TestScanRest(t *testing.T) {
	f := &scanFlags{ports: []uint16{22, 80}, text: "22,80"}
	f.resume = "state"
	good, err := json.Marshal(f.rest([]scan.Begun{{Index: 1, Addr: netip.MustParseAddr("192.0.2.1"), Next: 2, Again: []uint16{1}}}))
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string { return strings.Replace(string(good), old, new, 1) }
	for _, tt := range []struct{ name, rest, want string }{
		{"the same", string(good), ""},
		{"a sweep", "", "it is not the state of a scan"},
		{"nonsense", "[]", "it is not the state of a scan"},
		{"other ports", change("22,80", "22"), "ports, --shard or the way to ask differ"},
		{"another way", change("connect", "syn"), "ports, --shard or the way to ask differ"},
		{"another part", change(`"part":"`, `"part":"1/`), "ports, --shard or the way to ask differ"},
		{"beyond the ports", change(`"next":2`, `"next":3`), "damaged state"},
		{"before the first", change(`"next":2`, `"next":-1`), "damaged state"},
		{"more than there were", change(`[1]`, `[1,0,1]`), "damaged state"},
		{"no address", change(`192.0.2.1`, ``), "damaged state"},
	} {
		state := &sweep.State{Rest: json.RawMessage(tt.rest)}
		if tt.rest == "" {
			state.Rest = nil
		}
		_, err := f.readRest(state)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if begun, err := f.readRest(nil); begun != nil || err != nil {
		t.Errorf("without a file: %v, %v", begun, err)
	}
}

// swept is a sweep with these outcomes.
type swept []probe.Status

func (f swept) Probe(ctx context.Context, emit func(probe.Result)) error {
	for i, status := range f {
		time.Sleep(10 * time.Millisecond)
		r := probe.Result{
			Target: &probe.Target{ID: i, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 0)}, Status: status, Seq: 1,
		}
		if status == probe.Failed {
			r.Err = errors.New("no route")
		}
		emit(r)
	}
	return ctx.Err()
}

// Hosts that answer a sweep are scanned as they are found; of the others it is
// said how many there are.
func TestScanAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(answers(probe.Refused, probe.RST))
		f := &scanFlags{}
		s := scanOf(t, f, w, "192.0.2.0/24")
		s.alive = &alive{sweep: swept{
			probe.Reply, probe.Lost, probe.Refused, probe.Unreachable, probe.Failed, probe.Reply, probe.Lost,
		}}
		s.sweep = &sweepCrew{gate: &gate{}}
		end := s.play(t, t.Context(), io.Discard)
		if end.Exit != 3 || len(w.asked) != 6 || w.asked[netip.MustParseAddrPort("192.0.2.5:80")] != 1 {
			t.Errorf("exit code %d, asked %v", end.Exit, w.asked)
		}
		want := []string{
			"not scanned, as they did not answer the sweep: 3 hosts", "not scanned, as they could not be swept: 1 host (no route)",
		}
		if !slices.Equal(end.Notes, want) {
			t.Errorf("%q", end.Notes)
		}
	})
}

// Those found and not scanned when the run is cut are left for the next.
func TestScanAliveLeft(t *testing.T) {
	a := &alive{sweep: swept{probe.Reply, probe.Lost, probe.Pending, probe.Reply}}
	woken := 0
	a.Notify(func() { woken++ })
	synctest.Test(t, func(t *testing.T) {
		if _, supply := a.Next(); supply != probe.Later {
			t.Errorf("%v before the sweep", supply)
		}
		_ = a.run(t.Context())
	})
	if c, supply := a.Next(); supply != probe.Ready || c.Index != 0 {
		t.Errorf("%v %v", c, supply)
	}
	if left := a.left(); !slices.Equal(left, []uint64{2, 3}) || woken != 3 {
		t.Errorf("left %v, woken %d times", left, woken)
	}
	a.Next()
	if _, supply := a.Next(); supply != probe.Over {
		t.Errorf("%v at the end", supply)
	}
}

// A sweep that is far ahead of the scan waits for it.
func TestScanAliveHolds(t *testing.T) {
	a := &alive{}
	woken := 0
	for i := range aliveMost {
		if a.hold(func() { woken++ }) {
			t.Fatalf("held at %d hosts", i)
		}
		a.take(probe.Result{Target: &probe.Target{ID: i}, Status: probe.Reply})
	}
	if !a.hold(func() { woken++ }) {
		t.Error("not held")
	}
	for range aliveMost {
		a.Next()
	}
	if woken != 1 || a.hold(nil) {
		t.Errorf("woken %d times", woken)
	}
}

// The line of progress knows how much there is to do, with shards and of what
// an earlier run left.
func TestScanProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &scanFlags{parts: probe.Shard{I: 1, N: 2}, budget: time.Minute}
		s := scanOf(t, f, newWire(answers(probe.Refused, probe.RST)), "192.0.2.1-100")
		s.begun = []scan.Begun{{Next: 2, Again: []uint16{1}}, {Next: 1}}
		out, err := openOutlets(s.flags, io.Discard, nil, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.announce(out); err != nil {
			t.Fatal(err)
		}
		if p := s.progress(); !p.Known || p.Planned != 98 || p.Decided != 0 || p.Budget != time.Minute {
			t.Errorf("%+v", p)
		}
		_ = s.drive(t.Context())
		if p := s.progress(); p.Decided != 100 || p.Asked != 100 {
			t.Errorf("%+v", p)
		}
		if err := out.close(io.Discard); err != nil {
			t.Error(err)
		}
	})
}
