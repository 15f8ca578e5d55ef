package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// pinger is an x/net raw ICMP socket inside a lab.
type pinger struct {
	t    *testing.T
	conn *icmp.PacketConn
	v6   bool
}

func newPinger(t *testing.T, l *Lab, target netip.Addr) *pinger {
	t.Helper()
	p := &pinger{t: t, v6: target.Is6()}
	network, any := "ip4:icmp", "0.0.0.0"
	if p.v6 {
		network, any = "ip6:ipv6-icmp", "::"
	}
	var err error
	l.Do(func() { p.conn, err = icmp.ListenPacket(network, any) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

func (p *pinger) send(target netip.Addr, seq int, payload []byte) error {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Seq: seq, Data: payload}}
	if p.v6 {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	b, err := m.Marshal(nil) // the kernel fills in the ICMPv6 checksum
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = p.conn.WriteTo(b, &net.IPAddr{IP: target.AsSlice()})
	return err
}

// receive returns the next reply or error, and who sent it; nil if none comes
// within d.
func (p *pinger) receive(d time.Duration) (*icmp.Message, netip.Addr) {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		p.t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return nil, netip.Addr{}
		}
		proto := 1
		if p.v6 {
			proto = 58
		}
		m, err := icmp.ParseMessage(proto, buf[:n])
		if err != nil {
			p.t.Fatal(err)
		}
		a, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
		kind := kind4
		if p.v6 {
			kind = kind6
		}
		if k := kind(buf[0]); k == EchoReply || k == Error {
			return m, a.Unmap()
		}
	}
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// wantReply fails unless the next message is a reply from target.
func (p *pinger) wantReply(target netip.Addr, seq int, payload []byte) {
	p.t.Helper()
	m, from := p.receive(patience)
	if m == nil {
		p.t.Fatalf("no reply from %v", target)
	}
	echo, ok := m.Body.(*icmp.Echo)
	if !ok || from != target || echo.ID != 77 || echo.Seq != seq || !bytes.Equal(echo.Data, payload) {
		p.t.Fatalf("got %v %+v from %v, want a reply with seq %d from %v", m.Type, m.Body, from, seq, target)
	}
}

// both runs f once per family, in parallel.
func both(t *testing.T, f func(t *testing.T, target netip.Addr)) {
	for _, target := range targets {
		name := "IPv6"
		if target.Is4() {
			name = "IPv4"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, target)
		})
	}
}

func TestKernelToSimulatedHost(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Start(t, Topology{Hops: path(2), Out: Link{Delay: 5 * ms}})
		p := newPinger(t, l, target)
		begin := time.Now()
		for _, size := range []int{0, 56, 1400, 4000, 60000} { // the larger ones in fragments
			payload := Foreign(make([]byte, size))
			if err := p.send(target, size, payload); err != nil {
				t.Fatal(err)
			}
			p.wantReply(target, size, payload)
		}
		if d := time.Since(begin); d < 5*45*ms {
			t.Errorf("five round trips of 45 ms took %v", d)
		}
		if got, want := l.Log().Count(patience, 0), (Counts{Sent: 5, Received: 5}); got != want {
			t.Errorf("got %+v, want %+v\n%v", got, want, l.Log().Entries())
		}
	})
}

func TestSmallFirstLink(t *testing.T) {
	t.Parallel()
	l := Start(t, Topology{Out: Link{MTU: 600}, Hosts: []Host{{Kernel: true}}})
	p := newPinger(t, l, targets[0])
	payload := make([]byte, 1000)
	if err := p.send(targets[0], 1, payload); err != nil {
		t.Fatal(err)
	}
	p.wantReply(targets[0], 1, payload)
	if e := l.Log().Probes()[0]; !e.Flags.Has(Fragmented) {
		t.Errorf("%v, want fragments", e)
	}
}

func TestKernelHost(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		near, _ := target.Prefix(target.BitLen() - 8)
		l := Start(t, Topology{Hops: path(1), Hosts: []Host{{At: []netip.Prefix{near}, Kernel: true}}})
		p := newPinger(t, l, target)
		for i, a := range []netip.Addr{target, target.Next(), target} {
			if err := p.send(a, i, []byte("to a kernel")); err != nil {
				t.Fatal(err)
			}
			p.wantReply(a, i, []byte("to a kernel"))
		}
		if got, want := l.Log().Count(patience, 0, target), (Counts{Sent: 2, Received: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestPairServesPrefixes(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Pair(t, Veth{Serve: At("203.0.113.0/24", "2001:db8:7::/64"), Neighbours: true})
		p := newPinger(t, l, target)
		for i, a := range []netip.Addr{sameFamily(Addrs("192.0.2.2", "2001:db8::2"), target), target, target.Next()} {
			if err := p.send(a, i, nil); err != nil {
				t.Fatal(err)
			}
			p.wantReply(a, i, nil)
		}
	})
}

// Without static neighbours the ends find each other by ARP and ND.
func TestPairWithoutIntroduction(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Pair(t, Veth{})
		far := sameFamily(Addrs("192.0.2.2", "2001:db8::2"), target)
		p := newPinger(t, l, far)
		if err := p.send(far, 1, nil); err != nil {
			t.Fatal(err)
		}
		p.wantReply(far, 1, nil)
	})
}

func TestLinkDownAndUp(t *testing.T) {
	labs := map[string]func(t *testing.T) *Lab{
		"tun":  func(t *testing.T) *Lab { return Start(t, Topology{}) },
		"veth": func(t *testing.T) *Lab { return Pair(t, Veth{Serve: At("203.0.113.0/24", "2001:db8:7::/64")}) },
	}
	for name, start := range labs {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, target netip.Addr) {
				l := start(t)
				p := newPinger(t, l, target)
				l.Must(l.Down())
				if err := p.send(target, 1, nil); err == nil {
					t.Error("a send through a link that is down did not fail")
				}
				l.Must(l.Up())
				sendUntil(p, target, 2)
				p.wantReply(target, 2, nil)
			})
		})
	}
}

// sendUntil sends until the kernel takes the packet: routes need a moment after
// a link comes up.
func sendUntil(p *pinger, target netip.Addr, seq int) {
	p.t.Helper()
	var err error
	for range 100 {
		if err = p.send(target, seq, nil); err == nil {
			return
		}
		time.Sleep(10 * ms)
	}
	p.t.Fatal(err)
}

func TestAddressRemovedAndBack(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Start(t, Topology{})
		mine := sameFamily(Addrs("192.0.2.1", "2001:db8::1"), target)
		p := newPinger(t, l, target)
		l.Must(l.RemoveAddr(mine))
		// Linux refuses in IPv4, and resorts to the source ::1 in IPv6.
		if err := p.send(target, 1, nil); err == nil && target.Is4() {
			t.Error("a send without a source address did not fail")
		}
		l.Must(l.AddAddr(netip.PrefixFrom(mine, mine.BitLen())))
		sendUntil(p, target, 2)
		p.wantReply(target, 2, nil)
	})
}

func TestRouteRemovedAndBack(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Start(t, Topology{})
		p := newPinger(t, l, target)
		all, _ := target.Prefix(0)
		l.Must(l.RemoveRoute(all))
		if err := p.send(target, 1, nil); err == nil {
			t.Error("a send without a route did not fail")
		}
		l.Must(l.AddRoute(all, netip.Addr{}))
		if err := p.send(target, 2, nil); err != nil {
			t.Fatal(err)
		}
		p.wantReply(target, 2, nil)
	})
}

func TestDeny(t *testing.T) {
	both(t, func(t *testing.T, target netip.Addr) {
		l := Start(t, Topology{})
		p := newPinger(t, l, target)
		l.Deny(netip.PrefixFrom(target, target.BitLen()))
		if err := p.send(target, 1, nil); !errors.Is(err, os.ErrPermission) {
			t.Errorf("got %v, want EPERM", err)
		}
		l.Must(l.Allow())
		if err := p.send(target, 2, nil); err != nil {
			t.Fatal(err)
		}
		p.wantReply(target, 2, nil)
	})
}

func TestKernelStorm(t *testing.T) {
	t.Parallel()
	l := Start(t, Topology{})
	p := newPinger(t, l, targets[0])
	l.Storm(10_000, 200*ms)
	for range 20 {
		if m, _ := p.receive(patience); m == nil {
			t.Fatal("the storm did not come")
		}
	}
	for range 1000 {
		if l.Log().Totals().Storm == 2000 {
			return
		}
		time.Sleep(10 * ms)
	}
	t.Errorf("log %+v, want 2000 packets", l.Log().Totals())
}

func TestCommandIsInside(t *testing.T) {
	l := Pair(t, Veth{})
	out, err := l.Command(t.Context(), "cat", "/proc/self/net/dev").CombinedOutput()
	if err != nil {
		t.Fatalf("cat: %v", err)
	}
	if !strings.Contains(string(out), l.Device()) {
		t.Errorf("no %s in %s", l.Device(), out)
	}
	if b, _ := os.ReadFile("/proc/thread-self/net/dev"); strings.Contains(string(b), l.Device()) {
		t.Errorf("%s is here too", l.Device())
	}
}

func TestOrdinaryUser(t *testing.T) {
	l := Pair(t, Veth{})
	out, err := l.Command(t.Context(), "cat", "/proc/self/status").Ordinary().CombinedOutput()
	if err != nil {
		t.Skipf("cat as an ordinary user: %v", err)
	}
	for _, want := range []string{"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	for _, want := range []string{"raw false dgram false", "raw false dgram true"} {
		c := l.Command(t.Context(), "/proc/self/exe", "-test.run=^TestHelperOpen$", "-test.v").Ordinary()
		c.Env = append(os.Environ(), "LAB_TEST_OPEN=1")
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, %s; want %s", err, out, want)
		}
		l.Must(l.PingGroups(0, 0)) // at first a namespace allows nobody
	}
}

// Main passes on the exit code of the tests, and signals to them.
func TestMainPassesOn(t *testing.T) {
	Need(t)
	for _, how := range []string{"fail", "signal"} {
		c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestHelperEnd$")
		c.Env = append(os.Environ(), childEnv+"=", "LAB_TEST_END="+how)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		scan := bufio.NewScanner(out)
		if !scan.Scan() {
			t.Error("the helper said nothing")
		}
		if here, _ := os.Readlink("/proc/self/ns/net"); scan.Text() == here {
			t.Error("the helper ran in the namespace of its parent")
		}
		if how == "signal" {
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if !scan.Scan() || scan.Text() != "got interrupt" {
				t.Errorf("after a signal the helper said %q", scan.Text())
			}
		}
		for scan.Scan() {
		}
		if err := c.Wait(); c.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: %v, want exit code 1", how, err)
		}
	}
}

// TestHelperEnd is not a test: TestMainPassesOn runs it.
func TestHelperEnd(t *testing.T) {
	how := os.Getenv("LAB_TEST_END")
	if how == "" {
		t.Skip("helper of TestMainPassesOn")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	here, _ := os.Readlink("/proc/self/ns/net")
	fmt.Println(here)
	if how == "signal" {
		fmt.Println("got", <-signals)
	}
	t.Fail()
}

// TestHelperOpen is not a test: TestOrdinaryUser runs it as another user.
func TestHelperOpen(t *testing.T) {
	if os.Getenv("LAB_TEST_OPEN") == "" {
		t.Skip("helper of TestOrdinaryUser")
	}
	raw, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if err == nil {
		raw.Close()
	}
	dgram, err2 := icmp.ListenPacket("udp4", "0.0.0.0")
	if err2 == nil {
		dgram.Close()
	}
	fmt.Printf("raw %v dgram %v\n", err == nil, err2 == nil)
}

func TestSystemPing(t *testing.T) {
	ping, err := exec.LookPath("ping")
	refuse(t, err)
	both(t, func(t *testing.T, target netip.Addr) {
		hops := path(3)
		hops[2].Out.MTU = 1300
		l := Start(t, Topology{Hops: hops, Hosts: []Host{{At: []netip.Prefix{netip.PrefixFrom(target, target.BitLen())}}}})
		cases := []struct {
			args []string
			want string
		}{
			{[]string{"-c", "2", "-i", "0.01"}, "2 received"},
			{[]string{"-c", "1", "-t", "2"}, "Time"}, // "Time to live exceeded", "Time exceeded: Hop limit"
			{[]string{"-c", "1", "-s", "1400", "-M", "do", "-W", "1"}, "1300"},
		}
		for _, tc := range cases {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			out, _ := l.Command(ctx, ping, append(tc.args, "-n", target.String())...).CombinedOutput()
			cancel()
			if !strings.Contains(string(out), tc.want) {
				t.Errorf("ping %v: %s", tc.args, out)
			}
		}
	})
}

// open counts the open descriptors of this process.
func open(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestNothingLeaks(t *testing.T) {
	Need(t)
	cycle := func() {
		l, err := Veth{}.Start()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if tunDevice() != nil {
			return
		}
		l, err = Topology{Hosts: []Host{{Kernel: true}}}.Start()
		if err != nil {
			t.Fatal(err)
		}
		l.Storm(1000, time.Minute)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	fds, goroutines := open(t), runtime.NumGoroutine()
	for range 10 {
		cycle()
	}
	if now := open(t); now != fds {
		t.Errorf("%d descriptors before, %d after", fds, now)
	}
	// The goroutine that made a namespace may still be on its last line.
	if !soon(func() bool { return runtime.NumGoroutine() <= goroutines }) {
		t.Errorf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
	}
}

func BenchmarkKernel(b *testing.B) {
	l := Start(b, Topology{LogLimit: 1})
	var conn *icmp.PacketConn
	var err error
	l.Do(func() { conn, err = icmp.ListenPacket("ip4:icmp", "0.0.0.0") })
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 77, Data: make([]byte, 56)}}
	raw, err := m.Marshal(nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1500)
	const window = 64
	to := &net.IPAddr{IP: targets[0].AsSlice()}
	for b.Loop() {
		for range window {
			if _, err := conn.WriteTo(raw, to); err != nil {
				b.Fatal(err)
			}
		}
		for range window {
			if _, _, err := conn.ReadFrom(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*window/b.Elapsed().Seconds(), "packets/s")
}
