package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/output"
	"netprobe/ports"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/scan"
	"netprobe/stats"
)

// usualPorts are asked unless others are named. Hosts tell of closed ports of UDP
// so slowly that a thousand would take most of an hour.
const usualPorts, usualUDP = "top:1000", "top:100"

// scanFlags are the flags of scan.
type scanFlags struct {
	hostFlags

	list      string // of ports, as written
	ports     []uint16
	text      string // the same list, in short
	connect   bool
	syn       bool
	udp       bool
	parts     probe.Shard // of host-port pairs
	retries   int
	budget    time.Duration
	settle    time.Duration
	alive     bool
	kinds     []kind // by which --alive asks
	asked     bool   // --ping was given
	ttl, tos  int    // 0 for the system's
	openOnly  bool
	every     bool // --all
	expected  string
	expecting *stats.Expectation
}

// define gives cmd its flags.
func (f *scanFlags) define(cmd *cobra.Command) {
	var g flagGroups
	f.which(g.add("Which hosts"))
	f.whichPorts(g.add("Which ports, and how to ask"))
	f.order(g.add("In which order, and parts of it"), "host-port pairs", "so that no host gets its ports in turn")
	f.speed(g.add("How fast and how often"))
	f.way(g.add("By which way"))
	f.show(g.add("Output"))
	f.script(g.add("For scripts"))
	g.attach(cmd)
	completeFlags(cmd)
	markFiles(cmd)
}

// whichPorts defines the ports, and how they are asked.
func (f *scanFlags) whichPorts(fs *pflag.FlagSet) {
	f.list = usualPorts
	f.kinds = []kind{{proto: "icmp"}, {proto: "tcp", port: 443}, {proto: "tcp", port: 80}}
	var groups []string
	for _, g := range ports.Groups() {
		groups = append(groups, "@"+g.Name)
	}
	fs.VarP(textValue{&f.list, "LIST", "ports with commas between them"}, "ports", "p",
		"`LIST` of numbers, ranges, service names, top:N, - for all, and groups: "+strings.Join(groups, " "))
	onOff(fs, &f.connect, "connect", "", "by whole TCP connections, without privileges (the default)")
	onOff(fs, &f.syn, "syn", "", "by half-open TCP connections (privileged)")
	onOff(fs, &f.udp, "udp", "", "by UDP, with a question that goes with the port")
	onOff(fs, &f.alive, "alive", "", "sweep first, and scan only hosts that answer")
	fs.Var(kindsValue{&f.kinds}, "ping", "with --alive: `LIST` of icmp, tcp:PORT, udp:PORT by which the sweep asks")
}

// speed defines how fast and how often ports are asked, and how long to wait.
func (f *scanFlags) speed(fs *pflag.FlagSet) {
	f.retries = scan.Adaptive
	fs.VarP(retriesValue{&f.retries}, "retries", "r", "ask a silent port so many times again (default as often as loss demands, once at least)")
	fs.VarP(durationValue{&f.settle, time.Millisecond, year}, "timeout", "W", "how long the last try at a port is waited for, at least (default 1.25s)")
	hideZero(fs, "timeout")
	fs.Var(adaptiveValue{rateValue{&f.rate}}, "rate", "tries per second: at most `N`, or max; default as many as get through")
	fs.Var(durationValue{&f.budget, time.Millisecond, year}, "budget", "say after `D` what is known by then, and what is not")
	hideZero(fs, "budget")
	fs.VarP(durationValue{&f.deadline, time.Millisecond, year}, "deadline", "w", "stop the run after `D`")
	hideZero(fs, "deadline")
}

// way defines by which way tries leave this host, and how.
func (f *scanFlags) way(fs *pflag.FlagSet) {
	f.leave(fs)
	fs.VarP(hinted{intValue{&f.ttl, 1, 255}, millisHint}, "ttl", "t", "TTL or hop limit")
	hideZero(fs, "ttl")
	defineTOS(fs, &f.tos)
}

// show defines where results go and how they look.
func (f *scanFlags) show(fs *pflag.FlagSet) {
	onOff(fs, &f.openOnly, "open", "", "nothing but open ports")
	onOff(fs, &f.every, "all", "", "a row for every port, and every host")
	f.runFlags.show(fs, output.ScanFormats(), "table")
	onOff(fs, &f.stamps, "timestamps", "D", "start each line with the time")
}

// script defines what scripts expect of every host.
func (f *scanFlags) script(fs *pflag.FlagSet) {
	fs.Var(textValue{&f.expected, "LIST", "ports with commas between them, or none"}, "expect",
		"exit 1 unless just the ports of `LIST` are open on every host; none for no port")
}

var scanConflicts = []conflict{
	{"connect", "syn", "a port is asked in one way"},
	{"connect", "udp", "a port is asked in one way"},
	{"syn", "udp", "a port is asked in one way"},
	{"open", "all", "--open shows open ports only, --all every port"},
	{"expect", "shard", "a part of the ports does not tell which are open on a host"},
	{"expect", "resume", "what an earlier run found is not known to the one that goes on"},
	{"budget", "deadline", "a budget is a deadline that is planned for: give one of them"},
	{"tos", "dscp", "the codepoint is the upper six bits of the TOS octet"},
}

// check finishes the flags after parsing.
func (f *scanFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, scanConflicts); err != nil {
		return err
	}
	if err := f.hostFlags.check(fs); err != nil {
		return err
	}
	if fs.Changed("ping") && !f.alive {
		return usage("add --alive, or leave out --ping", "--ping says how to sweep, and there is no sweep without --alive")
	}
	f.asked = fs.Changed("ping")
	// Pairs are shared out, not hosts: all machines ask all of these.
	f.parts, f.shard = f.shard, probe.Shard{}
	if f.udp && !fs.Changed("ports") {
		f.list = usualUDP
	}
	if err := f.checkPorts(); err != nil {
		return err
	}
	return f.checkExpected()
}

// checkPorts reads the list of ports.
func (f *scanFlags) checkPorts() error {
	list, err := ports.Parse(f.list, f.proto())
	if err != nil {
		return badPorts("--ports", err)
	}
	l := ports.ListOf(list)
	switch {
	case !f.udp && len(l.UDP) > 0:
		return usage("ports of UDP are asked with --udp, in a scan of their own", "--ports names ports of UDP, and TCP is asked")
	case f.udp && len(l.TCP) > 0:
		return usage("ports of TCP are asked without --udp, in a scan of their own", "--ports names ports of TCP, and UDP is asked")
	}
	f.ports, f.text = append(l.TCP, l.UDP...), l.String()
	return nil
}

// proto is the transport of all ports.
func (f *scanFlags) proto() ports.Proto {
	if f.udp {
		return ports.UDP
	}
	return ports.TCP
}

// badPorts is the usage error for a list of ports.
func badPorts(flag string, err error) error {
	hint := ""
	if e, ok := errors.AsType[*ports.Error](err); ok {
		hint = e.Hint
	}
	return usage(hint, "%s: %v", flag, err)
}

// checkExpected reads the ports that are to be open.
func (f *scanFlags) checkExpected() error {
	switch f.expected {
	case "":
		return nil
	case "none":
		f.expecting = stats.Expect()
		return nil
	}
	list, err := ports.Parse(f.expected, f.proto())
	if err != nil {
		return badPorts("--expect", err)
	}
	asked := map[uint16]bool{}
	for _, p := range f.ports {
		asked[p] = true
	}
	var wanted []uint16
	for _, p := range list {
		if p.Proto != f.proto() || !asked[p.Number] {
			return usage("add it to -p", "--expect names port %v, which is not asked", p)
		}
		wanted = append(wanted, p.Number)
	}
	f.expecting = stats.Expect(wanted...)
	return nil
}

// socketConfig is what the flags say to sockets.
func (f *scanFlags) socketConfig() rawsock.Config {
	return rawsock.Config{Source: f.source, Interface: f.iface, Mark: f.mark, TTL: f.ttl, TOS: f.tos}
}

// technique is the name of how ports are asked.
func (f *scanFlags) technique() string {
	switch {
	case f.syn:
		return "syn"
	case f.udp:
		return "udp"
	}
	return "connect"
}

// sweepFlags are those of the sweep that --alive makes.
func (f *scanFlags) sweepFlags() *sweepFlags {
	return &sweepFlags{
		hostFlags: f.hostFlags, retries: 1, backoff: 1.5, adaptive: f.rate == 0, kinds: f.kinds,
		ttl: f.ttl, tos: f.tos, size: 56, socket: "auto",
	}
}

// retriesValue is how often a silent port is asked again.
type retriesValue struct{ p *int }

func (v retriesValue) Type() string { return "N" }
func (v retriesValue) String() string {
	if *v.p == scan.Adaptive {
		return ""
	}
	return fmt.Sprint(*v.p)
}

func (v retriesValue) Set(s string) error { return intValue{v.p, 0, maxRetries}.Set(s) }

// service is the name of the service of a port.
func service(port uint16, udp bool) string {
	proto := ports.TCP
	if udp {
		proto = ports.UDP
	}
	return ports.Name(ports.Port{Proto: proto, Number: port})
}
