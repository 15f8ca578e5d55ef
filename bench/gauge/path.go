package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
)

// pathRun is one run of a tool inside a network of netprobe lab.
type pathRun struct {
	out     outlet
	truth   *truth
	targets []netip.Addr
	format  string
	limit   time.Duration
	paths   bool // links are judged, and everybody at a TTL must be found
	keep    string
}

// runPath runs a tool that traces paths, inside the network, and records as
// measures PREFIX-...: wall (s, of the whole command), rest (s, of wall what comes
// after the first packet on the wire), start (ms, what comes before it), cpu (s),
// packets (sent), missing and false (hops and links), wrong (both), lossy (hops
// said to lose packets), error (ms, round trips minus the true ones).
func runPath(args []string, _, stderr io.Writer) error {
	var r pathRun
	flags := flag.NewFlagSet("gauge path", flag.ContinueOnError)
	flags.SetOutput(stderr)
	r.out.define(flags)
	topology := flags.String("topology", "", "`FILE` that describes the network")
	flags.StringVar(&r.format, "format", "classic", "`FORMAT` of the output: classic, mtr, tracelb, scamper, netprobe")
	flags.DurationVar(&r.limit, "limit", 100*time.Second, "kill the command after this `TIME`")
	flags.BoolVar(&r.paths, "paths", false, "the tool looks for all paths")
	flags.StringVar(&r.keep, "keep", "", "write the output of the tool to `FILE`")
	targets := flags.String("targets", "", "`FILE` with the targets, one a line")
	target := flags.String("target", "", "`ADDR` of the target")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if r.truth, err = readTruth(*topology); err != nil {
		return err
	}
	words := *target
	if *targets != "" {
		data, err := os.ReadFile(*targets)
		if err != nil {
			return err
		}
		words += " " + string(data)
	}
	for w := range strings.FieldsSeq(words) {
		a, err := netip.ParseAddr(w)
		if err != nil {
			return err
		}
		r.targets = append(r.targets, a)
	}
	if pathFormats[r.format] == nil || len(r.targets) == 0 {
		return errors.New("needs a target and a known format")
	}
	return r.measure(flags.Args())
}

// measure runs the tool and records everything.
func (r *pathRun) measure(argv []string) error {
	begun, first, c, output, err := r.observe(argv)
	if r.keep != "" {
		err = errors.Join(err, os.WriteFile(r.keep, output, 0o644))
	}
	if err != nil {
		return err
	}
	device, err := tunName()
	if err != nil {
		return err
	}
	packets, err := packetsSent(device)
	if err != nil {
		return err
	}
	all := make(map[netip.Addr]*found)
	if err := pathFormats[r.format](bytes.NewReader(output), all); err != nil {
		return err
	}
	faults, lossy, errs := r.judge(all)
	prefix := r.out.measure
	put := func(name string, values ...float64) {
		r.out.measure = prefix + "-" + name
		err = errors.Join(err, r.out.put(values))
	}
	put("wall", c.wall.Seconds())
	put("cpu", c.cpu.Seconds())
	put("packets", packets)
	put("missing", float64(faults.missing))
	put("false", float64(faults.false))
	put("wrong", float64(faults.missing+faults.false))
	put("lossy", float64(lossy))
	put("error", errs...)
	if !first.IsZero() {
		start := first.Sub(begun)
		put("start", float64(start)/float64(time.Millisecond))
		put("rest", (c.wall - start).Seconds())
	}
	return err
}

// observe runs the tool. first is when its first packet passed the interface;
// zero if none did.
func (r *pathRun) observe(argv []string) (begun, first time.Time, c cost, output []byte, err error) {
	device, err := tunName()
	if err != nil {
		return begun, first, c, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop, err := watch(ctx, device, func(data []byte, info gopacket.CaptureInfo) error {
		if first.IsZero() && sentBy(data) == r.truth.prober {
			first = info.Timestamp
			cancel() // the rest does not matter
		}
		return nil
	})
	if err != nil {
		return begun, first, c, nil, err
	}
	var out, complaints bytes.Buffer
	begun = time.Now()
	c, err = launch(r.limit, argv, &out, &complaints)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		err = nil // the target did not answer
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", argv[0], err, complaints.String())
	}
	err = errors.Join(err, stop()) // first may be read now
	return begun, first, c, out.Bytes(), err
}

// judge compares what was found with the truth.
func (r *pathRun) judge(all map[netip.Addr]*found) (faults fault, lossy int, errs []float64) {
	for _, target := range r.targets {
		f := all[target]
		if f == nil {
			f = all[netip.Addr{}]
		}
		if f == nil {
			f = newFound()
		}
		path := r.truth.path(target)
		if r.paths {
			faults.add(f.edgeFaults(path))
		}
		if !r.paths || len(f.rows) > 0 {
			faults.add(f.hopFaults(path, r.paths))
		}
		lossy += f.lossy
		errs = append(errs, f.errors(path)...)
	}
	return faults, lossy, errs
}

// sentBy returns the source of an IPv4 packet.
func sentBy(packet []byte) netip.Addr {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(packet[12:16]))
}

// tunName finds the interface that leads into the network: the only one beside
// the loopback.
func tunName() (string, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	var name string
	for _, d := range devices {
		if d.Flags&net.FlagLoopback == 0 && d.Flags&net.FlagUp != 0 {
			if name != "" {
				return "", fmt.Errorf("interfaces %s and %s: not inside a network of netprobe lab", name, d.Name)
			}
			name = d.Name
		}
	}
	if name == "" {
		return "", errors.New("no interface: not inside a network of netprobe lab")
	}
	return name, nil
}

// packetsSent reads how many packets have left through device (proc(5),
// /proc/net/dev: the tenth number).
func packetsSent(device string) (float64, error) {
	data, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		name, rest, ok := strings.Cut(line, ":")
		var fields [10]float64
		if !ok || strings.TrimSpace(name) != device {
			continue
		}
		for i, w := range strings.Fields(rest) {
			if i < len(fields) {
				if _, err := fmt.Sscan(w, &fields[i]); err != nil {
					return 0, fmt.Errorf("/proc/net/dev: %w", err)
				}
			}
		}
		return fields[9], nil
	}
	return 0, fmt.Errorf("/proc/net/dev: no %s", device)
}
