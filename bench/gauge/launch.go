package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// cost is what a process took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // user and system
	peak float64       // largest resident set, bytes; 0 if unknown
}

// launch runs a command to its end, or kills it after limit. An exit code other
// than 0 is an error.
func launch(limit time.Duration, argv []string, stdout, stderr io.Writer) (cost, error) {
	return launchWatched(limit, argv, stdout, stderr, func(*os.Process, time.Time) func() { return func() {} })
}

// launchWatched is launch that calls watch when the command has started, and what
// it returned when it has ended.
func launchWatched(limit time.Duration, argv []string, stdout, stderr io.Writer, watch func(*os.Process, time.Time) func()) (cost, error) {
	if len(argv) == 0 {
		return cost{}, errors.New("no command")
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	peak := watchPeak(cmd.Process.Pid)
	unwatch := watch(cmd.Process, begin)
	err := cmd.Wait()
	c := cost{wall: time.Since(begin), peak: peak()}
	unwatch()
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if ctx.Err() != nil {
		return c, fmt.Errorf("%s was still running after %v", argv[0], limit)
	}
	return c, err
}

// watchPeak looks at the peak memory of a process until the returned function
// is called, which tells the last value seen.
//
// The maximum that wait4 reports is useless here: it starts with the memory of
// the process that forked, us, which is larger than fping.
func watchPeak(pid int) func() float64 {
	stop, done := make(chan struct{}), make(chan struct{})
	var peak float64
	go func() {
		defer close(done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
				if err == nil {
					peak = max(peak, parsePeak(status))
				}
			case <-stop:
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-done
		return peak
	}
}

// parsePeak reads the line VmHWM of /proc/PID/status (proc(5)) as bytes; 0 if
// there is none, as for a process that has ended.
func parsePeak(status []byte) float64 {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kB, _ := strconv.ParseFloat(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 64)
			return kB * 1024
		}
	}
	return 0
}

// runCommand runs a command and records what it cost.
func runCommand(args []string, stdout, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	probes := flags.Float64("probes", 0, "record CPU time divided by `N`, in µs, as measure cpu")
	peak := flags.Bool("peak", false, "record peak memory in MB (10^6 bytes) as measure peak")
	wall := flags.Bool("wall", false, "record wall time in s as the measure given")
	limit := flags.Duration("limit", time.Minute, "kill the command after this `TIME`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := launch(*limit, flags.Args(), stdout, stderr)
	if err != nil {
		return err
	}
	if *wall {
		err = errors.Join(err, out.put([]float64{c.wall.Seconds()}))
	}
	if *probes > 0 {
		out.measure = "cpu"
		err = errors.Join(err, out.put([]float64{c.cpu.Seconds() * 1e6 / *probes}))
	}
	if *peak && c.peak > 0 {
		out.measure = "peak"
		err = errors.Join(err, out.put([]float64{c.peak / 1e6}))
	}
	return err
}
