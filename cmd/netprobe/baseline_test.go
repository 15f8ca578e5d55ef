package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netprobe/probe"
	"netprobe/trace"
)

const (
	recordA = `{"v":1,"record":"trace","target":"a.example","addr":"203.0.113.7","proto":"udp","port":33434,"flow":33000,"reached":true,"stop":"reached","hops":[` +
		`{"ttl":1,"target":false,"probes":[{"status":"expired","from":"198.51.100.1"},{"status":"lost","from":null}]},` +
		`{"ttl":2,"target":false,"probes":[{"status":"expired","from":"198.51.100.2"}]},` +
		`{"ttl":3,"target":true,"probes":[{"status":"reply","from":"203.0.113.7"}]}]}`
	recordB = `{"v":1,"record":"trace","target":"b.example","addr":"203.0.113.8","proto":"icmp","port":null,"flow":7,"reached":false,"stop":"gap","hops":[` +
		`{"ttl":1,"probes":[{"status":"expired","from":"198.51.100.1"}]},{"ttl":2,"probes":[{"status":"lost","from":null}]}]}`
	runLine = `{"v":1,"record":"run","verb":"trace","args":["trace","--json"],"hops":"what an other record calls so"}`
)

func TestReadPaths(t *testing.T) {
	for _, tt := range []struct {
		name, text, err string
		paths           int
	}{
		{"one", recordA + "\n", "", 1},
		{"a whole run", `{"record":"run"}` + "\n" + recordA + "\n\n" + recordB + "\n" + `{"record":"end"}` + "\n", "", 2},
		{"other records as they like", runLine + "\n" + recordA, "", 1},
		{"empty", "", "it holds no trace record", 0},
		{"no trace", `{"record":"run"}` + "\n", "it holds no trace record", 0},
		{"text", "traceroute to 192.0.2.1\n", "line 1 is no record", 0},
		{"torn", recordA + "\n" + recordB[:50], "line 2 is no record", 0},
		{"unknown stop", strings.Replace(recordA, `"reached","hops"`, `"bored","hops"`, 1), "unknown stop", 0},
		{"bad address", strings.Replace(recordA, "198.51.100.2", "198.51.100.256", 1), "line 1", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readPaths(strings.NewReader(tt.text))
			if len(got) != tt.paths || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%d paths, error %v, want %d, %q", len(got), err, tt.paths, tt.err)
			}
		})
	}
}

// baselineFile writes a file of lines and returns its name.
func baselineFile(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "was")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A comparison takes the way that was recorded, unless the flags say otherwise.
func TestBaselineIsAdopted(t *testing.T) {
	file := baselineFile(t, recordA, recordB)
	for _, tt := range []struct {
		name  string
		args  []string
		proto string
		port  int
		flow  int
	}{
		{"all", []string{"a.example"}, "udp", 33434, 33000},
		{"case does not matter", []string{"A.Example"}, "udp", 33434, 33000},
		{"another protocol", []string{"-P", "icmp", "a.example"}, "icmp", 0, 0},
		{"another port", []string{"--port", "53", "a.example"}, "udp", 53, 33000},
		{"another flow", []string{"--flow", "1234", "a.example"}, "udp", 33434, 1234},
		{"recorded differently", []string{"a.example", "b.example"}, "icmp", 0, 0},
		{"without a port", []string{"b.example"}, "icmp", 0, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &traceFlags{}
			cmd := newTrace(nil)
			cmd.ResetFlags()
			f.define(cmd)
			if err := cmd.ParseFlags(append(tt.args, "--baseline", file)); err != nil {
				t.Fatal(err)
			}
			if _, err := f.session(cmd, cmd.Flags().Args()); err != nil {
				t.Fatal(err)
			}
			if f.proto != tt.proto || f.port != tt.port || f.flow != tt.flow {
				t.Errorf("%s, port %d, flow %d", f.proto, f.port, f.flow)
			}
		})
	}
}

func TestBaselineUsage(t *testing.T) {
	file := baselineFile(t, recordA)
	for _, tt := range []struct {
		name string
		args []string
		line string
	}{
		{"no such file", []string{"--baseline", "/no/such/file", "a.example"}, "netprobe: cannot read the baseline: open /no/such/file: no such file or directory"},
		{"a directory", []string{"--baseline", t.TempDir(), "a.example"}, "is a directory"},
		{"another target", []string{"--baseline", file, "192.0.2.1"}, `has no trace of "192.0.2.1"`},
		{"one of two", []string{"--baseline", file, "a.example", "c.example"}, `has no trace of "c.example"`},
		{"port of no protocol", []string{"--baseline", file, "-P", "icmp", "--port", "80", "a.example"}, "--port 80, but icmp has no ports"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"trace"}, tt.args...), nil, &stdout, &stderr)
			line, _, _ := strings.Cut(stderr.String(), "\n")
			if code != exitUsage || !strings.Contains(line, tt.line) {
				t.Errorf("exit code %d, %s", code, line)
			}
		})
	}
}

// found at each TTL, "" for nobody; the last is the target's distance.
func tracedPath(t *probe.Target, stop probe.Stop, hops ...string) *probe.Path {
	p := &probe.Path{Target: t, Stop: stop}
	for i, from := range hops {
		h := probe.PathHop{TTL: uint8(i + 1)}
		if from != "" {
			a := netip.MustParseAddr(from)
			h.Probes = []probe.Result{{From: a}}
			h.Target = a == t.Addr.Addr()
		}
		p.Hops = append(p.Hops, h)
	}
	return p
}

func TestComparison(t *testing.T) {
	a := &probe.Target{Name: "a.example", Addr: netip.MustParseAddrPort("203.0.113.7:0")}
	b := &probe.Target{ID: 1, Name: "b.example", Addr: netip.MustParseAddrPort("203.0.113.8:0")}
	for _, tt := range []struct {
		name    string
		several bool
		target  *probe.Target
		path    *probe.Path
		lines   []string
		same    bool
	}{
		{"same", false, a, tracedPath(a, probe.StopReached, "198.51.100.1", "198.51.100.2", "203.0.113.7"), nil, true},
		{"changed", false, a, tracedPath(a, probe.StopReached, "198.51.100.1", "198.51.100.9", "203.0.113.7"), []string{"path changed at hop 2: 198.51.100.9 was 198.51.100.2"}, false},
		{"one of several", true, a, tracedPath(a, probe.StopReached, "198.51.100.1", "198.51.100.9", "203.0.113.7"), []string{"a.example: path changed at hop 2: 198.51.100.9 was 198.51.100.2"}, false},
		{"silent as ever", true, b, tracedPath(b, probe.StopMaxTTL, "198.51.100.1", "", "", ""), nil, true},
		{"cut short", false, a, tracedPath(a, probe.StopDeadline, "198.51.100.1"), nil, false},
		{"could not test", false, a, tracedPath(a, probe.StopFailed), nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was, err := readPaths(strings.NewReader(recordA + "\n" + recordB))
			if err != nil {
				t.Fatal(err)
			}
			c := newComparison(&baseline{paths: was}, tt.several)
			c.Sink = &paths{}
			_ = c.Record(&probe.Result{Target: tt.target, Detail: tt.path})
			if !slices.Equal(c.lines, tt.lines) || c.changed != (len(tt.lines) > 0) || c.same(tt.target) != tt.same {
				t.Errorf("%q, changed %v, same %v", c.lines, c.changed, c.same(tt.target))
			}
		})
	}
}

// A path that went on for long is compared by who answered meanwhile.
func TestComparisonOfMonitor(t *testing.T) {
	was, err := readPaths(strings.NewReader(recordA))
	if err != nil {
		t.Fatal(err)
	}
	a := &probe.Target{Name: "a.example", Addr: netip.MustParseAddrPort("203.0.113.7:0")}
	c := newComparison(&baseline{paths: was}, false)
	c.Sink = &paths{}
	for _, n := range []int{1, 3} {
		r := found(a, n)
		r.Detail = &probe.Hop{TTL: uint8(min(n, 2))}
		_ = c.Record(r)
	}
	path := &probe.Path{Target: a, Stop: probe.StopReached, Hops: []probe.PathHop{{TTL: 1}, {TTL: 2}, {TTL: 3, Target: true}}}
	_ = c.Record(&probe.Result{Target: a, Detail: path})
	if want := []string{"path changed at hop 2: 198.51.100.3 was 198.51.100.2"}; !slices.Equal(c.lines, want) {
		t.Errorf("%q", c.lines)
	}
	if len(path.Hops[1].Probes) > 0 {
		t.Error("the path of the views was changed")
	}
}

// What --json writes, --baseline reads.
func TestReadPathsOfGoldenRecords(t *testing.T) {
	files, err := filepath.Glob("../../output/testdata/trace-*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			paths, err := readPaths(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if records := bytes.Count(data, []byte(`"record":"trace"`)); len(paths) != records {
				t.Errorf("%d paths of %d records", len(paths), records)
			}
			for _, p := range paths {
				answered := slices.ContainsFunc(p.Hops, func(h probe.PathHop) bool { return len(h.Addrs()) > 0 })
				if p.Reached() && !answered {
					t.Errorf("%s was reached, but nobody answered", p.Target.Name)
				}
				if c := trace.Changes(p, p); len(c) > 0 {
					t.Errorf("%s differs from itself: %v", p.Target.Name, c)
				}
			}
		})
	}
}
