package dnsprobe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"netprobe/rawsock"
)

// TestOverLoopback asks by real sockets: answers that are too long for UDP come
// by TCP.
func TestOverLoopback(t *testing.T) {
	t.Parallel()
	tree := newTree(t, time.Now())
	server := tree.serve(t, 512)
	for _, name := range []string{"www.rsa.test", "x.y.wild.rsa.test", "nothing.rsa.test"} {
		v := tree.validate(t, name, "A", func(cfg *ValidateConfig) { cfg.exchange, cfg.Server = nil, server })
		if v.Status != Secure {
			t.Errorf("%s: %v %q", name, v.Status, v.Why)
		}
	}
	if n := tree.streams.Load(); n == 0 {
		t.Error("no answer came by TCP")
	}
	p, err := Walk(t.Context(), WalkConfig{Name: "www.example.test", Root: server})
	if err != nil || p.Broke == nil || !strings.Contains(p.Broke.Why, "answered as a resolver") {
		t.Errorf("%+v %v", p.Broke, err)
	}
}

// TestCarrier meets servers that do not answer as they should.
func TestCarrier(t *testing.T) {
	t.Parallel()
	reply := func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(q) }
	for _, tt := range []struct {
		label  string
		answer func(q *dns.Msg) []*dns.Msg // nil: the port is closed
		socket rawsock.Config
		err    string // contained in the error; | between those of several systems
		local  bool
	}{
		{label: "an answer", answer: func(q *dns.Msg) []*dns.Msg { return []*dns.Msg{reply(q)} }},
		{label: "an answer after others", answer: func(q *dns.Msg) []*dns.Msg {
			other, strange := reply(q), reply(q)
			other.Id++
			strange.Question[0].Name = "other.test."
			return []*dns.Msg{other, strange, reply(q)}
		}},
		{label: "silence", answer: func(*dns.Msg) []*dns.Msg { return nil }, err: "deadline exceeded"},
		{label: "others only", answer: func(q *dns.Msg) []*dns.Msg {
			var all []*dns.Msg
			for range maxJunk + 1 {
				other := reply(q)
				other.Id++
				all = append(all, other)
			}
			return all
		}, err: "only other things than the answer came: a message with another id"},
		{label: "truncated, and no TCP", answer: func(q *dns.Msg) []*dns.Msg {
			m := reply(q)
			m.Truncated = true
			return []*dns.Msg{m}
		}, err: "refused"},
		{label: "a closed port", err: "says 127.0.0.1|connection refused"},
		{label: "no such source", socket: rawsock.Config{Source: netip.MustParseAddr("::1")}, err: "source address ::1 is not IPv4", local: true},
	} {
		t.Run(tt.label, func(t *testing.T) {
			t.Parallel()
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			server := pc.LocalAddr().(*net.UDPAddr).AddrPort()
			if tt.answer == nil {
				pc.Close()
			} else {
				go answerAll(pc, tt.answer)
			}
			timeout := 5 * time.Second
			if tt.label == "silence" {
				timeout = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			m, _, err := carrier{tt.socket}.exchange(ctx, server, lookupQuery("www.example.test.", dns.TypeA, true))
			switch {
			case tt.err == "" && (err != nil || len(m.Question) != 1):
				t.Errorf("%v %v", m, err)
			case tt.err != "" && (err == nil || !slices.ContainsFunc(strings.Split(tt.err, "|"), func(s string) bool { return strings.Contains(err.Error(), s) })):
				t.Errorf("error %v, want %q", err, tt.err)
			case errors.Is(err, errLocal) != tt.local:
				t.Errorf("error %v is this host's: %v", err, !tt.local)
			}
		})
	}
}

func answerAll(pc net.PacketConn, answer func(*dns.Msg) []*dns.Msg) {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		q := &dns.Msg{}
		if q.Unpack(buf[:n]) != nil {
			continue
		}
		for _, m := range answer(q) {
			if wire, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(wire, from)
			}
		}
	}
}
