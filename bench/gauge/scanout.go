package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// scanFormats are the outputs that can be read, by name: each reads one line.
// grepable is nmap's, list that of masscan, nc what nc -v says.
var scanFormats = map[string]func(line string, d *doors) error{
	"plain": readOpenLine, "json": readPortRecord, "grepable": readGrepable, "list": readListLine, "nc": readSucceeded,
}

// readScan reads what a tool printed about ports into d.
func readScan(r io.Reader, format string, d *doors) error {
	if format == "json" || d.all {
		d.decided = make(map[netip.AddrPort]bool)
	}
	read := scanFormats[format]
	err := readLines(r, func(line string) error { return read(line, d) })
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// readScanFile is readScan for the file that the output went to.
func readScanFile(file, format string, d *doors) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return readScan(f, format, d)
}

// readOpenLine reads "ADDR:PORT open ..." of netprobe.
func readOpenLine(line string, d *doors) error {
	words := strings.Fields(line)
	if len(words) < 2 || words[1] != "open" {
		return nil
	}
	at, err := netip.ParseAddrPort(words[0])
	if err == nil {
		d.named(at)
	}
	return err
}

// readPortRecord reads a record of netprobe, of which there is one for each port.
func readPortRecord(line string, d *doors) error {
	var r struct {
		Record, State string
		Addr          netip.Addr
		Port          uint16
	}
	if strings.Contains(line, `"record":"summary"`) {
		return nil // its ports are a number
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return err
	}
	if r.Record != "port" {
		return nil
	}
	at := netip.AddrPortFrom(r.Addr, r.Port)
	switch r.State {
	case "unknown":
		return nil
	case "open":
		d.named(at)
	case "open|filtered":
		if !d.silent {
			return nil // it answers: this is as good as nothing
		}
	case "closed", "filtered":
	default:
		return fmt.Errorf("%v: state %q", at, r.State)
	}
	d.decided[at] = true
	return nil
}

var ignoredState = regexp.MustCompile(`^Ignored State: (\S+) \((\d+)\)$`)

// readGrepable reads "Host: ADDR (NAME)\tPorts: 22/open/tcp//ssh///, ...\tIgnored
// State: closed (997)".
func readGrepable(line string, d *doors) error {
	rest, ok := strings.CutPrefix(line, "Host: ")
	if !ok {
		return nil
	}
	host, _, _ := strings.Cut(rest, " ")
	for field := range strings.SplitSeq(rest, "\t") {
		if m := ignoredState.FindStringSubmatch(field); m != nil && (m[1] != "open|filtered" || d.silent) {
			n, _ := strconv.ParseUint(m[2], 10, 16) // the pattern lets only numbers through
			d.unnamed += n
		}
		list, ok := strings.CutPrefix(field, "Ports: ")
		if !ok || list == "" {
			continue
		}
		for port := range strings.SplitSeq(list, ", ") {
			if err := readGrepablePort(host, port, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// readGrepablePort reads "22/open/tcp//ssh///".
func readGrepablePort(host, port string, d *doors) error {
	words := strings.SplitN(port, "/", 3)
	if len(words) < 3 {
		return fmt.Errorf("port %q", port)
	}
	switch words[1] {
	case "open":
		if err := d.namedText(host, words[0]); err != nil {
			return err
		}
	case "open|filtered":
		if !d.silent {
			return nil
		}
	}
	if d.decided != nil {
		at, err := netip.ParseAddrPort(net.JoinHostPort(host, words[0]))
		if err != nil {
			return err
		}
		d.decided[at] = true
	}
	return nil
}

// readListLine reads "open tcp PORT ADDR TIME" of masscan.
func readListLine(line string, d *doors) error {
	words := strings.Fields(line)
	if len(words) < 4 || words[0] != "open" {
		return nil
	}
	return d.namedText(words[3], words[2])
}

var succeededLine = regexp.MustCompile(`^Connection to (\S+) (\d+) port .* succeeded!$`)

// readSucceeded reads "Connection to ADDR PORT port [tcp/*] succeeded!".
func readSucceeded(line string, d *doors) error {
	m := succeededLine.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	return d.namedText(m[1], m[2])
}
