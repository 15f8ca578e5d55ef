package output_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/output/outputtest"
	"netprobe/probe"
	"netprobe/stats"
)

func TestUnknownSweepFormat(t *testing.T) {
	_, err := output.NewSweepView("xml", nil, output.Options{})
	if err == nil || !strings.Contains(err.Error(), "table, plain, json, csv, fping") {
		t.Errorf("error %v does not name the formats", err)
	}
}

// randomSweep returns a sweep with every kind of Result, in an order that engines
// may have, and names of any bytes.
func randomSweep(rng *rand.Rand) *sweepRun {
	s := &sweepRun{name: "random", end: output.End{StoppedBy: "signal", Exit: rng.IntN(4), Time: start.Add(time.Minute)}}
	s.header = output.Header{ID: randomText(rng), Verb: "sweep", Host: randomText(rng), Socket: "dgram", Start: start, Planned: -1}
	s.header.Args = []string{randomText(rng)}
	s.sweep = output.SweepHeader{Targets: strings.Repeat(randomText(rng), rng.IntN(2000)), By4: rng.IntN(33), By6: rng.IntN(129)}
	s.sweep.Names, s.sweep.IPv6 = rng.IntN(2) == 0, rng.IntN(2) == 0
	for i := range rng.IntN(300) {
		address := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}).String()
		switch rng.IntN(4) {
		case 0:
			address = fmt.Sprintf("2001:db8:%x::%x", rng.IntN(3), i)
		case 1:
			address = fmt.Sprintf("fe80::%x%%eth0", i)
		}
		s.result = append(s.result, randomHost(rng, address)...)
	}
	return s
}

func randomHost(rng *rand.Rand, address string) []probe.Result {
	tries := 1 + rng.Uint64N(4)
	r := found(address, tries, time.Duration(rng.ExpFloat64()*1e8))
	switch rng.IntN(9) {
	case 0:
		r = gone(address, tries)
	case 1:
		r = rejected(address, "203.0.113.1", probe.Reason(rng.IntN(32)))
	case 2:
		r = with(rejected(address, "2001:db8::fe", probe.TTLExceeded), status(probe.Expired))
	case 3:
		if rng.IntN(2) == 0 {
			address = ""
		}
		r = with(notSent(address, probe.Reason(rng.IntN(32)), errors.New(randomText(rng))), named(randomText(rng)+fmt.Sprint(rng.Uint64())))
	case 4:
		r = swept(address, tries-1, probe.Pending, probe.Canceled)
	case 5:
		r = with(r, answeredBy(rng.IntN(90), "203.0.113.7", "203.0.113.8"))
	case 6:
		r = with(r, status([]probe.Status{probe.Late, probe.Refused}[rng.IntN(2)]), fromElse("203.0.113.9"))
	case 7:
		r = with(r, on(uint16(rng.IntN(65536)), probe.Reason(rng.IntN(32))))
	}
	if rng.IntN(4) == 0 && address != "" {
		r = with(r, named(randomText(rng)))
	}
	out := []probe.Result{r}
	for range rng.IntN(3) {
		if r.From.IsValid() && rng.IntN(2) == 0 {
			out = append(out, with(r, further, fromElse(fmt.Sprintf("203.0.113.%d", rng.IntN(5)))))
		} else if address != "" {
			out = append(out, with(found(address, 1, time.Second), tooLate))
		}
	}
	return out
}

// Every view agrees with the others and with the statistics, whatever comes.
func TestRandomSweeps(t *testing.T) {
	for seed := range uint64(80) {
		s := randomSweep(rand.New(rand.NewPCG(seed, 6)))
		all := seed%2 == 0
		var records, rows, plain, table, fping bytes.Buffer
		var views []output.View
		for format, w := range map[string]io.Writer{"json": &records, "csv": &rows, "plain": &plain, "table": &table, "fping": &fping} {
			v, err := output.NewSweepView(format, w, output.Options{})
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, v)
		}
		counts, err := s.play(func(h *output.Header) { h.Sweep.All = all }, views...)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := outputtest.Run(records.Bytes())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sum := counts.Summary()
		hosts := sum.Alive + sum.Amplifiers + sum.Failed
		if all {
			hosts = sum.Hosts
		}
		if n := uint64(countRecords(decoded, "host")); n != hosts {
			t.Fatalf("seed %d: %d records of hosts, want %d", seed, n, hosts)
		}
		if lines, err := csv.NewReader(&rows).ReadAll(); err != nil || uint64(len(lines)) != hosts+1 {
			t.Fatalf("seed %d: %d CSV rows, %v, want %d", seed, len(lines), err, hosts+1)
		}
		for word, n := range map[string]uint64{" is alive\n": sum.Alive, " is unreachable\n": sum.Unreachable + sum.Silent} {
			if got := uint64(strings.Count(fping.String(), word)); got != n {
				t.Fatalf("seed %d: %d lines %q, want %d", seed, got, word, n)
			}
		}
		if n := uint64(strings.Count(table.String(), "● alive")); n != sum.Alive {
			t.Fatalf("seed %d: %d rows alive, want %d", seed, n, sum.Alive)
		}
		for _, b := range []*bytes.Buffer{&plain, &table, &fping} {
			if text := b.String(); text != readable([]byte(text)) {
				t.Fatalf("seed %d: control characters in %q", seed, text)
			}
		}
	}
}

func countRecords(records []outputtest.Record, name string) (n int) {
	for _, r := range records {
		if r.Name() == name {
			n++
		}
	}
	return n
}

// Rows are in their columns whatever the host, as far as it is not wider than they.
func TestSweepColumns(t *testing.T) {
	for _, cols := range []int{0, 40, 80, 100, 200} {
		for _, v6 := range []bool{false, true} {
			for _, names := range []bool{false, true} {
				s := namesSweep()
				if v6 {
					s = sixSweep()
				}
				s.sweep.IPv6, s.sweep.Names = v6, names
				var out bytes.Buffer
				o := output.Options{Terminal: cols > 0, Size: func() (int, int) { return cols, 24 }}
				v, err := output.NewSweepView("table", &out, o)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.play(nil, v); err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(out.String(), "\n")
				at := cells(lines[0][:strings.Index(lines[0], "state")])
				if cols >= 100 && cells(lines[0]) > cols-10 {
					t.Errorf("%d cells: no room for remarks behind %q", cols, lines[0])
				}
				var off []string
				for _, l := range lines[1:slices.Index(lines, "")] {
					if i := strings.IndexAny(l, "●○"); cells(l[:i]) != at {
						off = append(off, l)
					}
				}
				// An address of full length, and a name in a table that is no screen.
				if most := 1; len(off) > most {
					t.Errorf("%d cells, IPv6 %v, names %v: %d rows out of line:\n%s", cols, v6, names, len(off), out.String())
				}
			}
		}
	}
}

// Statistics so far are one line of progress; drawing again changes nothing.
func TestSweepSnapshot(t *testing.T) {
	s := mixedSweep()
	h, sweep := s.header, s.sweep
	h.Sweep = &sweep
	sweep.Stats = stats.NewSweep(0, 0)
	h.Start = time.Now()
	r := output.NewReport(&h, nil)
	for i := range 3 {
		if err := r.Record(&s.result[i]); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := func() string {
		var out bytes.Buffer
		if err := errors.Join(r.Refresh(time.Now()), r.Snapshot(&out)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := snapshot(); !strings.HasPrefix(got, "3 hosts  2 alive  0 ") || strings.Count(got, "\n") != 1 {
		t.Errorf("snapshot %q", got)
	}
	sweep.Progress = func() output.Progress {
		return output.Progress{Decided: 3, Planned: 4, Known: true, Alive: 2, Rate: 1}
	}
	if got, want := snapshot(), "75 %  3 of 4  2 alive  1.0/s  ETA 1 s\n"; got != want {
		t.Errorf("snapshot %q, want %q", got, want)
	}
}

// A sweep that is stopped says what it leaves unasked, as far as that is known.
func TestSweepStoppedEarly(t *testing.T) {
	for _, tt := range []struct {
		by   string
		p    output.Progress
		want string
	}{
		{"signal", output.Progress{Asked: 10, Planned: 1254, Known: true}, "stopped early: 1,244 of 1,254 hosts not asked"},
		{"deadline", output.Progress{Asked: 10}, "stopped early: nobody knows how many more hosts there were to ask"},
		{"signal", output.Progress{Asked: 10, Planned: 10, Known: true}, ""},
		{"done", output.Progress{Asked: 10}, ""},
	} {
		h := &output.Header{Sweep: &output.SweepHeader{Stats: stats.NewSweep(0, 0), Progress: func() output.Progress { return tt.p }}}
		if got := strings.Join(output.SweepNotes(h, &output.End{StoppedBy: tt.by}), "|"); got != tt.want {
			t.Errorf("%s, %+v: %q, want %q", tt.by, tt.p, got, tt.want)
		}
	}
}

// A line can only be so long, however much the world has to say.
func TestSweepBoundedText(t *testing.T) {
	long := strings.Repeat("x\x1b", 100_000)
	s := &sweepRun{name: "long", header: output.Header{Start: start, Verb: "sweep", Socket: "raw"}, sweep: output.SweepHeader{Targets: long, Names: true}, end: output.End{StoppedBy: "done", Time: start}}
	s.result = []probe.Result{
		with(found("192.0.2.1", 1, time.Millisecond), named(long)),
		notSent("192.0.2.2", probe.ReasonOther, errors.New(long)),
	}
	for _, format := range []string{"table", "plain", "csv", "fping", "json"} {
		var out bytes.Buffer
		v, _ := output.NewSweepView(format, &out, output.Options{})
		if _, err := s.play(showAll, v); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 12_000 {
				t.Errorf("%s: a line of %d bytes", format, len(line))
			}
		}
	}
}

// TestSweepBadReply: a host that sent something back, but not what it was asked
// for, is silent as hosts go; that it sent nothing would not be true.
func TestSweepBadReply(t *testing.T) {
	r := swept("192.0.2.1", 2, probe.Lost, probe.BadReply)
	r.From, r.RTT, r.TTL, r.Flags = addr("192.0.2.1"), time.Millisecond, 64, probe.Corrupt
	s := &sweepRun{
		name: "bad", header: output.Header{Start: start, Verb: "sweep", Socket: "raw"},
		result: []probe.Result{r}, end: output.End{StoppedBy: "done", Time: start},
	}
	for format, want := range map[string]string{
		"table": "no valid answer to 2 probes\n",
		"plain": "192.0.2.1 is unreachable (no valid answer to 2 probes)\n",
	} {
		var out bytes.Buffer
		v, _ := output.NewSweepView(format, &out, output.Options{})
		if _, err := s.play(showAll, v); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in %q", format, want, got)
		}
	}
	var records bytes.Buffer
	v, _ := output.NewSweepView("json", &records, output.Options{})
	if _, err := s.play(showAll, v); err != nil {
		t.Fatal(err)
	}
	if _, err := outputtest.Run(records.Bytes()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(records.String(), `"reason":"bad-reply","from":null,"rtt_ms":null`) {
		t.Errorf("lost is not null: %s", records.String())
	}
}
