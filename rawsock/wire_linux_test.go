package rawsock

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// sniffer sees every IP packet that a namespace receives.
type sniffer struct {
	t  testing.TB
	fd int
}

// sniff opens a packet socket in n.
func sniff(t testing.TB, n *lab.Namespace) *sniffer {
	t.Helper()
	s := &sniffer{t: t}
	var err error
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if e := n.Do(func() { s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all)) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	tv := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return s
}

// request returns the next echo request, IP header first.
func (s *sniffer) request(f Family) []byte {
	s.t.Helper()
	buf := make([]byte, 1<<16)
	for range 1000 {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		b := buf[:n]
		if f == IPv4 && n > 28 && b[0]>>4 == 4 && b[9] == protoICMP4 && b[int(b[0]&0xf)*4] == typeEcho4 ||
			f == IPv6 && n > 48 && b[0]>>4 == 6 && b[6] == protoICMP6 && b[40] == typeEcho6 {
			return b
		}
	}
	s.t.Fatal("no request among a thousand packets")
	return nil
}

// What Config says is on the wire.
func TestConfigOnTheWire(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		s := sniff(t, l.Far)
		second := netip.MustParsePrefix("192.0.2.77/24")
		if cfg.Family == IPv6 {
			second = netip.MustParsePrefix("2001:db8::77/64")
		}
		l.Must(l.AddAddr(second))
		v4 := cfg.Family == IPv4
		cases := []struct {
			name   string
			change func(*Config)
			see    func(b []byte) bool
		}{
			{"defaults", func(*Config) {}, func(b []byte) bool {
				if v4 {
					return b[8] == 64 && b[1] == 0
				}
				return b[7] == 64 && tclass(b) == 0
			}},
			{"TTL", func(c *Config) { c.TTL = 9 }, func(b []byte) bool { return v4 && b[8] == 9 || !v4 && b[7] == 9 }},
			{"TTL 255", func(c *Config) { c.TTL = 255 }, func(b []byte) bool { return v4 && b[8] == 255 || !v4 && b[7] == 255 }},
			{"TOS", func(c *Config) { c.TOS = 0xb8 }, func(b []byte) bool { return v4 && b[1] == 0xb8 || !v4 && tclass(b) == 0xb8 }},
			{"do", func(c *Config) { c.PMTU = PMTUDo }, func(b []byte) bool { return !v4 || b[6]&0x40 != 0 }},
			{"probe", func(c *Config) { c.PMTU = PMTUProbe }, func(b []byte) bool { return !v4 || b[6]&0x40 != 0 }},
			{"dont", func(c *Config) { c.PMTU = PMTUDont }, func(b []byte) bool { return !v4 || b[6]&0x40 == 0 }},
			{"source", func(c *Config) { c.Source = second.Addr() }, func(b []byte) bool { return source(b) == second.Addr() }},
			{"interface", func(c *Config) { c.Interface = l.Device() }, func([]byte) bool { return true }},
			{"mark", func(c *Config) { c.Mark = 42 }, func([]byte) bool { return true }},
		}
		for i, tc := range cases {
			cfg := cfg
			cfg.ID = 0x4e50 + uint16(i)
			tc.change(&cfg)
			c := openIn(t, l, cfg)
			c.must(t, c.echo(far, uint16(i), 16, 0))
			b := s.request(cfg.Family)
			at := 20
			if !v4 {
				at = 40
			}
			if id := binary.BigEndian.Uint16(b[at+4:]); id != cfg.ID || binary.BigEndian.Uint16(b[at+6:]) != uint16(i) {
				t.Errorf("%s: another packet: % x", tc.name, b)
			}
			if v4 && !validSum(b[at:]) {
				t.Errorf("%s: bad checksum: % x", tc.name, b)
			}
			if !tc.see(b) {
				t.Errorf("%s: got % x", tc.name, b)
			}
			if mark, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_MARK); err != nil || mark != cfg.Mark {
				t.Errorf("%s: mark %d, %v", tc.name, mark, err)
			}
			collect(t, c, have(map[Event]int{Echo: 1}))
		}
	})
}

func tclass(b []byte) byte { return b[0]<<4 | b[1]>>4 }

func source(b []byte) netip.Addr {
	if b[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return netip.AddrFrom16([16]byte(b[8:24]))
}

// What cannot be bound to is refused when the socket is opened.
func TestOpenRefuses(t *testing.T) {
	sockets(t, func(t *testing.T, l *lab.Lab, cfg Config, far netip.Addr) {
		for name, tc := range map[string]struct {
			change func(*Config)
			want   error
		}{
			"interface": {func(c *Config) { c.Interface = "nosuch0" }, unix.ENODEV},
			"source":    {func(c *Config) { c.Source = far }, unix.EADDRNOTAVAIL},
		} {
			cfg := cfg
			tc.change(&cfg)
			var err error
			l.Do(func() { _, err = Open(cfg) })
			if _, ok := errors.AsType[*os.SyscallError](err); !ok || !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", name, err, tc.want)
			}
		}
	})
}

// An ordinary user gets a datagram socket where the groups allow it, else a
// PermissionError that says which kind was asked for.
func TestPermissions(t *testing.T) {
	l := lab.Pair(t, lab.Veth{})
	for _, tc := range []struct {
		open bool // a new namespace allows nobody
		want string
	}{
		{false, "auto=denied-auto raw=denied-raw dgram=denied-dgram"},
		{true, "auto=dgram raw=denied-raw dgram=dgram"},
	} {
		if tc.open {
			l.Must(l.PingGroups(0, 0))
		}
		c := l.Command(t.Context(), "/proc/self/exe", "-test.run=^TestHelperOpen$", "-test.v").Ordinary()
		c.Env = append(os.Environ(), "RAWSOCK_TEST_OPEN=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Skipf("cannot start a process as an ordinary user: %v: %s", err, out)
		}
		for _, family := range []string{"IPv4 ", "IPv6 "} {
			if !strings.Contains(string(out), family+tc.want) {
				t.Errorf("groups allowed %v: %s, want %s%s", tc.open, out, family, tc.want)
			}
		}
	}
}

// TestHelperOpen is not a test: TestPermissions runs it as another user.
func TestHelperOpen(t *testing.T) {
	if os.Getenv("RAWSOCK_TEST_OPEN") == "" {
		t.Skip("helper of TestPermissions")
	}
	for _, f := range []Family{IPv4, IPv6} {
		line := "IPv4"
		if f == IPv6 {
			line = "IPv6"
		}
		for _, k := range []Kind{Auto, Raw, Datagram} {
			c, err := Open(Config{Family: f, Kind: k, ID: 0x4e50, Timeout: time.Millisecond})
			line += " " + k.String() + "="
			if denied, ok := errors.AsType[*PermissionError](err); ok {
				line += "denied-" + denied.Kind.String()
			} else if err != nil {
				line += err.Error()
			} else {
				line += c.Kind().String()
				c.Close()
			}
		}
		t.Log(line)
	}
}
