package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/output"
	"netprobe/sweep"
)

// maxRetries bounds how often a silent host is asked again.
const maxRetries = 10

// sweepFlags are the flags of sweep.
type sweepFlags struct {
	hostFlags

	retries  int
	backoff  float64
	adaptive bool // no --rate was given

	kinds    []kind
	ttl, tos int // 0 for the system's
	size     int
	pattern  []byte
	pmtu     string
	socket   string

	rest               bool // --all: what does not answer has records too
	alive, unreachable bool
	by                 prefixes
}

// define gives cmd its flags.
func (f *sweepFlags) define(cmd *cobra.Command) {
	var g flagGroups
	f.which(g.add("Which hosts"))
	f.order(g.add("In which order, and parts of it"), "hosts", "so that no subnet gets a burst")
	f.pace(g.add("How fast and how often"))
	f.probes(g.add("How to ask"))
	f.leave(g.add("By which way"))
	f.show(g.add("Output"))
	g.attach(cmd)
	completeFlags(cmd)
	markFiles(cmd)
}

// pace defines how fast and how often hosts are asked, and how long to wait.
func (f *sweepFlags) pace(fs *pflag.FlagSet) {
	f.retries, f.timeout, f.backoff = 1, time.Second, 1.5
	fs.VarP(intValue{&f.retries, 0, maxRetries}, "retries", "r", "ask a silent host so many times again")
	fs.VarP(durationValue{&f.timeout, time.Millisecond, year}, "timeout", "W", "how long to wait for an answer to the first probe")
	fs.Var(factorValue{&f.backoff}, "backoff", "each further wait is longer by this `FACTOR`")
	fs.Var(durationValue{&f.late, 0, year}, "late", "how long after the last timeout an answer still makes a host alive")
	hideZero(fs, "late")
	fs.VarP(durationValue{&f.deadline, time.Millisecond, year}, "deadline", "w", "stop the run after `D`")
	hideZero(fs, "deadline")
	fs.Var(adaptiveValue{rateValue{&f.rate}}, "rate", "packets per second: at most `N`, or max; default adaptive, from 1000 up while nothing is lost")
}

// probes defines what hosts are asked with.
func (f *sweepFlags) probes(fs *pflag.FlagSet) {
	f.kinds, f.size, f.socket = []kind{{proto: "icmp"}}, 56, "auto"
	fs.Var(kindsValue{&f.kinds}, "ping", "`LIST` of icmp, tcp:PORT, udp:PORT: the next kind for hosts that stay silent, as in icmp,tcp:443")
	fs.VarP(hinted{intValue{&f.ttl, 1, 255}, millisHint}, "ttl", "t", "TTL or hop limit")
	hideZero(fs, "ttl")
	defineTOS(fs, &f.tos)
	fs.VarP(hinted{intValue{&f.size, 0, maxPayload}, sizeHint}, "size", "s", "payload bytes")
	fs.Var(patternValue{&f.pattern}, "pattern", "fill the payload with these bytes, up to 16")
	fs.VarP(wordValue{&f.pmtu, pmtuWords}, "pmtudisc", "M", "path-MTU discovery: `MODE` do (never fragment), want, dont or probe")
	defineSocket(fs, &f.socket)
}

// show defines where results go and how they look.
func (f *sweepFlags) show(fs *pflag.FlagSet) {
	onOff(fs, &f.rest, "all", "", "hosts that do not answer, too")
	onOff(fs, &f.alive, "alive", "a", "nothing but the addresses that answer, one a line (-o fping)")
	onOff(fs, &f.unreachable, "unreachable", "u", "nothing but the addresses that do not answer, one a line (-o fping)")
	fs.Var(byValue{&f.by}, "by", "count by subnet as well, as in /24; for IPv4 and IPv6 as in /24,/64")
	f.runFlags.show(fs, output.SweepFormats(), "table")
	onOff(fs, &f.stamps, "timestamps", "D", "start each line with the time")
}

var sweepConflicts = []conflict{
	{"alive", "unreachable", "-a lists hosts that answer, -u those that do not; -o fping says it of each host"},
	{"alive", "all", "-a lists hosts that answer; -o fping says of each host whether it does"},
	{"unreachable", "all", "-u lists hosts that do not answer; -o fping says of each host whether it does"},
	{"alive", "json", "the addresses alone are no records: jq -r 'select(.alive).addr' picks them"},
	{"unreachable", "json", "the addresses alone are no records: --all adds them, jq -r 'select(.alive == false).addr' picks them"},
	{"tos", "dscp", "the codepoint is the upper six bits of the TOS octet"},
}

// echoFlags are of use to ICMP probes alone.
var echoFlags = []string{"size", "pattern", "pmtudisc", "socket", "late"}

// check finishes the flags after parsing.
func (f *sweepFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, sweepConflicts); err != nil {
		return err
	}
	if err := f.hostFlags.check(fs); err != nil {
		return err
	}
	f.adaptive = !fs.Changed("rate")
	if f.alive || f.unreachable {
		if f.format != "" && f.format != "fping" {
			return usage("leave out one of them: bare addresses are -o fping", "%s and -o %s contradict each other", f.listFlag(), f.format)
		}
		f.format = "fping"
	}
	for _, name := range echoFlags {
		if fs.Changed(name) && !f.asks("icmp") {
			return usage("leave it out, or ask with icmp as well: --ping icmp,"+kindsValue{&f.kinds}.String(), "--%s is of ICMP probes, and there are none", name)
		}
	}
	return nil
}

func (f *sweepFlags) listFlag() string {
	if f.alive {
		return "-a"
	}
	return "-u"
}

// listed is which of fping's lists was asked for.
func (f *sweepFlags) listed() string {
	switch {
	case f.alive:
		return "alive"
	case f.unreachable:
		return "unreachable"
	}
	return ""
}

// asks reports whether there are probes by proto.
func (f *sweepFlags) asks(proto string) bool {
	return slices.ContainsFunc(f.kinds, func(k kind) bool { return k.proto == proto })
}

// checkTargets holds the flags against the targets of the command line; more
// says that others are still to come.
func (f *sweepFlags) checkTargets(specs []sweep.Spec, more bool) error {
	v4 := f.network() == "ip4"
	for _, s := range specs {
		v4 = v4 || s.Range.First.Is4()
	}
	switch {
	case f.asks("icmp") && v4 && f.size > maxPayload4:
		return usage("an IPv4 packet carries an echo payload of 0 to 65507 bytes", "%d bytes do not fit into an IPv4 packet", f.size)
	case f.by.v6 > 0 && f.by.v4 == 0 && (v4 || more && f.network() != "ip6"):
		return usage(fmt.Sprintf("IPv4 has 32 bits; for both families: --by /24,/%d", f.by.v6), "--by /%d is longer than an IPv4 address", f.by.v6)
	}
	return nil
}
