package main

import (
	"bytes"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func TestBlastRequest(t *testing.T) {
	p := blastRequest(false, 0x0203)
	if len(p) != 64 || checksum(p) != 0 {
		t.Errorf("%d bytes, sum %#x; want 64, and 0 over all", len(p), checksum(p))
	}
	var icmp layers.ICMPv4
	if err := icmp.DecodeFromBytes(p, gopacket.NilDecodeFeedback); err != nil {
		t.Fatal(err)
	}
	if icmp.TypeCode.Type() != layers.ICMPv4TypeEchoRequest || icmp.Seq != 0x0203 {
		t.Errorf("got %v, sequence %#x", icmp.TypeCode, icmp.Seq)
	}
	if p := blastRequest(true, 1); p[0] != layers.ICMPv6TypeEchoRequest || p[2] != 0 || p[3] != 0 {
		t.Errorf("ICMPv6: type %d, checksum %x; want 128, and the checksum left to the kernel", p[0], p[2:4])
	}
}

func TestBlastUsage(t *testing.T) {
	for _, args := range []string{"--prefix=192.0.2.1", "--prefix=2001:db8::/64", "--prefix=192.0.2.0/24 --threads=3", "--prefix=192.0.2.0/24 --threads=0"} {
		if code := run(append([]string{"blast"}, strings.Fields(args)...), &bytes.Buffer{}, &bytes.Buffer{}); code != 3 {
			t.Errorf("%s: exit %d, want 3", args, code)
		}
	}
}

func TestBlastRecord(t *testing.T) {
	hosts, err := parseSpan("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	out := outlet{file: filepath.Join(t.TempDir(), "samples"), measure: "s", tool: "yardstick"}
	b := blasted{found: 250, duration: time.Second / 4, cpu: 256 * 8 * time.Microsecond}
	var said bytes.Buffer
	if err := b.record(out, blastPlan{hosts: hosts}, &said); err != nil {
		t.Fatal(err)
	}
	if want := "250 of 256 hosts in 0.250 s: 1000/s, CPU 0.002 s\n"; said.String() != want {
		t.Errorf("said %q, want %q", &said, want)
	}
	want := []sample{
		{"s-rate", "yardstick", []float64{1000}, nil}, {"s-cpu", "yardstick", []float64{.002048}, nil},
		{"s-load", "yardstick", []float64{8}, nil}, {"s-wrong", "yardstick", []float64{6}, nil},
	}
	if got := samplesOf(t, out.file); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSweepSamples runs a command that stands in for a tool.
func TestSweepSamples(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell:", err)
	}
	dir := t.TempDir()
	samples, output := filepath.Join(dir, "samples"), filepath.Join(dir, "output")
	var errs bytes.Buffer
	code := run([]string{"sweep", "--samples", samples, "--measure", "m", "--tool", "x", "--output", output,
		"--alive", "192.0.2.0/30", "--asked", "8", "--note", "as expected", "--",
		"sh", "-c", "echo 192.0.2.0 is alive; echo 192.0.2.1 is alive; echo 192.0.2.9 is alive; exit 1"}, &errs, &errs)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	got := make(map[string]float64)
	for _, s := range samplesOf(t, samples) {
		got[s.Measure] = s.Values[0]
		if noted := slices.Equal(s.Notes, []string{"as expected"}); noted != (s.Measure == "m-wall") {
			t.Errorf("%s: notes %q", s.Measure, s.Notes)
		}
	}
	if got["m-missed"] != 50 || got["m-false"] != 1 || got["m-wrong"] != 3 || got["m-wall"] <= 0 {
		t.Errorf("got %v, want 50 %% missed, 1 false, 3 wrong", got)
	}
	if code := run([]string{"sweep", "--output", output, "--alive", "192.0.2.1", "--", "sh", "-c", "exit 2"}, &errs, &errs); code != 3 {
		t.Errorf("a tool that failed: exit %d, want 3", code)
	}
}

func TestSendings(t *testing.T) {
	c := newCapture(t)
	c.put(0, false, 7, 1, false)
	c.put(10, true, 7, 1, false) // an answer
	c.put(500, false, 7, 2, true)
	c.put(1000, false, 7, 2, true) // once more
	c.put(1010, true, 7, 2, true)
	var s sendings
	if err := c.each(s.visit); err != nil {
		t.Fatal(err)
	}
	if s.n != 3 || !s.first.Equal(at(0)) || !s.last.Equal(at(1000)) || s.pace() != 2000 {
		t.Errorf("got %d from %v to %v, %v/s; want 3 in 1 ms", s.n, s.first, s.last, s.pace())
	}
	if p := new(sendings).pace(); p != 0 {
		t.Errorf("nothing sent: pace %v", p)
	}
}

func TestSpanAddresses(t *testing.T) {
	if got := plus(netip.MustParseAddr("10.16.255.255"), 1); got != netip.MustParseAddr("10.17.0.0") {
		t.Errorf("got %v", got)
	}
}
