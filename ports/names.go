package ports

import (
	"slices"
	"strings"
	"sync"
)

// Name returns the name of the service a port is for: that of infrastructure which
// listens there by default, else the registry's first, as it is written there.
// It is empty if there is none. It is what a port is meant for, not what was found.
func Name(p Port) string {
	t := data()
	if name, ok := t.named[p]; ok {
		return name
	}
	i, _ := slices.BinarySearchFunc(t.registry, p.Number, func(a assignment, n uint16) int { return int(a.number) - int(n) })
	for ; i < len(t.registry) && t.registry[i].number == p.Number; i++ {
		if t.registry[i].in[p.Proto] {
			return t.registry[i].name
		}
	}
	return ""
}

// Lookup returns the number of a service, by its name or an alias, without regard to
// case (RFC 6335, section 5.1). Of a name that several ports have, infrastructure
// comes first, then the lowest port that has it as its first name, then the lowest.
func Lookup(name string, proto Proto) (uint16, bool) {
	n, ok := numbers()[proto][strings.ToLower(name)]
	return n, ok
}

// numbers are all names in lower case.
var numbers = sync.OnceValue(func() [protos]map[string]uint16 {
	t := data()
	var all [protos]map[string]uint16
	for proto := range all {
		all[proto] = make(map[string]uint16, len(t.registry)+2*len(t.services))
	}
	add := func(proto Proto, name string, n uint16) {
		name = strings.ToLower(name)
		if _, ok := all[proto][name]; !ok {
			all[proto][name] = n
		}
	}
	for _, s := range t.services {
		for _, name := range s.names {
			add(s.port.Proto, name, s.port.Number)
		}
	}
	var before [protos]uint16 // the port whose first name was met last
	for _, a := range t.registry {
		for proto := range all {
			if a.in[proto] && before[proto] != a.number {
				before[proto] = a.number
				add(Proto(proto), a.name, a.number)
			}
		}
	}
	for _, a := range t.registry {
		for proto := range all {
			if a.in[proto] {
				add(Proto(proto), a.name, a.number)
			}
		}
	}
	return all
})
