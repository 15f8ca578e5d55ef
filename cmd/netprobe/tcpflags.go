package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/output"
)

// tcpFlags are the flags of tcp.
type tcpFlags struct {
	runFlags
	layerFlags

	ttl, tos int           // 0 for the system's
	wait     time.Duration // 0 for not
}

// tcpTimeout is how long a connect may take. The kernel sends a lost SYN again
// after one second, and then after another or two, depending on its version: of
// the whole seconds none is a good moment to give up. By then two or three more
// have left, and the last had half a second for its answer.
const tcpTimeout = 3500 * time.Millisecond

// waitInterval is how often --wait tries.
const waitInterval = 250 * time.Millisecond

// define gives cmd its flags.
func (f *tcpFlags) define(cmd *cobra.Command) {
	var g flagGroups
	pace := g.add("How many and how often")
	f.pace(pace)
	f.timeout = tcpTimeout
	timeout := pace.Lookup("timeout")
	timeout.DefValue = timeout.Value.String()
	timeout.Usage = "how long one probe may take before it is lost; a lost SYN is sent again after 1s, so 1s is the worst choice"
	pace.Lookup("rate").Usage = "at most `N` connects per second for the whole run, or max"
	way := g.add("Where to and by which way")
	f.family(way)
	f.follow(way)
	f.leave(way)
	packet := g.add("The packet")
	packet.VarP(intValue{&f.ttl, 1, 255}, "ttl", "t", "TTL or hop limit")
	hideZero(packet, "ttl")
	defineTOS(packet, &f.tos)
	f.layerFlags.define(g.add("What is asked above the connection"))
	show := g.add("Output")
	f.show(show, output.Formats(), "plain for one target, else table")
	onOff(show, &f.stamps, "timestamps", "D", "start each line with the time")
	script := g.add("For scripts")
	script.Var(durationValue{&f.wait, time.Millisecond, year}, "wait", "exit 0 as soon as all targets have been open, 1 when `D` is over; tries every 250ms unless -i is given")
	hideZero(script, "wait")
	script.Var(wordValue{&f.until, []string{"up", "down"}}, "until", "stop when a target first answers or first fails (`up|down`); exit 0 if one did, else 1")
	f.expect(script)
	g.attach(cmd)
	completeFlags(cmd)
}

var tcpConflicts = []conflict{
	{"tos", "dscp", "the codepoint is the upper six bits of the TOS octet"},
	{"wait", "until", "--wait waits for all targets, --until for the first"},
	{"wait", "count", "--wait tries until its time is over"},
	{"wait", "deadline", "--wait has its own: the time it waits"},
	{"wait", "fail-if", "--wait exits 0 when all were open, else 1"},
	{"wait", "all-addresses", "--wait looks names up again and again, and the rows of a run cannot grow"},
}

// check finishes the flags after parsing.
func (f *tcpFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, tcpConflicts); err != nil {
		return err
	}
	if err := f.layerFlags.check(fs); err != nil {
		return err
	}
	if f.wait > 0 {
		f.deadline = f.wait
		if !fs.Changed("interval") {
			f.interval = waitInterval
		}
		if !fs.Changed("re-resolve") {
			f.reResolve = time.Second
		}
	}
	return f.runFlags.check(fs)
}
