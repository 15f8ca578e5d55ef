package main

import (
	"github.com/spf13/cobra"

	"netprobe/output"
)

func newSweep(args []string) *cobra.Command {
	f := &sweepFlags{}
	cmd := &cobra.Command{
		Use:   "sweep [flags] TARGET...",
		Short: "one pass over networks, ranges and lists: which hosts are alive",
		Long: "A TARGET is an address, a name, a network or a range. It starts gently and goes\n" +
			"faster as long as nothing is lost; the order is mixed, so that no subnet gets a\n" +
			"burst. Exit code: 0 all hosts answered, 1 some did not, 2 usage (nothing was sent),\n" +
			"3 could not test them all.",
		Example: "  netprobe sweep 192.0.2.0/24                      who answers, as they answer\n" +
			"  netprobe sweep -a 192.0.2.1-192.0.2.99           their addresses and nothing else\n" +
			"  netprobe sweep 192.0.2.0/24 2001:db8::/112 --exclude 192.0.2.128/25\n" +
			"  netprobe sweep --ping icmp,tcp:443 192.0.2.0/24  where echo may be filtered\n" +
			"  netprobe sweep -q --by /116 2001:db8::/108       a million hosts, counted by subnet\n" +
			"  netprobe sweep --resume state 2001:db8::/108     Ctrl-C, and the same again goes on\n" +
			"  netprobe sweep --shard 2/4 2001:db8::/108        on the second of four machines\n" +
			"  awk '{print $1}' list | netprobe sweep -f - --json | jq -r 'select(.alive).addr'",
		RunE: func(cmd *cobra.Command, targets []string) error {
			s, err := f.prepare(cmd, targets)
			if err != nil {
				return err
			}
			defer s.list.close()
			s.args = args
			return s.run(cmd.Context())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.define(cmd)
	return cmd
}

// prepare checks the flags and targets of a command line and returns its run.
func (f *sweepFlags) prepare(cmd *cobra.Command, args []string) (*sweepRun, error) {
	fs := cmd.Flags()
	if err := f.check(fs); err != nil {
		return nil, err
	}
	s := &sweepRun{f: f, chosen: fs.Changed("ping")}
	s.setUp(cmd, &f.runFlags)
	s.marks = f.mark != 0 && (f.asks("tcp") || f.asks("udp"))
	specs, err := f.parseTargets(s.verb, args)
	if err != nil {
		return nil, err
	}
	if err := f.checkTargets(specs, f.file != ""); err != nil {
		return nil, err
	}
	s.display = display{usual: func(bool, int) string { return "table" }, view: output.NewSweepView}
	s.gauge.show(&s.common, cmd.ErrOrStderr())
	if s.from, err = readState(f.resume); err != nil {
		return nil, err
	}
	if s.from != nil && s.from.Rest != nil {
		return nil, usage("give another file", "cannot go on from %q: it is the state of a scan, not of a sweep", f.resume)
	}
	if err := s.gather(cmd, &f.hostFlags, args, specs); err != nil {
		return nil, err
	}
	return s, nil
}
