package icmp

import (
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// A packet that waited in this host, as for its neighbour's address, left late
// by that much, however many answers tell of it.
func TestLagOfWaiting(t *testing.T) {
	e, err := newEngine(Config{Targets: targets(target4)}, newTimerAlarm())
	if err != nil {
		t.Fatal(err)
	}
	e.start = time.Now()
	e.wall.Observe(e.start, e.start)
	f := &flight{t: e.cfg.Targets[0], seq: 1, state: waiting, lag: 2000}
	f.tx = e.start.Add(300 * ms).UnixNano()
	m := &rawsock.Message{Stamp: e.start.Add(310 * ms).UnixNano(), Arrived: e.start.Add(311 * ms)}
	for range 2 {
		var r probe.Result
		e.clock(f, m, &r)
		r = e.fill(f, r)
		if r.Clock != probe.Kernel || r.RTT != 10*ms || (r.Lag-302*ms).Abs() > 50*time.Microsecond {
			t.Errorf("rtt %v by the %v clock, lag %v; want 10ms, kernel, 302ms", r.RTT, r.Clock, r.Lag)
		}
	}
}
