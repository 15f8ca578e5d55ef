package udpprobe

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/udpprobe/payload"
	"netprobe/udpprobe/payload/payloadtest"
)

// script is what a server says to one question, in order.
type script func(question []byte) [][]byte

// scripted starts a server on loopback.
func scripted(t *testing.T, addr string, say script) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range say(bytes.Clone(buf[:n])) {
				_, _ = c.WriteTo(b, from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func ask(t *testing.T, cfg Config, to netip.AddrPort, timeout time.Duration) crew.Answer {
	t.Helper()
	return NewAsker(cfg).Ask(t.Context(), crew.Try{To: to, N: 1, Timeout: timeout})
}

// summary is an answer as people would be told.
func summary(a crew.Answer) string {
	s := fmt.Sprintf("%v %v", a.Status, a.Reason)
	l, _ := a.Detail.(*probe.Layers)
	if l == nil {
		return s
	}
	if l.FailedAt != "" {
		s += fmt.Sprintf(" at %s %v: %s", l.FailedAt, l.Reason, l.Why)
	}
	for _, f := range l.Facts {
		s += fmt.Sprintf(" %s=%v", f.Name, f.Value)
	}
	return s
}

// stampsOn has the kernel stamp what arrives, which it begins in its own time.
var stampsOn = sync.OnceFunc(func() {
	rawsock.KeepStamps()
	time.Sleep(200 * ms)
})

// asked are the protocols whose services answer.
func asked() (names []string) {
	for _, name := range payload.Names() {
		if payload.ByName(name).Mute == "" {
			names = append(names, name)
		}
	}
	return names
}

// Each protocol's service is understood, over both families, also if what comes
// first is rubbish, and the answer to another question.
func TestProtocols(t *testing.T) {
	stampsOn()
	for _, name := range asked() {
		for _, addr := range []string{"127.0.0.1", "::1"} {
			t.Run(name+" "+addr, func(t *testing.T) {
				t.Parallel()
				var last []byte
				to := scripted(t, addr, func(q []byte) [][]byte {
					other := payloadtest.Answer(name, q, 0)
					if last != nil {
						other = payloadtest.Answer(name, last, 0)
					}
					last = q
					return [][]byte{{}, []byte("\x1b[31mrubbish\x00\r\n"), other[:len(other)/2], payloadtest.Answer(name, q, 0)}
				})
				for range 2 {
					a := ask(t, Config{Proto: payload.ByName(name)}, to, 5*time.Second)
					if a.Status != probe.Reply || a.Reason != probe.UDPReply || !strings.Contains(summary(a), " "+name+"_") {
						t.Error(summary(a))
					}
					if a.From != to.Addr() || a.RTT <= 0 || a.RTT > 5*time.Second || a.Sent.IsZero() {
						t.Errorf("from %v after %v, sent %v", a.From, a.RTT, a.Sent)
					}
					if runtime.GOOS == "linux" && (a.TTL == 0 || a.Clock != probe.Kernel) {
						t.Errorf("TTL %d, clock %v, %v", a.TTL, a.Clock, a.RTT)
					}
				}
			})
		}
	}
}

// What is not an answer is none, says why, and is listened on to the end; unless
// somebody is all that is looked for.
func TestBadReply(t *testing.T) {
	cases := map[string]struct {
		say func(name string, q []byte) []byte
		why string
	}{
		"empty":   {func(string, []byte) []byte { return nil }, "an empty datagram"},
		"rubbish": {func(string, []byte) []byte { return bytes.Repeat([]byte("\x1b]0;\a\xff\x00"), 60) }, ""},
		"echo":    {func(_ string, q []byte) []byte { return q }, ""},
		"oversized": {func(name string, q []byte) []byte {
			return append(payloadtest.Answer(name, q, 0), make([]byte, longest)...)
		}, "more than 4096 bytes"},
		"another": {func(name string, q []byte) []byte {
			p, tx := payload.ByName(name), new(payload.Transaction)
			tx.Renew()
			return payloadtest.Answer(name, p.Append(nil, tx), 0)
		}, "not an answer to our question"},
	}
	var all sync.WaitGroup // which takes no longer than one of them
	for _, name := range asked() {
		for what, tc := range cases {
			if name == "tftp" && what == "another" {
				continue // it repeats nothing
			}
			to := scripted(t, "127.0.0.1", func(q []byte) [][]byte { return [][]byte{tc.say(name, q)} })
			all.Go(func() { checkBadReply(t, name, what, tc.why, to) })
		}
	}
	all.Wait()
}

func checkBadReply(t *testing.T, name, what, why string, to netip.AddrPort) {
	const patience = 500 * ms
	p := payload.ByName(name)
	a := ask(t, Config{Proto: p}, to, patience)
	want := fmt.Sprintf("lost bad-reply at %s bad-reply: the answer is not %s: %s", name, name, why)
	if got := summary(a); !strings.HasPrefix(got, want) || a.From.IsValid() || a.RTT != 0 || a.Sent.IsZero() {
		t.Errorf("%s, %s: %s, from %v after %v, want %s", name, what, got, a.From, a.RTT, want)
	}
	a = ask(t, Config{Proto: p, Somebody: true}, to, patience)
	if a.Status != probe.Reply || a.Reason != probe.BadReply || a.From != to.Addr() || a.RTT <= 0 || a.RTT > patience {
		t.Errorf("%s, %s: %s, from %v after %v", name, what, summary(a), a.From, a.RTT)
	}
	start := time.Now()
	a = ask(t, Config{Proto: p, Any: true}, to, time.Minute)
	if a.Status != probe.Reply || a.Reason != probe.UDPReply || a.Detail != nil || time.Since(start) > 30*time.Second {
		t.Errorf("%s, %s: %s", name, what, summary(a))
	}
}

// A payload of one's own is sent as it is, and anything is an answer to it.
func TestOwnPayload(t *testing.T) {
	arrived := make(chan []byte, 9)
	to := scripted(t, "127.0.0.1", func(q []byte) [][]byte {
		arrived <- q
		return [][]byte{[]byte("x")}
	})
	for _, own := range []string{"", "\x00\x01own"} {
		a := ask(t, Config{Payload: []byte(own), Proto: payload.ByName("dns")}, to, 5*time.Second)
		if a.Status != probe.Reply || a.Detail != nil || a.Size != headerLen+1 {
			t.Error(summary(a), a.Size)
		}
		if got := <-arrived; string(got) != own {
			t.Errorf("%q, want %q", got, own)
		}
	}
}

// A TFTP server answers from a port of its own; others than the host that was
// asked are not heard.
func TestAnotherPort(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	say := func(from string, reply []byte, to net.Addr) {
		c, err := net.ListenPacket("udp", from+":0")
		if err != nil {
			return // no such address on this system
		}
		defer c.Close()
		_, _ = c.WriteTo(reply, to)
	}
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			say("127.0.0.2", []byte("\x00\x05\x00\x00a stranger\x00"), from)
			say("127.0.0.1", payloadtest.Answer("tftp", buf[:n], 0), from)
		}
	}()
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	a := ask(t, Config{Proto: payload.ByName("tftp")}, to, 5*time.Second)
	if got := summary(a); got != "reply udp-reply tftp_error=file not found tftp_text=File not found" {
		t.Error(got)
	}
	server.Close()
	if runtime.GOOS != "linux" {
		return // which alone tells a socket without a peer
	}
	a = ask(t, Config{Proto: payload.ByName("tftp")}, to, 5*time.Second)
	if a.Status != probe.Refused || a.Reason != probe.PortUnreachable || a.From != to.Addr() {
		t.Error(summary(a), a.From)
	}
}

// The end of a run is nobody's fault, whatever came before.
func TestAskCanceled(t *testing.T) {
	to := scripted(t, "127.0.0.1", func(q []byte) [][]byte { return [][]byte{[]byte("rubbish")} })
	ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
	defer cancel()
	a := NewAsker(Config{Proto: payload.ByName("ntp")}).Ask(ctx, crew.Try{To: to, N: 1, Timeout: time.Minute})
	if a.Status != probe.Pending || a.Reason != probe.Canceled {
		t.Error(summary(a))
	}
	a = NewAsker(Config{}).Ask(ctx, crew.Try{To: to, N: 1, Timeout: time.Minute})
	if a.Status != probe.Pending || !a.Sent.IsZero() {
		t.Error(summary(a))
	}
}
