package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pathFormats are the outputs that can be read, by name. Those of one trace are
// filed under the zero address.
var pathFormats = map[string]func(io.Reader, map[netip.Addr]*found) error{
	"classic": readClassic, "mtr": readMTR, "tracelb": readTracelb, "scamper": readScamper, "netprobe": readRecords,
}

// readLines calls visit for each line, however long.
func readLines(r io.Reader, visit func(string) error) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			if err := visit(strings.TrimRight(line, "\r\n")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var classicLine = regexp.MustCompile(`^ {0,2}(\d{1,3})  (.*)$`)

// readClassic reads the lines of traceroute, which scamper and netprobe print
// too: "TTL  ADDR  RTT ms  RTT ms ADDR  RTT ms *". A hop that answered some
// probes and not others counts as lossy.
func readClassic(r io.Reader, all map[netip.Addr]*found) error {
	f := newFound()
	all[netip.Addr{}] = f
	return readLines(r, func(line string) error {
		m := classicLine.FindStringSubmatch(line)
		if m == nil {
			return nil
		}
		ttl, _ := strconv.Atoi(m[1])
		var from netip.Addr
		answers, lost := 0, 0
		words := strings.Fields(m[2])
		for i, w := range words {
			if w == "*" {
				lost++
			} else if a, err := netip.ParseAddr(w); err == nil {
				from = a
				f.saw(ttl, from, -1)
			} else if w == "ms" && i > 0 && from.IsValid() {
				ms, err := strconv.ParseFloat(words[i-1], 64)
				if err != nil {
					return fmt.Errorf("hop %d: %q is no time", ttl, words[i-1])
				}
				answers++
				f.saw(ttl, from, ms)
			}
		}
		if answers > 0 && lost > 0 {
			f.lossy++
		}
		return nil
	})
}

var mtrLine = regexp.MustCompile(`^ *(\d+)\.\|-- (\S+) +([0-9.]+)%? +\d+ +([0-9.]+) `)

// readMTR reads mtr's report. Hops with some loss, but not all, are lossy.
func readMTR(r io.Reader, all map[netip.Addr]*found) error {
	f := newFound()
	all[netip.Addr{}] = f
	return readLines(r, func(line string) error {
		m := mtrLine.FindStringSubmatch(line)
		if m == nil {
			return nil
		}
		ttl, _ := strconv.Atoi(m[1])
		if from, err := netip.ParseAddr(m[2]); err == nil {
			last, _ := strconv.ParseFloat(m[4], 64)
			f.saw(ttl, from, last)
			if loss, _ := strconv.ParseFloat(m[3], 64); loss > 0 {
				f.lossy++
			}
		}
		return nil
	})
}

// readTracelb reads the lines "ADDR -> ADDR" of scamper's tracelb.
func readTracelb(r io.Reader, all map[netip.Addr]*found) error {
	f := newFound()
	all[netip.Addr{}] = f
	return readLines(r, func(line string) error {
		left, right, ok := strings.Cut(line, " -> ")
		from, err := netip.ParseAddr(left)
		if !ok || err != nil {
			return nil
		}
		for w := range strings.FieldsFuncSeq(right, func(r rune) bool { return r == ',' || r == ' ' || r == '(' || r == ')' }) {
			if to, err := netip.ParseAddr(w); err == nil {
				f.edges = append(f.edges, edge{from, to})
			}
		}
		return nil
	})
}

// readScamper reads the JSON of scamper's traces.
func readScamper(r io.Reader, all map[netip.Addr]*found) error {
	return readLines(r, func(line string) error {
		var rec struct {
			Type string
			Dst  netip.Addr
			Hops []struct {
				Addr netip.Addr
				TTL  int `json:"probe_ttl"`
				RTT  float64
			}
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			return fmt.Errorf("scamper: %w", err)
		}
		if rec.Type != "trace" {
			return nil
		}
		f := newFound()
		all[rec.Dst] = f
		for _, h := range rec.Hops {
			f.saw(h.TTL, h.Addr, h.RTT)
		}
		return nil
	})
}

// traceRecord is what matters here of a trace record of netprobe.
type traceRecord struct {
	Record string
	Addr   netip.Addr
	Hops   []struct {
		TTL    int
		Probes []struct {
			Status string
			From   *netip.Addr
			RTT    *float64 `json:"rtt_ms"`
		}
		Loss *struct{ Verdict string }
	}
	Links []struct{ From, To *netip.Addr }
}

// harmless are the verdicts of netprobe that speak of no loss.
var harmless = []string{"none", "rate-limited", "silent"}

// readRecords reads netprobe's records. Lossy is a hop that lost probes, unless
// a verdict explains them.
func readRecords(r io.Reader, all map[netip.Addr]*found) error {
	return readLines(r, func(line string) error {
		var kind struct{ Record string }
		if err := json.Unmarshal([]byte(line), &kind); err != nil {
			return fmt.Errorf("netprobe: %w", err)
		}
		if kind.Record != "trace" {
			return nil
		}
		var rec traceRecord
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			return fmt.Errorf("netprobe: %w", err)
		}
		all[rec.Addr] = rec.found()
		return nil
	})
}

func (rec *traceRecord) found() *found {
	f := newFound()
	for _, h := range rec.Hops {
		lost := false
		for _, p := range h.Probes {
			switch {
			case p.From == nil:
				lost = lost || p.Status == "lost"
			case p.RTT != nil:
				f.saw(h.TTL, *p.From, *p.RTT)
			default:
				f.saw(h.TTL, *p.From, -1)
			}
		}
		if h.Loss == nil && lost || h.Loss != nil && !slices.Contains(harmless, h.Loss.Verdict) {
			f.lossy++
		}
	}
	for _, l := range rec.Links {
		if l.From == nil || l.To == nil {
			continue
		}
		if e := (edge{*l.From, *l.To}); !slices.Contains(f.edges, e) {
			f.edges = append(f.edges, e)
		}
	}
	return f
}
