package output

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepStream is a Report of one view, told Results of ever new hosts.
type sweepStream struct {
	report *Report
	target probe.Target
	result probe.Result
	n      uint32
}

func newSweepStream(tb testing.TB, format string, by4 int, r probe.Result) *sweepStream {
	tb.Helper()
	v, err := NewSweepView(format, io.Discard, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	h := &Header{ID: "0123456789abcdef", Verb: "sweep", Socket: "raw", Start: time.Now(),
		Sweep: &SweepHeader{Stats: stats.NewSweep(by4, 0), By4: by4}}
	s := &sweepStream{report: NewReport(h, nil, v), result: r}
	s.result.Target = &s.target
	if err := s.report.Begin(); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *sweepStream) next(tb testing.TB) {
	s.n = (s.n + 1) % (1 << 20)
	a := netip.AddrFrom4([4]byte{10, byte(s.n >> 16), byte(s.n >> 8), byte(s.n)})
	s.target = probe.Target{ID: int(s.n), Addr: netip.AddrPortFrom(a, 0)}
	if s.result.From.IsValid() {
		s.result.From = a
		s.result.RTT = time.Duration(100_000 + s.n%50_000)
	}
	if err := s.report.Record(&s.result); err != nil {
		tb.Fatal(err)
	}
}

var (
	streamAlive = probe.Result{
		Seq: 1, Status: probe.Reply, Reason: probe.EchoReply, Clock: probe.Kernel, TTL: 64, Size: 64,
		From: netip.IPv4Unspecified(), Sent: time.Now(),
	}
	streamOdd = probe.Result{
		Seq: 3, Status: probe.Refused, Reason: probe.PortUnreachable, From: netip.IPv4Unspecified(),
		Sent: time.Now(), Flags: probe.WrongSource | probe.Corrupt,
	}
	streamSilent = probe.Result{Seq: 2, Status: probe.Lost, Reason: probe.NoResponse, Sent: time.Now()}
)

// A sweep decides a hundred thousand hosts a second: none of them allocates.
func TestSweepAllocates(t *testing.T) {
	for _, format := range SweepFormats() {
		for _, r := range []probe.Result{streamAlive, streamOdd, streamSilent} {
			s := newSweepStream(t, format, 8, r)
			for range 60_000 { // all round-trip times
				s.next(t)
			}
			if n := testing.AllocsPerRun(1000, func() { s.next(t) }); n != 0 {
				t.Errorf("%s: %v allocations for a host that is %v, want 0", format, n, r.Status)
			}
		}
	}
}

func BenchmarkSweep(b *testing.B) {
	for _, format := range SweepFormats() {
		for name, r := range map[string]probe.Result{"alive": streamAlive, "silent": streamSilent} {
			b.Run(format+"/"+name, func(b *testing.B) {
				s := newSweepStream(b, format, 0, r)
				b.ReportAllocs()
				for b.Loop() {
					s.next(b)
				}
			})
		}
	}
	b.Run("by24/silent", func(b *testing.B) {
		s := newSweepStream(b, "plain", 24, streamSilent)
		b.ReportAllocs()
		for b.Loop() {
			s.next(b)
		}
	})
}
