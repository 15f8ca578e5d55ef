package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"netprobe/ports"
	"netprobe/probe"
)

// parseEndpoints reads the arguments of a verb that asks ports: HOST:PORT each,
// or, if the first one has no port, one HOST and the ports of it. PORT may be a
// list, as in 22,https,8000-8003; each of them makes a host, named HOST:PORT.
func (f *runFlags) parseEndpoints(cmd *cobra.Command, proto ports.Proto, args []string) ([]probe.Host, error) {
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
		host, list, hasPort := cutPort(arg)
		if !hasPort {
			return nil, usage(portMissing(proto, args[0], arg), "%q has no port, and %q has one", arg, args[0])
		}
		hosts, err := f.parseEndpoint(proto, arg, host, list)
		if err != nil {
			return nil, err
		}
		all = append(all, hosts...)
	}
	return all, nil
}

// parsePortsOf reads the ports in args[1:] of the host args[0].
func (f *runFlags) parsePortsOf(verb string, proto ports.Proto, host string, args []string) ([]probe.Host, error) {
	if _, err := f.parseHost(host); err != nil {
		return nil, err
	}
	if len(args) == 1 {
		hint := fmt.Sprintf("as in netprobe %s %s, or with a service: %s", verb, joinPort(host, "443"), joinPort(host, "https"))
		return nil, usage(hint, "%q has no port", args[0])
	}
	var all []probe.Host
	for _, list := range args[1:] {
		if name, _, hasPort := cutPort(list); hasPort && name != "" && !isPorts(proto, list) {
			return nil, usage(fmt.Sprintf("either HOST:PORT each, as in %s %s, or one HOST and its ports", joinPort(host, "443"), list),
				"%q has a port, and %q has none", list, args[0])
		}
		hosts, err := f.parseEndpoint(proto, list, host, list)
		if err != nil {
			return nil, err
		}
		all = append(all, hosts...)
	}
	return all, nil
}

// portMissing says what may have been meant by arg, which has no port, behind first.
func portMissing(proto ports.Proto, first, arg string) string {
	if isPorts(proto, arg) {
		host, list, _ := cutPort(first)
		return fmt.Sprintf("several ports of one host: %s, or %s %s %s", joinPort(host, list+","+arg), host, list, arg)
	}
	return "give each host a port, as in " + joinPort(arg, "443")
}

// isPorts reports whether text is a list of ports.
func isPorts(proto ports.Proto, text string) bool {
	_, err := parsePorts(proto, text)
	return err == nil
}

// parseEndpoint reads host and its ports, as they stand in arg.
func (f *runFlags) parseEndpoint(proto ports.Proto, arg, host, list string) ([]probe.Host, error) {
	if strings.Contains(arg, "://") {
		return nil, usage("give host and port alone, without scheme and path, as in example.com:443", "%q is a URL", arg)
	}
	h, err := f.parseHost(host)
	if err != nil {
		return nil, err
	}
	parsed, err := parsePorts(proto, list)
	if err != nil {
		return nil, badPorts(strconv.Quote(arg), err)
	}
	var hosts []probe.Host
	for _, p := range parsed {
		h.Name, h.Port = joinPort(host, p.text), p.n
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// cutPort cuts HOST:PORT, where HOST may be [an IPv6 address]. What has two
// colons or more without brackets is such an address and has no port, unless it
// is none and ports have one: HOST:top:10.
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
	if _, err := netip.ParseAddr(arg); err != nil {
		host, list, _ := strings.Cut(arg, ":")
		if _, err := ports.Parse(list, ports.TCP); err == nil {
			return host, list, true
		}
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
