package labfile

import (
	"net/netip"
	"time"

	"netprobe/internal/lab"
)

// Path is how far the first host of a file is: over the shortest and the longest
// way, and over the fastest and the slowest.
type Path struct {
	Least, Most      int           // TTLs that reach it
	Fastest, Slowest time.Duration // there and back, without jitter and what hosts take
}

// Path returns the path to the first host.
func (f *File) Path() Path {
	t := &f.Topology
	p := Path{Least: 1, Most: 1}
	p.link(t.Out, t.Back)
	p.way(t.Hops)
	if len(t.Hosts) > 0 {
		p.link(t.Hosts[0].Out, t.Hosts[0].Back)
		p.Fastest += t.Hosts[0].Delay
		p.Slowest += t.Hosts[0].Delay
	}
	return p
}

func (p *Path) link(out, back lab.Link) {
	p.Fastest += out.Delay + back.Delay
	p.Slowest += out.Delay + back.Delay
}

func (p *Path) way(hops []lab.Hop) {
	for _, h := range hops {
		if h.Ways == nil {
			p.Least++
			p.Most++
			p.link(h.Out, h.Back)
			continue
		}
		var all Path
		for i, w := range h.Ways {
			var one Path
			one.way(w)
			if i == 0 {
				all = one
			}
			all = Path{min(all.Least, one.Least), max(all.Most, one.Most), min(all.Fastest, one.Fastest), max(all.Slowest, one.Slowest)}
		}
		p.Least += all.Least
		p.Most += all.Most
		p.Fastest += all.Fastest
		p.Slowest += all.Slowest
	}
}

// Addrs returns the addresses that have a name, in no order.
func (f *File) Addrs(name string) []netip.Addr {
	var list []netip.Addr
	for a, n := range f.Topology.Names {
		if n == name {
			list = append(list, a)
		}
	}
	return list
}

// Prober returns the addresses of the prober.
func (f *File) Prober() []netip.Addr {
	if f.Topology.Prober != nil {
		return f.Topology.Prober
	}
	return lab.Addrs("192.0.2.1", "2001:db8::1")
}
