package lab

import (
	"net/netip"
	"testing"
	"time"
)

func TestTruth(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(4)
		hops[1].Silent = true
		hops[2].RateLimit = RateLimit{Burst: 1}
		hops[3].Addrs = nil
		at := func(i int) netip.Addr { return sameFamily(path(4)[i].Addrs, target) }
		// The answer from hop 1 to the second packet is lost on the way back.
		topo := Topology{Hops: hops, Out: Link{Delay: 5 * ms}, Hook: func(p *Packet) Verdict {
			return Verdict{Drop: p.Dir == Back && p.N == 2}
		}}
		c := newClient(t, topo)
		cases := []struct {
			ttl               uint8
			fate              Fate
			hop               int
			at                netip.Addr
			rtt               time.Duration // 0: no answer came
			limited, lostBack bool
		}{
			{1, Expired, 1, at(0), 5 * ms, false, false},
			{1, Expired, 1, at(0), 0, false, true},
			{2, Expired, 2, at(1), 0, false, false},
			{3, Expired, 3, at(2), 45 * ms, false, false},
			{3, Expired, 3, at(2), 0, true, false},
			{4, Expired, 4, netip.Addr{}, 0, false, false},
			{5, Refused, 5, target, 85 * ms, false, false},
			{64, Refused, 5, target, 85 * ms, false, false},
		}
		for _, tc := range cases {
			c.ttl = tc.ttl
			c.datagram(target, 50000, 33434, nil)
			time.Sleep(time.Second)
		}
		trips := c.m.Log().Truth(target)
		if len(trips) != len(cases) || len(c.m.Log().Truth(target.Next())) != 0 {
			t.Fatalf("%d trips", len(trips))
		}
		for i, tc := range cases {
			trip := trips[i]
			if trip.Kind != UDP || trip.TTL != tc.ttl || trip.Fate != tc.fate || trip.Hop != tc.hop || trip.At != tc.at ||
				trip.Limited() != tc.limited || trip.LostBack() != tc.lostBack {
				t.Errorf("%d: %+v", i, trip)
			}
			a, ok := trip.Answer()
			if ok != (tc.rtt > 0) || ok && (a.Time-trip.Time != tc.rtt || a.Src != tc.at || a.Hop != tc.hop) {
				t.Errorf("%d: answer %+v, want one after %v", i, a, tc.rtt)
			}
		}
	})
}

// TestTruthOfLoss: a packet lost on a link was at no node, but on its way to one.
func TestTruthOfLoss(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(3)
		hops[1].Out.Loss = 1
		c := newClient(t, Topology{Hops: hops})
		c.echo(target, 1, nil)
		c.silence()
		if trip := c.m.Log().Truth()[0]; trip.Fate != Lost || trip.Hop != 3 || trip.At.IsValid() {
			t.Errorf("%+v", trip)
		}
	})
}

func TestLogLimit(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{LogLimit: chunkSize + 3})
		for i := range chunkSize {
			c.echo(target, uint16(i), nil)
		}
		log := c.m.Log()
		if n := len(log.Entries()); n != chunkSize+3 || log.Totals().Unlogged != chunkSize-3 {
			t.Errorf("%d entries, %+v", n, log.Totals())
		}
	})
}
