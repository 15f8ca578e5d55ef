package icmp

import (
	"context"
	"net"
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// loopConn answers every packet at once and allocates nothing.
type loopConn struct {
	family rawsock.Family
	id     uint16
	sent   []rawsock.Packet
	msg    rawsock.Message
}

func (c *loopConn) IDs() (first, n uint16) { return c.id, 1 }
func (c *loopConn) KernelClock() bool      { return true }
func (c *loopConn) Dropped() uint32        { return 0 }
func (c *loopConn) RecvBuf() int           { return 0 }
func (c *loopConn) Shutdown()              {}
func (c *loopConn) Close() error           { return nil }
func (c *loopConn) Wait() error            { return net.ErrClosed }

func (c *loopConn) Send(pkts []rawsock.Packet) (int, error) {
	c.sent = append(c.sent, pkts...)
	return len(pkts), nil
}

func (c *loopConn) Drain(visit func(*rawsock.Message)) error {
	now := time.Now()
	for _, p := range c.sent {
		c.msg = rawsock.Message{Event: rawsock.Stamp, Key: p.Key, Stamp: now.UnixNano(), Arrived: now}
		visit(&c.msg)
		c.msg = rawsock.Message{
			Event: rawsock.Echo, From: p.To, ID: uint16(p.Msg[4])<<8 | uint16(p.Msg[5]), Seq: uint16(p.Msg[6])<<8 | uint16(p.Msg[7]),
			TTL: 64, Size: len(p.Msg), Payload: p.Msg[8:], Stamp: now.UnixNano(), Arrived: now,
		}
		visit(&c.msg)
	}
	c.sent = c.sent[:0]
	return nil
}

// newLoop prepares an engine on loop sockets, past its start.
func newLoop(t testing.TB, cfg Config, emit func(probe.Result)) *Engine {
	t.Helper()
	e, err := newEngine(cfg, newTimerAlarm())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range familiesOf(cfg.Targets) {
		e.addPort(&lane{family: f, home: home{until: probe.Never}}, &loopConn{family: f, id: 0x4000})
	}
	e.begin(emit)
	return e
}

// round sends what is due and takes what comes back.
func (e *Engine) round(ctx context.Context) {
	if _, sending := e.turn(); sending {
		e.flush(ctx)
	}
	e.drainAll()
}

// An echo, from the schedule through the packet and its answer to the result,
// allocates nothing.
func TestNoAllocations(t *testing.T) {
	for _, targets := range []int{1, 50} {
		for _, pace := range []Pace{Fixed, Adaptive, Flood, Lockstep} {
			replies := 0
			e := newLoop(t, Config{Targets: crowd(targets), Pace: pace, Interval: time.Nanosecond, Size: 56}, func(r probe.Result) {
				if r.Status == probe.Reply && r.Clock == probe.Kernel {
					replies++
				}
			})
			if pace == Fixed {
				e.spread = probe.Pacer{} // catching up is not what is measured
			}
			ctx := t.Context()
			for range 2000 { // until every buffer and table has its size
				e.round(ctx)
			}
			before := replies
			if n := testing.AllocsPerRun(1000, func() { e.round(ctx) }); n != 0 {
				t.Errorf("%d targets, pace %d: %v allocations a round", targets, pace, n)
			}
			if n := replies - before; n < 1000 {
				t.Errorf("%d targets, pace %d: only %d echoes", targets, pace, n)
			}
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	echoes := 0
	e := newLoop(b, Config{Targets: crowd(64), Pace: Flood, Size: 56}, func(probe.Result) { echoes++ })
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		e.round(ctx)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(echoes), "ns/echo")
}
