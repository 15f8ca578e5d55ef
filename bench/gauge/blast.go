package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// blastPlan is what the yardstick does.
type blastPlan struct {
	hosts   span
	threads int           // 1 sends a batch and takes what is there; 2 sends and receives at once
	limit   time.Duration // of all
}

// blasted is what it found, and what that took: from the first packet to the last
// answer.
type blasted struct {
	found    uint64
	duration time.Duration
	cpu      time.Duration // user and system
}

// blastSize is the size of an echo request in bytes: ICMP header and 56 bytes of
// payload, as all tools send by default.
const blastSize = 64

// blastRequest is the request that is sent to everyone.
func blastRequest(v6 bool, seq uint16) []byte {
	p := make([]byte, blastSize)
	p[0] = 8 // echo request, RFC 792
	if v6 {
		p[0] = 128 // RFC 4443, section 4.1
	}
	p[4], p[5] = 0x4e, 0x50
	p[6], p[7] = byte(seq>>8), byte(seq)
	if !v6 { // the kernel does it for ICMPv6 (RFC 3542, section 3.1)
		sum := checksum(p)
		p[2], p[3] = byte(sum>>8), byte(sum)
	}
	return p
}

// checksum is that of RFC 1071, over an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// runBlast is the yardstick for sweeps: it asks each host of a prefix once, as
// fast as the plainest loop does it, remembers who answered, and does nothing
// else. It records as measures PREFIX-...: rate (hosts found a second, from the
// first packet to the last answer), cpu (s), load (CPU in µs per host asked), wrong
// (hosts missed).
func runBlast(args []string, stdout, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge blast", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	plan := blastPlan{}
	prefix := flags.String("prefix", "", "ask the hosts of `PREFIX`")
	flags.IntVar(&plan.threads, "threads", 1, "`N` threads: 1, or 2 of which one sends and one receives")
	flags.DurationVar(&plan.limit, "limit", time.Minute, "give up after this `TIME`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if _, err := netip.ParsePrefix(*prefix); err != nil {
		return err
	}
	if plan.threads < 1 || plan.threads > 2 {
		return errors.New("threads: 1 or 2")
	}
	var err error
	if plan.hosts, err = parseSpan(*prefix); err != nil {
		return err
	}
	got, err := blast(plan)
	if err != nil {
		return fmt.Errorf("%s: %w", *prefix, err)
	}
	return got.record(out, plan, stdout)
}

func (b blasted) record(out outlet, plan blastPlan, stdout io.Writer) error {
	asked := plan.hosts.size()
	rate := float64(b.found) / b.duration.Seconds()
	fmt.Fprintf(stdout, "%d of %d hosts in %.3f s: %.0f/s, CPU %.3f s\n", b.found, asked, b.duration.Seconds(), rate, b.cpu.Seconds())
	if out.file == "" {
		return nil
	}
	var err error
	name := out.measure
	for _, m := range []struct {
		name  string
		value float64
	}{
		{"rate", rate}, {"cpu", b.cpu.Seconds()}, {"load", b.cpu.Seconds() * 1e6 / float64(asked)}, {"wrong", float64(asked - b.found)},
	} {
		out.measure = name + "-" + m.name
		err = errors.Join(err, out.put([]float64{m.value}))
	}
	return err
}
