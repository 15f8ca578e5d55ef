package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/netip"

	"github.com/spf13/cobra"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/sweep"
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
	specs, err := f.parseTargets(args)
	if err != nil {
		return nil, err
	}
	if err := f.checkTargets(specs, f.file != ""); err != nil {
		return nil, err
	}
	s := &sweepRun{f: f, targets: args, specs: specs, chosen: fs.Changed("ping")}
	s.setUp(cmd, &f.runFlags)
	s.display = display{usual: func(bool, int) string { return "table" }, view: output.NewSweepView}
	s.showProgress(cmd.ErrOrStderr())
	if s.from, err = readState(f.resume); err != nil {
		return nil, err
	}
	switch {
	case fs.Changed("seed"):
	case s.from != nil:
		f.seed = s.from.Seed
	default:
		f.seed = rand.Uint64()
	}
	exclude, err := f.excluded()
	if err != nil {
		return nil, err
	}
	if s.list, err = f.openList(cmd.InOrStdin()); err != nil {
		return nil, err
	}
	s.bad = newBads(s.stderr, s.log, s.list.name)
	if s.hosts, err = f.hosts(s, specs, exclude); err != nil {
		s.list.close()
		return nil, err
	}
	return s, nil
}

// hosts are those that a run asks. A list that is a regular file is read once as
// a whole: nothing is sent if a line of it is wrong.
func (f *sweepFlags) hosts(s *sweepRun, specs []sweep.Spec, exclude *probe.RangeSet) (*sweep.Hosts, error) {
	cfg := sweep.Config{
		Specs: specs, File: s.list.Reader, FileName: s.list.name, Steady: s.list.file != nil,
		Parser: f.parser(), Exclude: exclude,
		Seed: f.seed, Ordered: f.ordered, Shard: f.shard, MaxHosts: f.maxHosts,
		Lookup: f.lookUp, All: f.all, Bad: s.bad.tell, From: s.from,
	}
	if cfg.Steady || cfg.File == nil {
		var err error
		if cfg.Listing, err = sweep.Check(cfg); err != nil {
			return nil, f.hostsFailure(err)
		}
		if cfg.Listing.Hosts == 0 {
			return nil, usage("see what -f lists, and what --exclude and --exclude-file leave of it", "nothing to sweep: no target is listed, or all are excluded")
		}
	}
	if cfg.Steady {
		if _, err := s.list.file.Seek(0, io.SeekStart); err != nil {
			return nil, usage("", "cannot read targets again: %v", err)
		}
	}
	h, err := sweep.New(cfg)
	if err != nil {
		return nil, f.hostsFailure(err)
	}
	return h, nil
}

// hostsFailure says why there is no sweep over these targets.
func (f *sweepFlags) hostsFailure(err error) error {
	hint := ""
	if e, ok := errors.AsType[*sweep.TooManyError](err); ok {
		hint = fmt.Sprintf("--max-hosts %d sweeps them all the same", e.Sum)
		if e.Sum.Cmp(sensible) > 0 {
			hint = "no sweep gets to the end of that: give a longer prefix, or the hosts that are known"
		}
	} else if e, ok := errors.AsType[*sweep.LineError](err); ok {
		hint = targetHint(e.Text)
	} else if f.resume != "" {
		return usage("give the same targets and flags as before, or another file", "cannot go on from %q: %v", f.resume, err)
	}
	return usage(hint, "%v", err)
}

// sensible is what a sweep can ask: at a million hosts a second a day's worth.
var sensible = big.NewInt(86_400_000_000)

// lookUp finds the addresses of a name.
func (f *sweepFlags) lookUp(ctx context.Context, h probe.Host) ([]netip.Addr, error) {
	r := probe.Resolver{Network: f.network(), Limit: 1}
	a := r.Resolve(ctx, []probe.Host{h})[0]
	return a.Addrs, a.Err
}
