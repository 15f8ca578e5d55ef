package main

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"netprobe/udpprobe/payload"
)

// TestReply has the parser of each protocol that somebody answers take what is said
// at its ports.
func TestReply(t *testing.T) {
	for _, name := range payload.Names() {
		p := payload.ByName(name)
		if p.Mute != "" {
			continue
		}
		for _, port := range p.Ports {
			ask := payload.Transaction{To: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), Sent: time.Now()}
			ask.Renew()
			said := reply(port, p.Append(nil, &ask))
			ask.Arrived = time.Now()
			if _, err := p.Parse(said, &ask); err != nil {
				t.Errorf("%s at %d: %v", name, port, err)
			}
			reply(port, nil) // which some cannot make anything of
		}
	}
	if said := reply(7, nil); len(said) == 0 {
		t.Error("nothing at a port without a protocol")
	}
}

// TestAnswer asks each of many sockets.
func TestAnswer(t *testing.T) {
	at := freePorts(t, 20)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- answer(ctx, at, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	for _, a := range at {
		if payload.ByPort(a.Port()) != nil {
			continue // it wants to be asked its own question
		}
		c, err := net.Dial("udp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 9)
		if _, err := c.Write(nil); err != nil {
			t.Error(err)
		}
		if n, err := c.Read(b); err != nil || string(b[:n]) != string(anything) {
			t.Errorf("%v: %q, %v", a, b[:n], err)
		}
		c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := answer(t.Context(), []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7")}, func() { t.Error("ready") }); err == nil {
		t.Error("an address of nobody here passed")
	}
}
