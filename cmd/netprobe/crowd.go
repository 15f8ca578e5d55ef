package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/sweep"
)

// A crowd is any number of hosts that a run asks once, and what the runs of such
// verbs have in common.
type crowd struct {
	common
	h       *hostFlags
	targets []string     // as they were written
	specs   []sweep.Spec // the same, read
	list    *list
	hosts   *sweep.Hosts
	from    *sweep.State // where an earlier run stopped; nil for none
	bad     *bads
	ending  atomic.Bool // a signal came: no further host is asked
}

// gather opens what lists the hosts, and sets up who hands them out. c.list is to
// be closed if there is no error.
func (c *crowd) gather(cmd *cobra.Command, f *hostFlags, args []string, specs []sweep.Spec) error {
	c.h, c.targets, c.specs = f, args, specs
	switch {
	case cmd.Flags().Changed("seed"):
	case c.from != nil:
		f.seed = c.from.Seed
	default:
		f.seed = rand.Uint64()
	}
	exclude, err := f.excluded()
	if err != nil {
		return err
	}
	if c.list, err = f.openList(cmd.InOrStdin()); err != nil {
		return err
	}
	c.bad = newBads(c.stderr, c.log, c.list.name)
	if c.hosts, err = f.hosts(c, exclude); err != nil {
		c.list.close()
		return err
	}
	return nil
}

// hosts are those that a run asks. A list that is a regular file is read once as
// a whole: nothing is sent if a line of it is wrong.
func (f *hostFlags) hosts(c *crowd, exclude *probe.RangeSet) (*sweep.Hosts, error) {
	cfg := sweep.Config{
		Specs: c.specs, File: c.list.Reader, FileName: c.list.name, Steady: c.list.file != nil,
		Parser: f.parser(), Exclude: exclude,
		Seed: f.seed, Ordered: f.ordered, Shard: f.shard, MaxHosts: f.maxHosts,
		Lookup: f.lookUp, All: f.all, Bad: c.bad.tell, From: c.from,
	}
	if cfg.Steady || cfg.File == nil {
		var err error
		if cfg.Listing, err = sweep.Check(cfg); err != nil {
			return nil, f.hostsFailure(c.verb, err)
		}
		if cfg.Listing.Hosts == 0 {
			return nil, usage("see what -f lists, and what --exclude and --exclude-file leave of it", "nothing to %s: no target is listed, or all are excluded", c.verb)
		}
	}
	if cfg.Steady {
		if _, err := c.list.file.Seek(0, io.SeekStart); err != nil {
			return nil, usage("", "cannot read targets again: %v", err)
		}
	}
	h, err := sweep.New(cfg)
	if err != nil {
		return nil, f.hostsFailure(c.verb, err)
	}
	return h, nil
}

// hostsFailure says why there is no sweep or scan of these targets.
func (f *hostFlags) hostsFailure(verb string, err error) error {
	hint := ""
	if e, ok := errors.AsType[*sweep.TooManyError](err); ok {
		hint = fmt.Sprintf("--max-hosts %d %ss them all the same", e.Sum, verb)
		if e.Sum.Cmp(sensible) > 0 {
			hint = "no " + verb + " gets to the end of that: give a longer prefix, or the hosts that are known"
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
func (f *hostFlags) lookUp(ctx context.Context, h probe.Host) ([]netip.Addr, error) {
	r := probe.Resolver{Network: f.network(), Limit: 1}
	a := r.Resolve(ctx, []probe.Host{h})[0]
	return a.Addrs, a.Err
}

// complete reports whether every host of the run was handed out.
func (c *crowd) complete() bool {
	planned, known := c.hosts.Planned()
	return known && c.hosts.Taken() >= planned
}

// written is the targets as the user wrote them.
func (c *crowd) written() string {
	words := c.targets
	if c.h.file != "" {
		words = append(words[:len(words):len(words)], "-f", c.h.file)
	}
	return strings.Join(words, " ")
}

// foresee reports what may be among the hosts: names, IPv6 addresses.
func (c *crowd) foresee() (names, v6 bool) {
	names = c.h.file != "" || slices.ContainsFunc(c.specs, func(p sweep.Spec) bool { return !p.Range.First.IsValid() })
	return names, slices.Contains(c.h.families(c.specs), rawsock.IPv6)
}
