package lab

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// segment is a router, or a section of parallel ways.
type segment struct {
	hop   *hop // nil: a section
	ways  [][]segment
	span  []uint64           // paths through each way
	leads map[netip.Addr]int // the way on which a hop with this address is
	salt  uint64             // of this section's choices
	drawn *rand.Rand         // per packet; nil: by flow
}

// course is one path through the network. Its nodes are shared by all of them.
type course struct {
	links []*link // links[i] leads to hops[i]; the last one to the hosts
	hops  []*hop
}

// builder makes the nodes of a network.
type builder struct {
	seed   uint64
	stream uint64
	salts  uint64
}

// ownChance is where the streams of what is drawn per packet begin, far from
// those of the wires.
const ownChance = 1 << 32

// chance returns chance of its own. Every wire has its own, so that one more
// lossy link does not change what happens on the others.
func (b *builder) chance() *rand.Rand {
	b.stream++
	return rand.New(rand.NewPCG(b.seed, b.stream))
}

func (b *builder) link(out, back Link) link {
	return link{{Link: out, chance: b.chance(), plain: out.plain()}, {Link: back, chance: b.chance(), plain: back.plain()}}
}

// segments makes a chain, and tells how many paths lead through it.
func (b *builder) segments(hops []Hop) (chain []segment, paths uint64) {
	paths = 1
	for i := range hops {
		h := &hops[i]
		if h.Ways == nil {
			chain = append(chain, segment{hop: newHop(h, b.link(h.Out, h.Back))})
			continue
		}
		x, n := b.section(h)
		chain = append(chain, x)
		paths *= n
	}
	return chain, paths
}

func (b *builder) section(h *Hop) (x segment, paths uint64) {
	b.salts++
	x.salt = b.salts
	x.leads = make(map[netip.Addr]int)
	if h.PerPacket {
		x.drawn = rand.New(rand.NewPCG(b.seed, ownChance+x.salt))
	}
	for i, way := range h.Ways {
		chain, n := b.segments(way)
		x.ways, x.span = append(x.ways, chain), append(x.span, n)
		paths += n
		for a := range addresses(way) {
			if _, ok := x.leads[a]; !ok {
				x.leads[a] = i
			}
		}
	}
	return x, paths
}

// addresses yields the addresses of all hops of a chain.
func addresses(hops []Hop) func(yield func(netip.Addr) bool) {
	return func(yield func(netip.Addr) bool) {
		for i := range hops {
			for _, a := range hops[i].Addrs {
				if !yield(a) {
					return
				}
			}
			for _, way := range hops[i].Ways {
				for a := range addresses(way) {
					if !yield(a) {
						return
					}
				}
			}
		}
	}
}

// routeOf draws the route of a packet that leaves the prober. Everything is
// drawn at once, wherever the packet will get to, so that what is lost on one
// link leaves the choices for others alone.
func (s *sim) routeOf(p *Packet) *course {
	if s.only != nil {
		return s.only
	}
	s.walk = s.walk[:0]
	index := s.draw(s.chain, p, flowOf(p))
	r := s.routes[index]
	if r == nil {
		r = s.newRoute(s.walk)
		s.routes[index] = r
	}
	return r
}

// draw appends the hops of a chain that p will pass to s.walk, and returns the
// number of that path among all through the chain.
func (s *sim) draw(chain []segment, p *Packet, flow uint64) (index uint64) {
	for i := range chain {
		x := &chain[i]
		if x.hop != nil {
			s.walk = append(s.walk, x.hop)
			continue
		}
		var before, all uint64
		way := x.choose(p, flow, s.topo.Seed)
		for j, n := range x.span {
			if j < way {
				before += n
			}
			all += n
		}
		index = index*all + before + s.draw(x.ways[way], p, flow)
	}
	return index
}

// choose returns the way for p through a section.
func (x *segment) choose(p *Packet, flow, seed uint64) int {
	if x.drawn != nil {
		// Drawn even if it is not needed: a probe to a hop changes nothing for others.
		n := x.drawn.IntN(len(x.ways))
		if way, ok := x.leads[p.Dst]; ok {
			return way
		}
		return n
	}
	if way, ok := x.leads[p.Dst]; ok {
		return way
	}
	mixed := rand.NewPCG(flow^seed, x.salt).Uint64()
	return int(mixed % uint64(len(x.ways)))
}

func (s *sim) newRoute(hops []*hop) *course {
	r := &course{links: []*link{&s.first}, hops: append([]*hop(nil), hops...)}
	for _, h := range r.hops {
		r.links = append(r.links, &h.link)
	}
	return r
}

// flowOf returns a hash of what load balancers take for a flow.
func flowOf(p *Packet) uint64 {
	var buf [64]byte
	b := append(buf[:0], p.proto)
	b = append(append(b, p.Src.AsSlice()...), p.Dst.AsSlice()...)
	if p.Raw[0]>>4 == 6 {
		b = append(b, p.Raw[1]&0x0f, p.Raw[2], p.Raw[3])
	}
	switch p.Kind {
	case UDP, TCP:
		b = binary.BigEndian.AppendUint16(b, p.ID)
		b = binary.BigEndian.AppendUint16(b, p.Seq)
	case EchoRequest, EchoReply:
		b = append(b, p.Raw[p.l4:p.l4+6]...) // type, code, checksum, identifier
	}
	// FNV-1a, which needs no state of its own.
	h := uint64(0xcbf29ce484222325)
	for _, x := range b {
		h = (h ^ uint64(x)) * 0x100000001b3
	}
	return h
}
