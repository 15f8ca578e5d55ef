package tcpprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// arrives is how long a test waits for what must come.
const arrives = 10 * time.Second

// halfOpenIn opens a HalfOpen for both families inside l, as its user would, and
// closes it with the test.
func halfOpenIn(t testing.TB, l *lab.Lab, cfg rawsock.Config) *HalfOpen {
	t.Helper()
	var h *HalfOpen
	var err error
	families := []rawsock.Family{rawsock.IPv4, rawsock.IPv6}
	if cfg.Source.IsValid() {
		families = []rawsock.Family{rawsock.FamilyOf(cfg.Source)}
	}
	l.Do(func() { h, err = OpenHalfOpen(cfg, families...) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// came is an answer and to what.
type came struct {
	crew.Answer
	to netip.AddrPort
	n  int
}

// carry starts tries and returns the first n answers, in order, and fails if they
// do not come. It is all that a scan does with a Transport.
func carry(t testing.TB, h *HalfOpen, tries []crew.Try, n int) []came {
	t.Helper()
	const batch = 64
	var got []came
	for deadline := time.Now().Add(arrives); len(got) < n || len(tries) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d answers, %d tries not started", len(got), n, len(tries))
		}
		tries = tries[h.Start(tries[:min(len(tries), batch)]):]
		if len(tries) == 0 {
			h.Wait(50 * ms)
		}
		h.Collect(func(to netip.AddrPort, n int, a *crew.Answer) { got = append(got, came{*a, to, n}) })
	}
	return got
}

// asks returns a try n to the port of each address.
func asks(port uint16, n int, addrs ...string) []crew.Try {
	var ts []crew.Try
	for _, a := range addrs {
		ts = append(ts, crew.Try{To: netip.AddrPortFrom(netip.MustParseAddr(a), port), N: n, Timeout: arrives})
	}
	return ts
}

// Each ICMP error is told with its reason and who sent it, and only a host's
// own port-unreachable means that it is there.
func TestLiveHalfOpenRejections(t *testing.T) {
	for _, e := range crewtest.Rejections {
		t.Run(e.Name, func(t *testing.T) {
			h := halfOpenIn(t, lab.Start(t, crewtest.Rejecting(e)), rawsock.Config{})
			hosts := append(crewtest.Hosts(1), crewtest.Hosts(2)...)
			tries := asks(443, 1, hosts...)
			start := time.Now()
			got := map[int]crewtest.Outcome{}
			for _, c := range carry(t, h, tries, len(tries)) {
				r := c.Result
				r.Seq, r.RTT = uint64(c.n), c.At.Sub(start)
				for i, try := range tries {
					if try.To == c.to {
						got[i] = crewtest.Outcome{Result: r, Addr: c.to}
					}
				}
			}
			if len(got) != len(tries) {
				t.Errorf("answers for %d of %d", len(got), len(tries))
			}
			crewtest.CheckRejected(t, e, got)
		})
	}
}

// Open, closed and silent hosts are told apart, over real round trips; tries that
// are under way at once are answered each.
func TestLiveHalfOpenAnswers(t *testing.T) {
	h := halfOpenIn(t, lab.Start(t, answering), rawsock.Config{})
	var tries []crew.Try
	for host := range 4 {
		for n := range 3 {
			tries = append(tries, asks(443, n+1, crewtest.Hosts(host+1)...)...)
		}
	}
	start := time.Now()
	seen := map[string]int{}
	for _, c := range carry(t, h, tries, 12) {
		seen[fmt.Sprint(c.to, " ", c.n, " ", c.Status, " ", c.Reason)]++
		if c.From != c.to.Addr() || c.TTL != 63 || c.At.Sub(start) < 20*ms || c.At.After(time.Now()) || c.Own {
			t.Errorf("%+v", c)
		}
	}
	for host, want := range []string{"reply syn-ack", "refused rst"} {
		for n := range 3 {
			for _, a := range crewtest.Hosts(host + 1) {
				what := fmt.Sprint(netip.AddrPortFrom(netip.MustParseAddr(a), 443), " ", n+1, " ", want)
				if seen[what] != 1 {
					t.Errorf("%s: %d times", what, seen[what])
				}
			}
		}
	}
	if len(seen) != 12 {
		t.Errorf("%v", seen)
	}
}

// What the network doubles is told twice.
func TestLiveHalfOpenDuplicates(t *testing.T) {
	l := lab.Start(t, lab.Topology{
		Hosts: []lab.Host{{At: crewtest.At(1), TCP: []uint16{443}}},
		Hook: func(p *lab.Packet) lab.Verdict {
			if p.Dir == lab.Back && p.Kind == lab.TCP {
				return lab.Verdict{Copies: 2}
			}
			return lab.Verdict{}
		},
	})
	h := halfOpenIn(t, l, rawsock.Config{})
	for _, c := range carry(t, h, asks(443, 1, crewtest.Hosts(1)...), 6) {
		if c.Status != probe.Reply || c.n != 1 || c.From != c.to.Addr() {
			t.Errorf("%+v", c)
		}
	}
}

// What is damaged on its way is no answer.
func TestLiveHalfOpenDamaged(t *testing.T) {
	first := map[netip.Addr]bool{}
	l := lab.Start(t, lab.Topology{
		Hosts: []lab.Host{{At: crewtest.At(1), TCP: []uint16{443}}},
		Hook: func(p *lab.Packet) lab.Verdict {
			again := first[p.Target]
			if p.Dir == lab.Back && p.Kind == lab.TCP {
				first[p.Target] = true
				return lab.Verdict{Corrupt: !again}
			}
			return lab.Verdict{}
		},
	})
	h := halfOpenIn(t, l, rawsock.Config{})
	var tries []crew.Try
	for n := range 2 {
		tries = append(tries, asks(443, n+1, crewtest.Hosts(1)...)...)
	}
	for _, c := range carry(t, h, tries, 2) {
		if c.Status != probe.Reply || c.n != 2 {
			t.Errorf("%+v", c)
		}
	}
}

// A thousand ports of each family of a real kernel, three of them open, are all
// answered once; nobody has connected.
func TestLiveHalfOpenThousand(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Neighbours: true})
	open := map[uint16]bool{}
	var servers []*net.TCPListener
	for range 3 {
		var s *net.TCPListener
		var err error
		l.Must(l.Far.Do(func() { s, err = net.ListenTCP("tcp", &net.TCPAddr{Port: 20000 + len(servers)*300}) }))
		l.Must(err)
		defer s.Close()
		servers = append(servers, s)
		open[uint16(20000+len(open)*300)] = true
	}
	h := halfOpenIn(t, l, rawsock.Config{})
	var tries []crew.Try
	for i := range uint16(1000) {
		tries = append(tries, asks(20000+i, 1, "192.0.2.2", "2001:db8::2")...)
	}
	seen := map[netip.AddrPort]bool{}
	for _, c := range carry(t, h, tries, len(tries)) {
		want := probe.Refused
		if open[c.to.Port()] {
			want = probe.Reply
		}
		if c.Status != want || c.n != 1 || seen[c.to] {
			t.Errorf("%v: %v %v, try %d, seen before: %v", c.to, c.Status, c.Reason, c.n, seen[c.to])
		}
		seen[c.to] = true
	}
	for _, s := range servers {
		_ = s.SetDeadline(time.Now().Add(20 * ms))
		if c, err := s.Accept(); err == nil {
			t.Errorf("accepted %v", c.RemoteAddr())
		}
	}
	if len(seen) != len(tries) || h.Dropped() != 0 {
		t.Errorf("answers of %d of %d ports, %d dropped", len(seen), len(tries), h.Dropped())
	}
}

// flavours are the ways of nftables to reject, the i'th of them port 1000+i.
var flavours = []struct {
	v4, v6 string // of nft's "reject with"
	want4  string
	want6  string
}{
	{"tcp reset", "tcp reset", "refused rst closed", "refused rst closed"},
	{"icmp net-unreachable", "icmpv6 no-route", "net-unreachable filtered", "net-unreachable filtered"},
	{"icmp host-unreachable", "icmpv6 addr-unreachable", "host-unreachable filtered", "host-unreachable filtered"},
	{"icmp prot-unreachable", "icmpv6 policy-fail", "proto-unreachable filtered", "admin-prohibited filtered"},
	{"icmp port-unreachable", "icmpv6 port-unreachable", "port-unreachable filtered", "port-unreachable filtered"},
	{"icmp net-prohibited", "icmpv6 reject-route", "net-prohibited filtered", "net-prohibited filtered"},
	{"icmp host-prohibited", "icmpv6 admin-prohibited", "host-prohibited filtered", "admin-prohibited filtered"},
	{"icmp admin-prohibited", "icmpv6 admin-prohibited", "admin-prohibited filtered", "admin-prohibited filtered"},
}

// droppedPort is one that a walled host drops, farHosts are such hosts, and
// beyondHosts what is behind them.
const droppedPort = 2000

var farHosts, beyondHosts = []string{"192.0.2.2", "2001:db8::2"}, []string{"203.0.113.1", "2001:db8:7::1"}

// walled is a host, and a router, whose firewall knows all ways to say no.
func walled(t *testing.T) *lab.Lab {
	t.Helper()
	l := lab.Pair(t, lab.Veth{Neighbours: true})
	for name, value := range map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1", "net.ipv4.icmp_ratelimit": "0", "net.ipv6.icmp.ratelimit": "0",
		"net.ipv4.icmp_msgs_per_sec": "100000", "net.ipv4.icmp_msgs_burst": "100000",
	} {
		l.Must(l.Far.Sysctl(name, value))
	}
	// The router has but one link, and would say that what is beyond is on it.
	for _, name := range []string{"net.ipv4.conf.lab0.accept_redirects", "net.ipv4.conf.all.accept_redirects", "net.ipv6.conf.lab0.accept_redirects"} {
		l.Must(l.Sysctl(name, "0"))
	}
	for i, b := range lab.Addrs(beyondHosts...) {
		l.Must(l.AddRoute(netip.PrefixFrom(b, b.BitLen()), netip.MustParseAddr(farHosts[i])))
		l.Must(l.Far.AddRoute(netip.PrefixFrom(b, b.BitLen()), netip.Addr{}))
	}
	var rules strings.Builder
	for i, f := range flavours {
		fmt.Fprintf(&rules, "meta nfproto ipv4 tcp dport %d reject with %s\nmeta nfproto ipv6 tcp dport %d reject with %s\n", 1000+i, f.v4, 1000+i, f.v6)
	}
	fmt.Fprintf(&rules, "tcp dport %d drop\n", droppedPort)
	var script strings.Builder
	script.WriteString("table inet wall {\n")
	for _, hook := range []string{"input", "forward"} {
		fmt.Fprintf(&script, "chain %s {\ntype filter hook %s priority 0;\n%s}\n", hook, hook, rules.String())
	}
	nft(t, l.Far, script.String()+"}\n")
	return l
}

// portVerdict is what the wall says of port to, and who says it.
func portVerdict(to netip.AddrPort) (want, from string) {
	f := flavours[to.Port()-1000]
	want, from = f.want4, farHosts[0]
	if to.Addr().Is6() {
		want, from = f.want6, farHosts[1]
	}
	switch {
	case strings.Contains(want, "rst"):
		return want, to.Addr().String()
	case strings.HasPrefix(want, "port-unreachable") && to.Addr().String() == from:
		return "refused " + want, from
	}
	return "unreachable " + want, from
}

// Every way of nftables to say no, at the host itself and at a router before it.
func TestLiveHalfOpenFirewall(t *testing.T) {
	l := walled(t)
	h := halfOpenIn(t, l, rawsock.Config{})
	var tries []crew.Try
	for i := range flavours {
		tries = append(tries, asks(uint16(1000+i), 1, slices.Concat(farHosts, beyondHosts)...)...)
	}
	tries = append(tries, asks(droppedPort, 1, slices.Concat(farHosts, beyondHosts)...)...) // silent
	n := len(tries) - 4
	seen := map[netip.AddrPort]bool{}
	for _, c := range carry(t, h, tries, n) {
		seen[c.to] = true
		want, from := portVerdict(c.to)
		if got := fmt.Sprint(c.Status, " ", c.Reason, " ", probe.StateOfPort(&c.Result, false)); got != want || c.From.String() != from || c.n != 1 {
			t.Errorf("%v: %s from %v, want %s from %s", c.to, got, c.From, want, from)
		}
	}
	if len(seen) != n {
		t.Errorf("answers of %d of %d ports", len(seen), n)
	}
}

// nft loads a script in n, and skips the test where there is no such command.
func nft(t *testing.T, n *lab.Namespace, script string) {
	t.Helper()
	c := n.Command(context.Background(), "nft", "-f", "-")
	c.Stdin = strings.NewReader(script)
	out, err := c.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("NETPROBE_LAB") != "require" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// What this host refuses is its failure, said in words, and nobody else's.
func TestLiveHalfOpenLocalFailures(t *testing.T) {
	everything4, everything6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	for _, tc := range []struct {
		name    string
		disturb func(l *lab.Lab)
		addr    string
		reason  probe.Reason
		why     string
	}{
		{"no route", func(l *lab.Lab) { l.Must(l.RemoveRoute(everything4)) }, "203.0.113.1", probe.NoRoute, "no route from this host"},
		{"no route, IPv6", func(l *lab.Lab) { l.Must(l.RemoveRoute(everything6)) }, "2001:db8:7::1", probe.NoRoute, "no route from this host"},
		{"no address, IPv6", func(l *lab.Lab) { l.Must(l.RemoveAddr(netip.MustParseAddr("2001:db8::1"))) },
			"2001:db8:7::1", probe.NoRoute, "no IPv6 source address on this host"},
		{"a firewall", func(l *lab.Lab) { l.Deny(netip.MustParsePrefix("203.0.113.1/32")) }, "203.0.113.1", probe.Permission, "a firewall rule"},
		{"a firewall, IPv6", func(l *lab.Lab) { l.Deny(netip.MustParsePrefix("2001:db8:7::1/128")) }, "2001:db8:7::1", probe.Permission, "a firewall rule"},
		{"a group", func(*lab.Lab) {}, "ff02::1", probe.NoRoute, "a multicast group has no TCP ports"},
		{"broadcast", func(*lab.Lab) {}, "255.255.255.255", probe.Permission, "missing privilege"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := lab.Start(t, lab.Topology{})
			tc.disturb(l)
			h := halfOpenIn(t, l, rawsock.Config{})
			other := "203.0.113.2"
			if strings.HasPrefix(tc.name, "no route") && !strings.Contains(tc.name, "6") {
				other = "2001:db8:7::2"
			}
			got := carry(t, h, append(asks(443, 1, tc.addr), asks(443, 2, other)...), 2)
			for _, c := range got {
				if c.to.Addr().String() == other {
					if c.Status != probe.Refused || c.n != 2 {
						t.Errorf("%v: %v %v, try %d, %v", c.to, c.Status, c.Reason, c.n, c.Err)
					}
				} else if c.Status != probe.Failed || c.Reason != tc.reason || c.Err == nil || !strings.Contains(c.Err.Error(), tc.why) || !c.Sent.IsZero() || c.n != 1 {
					t.Errorf("%v: %v %v, try %d: %v", c.to, c.Status, c.Reason, c.n, c.Err)
				}
			}
		})
	}
}

// A neighbour that is not there is told of by our own kernel.
func TestLiveHalfOpenAbsentNeighbour(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	h := halfOpenIn(t, l, rawsock.Config{})
	for _, c := range carry(t, h, asks(443, 1, "192.0.2.99", "2001:db8::99"), 2) {
		own := netip.MustParseAddr("192.0.2.1")
		if c.to.Addr().Is6() {
			own = netip.MustParseAddr("2001:db8::1")
		}
		if c.Status != probe.Unreachable || c.Reason != probe.HostUnreachable || c.From != own || !c.Own {
			t.Errorf("%v: %v %v from %v, own %v", c.to, c.Status, c.Reason, c.From, c.Own)
		}
	}
}

// This very host's ports, by loopback and by an address of its own.
func TestLiveHalfOpenOwnHost(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	serveTCP(t, l.Namespace)
	h := halfOpenIn(t, l, rawsock.Config{})
	own := []string{"127.0.0.1", "127.9.9.9", "::1", "192.0.2.1", "2001:db8::1"}
	tries := append(asks(443, 1, own...), asks(444, 1, own...)...)
	for _, c := range carry(t, h, tries, len(tries)) {
		if (c.Status != probe.Reply || c.to.Port() != 443) && (c.Status != probe.Refused || c.to.Port() != 444) || c.From != c.to.Addr() || c.Own {
			t.Errorf("%v: %v %v from %v", c.to, c.Status, c.Reason, c.From)
		}
	}
}

// A source address on this host is used; so are interface, mark and the rest.
func TestLiveHalfOpenSocketOptions(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Serve: lab.At("203.0.113.0/24")})
	l.Must(l.AddRoute(netip.MustParsePrefix("203.0.113.0/24"), netip.MustParseAddr("192.0.2.2")))
	h := halfOpenIn(t, l, rawsock.Config{
		Source: netip.MustParseAddr("192.0.2.1"), Interface: l.Device(), Mark: 7, TTL: 9, TOS: 0x20,
	})
	var tries []crew.Try
	for i := range 250 {
		tries = append(tries, asks(443, 1, fmt.Sprintf("203.0.113.%d", i))...)
	}
	for _, c := range carry(t, h, tries, len(tries)) {
		if c.Status != probe.Refused || c.Reason != probe.RST {
			t.Errorf("%v: %v %v, %v", c.to, c.Status, c.Reason, c.Err)
		}
	}
}

// All ports of a host that refuses them, over a veth.
func BenchmarkHalfOpen(b *testing.B) {
	l := lab.Pair(b, lab.Veth{Neighbours: true})
	h := halfOpenIn(b, l, rawsock.Config{})
	to := netip.MustParseAddr("192.0.2.2")
	var all []crew.Try
	for p := range 65535 {
		all = append(all, crew.Try{To: netip.AddrPortFrom(to, uint16(p+1)), N: 1})
	}
	b.ReportAllocs()
	for b.Loop() {
		answers := 0
		visit := func(netip.AddrPort, int, *crew.Answer) { answers++ }
		start := time.Now()
		for rest := all; answers < len(all); {
			if time.Since(start) > arrives {
				b.Fatalf("%d answers, %d dropped", answers, h.Dropped())
			}
			k := h.Start(rest[:min(len(rest), 64)])
			if rest = rest[k:]; len(rest) == 0 {
				h.Wait(ms)
			}
			h.Collect(visit)
		}
	}
	b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "ports/s")
}
