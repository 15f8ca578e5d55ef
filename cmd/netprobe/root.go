package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/internal/spell"
)

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(args)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return conclude(stderr, root.ExecuteContext(ctx))
}

func newRoot(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "netprobe VERB ...",
		Short: "is it reachable, how well, and if not, where does it break?",
		Example: "  netprobe ping 192.0.2.1                 until Ctrl-C\n" +
			"  netprobe ping -c 4 -o table HOST HOST   several hosts side by side\n" +
			"  netprobe sweep 192.0.2.0/24             who is there\n" +
			"  netprobe trace 192.0.2.1                the path, hop by hop\n" +
			"  netprobe tcp 192.0.2.1:443              is the port open, again and again\n" +
			"  netprobe udp 192.0.2.1:123              does the service answer, again and again\n" +
			"  netprobe dns example.com MX @192.0.2.53 what a name server says, and how fast\n" +
			"  netprobe help ping                      every flag",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asked, err := cmd.Flags().GetBool("version"); err == nil && asked {
				fmt.Fprintf(cmd.OutOrStdout(), "netprobe %s\n", version())
				return nil
			}
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			printHelp(cmd, cmd.ErrOrStderr())
			return status(exitUsage)
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(cmd, cmd.OutOrStdout()) })
	root.SetHelpCommand(newHelp())
	// Not cobra's own --version, whose template makes the linker keep every
	// exported method: that is a quarter of the binary.
	root.Flags().Bool("version", false, "")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newPing(args), newSweep(args), newTrace(args), newTCP(args), newUDP(args), newScan(args), newDNS(args), newLab(), newLabInside(), newVersion(), newCompletion())
	return root
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:               "help [VERB]",
		Short:             "explain a verb and its flags",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || about == cmd.Root() && len(rest) > 0 {
				return unknownVerb(cmd.Root(), rest[0])
			}
			printHelp(about, cmd.OutOrStdout())
			return nil
		},
	}
}

// unknownVerb says what a first word that is no verb may have meant. It is
// never looked up as a name: a bare host is reserved.
func unknownVerb(root *cobra.Command, word string) error {
	var verbs []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			verbs = append(verbs, c.Name())
		}
	}
	f := usage("", "%q is not a verb", word)
	if near := spell.Nearest(word, verbs); near != "" {
		f.hints = append(f.hints, fmt.Sprintf("did you mean netprobe %s?", near))
	} else if host, err := parseHost(word); err == nil {
		f.hints = append(f.hints, "to ping it: netprobe ping "+host.Name)
	}
	f.hints = append(f.hints, "verbs: "+strings.Join(verbs, ", "))
	return f
}

// habits are letters that other programs have and we spell differently, by verb.
var habits = map[string]map[string]string{
	"ping": {
		"O": "always on: probes without an answer are shown unless -q",
		"m": "the fwmark is --mark",
		"p": "the payload pattern is --pattern",
		"V": "the version is netprobe version",
	},
	"sweep": {
		"A": "always so: addresses are shown, and the name of what was given by name",
		"b": "the payload size is -s",
		"B": "the backoff factor is --backoff",
		"c": "one pass, with -r for silent hosts; to ask again and again: netprobe ping -c",
		"C": "one pass, with -r for silent hosts; to ask again and again: netprobe ping -o fping -c",
		"d": "names are not looked up for addresses",
		"e": "always on: round-trip times are shown",
		"E": "leave out hosts with --exclude and --exclude-file",
		"g": "not needed: give the network or range itself, as in netprobe sweep 192.0.2.0/24",
		"H": "the TTL is -t",
		"i": "packets per second are --rate; targets from a file are -f",
		"J": "records are --json",
		"k": "the fwmark is --mark",
		"l": "to ask again and again: netprobe ping",
		"m": "all addresses of a name are --all-addresses",
		"N": "records are --json",
		"O": "the TOS octet is -Q",
		"p": "one pass; packets per second are --rate, ports are those of --ping tcp:PORT",
		"P": "the kinds of probes are --ping icmp,tcp:PORT,udp:PORT",
		"R": "the payload pattern is --pattern",
		"T": "the pace is adaptive; packets per second are --rate",
		"V": "the version is netprobe version",
		"x": "the summary counts the alive; --json has .alive in its summary",
		"X": "the summary counts the alive; --json has .alive in its summary",
	},
	"tcp": {
		"d": "each line has its time with -D",
		"j": "records are --json",
		"l": "it listens to nobody",
		"p": "the port comes behind the host, as in HOST:PORT; the own port is the system's choice",
		"r": "names are looked up again with --re-resolve D",
		"s": "the source address is -S",
		"T": "how long one probe may take is -W",
		"u": "UDP is netprobe udp",
		"V": "the version is netprobe version",
		"x": "the number of probes is -c",
		"z": "always so: nothing is written to a connection",
	},
	"udp": {
		"d": "each line has its time with -D",
		"j": "records are --json",
		"l": "it listens to nobody",
		"p": "the port comes behind the host, as in HOST:PORT; the own port is the system's choice",
		"r": "names are looked up again with --re-resolve D",
		"s": "the source address is -S; the payload is --payload-hex or --payload-file",
		"T": "how long one probe may take is -W",
		"u": "always so; TCP is netprobe tcp",
		"V": "the version is netprobe version",
		"x": "the number of probes is -c",
		"z": "always so: what is sent is a question that the service understands",
	},
	"dns": {
		"b": "the source address is -S",
		"k": "queries are not signed",
		"p": "the port goes with the server, as in @192.0.2.53:5353",
		"t": "types are words after the name, as in netprobe dns example.com MX",
		"u": "times have the unit that fits them",
		"V": "the version is netprobe version",
		"y": "queries are not signed",
	},
	"scan": {
		"c": "one pass, with -r for silent ports",
		"e": "the interface is -I",
		"F": "fewer ports: -p top:100",
		"g": "the source port is picked by the kernel",
		"i": "targets from a file are -f",
		"m": "the fwmark is --mark, all addresses of a name are --all-addresses",
		"P": "always so: hosts are not pinged first, unless by --alive",
		"R": "the order is mixed; the same again with --seed",
		"s": "ports are connected to; half-open is --syn",
		"T": "the pace is adaptive; tries per second are --rate, the time it may take --budget",
		"V": "the version is netprobe version",
	},
	"trace": {
		"A": "AS numbers are not looked up",
		"e": "always on: MPLS labels and what else routers tell is shown",
		"f": "the first TTL is --first-hop",
		"F": "the path MTU is --mtu",
		"j": "records are --json",
		"l": "a line per hop is what plain shows; the IPv6 flow label is --flow",
		"M": "the protocol is -P",
		"N": "not needed: all hops are probed at once; --rate limits packets per second",
		"p": "the destination port is --port",
		"r": "a report is --monitor -c 10 -o plain",
		"t": "the TOS octet is -Q",
		"T": "TCP is -P tcp",
		"U": "UDP is -P udp",
		"u": "UDP is -P udp",
		"V": "the version is netprobe version",
		"z": "the time between rounds is -i, packets per second --rate",
	},
}

// longHabits are the same for whole words.
var longHabits = map[string]map[string]string{
	"scan": {
		"top-ports":    "the most common ports are -p top:100",
		"port":         "ports are -p 22,80",
		"min-rate":     "the pace is adaptive; at most so many tries per second are --rate",
		"max-rate":     "at most so many tries per second are --rate",
		"max-retries":  "how often silent ports are asked again is -r",
		"excludefile":  "targets to leave out from a file are --exclude-file",
		"randomize":    "the order is mixed; the same again with --seed",
		"host-timeout": "the time the run may take is --budget",
		"reason":       "always so: reasons are shown",
	},
}

// flagError turns what pflag says into a line and a hint.
func flagError(cmd *cobra.Command, err error) error {
	seeHelp := "see " + strings.TrimSpace("netprobe help "+strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "))
	if cmd == cmd.Root() {
		seeHelp = "a verb comes first, as in netprobe ping -c 4 192.0.2.1"
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return unknownFlag(cmd, e, seeHelp)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usage(e.Unwrap().Error(), "invalid value %q for --%s", e.GetValue(), e.GetFlag().Name)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		name, what := pflag.UnquoteUsage(e.GetFlag())
		return usage(fmt.Sprintf("--%s %s: %s", e.GetFlag().Name, name, what), "--%s needs a value", e.GetFlag().Name)
	}
	if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return usage(seeHelp, "bad flag %q", e.GetSpecifiedFlag())
	}
	return usage(seeHelp, "%q", err.Error())
}

func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError, seeHelp string) error {
	name := e.GetSpecifiedName()
	if e.GetSpecifiedShortnames() != "" {
		hint := habits[cmd.Name()][name]
		if cmd.Name() == "trace" && strings.Trim(name, "0123456789") == "" {
			hint = "-q is quiet here; probes per hop are -c " + name
		}
		if hint == "" {
			hint = seeHelp
		}
		return usage(hint, "unknown flag %q", "-"+name)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if hint := longHabits[cmd.Name()][name]; hint != "" {
		seeHelp = hint
	} else if near := spell.Nearest(name, known); near != "" {
		seeHelp = fmt.Sprintf("did you mean --%s?", near)
	}
	return usage(seeHelp, "unknown flag %q", "--"+name)
}
