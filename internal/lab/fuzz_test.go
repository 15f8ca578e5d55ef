package lab

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// FuzzSend: whatever comes from the prober, nothing panics, and what comes back
// can be parsed.
func FuzzSend(f *testing.F) {
	c := new(packer)
	for i, target := range targets {
		me := (&Topology{}).proberAddrs()[i]
		raw := bytes.Clone(c.echo(header{src: me, dst: target, ttl: 3}, EchoRequest, 1, 2, make([]byte, 64)))
		f.Add(raw)
		for _, piece := range cut(raw, 16) {
			f.Add(piece)
		}
		p := &Packet{Raw: raw}
		if _, err := parse(p); err != nil {
			f.Fatal(err)
		}
		q := Quote{Options: []byte{1}, Extensions: []Extension{HopByHop, Routing, Fragment, DestOptions}}
		f.Add(bytes.Clone(c.errorPacket(me, 64, TimeExceeded, q, p, nil)))
		f.Add(q.quoted(p, 548))
		h := header{src: me, dst: target, ttl: 9}
		for _, port := range []uint16{7, 8, 53, 443} {
			f.Add(bytes.Clone(c.datagram(h, 40000, port, []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))))
			f.Add(bytes.Clone(serialize(h, protoTCP, &layers.TCP{SrcPort: 40000, DstPort: layers.TCPPort(port), SYN: true})))
		}
		h.dst = sameFamily((&Topology{Names: someNames}).resolvers(), me)
		f.Add(bytes.Clone(c.datagram(h, 40000, 53, []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))))
	}
	hops := path(2)
	for i := range hops {
		hops[i].Out.Delay, hops[i].Back.Delay = 0, 0
	}
	hops[0].Quote = Quote{Options: []byte{1}, Extensions: []Extension{HopByHop, Fragment}}
	hops[1].Out.MTU = 1280
	hops[1].Redirect = Addrs("198.51.100.9", "2001:db8:100::9")
	hops[1].NAT = &NAT{}
	section := Hop{Ways: [][]Hop{{router(11)}, {}}}
	last := router(12)
	last.Out, last.Back = Link{}, Link{}
	last.MPLS, last.Quote.BrokenSum = []Label{{Label: 5}}, true
	last.ErrorFor, last.Error = At("203.0.113.8"), HostUnreachable
	hops = append(hops, section, last)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := Topology{
			Hops: hops, Hosts: []Host{{Forge: []Forgery{{}, {Error: PortUnreachable}}, Payload: Truncated(9), TCP: []uint16{443}, UDP: []uint16{7}}},
			Names: someNames,
			Out:   Link{Corrupt: .5}, Back: Link{Duplicate: .5},
		}.Memory()
		// A malformed packet is refused; that is an answer too.
		_ = m.Send(raw)
		_ = m.Send(raw)
		m.Close()
		for b := range m.Receive() {
			if _, err := parse(&Packet{Raw: b}); err != nil {
				t.Errorf("%v: %x", err, b)
			}
		}
	})
}
