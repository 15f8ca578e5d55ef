package trace

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/probe"
)

// Hundreds of targets share a packet rate, and no hop is missing.
func TestHundredsOfTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var addrs []string
		for i := range 500 {
			addrs = append(addrs, netip.AddrFrom4([4]byte{203, 0, byte(112 + i/250), byte(i%250 + 1)}).String())
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		p := newRehearsal(t, line(19, 5*ms), Config{Targets: targets(addrs...), Count: 1, Rate: 10_000}).run(ctx)
		probes := 0
		for i, a := range addrs {
			path := p.paths[i]
			if path.Stop != probe.StopReached || len(path.Hops) != 20 {
				t.Fatalf("%s: stop %v after %d hops", a, path.Stop, len(path.Hops))
			}
			for n := 1; n <= 19; n++ {
				wantRow(t, path, n, hopOf(n, target4))
			}
		}
		probes = len(p.results)
		if probes > 500*25 || p.took > 1500*ms {
			t.Errorf("%d probes in %v", probes, p.took)
		}
	})
}
