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

// sweep returns the records of a small sweep: run, two hosts, a subnet, summary, end.
func sweep(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	v, err := output.NewSweepView("json", &out, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	h := &output.Header{ID: "r1", Verb: "sweep", Socket: "raw", Start: start, Planned: -1,
		Sweep: &output.SweepHeader{Stats: stats.NewSweep(24, 0), Targets: "192.0.2.0/30", All: true, By4: 24}}
	r := output.NewReport(h, nil, v)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	for i, status := range []probe.Status{probe.Reply, probe.Lost} {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)})
		res := probe.Result{Target: &probe.Target{ID: i, Addr: netip.AddrPortFrom(a, 0)}, Seq: 1, Status: status, Sent: start}
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

func TestSweep(t *testing.T) {
	good := sweep(t)
	records, err := outputtest.Run([]byte(good))
	if err != nil || len(records) != 6 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	lines := strings.SplitAfter(good, "\n")
	without := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	subnet, rest := lines[3], strings.Join(lines[4:], "")
	upTo := strings.Join(lines[:3], "")
	for _, tt := range []struct{ name, data, want string }{
		{"host missing", without(1), "say alive 0"},
		{"host twice", lines[0] + lines[1] + strings.Join(lines[1:], ""), "second record of host"},
		{"no summary", without(4), "0 summaries"},
		{"host counted twice", strings.Replace(good, `"alive":1,"amplifiers":0,"unreachable":0,"silent":1,"undecided":0`, `"alive":1,"amplifiers":0,"unreachable":0,"silent":2,"undecided":0`, 1), "summary: 2 hosts"},
		{"probe missing", strings.Replace(good, `"lost":1`, `"lost":0`, 1), "sent 2, outcomes 1"},
		{"end differs", strings.Replace(good, `"answered":1`, `"answered":2`, 1), "end says 2 targets, 2 answered"},
		{"subnet wrong", upTo + strings.Replace(subnet, `"hosts":2`, `"hosts":3`, 1) + rest, "3 hosts, their counts say 2"},
		{"subnet twice", upTo + subnet + subnet + rest, "subnets say alive 2"},
	} {
		if _, err := outputtest.Run([]byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
