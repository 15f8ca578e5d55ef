package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
)

// Echo payloads end where the length field of the packet does: 65535 bytes of
// packet for IPv4 (RFC 791, with its header of 20), of payload for IPv6 (RFC
// 8200), each less the 8 of the ICMP header.
const (
	maxPayload4 = 65535 - 20 - 8
	maxPayload  = 65535 - 8
)

// pingFlags are the flags of ping.
type pingFlags struct {
	runFlags

	adaptive, flood bool

	ttl, tos int // 0 for the system's
	size     int
	pattern  []byte
	pmtu     string
	sweep    sweepRange
	mtu      bool
	socket   string
}

var (
	pmtuModes = map[string]rawsock.PMTUMode{
		"": rawsock.PMTUDefault, "do": rawsock.PMTUDo, "want": rawsock.PMTUWant, "dont": rawsock.PMTUDont, "probe": rawsock.PMTUProbe,
	}
	pmtuWords = []string{"do", "want", "dont", "probe"}
)

// define gives cmd its flags.
func (f *pingFlags) define(cmd *cobra.Command) {
	var g flagGroups
	pace := g.add("How many and how often")
	f.runFlags.pace(pace)
	onOff(pace, &f.adaptive, "adaptive", "A", "send the next probe as soon as the last one is answered")
	onOff(pace, &f.flood, "flood", "f", "as -A, and wait at most 10ms for an answer before the next (privileged)")
	way := g.add("Where to and by which way")
	f.family(way)
	f.follow(way)
	f.leave(way)
	f.packet(g.add("The packet"))
	show := g.add("Output")
	f.runFlags.show(show, output.Formats(), "plain for one target, else table")
	onOff(show, &f.stamps, "timestamps", "D", "start each line with the time")
	script := g.add("For scripts")
	script.Var(wordValue{&f.until, []string{"up", "down"}}, "until", "stop when a target first answers or first fails (`up|down`); exit 0 if one did, else 1")
	f.expect(script)
	g.attach(cmd)
	completeFlags(cmd)
}

func (f *pingFlags) packet(fs *pflag.FlagSet) {
	f.size, f.socket = 56, "auto"
	fs.VarP(intValue{&f.ttl, 1, 255}, "ttl", "t", "TTL or hop limit")
	hideZero(fs, "ttl")
	defineTOS(fs, &f.tos)
	fs.VarP(intValue{&f.size, 0, maxPayload}, "size", "s", "payload bytes")
	fs.Var(patternValue{&f.pattern}, "pattern", "fill the payload with these bytes, up to 16")
	fs.VarP(wordValue{&f.pmtu, pmtuWords}, "pmtudisc", "M", "path-MTU discovery: `MODE` do (never fragment), want, dont or probe")
	fs.Var(sweepValue{&f.sweep}, "sweep-sizes", "`A-B[/STEP]`: one probe of each payload size from A to B")
	onOff(fs, &f.mtu, "mtu", "", "find the largest packet that passes unfragmented, and who said so (-W is then 500ms)")
	defineSocket(fs, &f.socket)
}

var pingConflicts = []conflict{
	{"adaptive", "flood", "-f is -A without waiting for answers"},
	{"flood", "interval", "-f sends as fast as answers come, and at least 100 a second; -A takes an interval"},
	{"tos", "dscp", "the codepoint is the upper six bits of the TOS octet"},
	{"size", "sweep-sizes", "--sweep-sizes chooses the sizes"},
	{"mtu", "size", "--mtu chooses the sizes"},
	{"mtu", "sweep-sizes", "--mtu chooses the sizes"},
	{"mtu", "pmtudisc", "--mtu always probes with DF set"},
	{"mtu", "flood", "--mtu waits for each answer"},
	{"mtu", "adaptive", "--mtu waits for each answer"},
	{"mtu", "interval", "--mtu waits for each answer; how long is -W"},
	{"mtu", "count", "--mtu stops by itself when it knows"},
}

// check finishes the flags after parsing.
func (f *pingFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, pingConflicts); err != nil {
		return err
	}
	if err := f.runFlags.check(fs); err != nil {
		return err
	}
	if !privileged() {
		const asRoot = "only root floods; as an ordinary user, -A sends as fast as answers come, at most every 2ms"
		switch {
		case f.flood:
			return usage(asRoot, "--flood needs privileges")
		case f.interval < minInterval:
			return usage("an ordinary user may send every 2ms at most; root has no limit", "--interval %v needs privileges", f.interval)
		}
	}
	if f.sweep != (sweepRange{}) && f.count == 0 {
		f.count = f.sweep.count()
	}
	if f.mtu {
		f.hurryMTU(fs)
	}
	return nil
}

// hurryMTU shortens the waits of a path-MTU search, unless they were asked for:
// it repeats what is not answered, and through a black hole it waits for dozens
// of packets that never come back.
func (f *pingFlags) hurryMTU(fs *pflag.FlagSet) {
	if !fs.Changed("timeout") {
		f.timeout = 500 * time.Millisecond
	}
	if !fs.Changed("late") {
		f.late = 0
	}
}

// checkSize holds sizes against what an IPv4 packet can carry, where it is
// known that there will be one.
func (f *pingFlags) checkSize(hosts []probe.Host) error {
	v4 := f.network() == "ip4"
	for _, h := range hosts {
		v4 = v4 || h.Addr.Is4()
	}
	if largest := max(f.size, f.sweep.last); v4 && largest > maxPayload4 {
		return usage("an IPv4 packet carries an echo payload of 0 to 65507 bytes", "%d bytes do not fit into an IPv4 packet", largest)
	}
	return nil
}
