package trace

import (
	"net/netip"
	"testing"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// diamond is a path with parallel ways of two routers between its second and
// third hop.
func diamond(ways int, perPacket bool) lab.Topology {
	t := line(3, 10*ms)
	section := lab.Hop{PerPacket: perPacket}
	for i := range ways {
		section.Ways = append(section.Ways, []lab.Hop{{Addrs: hopAddrs(100 + i)}, {Addrs: hopAddrs(150 + i)}})
	}
	t.Hops = []lab.Hop{t.Hops[0], t.Hops[1], section, t.Hops[2]}
	t.Seed = 3
	return t
}

// Every equal-cost path is found within two seconds, by every protocol, and told
// from ways that packets take by chance.
func TestEveryPath(t *testing.T) {
	for _, ways := range []int{4, 16} {
		everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
			cfg := Config{Targets: targets(addr), Proto: proto, Paths: true, Confidence: 0.99}
			rehearse(t, diamond(ways, false), cfg, func(t *testing.T, p *rehearsal) {
				path := p.paths[0]
				if !path.Reached() || len(path.Hops) != 6 || path.Incomplete {
					t.Fatalf("stop %v after %d hops, incomplete %v", path.Stop, len(path.Hops), path.Incomplete)
				}
				for _, ttl := range []int{3, 4} {
					h := path.Hops[ttl-1]
					if len(h.Addrs()) != ways || h.Balance != probe.BalancePerFlow {
						t.Errorf("hop %d: %d addresses, balanced %v", ttl, len(h.Addrs()), h.Balance)
					}
				}
				for _, l := range path.Links {
					if l.TTL == 3 && l.From.AsSlice()[l.From.BitLen()/8-1]+50 != l.To.AsSlice()[l.To.BitLen()/8-1] {
						t.Errorf("a link from %v to %v", l.From, l.To)
					}
				}
				if p.took > 2*time.Second {
					t.Errorf("took %v", p.took)
				}
			})
		})
	}
}

func TestPathsPerPacket(t *testing.T) {
	rehearse(t, diamond(4, true), Config{Targets: targets(target4), Paths: true}, func(t *testing.T, p *rehearsal) {
		for _, ttl := range []int{3, 4} {
			if h := p.paths[0].Hops[ttl-1]; h.Balance != probe.BalancePerPacket {
				t.Errorf("hop %d: balanced %v", ttl, h.Balance)
			}
		}
	})
}

// The path MTU and who set it come out of the same run.
func TestPathMTU(t *testing.T) {
	cases := map[string]struct {
		link  lab.Link
		mtu   int
		hole  bool
		named bool
	}{
		"as large as the link": {lab.Link{}, 1500, false, false},
		"named":                {lab.Link{MTU: 1400}, 1400, false, true},
		"a black hole":         {lab.Link{MTU: 1400, BlackHole: true}, 1400, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
				topo := line(5, 5*ms)
				topo.Hops[2].Out.MTU, topo.Hops[2].Out.BlackHole = c.link.MTU, c.link.BlackHole
				topo.Hosts[0].TCP = nil // a refusal acknowledges the data of a large SYN
				rehearsed := func(t *testing.T, p *rehearsal) {
					path := p.paths[0]
					if path.MTU == nil || path.MTU.MTU != c.mtu || path.MTU.BlackHole != c.hole || path.MTU.From.IsValid() != c.named {
						t.Fatalf("path MTU %+v", path.MTU)
					}
					if (c.hole || c.named) && path.MTUHop != 3 {
						t.Errorf("the limit is at hop %d", path.MTUHop)
					}
					if want := netip.MustParseAddr(hopOf(3, addr)); c.named && path.MTU.From != want {
						t.Errorf("named by %v", path.MTU.From)
					}
					for _, h := range path.Hops {
						want := 1500
						if h.TTL > 3 {
							want = c.mtu
						}
						if h.MTU != want {
							t.Errorf("hop %d has MTU %d", h.TTL, h.MTU)
						}
					}
				}
				rehearse(t, topo, Config{Targets: targets(addr), Proto: proto, MTU: true}, rehearsed)
			})
		})
	}
}

// Hops that answer six at once and then one a second lose nothing.
func TestLimitedHopsLoseNothing(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		topo := line(6, 5*ms)
		for i := range topo.Hops {
			topo.Hops[i].RateLimit = lab.RateLimit{PerSecond: 1, Burst: 6}
		}
		rehearse(t, topo, Config{Targets: targets(addr), Proto: proto, Count: 10}, func(t *testing.T, p *rehearsal) {
			for _, h := range p.paths[0].Hops[:6] {
				if h.Loss == nil || h.Loss.Kind != probe.RateLimited || h.Loss.Rate < 0.8 || h.Loss.Rate > 1.2 {
					t.Errorf("hop %d: %+v", h.TTL, h.Loss)
				}
			}
			if end := p.paths[0].Hops[6]; end.Loss == nil || end.Loss.Kind != probe.NoLoss {
				t.Errorf("target: %+v", end.Loss)
			}
		})
	})
}

// Loss that begins at a hop and goes on to the target is that of the path.
func TestPathLoss(t *testing.T) {
	topo := line(6, 5*ms)
	topo.Hops[2].Out.Loss = 0.2
	topo.Seed = 5
	rehearse(t, topo, Config{Targets: targets(target4), Count: 20}, func(t *testing.T, p *rehearsal) {
		for _, h := range p.paths[0].Hops {
			if h.Loss != nil && (h.Loss.Kind == probe.PathLoss) != (h.TTL == 4) {
				t.Errorf("hop %d: %+v", h.TTL, h.Loss)
			}
		}
		if l := p.paths[0].Hops[3].Loss; l == nil || l.Percent < 10 || l.Percent > 32 {
			t.Errorf("hop 4: %+v", l)
		}
	})
}
