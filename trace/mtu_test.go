package trace

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"netprobe/probe"
)

// sized is what a search for the path MTU found.
type sized struct {
	probe.PathMTU
	hop  uint8
	sent int
	took time.Duration
	at   []int // by TTL from 1
}

// mtu plays a first look and the search.
func (c *chain) mtu(t *testing.T, link int) sized {
	t.Helper()
	k, begin := c.look(t, 3)
	p := newMTU(k, link)
	list, end := playPhase(t, p, c, begin)
	r, hop := p.result()
	s := sized{PathMTU: *r, hop: hop, sent: len(list), took: end - begin}
	for ttl := range c.hops {
		s.at = append(s.at, p.mtuAt(uint8(ttl+1)))
	}
	return s
}

func TestMTU(t *testing.T) {
	tests := []struct {
		name  string
		link  int
		build func(h []chainHop)
		want  probe.PathMTU
		hop   uint8
		time  time.Duration // at most
	}{
		{"nothing in the way", 1500, func([]chainHop) {}, probe.PathMTU{MTU: 1500, Local: true}, 0, 50 * time.Millisecond},
		{"jumbo", 9000, func([]chainHop) {}, probe.PathMTU{MTU: 9000, Local: true}, 0, 50 * time.Millisecond},
		{"link unknown", 0, func([]chainHop) {}, probe.PathMTU{MTU: 1500, Local: true}, 0, 50 * time.Millisecond},
		{"our own device refuses", 9000, func(h []chainHop) { h[0].mtu = 1400 }, probe.PathMTU{MTU: 1400, Local: true}, 0, time.Second},
		{"tunnel", 1500, func(h []chainHop) { h[3].mtu = 1476 }, probe.PathMTU{MTU: 1476, From: chainAddr(3)}, 3, time.Second},
		{"two tunnels", 1500, func(h []chainHop) { h[2].mtu, h[5].mtu = 1480, 1400 }, probe.PathMTU{MTU: 1400, From: chainAddr(5)}, 5, time.Second},
		{"last link", 1500, func(h []chainHop) { h[7].mtu = 1300 }, probe.PathMTU{MTU: 1300, From: chainAddr(7)}, 7, time.Second},
		{"limit not named", 1500, func(h []chainHop) { h[3].mtu, h[3].naming = 1476, name(0) }, probe.PathMTU{MTU: 1476, From: chainAddr(3)}, 3, time.Second},
		{"limit named too large", 1500, func(h []chainHop) { h[3].mtu, h[3].naming = 1476, name(9000) }, probe.PathMTU{MTU: 1476, From: chainAddr(3)}, 3, time.Second},
		{"limit named absurd", 1500, func(h []chainHop) { h[3].mtu, h[3].naming = 1476, name(1) }, probe.PathMTU{MTU: 1476, From: chainAddr(3)}, 3, time.Second},
		{"one less each time", 1500, func(h []chainHop) {
			h[3].mtu, h[3].naming = 1200, func(_, size int) int { return size - 1 }
		}, probe.PathMTU{MTU: 1200, From: chainAddr(3)}, 3, 2 * time.Second},
		{"black hole", 1500, func(h []chainHop) { h[4].mtu, h[4].hole = 1400, true }, probe.PathMTU{MTU: 1400, BlackHole: true}, 4, 5 * time.Second},
		{"black hole at an odd size", 9000, func(h []chainHop) { h[4].mtu, h[4].hole = 1237, true }, probe.PathMTU{MTU: 1237, BlackHole: true}, 4, 5 * time.Second},
		{"black hole on the last link", 1500, func(h []chainHop) { h[7].mtu, h[7].hole = 1492, true }, probe.PathMTU{MTU: 1492, BlackHole: true}, 7, 5 * time.Second},
		{"tunnel, then black hole", 1500, func(h []chainHop) {
			h[2].mtu, h[5].mtu, h[5].hole = 1480, 1400, true
		}, probe.PathMTU{MTU: 1400, BlackHole: true}, 5, 5 * time.Second},
		{"silent hops", 1500, func(h []chainHop) {
			h[1].silent, h[4].silent, h[3].mtu = true, true, 1400
		}, probe.PathMTU{MTU: 1400, From: chainAddr(3)}, 3, time.Second},
		{"hops that answer one a second", 1500, func(h []chainHop) {
			for i := range 7 {
				h[i].rate, h[i].burst = 1, 3
			}
		}, probe.PathMTU{MTU: 1500, Local: true}, 0, time.Second},
		{"target that answers one a second", 1500, func(h []chainHop) {
			h[7].rate, h[7].burst = 1, 3
		}, probe.PathMTU{MTU: 1500, Local: true}, 0, 4 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(5) {
				c := newChain(seed, hops(8)...)
				tt.build(c.hops)
				got := c.mtu(t, tt.link)
				if tt.want.BlackHole {
					got.From = netip.Addr{}
				}
				if got.PathMTU != tt.want || got.hop != tt.hop {
					t.Errorf("found %+v, want %+v after hop %d", got, tt.want, tt.hop)
				}
				if got.took > tt.time || got.sent > 600 {
					t.Errorf("took %v and %d probes", got.took, got.sent)
				}
				if seed == 0 {
					t.Logf("%v, %d probes, %v", got.took, got.sent, got.at)
				}
			}
		})
	}
}

// name returns a router that always names the same.
func name(mtu int) func(int, int) int { return func(int, int) int { return mtu } }

// What was answered at each hop came at least there.
func TestMTUAt(t *testing.T) {
	c := newChain(1, hops(6)...)
	c.hops[2].mtu, c.hops[4].mtu = 1480, 1400
	got := c.mtu(t, 1500)
	if want := []int{1500, 1500, 1480, 1480, 1400, 1400}; fmt.Sprint(got.at) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got.at, want)
	}
}

// Loss is not taken for a black hole, and a black hole is found beside it.
func TestMTULoss(t *testing.T) {
	for _, loss := range []float64{0.01, 0.1, 0.3} {
		for _, hole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v hole %v", loss, hole), func(t *testing.T) {
				bad, partial := 0, 0
				runs := seeds(100, 300)
				for seed := range uint64(runs) {
					c := newChain(seed, hops(8)...)
					c.hops[2].loss = loss
					c.hops[3].rate, c.hops[3].burst = 1, 6
					want := probe.PathMTU{MTU: 1500, Local: true}
					if hole {
						c.hops[5].mtu, c.hops[5].hole = 1412, true
						want = probe.PathMTU{MTU: 1412, BlackHole: true}
					}
					k, begin := c.look(t, 3)
					if !k.reached {
						continue
					}
					p := newMTU(k, 1500)
					playPhase(t, p, c, begin)
					r, hop := p.result()
					switch got := *r; {
					case got.Partial: // says itself that it does not know
						partial++
					case got != want || hole && (hop != p.rows[p.reached(1413)].ttl || hop > 5):
						bad++
						t.Logf("seed %d: %+v after hop %d", seed, got, hop)
					}
				}
				t.Logf("wrong %d, partial %d of %d", bad, partial, runs)
				if bad > runs/50 || partial > runs/20 {
					t.Errorf("wrong %d, partial %d of %d", bad, partial, runs)
				}
			})
		}
	}
}

// A search that cannot send ends and says so.
func TestMTUCannotSend(t *testing.T) {
	c := newChain(1, hops(5)...)
	k, begin := c.look(t, 3)
	c.fail = 1
	p := newMTU(k, 1500)
	list, _ := playPhase(t, p, c, begin)
	if r, _ := p.result(); !r.Partial || r.BlackHole || r.MTU != 60 || len(list) > 50 {
		t.Errorf("%+v after %d probes", r, len(list))
	}
	p = newMTU(known{first: 1}, 1500)
	if r, _ := p.result(); !p.done(0) || !r.Partial || p.mtuAt(1) != 0 {
		t.Errorf("nothing known: %+v", r)
	}
}
