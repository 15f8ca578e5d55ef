package rawsock

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// errorsFrom runs f for each kind of socket and each family on topo, with a
// target of that family.
func errorsFrom(t *testing.T, topo lab.Topology, f func(t *testing.T, l *lab.Lab, c *Conn, target netip.Addr)) {
	t.Helper()
	for _, kind := range []Kind{Raw, Datagram} {
		for _, target := range []netip.Addr{target4, target6} {
			t.Run(kind.String()+map[bool]string{true: " IPv4", false: " IPv6"}[target.Is4()], func(t *testing.T) {
				l := lab.Start(t, topo)
				l.Must(l.PingGroups(0, 0))
				c := openIn(t, l, Config{Family: FamilyOf(target), Kind: kind, ID: 0x4e50, Timeout: 20 * time.Millisecond})
				f(t, l, c, target)
			})
		}
	}
}

var routers = lab.Addrs("198.51.100.1", "2001:db8:100::1")

// routerOf returns the router of a's family.
func routerOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return routers[0]
	}
	return routers[1]
}

// ICMP errors come with type, code, MTU and who sent them.
func TestErrors(t *testing.T) {
	cases := []struct {
		name string
		err  lab.ICMPError
	}{
		{"net unreachable", lab.NetUnreachable}, {"host unreachable", lab.HostUnreachable},
		{"port unreachable", lab.PortUnreachable}, {"protocol unreachable", lab.ProtoUnreachable},
		{"admin prohibited", lab.AdminProhibited}, {"host prohibited", lab.HostProhibited},
		{"too big", lab.TooBig(1300)}, {"time exceeded", lab.TimeExceeded}, {"parameter problem", lab.ParameterProblem},
	}
	for _, tc := range cases {
		for _, quote := range []lab.Quote{{}, {Transport: 8}} {
			t.Run(tc.name+map[int]string{0: "", 8: ", 8 octets quoted"}[quote.Transport], func(t *testing.T) {
				topo := lab.Topology{Hops: []lab.Hop{{Addrs: routers, Error: tc.err, Quote: quote}}}
				errorsFrom(t, topo, func(t *testing.T, _ *lab.Lab, c *Conn, target netip.Addr) {
					before := time.Now().UnixNano()
					c.must(t, c.echo(target, 7, 56, 9))
					m := events(collect(t, c, have(map[Event]int{Error: 1})), Error)[0]
					want := tc.err.V4
					if target.Is6() {
						want = tc.err.V6
					}
					if (lab.Code{Type: m.Type, Code: m.Code}) != want || m.From != routerOf(target) || m.Dst != target || m.ID != 0x4e50 || m.Seq != 7 {
						t.Errorf("got %+v, want %+v", m, want)
					}
					if mtu := tc.err.MTU; m.MTU != mtu {
						t.Errorf("MTU %d, want %d", m.MTU, mtu)
					}
					if n := len(m.Payload); quote.Transport == 0 && n < 16 || quote.Transport == 8 && n != 0 {
						t.Errorf("%d octets of quoted payload", n)
					}
					if m.Stamp != 0 && (m.Stamp < before || m.Stamp > time.Now().UnixNano()) {
						t.Errorf("stamp %v", time.Unix(0, m.Stamp))
					}
				})
			})
		}
	}
}

// An ICMP error about one packet neither loses another nor passes for a
// failure of our own, however the two meet.
func TestPendingErrors(t *testing.T) {
	topo := lab.Topology{Hops: []lab.Hop{{
		Addrs: routers, Error: lab.HostUnreachable, ErrorFor: lab.At("203.0.113.128/25", "2001:db8:7:8000::/49"),
	}}}
	errorsFrom(t, topo, func(t *testing.T, l *lab.Lab, c *Conn, target netip.Addr) {
		dead := netip.MustParseAddr("203.0.113.200")
		if target.Is6() {
			dead = netip.MustParseAddr("2001:db8:7:8000::1")
		}
		const rounds = 30
		var all []Message
		for i := range rounds {
			seq := uint16(4 * i)
			c.must(t, c.echo(dead, seq, 16, uint32(seq)), c.echo(target, seq+1, 16, uint32(seq+1)))
			time.Sleep(time.Millisecond) // the error is pending by now, as often as not
			c.must(t, c.echo(dead, seq+2, 16, uint32(seq+2)), c.echo(target, seq+3, 16, uint32(seq+3)))
			all = append(all, collect(t, c, have(map[Event]int{Echo: 2, Error: 2, Stamp: 4}))...)
		}
		seen := map[uint16]bool{}
		for _, m := range all {
			if m.Event == Stamp {
				continue
			}
			if seen[m.Seq] || (m.Event == Error) != (m.Seq%2 == 0) {
				t.Errorf("packet %d: %+v", m.Seq, m)
			}
			seen[m.Seq] = true
		}
		if n := len(l.Log().Probes()); n != 4*rounds {
			t.Errorf("%d packets on the wire, want %d", n, 4*rounds)
		}
	})
}

// A redirect is told as such where the kernel tells, and never as an error.
func TestRedirect(t *testing.T) {
	topo := lab.Topology{Hops: []lab.Hop{{Addrs: routers, Redirect: lab.Addrs("198.51.100.9", "2001:db8:100::9")}}}
	errorsFrom(t, topo, func(t *testing.T, _ *lab.Lab, c *Conn, target netip.Addr) {
		want := map[Event]int{Echo: 1}
		if c.Kind() == Raw && target.Is4() {
			want[Redirect] = 1
		}
		c.must(t, c.echo(target, 7, 56, 9))
		for _, m := range collect(t, c, have(want)) {
			if m.Event == Error || m.Event == Redirect && (m.Dst != target || m.Seq != 7 || m.From != routerOf(target)) {
				t.Errorf("got %+v", m)
			}
		}
	})
}

// Our own host's refusals come back as what they are.
func TestLocalFailures(t *testing.T) {
	errno := func(t *testing.T, c *Conn, p Packet) error {
		t.Helper()
		n, err := c.Send([]Packet{p})
		if n != 0 || err == nil {
			t.Fatalf("sent %d, %v", n, err)
		}
		return err
	}
	recover := func(t *testing.T, c *Conn, target netip.Addr) {
		t.Helper()
		for range 500 {
			if _, err := c.Send([]Packet{c.echo(target, 9, 8, 9)}); err == nil {
				collect(t, c, have(map[Event]int{Echo: 1}))
				return
			}
			time.Sleep(10 * time.Millisecond) // routes need a moment
		}
		t.Error("does not recover")
	}
	t.Run("no route", func(t *testing.T) {
		errorsFrom(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, c *Conn, target netip.Addr) {
			all, _ := target.Prefix(0)
			l.Must(l.RemoveRoute(all))
			if err := errno(t, c, c.echo(target, 1, 8, 1)); CauseOf(err) != NoRoute {
				t.Errorf("got %v", err)
			}
			l.Must(l.AddRoute(all, netip.Addr{}))
			recover(t, c, target)
		})
	})
	t.Run("link down", func(t *testing.T) {
		errorsFrom(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, c *Conn, target netip.Addr) {
			l.Must(l.Down())
			if err := errno(t, c, c.echo(target, 1, 8, 1)); CauseOf(err) != NoRoute && CauseOf(err) != LinkDown {
				t.Errorf("got %v", err)
			}
			l.Must(l.Up())
			recover(t, c, target)
		})
	})
	t.Run("denied", func(t *testing.T) {
		errorsFrom(t, lab.Topology{}, func(t *testing.T, l *lab.Lab, c *Conn, target netip.Addr) {
			if c.Kind() == Datagram && target.Is6() {
				t.Skip("Linux forgets that it dropped the packet (ping_v6_sendmsg in net/ipv6/ping.c)")
			}
			l.Deny(netip.PrefixFrom(target, target.BitLen()))
			if err := errno(t, c, c.echo(target, 1, 8, 1)); CauseOf(err) != Denied {
				t.Errorf("got %v", err)
			}
			l.Must(l.Allow())
			recover(t, c, target)
		})
	})
	t.Run("too big", func(t *testing.T) {
		for _, mode := range []PMTUMode{PMTUDo, PMTUProbe} {
			for _, target := range []netip.Addr{target4, target6} {
				l := lab.Start(t, lab.Topology{Out: lab.Link{MTU: 1400}})
				c := openIn(t, l, Config{Family: FamilyOf(target), Kind: Raw, ID: 0x4e50, PMTU: mode})
				if err := errno(t, c, c.echo(target, 1, 1400, 1)); CauseOf(err) != TooBig {
					t.Errorf("mode %d: got %v", mode, err)
				}
				var route Route
				var link int
				var err error
				l.Do(func() {
					route, err = RouteTo(target, Config{})
					link = LinkMTU(target, Config{})
				})
				if err != nil || route.MTU != 1400 || link != 1400 {
					t.Errorf("route %+v, link %d, %v", route, link, err)
				}
				recover(t, c, target)
			}
		}
	})
}

// A source address that vanishes is our failure, and comes back.
func TestSourceRemoved(t *testing.T) {
	for _, target := range []netip.Addr{target4, target6} {
		mine := netip.MustParseAddr("192.0.2.1")
		if target.Is6() {
			mine = netip.MustParseAddr("2001:db8::1")
		}
		l := lab.Start(t, lab.Topology{})
		var err error
		l.Do(func() { _, err = Open(Config{Family: FamilyOf(target), Kind: Raw, ID: 1, Source: mine.Next()}) })
		if CauseOf(err) != NoSource {
			t.Errorf("bound to a foreign address: %v", err)
		}
		c := openIn(t, l, Config{Family: FamilyOf(target), Kind: Raw, ID: 0x4e50, Source: mine})
		l.Must(l.RemoveAddr(mine))
		if n, err := c.Send([]Packet{c.echo(target, 1, 8, 1)}); err == nil && target.Is4() {
			t.Errorf("sent %d from an address that is gone", n)
		} else if err != nil && CauseOf(err) != NoSource && CauseOf(err) != NoRoute {
			t.Errorf("got %v", err)
		}
		l.Must(l.AddAddr(netip.PrefixFrom(mine, mine.BitLen())))
		ok := false
		for range 500 {
			if _, err := c.Send([]Packet{c.echo(target, 2, 8, 2)}); err == nil {
				ok = true
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !ok {
			t.Fatal("does not recover")
		}
		collect(t, c, have(map[Event]int{Echo: 1}))
	}
}

// fatal keeps only what no later call can mend.
func TestFatal(t *testing.T) {
	for errno, want := range map[unix.Errno]bool{
		0: false, unix.EAGAIN: false, unix.EINTR: false, unix.ENETDOWN: false, unix.ECONNREFUSED: false,
		unix.EHOSTUNREACH: false, unix.EBADF: true, unix.ENOTSOCK: true, unix.EFAULT: true,
	} {
		if got := fatal("recvmsg", errno) != nil; got != want {
			t.Errorf("%v: fatal %v", errno, got)
		}
	}
}
