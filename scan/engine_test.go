package scan

import (
	"testing"
	"time"

	"netprobe/probe"
)

// A host that refuses: as many tries as ports, in a few round trips.
func TestRefused(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(1)
		w.timed, w.answer = timed, opens(true, 22, 443, 8080)
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(65535), Seed: 7})
		if r.count(probe.PortOpen) != 3 || r.count(probe.PortClosed) != 65532 || len(w.sent) != 65535 || r.took > 200*ms {
			t.Error(r)
		}
		t.Log(r)
	})
}

// A firewall that drops all but five ports costs little more than the wait for the last try.
func TestDropped(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		for seed := range uint64(20) {
			w := newWorld(seed)
			w.timed, w.answer = timed, opens(false, 22, 80, 443, 500, 900)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), Seed: seed, Retries: Adaptive})
			if r.count(probe.PortOpen) != 5 || r.count(probe.PortFiltered) != 995 || r.took > 3*time.Second || len(w.sent) > 2000 {
				t.Error(r)
			}
			if seed == 0 {
				t.Log(r)
			}
		}
	})
}

// One packet in ten is lost each way, and every open port is found, soon.
func TestLossy(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		var longest time.Duration
		for seed := range uint64(50) {
			w := newWorld(seed)
			w.timed, w.loss, w.answer = timed, 0.1, opens(true, portsTo(20)...)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), Seed: seed, Retries: Adaptive})
			if r.count(probe.PortOpen) != 20 || r.count(probe.PortClosed) != 980 {
				t.Error(r)
			}
			if seed == 0 {
				t.Log(r)
			}
			longest = max(longest, r.took)
		}
		t.Log("longest", longest)
	})
}
