package scan

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// udpHost answers on open ports, tells of closed ones as far as limit allows, and
// drops the rest.
func udpHost(w *world, open, dropped []uint16, limit *bucket) func(netip.AddrPort, int) crew.Answer {
	return func(to netip.AddrPort, _ int) crew.Answer {
		switch {
		case slices.Contains(open, to.Port()):
			return crew.Answer{Result: probe.Result{Status: probe.Reply, Reason: probe.UDPReply, From: to.Addr()}}
		case slices.Contains(dropped, to.Port()):
			return crew.Answer{}
		case limit == nil || limit.take(time.Since(w.from)):
			return crew.Answer{Result: probe.Result{Status: probe.Refused, Reason: probe.PortUnreachable, From: to.Addr()}}
		}
		return crew.Answer{}
	}
}

// A host that tells of one closed port a second, after six at once, as Linux
// does, has every one of a thousand decided in hardly more time than that takes,
// and from the first ten seconds it is known how long that will be.
func TestUDPLimited(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(1)
		w.timed = timed
		w.answer = udpHost(w, nil, nil, newBucket(1, 6))
		cfg := Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), UDP: true, Retries: Adaptive}
		var eta time.Duration
		var r *ran
		done := make(chan struct{})
		e := New(cfg, w)
		go func() {
			time.Sleep(10 * time.Second)
			eta = e.Counters().Ready
			<-done
		}()
		r = w.playEngine(t, t.Context(), cfg, e)
		close(done)
		const least = 994 * time.Second
		if r.count(probe.PortClosed) != 1000 || r.took > least*11/10 {
			t.Error(r)
		}
		if took := r.took - 10*time.Second; eta < took*8/10 || eta > took*12/10 {
			t.Errorf("after 10 s it was to take %v more, and took %v", eta, took)
		}
		t.Log(r, eta)
	})
}

// Without a limit a thousand take no time.
func TestUDPUnlimited(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(2)
		w.timed = timed
		w.answer = udpHost(w, []uint16{53, 123}, nil, nil)
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), UDP: true, Retries: Adaptive})
		if r.count(probe.PortClosed) != 998 || r.count(probe.PortOpen) != 2 || r.took > 2*time.Second {
			t.Error(r)
		}
	})
}

// Twenty services among silent ports, one packet in ten lost each way: all are found.
func TestUDPLossy(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		open := []uint16{7, 53, 69, 111, 123, 137, 161, 389, 443, 500, 514, 520, 623, 631, 700, 751, 800, 853, 900, 999}
		for seed := range uint64(30) {
			w := newWorld(seed)
			w.timed, w.loss = timed, 0.1
			w.answer = udpHost(w, open, portsTo(1000), nil)
			r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(1000), UDP: true, Retries: Adaptive, Seed: seed})
			if r.count(probe.PortOpen) != 20 || r.count(probe.PortOpenFiltered) != 980 {
				t.Error(seed, r)
			}
		}
	})
}

// What stays silent on a host that tells of closed ports is asked often enough to
// know that it is not closed, and no more.
func TestUDPSilentAmongLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3)
		w.answer = udpHost(w, []uint16{53}, []uint16{100, 101, 102, 103, 104, 105, 106, 107, 108, 109}, newBucket(1, 6))
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(200), UDP: true, Retries: Adaptive})
		if r.count(probe.PortClosed) != 189 || r.count(probe.PortOpenFiltered) != 10 || r.count(probe.PortOpen) != 1 || r.took > 260*time.Second {
			t.Error(r)
		}
		t.Log(r)
	})
}

// A host that tells nothing is asked three times for each port.
func TestUDPSilent(t *testing.T) {
	both(t, func(t *testing.T, timed bool) {
		w := newWorld(4)
		w.timed = timed
		w.answer = udpHost(w, nil, portsTo(100), nil)
		r := w.play(t, t.Context(), Config{Source: hostsOf("192.0.2.1"), Ports: portsTo(100), UDP: true, Retries: Adaptive})
		if r.count(probe.PortOpenFiltered) != 100 || len(w.sent) != 300 || r.took > 6*time.Second {
			t.Error(r)
		}
	})
}
