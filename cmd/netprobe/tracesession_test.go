package main

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
	"netprobe/probe"
)

// traceEngine finds for each target a path with one router, whose last octet is
// via, after took.
func traceEngine(via byte, took time.Duration, stop probe.Stop) *fakeEngine {
	play := func(ctx context.Context, e *fakeEngine, emit func(probe.Result)) error {
		for _, t := range e.targets {
			if t.Err == nil {
				emitTrace(ctx, t, via, took, stop, emit)
			}
		}
		return nil
	}
	return &fakeEngine{play: play, trace: true}
}

func emitTrace(ctx context.Context, t *probe.Target, via byte, took time.Duration, stop probe.Stop, emit func(probe.Result)) {
	router := netip.AddrFrom4([4]byte{198, 51, 100, via})
	first := probe.Result{Target: t, Seq: 1, Status: probe.Expired, Reason: probe.TTLExceeded, Type: 11, From: router,
		RTT: time.Millisecond, Sent: time.Now(), Detail: &probe.Hop{TTL: 1, Size: 60}}
	last := probe.Result{Target: t, Seq: 2, Sent: time.Now(), Detail: &probe.Hop{TTL: 2, Size: 60}, Reason: probe.NoResponse}
	if stop == probe.StopReached {
		last.Status, last.Reason, last.From, last.RTT = probe.Reply, probe.EchoReply, t.Addr.Addr(), time.Millisecond
	}
	emit(first)
	if !sleep(ctx, took) {
		stop = probe.StopCanceled
		last = probe.Result{Target: t, Seq: 2, Status: probe.Pending, Reason: probe.Canceled, Sent: last.Sent, Detail: last.Detail}
	}
	emit(last)
	path := &probe.Path{Target: t, Proto: "icmp", Stop: stop, First: 1, Hops: []probe.PathHop{
		{TTL: 1, Probes: []probe.Result{first}}, {TTL: 2, Target: stop == probe.StopReached, Probes: []probe.Result{last}},
	}}
	whole := last
	whole.Seq, whole.Detail = 0, path
	emit(whole)
}

// A session of trace shows names, compares, and has the exit code for it.
func TestTraceSession(t *testing.T) {
	const was = `{"record":"trace","target":"192.0.2.1","addr":"192.0.2.1","proto":"icmp","stop":"%","hops":[` +
		`{"ttl":1,"probes":[{"from":"198.51.100.7"}]},{"ttl":2,"target":true,"probes":[{"from":"192.0.2.1"}]}]}`
	for _, tt := range []struct {
		name   string
		was    string // how the baseline stopped; none if empty
		via    byte
		stop   probe.Stop
		exit   int
		line   string // on stderr
		output string // part of stdout
	}{
		{"reached", "", 7, probe.StopReached, 0, "", "r7.example (198.51.100.7)"},
		{"silent", "", 7, probe.StopGap, 1, "", "r7.example"},
		{"same", "reached", 7, probe.StopReached, 0, "", "r7.example"},
		{"changed", "reached", 8, probe.StopReached, 1, "netprobe: path changed at hop 1: 198.51.100.8 was 198.51.100.7\n", "r8.example"},
		{"silent now", "reached", 7, probe.StopGap, 1, "netprobe: end of the path changed: silent was reached\n", "r7.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stdout := newTestSession(t, &runFlags{}, "192.0.2.1")
				f := &traceFlags{}
				s.display = display{usual: traceFormat, view: f.view}
				s.reverse, s.ask = true, (&nameServer{slow: steady(10 * time.Millisecond)}).ask
				if tt.was != "" {
					paths, err := readPaths(strings.NewReader(strings.Replace(was, "%", tt.was, 1)))
					if err != nil {
						t.Fatal(err)
					}
					s.compare = newComparison(&baseline{paths: paths}, false)
				}
				r := rehearse(t, t.Context(), s, traceEngine(tt.via, 100*time.Millisecond, tt.stop), stdout)
				if r.err != nil || r.end.Exit != tt.exit || r.stderr != tt.line {
					t.Errorf("exit %d, error %v, stderr %q, want %d, %q", r.end.Exit, r.err, r.stderr, tt.exit, tt.line)
				}
				if !strings.Contains(r.stdout, tt.output) {
					t.Errorf("no %q in\n%s", tt.output, r.stdout)
				}
				if r.took.Truncate(10*time.Millisecond) != 100*time.Millisecond {
					t.Errorf("took %v", r.took)
				}
			})
		})
	}
}

// The end of a run concludes its traces, and no name is waited for.
func TestTraceSessionIsStopped(t *testing.T) {
	for _, tt := range []struct {
		cause error
		by    string
	}{{errDeadline, "deadline"}, {errSignal, "signal"}} {
		t.Run(tt.by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stdout := newTestSession(t, &runFlags{}, "192.0.2.1")
				s.display = display{usual: traceFormat, view: output.NewTraceView}
				s.reverse, s.ask = true, (&nameServer{slow: steady(-1)}).ask
				ctx, stop := context.WithCancelCause(t.Context())
				time.AfterFunc(50*time.Millisecond, func() { stop(tt.cause) })
				r := rehearse(t, ctx, s, traceEngine(7, time.Second, probe.StopReached), stdout)
				if r.err != nil || r.end.Exit != exitSilent || r.end.StoppedBy != tt.by || r.took.Truncate(10*time.Millisecond) != 50*time.Millisecond {
					t.Errorf("exit %d by %s after %v, error %v", r.end.Exit, r.end.StoppedBy, r.took, r.err)
				}
				if !strings.Contains(r.stdout, "198.51.100.7") {
					t.Errorf("what was known is not shown:\n%s", r.stdout)
				}
			})
		})
	}
}
