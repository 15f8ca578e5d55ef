package icmp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// stormConn hands its reader unrelated messages beside the real ones, as a
// socket without a filter would.
type stormConn struct {
	*labConn
	rnd    *rand.Rand
	storms int // messages per Drain
	told   int
}

func (c *stormConn) Drain(visit func(*rawsock.Message)) error {
	for range c.storms {
		if c.told < 100_000 {
			c.told++
			m := c.message()
			visit(&m)
		}
	}
	return c.labConn.Drain(visit)
}

// message makes an ICMP message that is not ours, with our identifier as often
// as not and any sequence number.
func (c *stormConn) message() rawsock.Message {
	from := netip.AddrFrom4([4]byte{198, 51, 100, byte(c.rnd.Uint32())})
	if c.family == rawsock.IPv6 {
		from = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 9, 15: byte(c.rnd.Uint32())})
	}
	payload := make([]byte, c.rnd.IntN(80))
	for i := range payload {
		payload[i] = byte(c.rnd.Uint32())
	}
	m := rawsock.Message{
		Event: []rawsock.Event{rawsock.Echo, rawsock.Error, rawsock.Redirect}[c.rnd.IntN(3)],
		Type:  uint8(c.rnd.Uint32()), Code: uint8(c.rnd.Uint32()), TTL: uint8(c.rnd.Uint32()),
		ID: uint16(c.rnd.Uint32()), Seq: uint16(c.rnd.IntN(300)), From: from, Dst: from,
		Payload: payload, Size: len(payload) + 8, Arrived: time.Now(), Stamp: int64(c.rnd.Uint64() >> 1),
	}
	if c.rnd.IntN(2) == 0 {
		m.ID = c.id
	}
	return m
}

// A hundred thousand messages of other people do not disturb the counts.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topo := lab.Topology{Seed: 5, Out: lab.Link{Delay: 10 * ms, Loss: .1, Duplicate: .1}, Back: lab.Link{Jitter: 20 * ms, Reorder: .1}}
		cfg := Config{Targets: targets(target4, target6), Count: 200, Interval: 10 * ms, Timeout: 100 * ms, Late: 50 * ms, Size: 56}
		p := newPlayWithout(t, topo, cfg)
		var conns []*stormConn
		for _, f := range []rawsock.Family{rawsock.IPv4, rawsock.IPv6} {
			c := &stormConn{labConn: p.socket(f, 0x4000, 1), rnd: rand.New(rand.NewPCG(1, uint64(f))), storms: 500}
			conns = append(conns, c)
			p.addPort(p.lane(f), c)
		}
		p.run(t.Context())
		p.wantLogged()
		told := conns[0].told + conns[1].told
		if c := p.Counters(); told != 200_000 || c.Strays != uint64(told) || c.Redirects != 0 {
			t.Errorf("%d messages told, counters %+v", told, c)
		}
		for _, r := range p.results {
			if r.Status == probe.Reply && r.Clock != probe.Kernel {
				t.Errorf("probe %d: RTT by the user clock", r.Seq)
			}
		}
	})
}

// The same as packets, which the parser and the filter see first.
func TestStormOfPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Targets: targets(target4, target6), Count: 50, Interval: 10 * ms, Timeout: 100 * ms, Size: 56}
		p := newPlay(t, rtt20, cfg)
		p.mem.Storm(100_000, 500*ms)
		p.run(t.Context())
		p.wantLogged()
		if got, want := p.tally(), (tally{Sent: 100, Received: 100}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if n := p.mem.Log().Totals().Storm; n < 40_000 {
			t.Errorf("a storm of %d", n)
		}
	})
}
