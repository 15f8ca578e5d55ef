package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"netprobe/internal/lab"
	"netprobe/internal/lab/labfile"
	"netprobe/internal/spell"
)

// labFlags are the flags of lab.
type labFlags struct {
	file  string
	show  string
	list  bool
	quiet bool
}

func newLab() *cobra.Command {
	f := &labFlags{}
	cmd := &cobra.Command{
		Use:   "lab [-q] {NETWORK | -t FILE} [-- COMMAND...]",
		Short: "run a command inside a virtual network",
		Long: "The network is built in memory, the command runs at its near end with nothing\n" +
			"else in reach, and everything is gone when it ends. Without a COMMAND it is\n" +
			"your shell. The word netprobe as COMMAND is this very program. It takes root,\n" +
			"or a system that allows user namespaces and /dev/net/tun. Exit code: that of\n" +
			"the command, 128 + N if signal N killed it, 127 not found, 126 not executable,\n" +
			"2 usage, 3 the network cannot be built.",
		Example: "  netprobe lab --list                                  the networks there are\n" +
			"  netprobe lab isp -- netprobe trace server.lab\n" +
			"  netprobe lab wifi -- ping -c 20 server.lab           any program will do\n" +
			"  netprobe lab ecmp                                    a shell inside\n" +
			"  netprobe lab --show isp >my.yaml                     one to start from\n" +
			"  netprobe lab -t my.yaml -- netprobe ping server.lab",
		RunE:              f.run,
		ValidArgsFunction: completeNetworks,
	}
	var groups flagGroups
	fs := groups.add("Networks")
	fs.StringVarP(&f.file, "topology", "t", "", "the network described in `FILE`")
	onOff(fs, &f.list, "list", "", "list the built-in networks")
	fs.StringVar(&f.show, "show", "", "print the file of the built-in network `NETWORK`")
	fs = groups.add("Output")
	onOff(fs, &f.quiet, "quiet", "q", "no header on stderr")
	groups.attach(cmd)
	_ = cmd.RegisterFlagCompletionFunc("show", completeNetworks)
	_ = cmd.MarkFlagFilename("topology", "yaml", "yml")
	return cmd
}

// newLabInside is the verb that lab starts this program with, in the new
// namespaces: see lab.Program. What follows it is the command, flags and all.
func newLabInside() *cobra.Command {
	return &cobra.Command{
		Use:                labInside,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := lab.Inside(args); errors.Is(err, lab.ErrOutside) {
				return usage("as in netprobe lab isp -- netprobe ping server.lab", "%s is what netprobe lab starts", labInside)
			}
			return status(exitUntested) // whoever started us says why
		},
	}
}

const labInside = "lab-inside"

func completeNetworks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return labfile.List(), cobra.ShellCompDirectiveNoFileComp
}

// run does what the command line asks for.
func (f *labFlags) run(cmd *cobra.Command, args []string) error {
	if err := leaveSetuid(); err != nil {
		return untested(err)
	}
	names, command := args, []string(nil)
	if n := cmd.ArgsLenAtDash(); n >= 0 {
		names, command = args[:n], args[n:]
	}
	switch {
	case f.list || cmd.Flags().Changed("show"):
		if len(args) > 0 || f.list && cmd.Flags().Changed("show") || cmd.Flags().Changed("topology") {
			return usage("see netprobe help lab", "--list and --show stand alone")
		}
		if f.list {
			return outputError(printNetworks(cmd.OutOrStdout()))
		}
		return showNetwork(cmd.OutOrStdout(), f.show)
	}
	file, err := f.choose(cmd, names)
	if err != nil {
		return err
	}
	interactive := len(command) == 0
	if interactive {
		if command, err = shell(cmd.InOrStdin(), strings.Join(names, " ")); err != nil {
			return err
		}
	}
	return f.inside(cmd, file, command, interactive)
}

// choose returns the network that the command line names.
func (f *labFlags) choose(cmd *cobra.Command, names []string) (*labfile.File, error) {
	fromFile := cmd.Flags().Changed("topology")
	switch {
	case fromFile && len(names) > 0:
		return nil, usage("a command follows --, as in netprobe lab -t FILE -- "+strings.Join(names, " "), "-t and the network %q: one of them", names[0])
	case fromFile:
		return readNetwork(f.file)
	case len(names) == 0:
		return nil, usage("as in netprobe lab isp -- netprobe ping server.lab; there are "+strings.Join(labfile.List(), ", "), "lab needs a network")
	case len(names) > 1:
		return nil, usage(fmt.Sprintf("netprobe lab %s -- %s", names[0], strings.Join(names[1:], " ")), "the command %q has to follow --", names[1])
	}
	if _, ok := labfile.Source(names[0]); !ok {
		return nil, unknownNetwork(names[0])
	}
	file, err := labfile.Load(names[0])
	if err != nil {
		return nil, untested(err) // a mistake of ours
	}
	return file, nil
}

func unknownNetwork(name string) error {
	known := labfile.List()
	f := usage("", "no network %q", name)
	if near := spell.Nearest(name, known); near != "" {
		f.hints = append(f.hints, fmt.Sprintf("did you mean %s?", near))
	} else if strings.ContainsAny(name, "./") {
		f.hints = append(f.hints, fmt.Sprintf("a file is given with -t: netprobe lab -t %q", name))
	}
	f.hints = append(f.hints, "there are "+strings.Join(known, ", "))
	return f
}

// readNetwork reads the network described in a file.
func readNetwork(path string) (*labfile.File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, usage("netprobe lab --show isp prints a file to start from", "%v", err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, labfile.MaxSize+1))
	if err != nil {
		return nil, usage("", "%v", err)
	}
	file, err := labfile.Parse(path, data)
	if e, ok := errors.AsType[*labfile.Error](err); ok {
		return nil, usage(e.Hint, "%v", e)
	}
	return file, err
}

func showNetwork(w io.Writer, name string) error {
	source, ok := labfile.Source(name)
	if !ok {
		return unknownNetwork(name)
	}
	_, err := w.Write(source)
	return outputError(err)
}

// shell is the command of people who give none: they sit at a terminal.
func shell(stdin io.Reader, network string) ([]string, error) {
	if file, ok := stdin.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		if network == "" {
			network = "-t FILE"
		}
		return nil, usage(fmt.Sprintf("as in netprobe lab %s -- netprobe ping server.lab; a shell needs a terminal", network), "lab needs a command")
	}
	if sh := os.Getenv("SHELL"); sh != "" {
		return []string{sh}, nil
	}
	return []string{"/bin/sh"}, nil
}

// inside runs a command in the network of file.
func (f *labFlags) inside(cmd *cobra.Command, file *labfile.File, command []string, interactive bool) error {
	stderr := cmd.ErrOrStderr()
	p := lab.Program{
		Topology: file.Topology,
		Self:     []string{os.Args[0], labInside},
		Args:     command,
		Env:      withThisProgram(os.Environ()),
		Stdin:    cmd.InOrStdin(),
		Stdout:   cmd.OutOrStdout(),
		Stderr:   stderr,
		Ready: func(doubts []string) {
			if !f.quiet {
				printWhere(stderr, file, command, interactive)
			}
			for _, d := range doubts {
				fmt.Fprintf(stderr, "netprobe: %s\n", d)
			}
		},
	}
	if command[0] == "netprobe" {
		p.Path = "/proc/self/exe"
	}
	code, err := p.Run()
	switch {
	case err == nil:
		return status(code)
	case errors.Is(err, errors.ErrUnsupported):
		return untested(errors.New("lab works on Linux only: its networks are Linux network namespaces"))
	}
	if e, ok := errors.AsType[*lab.CommandError](err); ok {
		return &failure{code: e.Code(), msg: e.Error()}
	}
	if e, ok := errors.AsType[*lab.BuildError](err); ok {
		return untested(e, labHints(e)...)
	}
	return untested(err)
}

// withThisProgram returns env with this program's directory in PATH, so that
// scripts and shells inside find it as netprobe, too; go run puts it nowhere.
func withThisProgram(env []string) []string {
	self, err := os.Executable()
	if err != nil || filepath.Base(self) != "netprobe" {
		return env
	}
	if found, err := exec.LookPath("netprobe"); err == nil {
		if a, err := os.Stat(found); err == nil {
			if b, err := os.Stat(self); err == nil && os.SameFile(a, b) {
				return env
			}
		}
	}
	path := filepath.Dir(self)
	if old := os.Getenv("PATH"); old != "" {
		path += string(os.PathListSeparator) + old
	}
	return append(env, "PATH="+path)
}
