package outputtest_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/output/outputtest"
	"netprobe/probe"
	"netprobe/stats"
)

// run returns the records of a small run.
func run(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	v, err := output.NewView("json", &out, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	tg := &probe.Target{Name: "a", Addr: netip.MustParseAddrPort("192.0.2.1:0")}
	targets := []*probe.Target{tg}
	r := output.NewReport(&output.Header{ID: "r1", Verb: "ping", Socket: "raw", Start: start, Targets: targets}, stats.New(targets), v)
	results := []probe.Result{
		{Target: tg, Seq: 1, Status: probe.Reply, From: tg.Addr.Addr(), Sent: start, RTT: time.Millisecond},
		{Target: tg, Seq: 1, Status: probe.Reply, From: tg.Addr.Addr(), Sent: start, RTT: time.Millisecond, Flags: probe.Dup},
		{Target: tg, Seq: 2, Status: probe.Lost, Sent: start},
	}
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if err := r.Record(&results[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.End(&output.End{StoppedBy: "done", Time: start}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRun(t *testing.T) {
	good := run(t)
	records, err := outputtest.Run([]byte(good))
	if err != nil || len(records) != 6 || records[0].Name() != "run" || records[5].Name() != "end" {
		t.Fatalf("%d records, %v", len(records), err)
	}
	lines := strings.SplitAfter(good, "\n")
	for _, tt := range []struct{ name, data, want string }{
		{"empty", "", "0 records"},
		{"no run", strings.Join(lines[1:], ""), `record "probe"`},
		{"no end", strings.Join(lines[:5], ""), `record "summary"`},
		{"lost record", strings.Join(append(append([]string{}, lines[:3]...), lines[4:]...), ""), "say sent 1"},
		{"no summary", strings.Join(append(append([]string{}, lines[:4]...), lines[5:]...), ""), "say targets 0"},
		{"torn line", strings.TrimSuffix(good, "\n"), "no end"},
		{"other run", strings.Replace(good, `"run":"r1","kind"`, `"run":"r2","kind"`, 1), "run r2"},
		{"miscount", strings.Replace(good, `"duplicates":1`, `"duplicates":0`, 1), "say duplicates 1"},
		{"not JSON", good + "bye\n", "line 7"},
	} {
		if _, err := outputtest.Run([]byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
