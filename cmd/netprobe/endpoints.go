package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"netprobe/probe"
)

// parseEndpoints reads the arguments of a verb that asks ports: HOST:PORT each,
// or, if the first one has no port, one HOST and the ports of it. PORT may be a
// list, as in 22,https,8000-8003; each of them makes a host, named HOST:PORT.
func (f *runFlags) parseEndpoints(cmd *cobra.Command, proto string, args []string) ([]probe.Host, error) {
	verb := cmd.Name()
	if len(args) == 0 {
		return nil, usage(fmt.Sprintf("as in netprobe %s 192.0.2.1:443; see netprobe help %s", verb, verb), "%s needs a host and a port", verb)
	}
	first, _, hasPort := cutPort(args[0])
	if !hasPort {
		return f.parsePortsOf(verb, proto, first, args)
	}
	var all []probe.Host
	for _, arg := range args {
		host, ports, hasPort := cutPort(arg)
		if !hasPort {
			return nil, usage(portMissing(args[0], arg), "%q has no port, and %q has one", arg, args[0])
		}
		hosts, err := f.parseEndpoint(proto, arg, host, ports)
		if err != nil {
			return nil, err
		}
		all = append(all, hosts...)
	}
	return all, nil
}

// parsePortsOf reads the ports in args[1:] of the host args[0].
func (f *runFlags) parsePortsOf(verb, proto, host string, args []string) ([]probe.Host, error) {
	if _, err := f.parseHost(host); err != nil {
		return nil, err
	}
	if len(args) == 1 {
		hint := fmt.Sprintf("as in netprobe %s %s, or with a service: %s", verb, joinPort(host, "443"), joinPort(host, "https"))
		return nil, usage(hint, "%q has no port", args[0])
	}
	var all []probe.Host
	for _, ports := range args[1:] {
		if name, _, hasPort := cutPort(ports); hasPort && name != "" {
			return nil, usage(fmt.Sprintf("either HOST:PORT each, as in %s %s, or one HOST and its ports", joinPort(host, "443"), ports),
				"%q has a port, and %q has none", ports, args[0])
		}
		hosts, err := f.parseEndpoint(proto, ports, host, ports)
		if err != nil {
			return nil, err
		}
		all = append(all, hosts...)
	}
	return all, nil
}

// portMissing says what may have been meant by arg, which has no port, behind first.
func portMissing(first, arg string) string {
	if _, err := parsePorts("tcp", arg); err == nil {
		host, ports, _ := cutPort(first)
		return fmt.Sprintf("several ports of one host: %s, or %s %s %s", joinPort(host, ports+","+arg), host, ports, arg)
	}
	return "give each host a port, as in " + joinPort(arg, "443")
}

// parseEndpoint reads host and its ports, as they stand in arg.
func (f *runFlags) parseEndpoint(proto, arg, host, ports string) ([]probe.Host, error) {
	if strings.Contains(arg, "://") {
		return nil, usage("give host and port alone, without scheme and path, as in example.com:443", "%q is a URL", arg)
	}
	h, err := f.parseHost(host)
	if err != nil {
		return nil, err
	}
	list, err := parsePorts(proto, ports)
	if err != nil {
		return nil, usage(err.Error(), "%q: %q is not a port", arg, ports)
	}
	var hosts []probe.Host
	for _, p := range list {
		h.Name, h.Port = joinPort(host, p.text), p.n
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// cutPort cuts HOST:PORT, where HOST may be [an IPv6 address]. What has two
// colons or more without brackets is such an address and has no port.
func cutPort(arg string) (host, port string, ok bool) {
	if strings.HasPrefix(arg, "[") {
		if inner, rest, closed := strings.Cut(arg, "]"); closed && strings.HasPrefix(rest, ":") {
			return inner + "]", rest[1:], true
		}
		return arg, "", false
	}
	if strings.Count(arg, ":") == 1 || strings.Contains(arg, "://") {
		return strings.Cut(arg, ":")
	}
	return arg, "", false
}

// joinPort joins what cutPort cuts.
func joinPort(host, port string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// port is a port as the user wrote it.
type port struct {
	n    uint16
	text string
}

// parsePorts reads numbers, services and ranges of numbers with commas between
// them, in their order; what is there twice counts once.
func parsePorts(proto, list string) ([]port, error) {
	var ports []port
	seen := map[uint16]bool{}
	add := func(n uint16, text string) {
		if !seen[n] {
			seen[n] = true
			ports = append(ports, port{n, text})
		}
	}
	for item := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange || strings.Trim(first+last, "0123456789") != "" {
			n, err := parsePort(proto, item)
			if err != nil {
				return nil, err
			}
			add(n, item)
			continue
		}
		from, err := parsePort(proto, first)
		if err != nil {
			return nil, err
		}
		to, err := parsePort(proto, last)
		if err != nil {
			return nil, err
		}
		if from > to {
			return nil, fmt.Errorf("a range starts with its lower end, as in %d-%d", to, from)
		}
		for n := int(from); n <= int(to); n++ {
			add(uint16(n), strconv.Itoa(n))
		}
	}
	return ports, nil
}
