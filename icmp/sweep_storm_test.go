package icmp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// attacker is a socket of a Sweep to which somebody sends forged messages beside
// what the network does. On the path he sees what was sent.
type attacker struct {
	*labConn
	rnd    *rand.Rand
	onPath bool
	seen   []rawsock.Message // requests as answers to them, the latest ones
	left   int               // messages
}

func (c *attacker) Send(pkts []rawsock.Packet) (int, error) {
	for _, p := range pkts {
		c.seen = append(c.seen, rawsock.Message{
			Event: rawsock.Echo, From: p.To, Dst: p.To, Payload: slices.Clone(p.Msg[8:]), Size: len(p.Msg), TTL: 60,
			ID: uint16(p.Msg[4])<<8 | uint16(p.Msg[5]), Seq: uint16(p.Msg[6])<<8 | uint16(p.Msg[7]),
		})
	}
	c.seen = c.seen[max(0, len(c.seen)-1000):]
	return c.labConn.Send(pkts)
}

func (c *attacker) Drain(visit func(*rawsock.Message)) error {
	for range min(c.left, 50) {
		if len(c.seen) > 0 {
			c.left--
			m := c.message()
			visit(&m)
		}
	}
	return c.labConn.Drain(visit)
}

// message forges an answer to a request that was sent lately.
func (c *attacker) message() rawsock.Message {
	m := c.seen[c.rnd.IntN(len(c.seen))]
	m.Arrived, m.Stamp = time.Now(), int64(c.rnd.Uint64()>>1)
	m.Key = c.rnd.Uint32N(1 << 22)
	elsewhere := m.From.As4()
	elsewhere[0], elsewhere[3] = 198, byte(c.rnd.Uint32())
	if c.onPath {
		m.From = netip.AddrFrom4(elsewhere)
		return m
	}
	if c.rnd.IntN(2) == 0 {
		m.From = netip.AddrFrom4(elsewhere)
	}
	switch c.rnd.IntN(4) {
	case 0:
		m.Event, m.Type, m.Code = rawsock.Error, 3, uint8(c.rnd.IntN(16))
	case 1:
		m.Event = rawsock.Redirect
	case 2:
		m.Event = rawsock.Stamp
	}
	switch other := c.seen[c.rnd.IntN(len(c.seen))]; c.rnd.IntN(3) {
	case 0: // no cookie at all
		m.Payload = m.Payload[:c.rnd.IntN(8)]
	case 1:
		m.Payload = slices.Clone(m.Payload)
		m.Payload[c.rnd.IntN(8)] ^= 1 << c.rnd.IntN(8)
	default: // another's cookie
		if other.Seq == m.Seq && other.ID == m.ID {
			m.Payload = nil
		} else {
			m.Payload = other.Payload
		}
	}
	return m
}

// Whoever cannot see the requests finds no dead host alive and no host dead that
// answers in time. Whoever can makes dead hosts look like broadcast addresses,
// at most. What is remembered stays within what is in flight.
func TestSweepStorm(t *testing.T) {
	const n = 2000
	alive := netip.MustParsePrefix("203.0.112.0/22")
	for _, onPath := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			topo := lab.Topology{
				Back:  lab.Link{Delay: 20 * ms},
				Hosts: []lab.Host{{At: []netip.Prefix{alive}}, {Silent: true}},
			}
			cfg := SweepConfig{Source: hostsOf("203.0.112.0", n), Retries: 2, Timeout: 100 * ms, Size: 56, Pace: probe.NewGovernor(probe.GovernorConfig{Rate: 5000})}
			p := newSweepPlayOn(t, topo, cfg, func(p *sweepPlay, f rawsock.Family) conn {
				return &attacker{labConn: p.socket(f, 0x4000, 16), rnd: rand.New(rand.NewPCG(3, 4)), onPath: onPath, left: 100_000}
			})
			p.emitted = func(*told) {
				if l := p.lanes[0]; len(l.held) > p.Counters().InFlight+1 {
					t.Fatalf("answers held for %d hosts, %d in flight", len(l.held), p.Counters().InFlight)
				}
			}
			p.run(t.Context())
			for addr, r := range p.outcomes(n) {
				d, ok := r.Detail.(*probe.Responders)
				there := r.Status == probe.Reply || r.Status == probe.Late || r.Status == probe.Refused
				amplified := onPath && ok && d.Count > 0 && len(d.Addrs) <= maxResponders
				if alive.Contains(addr) {
					if r.Status != probe.Reply || r.Detail != nil || r.RTT != 20*ms {
						t.Errorf("%v: %v %v rtt %v, want its own answer", addr, r.Status, r.Detail, r.RTT)
					}
				} else if there && !amplified {
					t.Errorf("%v: %v %v from %v", addr, r.Status, r.Reason, r.From)
				}
			}
			l, c := p.lanes[0], p.Counters()
			if len(l.held)+len(l.again)+len(l.names)+len(p.waiting) != 0 {
				t.Errorf("%d held, %d silent, %d names, %d waiting at the end", len(l.held), len(l.again), len(l.names), len(p.waiting))
			}
			if !onPath && c.Strays < 10_000 {
				t.Errorf("%+v: where is the storm?", c)
			}
		})
	}
}
