package lab

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestGlidingChangesNothing: packets that are moved over many hops at once meet
// the same fates at the same instants as those that stop everywhere.
func TestGlidingChangesNothing(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		run := func(stop bool) []Entry {
			hops := append(append(path(3), diamond(3)...), path(3)[1:]...)
			hops[1].Out.MTU, hops[1].RateLimit = 1300, RateLimit{PerSecond: 20, Burst: 3}
			hops[2].Out = Link{Jitter: 30 * ms, Loss: .1, Duplicate: .1, Reorder: .1}
			hops[5].NAT, hops[5].Back = &NAT{}, Link{Loss: .1, Delay: ms}
			hops[6].TOS = new(uint8(8))
			hops[7].TTL = 5
			c := newClient(t, Topology{Seed: 3, Hops: hops, Hosts: []Host{{TCP: []uint16{443}, Out: Link{MTU: 1200}}}})
			if stop {
				for _, l := range c.m.sim.everyLink() {
					l[Out].plain, l[Back].plain = false, false
				}
			}
			for i := range 600 {
				c.ttl = uint8(1 + i%12)
				switch i % 4 {
				case 0:
					c.echoDF(target, uint16(i), make([]byte, i*3))
				case 1:
					c.syn(target, uint16(40000+i), 443, uint32(i))
				default:
					c.datagram(target, uint16(40000+i%7), 33434, nil)
				}
				time.Sleep(3 * ms)
			}
			time.Sleep(time.Minute)
			entries := c.m.Log().Entries()
			for i := range entries {
				entries[i].order = 0
			}
			slices.SortStableFunc(entries, func(a, b Entry) int {
				return cmp.Or(cmp.Compare(a.Probe, b.Probe), cmp.Compare(a.Dir, b.Dir), cmp.Compare(a.Time, b.Time))
			})
			return entries
		}
		a, b := run(false), run(true)
		fates := make(map[Fate]int)
		for i := range a {
			fates[a[i].Fate]++
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("entry %d: %+v", i, a[i])
			}
		}
		if len(a) != len(b) || len(fates) < 6 {
			t.Errorf("%d and %d entries; fates %v", len(a), len(b), fates)
		}
	})
}

// everyLink returns all links of the network.
func (s *sim) everyLink() []*link {
	list := []*link{&s.first}
	var collect func(chain []segment)
	collect = func(chain []segment) {
		for _, x := range chain {
			if x.hop != nil {
				list = append(list, &x.hop.link)
			}
			for _, way := range x.ways {
				collect(way)
			}
		}
	}
	collect(s.chain)
	for _, h := range s.hosts {
		list = append(list, &h.link)
	}
	return list
}
