package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tcpFlags are the flags of tcp.
type tcpFlags struct {
	portFlags
	layerFlags
}

// tcpTimeout is how long a connect may take. The kernel sends a lost SYN again
// after one second, and then after another or two, depending on its version: of
// the whole seconds none is a good moment to give up. By then two or three more
// have left, and the last had half a second for its answer.
const tcpTimeout = 3500 * time.Millisecond

// define gives cmd its flags.
func (f *tcpFlags) define(cmd *cobra.Command) {
	var g flagGroups
	pace := g.add("How many and how often")
	f.paced(pace, tcpTimeout, "; a lost SYN is sent again after 1s, so 1s is the worst choice")
	pace.Lookup("rate").Usage = "at most `N` connects per second for the whole run, or max"
	f.way(g.add("Where to and by which way"))
	f.packet(g.add("The packet"))
	f.layerFlags.define(g.add("What is asked above the connection"))
	f.shown(g.add("Output"))
	f.scripts(g.add("For scripts"), "been open")
	g.attach(cmd)
	completeFlags(cmd)
}

// check finishes the flags after parsing.
func (f *tcpFlags) check(fs *pflag.FlagSet) error {
	if err := f.layerFlags.check(fs); err != nil {
		return err
	}
	return f.portFlags.check(fs)
}
