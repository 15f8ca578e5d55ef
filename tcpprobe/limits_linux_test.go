package tcpprobe

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/probe"
)

// Where descriptors run out, as others hold them, hosts wait; none is called
// silent or failed for it.
func TestDescriptorsRunOut(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	port := fullListener(t)
	const limit = 256
	for descriptors(t) < limit-20 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	// Silent hosts hold theirs until the timeout.
	l := crewtest.Count("127.0.2.1", 60)
	s := NewSweep(SweepConfig{Source: l, Port: port, Timeout: 50 * time.Millisecond})
	for i, o := range crewtest.Run(t, t.Context(), s, l) {
		if o.Status != probe.Lost || o.Seq != 1 {
			t.Errorf("host %d: %v %v, try %d: %v", i, o.Status, o.Reason, o.Seq, o.Err)
		}
	}
	if c := s.Counters(); c.Shortages == 0 || c.Sent != 60 {
		t.Errorf("counters %+v", c)
	}
}

// An ordinary user hears who rejected a connect, too.
func TestLiveOrdinaryUser(t *testing.T) {
	if os.Getenv("TCPPROBE_ORDINARY") != "" {
		e := crewtest.Rejections[6]
		l := both(1, 2)
		crewtest.CheckRejected(t, e, crewtest.Run(t, t.Context(), NewSweep(SweepConfig{Source: l, Port: 443, Timeout: 5 * time.Second}), l))
		return
	}
	l := lab.Start(t, crewtest.Rejecting(crewtest.Rejections[6]))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := l.Command(t.Context(), self, "-test.run=^TestLiveOrdinaryUser$", "-test.v").Ordinary()
	c.Env = append(os.Environ(), "TCPPROBE_ORDINARY=1")
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if _, failed := err.(*exec.ExitError); failed {
		t.Fatalf("%s", out)
	} else if err != nil {
		t.Skip(err)
	}
}

// Connections are reset, not closed: nothing is left in TIME_WAIT.
func TestNoTimeWait(t *testing.T) {
	port := listen(t, "127.0.3.1")
	for range 50 {
		l := crewtest.Of("127.0.3.1")
		if o := crewtest.Run(t, t.Context(), NewSweep(SweepConfig{Source: l, Port: port}), l)[0]; o.Status != probe.Reply {
			t.Fatalf("%v %v", o.Status, o.Reason)
		}
	}
	if n := waiting(t, port); n > 0 {
		t.Errorf("%d connections in TIME_WAIT", n)
	}
}

// waiting counts the IPv4 connections of port in TIME_WAIT (state 06 of
// /proc/net/tcp, whose second and third columns are the addresses).
func waiting(t *testing.T, port uint16) int {
	t.Helper()
	table, err := os.ReadFile("/proc/thread-self/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[3] == "06" && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", port)) {
			n++
		}
	}
	return n
}
