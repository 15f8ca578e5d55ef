package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/sys/unix"
)

// quick is path without delays.
func quick(n int) []Hop {
	hops := path(n)
	for i := range hops {
		hops[i].Out.Delay, hops[i].Back.Delay = 0, 0
	}
	return hops
}

// dial is net.Dial inside a lab.
func dial(t *testing.T, l *Lab, network string, to netip.Addr, port uint16) (net.Conn, error) {
	t.Helper()
	var conn net.Conn
	var err error
	l.Do(func() { conn, err = net.DialTimeout(network, netip.AddrPortFrom(to, port).String(), patience) })
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// exchange sends a datagram and returns what comes back.
func exchange(t *testing.T, conn net.Conn, text string) (string, error) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := conn.Read(b)
	return string(b[:n]), err
}

func TestKernelSpeaksToPorts(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		for _, nat := range []*NAT{nil, {}} {
			hops := quick(3)
			hops[1].NAT = nat
			l := Start(t, Topology{Hops: hops, Hosts: []Host{{TCP: []uint16{443}, UDP: []uint16{53}}}})
			if _, err := dial(t, l, "tcp", target, 443); err != nil {
				t.Errorf("open port: %v", err)
			}
			if _, err := dial(t, l, "tcp", target, 80); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("closed port: %v", err)
			}
			conn, err := dial(t, l, "udp", target, 53)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := exchange(t, conn, "hello"); text != "hello" || err != nil {
				t.Errorf("answering port: %q %v", text, err)
			}
			conn, err = dial(t, l, "udp", target, 33434)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := exchange(t, conn, "hello"); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("UDP port that is closed: %v", err)
			}
		}
	})
}

func TestKernelReadsExtensions(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		hops := quick(2)
		hops[1].MPLS = []Label{{Label: 24015, TTL: 1}, {Label: 7, Bottom: true, TTL: 2}}
		l := Start(t, Topology{Hops: hops})
		p := newPinger(t, l, target)
		p.setTTL(2)
		if err := p.send(target, 1, []byte("x")); err != nil {
			t.Fatal(err)
		}
		m, from := p.receive(patience)
		if m == nil || from != sameFamily(hops[1].Addrs, target) {
			t.Fatalf("got %+v from %v", m, from)
		}
		body, ok := m.Body.(*icmp.TimeExceeded)
		if !ok || len(body.Extensions) != 1 || len(body.Extensions[0].(*icmp.MPLSLabelStack).Labels) != 2 {
			t.Errorf("got %+v", m.Body)
		}
	})
}

func (p *pinger) setTTL(ttl int) {
	p.t.Helper()
	var err error
	if p.v6 {
		err = p.conn.IPv6PacketConn().SetHopLimit(ttl)
	} else {
		err = p.conn.IPv4PacketConn().SetTTL(ttl)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestResolverLooksNamesUp(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Start(t, Topology{Names: map[netip.Addr]string{target: "server.lab"}})
		server := sameFamily(Addrs("192.0.2.53", "2001:db8::53"), target)
		r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var conn net.Conn
			var err error
			if e := l.Namespace.Do(func() {
				conn, err = (&net.Dialer{}).DialContext(ctx, network, netip.AddrPortFrom(server, 53).String())
			}); e != nil {
				return nil, e
			}
			return conn, err
		}}
		addrs, err := r.LookupNetIP(t.Context(), "ip", "server.lab.")
		if err != nil || !slices.Equal(addrs, []netip.Addr{target}) {
			t.Errorf("address: %v %v", addrs, err)
		}
		names, err := r.LookupAddr(t.Context(), target.String())
		if err != nil || !slices.Equal(names, []string{"server.lab."}) {
			t.Errorf("name: %v %v", names, err)
		}
		var unknown *net.DNSError
		if _, err := r.LookupNetIP(t.Context(), "ip", "other.lab."); !errors.As(err, &unknown) || !unknown.IsNotFound {
			t.Errorf("unknown name: %v", err)
		}
	})
}

// TestTruthOfKernelHosts: what a kernel answers is linked to what it was asked,
// over parallel ways and through a translator.
func TestTruthOfKernelHosts(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		hops := diamond(3)
		hops[2].NAT = &NAT{}
		l := Start(t, Topology{Hops: hops, Hosts: []Host{{At: []netip.Prefix{netip.PrefixFrom(target, target.BitLen())}, Kernel: true}}})
		var listener net.Listener
		var err error
		l.Must(l.Far.Do(func() { listener, err = net.Listen("tcp", ":443") }))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if _, err := dial(t, l, "tcp", target, 443); err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, l, "tcp", target, 80); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("closed port: %v", err)
		}
		conn, err := dial(t, l, "udp", target, 33434)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exchange(t, conn, "hello"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("UDP port that is closed: %v", err)
		}
		p := newPinger(t, l, target)
		if err := p.send(target, 5, []byte("x")); err != nil {
			t.Fatal(err)
		}
		p.wantReply(target, 5, []byte("x"))
		answered := make(map[string]int)
		for _, trip := range l.Log().Truth(target) {
			if a, ok := trip.Answer(); ok {
				answered[fmt.Sprint(trip.Kind, " ", a.Kind)]++
			}
		}
		if answered["tcp tcp"] < 2 || answered["udp error"] != 1 || answered["echo-request echo-reply"] != 1 {
			t.Errorf("answered: %v", answered)
		}
	})
}
