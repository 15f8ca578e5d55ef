package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestListenAt(t *testing.T) {
	got, err := listenAt("192.0.2.1-192.0.2.2", "22,80")
	var want []netip.AddrPort
	for _, at := range []string{"192.0.2.1:22", "192.0.2.1:80", "192.0.2.2:22", "192.0.2.2:80"} {
		want = append(want, netip.MustParseAddrPort(at))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	got, err = listenAt("", "22")
	if err != nil || len(got) != 1 || got[0].String() != "[::]:22" {
		t.Errorf("any address: got %v, %v", got, err)
	}
	if _, err := listenAt("10.0.0.0/8", "22"); err == nil {
		t.Error("a socket for each of 2^24 hosts passed")
	}
}

// TestAccept connects to each of many sockets, and is hung up on.
func TestAccept(t *testing.T) {
	at := freePorts(t, 40)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- accept(ctx, at, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	for _, a := range at {
		c, err := net.Dial("tcp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%v: %v, want the end of the stream", a, err)
		}
		c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", at[0].String()); err == nil {
		c.Close()
		t.Error("somebody still listens")
	}
}

// freePorts returns ports of loopback at which nobody listened a moment ago.
func freePorts(t *testing.T, n int) (at []netip.AddrPort) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		at = append(at, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return at
}

func TestAcceptTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).AddrPort()
	if err := accept(t.Context(), []netip.AddrPort{taken}, func() { t.Error("ready") }); err == nil {
		t.Error("a port that is taken passed")
	}
}

// TestScanSamples runs a command that stands in for a tool.
func TestScanSamples(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell:", err)
	}
	dir := t.TempDir()
	samples, output := filepath.Join(dir, "samples"), filepath.Join(dir, "output")
	scan := func(script string, flags ...string) (code int, errs string) {
		var out bytes.Buffer
		args := []string{"scan", "--samples", samples, "--measure", "m", "--tool", "x", "--output", output, "--open", "192.0.2.1=22,80"}
		code = run(append(append(args, flags...), "--", "sh", "-c", script), &out, &out)
		return code, out.String()
	}
	code, errs := scan("echo 192.0.2.1:22 open ssh; echo 192.0.2.1:81 open -; exit 3", "--asked", "1000", "--note", "as expected")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	got, notes := make(map[string]float64), make(map[string][]string)
	for _, s := range samplesOf(t, samples) {
		got[s.Measure], notes[s.Measure] = s.Values[0], s.Notes
	}
	if got["m-missed"] != 1 || got["m-false"] != 1 || got["m-wrong"] != 3 || got["m-wall"] <= 0 || got["m-rate"] <= 0 {
		t.Errorf("got %v, want 1 missed, 1 false, and wrong by these and an exit code", got)
	}
	if !slices.Equal(notes["m-wall"], []string{"as expected"}) || !slices.Equal(notes["m-wrong"], []string{"exit code 3"}) {
		t.Errorf("notes %v", notes)
	}
	if _, ok := got["m-unknown"]; ok {
		t.Error("lines of open ports say which are unknown")
	}
	code, errs = scan(`echo '{"record":"port","addr":"192.0.2.1","port":22,"state":"open"}'`, "--asked", "2", "--format", "json", "--measure", "j")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, s := range samplesOf(t, samples) {
		if want, ok := map[string]float64{"j-missed": 1, "j-unknown": 1, "j-wrong": 2}[s.Measure]; ok && s.Values[0] != want {
			t.Errorf("%s: %v, want %v", s.Measure, s.Values[0], want)
		}
	}
	const tells = `trap 'echo ETA 1 min 30 s >&2; exit' QUIT; while :; do sleep .01; done`
	if code, errs = scan(tells, "--asked", "2", "--format", "json", "--measure", "e", "--eta", "300ms", "--ideal", "100ms"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	seen := 0
	for _, s := range samplesOf(t, samples) {
		if s.Measure == "e-eta" && s.Values[0] > 0 || s.Measure == "e-ratio" && s.Values[0] >= 3 {
			seen++
		}
	}
	if seen != 2 {
		t.Errorf("an ETA and a ratio: %v", samplesOf(t, samples))
	}
	for _, flags := range []string{"", "--asked 10 --format xml", "--asked 10 --open 22"} {
		if code, _ := scan("true", strings.Fields(flags)...); code != 3 {
			t.Errorf("%q: exit %d, want 3", flags, code)
		}
	}
	if code, _ := scan("exec sleep 60", "--asked", "10", "--limit", "50ms"); code != 3 {
		t.Errorf("a command that does not end: exit %d, want 3", code)
	}
}
