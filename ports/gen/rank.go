package main

import (
	"cmp"
	"slices"
)

// most is how many ports of a transport are ranked at most.
const most = 1000

// registryURL documents what comes from IANA.
const registryURL = "https://www.iana.org/assignments/service-names-port-numbers/"

// place is one line of the published list.
type place struct {
	port                        int
	service, provenance, source string
}

func byPort(a, b service) int {
	return cmp.Or(a.port-b.port, a.proto-b.proto, a.rank-b.rank)
}

func byRank(a, b service) int {
	return cmp.Or(a.rank-b.rank, a.port-b.port)
}

// rank orders the ports of a transport, those first that are met most in
// infrastructure. Nothing in it was counted on the Internet, and it does not claim
// to be what is open most often. In this order:
//
//  1. what infrastructure.csv lists, by its rank, then by number;
//  2. what the registry assigns of the system ports, 1 to 1023 (RFC 6335, section 6), by number;
//  3. of the user ports, 1024 to 49151:
//     a. what an RFC specifies, by the registry's reference, by number;
//     b. what is assigned for this transport alone, by number. Until RFC 6335
//     (2011) a registration got both, used or not; where one was asked for, the
//     service is known to speak it.
func rank(in *inputs, proto int) []place {
	var places []place
	seen := map[int]bool{}
	add := func(p place) {
		if !seen[p.port] && len(places) < most {
			seen[p.port] = true
			places = append(places, p)
		}
	}
	for _, s := range infrastructure(in, proto) {
		add(place{s.port, s.name, "infrastructure", s.source})
	}
	for _, chosen := range []func(a assignment) bool{
		func(a assignment) bool { return a.port < 1024 },
		func(a assignment) bool { return a.port < 49152 && a.rfc != "" },
		func(a assignment) bool { return a.port < 49152 && !in.assigned(1-proto, a.port) },
	} {
		for _, a := range in.registry {
			if a.in[proto] && chosen(a) {
				source := registryURL
				if a.rfc != "" {
					source = "https://www.rfc-editor.org/rfc/rfc" + a.rfc
				}
				add(place{a.port, in.primary(proto, a.port), "iana", source})
			}
		}
	}
	return places
}

// infrastructure returns the services of a transport by rank.
func infrastructure(in *inputs, proto int) []service {
	var own []service
	for _, s := range in.services {
		if s.proto == proto {
			own = append(own, s)
		}
	}
	slices.SortStableFunc(own, byRank)
	return own
}

// primary returns the registry's first name of a port.
func (in *inputs) primary(proto, port int) string {
	for _, a := range in.at(port) {
		if a.in[proto] {
			return a.name
		}
	}
	return ""
}

func (in *inputs) assigned(proto, port int) bool { return in.primary(proto, port) != "" }

// at returns the registry's rows of a port.
func (in *inputs) at(port int) []assignment {
	by := func(a assignment, port int) int { return a.port - port }
	first, _ := slices.BinarySearchFunc(in.registry, port, by)
	last, _ := slices.BinarySearchFunc(in.registry, port+1, by)
	return in.registry[first:last]
}
