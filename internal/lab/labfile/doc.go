// Package labfile reads the small YAML files in which people write down a
// network of package lab, and holds those that are built in.
//
// A file is a map. The path is a list of hops from the prober outward, and each
// entry describes a router together with the link that leads to it:
//
//	about: a slow second hop          # one line, for the list of networks
//	prober:
//	  addr: [192.0.2.1, 2001:db8::1]  # one per family; these are the default
//	hops:
//	  - name: gw.lab
//	    addr: 192.0.2.254
//	    delay: 500us                  # of the link from the prober, each way
//	  - addr: 198.51.100.1
//	    delay: 20ms                   # of the link between the two routers
//	hosts:
//	  - name: server.lab
//	    addr: 203.0.113.10
//	    tcp: [22, 443]                # ports that answer
//
// Keys of a file: about, seed (of all chance), prober, hops, hosts. Of the
// prober: name, addr.
//
// Keys of a link, in hops and hosts: delay and jitter (20ms), loss, duplicate,
// corrupt and reorder (5% or 0.05), reorder-delay, mtu (bytes), blackhole (what
// is larger than mtu vanishes without a word). They hold in both directions;
// the map back says what is different on the way to the prober.
//
// Keys of a hop:
//
//	name, addr   a host name; one address per family
//	silent       it forwards, and sends nothing of its own
//	limit        of its own packets: 1/s burst 6
//	slow         how long it takes to send one of its own
//	ttl          initial TTL of those, 255 unless given
//	mpls         labels packets arrive with, outermost first: 24017, or {label, tc, ttl}
//	interface    what it tells of its interfaces (RFC 5837): {role, index, name, addr, mtu},
//	             role is incoming, sub-ip, outgoing or next-hop
//	dscp         from 0 to 63: what becomes of that of packets it forwards
//	drop         of icmp, udp and tcp, what it does not forward; or {proto, except},
//	             except being the destination ports that pass
//	nat          true, or {addr, keep-port, leave}: leave is of addr, port and sum what
//	             it does not mend in the packets that ICMP errors quote
//	error, for   an ICMP error instead of forwarding, and for which prefixes
//	quote        how its errors quote: {transport (octets), broken-sum, no-length}
//
// or ways, a list of lists of hops that packets are spread over, with balance
// (flow or packet). The link beside ways leads to all of them.
//
// Keys of a host: name, addr (prefixes too), tcp and udp (ports that answer),
// drop (what its firewall swallows), and silent, slow, ttl, limit, error and
// quote as for a hop.
//
// What surprises: it is a strict subset of YAML. Every key is known or an error
// with its line, and anchors, aliases, tags and merges are errors, so that a
// file never grows while it is read. And a loss of 5% is 5% each way, which a
// ping sees as almost 10%.
package labfile
