package lab

import (
	"net/netip"
	"time"
)

// Lab is a network with a real kernel at the prober's end. Its embedded
// Namespace is the prober's own.
type Lab struct {
	*Namespace
	Far *Namespace // where the real kernel of the other end lives; nil if no host has one

	sim   *sim // nil for a pair
	close func() error
	t     TB
}

// Start starts the network with a real kernel at the prober's end, on Linux.
// Close must be called. Tests use the function Start.
func (t Topology) Start() (*Lab, error) { return startTopology(&t) }

// Veth is a network without a simulator: two namespaces joined by a veth pair.
// The zero value has 192.0.2.1/24 and 2001:db8::1/64 at the near end, .2 and
// ::2 at the far one.
type Veth struct {
	Near, Far  []netip.Prefix // addresses of the ends; nil means the defaults
	Serve      []netip.Prefix // more prefixes, every address of which the far end answers for
	MTU        int            // bytes; 0 means 1500
	Neighbours bool           // the ends know each other's link-layer address: no ARP, no neighbour discovery
}

// Start starts the network, on Linux. Close must be called. Tests use Pair.
func (v Veth) Start() (*Lab, error) { return startVeth(v) }

// Log returns what the simulator did; nil if there is none.
func (l *Lab) Log() *Log {
	if l.sim == nil {
		return nil
	}
	return l.sim.log
}

// Storm is Memory.Storm. Without a simulator it does nothing.
func (l *Lab) Storm(perSecond int, d time.Duration) {
	if l.sim != nil {
		l.sim.storm(perSecond, d)
	}
}

// Close ends the network. Sockets that are still open inside keep their
// namespace, cut off from everything.
func (l *Lab) Close() error { return l.close() }

// everything returns the default route of each family that addrs have.
func everything(addrs []netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for _, a := range addrs {
		p, err := a.Prefix(0)
		if err == nil {
			list = append(list, p)
		}
	}
	return list
}
