package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// sweepRun is one run of a tool that asks many hosts whether they are alive.
type sweepRun struct {
	out    outlet
	alive  *crowd
	format string
	output string // file
	device string // interface to observe; empty for none
	asked  uint64
	limit  time.Duration
	notes  []string
}

// runSweep runs a tool that sweeps and records as measures PREFIX-...: wall (s,
// whole command), rate (hosts asked a second of it), cpu (s), load (CPU in µs per
// host asked), peak (memory in MB of 10^6 bytes), missed (percent of the alive
// hosts that the tool did not find), false (hosts it called alive that are not,
// or called so twice), wrong (hosts missed or false); with an interface also packets
// (echo requests sent), pace (of these, per second from the first to the last) and
// rest (s from the last one to the end of the command).
func runSweep(args []string, _, stderr io.Writer) error {
	var r sweepRun
	flags := flag.NewFlagSet("gauge sweep", flag.ContinueOnError)
	flags.SetOutput(stderr)
	r.out.define(flags)
	alive := flags.String("alive", "", "the hosts that answer: `LIST` of prefixes and ranges, or @FILE; empty for none")
	flags.StringVar(&r.format, "format", "plain", "`FORMAT` of the output: plain, json, fping (-c)")
	flags.StringVar(&r.output, "output", "", "`FILE` the command writes to; removed at the end")
	flags.StringVar(&r.device, "interface", "", "observe what is sent on interface `NAME`")
	flags.Uint64Var(&r.asked, "asked", 0, "`N` hosts are asked (default: those that answer)")
	flags.DurationVar(&r.limit, "limit", time.Minute, "kill the command after this `TIME`")
	flags.Func("note", "`TEXT` to show beside the wall time", func(s string) error {
		r.notes = append(r.notes, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	list := *alive
	if file, ok := strings.CutPrefix(list, "@"); ok {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		list = string(data)
	}
	var err error
	if r.alive, err = parseCrowd(list); err != nil {
		return err
	}
	if r.asked == 0 {
		r.asked = r.alive.size
	}
	if sweepFormats[r.format] == nil || r.output == "" || r.asked == 0 {
		return errors.New("needs hosts, an output file and a known format")
	}
	return r.measure(flags.Args(), stderr)
}

// measure runs the tool and records everything.
func (r *sweepRun) measure(argv []string, stderr io.Writer) error {
	begun, c, sent, err := r.observe(argv, stderr)
	defer os.Remove(r.output)
	if err != nil {
		return err
	}
	t := newTally(r.alive)
	if err := readSweepFile(r.output, r.format, t); err != nil {
		return err
	}
	if err := t.check(); err != nil {
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
	put("missed", share(t.missing(), r.alive.size))
	put("false", float64(t.strangers+t.again))
	put("wrong", float64(t.missing()+t.strangers+t.again))
	if r.device != "" {
		put("packets", float64(sent.n))
		put("pace", sent.pace())
		put("rest", (c.wall - sent.last.Sub(begun)).Seconds())
	}
	return err
}

// observe runs the tool and counts what it sends if there is an interface to
// look at.
func (r *sweepRun) observe(argv []string, stderr io.Writer) (begun time.Time, c cost, sent sendings, err error) {
	file, err := os.Create(r.output)
	if err != nil {
		return begun, c, sent, err
	}
	stop := func() error { return nil }
	if r.device != "" {
		stop, err = watch(context.Background(), r.device, sent.visit)
		if err != nil {
			return begun, c, sent, errors.Join(err, file.Close())
		}
	}
	begun = time.Now()
	c, err = launch(r.limit, argv, file, stderr)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		err = nil // some hosts did not answer
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", argv[0], err)
	}
	err = errors.Join(err, stop(), file.Close()) // sent is complete after stop
	if err == nil && r.device != "" && sent.n == 0 {
		err = fmt.Errorf("%s: nothing was sent on %s", argv[0], r.device)
	}
	return begun, c, sent, err
}

// sendings are the echo requests that passed an interface.
type sendings struct {
	n           int
	first, last time.Time
}

// visit counts a frame of Ethernet if it is an echo request.
func (s *sendings) visit(frame []byte, info gopacket.CaptureInfo) error {
	_, reply, ok := readEcho(gopacket.NewPacket(frame, layers.LinkTypeEthernet, gopacket.NoCopy))
	if !ok || reply {
		return nil
	}
	if s.n == 0 {
		s.first = info.Timestamp
	}
	s.n++
	s.last = info.Timestamp
	return nil
}

// pace returns packets per second from the first to the last; 0 for less than two.
func (s *sendings) pace() float64 {
	if s.n < 2 {
		return 0
	}
	return float64(s.n-1) / s.last.Sub(s.first).Seconds()
}
