package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// router returns a hop with addresses that end in n, 10 ms before the next one.
func router(n int) Hop {
	return Hop{
		Addrs: Addrs(fmt.Sprintf("198.51.100.%d", n), fmt.Sprintf("2001:db8:100::%x", n)),
		Out:   Link{Delay: 10 * ms}, Back: Link{Delay: 10 * ms},
	}
}

// diamond is a hop, width ways of one hop each, and a hop.
func diamond(width int) []Hop {
	section := Hop{}
	for i := range width {
		section.Ways = append(section.Ways, []Hop{router(10 + i)})
	}
	return []Hop{router(1), section, router(2)}
}

// lastOctet tells the routers apart.
func lastOctet(a netip.Addr) int {
	if !a.IsValid() {
		return -1
	}
	b := a.AsSlice()
	return int(b[len(b)-1])
}

func TestWaysByFlow(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Hops: diamond(4)})
		c.ttl = 2
		count := make(map[int]int)
		for flow := range 400 {
			var first netip.Addr
			for range 3 { // payload and number differ, the flow does not
				c.datagram(target, uint16(40000+flow), 33434, make([]byte, flow%3))
				from := c.must().from
				if first.IsValid() && from != first {
					t.Fatalf("flow %d goes over %v and %v", flow, first, from)
				}
				first = from
			}
			count[lastOctet(first)]++
		}
		if len(count) != 4 {
			t.Fatalf("ways taken: %v", count)
		}
		for way, n := range count {
			if n < 60 || n > 140 {
				t.Errorf("way %d: %d of 400 flows", way, n)
			}
		}
	})
}

// TestFlowOfEcho: the identifier and the checksum make the flow of an echo
// request, not its sequence number as such.
func TestFlowOfEcho(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Hops: diamond(4)})
		c.ttl = 2
		same, other := make(map[netip.Addr]bool), make(map[netip.Addr]bool)
		for i := range 40 {
			c.echo(target, uint16(i), []byte{byte(^i >> 8), byte(^i)}) // the checksum stays
			same[c.must().from] = true
			c.echo(target, uint16(i), nil)
			other[c.must().from] = true
		}
		if len(same) != 1 || len(other) != 4 {
			t.Errorf("constant checksum: %d ways; others: %d, want 1 and 4", len(same), len(other))
		}
	})
}

func TestWaysByFlowLabel(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		if target.Is4() {
			return
		}
		c := newClient(t, Topology{Hops: diamond(4)})
		c.ttl = 2
		ways := make(map[netip.Addr]bool)
		for label := range 40 {
			h := header{src: c.m.Source(target), dst: target, ttl: 2}
			raw := slices.Clone(c.packer.datagram(h, 40000, 33434, nil))
			raw[3] = byte(label)
			c.send(raw)
			ways[c.must().from] = true
		}
		if len(ways) != 4 {
			t.Errorf("%d ways for 40 flow labels, want 4", len(ways))
		}
	})
}

func TestWaysByPacket(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := diamond(4)
		hops[1].PerPacket = true
		run := func(seed uint64) (ways []int) {
			c := newClient(t, Topology{Hops: hops, Seed: seed})
			c.ttl = 2
			for range 200 {
				c.datagram(target, 40000, 33434, nil)
				ways = append(ways, lastOctet(c.must().from))
			}
			return ways
		}
		first := run(1)
		for way := range 4 {
			n := 0
			for _, x := range first {
				if x == 10+way {
					n++
				}
			}
			if n < 25 || n > 75 {
				t.Errorf("way %d: %d of 200 packets", way, n)
			}
		}
		if !slices.Equal(first, run(1)) || slices.Equal(first, run(2)) {
			t.Error("chance does not follow the seed")
		}
	})
}

// TestUnequalWays: ways of one hop, of three, and straight across.
func TestUnequalWays(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := []Hop{router(1), {Ways: [][]Hop{{router(11)}, {router(21), router(22), router(23)}, {}}}, router(2)}
		c := newClient(t, Topology{Hops: hops})
		seen := make(map[string]int)
		for flow := range 60 {
			var way []int
			for c.ttl = 1; ; c.ttl++ {
				begin := time.Now()
				c.datagram(target, uint16(40000+flow), 33434, nil)
				g := c.must()
				if g.from == target {
					if want := time.Duration(len(way)) * 20 * ms; time.Since(begin) != want {
						t.Fatalf("target after %v, want %v", time.Since(begin), want)
					}
					if g.ttl != 64-len(way) {
						t.Fatalf("answer with TTL %d over %d hops", g.ttl, len(way))
					}
					break
				}
				way = append(way, lastOctet(g.from))
			}
			seen[fmt.Sprint(way)]++
		}
		if len(seen) != 3 || seen["[1 11 2]"] == 0 || seen["[1 21 22 23 2]"] == 0 || seen["[1 2]"] == 0 {
			t.Errorf("paths seen: %v", seen)
		}
	})
}

func TestNestedWays(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		inner := Hop{Ways: [][]Hop{{router(21)}, {router(22)}}}
		hops := []Hop{{Ways: [][]Hop{{router(11), inner, router(12)}, {router(13)}}}, {Ways: [][]Hop{{router(31)}, {router(32)}}}}
		c := newClient(t, Topology{Hops: hops})
		seen := make(map[string]int)
		for flow := range 200 {
			var way []int
			for c.ttl = 1; ; c.ttl++ {
				c.datagram(target, uint16(40000+flow), 33434, nil)
				g := c.must()
				if g.from == target {
					break
				}
				way = append(way, lastOctet(g.from))
			}
			seen[fmt.Sprint(way)]++
		}
		want := []string{
			"[11 21 12 31]", "[11 21 12 32]", "[11 22 12 31]", "[11 22 12 32]", "[13 31]", "[13 32]",
		}
		for _, w := range want {
			// Sections decide apart from each other.
			if seen[w] < 10 {
				t.Errorf("path %s: %d of 200 flows", w, seen[w])
			}
		}
		if len(seen) != len(want) {
			t.Errorf("paths seen: %v", seen)
		}
	})
}

// TestHopInsideAnswersForItself: whatever the flow, a packet for a hop on one of
// the ways gets there.
func TestHopInsideAnswersForItself(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		inner := Hop{Ways: [][]Hop{{router(21)}, {router(22), router(23)}}, PerPacket: true}
		c := newClient(t, Topology{Hops: []Hop{router(1), {Ways: [][]Hop{{router(11)}, {inner}}}}})
		for _, n := range []int{1, 11, 21, 22, 23} {
			to := sameFamily(router(n).Addrs, target)
			for seq := range 10 {
				c.echo(to, uint16(seq), nil)
				if g := c.must(); !g.isReply() || g.from != to {
					t.Fatalf("%v answered by %v: %v", to, g.from, g.typ)
				}
			}
		}
	})
}

// TestLossLeavesWaysAlone: a lossy link changes neither the ways of other
// packets nor what happens on other links.
func TestLossLeavesWaysAlone(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		run := func(loss float64) map[uint64]netip.Addr {
			hops := diamond(4)
			hops[1].PerPacket = true
			hops[0].Back.Loss = .3
			c := newClient(t, Topology{Hops: hops, Out: Link{Loss: loss}})
			c.ttl = 2
			for range 200 {
				c.datagram(target, 40000, 33434, nil)
			}
			time.Sleep(time.Second)
			at := make(map[uint64]netip.Addr)
			for _, trip := range c.m.Log().Truth() {
				if trip.At.IsValid() {
					at[trip.Probe] = trip.At
				}
			}
			return at
		}
		all, some := run(0), run(.5)
		if len(all) != 200 || len(some) < 60 || len(some) > 140 {
			t.Fatalf("%d and %d packets got there", len(all), len(some))
		}
		for probe, a := range some {
			if all[probe] != a {
				t.Errorf("probe %d went over %v, with loss over %v", probe, all[probe], a)
			}
		}
	})
}
