package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var pathTarget = netip.MustParseAddr("203.0.113.20")

// network writes a description of a network to a file and reads it.
func network(t *testing.T, text string) *truth {
	t.Helper()
	name := filepath.Join(t.TempDir(), "network.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tr, err := readTruth(name)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

const shortNetwork = `
prober: {addr: 192.0.2.254}
hops:
  - {addr: 192.0.2.1, delay: 1ms}
  - {delay: 1ms, silent: true}
  - {addr: 192.0.2.3, delay: 1ms}
hosts:
  - {addr: 203.0.113.20, delay: 1ms}
  - {addr: 203.0.113.66, delay: 1ms, silent: true}
`

const diamondNetwork = `
prober: {addr: 192.0.2.254}
hops:
  - {addr: 192.0.2.1, delay: 1ms}
  - delay: 1ms
    ways:
      - - {addr: 198.51.100.1}
        - {addr: 198.51.100.2, delay: 1ms}
      - - {addr: 198.51.100.11}
        - {addr: 198.51.100.12, delay: 1ms}
hosts:
  - {addr: 203.0.113.20, delay: 1ms}
`

func TestWrongHops(t *testing.T) {
	tests := []struct {
		name, target, format, output string
		faults                       fault
		lossy                        int
	}{
		{"all there", "203.0.113.20", "classic", " 1  192.0.2.1  2.000 ms\n 2  *\n 3  192.0.2.3  6.000 ms\n 4  203.0.113.20  8.000 ms\n", fault{}, 0},
		{"one missing", "203.0.113.20", "classic", " 1  192.0.2.1  2.000 ms\n 2  *\n 3  *\n 4  203.0.113.20  8.000 ms\n", fault{missing: 1}, 0},
		{"one more at a hop", "203.0.113.20", "classic", " 1  192.0.2.1  2.0 ms 192.0.2.3  2.0 ms\n 2  *\n 3  192.0.2.3  6.0 ms\n 4  203.0.113.20  8.0 ms\n", fault{false: 1}, 0},
		{"a row too many", "203.0.113.20", "classic", " 1  192.0.2.1  2.0 ms\n 3  192.0.2.3  6.0 ms\n 4  203.0.113.20  8.0 ms\n 5  203.0.113.20  8.0 ms\n", fault{false: 1}, 0},
		{"lossy and commented", "203.0.113.20", "classic",
			"traceroute to 203.0.113.20\n 1  192.0.2.1  2.0 ms *  2.1 ms\n 2  * * *\n 3  192.0.2.3  6.0 ms\n 4  203.0.113.20  8.0 ms\n    reached in 4 hops, took 0.1 s\n", fault{}, 1},
		{"silent target", "203.0.113.66", "classic", " 1  192.0.2.1  2.0 ms\n 3  192.0.2.3  6.0 ms\n 4  * * *\n30  * * *\n", fault{}, 0},
		{"mtr", "203.0.113.20", "mtr",
			"HOST: vm                          Loss%   Snt   Last   Avg  Best  Wrst StDev\n" +
				"  1.|-- 192.0.2.1                 65.0%    20    2.9   3.1   2.5   3.9   0.3\n" +
				"  2.|-- ???                       100.0    20    0.0   0.0   0.0   0.0   0.0\n" +
				"  3.|-- 192.0.2.3                  0.0%    20    6.1   6.1   6.0   6.2   0.1\n" +
				"  4.|-- 203.0.113.20               0.0%    20    8.1   8.1   8.0   8.2   0.1\n", fault{}, 1},
		{"scamper", "203.0.113.20", "scamper",
			`{"type":"cycle-start"}` + "\n" + `{"type":"trace","dst":"203.0.113.20","hops":[{"addr":"192.0.2.1","probe_ttl":1,"rtt":2.1},{"addr":"203.0.113.20","probe_ttl":4,"rtt":8.1}]}` + "\n", fault{missing: 1}, 0},
		{"netprobe, by its verdict", "203.0.113.20", "netprobe", `{"record":"run"}
{"record":"trace","addr":"203.0.113.20","hops":[
{"ttl":1,"probes":[{"status":"expired","from":"192.0.2.1","rtt_ms":2},{"status":"lost","from":null,"rtt_ms":null}],"loss":{"verdict":"rate-limited"}},
{"ttl":2,"probes":[{"status":"lost","from":null,"rtt_ms":null}],"loss":{"verdict":"silent"}},
{"ttl":3,"probes":[{"status":"expired","from":"192.0.2.3","rtt_ms":6}],"loss":{"verdict":"path-loss"}},
{"ttl":4,"probes":[{"status":"reply","from":"203.0.113.20","rtt_ms":8}],"loss":null}],"links":null}
`, fault{}, 1},
		{"nothing", "203.0.113.20", "netprobe", "", fault{missing: 3}, 0},
	}
	tr := network(t, shortNetwork)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.format == "netprobe" {
				tt.output = strings.ReplaceAll(tt.output, "[\n", "[")
				tt.output = strings.ReplaceAll(tt.output, ",\n", ",")
			}
			all := make(map[netip.Addr]*found)
			if err := pathFormats[tt.format](strings.NewReader(tt.output), all); err != nil {
				t.Fatal(err)
			}
			r := pathRun{truth: tr, targets: []netip.Addr{netip.MustParseAddr(tt.target)}}
			faults, lossy, _ := r.judge(all)
			if faults != tt.faults || lossy != tt.lossy {
				t.Errorf("%+v and %d lossy, want %+v and %d", faults, lossy, tt.faults, tt.lossy)
			}
		})
	}
}

func TestWrongEdges(t *testing.T) {
	const whole = "192.0.2.1 -> 198.51.100.1\n192.0.2.1 -> 198.51.100.11\n198.51.100.1 -> 198.51.100.2\n" +
		"198.51.100.11 -> 198.51.100.12\n198.51.100.2 -> 203.0.113.20\n198.51.100.12 -> 203.0.113.20\n"
	tests := []struct {
		name, output string
		want         fault
	}{
		{"all", "tracelb from 192.0.2.254 to 203.0.113.20, 6 nodes\n" + whole, fault{}},
		{"one missing", strings.TrimPrefix(whole, "192.0.2.1 -> 198.51.100.1\n"), fault{missing: 1}},
		{"crossed", whole + "198.51.100.1 -> 198.51.100.12\n", fault{false: 1}},
		{"none", "", fault{missing: 6}},
	}
	tr := network(t, diamondNetwork)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := make(map[netip.Addr]*found)
			if err := readTracelb(strings.NewReader(tt.output), all); err != nil {
				t.Fatal(err)
			}
			r := pathRun{truth: tr, targets: []netip.Addr{pathTarget}, paths: true}
			if got, _, _ := r.judge(all); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestAllPathsOfNetprobe(t *testing.T) {
	const record = `{"record":"trace","addr":"203.0.113.20","hops":[{"ttl":1,"probes":[{"from":"192.0.2.1"}]},` +
		`{"ttl":2,"probes":[{"from":"198.51.100.1"}]},{"ttl":3,"probes":[{"from":"198.51.100.2"},{"from":"198.51.100.12"}]},` +
		`{"ttl":4,"probes":[{"from":"203.0.113.20"}]}],"links":[{"from":"192.0.2.1","to":"198.51.100.1"},` +
		`{"from":"198.51.100.1","to":"198.51.100.2"},{"from":"198.51.100.2","to":"203.0.113.20"},{"from":"198.51.100.12","to":null}]}` + "\n"
	all := make(map[netip.Addr]*found)
	if err := readRecords(strings.NewReader(record), all); err != nil {
		t.Fatal(err)
	}
	r := pathRun{truth: network(t, diamondNetwork), targets: []netip.Addr{pathTarget}, paths: true}
	if got, _, _ := r.judge(all); got != (fault{missing: 1 + 3}) {
		t.Errorf("%+v, want missing the router 198.51.100.11 and its two links, and that of 198.51.100.12", got)
	}
}

func TestTripErrors(t *testing.T) {
	f := newFound()
	f.saw(1, netip.MustParseAddr("192.0.2.1"), 2.5)
	f.saw(4, pathTarget, 8.25)
	got := f.errors(network(t, shortNetwork).path(pathTarget))
	if want := []float64{.5, .25}; !slices.Equal(got, want) {
		t.Errorf("errors %v, want %v", got, want)
	}
}

func TestTopologies(t *testing.T) {
	files, err := filepath.Glob("../topologies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no topologies: %v", err)
	}
	for _, name := range files {
		tr, err := readTruth(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(tr.rows) < 5 || tr.trip <= 0 {
			t.Errorf("%s: %d routers, %v", name, len(tr.rows), tr.trip)
		}
	}
}

func TestWaysOfDifferentLength(t *testing.T) {
	name := filepath.Join(t.TempDir(), "network.yaml")
	text := strings.Replace(diamondNetwork, "        - {addr: 198.51.100.12, delay: 1ms}\n", "", 1)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readTruth(name); err == nil {
		t.Error("ways of different length were accepted: there is no one truth about their TTLs")
	}
}

func TestSentBy(t *testing.T) {
	packet := append([]byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0}, 192, 0, 2, 254, 203, 0, 113, 20)
	if got := sentBy(packet); got != netip.MustParseAddr("192.0.2.254") {
		t.Errorf("source %v", got)
	}
	for _, other := range [][]byte{nil, packet[:19], append([]byte{0x60}, make([]byte, 39)...)} {
		if got := sentBy(other); got.IsValid() {
			t.Errorf("source %v of %x", got, other)
		}
	}
}
