package rawsock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// exchange returns a dialled socket with stamps and a server it may talk to.
func exchange(t *testing.T, server string) (*net.UDPConn, *net.UDPConn) {
	t.Helper()
	s, err := net.ListenPacket("udp", server)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { s.Close() })
	d := Dial{Stamps: true}
	c, err := (&net.Dialer{Control: d.Control}).Dial("udp", s.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UDPConn), s.(*net.UDPConn)
}

// stampArrivals has the kernel stamp what arrives, and waits until it does: it
// begins from a work queue.
func stampArrivals(t *testing.T) {
	t.Helper()
	KeepStamps()
	c, s := exchange(t, "127.0.0.1:0")
	buf := make([]byte, 64)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := s.WriteTo([]byte("now"), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if r, err := Receive(c, buf); err != nil || r.Stamp != 0 {
			return
		}
	}
	t.Fatal("arrivals are not stamped")
}

// Both stamps are the kernel's, and lie between what this process saw.
func TestReceive(t *testing.T) {
	stampArrivals(t)
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		c, s := exchange(t, addr)
		buf := make([]byte, 64)
		before := time.Now().UnixNano()
		if _, err := c.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		n, from, err := s.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteTo(append(buf[:n:n], '!'), from); err != nil {
			t.Fatal(err)
		}
		r, err := Receive(c, buf)
		after := time.Now().UnixNano()
		raw, _ := c.SyscallConn()
		e := ReadErrors(raw)
		if err != nil || string(buf[:r.Len]) != "question!" || r.From != s.LocalAddr().(*net.UDPAddr).AddrPort() || r.TTL == 0 {
			t.Errorf("%+v, %q, %v", r, buf[:r.Len], err)
		}
		if e.Left < before || r.Stamp < e.Left || after < r.Stamp {
			t.Errorf("%d, left %d, arrived %d, %d", before, e.Left, r.Stamp, after)
		}
		if e.Rejected {
			t.Error("nobody rejected anything")
		}
	}
}

// A port that nobody has says so through the error queue, with the time of that.
func TestReadErrors(t *testing.T) {
	c, s := exchange(t, "127.0.0.1:0")
	s.Close()
	if _, err := c.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	_, err := Receive(c, make([]byte, 64))
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	raw, _ := c.SyscallConn()
	e := ReadErrors(raw)
	if !e.Rejected || e.From != netip.MustParseAddr("127.0.0.1") || e.Type != 3 || e.Code != 3 || e.Left == 0 {
		t.Errorf("%+v", e)
	}
	if again := ReadErrors(raw); again != (Errors{}) {
		t.Errorf("again: %+v", again)
	}
}

// A datagram that has arrived is found though the read deadline has passed.
func TestLastWord(t *testing.T) {
	c, s := exchange(t, "127.0.0.1:0")
	buf := make([]byte, 16)
	if _, ok := LastWord(c, buf); ok {
		t.Error("a word before one was said")
	}
	if _, err := s.WriteTo([]byte("late"), c.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if _, err := Receive(c, buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	r, ok := LastWord(c, buf)
	if !ok || string(buf[:r.Len]) != "late" || r.Stamp == 0 {
		t.Errorf("%q, %+v, %v", buf[:r.Len], r, ok)
	}
}
