package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/probe"
	"netprobe/sweep"
)

// hostFlags are the flags of verbs that ask any number of hosts once.
type hostFlags struct {
	runFlags

	file         string
	exclude      []string
	excludeFiles []string
	broadcast    bool
	maxHosts     uint64

	ordered bool
	seed    uint64
	shard   probe.Shard
	resume  string
}

// which defines the hosts beside those of the command line.
func (f *hostFlags) which(fs *pflag.FlagSet) {
	f.maxHosts = sweep.DefaultMaxHosts
	fs.VarP(textValue{&f.file, "FILE", "the name of a file, or - for stdin"}, "file", "f",
		"more targets, read from `FILE` while they are probed; - is stdin. Blanks between them, # starts a comment")
	fs.Var(listValue{&f.exclude, "LIST", "addresses, networks or ranges with commas between them"}, "exclude",
		"leave out these addresses, networks and ranges (`LIST` with commas; may be repeated)")
	fs.Var(fileListValue{&f.excludeFiles}, "exclude-file", "leave out what `FILE` lists (may be repeated)")
	onOff(fs, &f.broadcast, "broadcast", "", "network and broadcast addresses of IPv4 networks as well")
	fs.Var(uintValue{&f.maxHosts, 1}, "max-hosts", "refuse to ask more than `N` addresses")
	onOff(fs, &f.v4, "ipv4", "4", "IPv4 only")
	onOff(fs, &f.v6, "ipv6", "6", "IPv6 only")
	onOff(fs, &f.all, "all-addresses", "", "every address a name has, not just the first")
}

// order defines in which order what is asked, and which part of it; why says what
// a mixed order is good for.
func (f *hostFlags) order(fs *pflag.FlagSet, what, why string) {
	onOff(fs, &f.ordered, "ordered", "", "in their natural order; else mixed, "+why)
	fs.Var(uintValue{&f.seed, 0}, "seed", "mix as the seed `N` says, to repeat an order (default random)")
	hideZero(fs, "seed")
	fs.Var(shardValue{&f.shard}, "shard", "only part `I/N` of the "+what+": N machines share them without overlap or gap")
	fs.Var(textValue{&f.resume, "FILE", "the name of a file that is to hold how far the run came"}, "resume",
		"keep in `FILE` how far an interrupted run came, and go on from there the next time")
}

// markFiles lets shells complete the names of files.
func markFiles(cmd *cobra.Command) {
	for _, name := range []string{"file", "exclude-file", "resume", "out"} {
		_ = cmd.MarkFlagFilename(name)
	}
}

var hostConflicts = []conflict{
	{"ordered", "seed", "a seed says how the order is mixed; --ordered does not mix it"},
}

// check finishes the flags after parsing.
func (f *hostFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, hostConflicts); err != nil {
		return err
	}
	if f.resume != "" && f.file == "-" {
		return usage("put the targets into a file, to be read again: -f FILE", "--resume, but stdin cannot be read again")
	}
	return f.runFlags.check(fs)
}
