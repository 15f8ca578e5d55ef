// Command gauge turns what the bench script collects (packet captures, the
// output of the tools, the cost of a process) into samples, and samples into a
// table with targets and verdicts.
//
// The capture is the truth everything is compared with: the kernel stamps each
// packet as it passes the interface, whoever sent it, so all tools are judged by
// the same clock.
//
// Each subcommand but answer, capture, listen and report appends to a file of samples, one
// JSON object a line; report reads them all, so that repetitions need no
// bookkeeping.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// errMissed is returned by report if a target was missed.
var errMissed = errors.New("a target was missed")

const usage = `usage: gauge SUBCOMMAND [flags]

  capture write the packets of an interface to a file
  add     append values given as arguments
  answer  answer datagrams at many UDP ports, as services there would
  blast   ask every host of a prefix in the plainest loop: the yardstick of sweeps
  run     run a command: CPU per probe, peak memory, wall time
  rtt     RTT errors of a tool's output against a capture
  gaps    time between the requests of a capture
  listen  accept TCP connections at many ports, and close them
  queries run a tool that asks name servers: CPU per query, queries unanswered
  path    run a tool that traces paths inside netprobe lab, and judge it
  scan    run a tool that asks which ports are open, and judge it
  start   time from a noted instant to the first request after it
  sweep   run a tool that asks many hosts, and judge it
  report  print the table; exit 1 if a target was missed
`

// run is the whole program. It returns the exit code: 1 if a target was missed,
// 2 for wrong usage, 3 if something could not be measured.
func run(args []string, stdout, stderr io.Writer) int {
	commands := map[string]func([]string, io.Writer, io.Writer) error{
		"capture": runCapture, "add": runAdd, "run": runCommand, "rtt": runRTT, "gaps": runGaps, "start": runStart, "path": runPath,
		"answer": runAnswer, "queries": runQueries, "blast": runBlast, "sweep": runSweep, "listen": runListen, "scan": runScan, "report": runReport,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return 2
	}
	err := commands[args[0]](args[1:], stdout, stderr)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	fmt.Fprintln(stderr, "gauge "+args[0]+":", err)
	if errors.Is(err, errMissed) {
		return 1
	}
	return 3
}

// outlet is where a subcommand appends its samples.
type outlet struct{ file, measure, tool string }

func (o *outlet) define(f *flag.FlagSet) {
	f.StringVar(&o.file, "samples", "", "`FILE` to append samples to")
	f.StringVar(&o.measure, "measure", "", "what is measured: a `NAME` that report knows")
	f.StringVar(&o.tool, "tool", "", "`NAME` of the tool measured")
}

func (o *outlet) put(values []float64, notes ...string) error {
	return appendSample(o.file, sample{Measure: o.measure, Tool: o.tool, Values: values, Notes: notes})
}
