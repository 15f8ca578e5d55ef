package tcpprobe

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/probe"
	"netprobe/rawsock"
)

// listen opens a TCP listener on addr that accepts and holds connections until
// they end; it returns its port.
func listen(t *testing.T, addr string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// loopbacks has an address of each family.
var loopbacks = []string{"127.0.0.1", "::1"}

// A listener is found, and what refuses is alive too.
func TestLoopback(t *testing.T) {
	for _, addr := range loopbacks {
		for _, open := range []bool{true, false} {
			port := listen(t, addr)
			want, why := probe.Reply, probe.Connected
			if !open {
				port, want, why = closedPort(t, addr), probe.Refused, probe.RST
			}
			l := crewtest.Of(addr)
			o := crewtest.Run(t, t.Context(), NewSweep(SweepConfig{Source: l, Port: port}), l)[0]
			if o.Status != want || o.Reason != why || o.Seq != 1 || o.From != netip.MustParseAddr(addr) || o.RTT <= 0 || o.RTT > 10*time.Second {
				t.Errorf("%v, open %v: %+v", addr, open, o)
			}
			if runtime.GOOS == "linux" && open && (o.Clock != probe.Kernel || o.Host <= 0) {
				t.Errorf("%v: clock %v, host %v", addr, o.Clock, o.Host)
			}
		}
	}
}

// closedPort returns a port of addr on which nobody listens.
func closedPort(t *testing.T, addr string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// Thousands of hosts, half of them listening, leave neither descriptors nor
// TIME_WAIT behind.
func TestLoopbackMany(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux answers for all of 127.0.0.0/8")
	}
	port := listen(t, "127.0.1.1")
	const n = 3000
	l := crewtest.Count("127.0.1.1", n)
	before := descriptors(t)
	s := NewSweep(SweepConfig{Source: l, Port: port, Limit: 200, Retries: 3, Timeout: 10 * time.Second})
	for i, o := range crewtest.Run(t, t.Context(), s, l) {
		want := probe.Refused
		if i == 0 {
			want = probe.Reply
		}
		if o.Status != want {
			t.Errorf("host %d: %v %v %v", i, o.Status, o.Reason, o.Err)
		}
	}
	if c := s.Counters(); c.Sent != n || c.InFlight != 0 || c.Deferred != 0 {
		t.Errorf("counters %+v", c)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(fds)
}

// Who accepts and resets at once has answered all the same.
func TestAcceptAndReset(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	asker := NewAsker(rawsock.Config{}, nil)
	for range 100 {
		a := asker.Ask(t.Context(), crew.Try{To: server.Addr().(*net.TCPAddr).AddrPort(), N: 1, Timeout: 10 * time.Second})
		if a.Status != probe.Reply || a.Reason != probe.Connected || a.RTT <= 0 {
			t.Fatalf("%+v", a)
		}
	}
}

// What is asked above a connection is asked of each that stands.
func TestAskerAgain(t *testing.T) {
	open := serve(t, say("hello", hold))
	asker := NewAsker(rawsock.Config{}, &Climb{Banner: true})
	for range 3 {
		sent := time.Now()
		a := asker.Ask(t.Context(), crew.Try{To: open, N: 1, Timeout: patience})
		if got := passed(t, a); got["banner"] != "hello" || a.At.Before(sent) || a.RTT <= 0 {
			t.Errorf("%+v", a)
		}
		if a = asker.Ask(t.Context(), crew.Try{To: loopback(closedPort(t, "127.0.0.1")), N: 1, Timeout: patience}); a.Status != probe.Refused || a.Detail != nil {
			t.Errorf("%+v", a)
		}
	}
}

// A run that is ended says of each host it took that it is undecided, and takes
// no more.
func TestCanceled(t *testing.T) {
	// Nobody accepts, and the queue of the listener is full: silence.
	port := fullListener(t)
	l := crewtest.Count("127.0.0.1", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	o := crewtest.Run(t, ctx, NewSweep(SweepConfig{Source: l, Port: port, Timeout: time.Minute}), l)[0]
	if o.Status != probe.Pending || o.Reason != probe.Canceled || o.Seq != 1 {
		t.Errorf("%v %v, try %d", o.Status, o.Reason, o.Seq)
	}
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}
