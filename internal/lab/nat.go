package lab

import (
	"encoding/binary"
	"net/netip"
)

// The ports a translator gives out.
const (
	firstOuter = 20000
	lastOuter  = 59999
)

// translator is the state of a NAT.
type translator struct {
	*NAT
	outer   []netip.Addr // one per family
	byInner map[endpoint]uint16
	byOuter map[outerPort]endpoint
	given   int // ports given out so far
}

// endpoint is who sent something. port is 0 for what has none.
type endpoint struct {
	addr  netip.Addr
	proto uint8
	port  uint16
}

// outerPort is what an endpoint became. The family is that of its address.
type outerPort struct {
	v4    bool
	proto uint8
	port  uint16
}

func newTranslator(h *Hop) *translator {
	if h.NAT == nil {
		return nil
	}
	t := &translator{
		NAT: h.NAT, outer: h.NAT.Addrs,
		byInner: make(map[endpoint]uint16), byOuter: make(map[outerPort]endpoint),
	}
	if t.outer == nil {
		t.outer = h.Addrs
	}
	return t
}

// outward translates the source of p. A family without an outer address passes.
func (t *translator) outward(p *Packet) {
	outer := sameFamily(t.outer, p.Src)
	if !outer.IsValid() {
		return
	}
	inner := endpoint{addr: p.Src, proto: p.proto}
	at := portAt(p.Kind, true)
	if at >= 0 {
		inner.port = binary.BigEndian.Uint16(p.Raw[p.l4+at:])
	}
	port := t.give(inner)
	b := p.Raw[p.l4:]
	sum := sumAt(p.proto)
	edit(b, sum, p.proto, p.Src, outer, func() { putPort(b, at, port) })
	setAddr(p.Raw, true, outer)
	p.Src = outer
	if at >= 0 {
		p.ID = port
	}
}

// give returns the outer port of an endpoint.
func (t *translator) give(inner endpoint) uint16 {
	if port, ok := t.byInner[inner]; ok {
		return port
	}
	port := inner.port
	if !t.KeepPort && inner.port != 0 {
		port = uint16(firstOuter + t.given%(lastOuter-firstOuter+1))
		t.given++
	}
	key := outerPort{inner.addr.Is4(), inner.proto, port}
	if old, ok := t.byOuter[key]; ok {
		delete(t.byInner, old) // all were given out: the oldest ends
	}
	t.byInner[inner], t.byOuter[key] = port, inner
	return port
}

// inward translates the destination of p, and what an ICMP error in it quotes.
// It reports false for what comes to the outer address but belongs to nobody.
func (t *translator) inward(p *Packet) bool {
	outer := sameFamily(t.outer, p.Dst)
	if outer != p.Dst {
		return true
	}
	if p.Kind == Error || p.Kind == Redirect && p.Dst.Is4() {
		return t.inwardError(p)
	}
	at := portAt(p.Kind, false)
	key := outerPort{p.Dst.Is4(), p.proto, 0}
	if at >= 0 {
		key.port = binary.BigEndian.Uint16(p.Raw[p.l4+at:])
	}
	inner, ok := t.byOuter[key]
	if !ok {
		return false
	}
	b := p.Raw[p.l4:]
	edit(b, sumAt(p.proto), p.proto, p.Dst, inner.addr, func() { putPort(b, at, inner.port) })
	setAddr(p.Raw, false, inner.addr)
	p.Dst = inner.addr
	switch p.Kind {
	case UDP, TCP:
		p.Seq = inner.port
	case EchoRequest, EchoReply:
		p.ID = inner.port
	}
	p.moved = true
	return true
}

// inwardError translates an ICMP error that quotes a packet sent outward.
func (t *translator) inwardError(p *Packet) bool {
	quote := Packet{Raw: p.payload()}
	// Quotes are cut short: what of the transport is there has been read.
	_, _ = parse(&quote)
	if quote.l4 == 0 || quote.l4 > len(p.payload()) {
		return false
	}
	b := p.payload()
	part := b[quote.l4:]
	at := portAt(quotedKind(quote.proto), true)
	key := outerPort{p.Dst.Is4(), quote.proto, 0}
	if at >= 0 {
		if len(part) < at+2 {
			return false
		}
		key.port = binary.BigEndian.Uint16(part[at:])
	}
	inner, ok := t.byOuter[key]
	if !ok {
		return false
	}
	message := p.Raw[p.l4:]
	edit(message, sumAt(p.proto), p.proto, p.Dst, inner.addr, func() {
		t.mend(b, part, at, quote, inner)
	})
	setAddr(p.Raw, false, inner.addr)
	p.Dst = inner.addr
	if at >= 0 {
		p.ID = inner.port
	}
	p.moved = true
	return true
}

// mend puts back into a quoted packet what the translator does not leave. part
// is the transport part of b.
func (t *translator) mend(b, part []byte, at int, quote Packet, inner endpoint) {
	outerPort := uint16(0)
	if at >= 0 {
		outerPort = binary.BigEndian.Uint16(part[at:])
	}
	sum := sumAt(quote.proto)
	if t.LeaveSum || len(part) < sum+2 {
		sum = -1
	}
	edit(part, sum, quote.proto, quote.Src, inner.addr, func() { putPort(part, at, inner.port) })
	if t.LeavePort {
		putPort(part, at, outerPort)
	}
	if !t.LeaveAddr {
		setAddr(b, true, inner.addr)
	}
}

// quotedKind is the Kind of what a prober sends with a protocol.
func quotedKind(proto uint8) Kind {
	switch proto {
	case protoICMP, protoICMPv6:
		return EchoRequest
	case protoUDP:
		return UDP
	case protoTCP:
		return TCP
	}
	return Other
}

// portAt returns the offset in the transport header of the port at the inner
// end, or of the identifier; -1 if there is none.
func portAt(k Kind, source bool) int {
	switch {
	case k == EchoRequest || k == EchoReply:
		return 4
	case k != UDP && k != TCP:
		return -1
	case source:
		return 0
	}
	return 2
}

// sumAt returns the offset of the checksum in the transport header; -1 if
// there is none.
func sumAt(proto uint8) int {
	switch proto {
	case protoICMP, protoICMPv6:
		return 2
	case protoUDP:
		return 6
	case protoTCP:
		return 16
	}
	return -1
}

func putPort(b []byte, at int, port uint16) {
	if at >= 0 {
		binary.BigEndian.PutUint16(b[at:], port)
	}
}

// edit changes b, a transport header and what follows, and one address from old
// to fresh. It mends the checksum at sum, if that is there, by the difference
// (RFC 1624): a wrong one stays wrong.
func edit(b []byte, sum int, proto uint8, old, fresh netip.Addr, change func()) {
	if sum < 0 || len(b) < sum+2 {
		change()
		return
	}
	field := binary.BigEndian.Uint16(b[sum:])
	if proto == protoUDP && field == 0 {
		change() // none was sent: RFC 768
		return
	}
	var before, after ones
	if proto != protoICMP { // which alone covers no addresses
		before, after = before.plusAddr(old), after.plusAddr(fresh)
	}
	before = before.plus(b)
	change()
	after = after.plus(b)
	// Equation 3 of RFC 1624: ~(~field + ~before + after).
	fixed := (ones(^field) + ones(^before.fold()) + after).checksum()
	if proto == protoUDP && fixed == 0 {
		fixed = 0xffff
	}
	binary.BigEndian.PutUint16(b[sum:], fixed)
}

// setAddr writes the source or destination address and mends the IPv4 header checksum.
func setAddr(raw []byte, source bool, a netip.Addr) {
	at := 24
	if a.Is4() {
		at = 16
	}
	if source {
		at -= a.BitLen() / 8
	}
	copy(raw[at:], a.AsSlice())
	if a.Is4() {
		sumHeader4(raw)
	}
}
