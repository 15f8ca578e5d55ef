package output_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// What parses traceroute takes each line after the first as one of these: a hop,
// or more probes of the hop before. Here it must find the hops and probes that
// there are and none in lines of our own.
func TestTraceroutesParsersRead(t *testing.T) {
	line := regexp.MustCompile(`^\s*(\d+)?\s+(.+)$`)
	times := regexp.MustCompile(`(\d+(?:\.?\d+)?)\s+ms`)
	for _, s := range traceScenarios() {
		if s.header.Trace.Monitor || len(s.target) > 1 {
			continue
		}
		out := strings.TrimSuffix(string(showTrace(t, s, look{format: "plain"})), "\n")
		lines := strings.Split(out, "\n")
		if !regexp.MustCompile(`^traceroute to \S+ \(\S+\), \d+ hops max, \d+ byte packets`).MatchString(lines[0]) {
			t.Errorf("%s: header %q", s.name, lines[0])
		}
		path := s.result[len(s.result)-1].Detail.(*probe.Path)
		for _, l := range lines[1:] {
			if l == "" {
				continue
			}
			m := line.FindStringSubmatch(l)
			switch {
			case m == nil:
				t.Errorf("%s: not a line to them: %q", s.name, l)
			case m[1] == "" && times.MatchString(l):
				t.Errorf("%s: our own line has a time: %q", s.name, l)
			case m[1] != "" && !strings.HasPrefix(l, fmt.Sprintf("%2s  ", m[1])):
				t.Errorf("%s: our own line looks like a hop: %q", s.name, l)
			}
		}
		if n := strings.Count(out, " ms"); n == 0 && len(path.Hops) > 0 {
			t.Errorf("%s: no times in\n%s", s.name, out)
		}
	}
}

// A row is printed as soon as it and all before it are final, and the lines are
// the same in the end.
func TestTracePlainStreams(t *testing.T) {
	known := map[netip.Addr]string{}
	s := tracePlainPath()
	whole := string(showTrace(t, headed(s), look{format: "plain"}))
	path := s.result[len(s.result)-1].Detail.(*probe.Path)
	s.header.Trace.Name = func(a netip.Addr) (string, bool) { name, ok := known[a]; return name, ok }
	var out bytes.Buffer
	v, err := output.NewTraceView("plain", &out, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	printed := map[int]int{}
	err = s.play(func(_ *output.Report, i int) {
		switch i {
		case 4: // the names of the first two hops are known only after probe 5
			known[addr("192.0.2.1")], known[addr("198.51.100.2")] = "gw.lab", ""
		}
		printed[i] = strings.Count(out.String(), "\n")
	}, v)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]int{2: 0, 4: 0, 5: 3, 8: 3, 11: 3, 12: 6} {
		if printed[i] != want {
			t.Errorf("%d lines after result %d, want %d", printed[i], i, want)
		}
	}
	if out.String() != whole {
		t.Errorf("streamed:\n%s\nat once:\n%s", out.String(), whole)
	}
	if path.Names == nil {
		t.Error("the recorded path has no names")
	}
}

// headed returns s with the header that all recorded traces have.
func headed(s *scenario) *scenario {
	for _, o := range traceScenarios() {
		if o.name == s.name {
			s.header = o.header
			s.header.Targets = s.target
			s.end = o.end
		}
	}
	return s
}

// counted returns the statistics of the targets after a run.
func counted(t *testing.T, s *scenario) []stats.Summary {
	t.Helper()
	h := headed(s).header
	set := stats.New(s.target)
	r := output.NewReport(&h, set)
	for i := range s.result {
		if err := r.Record(&s.result[i]); err != nil {
			t.Fatal(err)
		}
	}
	var out []stats.Summary
	for _, row := range set.Rows() {
		out = append(out, row.Summary())
	}
	return out
}

// In the statistics stands the target alone.
func TestTraceCounts(t *testing.T) {
	for _, tt := range []struct {
		scenario             *scenario
		sent, received, lost uint64
		errors, pending      uint64
		failed               uint64
		reason               probe.Reason
	}{
		{scenario: tracePlainPath(), sent: 3, received: 3},
		{scenario: traceSilent(), sent: 5, received: 4, lost: 1},
		{scenario: traceECMP(), sent: 3, received: 3},
		{scenario: traceMTU(), sent: 3, received: 3}, // the large packet that got lost is no loss
		{scenario: traceFirewalled(), sent: 1, lost: 1},
		{scenario: traceUnreachable(), sent: 1, errors: 1},
		{scenario: traceSix(), sent: 3, received: 3}, // RST is an answer
		{scenario: traceMonitor(), sent: 10, received: 9, lost: 1},
		{scenario: traceCanceled(), sent: 1, pending: 1},
	} {
		s := counted(t, tt.scenario)[0]
		got := [...]uint64{s.Sent, s.Received, s.Lost, s.Errors, s.Pending, s.Failed}
		if want := [...]uint64{tt.sent, tt.received, tt.lost, tt.errors, tt.pending, tt.failed}; got != want {
			t.Errorf("%s: sent, received, lost, errors, pending, failed %v, want %v", tt.scenario.name, got, want)
		}
		if s.Outage != nil && s.Outage.From.Year() < 2000 {
			t.Errorf("%s: outage from %v", tt.scenario.name, s.Outage.From)
		}
	}
	several := counted(t, traceSeveral())
	for i, want := range []stats.Verdict{stats.Answered, stats.Untested, stats.Silent, stats.Untested} {
		if v := several[i].Verdict(); v != want {
			t.Errorf("target %d: verdict %d, want %d", i, v, want)
		}
	}
	if e := several[3].Error; e == nil || several[3].ErrorReason != probe.NoRoute {
		t.Errorf("failed trace: error %v, reason %v", e, several[3].ErrorReason)
	}
}

// A target that limits its answers does not lose what it leaves unanswered.
func TestTraceCountsLimitedTarget(t *testing.T) {
	s := traceSilent()
	path := s.result[len(s.result)-1].Detail.(*probe.Path)
	path.Hops[3].Loss = &probe.HopLoss{Kind: probe.RateLimited, Percent: 20, Rate: 1}
	if sum := counted(t, s)[0]; sum.Lost != 0 || sum.Received != 4 {
		t.Errorf("lost %d, received %d", sum.Lost, sum.Received)
	}
}

// The same in the middle of a run: a signal asks for the statistics so far.
func TestTraceMonitorSnapshot(t *testing.T) {
	s := headed(traceMonitor())
	h := s.header
	r := output.NewReport(&h, stats.New(s.target))
	for i := range s.result[:20] { // five rounds of four hops, the target lost the fifth
		if err := r.Record(&s.result[i]); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := r.Snapshot(&out); err != nil {
		t.Fatal(err)
	}
	if want := "4/5 packets, 20% loss, "; !strings.HasPrefix(out.String(), want) {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTraceAnnotations(t *testing.T) {
	const four, six = "192.0.2.9", "2001:db8::9"
	for _, tt := range []struct {
		from      string
		typ, code uint8
		reason    probe.Reason
		want      string
	}{
		{four, 3, 0, probe.NetUnreachable, " !N"},
		{four, 3, 1, probe.HostUnreachable, " !H"},
		{four, 3, 2, probe.ProtoUnreachable, " !P"},
		{four, 3, 3, probe.PortUnreachable, " !<3>"},
		{four, 3, 4, probe.FragNeeded, " !F-1400"},
		{four, 3, 5, probe.ReasonOther, " !S"},
		{four, 3, 9, probe.NetProhibited, " !X"},
		{four, 3, 10, probe.HostProhibited, " !X"},
		{four, 3, 13, probe.AdminProhibited, " !X"},
		{four, 3, 14, probe.ReasonOther, " !V"},
		{four, 3, 15, probe.ReasonOther, " !C"},
		{four, 3, 77, probe.ReasonOther, " !<77>"},
		{four, 12, 1, probe.ParameterProblem, " !<12-1>"},
		{six, 1, 0, probe.NoRoute, " !N"},
		{six, 1, 1, probe.AdminProhibited, " !X"},
		{six, 1, 2, probe.ReasonOther, " !S"},
		{six, 1, 3, probe.HostUnreachable, " !H"},
		{six, 1, 4, probe.PortUnreachable, " !<4>"},
		{six, 2, 0, probe.PacketTooBig, " !F-1400"},
		{six, 4, 1, probe.ProtoUnreachable, " !P"},
		{six, 4, 0, probe.ParameterProblem, " !<4-0>"},
	} {
		target := "203.0.113.7"
		if tt.from == six {
			target = "2001:db8::7"
		}
		w := newWalk(host(0, target, target), "icmp")
		w.hopWith(tt.from, func(r *probe.Result, _ *probe.Hop) {
			r.Status, r.Reason, r.Type, r.Code, r.MTU = probe.Unreachable, tt.reason, tt.typ, tt.code, 1400
		}, ms(1))
		s := traced("x", &output.TraceHeader{Proto: "icmp"}, w.target, w.end(probe.StopUnreachable))
		s.header.Targets = s.target
		want := "\n 1  " + tt.from + "  1.000 ms" + tt.want + "\n"
		if got := string(showTrace(t, s, look{format: "plain", numeric: true})); !strings.Contains(got, want) {
			t.Errorf("type %d, code %d: want %q in:\n%s", tt.typ, tt.code, want, got)
		}
	}
}

// Every line of a graph is a statement of the DOT language, with strings that
// end where they should.
func TestTraceDotIsWellFormed(t *testing.T) {
	quoted := `"(?:[^"\\]|\\.)*"`
	statement := regexp.MustCompile(`^  (?:rankdir=LR|node \[shape=box\]|label=` + quoted + `|` + quoted + `(?: -> ` + quoted + `)?(?: \[(?:label=` + quoted + `|style=dashed)(?:, shape=\w+)?\])?);$`)
	for _, s := range traceScenarios() {
		lines := strings.Split(strings.TrimSuffix(string(showTrace(t, s, look{format: "dot"})), "\n"), "\n")
		if lines[0] != "digraph netprobe {" || lines[len(lines)-1] != "}" {
			t.Errorf("%s: %q ... %q", s.name, lines[0], lines[len(lines)-1])
		}
		for _, l := range lines[1 : len(lines)-1] {
			if !statement.MatchString(l) {
				t.Errorf("%s: %s", s.name, l)
			}
		}
	}
}

// However small the terminal, a frame fits.
func TestTraceFramesFit(t *testing.T) {
	for _, size := range [][2]int{{20, 5}, {40, 6}, {80, 10}, {200, 60}} {
		for _, s := range traceScenarios() {
			var out bytes.Buffer
			v, err := output.NewTraceView("table", &out, output.Options{
				Terminal: true, Size: func() (int, int) { return size[0], size[1] },
			})
			if err != nil {
				t.Fatal(err)
			}
			err = s.play(func(r *output.Report, i int) {
				if i == len(s.result)-1 {
					return // the finished trace may be longer
				}
				out.Reset()
				if err := r.Refresh(start.Add(time.Second)); err != nil {
					t.Error(err)
				}
				checkFrame(t, out.String(), size[0], size[1])
			}, v)
			if err != nil {
				t.Error(err)
			}
		}
	}
}

var escapes = regexp.MustCompile(`\x1b\[[?0-9]*[A-Za-z]|\r`)

func checkFrame(t *testing.T, frame string, cols, rows int) {
	t.Helper()
	if n := strings.Count(frame, "\n"); n > rows-1 {
		t.Errorf("%d lines on a screen of %d", n, rows)
	}
	for line := range strings.Lines(escapes.ReplaceAllString(frame, "")) {
		if w := cells(strings.TrimSuffix(line, "\n")); w > cols {
			t.Errorf("%d cells on a screen of %d: %q", w, cols, line)
		}
	}
}

// One trace of twenty hops in each format, from its Results to its lines.
func BenchmarkTrace(b *testing.B) {
	w := newWalk(host(0, "203.0.113.7", "203.0.113.7"), "icmp")
	for i := range 19 {
		w.hop(fmt.Sprintf("198.51.100.%d", i+1), ms(5), ms(6), ms(7))
	}
	w.hop("203.0.113.7", ms(100), ms(100), ms(100))
	s := traced("long", &output.TraceHeader{Proto: "icmp"}, w.target, w.end(probe.StopReached))
	s.header.Targets = s.target
	for _, format := range output.TraceFormats() {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, err := output.NewTraceView(format, io.Discard, output.Options{})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.play(nil, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTracePathMTUWords(t *testing.T) {
	for _, tt := range []struct {
		mtu  probe.PathMTU
		hop  uint8
		want string
	}{
		{probe.PathMTU{MTU: 1400, From: addr("198.51.100.2")}, 5, "path MTU 1400: named by 198.51.100.2 at hop 5"},
		{probe.PathMTU{MTU: 1400, BlackHole: true}, 7, "path MTU 1400: black hole after hop 7, larger packets vanish without an error"},
		{probe.PathMTU{MTU: 1400, BlackHole: true}, 0, "path MTU 1400: black hole, larger packets vanish without an error"},
		{probe.PathMTU{MTU: 1500, Local: true}, 0, "path MTU 1500: the limit of this host's own link"},
		{probe.PathMTU{MTU: 1300, Partial: true}, 0, "path MTU at least 1300: the search could not be finished"},
		{probe.PathMTU{Partial: true}, 0, "path MTU unknown: the search could not be finished"},
		{probe.PathMTU{}, 0, "path MTU unknown: no size was answered"},
		{probe.PathMTU{MTU: 1492}, 3, "path MTU 1492: no larger packet was answered after hop 3"},
	} {
		s := headed(tracePlainPath())
		path := s.result[len(s.result)-1].Detail.(*probe.Path)
		path.MTU, path.MTUHop = &tt.mtu, tt.hop
		want := "\n    " + tt.want + "\n"
		if got := string(showTrace(t, s, look{format: "plain"})); !strings.Contains(got, want) {
			t.Errorf("want %q in:\n%s", want, got)
		}
	}
}
