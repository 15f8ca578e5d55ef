package tcpprobe

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"netprobe/internal/crew/crewtest"
	"netprobe/probe"
)

// Connects to hosts that refuse them: by a Sweep, and by as many goroutines
// that do nothing else.
func BenchmarkRefused(b *testing.B) {
	const hosts, limit = 20000, 64
	b.Run("Sweep", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := NewSweep(SweepConfig{Source: crewtest.Count("127.1.0.0", hosts), Port: 9, Limit: limit})
			_ = s.Probe(b.Context(), func(probe.Result) {})
		}
		b.ReportMetric(float64(hosts*b.N)/b.Elapsed().Seconds(), "connects/s")
	})
	b.Run("Dialer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dialAll(b.Context(), hosts, limit)
		}
		b.ReportMetric(float64(hosts*b.N)/b.Elapsed().Seconds(), "connects/s")
	})
}

// dialAll is the plainest way: a goroutine for every limit'th host.
func dialAll(ctx context.Context, hosts, limit int) {
	var crew sync.WaitGroup
	for i := range limit {
		crew.Go(func() {
			d := net.Dialer{Timeout: time.Second, KeepAlive: -1}
			for n := i; n < hosts; n += limit {
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}), 9)
				if c, err := d.DialContext(ctx, "tcp4", to.String()); err == nil {
					c.Close()
				}
			}
		})
	}
	crew.Wait()
}
