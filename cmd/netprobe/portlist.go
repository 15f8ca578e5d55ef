package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"netprobe/ports"
	"netprobe/udpprobe/payload"
)

// port is a port as the user wrote it.
type port struct {
	n    uint16
	text string
}

// maxPorts is the most ports one list of a verb may have that asks all of them
// again and again.
const maxPorts = 1024

// parsePorts reads a list of ports of proto, in its order; what is there twice
// counts once. Errors are of type *ports.Error.
func parsePorts(proto ports.Proto, list string) ([]port, error) {
	var all []port
	seen := map[uint16]bool{}
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" && strings.TrimSpace(list) != "" {
			return nil, &ports.Error{Text: "an item of the list of ports is empty", Hint: "one comma between two ports: 22,80"}
		}
		some, err := parsePortItem(proto, item)
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			if !seen[p.n] {
				seen[p.n] = true
				all = append(all, p)
			}
		}
		if len(all) > maxPorts {
			return nil, &ports.Error{
				Text: fmt.Sprintf("more than %d ports", maxPorts),
				Hint: "scan asks any number of ports, each until it has answered: netprobe scan HOST -p " + strconv.Quote(list[:min(len(list), 40)]),
			}
		}
	}
	return all, nil
}

// parsePortItem reads an item of a list. The name of a service stays as it is.
func parsePortItem(proto ports.Proto, item string) ([]port, error) {
	if p := payload.ByName(item); proto == ports.UDP && p != nil {
		return []port{{p.Ports[0], item}}, nil // not all of them are names of services
	}
	list, err := ports.Parse(item, proto)
	if err != nil {
		if n, ok := systemPort(proto, item); ok {
			return []port{{n, item}}, nil
		}
		return nil, err
	}
	some := make([]port, len(list))
	for i, p := range list {
		if p.Proto != proto {
			return nil, &ports.Error{
				Text: fmt.Sprintf("%v is a port of %v", p, p.Proto),
				Hint: fmt.Sprintf("ports of %v are asked by netprobe %[1]v", p.Proto),
			}
		}
		some[i] = port{p.Number, strconv.Itoa(int(p.Number))}
	}
	if _, named := ports.Lookup(item, proto); named {
		some[0].text = item
	}
	return some, nil
}

// systemPort is the port of a service that this system alone knows (services(5)).
func systemPort(proto ports.Proto, name string) (uint16, bool) {
	if strings.Trim(name, "0123456789") == "" {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := net.DefaultResolver.LookupPort(ctx, proto.String(), name)
	return uint16(n), err == nil && n > 0
}

// parsePort reads one port of proto. The error says what is allowed.
func parsePort(proto ports.Proto, text string) (uint16, error) {
	list, err := parsePorts(proto, text)
	if err != nil || len(list) > 1 {
		return 0, errors.New("a port is a number from 1 to 65535, or a service such as https")
	}
	return list[0].n, nil
}
