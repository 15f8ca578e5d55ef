package trace

import (
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// A network that goes away in the middle ends no run too late: probes that
// cannot be sent are told as such, and nobody waits for them.
func TestNetworkGone(t *testing.T) {
	configs := map[string]Config{
		"look":    {},
		"verdict": {Count: 10},
		"paths":   {Paths: true},
		"mtu":     {MTU: true},
		"monitor": {Monitor: true, Count: 5},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg.Targets = targets(target4)
				topo := diamond(2, false)
				topo.Hops[0].RateLimit = lab.RateLimit{PerSecond: 1, Burst: 1}
				p := newRehearsal(t, topo, cfg)
				left := 0
				p.conn.stampless = true
				p.conn.fail = func(rawsock.Probe) error {
					if left++; left > 40 {
						return errDenied
					}
					return nil
				}
				p.run(t.Context())
				if p.took > 20*time.Second {
					t.Errorf("took %v", p.took)
				}
				for _, r := range p.results {
					if (r.Status == probe.Failed) != (r.Reason == probe.Permission) {
						t.Errorf("probe %d: %v %v", r.Seq, r.Status, r.Reason)
					}
				}
			})
		})
	}
}
