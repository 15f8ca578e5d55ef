package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
)

// reading is one round-trip time as a tool printed it.
type reading struct {
	probe  int // from 0, in the order of sending
	rtt    float64
	kernel bool // the tool says that the kernel took both times; only netprobe tells
}

// Lines of the peers. ping counts its probes from 1, fping from 0, nping says
// when it sent and received, and dig asks once more when it was answered.
var (
	pingLine      = regexp.MustCompile(`icmp_seq=(\d+) .*time=([0-9.]+) ms$`)
	sentLine      = regexp.MustCompile(`^SENT \(([0-9.]+)s\) TCP `)
	rcvdLine      = regexp.MustCompile(`^RCVD \(([0-9.]+)s\) TCP .* SA `)
	fpingLine     = regexp.MustCompile(`: \[(\d+)\], \d+ bytes, ([0-9.]+) ms`)
	queryTimeLine = regexp.MustCompile(`^;; Query time: (\d+) usec$`)
)

// parseReadings reads the output of a tool: lines of ping, fping, nping or dig, or
// records of netprobe, of which field is the time. Times come back in µs.
func parseReadings(r io.Reader, field string) ([]reading, error) {
	var all []reading
	var sent []float64 // s, by nping
	digs := 0
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // records of long answers
	for lines.Scan() {
		line := lines.Text()
		if m := pingLine.FindStringSubmatch(line); m != nil {
			all = append(all, textReading(m, 1))
		} else if m := fpingLine.FindStringSubmatch(line); m != nil {
			all = append(all, textReading(m, 0))
		} else if m := queryTimeLine.FindStringSubmatch(line); m != nil {
			all = append(all, reading{probe: digs, rtt: seconds(m[1])})
			digs++
		} else if m := sentLine.FindStringSubmatch(line); m != nil {
			sent = append(sent, seconds(m[1]))
		} else if m := rcvdLine.FindStringSubmatch(line); m != nil && len(sent) > 0 {
			last := len(sent) - 1
			all = append(all, reading{probe: last, rtt: (seconds(m[1]) - sent[last]) * 1e6})
		} else if len(line) > 0 && line[0] == '{' {
			rd, ok, err := parseRecord(line, field)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, rd)
			}
		}
	}
	return all, lines.Err()
}

// textReading reads the number of a probe, counted from first, and its RTT.
// The patterns let only numbers through.
func textReading(m []string, first int) reading {
	n, _ := strconv.Atoi(m[1])
	ms, _ := strconv.ParseFloat(m[2], 64)
	return reading{probe: n - first, rtt: ms * 1000}
}

// seconds reads a number that a pattern let through, in its unit.
func seconds(text string) float64 {
	s, _ := strconv.ParseFloat(text, 64)
	return s
}

// parseRecord reads a record of netprobe. It is not ok if that is no answered
// probe, or has no such time.
func parseRecord(line, field string) (rd reading, ok bool, err error) {
	var rec struct {
		Record, Status, Clock string
		Seq                   int
	}
	var times map[string]json.RawMessage // in a summary rtt_ms is an object
	if err := errors.Join(json.Unmarshal([]byte(line), &rec), json.Unmarshal([]byte(line), &times)); err != nil {
		return reading{}, false, fmt.Errorf("record: %w", err)
	}
	text := string(times[field])
	if rec.Record != "probe" && rec.Record != "dns" || rec.Status != "reply" || text == "null" {
		return reading{}, false, nil
	}
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return reading{}, false, fmt.Errorf("record: %s: %w", field, err)
	}
	return reading{probe: rec.Seq - 1, rtt: ms * 1000, kernel: rec.Clock == "kernel"}, true, nil
}

// rttErrors returns, in µs, each reading minus the time between request and
// reply in the capture. Tools send to one target in order, so the n'th probe is
// the n'th request captured. Readings of a probe whose reply was not captured
// are left out.
func rttErrors(captured []exchange, readings []reading) ([]float64, error) {
	var errs []float64
	for _, r := range readings {
		if r.probe < 0 || r.probe >= len(captured) {
			return nil, fmt.Errorf("probe %d was answered but not captured: there are %d requests", r.probe, len(captured))
		}
		x := captured[r.probe]
		if x.answered.IsZero() {
			continue
		}
		errs = append(errs, r.rtt-x.wire())
	}
	if len(errs) == 0 {
		return nil, errors.New("no probe was answered")
	}
	return errs, nil
}

// runRTT compares the output of a tool with a capture.
func runRTT(args []string, _, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge rtt", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	pcap := flags.String("pcap", "", "capture `FILE`")
	output := flags.String("output", "", "`FILE` with what the tool printed")
	field := flags.String("field", "rtt_ms", "`NAME` of the time in netprobe's records")
	want := flags.Int("probes", 0, "`N` probes must have been answered and captured, all but one in a hundred")
	wire := flags.String("wire", "", "record the RTT in the capture too, as measure `NAME`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	captured, err := readCapture(*pcap)
	if err != nil {
		return err
	}
	f, err := os.Open(*output)
	if err != nil {
		return err
	}
	defer f.Close()
	readings, err := parseReadings(f, *field)
	if err != nil {
		return err
	}
	errs, err := rttErrors(captured, readings)
	if err != nil {
		return err
	}
	if len(errs) < *want*99/100 {
		return fmt.Errorf("%d probes of %d were answered and captured", len(errs), *want)
	}
	if err := out.put(errs, clockNotes(readings)...); err != nil || *wire == "" {
		return err
	}
	out.measure = *wire
	return out.put(wireTimes(captured))
}

// clockNotes says how many readings were not by the kernel's clock, if the tool
// tells one from the other.
func clockNotes(readings []reading) []string {
	user := 0
	for _, r := range readings {
		if !r.kernel {
			user++
		}
	}
	if user == 0 || user == len(readings) {
		return nil
	}
	return []string{fmt.Sprintf("%d by user clock", user)}
}

// wireTimes returns the round-trip times in the capture, in µs. A tool that
// disturbs its own packets shows here, where its errors do not tell.
func wireTimes(captured []exchange) []float64 {
	var all []float64
	for _, x := range captured {
		if !x.answered.IsZero() {
			all = append(all, x.wire())
		}
	}
	return all
}
