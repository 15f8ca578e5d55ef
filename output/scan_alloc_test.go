package output

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// scanStream is a Report of one view, told Results of ever new ports.
type scanStream struct {
	report *Report
	target probe.Target
	detail probe.ScannedHost
	result probe.Result
	ports  int // of a host
	n      int
}

func newScanStream(tb testing.TB, format string, ports int, r probe.Result) *scanStream {
	tb.Helper()
	v, err := NewScanView(format, io.Discard, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	h := &Header{ID: "0123456789abcdef", Verb: "scan", Socket: "raw", Start: time.Now(), Scan: &ScanHeader{
		Stats: stats.NewScan(stats.ScanConfig{}), Ports: ports, Service: func(uint16, bool) string { return "https" },
	}}
	s := &scanStream{report: NewReport(h, nil, v), result: r, ports: ports}
	s.result.Target, s.result.Detail = &s.target, &s.detail
	if err := s.report.Begin(); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *scanStream) next(tb testing.TB) {
	host, port := s.n/s.ports, s.n%s.ports
	s.n++
	a := netip.AddrFrom4([4]byte{10, byte(host >> 16), byte(host >> 8), byte(host)})
	s.target = probe.Target{ID: host, Addr: netip.AddrPortFrom(a, uint16(port))}
	s.detail = probe.ScannedHost{Ports: s.ports, Left: s.ports - port - 1}
	if s.result.From.IsValid() {
		s.result.From = a
		s.result.RTT = time.Duration(100_000 + s.n%50_000)
	}
	if err := s.report.Record(&s.result); err != nil {
		tb.Fatal(err)
	}
}

var scanStreams = map[string]probe.Result{
	"closed": {Seq: 1, Status: probe.Refused, Reason: probe.RST, Clock: probe.Kernel, TTL: 64, From: netip.IPv4Unspecified(), Sent: time.Now()},
	"silent": {Seq: 3, Status: probe.Lost, Reason: probe.NoResponse, Sent: time.Now()},
}

// A scan decides a hundred thousand ports a second: none of them allocates.
func TestScanAllocates(t *testing.T) {
	for _, format := range ScanFormats() {
		for name, r := range scanStreams {
			s := newScanStream(t, format, 1<<16, r)
			for range 60_000 { // all round-trip times
				s.next(t)
			}
			if n := testing.AllocsPerRun(1000, func() { s.next(t) }); n != 0 {
				t.Errorf("%s: %v allocations for a port that is %s, want 0", format, n, name)
			}
		}
	}
}

// Of an open port no more is kept than its row: records and lines do not allocate.
func TestScanOpenAllocates(t *testing.T) {
	r := probe.Result{Seq: 1, Status: probe.Reply, Reason: probe.SynAck, TTL: 64, From: netip.IPv4Unspecified(), Sent: time.Now()}
	for _, format := range []string{"plain", "json", "csv"} {
		s := newScanStream(t, format, 1<<16, r)
		for range 60_000 {
			s.next(t)
		}
		if n := testing.AllocsPerRun(1000, func() { s.next(t) }); n != 0 {
			t.Errorf("%s: %v allocations for an open port, want 0", format, n)
		}
	}
}

// The room of hosts that are done is used again.
func TestScanHostsAllocate(t *testing.T) {
	for name, r := range scanStreams {
		s := newScanStream(t, "csv", 20, r)
		for range 100_000 {
			s.next(t)
		}
		if n := testing.AllocsPerRun(200, func() {
			for range 20 {
				s.next(t)
			}
		}); n > 2 {
			t.Errorf("%v allocations for a host whose ports are %s, want 2 at most", n, name)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, format := range ScanFormats() {
		for name, r := range scanStreams {
			b.Run(format+"/"+name, func(b *testing.B) {
				s := newScanStream(b, format, 1000, r)
				b.ReportAllocs()
				for b.Loop() {
					s.next(b)
				}
			})
		}
	}
}
