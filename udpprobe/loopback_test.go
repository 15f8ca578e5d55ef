package udpprobe

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"netprobe/internal/crew/crewtest"
	"netprobe/probe"
)

const ms = time.Millisecond

// serve opens a UDP socket on addr and returns its port and what arrives; it
// answers if echo is set.
func serve(t *testing.T, addr string, echo bool) (uint16, chan []byte) {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { c.Close() })
	arrived := make(chan []byte, 16)
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			select {
			case arrived <- append([]byte{}, buf[:n]...):
			default:
			}
			if echo {
				_, _ = c.WriteTo([]byte("here"), from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), arrived
}

// A service that answers and one that does not, in each family;
// without a payload for the port, an empty datagram does leave.
func TestLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		port, arrived := serve(t, addr, true)
		mute, ignored := serve(t, addr, false)
		cases := []struct {
			port uint16
			want probe.Result
		}{
			{port: port, want: probe.Result{Status: probe.Reply, Reason: probe.UDPReply, Seq: 1, Size: 12}},
			{port: mute, want: probe.Result{Status: probe.Lost, Reason: probe.NoResponse, Seq: 2}},
		}
		for _, tc := range cases {
			l := crewtest.Of(addr)
			o := crewtest.Run(t, t.Context(), NewSweep(SweepConfig{Source: l, Port: tc.port, Timeout: 200 * ms, Retries: 1}), l)[0]
			if o.Status != tc.want.Status || o.Reason != tc.want.Reason || o.Seq != tc.want.Seq || o.Size != tc.want.Size {
				t.Errorf("%v: %+v, want %+v", o.Addr, o.Result, tc.want)
			}
			if o.Status == probe.Reply && (o.From != netip.MustParseAddr(addr) || o.RTT <= 0) {
				t.Errorf("%v: from %v after %v", o.Addr, o.From, o.RTT)
			}
		}
		if len(arrived) != 1 || len(ignored) != 2 || len(<-arrived) != 0 {
			t.Errorf("%d and %d datagrams arrived", len(arrived), len(ignored))
		}
	}
}

// Thousands of hosts leave no descriptors behind, and each that has no such
// service says so, unless it is kept from saying so as often as that.
func TestLoopbackMany(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux answers for all of 127.0.0.0/8")
	}
	const n = 2000
	l := crewtest.Count("127.0.1.1", n)
	before := descriptors(t)
	s := NewSweep(SweepConfig{Source: l, Port: 9, Limit: 500, Timeout: 300 * ms})
	refused := 0
	for i, o := range crewtest.Run(t, t.Context(), s, l) {
		switch o.Status {
		case probe.Refused:
			refused++
		case probe.Lost:
		default:
			t.Errorf("host %d: %v %v %v", i, o.Status, o.Reason, o.Err)
		}
	}
	if c := s.Counters(); c.Sent != n || c.InFlight != 0 || refused == 0 {
		t.Errorf("counters %+v, %d refused", c, refused)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(fds)
}

// A run that is ended says of each host it took that it is undecided.
func TestCanceled(t *testing.T) {
	port, _ := serve(t, "127.0.0.1", false)
	l := crewtest.Of("127.0.0.1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
	defer cancel()
	o := crewtest.Run(t, ctx, NewSweep(SweepConfig{Source: l, Port: port, Timeout: time.Minute}), l)[0]
	if o.Status != probe.Pending || o.Reason != probe.Canceled || o.Seq != 1 || o.Sent.IsZero() {
		t.Errorf("%v %v, try %d", o.Status, o.Reason, o.Seq)
	}
}
