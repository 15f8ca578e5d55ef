package payload

import (
	"slices"

	"netprobe/probe"
)

// mdns asks for the PTR records that list what a host announces (RFC 6763,
// section 9). A responder answers a query to its own address, from another port
// than 5353, by unicast, with the query's ID and question (RFC 6762, sections 5.5
// and 6.7).
var mdns = Protocol{
	Name: "mdns", Ports: []uint16{5353},
	ask: func(b []byte, t *Transaction) []byte { return appendQuestion(b, t, 0, services, typePTR) },
	parse: func(reply []byte, t *Transaction) ([]probe.Fact, error) {
		m, err := parseMessage(reply, t, 0, services, typePTR)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, r := range m.records {
			if r.typ != typePTR || len(names) == maxList {
				continue
			}
			if name, ok := readName(reply, r.data); ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		var f facts
		f.list("mdns_services", names)
		if m.rcode() != 0 {
			f.add("mdns_rcode", named(rcodes, m.rcode()))
		}
		return f, nil
	},
}

var services = []string{"_services", "_dns-sd", "_udp", "local"}
