package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// sweepFormats are the outputs that can be read, by name: each reads one line.
var sweepFormats = map[string]func(line []byte, t *tally) error{
	"plain": readAliveLine, "json": readSweepRecord, "fping": readCountLine,
}

// readSweep reads what a tool printed about the hosts of t into it.
func readSweep(r io.Reader, format string, t *tally) error {
	read := sweepFormats[format]
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if err := read(lines.Bytes(), t); err != nil {
			return fmt.Errorf("output: %w", err)
		}
	}
	return lines.Err()
}

// readSweepFile is readSweep for the file that the output went to.
func readSweepFile(file, format string, t *tally) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return readSweep(f, format, t)
}

// readAliveLine reads "ADDR is alive" and what may follow.
func readAliveLine(line []byte, t *tally) error {
	name, _, ok := bytes.Cut(line, []byte(" is alive"))
	if !ok {
		return nil
	}
	return t.aliveText(name)
}

// readSweepRecord reads a record of netprobe: of a host, or the summary, whose
// field alive is a number.
func readSweepRecord(line []byte, t *tally) error {
	var r struct {
		Record string
		Addr   netip.Addr
		Alive  any
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	switch alive := r.Alive.(type) {
	case bool:
		if r.Record == "host" && alive {
			t.alive(r.Addr)
		}
	case float64:
		if r.Record == "summary" {
			t.claim, t.claimed = uint64(alive), true
		}
	}
	return nil
}

// readCountLine reads a line of fping -c: "ADDR : [0], 64 bytes, 0.05 ms (...)".
func readCountLine(line []byte, t *tally) error {
	words := bytes.Fields(line)
	if len(words) < 5 || string(words[1]) != ":" || string(words[4]) != "bytes," {
		return nil // "timed out" or the summary
	}
	return t.aliveText(words[0])
}
