package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"netprobe/probe"
)

// maxRecord is the longest line of records that is read, in bytes: a trace of
// 255 hops with a thousand probes each stays below.
const maxRecord = 256 << 20

// A baseline is what trace records of earlier runs say about some targets.
type baseline struct {
	paths  []*probe.Path // in the order of the file
	common probe.Path    // Proto, Port and Flow of all paths asked for; without a Proto if they differ
}

// readBaseline reads the records in file, which must hold a trace of each of
// hosts. Its errors are usage errors: nothing was sent.
func readBaseline(file string, hosts []probe.Host) (*baseline, error) {
	const hint = "record one with netprobe trace --json HOST >FILE"
	f, err := openAsCaller(file)
	if err != nil {
		return nil, usage(hint, "cannot read the baseline: %v", err)
	}
	defer f.Close()
	b := &baseline{}
	if b.paths, err = readPaths(f); err != nil {
		return nil, usage(hint, "cannot read the baseline %q: %v", file, err)
	}
	for i, h := range hosts {
		p := b.find(h.Name, h.Addr)
		if p == nil {
			return nil, usage(hint, "the baseline %q has no trace of %q", file, h.Name)
		}
		switch c := &b.common; {
		case i == 0:
			c.Proto, c.Port, c.Flow = p.Proto, p.Port, p.Flow
		case c.Proto != p.Proto || c.Port != p.Port || c.Flow != p.Flow:
			c.Proto = ""
		}
	}
	return b, nil
}

// find returns the latest trace of what was called name, if possible the one of
// addr; nil if there is none.
func (b *baseline) find(name string, addr netip.Addr) *probe.Path {
	var found *probe.Path
	for _, p := range slices.Backward(b.paths) {
		switch {
		case !strings.EqualFold(p.Target.Name, name):
		case p.Target.Addr.Addr() == addr:
			return p
		case found == nil:
			found = p
		}
	}
	return found
}

// adopt takes the protocol, port and flow of was where the flags leave the
// choice: load balancers then choose as they did.
func (f *traceFlags) adopt(was probe.Path, fs *pflag.FlagSet) {
	if _, known := protos[was.Proto]; !known || fs.Changed("proto") && f.proto != was.Proto {
		return
	}
	if !fs.Changed("proto") && f.port != 0 && was.Proto == "icmp" {
		return
	}
	f.proto = was.Proto
	if f.port == 0 {
		f.port = int(was.Port)
	}
	if !fs.Changed("flow") && !(f.paths && int(was.Flow) > maxPathsFlow) {
		f.flow, f.adopted = int(was.Flow), was.Flow != 0
	}
}

// readPaths reads the trace records among the records in r, one a line.
func readPaths(r io.Reader) ([]*probe.Path, error) {
	var paths []*probe.Path
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxRecord)
	for n := 1; scanner.Scan(); n++ {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		var kind struct{ Record string } // other records have fields of their own
		if err := json.Unmarshal(line, &kind); err != nil {
			return nil, fmt.Errorf("line %d is no record: %w", n, err)
		}
		if kind.Record != "trace" {
			continue
		}
		p, err := readPath(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		paths = append(paths, p)
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return nil, errors.New("a line is too long to be a record")
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errors.New("it holds no trace record")
	}
	return paths, nil
}

// traceRecord is what a comparison needs of a trace record.
type traceRecord struct {
	Target string      `json:"target"`
	Addr   netip.Addr  `json:"addr"`
	Proto  string      `json:"proto"`
	Port   uint16      `json:"port"`
	Flow   uint16      `json:"flow"`
	Stop   string      `json:"stop"`
	Hops   []hopRecord `json:"hops"`
	Links  []struct {
		TTL  uint8      `json:"ttl"`
		From netip.Addr `json:"from"`
		To   netip.Addr `json:"to"`
	} `json:"links"`
}

type hopRecord struct {
	TTL    uint8 `json:"ttl"`
	Target bool  `json:"target"`
	Probes []struct {
		From netip.Addr `json:"from"`
	} `json:"probes"`
	Stats struct { // instead of probes, with --monitor
		Addrs []struct {
			Addr netip.Addr `json:"addr"`
		} `json:"addrs"`
	} `json:"stats"`
}

// readPath reads one trace record as far as it is compared.
func readPath(line []byte) (*probe.Path, error) {
	var r traceRecord
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("not a trace record: %w", err)
	}
	stop := slices.Index(probe.Stops(), r.Stop)
	if stop < 0 || r.Target == "" {
		return nil, errors.New("a trace record without target or with an unknown stop")
	}
	p := &probe.Path{
		Target: &probe.Target{Name: r.Target, Addr: netip.AddrPortFrom(r.Addr, r.Port)},
		Proto:  r.Proto, Port: r.Port, Flow: r.Flow, Stop: probe.Stop(stop),
	}
	for _, h := range r.Hops {
		hop := probe.PathHop{TTL: h.TTL, Target: h.Target}
		for _, a := range h.Stats.Addrs {
			hop.Probes = append(hop.Probes, probe.Result{From: a.Addr})
		}
		for _, pr := range h.Probes {
			hop.Probes = append(hop.Probes, probe.Result{From: pr.From})
		}
		p.Hops = append(p.Hops, hop)
	}
	for _, l := range r.Links {
		p.Links = append(p.Links, probe.PathLink{TTL: l.TTL, From: l.From, To: l.To})
	}
	return p, nil
}

// openAsCaller opens file for reading with the rights of who started us, which
// matters to a binary that is setuid.
func openAsCaller(file string) (f *os.File, err error) {
	back, err := becomeCaller()
	if err != nil {
		return nil, err
	}
	f, err = os.Open(file)
	return f, errors.Join(err, back())
}
