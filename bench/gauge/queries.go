package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// queryFormats are the outputs that can be read, by name: each counts in one line
// queries that were answered.
var queryFormats = map[string]func(line string) (answered int, err error){
	"json": readServerSummary, "dnsperf": readCompleted, "dig": readQueryTime,
}

// readServerSummary reads the summary record that netprobe writes for each server.
func readServerSummary(line string) (int, error) {
	if !strings.Contains(line, `"record":"summary"`) {
		return 0, nil
	}
	var r struct{ Received *int }
	err := json.Unmarshal([]byte(line), &r)
	if err == nil && r.Received == nil {
		err = errors.New("a summary that does not say what was received")
	}
	if err != nil {
		return 0, err
	}
	return *r.Received, nil
}

var completedLine = regexp.MustCompile(`^\s*Queries completed:\s+(\d+) `)

func readCompleted(line string) (int, error) {
	m := completedLine.FindStringSubmatch(line)
	if m == nil {
		return 0, nil
	}
	return strconv.Atoi(m[1])
}

func readQueryTime(line string) (int, error) {
	if queryTimeLine.MatchString(line) {
		return 1, nil
	}
	return 0, nil
}

// runQueries runs a tool that asks name servers and records as measures PREFIX-...:
// wall (s, whole command), load (CPU in µs per query), unanswered (queries without an
// answer, and one more if the exit code is not 0).
func runQueries(args []string, _, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge queries", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	format := flags.String("format", "json", "`FORMAT` of the output: json, dnsperf, dig")
	asked := flags.Int("asked", 0, "`N` queries are made")
	limit := flags.Duration("limit", time.Minute, "kill the command after this `TIME`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	read := queryFormats[*format]
	if read == nil || *asked <= 0 {
		return errors.New("needs how many queries are made, and a known format")
	}
	var output bytes.Buffer
	c, err := launch(*limit, flags.Args(), &output, stderr)
	unanswered, notes := *asked, []string(nil)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() >= 0 {
		notes, err = append(notes, fmt.Sprintf("exit code %d", exit.ExitCode())), nil
		unanswered++
	}
	if err != nil {
		return err
	}
	err = readLines(&output, func(line string) error {
		n, err := read(line)
		unanswered -= n
		return err
	})
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if unanswered < 0 {
		return fmt.Errorf("%d more answers than queries", -unanswered)
	}
	prefix := out.measure
	put := func(name string, value float64, notes ...string) {
		out.measure = prefix + "-" + name
		err = errors.Join(err, out.put([]float64{value}, notes...))
	}
	put("wall", c.wall.Seconds())
	put("load", c.cpu.Seconds()*1e6/float64(*asked))
	put("unanswered", float64(unanswered), notes...)
	return err
}
