package tcpprobe

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/crew/crewtest"
	"netprobe/probe"
)

// fullListener returns a port of every local address whose listener has no room
// for more connections, and so does not answer.
func fullListener(t *testing.T) uint16 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := sa.(*unix.SockaddrInet4).Port
	for range 3 {
		d := net.Dialer{Timeout: 100 * time.Millisecond}
		c, err := d.Dial("tcp", net.TCPAddrFromAddrPort(loopback(uint16(port))).String())
		if err != nil {
			return uint16(port)
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("the listener still takes connections")
	return 0
}

// A listener without room is silent: asked again, then lost.
func TestBacklog(t *testing.T) {
	port := fullListener(t)
	l := crewtest.Of("127.0.0.1")
	s := NewSweep(SweepConfig{Source: l, Port: port, Retries: 2, Timeout: 20 * time.Millisecond, Backoff: 2})
	o := crewtest.Run(t, t.Context(), s, l)[0]
	if o.Status != probe.Lost || o.Seq != 3 || o.At < 140*time.Millisecond {
		t.Errorf("%v %v, try %d after %v", o.Status, o.Reason, o.Seq, o.At)
	}
}
