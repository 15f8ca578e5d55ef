package tcpprobe

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/internal/rounds"
	"netprobe/probe"
	"netprobe/rawsock"
)

// cutDescriptors leaves some twenty of limit descriptors to the test.
func cutDescriptors(t *testing.T, limit uint64) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	for descriptors(t) < int(limit)-20 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	})
}

// Where descriptors run out, as others hold them, hosts wait; none is called
// silent or failed for it.
func TestDescriptorsRunOut(t *testing.T) {
	port := fullListener(t)
	cutDescriptors(t, 256)
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

// So it is where the same targets are asked again and again.
func TestDescriptorsRunOutInRounds(t *testing.T) {
	port := fullListener(t)
	cutDescriptors(t, 256)
	e := rounds.New(rounds.Config{
		Targets: targets("127.0.2.1", 60, port), Count: 2, Interval: 200 * time.Millisecond, Timeout: 50 * time.Millisecond,
		Each: rawsock.DialCost, Asker: func() crew.Asker { return NewAsker(rawsock.Config{}, nil) },
	})
	checkAllLost(t, e, 120)
}

// targets returns n targets from first on.
func targets(first string, n int, port uint16) []*probe.Target {
	var ts []*probe.Target
	a := netip.MustParseAddr(first)
	for i := range n {
		ts = append(ts, &probe.Target{ID: i, Name: a.String(), Addr: netip.AddrPortFrom(a, port)})
		a = a.Next()
	}
	return ts
}

// checkAllLost runs e, whose n probes must all be lost though this host lacked
// something for some of them.
func checkAllLost(t *testing.T, e *rounds.Engine, n int) {
	t.Helper()
	outcomes := 0
	if err := e.Probe(t.Context(), func(r probe.Result) {
		if r.Interim {
			return
		}
		outcomes++
		if r.Status != probe.Lost {
			t.Errorf("%v seq %d: %v %v: %v", r.Target.Name, r.Seq, r.Status, r.Reason, r.Err)
		}
	}); err != nil {
		t.Error(err)
	}
	if c := e.Counters(); outcomes != n || c.Sent != uint64(n) || c.Shortages == 0 {
		t.Errorf("%d outcomes, counters %+v", outcomes, c)
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
