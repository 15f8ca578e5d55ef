package main

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/stats"
)

// runFlags are the flags with the same letter and meaning for every verb that
// probes repeatedly. A verb defines the groups it has.
type runFlags struct {
	count    int // probes per target; 0 until stopped
	interval time.Duration
	timeout  time.Duration
	late     time.Duration
	deadline time.Duration // 0 for none
	rate     float64       // packets per second; 0 for no cap

	v4, v6, all bool
	reResolve   time.Duration // 0 for never
	iface       string
	source      netip.Addr
	mark        int

	format  string // as asked for; empty for the default
	json    bool
	out     string
	numeric bool
	quiet   bool
	verbose bool
	stamps  bool

	until  string
	failIf *stats.Condition
}

// pace defines how many probes, how often, and how long to wait.
func (f *runFlags) pace(fs *pflag.FlagSet) {
	f.interval, f.timeout, f.late = time.Second, time.Second, time.Second
	fs.VarP(intValue{&f.count, 1, math.MaxInt32}, "count", "c", "probes per target (default until stopped)")
	hideZero(fs, "count")
	fs.VarP(durationValue{&f.interval, time.Microsecond, year}, "interval", "i", "time between probes to one target: `D` is seconds (0.2) or has a unit (200ms)")
	fs.VarP(durationValue{&f.timeout, time.Millisecond, year}, "timeout", "W", "how long one probe may take before it is lost")
	fs.Var(durationValue{&f.late, 0, year}, "late", "how long after the timeout an answer is still recorded as late")
	f.limits(fs)
}

// limits defines when a run is over at the latest, and how fast it may be.
func (f *runFlags) limits(fs *pflag.FlagSet) {
	fs.VarP(durationValue{&f.deadline, time.Millisecond, year}, "deadline", "w", "stop the run after `D`")
	hideZero(fs, "deadline")
	fs.Var(rateValue{&f.rate}, "rate", "at most `N` packets per second for the whole run, or max")
}

// family defines which addresses of a name are probed.
func (f *runFlags) family(fs *pflag.FlagSet) {
	onOff(fs, &f.v4, "ipv4", "4", "IPv4 only")
	onOff(fs, &f.v6, "ipv6", "6", "IPv6 only")
	onOff(fs, &f.all, "all-addresses", "", "probe every address a name has; waits for all names first")
}

// follow defines when names are looked up again.
func (f *runFlags) follow(fs *pflag.FlagSet) {
	fs.Var(durationValue{&f.reResolve, time.Second, year}, "re-resolve", "look names up again every `D` and follow them")
	hideZero(fs, "re-resolve")
}

// leave defines by which way packets leave this host.
func (f *runFlags) leave(fs *pflag.FlagSet) {
	fs.VarP(textValue{&f.iface, "NAME", "the name of an interface"}, "interface", "I", "leave through the interface `NAME`")
	fs.VarP(addrValue{&f.source}, "source", "S", "send from this address")
	fs.Var(intValue{&f.mark, 0, math.MaxUint32}, "mark", "fwmark of the packets (privileged)")
	hideZero(fs, "mark")
}

// defineTOS defines the TOS octet of packets and its other spelling.
func defineTOS(fs *pflag.FlagSet, tos *int) {
	fs.VarP(intValue{tos, 0, 255}, "tos", "Q", "TOS or traffic class octet, also as 0x..")
	hideZero(fs, "tos")
	fs.Var(dscpValue{tos}, "dscp", "the same by the name of its codepoint, as in ef or af41")
}

var socketKinds = map[string]rawsock.Kind{"auto": rawsock.Auto, "raw": rawsock.Raw, "dgram": rawsock.Datagram}

// defineSocket defines the kind of socket packets leave from.
func defineSocket(fs *pflag.FlagSet, kind *string) {
	fs.Var(wordValue{kind, []string{"auto", "raw", "dgram"}}, "socket", "`KIND` of socket: auto, raw (privileged) or dgram")
}

// show defines where results go and how they look: in one of formats, and
// usual says in which unless one is asked for.
func (f *runFlags) show(fs *pflag.FlagSet, formats []string, usual string) {
	fs.VarP(wordValue{&f.format, formats}, "output", "o", "`FORMAT` of stdout: "+strings.Join(formats, ", ")+" (default "+usual+")")
	onOff(fs, &f.json, "json", "", "same as -o json: one record a line")
	fs.Var(textValue{&f.out, "FILE", "the name of a file; without --out no records are written"}, "out", "write JSON records to `FILE` as well; a FIFO works")
	onOff(fs, &f.numeric, "numeric", "n", "addresses only, no names")
	onOff(fs, &f.quiet, "quiet", "q", "summary only; --out gets all")
	onOff(fs, &f.verbose, "verbose", "v", "say on stderr what happens inside")
}

// expect defines what scripts expect of a target at the end.
func (f *runFlags) expect(fs *pflag.FlagSet) {
	fs.Var(&conditionValue{p: &f.failIf}, "fail-if", "exit 1 if this holds for a target at the end, as in 'loss>2%,p95>40ms'")
}

// hideZero keeps "(default 0)" out of the help of a flag whose zero means that
// it was not given.
func hideZero(fs *pflag.FlagSet, name string) { fs.Lookup(name).DefValue = "" }

// conflict is two flags that contradict each other.
type conflict struct{ a, b, hint string }

var runConflicts = []conflict{
	{"ipv4", "ipv6", "give neither for both families"},
	{"all-addresses", "re-resolve", "the rows of a run cannot grow: give one of them"},
}

// checkConflicts returns a usage error for the first two flags in the table
// that were both given.
func checkConflicts(fs *pflag.FlagSet, table []conflict) error {
	for _, c := range table {
		if fs.Changed(c.a) && fs.Changed(c.b) {
			return usage(c.hint, "--%s and --%s contradict each other", c.a, c.b)
		}
	}
	return nil
}

// check finishes the flags after parsing: contradictions, the format, the path.
func (f *runFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, runConflicts); err != nil {
		return err
	}
	if f.json {
		if f.format != "" && f.format != "json" {
			return usage("--json is -o json; another file for records is --out FILE", "--json and -o %s contradict each other", f.format)
		}
		f.format = "json"
	}
	if err := f.checkInterface(); err != nil {
		return err
	}
	switch {
	case f.source.Is4() && f.v6:
		return usage("give a source address of the family that is asked for", "--source %s is IPv4, and -6 was given", f.source)
	case f.source.Is6() && f.v4:
		return usage("give a source address of the family that is asked for", "--source %s is IPv6, and -4 was given", f.source)
	}
	return checkZone(f.source)
}

func (f *runFlags) checkInterface() error {
	if f.iface == "" {
		return nil
	}
	if _, err := netip.ParseAddr(f.iface); err == nil {
		return usage("a source address goes with -S", "--interface %q is an address", f.iface)
	}
	if _, err := net.InterfaceByName(f.iface); err != nil {
		return usage(interfaceHint(), "no interface %q", f.iface)
	}
	return nil
}

// checkZone checks that the zone of addr, if it has one, is an interface here.
func checkZone(addr netip.Addr) error {
	zone := addr.Zone()
	if zone == "" {
		return nil
	}
	if _, err := net.InterfaceByName(zone); err == nil {
		return nil
	}
	all, _ := net.Interfaces()
	if slices.ContainsFunc(all, func(i net.Interface) bool { return fmt.Sprint(i.Index) == zone }) {
		return nil
	}
	return usage(interfaceHint(), "no interface %q in %q", zone, addr)
}

func interfaceHint() string {
	all, err := net.Interfaces()
	if err != nil {
		return ""
	}
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return "interfaces here: " + strings.Join(names, ", ")
}

// network is the family to look names up in, as net.Resolver wants it. A
// source address decides where -4 and -6 do not.
func (f *runFlags) network() string {
	switch {
	case f.v4, f.source.Is4():
		return "ip4"
	case f.v6, f.source.Is6():
		return "ip6"
	}
	return "ip"
}

// parseHosts reads the HOST arguments of a verb.
func (f *runFlags) parseHosts(cmd *cobra.Command, args []string) ([]probe.Host, error) {
	if len(args) == 0 {
		return nil, usage(fmt.Sprintf("as in netprobe %s 192.0.2.1; see netprobe help %s", cmd.Name(), cmd.Name()), "%s needs a host", cmd.Name())
	}
	hosts := make([]probe.Host, len(args))
	for i, arg := range args {
		h, err := f.parseHost(arg)
		if err != nil {
			return nil, err
		}
		hosts[i] = h
	}
	return hosts, nil
}

func (f *runFlags) parseHost(arg string) (probe.Host, error) {
	h, err := parseHost(arg)
	if err != nil {
		return h, usage(hostHint(arg, err), "%q: %v", arg, err)
	}
	if !h.Addr.IsValid() {
		return h, nil
	}
	switch network := f.network(); {
	case h.Addr.Is4() && network == "ip6":
		return h, usage("leave out -6 or the IPv6 source address", "%q is an IPv4 address in a run with IPv6 only", arg)
	case h.Addr.Is6() && network == "ip4":
		return h, usage("leave out -4 or the IPv4 source address", "%q is an IPv6 address in a run with IPv4 only", arg)
	}
	if h.Addr.IsLinkLocalUnicast() && h.Addr.Is6() && h.Addr.Zone() == "" {
		if f.iface == "" {
			return h, usage("name the interface, as in "+h.Addr.WithZone("eth0").String()+"; "+interfaceHint(), "%q is on every link", arg)
		}
		h.Addr = h.Addr.WithZone(f.iface)
	}
	return h, checkZone(h.Addr)
}

// families are those of the addresses among hosts, and for names those that
// they are looked up in.
func (f *runFlags) families(hosts []probe.Host) []rawsock.Family {
	var v4, v6 bool
	for _, h := range hosts {
		v4 = v4 || h.Addr.Is4() || !h.Addr.IsValid() && f.network() != "ip6"
		v6 = v6 || h.Addr.Is6() || !h.Addr.IsValid() && f.network() != "ip4"
	}
	return rawsock.Families(v4, v6)
}
