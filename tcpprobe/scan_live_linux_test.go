package tcpprobe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/crew"
	"netprobe/internal/crew/crewtest"
	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/scan"
)

// labConnects is a Juggler whose sockets are in a lab.
type labConnects struct {
	*connects
	t *testing.T
	*lab.Lab
}

func (i labConnects) Begin(t crew.Try) (a crew.Answer, over bool) {
	i.enter(func() { a, over = i.connects.Begin(t) })
	return a, over
}

func (i labConnects) Poll(d time.Duration, over func(crew.Try, *crew.Answer)) {
	i.enter(func() { i.connects.Poll(d, over) })
}

func (i labConnects) Close() error { return i.connects.Close() }

func (i labConnects) enter(f func()) {
	if err := i.Namespace.Do(f); err != nil {
		i.t.Error(err)
	}
}

// ways are the Transports of a scan of TCP ports, whose sockets are inside l.
func ways(t *testing.T, l *lab.Lab, f func(t *testing.T, way scan.Transport)) {
	t.Run("connect", func(t *testing.T) {
		var all []crew.Juggler
		for range 2 {
			c, err := rawsock.OpenConnector(rawsock.Config{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, labConnects{&connects{conn: c}, t, l})
		}
		p := crew.NewJugglers(0, 1, all...)
		t.Cleanup(func() { p.Close() })
		f(t, p)
	})
	t.Run("half-open", func(t *testing.T) { f(t, halfOpenIn(t, l, rawsock.Config{})) })
}

// scanned is what a scan said of each port.
type scanned map[netip.AddrPort]probe.Result

// scanBy scans ports of hosts by way, and sees to it that each has one outcome.
func scanBy(t *testing.T, way scan.Transport, ports []uint16, hosts ...string) scanned {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := scanned{}
	e := scan.New(scan.Config{Source: crewtest.Of(hosts...), Ports: ports, Retries: scan.Adaptive}, way)
	_ = e.Probe(ctx, func(r probe.Result) {
		to := r.Target.Addr
		if _, twice := got[to]; twice {
			t.Errorf("%v: two outcomes", to)
		}
		r.Target, r.Detail = nil, nil
		got[to] = r
	})
	if len(got) != len(ports)*len(hosts) {
		t.Errorf("%d outcomes of %d ports", len(got), len(ports)*len(hosts))
	}
	t.Logf("%+v", e.Counters())
	return got
}

// count counts the ports in each state.
func (s scanned) count() map[probe.PortState]int {
	n := map[probe.PortState]int{}
	for _, r := range s {
		n[probe.StateOfPort(&r, false)]++
	}
	return n
}

// serveIn has ports of the far end listen, and do as accepted says with each
// connection.
func serveIn(t *testing.T, l *lab.Lab, accepted func(*net.TCPConn), ports ...uint16) {
	t.Helper()
	for _, port := range ports {
		var listener net.Listener
		var err error
		l.Must(l.Far.Do(func() { listener, err = net.Listen("tcp", fmt.Sprintf("[::]:%d", port)) }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				accepted(c.(*net.TCPConn))
			}
		}()
	}
}

// fullFar has port of the far end listen without room for a connection.
func fullFar(t *testing.T, l *lab.Lab, port int) {
	t.Helper()
	l.Must(l.Far.Do(func() {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			t.Cleanup(func() { unix.Close(fd) })
			err = unix.Bind(fd, &unix.SockaddrInet6{Port: port})
		}
		if err == nil {
			err = unix.Listen(fd, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			d := net.Dialer{Timeout: 100 * time.Millisecond}
			c, err := d.Dial("tcp", fmt.Sprintf("[::1]:%d", port))
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
		t.Skip("the listener still takes connections")
	}))
}

// A whole scan of a host, and of one behind it, that say no in every way there
// is: each port has its state, the reason and who gave it.
func TestLiveScanFirewall(t *testing.T) {
	l := walled(t)
	held := make(chan *net.TCPConn, 64)
	serveIn(t, l, func(c *net.TCPConn) { held <- c }, 22) // says nothing
	serveIn(t, l, func(c *net.TCPConn) {                  // resets
		_ = c.SetLinger(0)
		c.Close()
	}, 23)
	fullFar(t, l, 24)
	ports := []uint16{22, 23, 24, 25, droppedPort}
	for i := range flavours {
		ports = append(ports, uint16(1000+i))
	}
	others := map[uint16]string{
		22: "reply open", 23: "reply open", 24: "lost filtered", 25: "refused closed", droppedPort: "lost filtered",
	}
	ways(t, l, func(t *testing.T, way scan.Transport) {
		for to, r := range scanBy(t, way, ports, append(farHosts, beyondHosts...)...) {
			state := probe.StateOfPort(&r, false)
			want, known := others[to.Port()]
			if !known {
				want, from := portVerdict(to)
				if got := fmt.Sprint(r.Status, " ", r.Reason, " ", state); got != want || r.From.String() != from {
					t.Errorf("%v: %s from %v, want %s from %s", to, got, r.From, want, from)
				}
				continue
			}
			near := to.Addr().String() == farHosts[0] || to.Addr().String() == farHosts[1]
			if got := fmt.Sprint(r.Status, " ", state); near && got != want {
				t.Errorf("%v: %s (%v), want %s", to, got, r.Reason, want)
			}
		}
	})
}

// An ICMP error is told when it comes, also if that is before connect(2) returns,
// and not only when the kernel has sent another SYN.
func TestLiveConnectsRejectedAtOnce(t *testing.T) {
	l := walled(t)
	for i := range flavours {
		for _, host := range append(farHosts, beyondHosts...) {
			to := netip.AddrPortFrom(netip.MustParseAddr(host), uint16(1000+i))
			for _, asker := range []crew.Asker{solo{l, newConnects(t)}, inside{l, newDialer(&rawsock.Config{})}} {
				a := asker.Ask(t.Context(), crew.Try{To: to, N: 1, Timeout: 900 * ms})
				if want, from := portVerdict(to); fmt.Sprint(a.Status, " ", a.Reason, " ", probe.StateOfPort(&a.Result, false)) != want || a.From.String() != from {
					t.Errorf("%T: %v: %v %v from %v, want %s from %s", asker, to, a.Status, a.Reason, a.From, want, from)
				}
			}
		}
	}
}

// One packet in ten is lost each way, and all that is open is found, all that
// is closed known to be.
func TestLiveScanLossy(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Neighbours: true})
	var open []uint16
	for i := range 20 {
		open = append(open, uint16(100+7*i))
	}
	serveIn(t, l, func(c *net.TCPConn) { c.Close() }, open...)
	nft(t, l.Far, `table inet lossy {
chain in { type filter hook input priority 0; numgen random mod 10 < 1 drop; }
chain out { type filter hook output priority 0; numgen random mod 10 < 1 drop; }
}
`)
	var ports []uint16
	for i := range 300 {
		ports = append(ports, uint16(i+1))
	}
	ways(t, l, func(t *testing.T, way scan.Transport) {
		got := scanBy(t, way, ports, farHosts...)
		n := got.count()
		if n[probe.PortOpen] != 40 || n[probe.PortUnknown] > 0 || n[probe.PortFiltered] > 1 {
			t.Errorf("%v", n)
		}
		for to, r := range got {
			if p := to.Port(); r.Status == probe.Reply && (p < 100 || p > 233 || (p-100)%7 != 0) {
				t.Errorf("%v is not open", to)
			}
		}
	})
}

// Few local ports make a scan slower and no port anything else, though the hosts
// keep their side of what was open.
func TestLiveScanFewLocalPorts(t *testing.T) {
	l := lab.Pair(t, lab.Veth{Neighbours: true, Serve: lab.At("192.0.2.128/26")})
	serveIn(t, l, func(*net.TCPConn) {}, 443)
	l.Must(l.Sysctl("net.ipv4.ip_local_port_range", "40000 40009"))
	nft(t, l.Far, "table inet wall {\nchain in { type filter hook input priority 0; tcp dport 444 drop; }\n}\n")
	var hosts []string
	for i := range 60 {
		hosts = append(hosts, fmt.Sprintf("192.0.2.%d", 129+i))
	}
	ways(t, l, func(t *testing.T, way scan.Transport) {
		n := scanBy(t, way, []uint16{442, 443, 444}, hosts...).count()
		if n[probe.PortOpen] != 60 || n[probe.PortClosed] != 60 || n[probe.PortFiltered] != 60 {
			t.Errorf("%v", n)
		}
	})
}

// Few descriptors do the same: silent ports hold theirs for a second and more.
func TestScanFewDescriptors(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	full, open, closed := fullListener(t), listen(t, "0.0.0.0"), closedPorts(t, "127.0.0.1")[0]
	way, err := OpenConnects(rawsock.Config{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(descriptors(t) + 20), Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	var hosts []string
	for i := range 40 {
		hosts = append(hosts, fmt.Sprintf("127.0.4.%d", i+1))
	}
	for to, r := range scanBy(t, way, []uint16{full, open, closed}, hosts...) {
		want := map[uint16]probe.PortState{full: probe.PortFiltered, open: probe.PortOpen, closed: probe.PortClosed}[to.Port()]
		if got := probe.StateOfPort(&r, false); got != want {
			t.Errorf("%v: %v %v, want %v: %v", to, r.Status, r.Reason, want, r.Err)
		}
	}
}

// Hosts that are not there are told by our own kernel in time, or stay silent;
// neither is a portVerdict of theirs.
func TestLiveScanAbsent(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	serveIn(t, l, func(*net.TCPConn) {}, 443)
	ways(t, l, func(t *testing.T, way scan.Transport) {
		for to, r := range scanBy(t, way, []uint16{443, 444}, "192.0.2.2", "192.0.2.99", "2001:db8::2", "2001:db8::99") {
			there := to.Addr().String() == farHosts[0] || to.Addr().String() == farHosts[1]
			switch state := probe.StateOfPort(&r, false); {
			case there && (to.Port() == 443) != (state == probe.PortOpen), there && r.From != to.Addr(), !there && state != probe.PortFiltered:
				t.Errorf("%v: %v, %v %v from %v", to, state, r.Status, r.Reason, r.From)
			}
		}
	})
}
