package lab

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Bounds of a Storm.
const (
	maxStormRate = 1_000_000
	maxStormTime = time.Minute
)

// stormTick is how often a storm blows.
const stormTick = time.Millisecond

// Storm sends perSecond (at most 1,000,000) unrelated ICMP packets a second to
// the prober for d (at most a minute): echo replies, unreachables, time
// exceededs and parameter problems about other people's packets. They come
// from 203.0.113.224/27 and 2001:db8:ffff::/48, where no target should be.
// Storm returns at once; the Log counts the packets in Totals.
func (m *Memory) Storm(perSecond int, d time.Duration) { m.sim.storm(perSecond, d) }

func (s *sim) storm(perSecond int, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	perSecond, d = min(perSecond, maxStormRate), min(d, maxStormTime)
	if s.closed || perSecond <= 0 || d <= 0 {
		return
	}
	s.advance(s.now())
	packets := s.stormPackets()
	begin, sent := s.clock, 0
	total := int(d.Seconds() * float64(perSecond))
	var blow func()
	blow = func() {
		due := min(total, int((s.clock-begin).Seconds()*float64(perSecond)))
		for ; sent < due; sent++ {
			s.log.count(&s.log.totals.Storm)
			if !s.deliver(packets[sent%len(packets)]) {
				s.log.count(&s.log.totals.Overflow)
			}
		}
		if sent < total {
			s.events.push(event{at: s.clock + stormTick, do: blow})
		}
	}
	s.events.push(event{at: s.clock + stormTick, do: blow})
	s.arm()
}

// stormPackets returns packets of all sorts for each of the prober's addresses.
func (s *sim) stormPackets() [][]byte {
	var packets [][]byte
	errs := []ICMPError{PortUnreachable, HostUnreachable, TimeExceeded, ParameterProblem}
	for _, me := range s.prober {
		for i := range 128 {
			from := stranger(me, i)
			h := header{src: from, dst: me, ttl: 50}
			id, seq := uint16(i*509), uint16(i)
			raw := s.packer.echo(h, EchoReply, id, seq, Foreign(make([]byte, 56)))
			if i%2 == 1 {
				p := &Packet{Raw: s.strangersProbe(me, from, id, seq)}
				if _, err := parse(p); err != nil {
					panic("lab: built a malformed packet: " + err.Error())
				}
				raw = s.packer.errorPacket(from, 50, errs[i/2%len(errs)], Quote{}, p, nil)
			}
			packets = append(packets, append([]byte(nil), raw...))
		}
	}
	return packets
}

// strangersProbe is an echo request that the prober never sent.
func (s *sim) strangersProbe(src, dst netip.Addr, id, seq uint16) []byte {
	h := header{src: src, dst: dst, ttl: 64}
	return append([]byte(nil), s.packer.echo(h, EchoRequest, id, seq, Foreign(make([]byte, 16)))...)
}

// stranger returns address i of the ranges that storms come from, in the family of a.
func stranger(a netip.Addr, i int) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{203, 0, 113, 224 + byte(i%32)})
	}
	b := netip.MustParseAddr("2001:db8:ffff::").As16()
	binary.BigEndian.PutUint16(b[14:], uint16(i))
	return netip.AddrFrom16(b)
}
