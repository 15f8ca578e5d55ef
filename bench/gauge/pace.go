package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// gaps returns the times between the requests, in ms.
func gaps(captured []exchange) []float64 {
	var all []float64
	for i := 1; i < len(captured); i++ {
		all = append(all, milliseconds(captured[i].sent.Sub(captured[i-1].sent)))
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// runGaps records the gaps between the requests of a capture.
func runGaps(args []string, _, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge gaps", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	pcap := flags.String("pcap", "", "capture `FILE`")
	want := flags.Int("probes", 0, "`N` requests must have been captured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	captured, err := readCapture(*pcap)
	if err != nil {
		return err
	}
	if len(captured) != *want {
		return fmt.Errorf("%d requests captured, not %d", len(captured), *want)
	}
	return out.put(gaps(captured))
}

// start is the instant at which a tool was started.
type start struct {
	tool string
	at   time.Time
}

// parseStarts reads lines of seconds since 1970, with a fraction, and the name
// of a tool.
func parseStarts(r io.Reader) ([]start, error) {
	var all []start
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		stamp, tool, _ := strings.Cut(lines.Text(), " ")
		sec, frac, _ := strings.Cut(stamp, ".")
		s, err := strconv.ParseInt(sec, 10, 64)
		us, err2 := strconv.ParseInt((frac + "000000")[:6], 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("start %q: %w", lines.Text(), err)
		}
		all = append(all, start{tool, time.UnixMicro(s*1e6 + us)})
	}
	return all, lines.Err()
}

// firstPackets returns by tool, in ms, how long after each start the first
// request was captured. Starts are in order and do not overlap.
func firstPackets(captured []exchange, starts []start) (map[string][]float64, error) {
	delays := make(map[string][]float64)
	for i, s := range starts {
		for len(captured) > 0 && captured[0].sent.Before(s.at) {
			captured = captured[1:]
		}
		if len(captured) == 0 || i+1 < len(starts) && !captured[0].sent.Before(starts[i+1].at) {
			return nil, fmt.Errorf("start %d, of %s: no request was captured", i+1, s.tool)
		}
		delays[s.tool] = append(delays[s.tool], milliseconds(captured[0].sent.Sub(s.at)))
	}
	return delays, nil
}

// runStart records the times from start to first packet of several tools.
func runStart(args []string, _, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge start", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	pcap := flags.String("pcap", "", "capture `FILE`")
	noted := flags.String("starts", "", "`FILE` of lines: seconds since 1970, name of the tool")
	if err := flags.Parse(args); err != nil {
		return err
	}
	captured, err := readCapture(*pcap)
	if err != nil {
		return err
	}
	f, err := os.Open(*noted)
	if err != nil {
		return err
	}
	defer f.Close()
	starts, err := parseStarts(f)
	if err != nil {
		return err
	}
	delays, err := firstPackets(captured, starts)
	if err != nil {
		return err
	}
	for tool, values := range delays {
		out.tool = tool
		if err := out.put(values); err != nil {
			return err
		}
	}
	return nil
}
