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

// sweepFormats are the outputs that can be read, by name: each tells the address
// of an alive host if a line names one.
var sweepFormats = map[string]func(line []byte) (netip.Addr, bool, error){
	"plain": readAliveLine, "json": readHostRecord, "fping": readCountLine,
}

// readSweep reads what a tool printed about the hosts of t into it.
func readSweep(r io.Reader, format string, t *tally) error {
	read := sweepFormats[format]
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		addr, alive, err := read(lines.Bytes())
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		if alive {
			t.alive(addr)
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
func readAliveLine(line []byte) (netip.Addr, bool, error) {
	name, _, ok := bytes.Cut(line, []byte(" is alive"))
	if !ok {
		return netip.Addr{}, false, nil
	}
	addr, err := netip.ParseAddr(string(name))
	return addr, true, err
}

// readHostRecord reads a host record of netprobe.
func readHostRecord(line []byte) (netip.Addr, bool, error) {
	var r struct {
		Record string
		Addr   netip.Addr
		Alive  bool
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return netip.Addr{}, false, err
	}
	return r.Addr, r.Record == "host" && r.Alive, nil
}

// readCountLine reads a line of fping -c: "ADDR : [0], 64 bytes, 0.05 ms (...)".
func readCountLine(line []byte) (netip.Addr, bool, error) {
	words := bytes.Fields(line)
	if len(words) < 5 || string(words[1]) != ":" || string(words[4]) != "bytes," {
		return netip.Addr{}, false, nil // "timed out" or the summary
	}
	addr, err := netip.ParseAddr(string(words[0]))
	return addr, true, err
}
