package rawsock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// A dial that net gave up, as nobody answered in time, and that is answered
// after all, is seen to be.
func TestDialAnsweredAfterAll(t *testing.T) {
	fd, port := fullQueue(t)
	d := Dial{}
	dialer := net.Dialer{Control: d.Control, Timeout: 50 * time.Millisecond}
	if c, err := dialer.Dial("tcp4", loopbackAt(port)); err == nil {
		c.Close()
		t.Skip("the listener still takes connections")
	}
	defer d.Close()
	if e := d.End(); e.Connected || e.Errno != 0 || d.Local() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("still silent: %+v, from %v", e, d.Local())
	}
	for accepted, until := 0, time.Now().Add(10*time.Second); time.Now().Before(until); {
		if c, _, err := unix.Accept(fd); err == nil {
			accepted++
			unix.Close(c)
		}
		if e := d.End(); e.Connected {
			if e.Handshake.Retrans == 0 {
				t.Errorf("%+v", e)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("never connected")
}

// fullQueue returns a listener whose queue is full, non-blocking, and its port.
func fullQueue(t *testing.T) (fd int, port int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port = sa.(*unix.SockaddrInet4).Port
	for range 3 {
		c, err := net.DialTimeout("tcp4", loopbackAt(port), 100*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { c.Close() })
	}
	return fd, port
}

func loopbackAt(port int) string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String()
}

// A refusal by RST leaves no ICMP error, and the descriptor is given back.
func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	before := openDescriptors(t)
	d := Dial{}
	dialer := net.Dialer{Control: d.Control, Timeout: time.Second}
	for range 20 {
		if _, err := dialer.Dial("tcp4", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		if r, ok := d.Rejected(); ok {
			t.Errorf("rejected by %+v", r)
		}
	}
	d.Close()
	d.Close()
	if _, ok := d.Rejected(); ok || d.Local().IsValid() || d.End() != (Ending{}) {
		t.Error("a closed Dial knows things")
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// What no dial can do is known before the first.
func TestCheckDial(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	cases := []struct {
		cfg  Config
		want error
	}{
		{Config{}, nil},
		{Config{Interface: l.Device(), Mark: 3, TTL: 9, TOS: 8}, nil},
		{Config{Source: netip.MustParseAddr("192.0.2.1")}, nil},
		{Config{Source: netip.MustParseAddr("2001:db8::1")}, nil},
		{Config{Source: netip.MustParseAddr("192.0.2.9")}, syscall.EADDRNOTAVAIL},
		{Config{Interface: "eth77"}, syscall.ENODEV},
	}
	for _, tc := range cases {
		l.Do(func() {
			if err := CheckDial(tc.cfg); !errors.Is(err, tc.want) {
				t.Errorf("%+v: %v, want %v", tc.cfg, err, tc.want)
			}
		})
	}
}
