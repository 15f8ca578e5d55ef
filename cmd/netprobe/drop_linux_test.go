package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"netprobe/rawsock"
)

// While it probes no thread has a capability in any set that counts, nor the
// means to gain one. The bounding set stays: it gives nothing by itself.
func TestDropsCapabilities(t *testing.T) {
	if ok, err := condition("icmp"); err != nil {
		t.Fatal(err)
	} else if !ok {
		t.Skip("no ICMP socket here: run as root, or allow user namespaces")
	}
	checkThreads(t, "0000000000000000", "ping", "--json", "-i", "0.02", "127.0.0.1")
}

// The one that marking a socket takes stays, where that was asked for.
func TestKeepsCapabilityToMark(t *testing.T) {
	if err := rawsock.CheckDial(rawsock.Config{Mark: 1}); err != nil {
		t.Skip("run as root: ", err)
	}
	const netRaw, netAdmin = "0000000000002000", "0000000000001000"
	var name unix.Utsname
	want := netRaw
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if major < 5 || major == 5 && minor < 17 {
		want = netAdmin
	}
	const nothing = "0000000000000000"
	checkThreads(t, want, "tcp", "--json", "-i", "0.02", "--mark", "7", "127.0.0.1:1")
	checkThreads(t, nothing, "tcp", "--json", "-i", "0.02", "127.0.0.1:1")
	checkThreads(t, want, "dns", "--json", "-c", "1000", "-i", "0.02", "--mark", "7", "a.example", "@tcp://127.0.0.1:1")
	sweep := []string{"sweep", "--json", "--rate", "50", "--mark", "7", "127.0.0.0/22"}
	checkThreads(t, want, append(sweep, "--ping", "tcp:1")...)
	checkThreads(t, want, append(sweep, "--ping", "udp:1")...)
	checkThreads(t, nothing, append(sweep, "--ping", "icmp")...)
}

// checkThreads runs netprobe, whose threads must have the capabilities kept and
// no others while it probes.
func checkThreads(t *testing.T, kept string, args ...string) {
	t.Helper()
	cmd := exec.Command("netprobe", args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for range 20 { // past the first probes every thread is there that will be
		if !lines.Scan() {
			t.Fatal("it ended too soon")
		}
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", cmd.Process.Pid))
	if err != nil || len(threads) < 2 {
		t.Errorf("threads %v, %v", threads, err)
	}
	for _, path := range threads {
		checkThread(t, path, kept)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // let it say all it has to say
	}
	_ = cmd.Wait() // a sweep that was cut short has another code than other verbs
	if code := cmd.ProcessState.ExitCode(); code != exitAnswered && code != exitSilent && code != exitUntested {
		t.Errorf("%v: exit code %d", args, code)
	}
}

// checkThread checks what /proc says of one thread.
func checkThread(t *testing.T, path, kept string) {
	t.Helper()
	status, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	want := map[string]string{
		"CapInh:": "0000000000000000", "CapPrm:": kept, "CapEff:": kept, "CapAmb:": "0000000000000000", "NoNewPrivs:": "1",
	}
	seen := 0
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, "\t")
		if w, ok := want[name]; ok {
			seen++
			if strings.TrimSpace(value) != w {
				t.Errorf("%s: %s %s, want %s", path, name, strings.TrimSpace(value), w)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%s: %d of %d lines", path, seen, len(want))
	}
}

func TestRawWays(t *testing.T) {
	for _, tt := range []struct {
		name            string
		confined, noNew bool
		want            []string
	}{
		{"ordinary user", false, false, []string{"sudo setcap cap_net_raw+ep ", "--cap-add=NET_RAW"}},
		{"no new privileges", false, true, []string{"# and start it without no_new_privs", "--cap-add=NET_RAW"}},
		{"root without the capability", true, false, []string{"--cap-add=NET_RAW"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rawWays(tt.confined, tt.noNew)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q", got)
			}
			for i, w := range tt.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("got %q, want %q in it", got[i], w)
				}
			}
		})
	}
}
