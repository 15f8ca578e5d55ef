package output_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/output/outputtest"
	"netprobe/probe"
	"netprobe/stats"
)

func TestUnknownScanFormat(t *testing.T) {
	_, err := output.NewScanView("xml", nil, output.Options{})
	if err == nil || !strings.Contains(err.Error(), "table, plain, json, csv, nmap-xml, grepable") {
		t.Errorf("error %v does not name the formats", err)
	}
}

// randomScan returns a scan with every kind of Result, and texts of any bytes.
func randomScan(rng *rand.Rand) *scanRun {
	s := &scanRun{name: "random", end: output.End{StoppedBy: "signal", Exit: rng.IntN(4), Time: start.Add(time.Minute), Notes: []string{randomText(rng)}}}
	s.header = output.Header{ID: randomText(rng), Verb: "scan", Host: randomText(rng), Socket: "connect", Start: start, Planned: -1}
	s.header.Args = []string{randomText(rng)}
	s.scan = output.ScanHeader{
		Targets: randomText(rng), Ports: 20, List: "1-20", UDP: rng.IntN(2) == 0, Technique: "syn",
		Service: func(p uint16, _ bool) string { return []string{"", "ssh", "a\x1b/b,<"}[p%3] },
	}
	if rng.IntN(2) == 0 {
		s.expect = stats.Expect(1, 2, 3)
	}
	hosts := 1 + rng.IntN(30)
	if rng.IntN(2) == 0 {
		s.scan.Hosts = uint64(hosts)
	}
	for i := range hosts {
		h := scanHost{addr: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String(), tells: rng.IntN(2) == 0, left: rng.IntN(3)}
		switch rng.IntN(8) {
		case 0:
			h.addr = fmt.Sprintf("fe80::%x%%eth0", i)
		case 1:
			h.name = randomText(rng)
		case 2:
			h = scanHost{name: randomText(rng) + strconv.Itoa(i)}
		}
		kind := rng.IntN(12)
		for n := range 1 + rng.IntN(40) {
			if rng.IntN(3) == 0 {
				kind = rng.IntN(12)
			}
			h.results = append(h.results, randomPort(rng, kind, uint16(n+1)))
		}
		if h.addr == "" {
			h.results = nil
		}
		s.hosts = append(s.hosts, h)
	}
	return s
}

func randomPort(rng *rand.Rand, kind int, n uint16) probe.Result {
	r := shut(n)
	switch kind {
	case 0:
		r = open(n, says(probe.Fact{Name: "banner", Value: randomText(rng)}, probe.Fact{Name: randomText(rng), Value: []string{randomText(rng)}}))
	case 1:
		r = open(n)
	case 2:
		r = quiet(n)
	case 3:
		r = barred(n, "203.0.113.1", probe.Reason(rng.IntN(32)))
	case 4:
		r = with(barred(n, "2001:db8::fe", probe.TTLExceeded), status(probe.Expired))
	case 5:
		r = untried(n, probe.Reason(rng.IntN(32)), errors.New(randomText(rng)))
	case 6:
		r = cutOff(n, rng.Uint64N(3))
	case 7:
		r = open(n, func(r *probe.Result) {
			r.Detail = &probe.Layers{FailedAt: randomText(rng), Reason: probe.TLSFailed, Why: randomText(rng)}
		})
	case 8:
		r = open(n, status(probe.Late))
	case 9:
		r = with(shut(n), func(r *probe.Result) { r.Reason = probe.PortUnreachable })
	}
	if r.Status != probe.Failed && r.Status != probe.Pending {
		r.Seq = 1 + rng.Uint64N(3)
	}
	return r
}

// nmapRun is what tools read from nmap -oX.
type nmapRun struct {
	Scanner string `xml:"scanner,attr"`
	Hosts   []struct {
		Status struct {
			State string `xml:"state,attr"`
		} `xml:"status"`
		Address struct {
			Addr string `xml:"addr,attr"`
		} `xml:"address"`
		Extra []struct {
			State   string `xml:"state,attr"`
			Count   int    `xml:"count,attr"`
			Reasons []struct {
				Reason string `xml:"reason,attr"`
				Count  int    `xml:"count,attr"`
			} `xml:"extrareasons"`
		} `xml:"ports>extraports"`
		Ports []struct {
			Protocol string `xml:"protocol,attr"`
			ID       uint16 `xml:"portid,attr"`
			State    struct {
				State    string `xml:"state,attr"`
				Reason   string `xml:"reason,attr"`
				ReasonIP string `xml:"reason_ip,attr"`
			} `xml:"state"`
			Service struct {
				Name string `xml:"name,attr"`
			} `xml:"service"`
		} `xml:"ports>port"`
	} `xml:"host"`
	Stats struct {
		Up    int `xml:"up,attr"`
		Total int `xml:"total,attr"`
	} `xml:"runstats>hosts"`
}

func parseXML(t *testing.T, b []byte) *nmapRun {
	t.Helper()
	var run nmapRun
	if err := xml.Unmarshal(b, &run); err != nil {
		t.Fatalf("%v:\n%s", err, b)
	}
	return &run
}

// states adds up the ports of a run by state.
func (n *nmapRun) states() map[string]int {
	states := map[string]int{}
	for _, h := range n.Hosts {
		for _, p := range h.Ports {
			states[p.State.State]++
		}
		for _, e := range h.Extra {
			states[e.State] += e.Count
			for _, r := range e.Reasons {
				e.Count -= r.Count
			}
			if e.Count != 0 {
				states["reasons do not add up"]++
			}
		}
	}
	return states
}

var (
	grepableHost    = regexp.MustCompile(`^Host: (\S+) \(\S*\)\t(Status: (Up|Unknown)|(Ports: [^\t]*)?(\t?Ignored State: [a-z|]+ \(\d+\))*)$`)
	grepablePort    = regexp.MustCompile(`^\d+/(open|closed|filtered|open\|filtered|unknown)/(tcp|udp)//[^/]*//[^/]*/$`)
	grepableIgnored = regexp.MustCompile(`Ignored State: ([a-z|]+) \((\d+)\)`)
)

// parseGrepable adds up the ports of nmap -oG's lines by state.
func parseGrepable(t *testing.T, text string) map[string]int {
	t.Helper()
	states := map[string]int{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# ") {
			continue
		}
		if !grepableHost.MatchString(line) {
			t.Fatalf("line %q", line)
		}
		for field := range strings.SplitSeq(line, "\t") {
			if list, ok := strings.CutPrefix(field, "Ports: "); ok {
				for p := range strings.SplitSeq(list, ", ") {
					if !grepablePort.MatchString(p) {
						t.Fatalf("port %q in %q", p, line)
					}
					states[strings.Split(p, "/")[1]]++
				}
			}
			if m := grepableIgnored.FindStringSubmatch(field); m != nil {
				n, _ := strconv.Atoi(m[2])
				states[m[1]] += n
			}
		}
	}
	return states
}

// Every view agrees with the others and with the statistics, whatever comes.
func TestRandomScans(t *testing.T) {
	for seed := range uint64(48) {
		s := randomScan(rand.New(rand.NewPCG(seed, 7)))
		change := func(h *output.Header) { h.Scan.All, h.Scan.OpenOnly = seed%4 == 1, seed%4 == 2 }
		out := map[string]*bytes.Buffer{}
		var views []output.View
		for _, format := range output.ScanFormats() {
			out[format] = &bytes.Buffer{}
			v, err := output.NewScanView(format, out[format], output.Options{})
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, v)
		}
		counts, err := s.play(change, views...)
		if err != nil {
			t.Fatal(err)
		}
		sum := counts.Summary()
		decided, _ := counts.Decided()
		ports, rest := decided, sum.Ports-sum.Open
		if seed%4 == 2 {
			ports, rest = sum.Open, 0
		}
		records, err := outputtest.Run(out["json"].Bytes())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if n := uint64(countRecords(records, "port")); n != ports {
			t.Fatalf("seed %d: %d records of ports, want %d", seed, n, ports)
		}
		if n := uint64(countRecords(records, "summary")); n != sum.Hosts {
			t.Fatalf("seed %d: %d summaries, want %d", seed, n, sum.Hosts)
		}
		if lines, err := csv.NewReader(out["csv"]).ReadAll(); err != nil || uint64(len(lines)) != ports+1 {
			t.Fatalf("seed %d: %d CSV rows, %v, want %d", seed, len(lines), err, ports+1)
		}
		for name, states := range map[string]map[string]int{
			"nmap-xml": parseXML(t, out["nmap-xml"].Bytes()).states(), "grepable": parseGrepable(t, out["grepable"].String()),
		} {
			others := 0
			for state, n := range states {
				if state != "open" {
					others += n
				}
			}
			if uint64(states["open"]) != sum.Open || uint64(others) != rest {
				t.Fatalf("seed %d: %s has %v, want %d open and %d others", seed, name, states, sum.Open, rest)
			}
		}
		if n := uint64(strings.Count(out["plain"].String(), " open ")); n < sum.Open {
			t.Fatalf("seed %d: %d lines open, want %d", seed, n, sum.Open)
		}
		if n := uint64(strings.Count(out["table"].String(), "● open")); n != sum.Open {
			t.Fatalf("seed %d: %d rows open, want %d", seed, n, sum.Open)
		}
		for format, b := range out {
			if text := strings.ReplaceAll(b.String(), "\t", ""); text != readable([]byte(text)) {
				t.Fatalf("seed %d: control characters in %s: %q", seed, format, text)
			}
		}
	}
}

// What tools know from nmap is said in its words.
func TestScanXML(t *testing.T) {
	var out bytes.Buffer
	v, _ := output.NewScanView("nmap-xml", &out, output.Options{})
	if _, err := mixedScan().play(func(h *output.Header) { h.Scan.Technique = "connect" }, v); err != nil {
		t.Fatal(err)
	}
	run := parseXML(t, out.Bytes())
	if run.Scanner != "netprobe" || len(run.Hosts) != 1 || run.Stats.Up != 1 || run.Stats.Total != 1 {
		t.Fatalf("%+v", run)
	}
	h := run.Hosts[0]
	var ids []uint16
	for _, p := range h.Ports {
		ids = append(ids, p.ID)
	}
	if h.Status.State != "up" || h.Address.Addr != "192.0.2.7" || !slices.Equal(ids, []uint16{22, 443, 997, 998, 8443, 9000}) {
		t.Errorf("%+v, ports %v", h, ids)
	}
	if e := h.Extra; len(e) != 1 || e[0].State != "closed" || e[0].Count != 994 || e[0].Reasons[0].Reason != "conn-refused" {
		t.Errorf("not shown: %+v", e)
	}
	if p := h.Ports[4]; p.State.State != "filtered" || p.State.Reason != "admin-prohibited" || p.State.ReasonIP != "198.51.100.1" {
		t.Errorf("%+v", p)
	}
}

// A host without an open port has a block in small scans only, unless all are
// asked for.
func TestScanBlocks(t *testing.T) {
	for _, tt := range []struct {
		hosts  uint64
		change func(*output.Header)
		want   bool
	}{{16, nil, true}, {17, nil, false}, {0, nil, false}, {17, allPorts, true}, {16, openPorts, false}} {
		s := darkScan()
		s.scan.Hosts = tt.hosts
		var out bytes.Buffer
		v, _ := output.NewScanView("table", &out, output.Options{})
		if _, err := s.play(tt.change, v); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "192.0.2.8"); got != tt.want {
			t.Errorf("%d hosts: shown %v, want %v", tt.hosts, got, tt.want)
		}
	}
}

// Rows are no wider than the terminal as long as it is not absurdly narrow.
func TestScanFits(t *testing.T) {
	for cols := 54; cols < 130; cols += 7 {
		for _, s := range []*scanRun{mixedScan(), fewScan(), hostileScan()} {
			var out bytes.Buffer
			v, _ := output.NewScanView("table", &out, output.Options{Terminal: true, Size: func() (int, int) { return cols, 24 }})
			if _, err := s.play(nil, v); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				row := strings.Contains(line, "/tcp ") || strings.HasPrefix(line, "port ")
				if line = strings.TrimSuffix(line, "\n"); row && cells(line) > cols {
					t.Errorf("%d cells: %q", cols, line)
				}
			}
		}
	}
}

// Statistics so far are one line of progress; drawing again changes nothing.
func TestScanSnapshot(t *testing.T) {
	h := &output.Header{Verb: "scan", Start: time.Now(), Scan: &output.ScanHeader{
		Stats: stats.NewScan(stats.ScanConfig{}), Hosts: 1, Ports: 4, Budget: time.Hour,
	}}
	r := output.NewReport(h, nil)
	for i := range 3 {
		res := open(uint16(i + 1))
		res.Detail = &probe.ScannedHost{Ports: 4, Left: 3 - i}
		if err := r.Record(&res); err != nil {
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
	if got := snapshot(); !strings.HasPrefix(got, "75 %  3 of 4 ports  3 open  ETA unknown  budget ends in ") || strings.Count(got, "\n") != 1 {
		t.Errorf("snapshot %q", got)
	}
	h.Scan.Progress = func() output.Progress {
		return output.Progress{Decided: 3, Planned: 4, Known: true, Alive: 2, Ports: true, Rate: 1}
	}
	if got, want := snapshot(), "75 %  3 of 4 ports  2 open  1.0/s  ETA 1 s\n"; got != want {
		t.Errorf("snapshot %q, want %q", got, want)
	}
}

// A scan that ends early says of how many ports it knows nothing, and why.
func TestScanNotDecided(t *testing.T) {
	for _, tt := range []struct {
		by     string
		budget time.Duration
		p      output.Progress
		want   string
	}{
		{"signal", 0, output.Progress{Planned: 121, Known: true}, "not decided: 120 ports (interrupted)"},
		{"deadline", 0, output.Progress{Planned: 121, Known: true}, "not decided: 120 ports (the run ended before)"},
		{"deadline", 30 * time.Second, output.Progress{Planned: 121, Known: true}, "not decided: 120 ports (the budget of 30 s is over)"},
		{"done", 1500 * time.Millisecond, output.Progress{Planned: 2, Known: true}, "not decided: 1 port (the budget of 1.50 s is over)"},
		{"output", 0, output.Progress{}, "not decided: 1 port, and those of hosts still to be listed (nobody reads any more)"},
	} {
		h := &output.Header{Scan: &output.ScanHeader{Stats: stats.NewScan(stats.ScanConfig{}), Budget: tt.budget, Progress: func() output.Progress { return tt.p }}}
		for i, r := range []probe.Result{open(1), cutOff(2, 1)} {
			r.Detail = &probe.ScannedHost{Ports: 2, Left: 1 - i}
			h.Scan.Stats.Record(&r)
		}
		if got := strings.Join(output.ScanNotes(h, &output.End{StoppedBy: tt.by}), "|"); got != tt.want {
			t.Errorf("%s, %v: %q, want %q", tt.by, tt.budget, got, tt.want)
		}
	}
}

// A line can only be so long, however much the world has to say.
func TestScanBoundedText(t *testing.T) {
	long := strings.Repeat("x\x1b", 100_000)
	s := hostileScan()
	s.header = output.Header{Start: start, Verb: "scan", Socket: "raw", Args: []string{long}}
	s.end = output.End{StoppedBy: "done", Time: start}
	s.hosts = []scanHost{
		{name: long, addr: "192.0.2.1", results: few(
			open(22, says(probe.Fact{Name: "banner", Value: long}, probe.Fact{Name: "more", Value: []string{long}})),
			untried(23, probe.ReasonOther, errors.New(long)),
		)},
		{name: long},
	}
	for _, format := range output.ScanFormats() {
		var out bytes.Buffer
		v, _ := output.NewScanView(format, &out, output.Options{})
		if _, err := s.play(allPorts, v); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 30_000 && !strings.HasPrefix(line, `{"v":1,"record":"run"`) { // which has the arguments as they are
				t.Errorf("%s: a line of %d bytes", format, len(line))
			}
		}
	}
}

// Silence of a UDP port is worth more where the host tells of closed ports, and
// an answer that was not the protocol's came from nobody we know of.
func TestScanConfidence(t *testing.T) {
	var out bytes.Buffer
	v, _ := output.NewScanView("json", &out, output.Options{})
	s := scans()[slices.IndexFunc(scans(), func(s *scanRun) bool { return s.name == "udp" })]
	if _, err := s.play(nil, v); err != nil {
		t.Fatal(err)
	}
	records, err := outputtest.Lines(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range records {
		if r.Name() == "port" {
			got[fmt.Sprint(r["addr"], " ", r["state"], " ", r["confidence"])]++
		}
	}
	want := map[string]int{
		"192.0.2.7 open high": 2, "192.0.2.7 closed high": 91, "192.0.2.7 open|filtered low": 1, "192.0.2.7 open|filtered high": 6,
		"192.0.2.9 open|filtered low": 99, "192.0.2.9 filtered high": 1,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScanBadReply(t *testing.T) {
	r := port(53, probe.Lost, probe.BadReply)
	r.From, r.RTT, r.TTL = addr("192.0.2.1"), time.Millisecond, 64
	s := &scanRun{
		header: output.Header{Start: start, Verb: "scan", Socket: "connect"}, scan: output.ScanHeader{Hosts: 1, Ports: 1, UDP: true},
		hosts: []scanHost{{addr: "192.0.2.1", results: few(r)}}, end: output.End{StoppedBy: "done", Time: start},
	}
	var out bytes.Buffer
	v, _ := output.NewScanView("json", &out, output.Options{})
	if _, err := s.play(nil, v); err != nil {
		t.Fatal(err)
	}
	if _, err := outputtest.Run(out.Bytes()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), `"reason":"bad-reply","from":null,"ttl":null,"rtt_ms":null`) {
		t.Errorf("lost is not null: %s", out.String())
	}
}

// Views report that nobody reads any more, each of them.
func TestScanWriteErrors(t *testing.T) {
	for _, format := range output.ScanFormats() {
		v, _ := output.NewScanView(format, failingWriter{}, output.Options{})
		if _, err := tarpitScan().play(nil, v); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: error %v", format, err)
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
