package main

import (
	"cmp"
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
		Example: "  netprobe ping 192.0.2.1                       until Ctrl-C\n" +
			"  netprobe ping -c 4 -o table HOST HOST         several hosts side by side\n" +
			"  netprobe sweep 192.0.2.0/24                   who is there\n" +
			"  netprobe trace 192.0.2.1                      the path, hop by hop\n" +
			"  netprobe tcp 192.0.2.1:443                    is the port open, again and again\n" +
			"  netprobe tcp --tls --http / HOST:443          ... and does what is behind it work\n" +
			"  netprobe udp 192.0.2.1:123                    does the service answer, again and again\n" +
			"  netprobe scan 192.0.2.1                       which ports are open\n" +
			"  netprobe dns example.com MX @192.0.2.53       what a name server says, and how fast\n" +
			"  netprobe lab isp -- netprobe ping server.lab  any of it in a virtual network\n" +
			"  netprobe help ping                            every flag",
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
	root.AddCommand(newPing(args), newSweep(args), newTrace(args), newTCP(args), newUDP(args), newScan(args),
		newDNS(args), newLab(), newLabInside(), newVersion(), newCompletion())
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
	for _, c := range inOrder(root) {
		verbs = append(verbs, c.Name())
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
		hint := e.Unwrap().Error()
		if letter := e.GetFlag().Shorthand; letter != "" {
			hint = cmp.Or(habit(cmd, letter+e.GetValue()), hint)
		}
		return usage(hint, "invalid value %q for --%s", e.GetValue(), e.GetFlag().Name)
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
	if letters := e.GetSpecifiedShortnames(); letters != "" {
		hint, flag := letterHabit(cmd, letters)
		if cmd.Name() == "trace" && strings.Trim(flag, "0123456789") == "" {
			hint = "-q is quiet here; probes per hop are -c " + flag
		}
		if hint == "" {
			hint = seeHelp
		}
		return usage(hint, "unknown flag %q", "-"+flag)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if hint := habit(cmd, name); hint != "" {
		seeHelp = hint
	} else if near := spell.Nearest(name, known); near != "" {
		seeHelp = fmt.Sprintf("did you mean --%s?", near)
	}
	return usage(seeHelp, "unknown flag %q", "--"+name)
}
