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

// scan returns the records of a small scan: run, two ports, summary, end.
func scan(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	v, err := output.NewScanView("json", &out, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	h := &output.Header{ID: "r1", Verb: "scan", Socket: "raw", Start: start, Planned: -1,
		Scan: &output.ScanHeader{Stats: stats.NewScan(stats.ScanConfig{}), Targets: "192.0.2.1", Ports: 2}}
	r := output.NewReport(h, nil, v)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.1")
	for i, status := range []probe.Status{probe.Reply, probe.Lost} {
		res := probe.Result{
			Target: &probe.Target{Addr: netip.AddrPortFrom(a, uint16(80+i))}, Seq: 1, Status: status, Sent: start,
			Detail: &probe.ScannedHost{Ports: 2, Left: 1 - i},
		}
		if status == probe.Reply {
			res.From, res.RTT = a, time.Millisecond
		}
		if err := r.Record(&res); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.End(&output.End{StoppedBy: "done", Time: start}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestScan(t *testing.T) {
	good := scan(t)
	records, err := outputtest.Run([]byte(good))
	if err != nil || len(records) != 5 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	lines := strings.SplitAfter(good, "\n")
	without := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	changed := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, tt := range []struct{ name, data, want string }{
		{"open port missing", without(1), "open port 80 has no record"},
		{"port twice", lines[0] + lines[1] + strings.Join(lines[1:], ""), "second record of port"},
		{"no summary", without(3), "the summaries 0 and 0"},
		{"port counted twice", changed(`"filtered":1`, `"filtered":2`), "2 ports, their states say 3"},
		{"counted elsewhere", changed(`"closed":0,"filtered":1`, `"closed":1,"filtered":0`), "records say 0 closed, the summary 1"},
		{"not listed", changed(`"open":[80]`, `"open":[]`), "0 ports listed, 1 open"},
		{"another one listed", changed(`"open":[80]`, `"open":[81]`), "open port 81 has no record"},
		{"probe missing", changed(`"lost":1`, `"lost":0`), "sent 2, outcomes 1"},
		{"more tries", changed(`"tries":1`, `"tries":2`), "records say 3 tries"},
		{"end differs", changed(`"answered":1`, `"answered":0`), "end says 1 targets, 0 answered"},
	} {
		if _, err := outputtest.Run([]byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
