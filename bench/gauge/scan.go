package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// scanRun is one run of a tool that asks which ports are open.
type scanRun struct {
	out    outlet
	truth  *doors
	format string
	output string // file
	asked  uint64 // host-port pairs
	limit  time.Duration
	ideal  time.Duration // the least that the run can take; 0 if nobody knows
	eta    foresight     // after 0 s if nobody asks
	notes  []string
}

// runScan runs a tool that scans ports and records as measures PREFIX-...: wall (s,
// whole command), rate (ports asked a second of it), cpu (s), load (CPU in µs per
// port asked), peak (memory in MB of 10^6 bytes), missed (open ports that the tool
// did not find), false (ports it called open that are not, or called so twice),
// unknown (ports without a state, if the output tells of all), wrong (all of these,
// and one more if the exit code is not 0), ratio (of the whole command to the least it
// can take), eta (by how many percent of the time that was left the ETA was too long).
func runScan(args []string, _, stderr io.Writer) error {
	var r scanRun
	var open []string
	var silent, all bool
	flags := flag.NewFlagSet("gauge scan", flag.ContinueOnError)
	flags.SetOutput(stderr)
	r.out.define(flags)
	flags.Func("open", "`HOSTS=PORTS` are open, and nothing else is (may be repeated)", func(s string) error {
		open = append(open, s)
		return nil
	})
	flags.StringVar(&r.format, "format", "plain", "`FORMAT` of the output: plain, json, grepable, list (masscan), nc")
	flags.StringVar(&r.output, "output", "", "`FILE` the command writes to; removed at the end")
	flags.Uint64Var(&r.asked, "asked", 0, "`N` ports are asked, those of each host counted")
	flags.BoolVar(&silent, "silent", false, "ports that are not open are silent: to be called open|filtered")
	flags.BoolVar(&all, "states", false, "the output tells of all ports, be it grepable")
	flags.DurationVar(&r.ideal, "ideal", 0, "the least `TIME` that the command can take")
	flags.DurationVar(&r.eta.after, "eta", 0, "have netprobe say after this `TIME` how long the rest takes")
	flags.DurationVar(&r.limit, "limit", time.Minute, "kill the command after this `TIME`")
	flags.Func("note", "`TEXT` to show beside the wall time", func(s string) error {
		r.notes = append(r.notes, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if r.truth, err = parseDoors(open); err != nil {
		return err
	}
	r.truth.silent, r.truth.all = silent, all
	if all && r.format != "grepable" && r.format != "json" {
		return errors.New("only grepable output and records tell of all ports")
	}
	if scanFormats[r.format] == nil || r.output == "" || r.asked == 0 {
		return errors.New("needs how many ports are asked, an output file and a known format")
	}
	return r.measure(flags.Args(), stderr)
}

// measure runs the tool and records everything.
func (r *scanRun) measure(argv []string, stderr io.Writer) error {
	c, code, err := r.launch(argv, stderr)
	defer os.Remove(r.output)
	if err != nil {
		return err
	}
	if err := readScanFile(r.output, r.format, r.truth); err != nil {
		return err
	}
	prefix := r.out.measure
	put := func(name string, value float64, notes ...string) {
		r.out.measure = prefix + "-" + name
		err = errors.Join(err, r.out.put([]float64{value}, notes...))
	}
	put("wall", c.wall.Seconds(), r.notes...)
	put("rate", float64(r.asked)/c.wall.Seconds())
	put("cpu", c.cpu.Seconds())
	put("load", c.cpu.Seconds()*1e6/float64(r.asked))
	if c.peak > 0 {
		put("peak", c.peak/1e6)
	}
	if r.ideal > 0 {
		put("ratio", c.wall.Seconds()/r.ideal.Seconds())
	}
	if r.eta.after > 0 {
		percent, etaErr := r.eta.errorOf(c.wall)
		if err = errors.Join(err, etaErr); err == nil {
			put("eta", percent)
		}
	}
	missed, wrongly := float64(r.truth.missing()), float64(r.truth.strangers+r.truth.again)
	wrong, notes := missed+wrongly, []string(nil)
	put("missed", missed)
	put("false", wrongly)
	if r.truth.decided != nil {
		unknown := float64(r.truth.undecided(r.asked))
		put("unknown", unknown)
		wrong += unknown
	}
	if code != 0 {
		wrong++
		notes = append(notes, fmt.Sprintf("exit code %d", code))
	}
	put("wrong", wrong, notes...)
	return err
}

// launch runs the tool. An exit code is no error.
func (r *scanRun) launch(argv []string, stderr io.Writer) (c cost, code int, err error) {
	file, err := os.Create(r.output)
	if err != nil {
		return c, 0, err
	}
	if r.eta.after > 0 {
		c, err = launchWatched(r.limit, argv, file, r.eta.listen(stderr), r.eta.ask)
	} else {
		c, err = launch(r.limit, argv, file, stderr)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() >= 0 {
		code, err = exit.ExitCode(), nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", argv[0], err)
	}
	return c, code, errors.Join(err, file.Close())
}
