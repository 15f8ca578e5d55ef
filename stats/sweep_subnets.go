package stats

import (
	"maps"
	"net/netip"
	"slices"
)

// maxSubnets bounds how many subnets are told apart: about 100 MB.
const maxSubnets = 1 << 20

// Subnet counts the hosts of one subnet by state.
type Subnet struct {
	Prefix netip.Prefix // invalid for the hosts that are in none of the others
	counts [len(hostStateNames)]uint64
}

// Count returns how many hosts of the subnet are in that state.
func (n *Subnet) Count(s HostState) uint64 { return n.counts[s] }

// Hosts returns how many hosts of the subnet were counted.
func (n *Subnet) Hosts() uint64 {
	var all uint64
	for _, c := range n.counts {
		all += c
	}
	return all
}

// subnets counts hosts by subnet.
type subnets struct {
	bits4, bits6 int
	list         map[netip.Prefix]*Subnet
	others       Subnet // hosts of another family, without address, or beyond maxSubnets
}

func (n *subnets) wanted() bool { return n.bits4 > 0 || n.bits6 > 0 }

func (n *subnets) add(a netip.Addr, s HostState) {
	if n.wanted() {
		n.of(a).counts[s]++
	}
}

// of returns the row of the subnet of a.
func (n *subnets) of(a netip.Addr) *Subnet {
	bits := n.bits6
	if a.Is4() {
		bits = n.bits4
	}
	if !a.IsValid() || bits <= 0 {
		return &n.others
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return &n.others
	}
	if s := n.list[p]; s != nil {
		return s
	}
	if len(n.list) == maxSubnets {
		return &n.others
	}
	if n.list == nil {
		n.list = make(map[netip.Prefix]*Subnet)
	}
	s := &Subnet{Prefix: p}
	n.list[p] = s
	return s
}

func (n *subnets) sorted() []*Subnet {
	rows := slices.SortedFunc(maps.Values(n.list), func(a, b *Subnet) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	if n.others.Hosts() > 0 {
		rows = append(rows, &n.others)
	}
	return rows
}
