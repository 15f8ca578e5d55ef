package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/trace"
)

// Limits of a trace.
const (
	defaultTraceRate = 5000             // packets per second
	maxTraceCount    = 1000             // probes per hop, which are all kept; --monitor keeps none
	maxPathsFlow     = 1<<16 - 1 - 1023 // --paths may use 1023 flows beyond the first one
	maxPacket        = 1<<16 - 1        // bytes of an IPv4 packet (RFC 791)
	minPacket        = 40               // of IPv4 and TCP headers, bytes
)

// traceFlags are the flags of trace.
type traceFlags struct {
	runFlags

	maxHops, firstHop int

	proto  string // icmp, udp or tcp
	port   int    // 0 for the usual one
	suffix int    // port given with the protocol; 0 if none was
	flow   int    // 0 for a random one
	size   int    // IP packet, bytes; 0 for the usual one
	tos    int
	socket string

	paths      bool
	confidence float64 // percent
	verdict    bool
	mtu        bool
	monitor    bool

	probes   bool
	baseline string

	was     *baseline // what --baseline holds
	adopted bool      // the flow is that of the baseline
}

// define gives cmd its flags.
func (f *traceFlags) define(cmd *cobra.Command) {
	var g flagGroups
	f.reach(g.add("How far, how many and how often"))
	f.ask(g.add("What to find out"))
	way := g.add("Where to and by which way")
	f.family(way)
	f.leave(way)
	f.packet(g.add("The probes"))
	show := g.add("Output")
	f.show(show, output.TraceFormats(), "table on a terminal, else plain")
	onOff(show, &f.probes, "probes", "", "with --json or --out: a record for each probe as well")
	script := g.add("For scripts")
	script.Var(textValue{&f.baseline, "FILE", "the name of a file with records of an earlier trace"}, "baseline",
		"compare with the trace records in `FILE` (--json, --out), by the same protocol, port and flow unless given: exit 1 and name the hop if the path changed, 0 if not")
	f.expect(script)
	g.attach(cmd)
	completeFlags(cmd)
}

// reach defines which TTLs are probed, how often, and how long answers are
// waited for.
func (f *traceFlags) reach(fs *pflag.FlagSet) {
	f.maxHops, f.firstHop, f.rate = 30, 1, defaultTraceRate
	fs.VarP(intValue{&f.maxHops, 1, 255}, "max-hops", "m", "last TTL or hop limit to try")
	fs.Var(intValue{&f.firstHop, 1, 255}, "first-hop", "first TTL to try")
	fs.VarP(intValue{&f.count, 1, math.MaxInt32}, "count", "c", "probes per hop (default 3); with --monitor rounds (default until stopped)")
	hideZero(fs, "count")
	fs.VarP(hinted{durationValue{&f.interval, time.Millisecond, year}, nameHint("an interface goes with -I")}, "interval", "i",
		"time between rounds beyond the third (default 100ms), or those of --monitor (default 1s)")
	hideZero(fs, "interval")
	fs.VarP(durationValue{&f.timeout, time.Millisecond, year}, "timeout", "W", "how long one probe may take before it is lost (default by what the path is like)")
	hideZero(fs, "timeout")
	f.limits(fs)
}

// ask defines what is asked beside who is on the path.
func (f *traceFlags) ask(fs *pflag.FlagSet) {
	f.confidence = 95
	onOff(fs, &f.paths, "paths", "", "find every equal-cost path, and whether balancers choose by flow or by packet")
	fs.Var(percentValue{&f.confidence, 50, 99.9}, "confidence", "how sure, in `PERCENT`, that --paths misses no way at a hop")
	onOff(fs, &f.verdict, "verdict", "", "probe hops that lose once more, slower, and say why; also with -c above 3")
	onOff(fs, &f.mtu, "mtu", "", "find the path MTU hop by hop, and black holes")
	onOff(fs, &f.monitor, "monitor", "", "go on round after round, with loss and times for each hop")
}

// packet defines what the probes are.
func (f *traceFlags) packet(fs *pflag.FlagSet) {
	f.proto, f.socket = "icmp", "auto"
	fs.VarP(protoValue{&f.proto, &f.suffix}, "proto", "P", "`PROTO[:PORT]` is icmp, udp or tcp, as in tcp:443; without privileges udp if icmp is not allowed")
	fs.Var(intValue{&f.port, 1, math.MaxUint16}, "port", "destination port of udp (default 33434) and tcp (default 80)")
	hideZero(fs, "port")
	fs.Var(intValue{&f.flow, 0, math.MaxUint16}, "flow", "what load balancers see of all probes: source port, or checksum of icmp, and IPv6 flow label (default random)")
	hideZero(fs, "flow")
	fs.VarP(hinted{intValue{&f.size, minPacket, maxPacket}, nameHint("a source address goes with -S")}, "size", "s", "bytes of the IP packets (default 60, for IPv6 80)")
	hideZero(fs, "size")
	defineTOS(fs, &f.tos)
	defineSocket(fs, &f.socket)
}

var traceConflicts = []conflict{
	{"tos", "dscp", "the codepoint is the upper six bits of the TOS octet"},
	{"mtu", "size", "--mtu chooses the sizes"},
	{"monitor", "paths", "--monitor follows one path; --paths finds all of them, once"},
	{"monitor", "mtu", "--monitor goes on; --mtu is over when it knows"},
	{"monitor", "verdict", "--monitor shows the loss of each hop as it is"},
}

// check finishes the flags after parsing.
func (f *traceFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, traceConflicts); err != nil {
		return err
	}
	if _, err := parseHost(f.iface); f.iface != "" && err == nil && f.checkInterface() != nil {
		return usage("-I takes the interface to leave through; for ICMP, which is the default, -P icmp; "+interfaceHint(), "no interface %q", f.iface)
	}
	if err := f.runFlags.check(fs); err != nil {
		return err
	}
	if f.suffix != 0 && f.port != 0 && f.suffix != f.port {
		return usage("give the port once", "--proto %s:%d and --port %d contradict each other", f.proto, f.suffix, f.port)
	}
	f.port = max(f.port, f.suffix)
	return f.checkRanges()
}

// checkRanges checks what no single flag can know.
func (f *traceFlags) checkRanges() error {
	switch {
	case f.firstHop > f.maxHops:
		return usage("--first-hop is the first TTL to try, --max-hops the last one", "--first-hop %d is beyond --max-hops %d", f.firstHop, f.maxHops)
	case f.confidence != 95 && !f.paths:
		return usage("add --paths, which it is about", "--confidence without --paths")
	case f.probes && f.format != "json" && f.out == "":
		return usage("add --json or --out FILE, where those records go", "--probes without records")
	case f.format == "dot" && f.monitor:
		return usage("leave out --monitor, or show it as a table, plain, json or csv", "--monitor has no drawing")
	case f.count > maxTraceCount && !f.monitor:
		return usage("--monitor goes on for as many rounds as you like", "--count %d is more than %d probes per hop", f.count, maxTraceCount)
	case f.paths && f.flow > maxPathsFlow:
		return usage(fmt.Sprintf("--paths tries other flows from there on: give one up to %d", maxPathsFlow), "--flow %d leaves --paths no room", f.flow)
	}
	return nil
}

// checkProto holds the flags against the protocol, once that is known: the
// baseline may have chosen it.
func (f *traceFlags) checkProto() error {
	switch {
	case f.proto == "icmp" && f.port != 0:
		return usage(fmt.Sprintf("ports go with -P udp or -P tcp, as in -P tcp:%d", f.port), "--port %d, but icmp has no ports", f.port)
	case f.proto == "tcp" && f.socket == "dgram":
		return usage("leave out --socket, which takes privileges for tcp; -P udp needs none", "--socket dgram cannot send tcp")
	}
	return nil
}

// parseHosts reads the hosts, with a word about habits: what is a number after
// a host or after -q would be one for traceroute.
func (f *traceFlags) parseHosts(cmd *cobra.Command, args []string) ([]probe.Host, error) {
	for i, arg := range args {
		if strings.Trim(arg, "0123456789") != "" || arg == "" {
			continue
		}
		switch {
		case i == 0 && f.quiet:
			return nil, usage(fmt.Sprintf("-q is quiet here; probes per hop are -c %s", arg), "%q: not an IP address", arg)
		case i > 0 && i == len(args)-1:
			return nil, usage(fmt.Sprintf("the size of the packets is -s %s", arg), "%q: not an IP address", arg)
		}
	}
	return f.runFlags.parseHosts(cmd, args)
}

var protos = map[string]rawsock.Proto{"icmp": rawsock.ICMP, "udp": rawsock.UDP, "tcp": rawsock.TCP}

// config is what the flags say to the trace engine.
func (f *traceFlags) config(hosts []probe.Host) trace.Config {
	c := trace.Config{
		Targets: expected(hosts),
		Proto:   protos[f.proto], Port: uint16(f.port), TOS: uint8(f.tos), Size: f.size,
		First: uint8(f.firstHop), Max: uint8(f.maxHops),
		Count: f.count, Interval: f.interval, Timeout: f.timeout, Rate: f.rate,
		Paths: f.paths, Confidence: f.confidence / 100, Verdict: f.verdict, MTU: f.mtu, Monitor: f.monitor,
		Socket: rawsock.TracerConfig{
			Kind: socketKinds[f.socket], Flow: uint16(f.flow), Source: f.source, Interface: f.iface, Mark: f.mark,
		},
	}
	if c.Rate == 0 {
		c.Rate = maxRate
	}
	return c
}
