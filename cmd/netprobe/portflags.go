package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/output"
	"netprobe/ports"
	"netprobe/rawsock"
)

// portFlags are the flags of the verbs that ask ports again and again.
type portFlags struct {
	runFlags

	ttl, tos int           // 0 for the system's
	wait     time.Duration // 0 for not
}

// waitInterval is how often --wait tries.
const waitInterval = 250 * time.Millisecond

// paced defines how many probes, how often, and how long to wait for one.
func (f *portFlags) paced(fs *pflag.FlagSet, timeout time.Duration, why string) {
	f.pace(fs)
	f.timeout = timeout
	t := fs.Lookup("timeout")
	t.DefValue = t.Value.String()
	t.Usage += why
}

// way defines where probes go, and by which way.
func (f *portFlags) way(fs *pflag.FlagSet) {
	f.family(fs)
	f.follow(fs)
	f.leave(fs)
}

// packet defines what the packets look like.
func (f *portFlags) packet(fs *pflag.FlagSet) {
	fs.VarP(intValue{&f.ttl, 1, 255}, "ttl", "t", "TTL or hop limit")
	hideZero(fs, "ttl")
	defineTOS(fs, &f.tos)
}

// shown defines where results go and how they look.
func (f *portFlags) shown(fs *pflag.FlagSet) {
	f.show(fs, output.Formats(), "plain for one target, else table")
	onOff(fs, &f.stamps, "timestamps", "D", "start each line with the time")
}

// scripts defines what scripts wait for and expect; open is what they wait for.
func (f *portFlags) scripts(fs *pflag.FlagSet, open string) {
	fs.Var(durationValue{&f.wait, time.Millisecond, year}, "wait", "exit 0 as soon as all targets have "+open+", 1 when `D` is over; tries every 250ms unless -i is given")
	hideZero(fs, "wait")
	fs.Var(wordValue{&f.until, []string{"up", "down"}}, "until", "stop when a target first answers or first fails (`up|down`); exit 0 if one did, else 1")
	f.expect(fs)
}

var portConflicts = []conflict{
	{"tos", "dscp", "the codepoint is the upper six bits of the TOS octet"},
	{"wait", "until", "--wait waits for all targets, --until for the first"},
	{"wait", "count", "--wait tries until its time is over"},
	{"wait", "deadline", "--wait has its own: the time it waits"},
	{"wait", "fail-if", "--wait exits 0 when all were open, else 1"},
	{"wait", "all-addresses", "--wait looks names up again and again, and the rows of a run cannot grow"},
}

// check finishes the flags after parsing.
func (f *portFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, portConflicts); err != nil {
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

// session reads the targets of a command line and returns its run, whose engine is
// still to be made.
func (f *portFlags) session(cmd *cobra.Command, proto ports.Proto, args []string) (*session, error) {
	hosts, err := f.parseEndpoints(cmd, proto, args)
	if err != nil {
		return nil, err
	}
	s := newSession(cmd, &f.runFlags, hosts)
	s.marks = f.mark != 0
	s.display = display{usual: pingFormat, view: output.NewView}
	if f.wait > 0 {
		s.wait = f.wait
		s.display = waitDisplay()
	}
	return s, nil
}

// dial is what the flags say of the sockets that probes leave by.
func (f *portFlags) dial() rawsock.Config {
	return rawsock.Config{Source: f.source, Interface: f.iface, Mark: f.mark, TTL: f.ttl, TOS: f.tos}
}
