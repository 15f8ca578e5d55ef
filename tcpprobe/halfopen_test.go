package tcpprobe

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// fakeSocket takes SYNs and answers each with what reply says.
type fakeSocket struct {
	room    int   // SYNs it takes before it is full; below 0 for any number
	refuses error // what it says then
	reply   func(rawsock.SYN) []rawsock.SYNAnswer
	sent    []rawsock.SYN
	come    []rawsock.SYNAnswer
	buffer  int
	closed  bool
}

func (f *fakeSocket) Send(ps []rawsock.SYN) (int, error) {
	for i, p := range ps {
		if f.room == 0 {
			return i, f.refuses
		}
		f.room--
		f.sent = append(f.sent, p)
		if f.reply != nil {
			f.come = append(f.come, f.reply(p)...)
		}
	}
	return len(ps), nil
}

func (f *fakeSocket) Drain(visit func(*rawsock.SYNAnswer)) error {
	for i := range f.come {
		visit(&f.come[i])
	}
	f.come = f.come[:0]
	return nil
}

func (f *fakeSocket) Dropped() uint32 { return 7 }
func (f *fakeSocket) RecvBuf() int    { return f.buffer }
func (f *fakeSocket) Close() error    { f.closed = true; return nil }

// fakeAlarm sleeps.
type fakeAlarm struct{ wake chan struct{} }

func (a fakeAlarm) Wait(d time.Duration) bool {
	if d <= 0 {
		return false
	}
	select {
	case <-a.wake:
	case <-time.After(d):
	}
	return false
}
func (a fakeAlarm) Wake()      { a.wake <- struct{}{} }
func (fakeAlarm) Close() error { return nil }

func fakeHalfOpen(f *fakeSocket) *HalfOpen {
	if f.buffer == 0 {
		f.buffer = 1 << 22
	}
	return newHalfOpen(rawsock.Config{}, fakeAlarm{make(chan struct{}, 1)}, func(rawsock.Config) (synSocket, error) { return f, nil })
}

// triesTo returns a try to each of n ports of addr.
func triesTo(addr string, n int) []crew.Try {
	var ts []crew.Try
	for i := range n {
		ts = append(ts, crew.Try{To: netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(i+1)), N: 1, Timeout: time.Second})
	}
	return ts
}

// collected returns all that Collect hands over, in words.
func collected(h *HalfOpen) []string {
	var all []string
	h.Collect(func(to netip.AddrPort, n int, a *crew.Answer) {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%v try %d: %v %v %v", to, n, a.Status, a.Reason, a.Err)))
	})
	return all
}

// A queue that is full takes fewer, soon again; what does not fit for long has
// failed, and that is ours to say.
func TestHalfOpenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSocket{room: 3, refuses: os.NewSyscallError("sendmmsg", syscall.ENOBUFS)}
		h := fakeHalfOpen(f)
		ts := triesTo("192.0.2.7", 10)
		if n := h.Start(ts); n != 3 || len(f.sent) != 3 {
			t.Errorf("started %d, sent %d", n, len(f.sent))
		}
		start := time.Now()
		h.Wait(time.Hour)
		if took := time.Since(start); took != fullWait {
			t.Errorf("waited %v for room", took)
		}
		if all := collected(h); len(all) != 0 {
			t.Errorf("%v", all)
		}
		f.room = 5
		if n := h.Start(ts[3:]); n != 5 {
			t.Errorf("started %d", n)
		}
		start = time.Now()
		for h.Start(ts[8:]) == 0 {
			h.Wait(time.Hour)
		}
		if took := time.Since(start); took != fullGiveUp {
			t.Errorf("gave up after %v", took)
		}
		start = time.Now()
		h.Wait(time.Hour)
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v for a failure that is there", took)
		}
		all := collected(h)
		if len(all) != 2 || all[0] != "192.0.2.7:9 try 1: failed no-buffers the send queue of this host is full" {
			t.Errorf("%v", all)
		}
		f.room = -1
		if n := h.Start(ts); n != 10 {
			t.Errorf("started %d", n)
		}
		start = time.Now()
		h.Wait(time.Hour)
		if took := time.Since(start); took != time.Hour {
			t.Errorf("waited %v with nothing to do", took)
		}
	})
}

// No more leave than there is room for answers, until these have been read.
func TestHalfOpenBurst(t *testing.T) {
	f := &fakeSocket{room: -1, buffer: 100 * answerCost}
	h := fakeHalfOpen(f)
	ts := triesTo("192.0.2.7", 1000)
	for _, want := range []int{100, 0} {
		if n := h.Start(ts); n != want {
			t.Errorf("started %d, want %d", n, want)
		}
		h.Wait(time.Hour) // returns at once
	}
	collected(h)
	if n := h.Start(ts); n != 100 {
		t.Errorf("started %d", n)
	}
	f.buffer = 1 << 30
	if n := fakeHalfOpen(f).Start(ts); n != mostBurst {
		t.Errorf("started %d", n)
	}
	if h.Dropped() != 7 || h.Room() < 1000 || h.Timed() {
		t.Errorf("%d dropped, room %d, timed %v", h.Dropped(), h.Room(), h.Timed())
	}
	if err := h.Close(); err != nil || !f.closed {
		t.Errorf("%v, closed %v", err, f.closed)
	}
}

// What this host refuses is the failure of that try alone.
func TestHalfOpenRefused(t *testing.T) {
	for _, tc := range []struct {
		errno syscall.Errno
		to    string
		want  string
	}{
		{syscall.EPERM, "192.0.2.7", "failed permission a firewall rule or a missing privilege on this host forbids it"},
		{syscall.ENETUNREACH, "192.0.2.7", "failed no-route no route from this host"},
		{syscall.ENETUNREACH, "224.0.0.1", "failed no-route a multicast group has no TCP ports"},
		{syscall.ENETUNREACH, "0.0.0.0", "failed no-route no host has the address 0.0.0.0"},
		{syscall.EADDRNOTAVAIL, "2001:db8::7", "failed no-route no IPv6 source address on this host"},
		{syscall.ENETDOWN, "192.0.2.7", "failed link-down the interface is down"},
		{syscall.EMSGSIZE, "127.0.0.1", "failed frag-needed packet of 60 bytes exceeds the path MTU"},
	} {
		f := &fakeSocket{room: 1, refuses: os.NewSyscallError("sendmmsg", tc.errno)}
		h := fakeHalfOpen(f)
		ts := triesTo(tc.to, 3)
		if n := h.Start(ts); n != 3 {
			t.Errorf("%v: started %d", tc.errno, n)
		}
		all := collected(h)
		for i, got := range all {
			if want := fmt.Sprintf("%v try 1: %s", ts[i+1].To, tc.want); !strings.HasPrefix(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if len(all) != 2 || len(collected(h)) != 0 {
			t.Errorf("%v", all)
		}
	}
}

// A family for which there are no sockets fails by itself, and a source address
// of the other one says so.
func TestHalfOpenNoFamily(t *testing.T) {
	h := fakeHalfOpen(&fakeSocket{room: -1})
	h.open = func(cfg rawsock.Config) (synSocket, error) {
		if cfg.Family == rawsock.IPv6 {
			return nil, &rawsock.PermissionError{Kind: rawsock.Raw, Proto: rawsock.TCP, Err: syscall.EPERM}
		}
		return &fakeSocket{room: -1, buffer: 1 << 20}, nil
	}
	ts := append(triesTo("192.0.2.7", 2), triesTo("2001:db8::7", 1)...)
	if n := h.Start(ts); n != 3 {
		t.Errorf("started %d", n)
	}
	const denied = "[2001:db8::7]:1 try 1: failed permission no permission to open a raw TCP socket: operation not permitted"
	if all := collected(h); len(all) != 1 || all[0] != denied {
		t.Errorf("%v", all)
	}
	h = fakeHalfOpen(&fakeSocket{room: -1})
	h.cfg.Source = netip.MustParseAddr("192.0.2.1")
	h.Start(ts)
	if all := collected(h); len(all) != 1 || !strings.HasSuffix(all[0], "failed no-route source address 192.0.2.1 is not IPv6") {
		t.Errorf("%v", all)
	}
}

// Each answer is judged, and told each time it comes.
func TestHalfOpenVerdicts(t *testing.T) {
	to := netip.MustParseAddrPort("192.0.2.7:443")
	router := netip.MustParseAddr("198.51.100.9")
	mine := netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		heard rawsock.SYNAnswer
		want  string
		state probe.PortState
	}{
		{rawsock.SYNAnswer{Event: rawsock.Echo}, "reply syn-ack", probe.PortOpen},
		{rawsock.SYNAnswer{Event: rawsock.Echo, Reset: true}, "refused rst", probe.PortClosed},
		{rawsock.SYNAnswer{Event: rawsock.Error, Type: 3, Code: 3, From: router}, "unreachable port-unreachable", probe.PortFiltered},
		{rawsock.SYNAnswer{Event: rawsock.Error, Type: 3, Code: 3, From: to.Addr()}, "refused port-unreachable", probe.PortFiltered},
		{rawsock.SYNAnswer{Event: rawsock.Error, Type: 3, Code: 13, From: router}, "unreachable admin-prohibited", probe.PortFiltered},
		{rawsock.SYNAnswer{Event: rawsock.Error, Type: 3, Code: 1, From: mine}, "unreachable host-unreachable", probe.PortFiltered},
		{rawsock.SYNAnswer{Event: rawsock.Error, Type: 11, From: router}, "expired ttl-exceeded", probe.PortFiltered},
		{rawsock.SYNAnswer{Event: rawsock.Error, Type: 4, From: router}, "", 0},
	} {
		f := &fakeSocket{room: -1, reply: func(p rawsock.SYN) []rawsock.SYNAnswer {
			a := tc.heard
			a.To, a.Try, a.TTL, a.Size, a.Source, a.Arrived = p.To, p.Try, 57, 40, mine, time.Now()
			if a.Event == rawsock.Echo {
				a.From = p.To.Addr()
			}
			return []rawsock.SYNAnswer{a, a}
		}}
		h := fakeHalfOpen(f)
		h.Start([]crew.Try{{To: to, N: 4}})
		told := 0
		h.Collect(func(at netip.AddrPort, n int, a *crew.Answer) {
			told++
			if got := fmt.Sprint(a.Status, " ", a.Reason); got != tc.want || probe.StateOfPort(&a.Result, false) != tc.state {
				t.Errorf("%+v: %s, want %s", tc.heard, got, tc.want)
			}
			from := tc.heard.From
			if !from.IsValid() {
				from = to.Addr()
			}
			if at != to || n != 4 || a.From != from || a.TTL != 57 || a.Size != 40 || a.Type != tc.heard.Type || a.Code != tc.heard.Code ||
				a.At.IsZero() || a.RTT != 0 || a.Own != (from == mine) || a.Err != nil {
				t.Errorf("%v try %d: %+v", at, n, a)
			}
		})
		if want := 2 * min(1, len(tc.want)); told != want {
			t.Errorf("%+v: told %d times", tc.heard, told)
		}
	}
}

// The kernel's stamp says when an answer was there, unless it cannot be.
func TestHalfOpenArrival(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSocket{room: -1}
		h := fakeHalfOpen(f)
		collected(h)
		h.Start(triesTo("192.0.2.7", 1)) // opens the socket
		time.Sleep(10 * ms)
		collected(h)
		read := time.Now()
		time.Sleep(10 * ms)
		now := time.Now()
		for _, tc := range []struct {
			stamp time.Time
			want  time.Time
		}{
			{read.Add(3 * ms), read.Add(3 * ms)},
			{now, now},
			{read.Add(-ms / 2), read.Add(-ms / 2)},
			{read.Add(-2 * ms), now},
			{now.Add(1), now},
			{now.Add(time.Hour), now},
			{time.Unix(0, 0), now},
		} {
			a := rawsock.SYNAnswer{Stamp: tc.stamp.UnixNano(), Arrived: now}
			if tc.stamp.Equal(time.Unix(0, 0)) {
				a.Stamp = 0
			}
			if got := h.arrival(&a); !got.Equal(tc.want) {
				t.Errorf("stamped %v: at %v, want %v", tc.stamp.Sub(read), got.Sub(read), tc.want.Sub(read))
			}
		}
	})
}

// Starting and collecting allocate nothing.
func TestHalfOpenAllocatesNothing(t *testing.T) {
	f := &fakeSocket{room: -1, reply: nil}
	h := fakeHalfOpen(f)
	ts := triesTo("192.0.2.7", 64)
	router := netip.MustParseAddr("198.51.100.9")
	now := time.Now()
	told := 0
	visit := func(netip.AddrPort, int, *crew.Answer) { told++ }
	f.sent, f.come = make([]rawsock.SYN, 0, 64), make([]rawsock.SYNAnswer, 0, 2)
	n := testing.AllocsPerRun(100, func() {
		f.sent = f.sent[:0]
		h.Start(ts)
		f.come = append(f.come[:0], rawsock.SYNAnswer{To: ts[0].To, Try: 1, From: ts[0].To.Addr(), Arrived: now},
			rawsock.SYNAnswer{Event: rawsock.Error, Type: 3, Code: 13, To: ts[1].To, Try: 1, From: router, Arrived: now})
		h.Collect(visit)
	})
	if n != 0 || told != 202 {
		t.Errorf("%v allocations, %d answers", n, told)
	}
}

// Whoever lacks privileges, or the system, is told when it is opened.
func TestOpenHalfOpenUnable(t *testing.T) {
	h, err := OpenHalfOpen(rawsock.Config{Source: netip.MustParseAddr("192.0.2.1")}, rawsock.IPv6)
	if err == nil {
		h.Close()
		t.Fatal("opened")
	}
	if err.Error() != "source address 192.0.2.1 is not IPv6" {
		t.Error(err)
	}
	h, err = OpenHalfOpen(rawsock.Config{}, rawsock.IPv4)
	if err == nil {
		h.Wake()
		h.Wait(time.Hour)
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		h.Wake()
		return
	}
	if _, denied := errors.AsType[*rawsock.PermissionError](err); !denied && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
