package labfile

import (
	"net/netip"

	"go.yaml.in/yaml/v3"

	"netprobe/internal/lab"
)

// named remembers that addresses have a name.
func (d *decoder) named(n *yaml.Node, name string, addrs []netip.Addr) {
	for _, a := range addrs {
		if old, ok := d.names[a]; ok && old != name && name != "" {
			d.fail(n, "%v is %s already", a, old)
		}
		if name != "" && a.IsValid() {
			d.names[a] = name
		}
	}
}

// top reads a whole file.
func (d *decoder) top(n *yaml.Node, f *File) {
	t := &f.Topology
	var entries []entry
	d.table(n, fields{
		"about":  func(n *yaml.Node) { f.About = d.line(n) },
		"seed":   func(n *yaml.Node) { t.Seed = d.number(n, 0, 1<<63) },
		"prober": func(n *yaml.Node) { t.Prober = d.prober(n) },
		"hops":   func(n *yaml.Node) { entries = d.way(n) },
		"hosts":  func(n *yaml.Node) { d.hosts(n, f) },
	})
	if t.Hosts == nil {
		d.failHint(n, "as in hosts: [{name: server.lab, addr: 203.0.113.10}]", "no hosts")
	}
	// The links behind the last hops stay as they are: hosts have their own.
	t.Hops, _ = build(entries, []exit{{&t.Out, &t.Back}})
	t.Names = d.names
}

func (d *decoder) prober(n *yaml.Node) []netip.Addr {
	var name string
	var addrs []netip.Addr
	d.table(n, fields{
		"name": func(n *yaml.Node) { name = d.hostName(n) },
		"addr": func(n *yaml.Node) { addrs = d.addrs(n) },
	})
	d.named(n, name, addrs)
	return addrs
}

// way reads a list of hops.
func (d *decoder) way(n *yaml.Node) []entry {
	var list []entry
	d.sequence(n, "hops", maxHops, func(n *yaml.Node) {
		if d.hops++; d.hops > maxHops*maxWays {
			d.fail(n, "too many hops")
			return
		}
		list = append(list, d.hop(n))
	})
	return list
}

// hop reads a router, or a section of parallel ways.
func (d *decoder) hop(n *yaml.Node) entry {
	var e entry
	h := &e.hop
	var name string
	var section, balance, router *yaml.Node // the value of a key, the last one of a router
	f := fields{
		"name":      func(n *yaml.Node) { name = d.hostName(n) },
		"addr":      func(n *yaml.Node) { h.Addrs = d.addrs(n) },
		"silent":    func(n *yaml.Node) { h.Silent = d.truth(n) },
		"slow":      func(n *yaml.Node) { h.Delay = d.duration(n) },
		"limit":     func(n *yaml.Node) { h.RateLimit = d.limit(n) },
		"ttl":       func(n *yaml.Node) { h.TTL = uint8(d.number(n, 1, 255)) },
		"mpls":      func(n *yaml.Node) { h.MPLS = d.labels(n) },
		"interface": func(n *yaml.Node) { d.list(n, func(n *yaml.Node) { h.Interfaces = append(h.Interfaces, d.iface(n)) }) },
		"dscp":      func(n *yaml.Node) { h.TOS = new(uint8(d.number(n, 0, 63) << 2)) },
		"drop":      func(n *yaml.Node) { h.Drop = d.filter(n) },
		"nat":       func(n *yaml.Node) { h.NAT = d.nat(n) },
		"quote":     func(n *yaml.Node) { h.Quote = d.quote(n) },
		"error":     func(n *yaml.Node) { h.Error = choice(d, n, icmpErrors) },
		"for":       func(n *yaml.Node) { h.ErrorFor = d.prefixes(n) },
	}
	for key, set := range f {
		f[key] = func(n *yaml.Node) { router = n; set(n) }
	}
	f["ways"] = func(n *yaml.Node) { section = n; e.ways = d.ways(n) }
	f["balance"] = func(n *yaml.Node) {
		balance = n
		h.PerPacket = choice(d, n, map[string]bool{"flow": false, "packet": true})
	}
	links, settle := d.linkFields(&e.link)
	d.table(n, f.add(links))
	settle()
	switch {
	case section != nil && router != nil:
		d.fail(router, "a section of ways is no router: only a link and balance go with ways")
	case balance != nil && section == nil:
		d.fail(balance, "balance goes with ways")
	case h.Addrs == nil && section == nil && !h.Silent:
		d.failHint(n, "addr: 198.51.100.1, or silent: true", "a hop without an address")
	case h.ErrorFor != nil && h.Error == (lab.ICMPError{}):
		d.fail(n, "for goes with error")
	}
	d.named(n, name, h.Addrs)
	return e
}

// ways reads the parallel ways of a section. All begin at the end of one link,
// so their first hops have none of their own.
func (d *decoder) ways(n *yaml.Node) [][]entry {
	ways := [][]entry{}
	d.sequence(n, "ways", maxWays, func(n *yaml.Node) {
		w := d.way(n)
		if len(w) > 0 && w[0].link.told != nil {
			d.fail(w[0].link.told, "the first hop of a way has no link of its own: it is written beside ways")
		}
		ways = append(ways, w)
	})
	if len(ways) == 0 {
		d.fail(n, "no ways")
	}
	return ways
}

// labels reads an MPLS stack, outermost first: labels alone, or maps.
func (d *decoder) labels(n *yaml.Node) []lab.Label {
	const most = 1<<20 - 1 // RFC 3032
	var stack []lab.Label
	d.list(n, func(n *yaml.Node) {
		l := lab.Label{TTL: 1}
		if n.Kind == yaml.ScalarNode {
			l.Label = uint32(d.number(n, 0, most))
		} else {
			d.table(n, fields{
				"label": func(n *yaml.Node) { l.Label = uint32(d.number(n, 0, most)) },
				"tc":    func(n *yaml.Node) { l.TC = uint8(d.number(n, 0, 7)) },
				"ttl":   func(n *yaml.Node) { l.TTL = uint8(d.number(n, 0, 255)) },
			})
		}
		stack = append(stack, l)
	})
	if len(stack) > 0 {
		stack[len(stack)-1].Bottom = true
	}
	return stack
}

// iface reads what a router tells about an interface (RFC 5837).
func (d *decoder) iface(n *yaml.Node) lab.Interface {
	var i lab.Interface
	d.table(n, fields{
		"role": func(n *yaml.Node) {
			i.Role = choice(d, n, map[string]uint8{"incoming": 0, "sub-ip": 1, "outgoing": 2, "next-hop": 3})
		},
		"index": func(n *yaml.Node) { i.Index = uint32(d.number(n, 1, 1<<32-1)) },
		"addr":  func(n *yaml.Node) { i.Addr = d.addr(n) },
		"name":  func(n *yaml.Node) { i.Name = d.ifaceName(n) },
		"mtu":   func(n *yaml.Node) { i.MTU = int(d.number(n, 68, 1<<31-1)) },
	})
	return i
}

func (d *decoder) ifaceName(n *yaml.Node) string {
	s := d.line(n)
	if s == "" || len(s) > 63 { // RFC 5837 section 4.3
		d.fail(n, "a name of 1 to 63 octets is needed")
	}
	return s
}

func (d *decoder) nat(n *yaml.Node) *lab.NAT {
	t := &lab.NAT{}
	if n.Kind == yaml.ScalarNode {
		if !d.truth(n) {
			return nil
		}
		return t
	}
	d.table(n, fields{
		"addr":      func(n *yaml.Node) { t.Addrs = d.addrs(n) },
		"keep-port": func(n *yaml.Node) { t.KeepPort = d.truth(n) },
		"leave": func(n *yaml.Node) {
			d.flags(n, map[string]*bool{"addr": &t.LeaveAddr, "port": &t.LeavePort, "sum": &t.LeaveSum})
		},
	})
	return t
}

// filter reads what a firewall swallows: a list of protocols, or a map with
// the ports that pass.
func (d *decoder) filter(n *yaml.Node) lab.Filter {
	var f lab.Filter
	protos := func(n *yaml.Node) {
		d.flags(n, map[string]*bool{"icmp": &f.ICMP, "tcp": &f.TCP, "udp": &f.UDP})
	}
	switch n.Kind {
	case yaml.MappingNode:
		d.table(n, fields{
			"proto":  protos,
			"except": func(n *yaml.Node) { f.Except = d.ports(n) },
		})
	default:
		protos(n)
	}
	return f
}

func (d *decoder) quote(n *yaml.Node) lab.Quote {
	var q lab.Quote
	d.table(n, fields{
		"transport":  func(n *yaml.Node) { q.Transport = int(d.number(n, 8, 1280)) },
		"broken-sum": func(n *yaml.Node) { q.BrokenSum = d.truth(n) },
		"no-length":  func(n *yaml.Node) { q.NoLength = d.truth(n) },
	})
	return q
}

// icmpErrors are the errors a file can ask for.
var icmpErrors = map[string]lab.ICMPError{
	"net-unreachable":   lab.NetUnreachable,
	"host-unreachable":  lab.HostUnreachable,
	"proto-unreachable": lab.ProtoUnreachable,
	"port-unreachable":  lab.PortUnreachable,
	"net-prohibited":    lab.NetProhibited,
	"host-prohibited":   lab.HostProhibited,
	"admin-prohibited":  lab.AdminProhibited,
}
