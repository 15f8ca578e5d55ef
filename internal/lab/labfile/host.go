package labfile

import (
	"net/netip"
	"slices"

	"go.yaml.in/yaml/v3"

	"netprobe/internal/lab"
)

func (d *decoder) hosts(n *yaml.Node, f *File) {
	d.sequence(n, "hosts", maxHosts, func(n *yaml.Node) {
		h, name := d.host(n)
		f.Topology.Hosts = append(f.Topology.Hosts, h)
		if name != "" && !slices.Contains(f.Targets, name) {
			f.Targets = append(f.Targets, name)
		}
	})
}

// host reads a host and its name, which may be empty.
func (d *decoder) host(n *yaml.Node) (h lab.Host, name string) {
	var l link
	links, settle := d.linkFields(&l)
	d.table(n, fields{
		"name":   func(n *yaml.Node) { name = d.hostName(n) },
		"addr":   func(n *yaml.Node) { h.At = d.prefixes(n) },
		"silent": func(n *yaml.Node) { h.Silent = d.truth(n) },
		"slow":   func(n *yaml.Node) { h.Delay = d.duration(n) },
		"ttl":    func(n *yaml.Node) { h.TTL = uint8(d.number(n, 1, 255)) },
		"limit":  func(n *yaml.Node) { h.RateLimit = d.limit(n) },
		"tcp":    func(n *yaml.Node) { h.TCP = d.ports(n) },
		"udp":    func(n *yaml.Node) { h.UDP = d.ports(n) },
		"drop":   func(n *yaml.Node) { h.Drop = d.filter(n) },
		"quote":  func(n *yaml.Node) { h.Quote = d.quote(n) },
		"error":  func(n *yaml.Node) { h.Error = choice(d, n, icmpErrors) },
	}.add(links))
	settle()
	h.Out, h.Back = l.out, l.back
	if h.At == nil {
		d.fail(n, "a host without addr")
	}
	if name != "" {
		d.named(n, name, single(h.At))
		if len(single(h.At)) == 0 {
			d.fail(n, "%s has no address of its own, only prefixes", name)
		}
	}
	return h, name
}

// single returns the addresses among prefixes.
func single(prefixes []netip.Prefix) []netip.Addr {
	var list []netip.Addr
	for _, p := range prefixes {
		if p.IsSingleIP() {
			list = append(list, p.Addr())
		}
	}
	return list
}
