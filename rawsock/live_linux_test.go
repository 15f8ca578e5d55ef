package rawsock

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// sockets runs f for each kind of socket and each family, in a network of its
// own with a kernel at the far end: 192.0.2.2 and 2001:db8::2.
func sockets(t *testing.T, f func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr)) {
	for _, kind := range []Kind{Raw, Datagram} {
		for _, far := range lab.Addrs("192.0.2.2", "2001:db8::2") {
			family := FamilyOf(far)
			t.Run(kind.String()+map[Family]string{IPv4: " IPv4", IPv6: " IPv6"}[family], func(t *testing.T) {
				l := lab.Pair(t, lab.Veth{Neighbours: true})
				l.Must(l.PingGroups(0, 0))
				f(t, l, Config{Family: family, Kind: kind, ID: 0x4e50, Timeout: 20 * time.Millisecond}, far)
			})
		}
	}
}

// openIn opens a socket in the near namespace of l and closes it with the test.
func openIn(t testing.TB, l *lab.Lab, cfg Config) *Conn {
	t.Helper()
	var c *Conn
	var err error
	l.Do(func() { c, err = Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	stampsOn()
	return c
}

// echo builds a packet with n octets of payload.
func (c *Conn) echo(to netip.Addr, seq uint16, n int, key uint32) Packet {
	msg := make([]byte, EchoHeaderLen+n)
	for i := range n {
		msg[EchoHeaderLen+i] = byte(i)
	}
	PutEcho(c.family, msg, c.id, seq)
	return Packet{To: to, Msg: msg, Key: key}
}

// must sends pkts and fails unless the kernel takes them all.
func (c *Conn) must(t testing.TB, pkts ...Packet) {
	t.Helper()
	if n, err := c.Send(pkts); n != len(pkts) || err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(pkts), err)
	}
}

// collect drains c until done says that all is there, and returns all messages.
func collect(t testing.TB, c *Conn, done func([]Message) bool) []Message {
	t.Helper()
	var all []Message
	for deadline := time.Now().Add(patience); !done(all); {
		if time.Now().After(deadline) {
			t.Fatalf("nothing more came than %+v", all)
		}
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		err := c.Drain(func(m *Message) {
			keep := *m
			keep.Payload = append([]byte(nil), m.Payload...)
			all = append(all, keep)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// events returns the messages of one kind.
func events(all []Message, e Event) []Message {
	var list []Message
	for _, m := range all {
		if m.Event == e {
			list = append(list, m)
		}
	}
	return list
}

// have returns a condition for collect: so many messages of each kind.
func have(want map[Event]int) func([]Message) bool {
	return func(all []Message) bool {
		for e, n := range want {
			if len(events(all, e)) < n {
				return false
			}
		}
		return true
	}
}

func TestEcho(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		cfg.MaxSize = EchoHeaderLen + 8000
		c := openIn(t, l, cfg)
		if c.Kind() != cfg.Kind || c.Family() != cfg.Family || !c.KernelClock() || c.RecvBuf() == 0 {
			t.Errorf("kind %v, IPv%d, kernel clock %v, buffer %d", c.Kind(), c.Family(), c.KernelClock(), c.RecvBuf())
		}
		if id, n := c.IDs(); id != 0x4e50 || n != 1 {
			t.Errorf("%d identifiers from %#x on", n, id)
		}
		before := time.Now()
		sizes := []int{0, 1, 56, 1400, 8000} // the last in fragments
		var pkts []Packet
		for i, n := range sizes {
			pkts = append(pkts, c.echo(far, uint16(i), n, uint32(1000+i)))
		}
		c.must(t, pkts...)
		all := collect(t, c, have(map[Event]int{Echo: len(sizes), Stamp: len(sizes)}))
		after := time.Now()
		left := map[uint32]int64{}
		for _, m := range all {
			if m.Stamp < before.UnixNano() || m.Stamp > after.UnixNano() || m.Arrived.Before(before) {
				t.Errorf("stamped at %v, taken at %v: %+v", time.Unix(0, m.Stamp), m.Arrived, m)
			}
			if m.Event == Stamp {
				left[m.Key] = m.Stamp
				continue
			}
			i := int(m.Seq)
			tx, known := left[uint32(1000+i)]
			if !known || m.Stamp < tx {
				t.Errorf("probe %d: answered at %d, left at %d (known before: %v)", i, m.Stamp, tx, known)
			}
			if m.From != far || m.ID != 0x4e50 || m.TTL != 64 || m.BadSum || m.Size != 8+sizes[i] || string(m.Payload) != string(pkts[i].Msg[8:]) {
				t.Errorf("probe %d: %d octets, %+v", i, len(m.Payload), m)
			}
		}
		if c.Dropped() != 0 {
			t.Errorf("%d dropped", c.Dropped())
		}
	})
}

// A message larger than the buffer is cut, but its size is told.
func TestTruncatedByTheBuffer(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		cfg.MaxSize = 100
		c := openIn(t, l, cfg)
		c.must(t, c.echo(far, 1, 1000, 0))
		m := events(collect(t, c, have(map[Event]int{Echo: 1})), Echo)[0]
		whole := 1008
		if cfg.Kind == Datagram {
			whole = len(m.Payload) + EchoHeaderLen // all that the kernel tells
		}
		if m.Size != whole || len(m.Payload) < 92 || len(m.Payload) > 200 || m.BadSum {
			t.Errorf("%d octets of payload, %+v", len(m.Payload), m)
		}
	})
}

// Each departure is known by its key: with packets in between that nobody
// answers, with several batches, and on kernels that count packets themselves.
func TestStampKeys(t *testing.T) {
	for _, counting := range []bool{false, true} {
		name := "keyed"
		if counting {
			name = "counting"
		}
		t.Run(name, func(t *testing.T) {
			sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
				c := openIn(t, l, cfg)
				if counting {
					c.countStamps()
				} else if !c.out.keyed {
					t.Skip("this kernel does not take keys (before Linux 6.13)")
				}
				silent := far.Next() // nobody there, and its neighbour entry says so
				l.Must(l.AddRoute(netip.PrefixFrom(silent, silent.BitLen()), far))
				var pkts []Packet
				const n = 150 // more than one batch
				for i := range n {
					to := far
					if i%3 == 1 {
						to = silent
					}
					pkts = append(pkts, c.echo(to, uint16(i), 16, uint32(7*i)))
				}
				c.must(t, pkts[:100]...)
				c.must(t, pkts[100:]...)
				all := collect(t, c, have(map[Event]int{Stamp: n, Echo: n * 2 / 3}))
				checkStamps(t, all, func(seq uint16) uint32 { return 7 * uint32(seq) })
			})
		})
	}
}

// checkStamps fails unless each answer arrived after its own packet left and
// before long: a stamp of another packet would show.
func checkStamps(t *testing.T, all []Message, key func(seq uint16) uint32) {
	t.Helper()
	left := map[uint32]int64{}
	var last int64
	for _, m := range events(all, Stamp) {
		if _, twice := left[m.Key]; twice {
			t.Errorf("two stamps of packet %d", m.Key)
		}
		if m.Stamp < last {
			t.Errorf("packet %d left before an earlier one", m.Key)
		}
		left[m.Key], last = m.Stamp, m.Stamp
	}
	for _, m := range events(all, Echo) {
		if tx, ok := left[key(m.Seq)]; !ok || m.Stamp < tx {
			t.Errorf("answer %d arrived at %d, left at %d (%v)", m.Seq, m.Stamp, tx, ok)
		}
	}
}

// countStamps makes c do what it does on kernels before Linux 6.13.
func (c *Conn) countStamps() {
	c.out = sender{}
	c.out.init()
	c.out.keyed = false
	c.out.initCount()
	c.restartStamps()
}

// The kernel's own count is found again after sends that failed.
func TestStampKeysAfterFailures(t *testing.T) {
	for _, counting := range []bool{false, true} {
		sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
			c := openIn(t, l, cfg)
			if counting {
				c.countStamps()
			}
			nowhere := netip.MustParseAddr("203.0.113.1")
			if cfg.Family == IPv6 {
				nowhere = netip.MustParseAddr("2001:db8:7::1")
			}
			var all []Message
			for round := range 20 {
				k := uint32(100 * round)
				seq := uint16(3 * round)
				pkts := []Packet{c.echo(far, seq, 8, k), c.echo(nowhere, seq+1, 8, k+1), c.echo(far, seq+2, 8, k+2)}
				if n, err := c.Send(pkts); n != 1 || CauseOf(err) != NoRoute {
					t.Fatalf("round %d: sent %d, %v", round, n, err)
				}
				c.must(t, pkts[2])
				all = append(all, collect(t, c, have(map[Event]int{Echo: 2, Stamp: 2}))...)
			}
			checkStamps(t, all, func(seq uint16) uint32 { return uint32(seq/3*100 + seq%3) })
		})
	}
}

// Without stamps asked for, only arrivals have them.
func TestNoStamps(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		cfg.NoStamps = true
		c := openIn(t, l, cfg)
		if c.KernelClock() {
			t.Error("a kernel clock without departures")
		}
		c.must(t, c.echo(far, 1, 8, 0), c.echo(far, 2, 8, 0))
		all := collect(t, c, have(map[Event]int{Echo: 2}))
		if len(all) != 2 || all[0].Stamp == 0 {
			t.Errorf("got %+v", all)
		}
	})
}

// Wait ends with its tick, at once on Shutdown, and then for good. A signal ends
// it too, and Go's scheduler sends some.
func TestWait(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		cfg.Timeout = 30 * time.Millisecond
		c := openIn(t, l, cfg)
		var tick time.Duration
		for tries := 0; tick < 25*time.Millisecond && tries < 100; tries++ {
			begin := time.Now()
			if err := c.Wait(); err != nil {
				t.Fatal(err)
			}
			tick = time.Since(begin)
		}
		if tick < 25*time.Millisecond || tick > patience {
			t.Errorf("a tick of %v", tick)
		}
		cfg.Timeout, cfg.ID = time.Hour, 0x4e60
		c = openIn(t, l, cfg)
		ended := make(chan error)
		go func() {
			for {
				if err := c.Wait(); err != nil {
					ended <- err
					return
				}
			}
		}()
		time.Sleep(20 * time.Millisecond)
		c.Shutdown()
		select {
		case err := <-ended:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Wait ended with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("Shutdown did not wake Wait")
		}
		if err := c.Wait(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a later Wait: %v", err)
		}
		if err := c.Drain(func(*Message) {}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a later Drain: %v", err)
		}
	})
}

// Wait takes nothing, and wakes for what is there already.
func TestWaitTakesNothing(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		cfg.Timeout = time.Hour
		c := openIn(t, l, cfg)
		c.must(t, c.echo(far, 1, 8, 5))
		for range 5 {
			if err := c.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		collect(t, c, have(map[Event]int{Echo: 1, Stamp: 1}))
	})
}

// A child process does not inherit the socket.
func TestCloseOnExec(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, _ netip.Addr) {
		c := openIn(t, l, cfg)
		flags, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor flags %#x, %v", flags, err)
		}
	})
}

// Two datagram sockets cannot have one identifier; 0 lets the kernel choose.
func TestDatagramIdentifiers(t *testing.T) {
	for _, far := range lab.Addrs("192.0.2.2", "2001:db8::2") {
		l := lab.Pair(t, lab.Veth{Neighbours: true})
		l.Must(l.PingGroups(0, 0))
		cfg := Config{Family: FamilyOf(far), Kind: Datagram, ID: 0x4e50}
		openIn(t, l, cfg)
		var err error
		l.Do(func() { _, err = Open(cfg) })
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("a second socket: %v", err)
		}
		cfg.ID, cfg.IDs = 0x4e60, 16
		l.Do(func() { _, err = Open(cfg) })
		if !errors.Is(err, ErrIDs) {
			t.Errorf("a datagram socket with 16 identifiers: %v", err)
		}
		cfg.ID, cfg.IDs = 0, 1
		c := openIn(t, l, cfg)
		if id, _ := c.IDs(); id == 0 {
			t.Error("no identifier")
		}
		c.must(t, c.echo(far, 1, 8, 0))
		collect(t, c, have(map[Event]int{Echo: 1}))
	}
}

// A raw socket with a block of identifiers hears them all and nobody else's.
func TestIdentifierBlock(t *testing.T) {
	for _, far := range lab.Addrs("192.0.2.2", "2001:db8::2") {
		l := lab.Pair(t, lab.Veth{Neighbours: true})
		c := openIn(t, l, Config{Family: FamilyOf(far), Kind: Raw, ID: 0x4e50, IDs: 16})
		other := openIn(t, l, Config{Family: FamilyOf(far), Kind: Raw, ID: 0x4e60, IDs: 16})
		for id := uint16(0x4e4f); id <= 0x4e60; id++ {
			p := c.echo(far, id, 8, uint32(id))
			PutEcho(c.family, p.Msg, id, id)
			c.must(t, p)
		}
		all := events(collect(t, c, have(map[Event]int{Echo: 16, Stamp: 18})), Echo)
		if len(all) != 16 || all[0].ID != 0x4e50 || all[15].ID != 0x4e5f {
			t.Errorf("got %+v", all)
		}
		if m := collect(t, other, have(map[Event]int{Echo: 1}))[0]; m.ID != 0x4e60 {
			t.Errorf("the other socket heard %+v", m)
		}
	}
}

// Sending and receiving allocate nothing.
func TestNoAllocations(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		for _, counting := range []bool{false, true} {
			cfg.ID++
			c := openIn(t, l, cfg)
			if counting {
				c.countStamps()
			}
			pkts := []Packet{c.echo(far, 1, 56, 1), c.echo(far, 2, 56, 2)}
			echoes := 0
			visit := func(m *Message) {
				if m.Event == Echo {
					echoes++
				}
			}
			n := testing.AllocsPerRun(200, func() {
				if n, err := c.Send(pkts); n != 2 || err != nil {
					t.Errorf("sent %d, %v", n, err)
				}
				if err := c.Wait(); err != nil {
					t.Error(err)
				}
				if err := c.Drain(visit); err != nil {
					t.Error(err)
				}
			})
			if n != 0 || echoes < 200 {
				t.Errorf("%v allocations a round, %d echoes", n, echoes)
			}
		}
	})
}

// What does not fit the receive buffer is counted by the kernel, and told.
func TestDropped(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		cfg.RecvBuf, cfg.NoStamps = 1, true // the kernel makes it its minimum
		c := openIn(t, l, cfg)
		if n := c.RecvBuf(); n == 0 || n > 8192 {
			t.Errorf("receive buffer of %d", n)
		}
		for i := range 200 {
			c.must(t, c.echo(far, uint16(i), 1000, 0))
		}
		first := len(collect(t, c, have(map[Event]int{Echo: 1})))
		// The count comes with the next message that is queued.
		c.must(t, c.echo(far, 999, 8, 0))
		collect(t, c, have(map[Event]int{Echo: 1}))
		c.Shutdown()
		if n := c.Dropped(); int(n) != 200-first {
			t.Errorf("%d dropped, %d of 200 received", n, first)
		}
	})
}
