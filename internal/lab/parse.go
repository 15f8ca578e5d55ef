package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Protocol numbers that the simulator handles (IANA).
const (
	protoICMP   uint8 = 1
	protoTCP    uint8 = 6
	protoUDP    uint8 = 17
	protoICMPv6 uint8 = 58
)

// Types of ICMP (RFC 792).
const (
	echoReply4   = 0
	unreachable4 = 3
	quench4      = 4 // source quench
	redirect4    = 5
	echoRequest4 = 8
	exceeded4    = 11 // time exceeded
	parameter4   = 12 // parameter problem
)

// Types of ICMPv6. Those below informational6 are errors (RFC 4443 section 2.1).
const (
	unreachable6   = 1
	tooBig6        = 2
	exceeded6      = 3
	parameter6     = 4
	informational6 = 128
	echoRequest6   = 128
	echoReply6     = 129
	redirect6      = 137 // RFC 4861 section 4.5
)

// jumboPayload is the option of packets that are longer than an IP length can
// say (RFC 2675 section 2). No link here carries them.
const jumboPayload = 0xc2

// What can be wrong with a packet.
var (
	errMalformed = errors.New("lab: malformed IP packet")
	errVersion   = fmt.Errorf("%w: neither IPv4 nor IPv6", errMalformed)
	errHeader    = fmt.Errorf("%w: header", errMalformed)
	errOptions   = fmt.Errorf("%w: options", errMalformed)
	errExtension = fmt.Errorf("%w: extension header", errMalformed)
	errTransport = fmt.Errorf("%w: transport header cut short", errMalformed)
)

// fragment is what an IP fragment says about itself.
type fragment struct {
	id     uint32
	offset int // bytes
	more   bool
	start  int // where its part of the payload begins in Raw
	next   int // IPv6: offset of the Next Header octet that names the fragment header
}

// parse fills p from p.Raw, which it trims to the length in the IP header. A
// fragment is told by a non-nil first result; its transport is not parsed. What
// was read before an error is valid: quotes may be cut short.
func parse(p *Packet) (*fragment, error) {
	if len(p.Raw) == 0 {
		return nil, errVersion
	}
	switch p.Raw[0] >> 4 {
	case 4:
		return parse4(p)
	case 6:
		return parse6(p)
	}
	return nil, errVersion
}

// parse4 is parse for IPv4 (RFC 791 section 3.1). A quote may be shorter than
// its header says, but not a header.
func parse4(p *Packet) (*fragment, error) {
	b := p.Raw
	if len(b) < 20 {
		return nil, errHeader
	}
	hlen, length := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if hlen < 20 || hlen > length || hlen > len(b) {
		return nil, errHeader
	}
	if !soundOptions4(b[20:hlen]) {
		return nil, errOptions
	}
	p.Raw = b[:min(len(b), length)]
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	p.TTL, p.proto, p.l4 = b[8], b[9], hlen
	place := binary.BigEndian.Uint16(b[6:])
	offset, more := int(place&0x1fff)*8, place&0x2000 != 0
	if offset != 0 || more {
		id := uint32(binary.BigEndian.Uint16(b[4:]))
		return &fragment{id: id, offset: offset, more: more, start: hlen}, nil
	}
	return nil, p.parseTransport()
}

// soundOptions4 reports whether the options of an IPv4 header follow each other
// to its end or to the end of their list (RFC 791 section 3.1).
func soundOptions4(b []byte) bool {
	for len(b) > 0 {
		switch {
		case b[0] == 0: // end of option list
			return true
		case b[0] == 1: // no operation
			b = b[1:]
		case len(b) < 2 || b[1] < 2 || len(b) < int(b[1]):
			return false
		default:
			b = b[b[1]:]
		}
	}
	return true
}

// parse6 is parse for IPv6 (RFC 8200 section 3). A packet without payload, or
// with a length that only an option tells, is none of this network.
func parse6(p *Packet) (*fragment, error) {
	b := p.Raw
	if len(b) < 40 {
		return nil, errHeader
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 {
		return nil, errHeader
	}
	b = b[:min(len(b), 40+length)]
	if b[6] == uint8(HopByHop) && !soundHopByHop(b[40:]) {
		return nil, errOptions
	}
	p.Raw, p.TTL = b, b[7]
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	return p.parseExtensions()
}

// parseExtensions goes through the extension headers of an IPv6 packet (RFC
// 8200 section 4), then parses its transport if no fragment header was there.
func (p *Packet) parseExtensions() (*fragment, error) {
	next, at, named := p.Raw[6], 40, 6
	for {
		b := p.Raw[at:]
		switch next {
		case uint8(HopByHop), uint8(Routing), uint8(DestOptions):
			size := extensionSize(b)
			if size == 0 {
				return nil, errExtension
			}
			next, named, at = b[0], at, at+size
		case uint8(Fragment):
			if len(b) < 8 {
				return nil, errExtension
			}
			p.proto, p.l4 = b[0], at+8
			place := binary.BigEndian.Uint16(b[2:])
			return &fragment{
				id: binary.BigEndian.Uint32(b[4:]), offset: int(place &^ 7), more: place&1 != 0,
				start: at + 8, next: named,
			}, nil
		default:
			p.proto, p.l4 = next, at
			return nil, p.parseTransport()
		}
	}
}

// extensionSize returns the octets of the extension header at the start of b;
// 0 if it is not whole.
func extensionSize(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	size := 8 * (1 + int(b[1]))
	if len(b) < size {
		return 0
	}
	return size
}

// soundHopByHop reports whether the options of the hop-by-hop header at the
// start of b, which routers read, fill it without a rest (RFC 8200 section 4.2).
func soundHopByHop(b []byte) bool {
	size := extensionSize(b)
	if size == 0 {
		return false
	}
	for b = b[2:size]; len(b) > 0; {
		switch {
		case b[0] == 0: // Pad1
			b = b[1:]
		case b[0] == jumboPayload || len(b) < 2 || len(b) < 2+int(b[1]):
			return false
		default:
			b = b[2+int(b[1]):]
		}
	}
	return true
}

// parseTransport fills Kind, ICMP, ID and Seq from the transport header.
func (p *Packet) parseTransport() error {
	b := p.Raw[p.l4:]
	p.Kind, p.ICMP, p.ID, p.Seq = Other, Code{}, 0, 0
	switch {
	case p.proto == protoICMP && p.Src.Is4():
		return p.parseICMP(b)
	case p.proto == protoICMPv6 && p.Src.Is6():
		return p.parseICMPv6(b)
	case p.proto != protoUDP && p.proto != protoTCP:
		return nil
	case len(b) < 8:
		return errTransport
	case p.proto == protoUDP:
		p.Kind = UDP
	default:
		p.Kind = TCP
	}
	p.ID, p.Seq = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return nil
}

// parseICMP fills in what b, an ICMP message, says (RFC 792). All of them have
// two words at least.
func (p *Packet) parseICMP(b []byte) error {
	if len(b) < 8 {
		return errTransport
	}
	p.ICMP = Code{b[0], b[1]}
	p.Kind = kind4(b[0])
	p.ID, p.Seq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	return nil
}

// parseICMPv6 fills in what b, an ICMPv6 message, says (RFC 4443 section 2.1).
// Only those of an echo are asked for a second word.
func (p *Packet) parseICMPv6(b []byte) error {
	if len(b) < 4 {
		return errTransport
	}
	p.ICMP = Code{b[0], b[1]}
	p.Kind = kind6(b[0])
	switch {
	case p.Kind != EchoRequest && p.Kind != EchoReply:
		return nil
	case len(b) < 8:
		return errTransport
	}
	p.ID, p.Seq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	return nil
}

func kind4(t uint8) Kind {
	switch t {
	case echoRequest4:
		return EchoRequest
	case echoReply4:
		return EchoReply
	case redirect4:
		return Redirect
	case unreachable4, quench4, exceeded4, parameter4:
		return Error
	}
	return Other
}

func kind6(t uint8) Kind {
	switch {
	case t == echoRequest6:
		return EchoRequest
	case t == echoReply6:
		return EchoReply
	case t == redirect6:
		return Redirect
	case t < informational6:
		return Error
	}
	return Other
}

// more returns what tells p from others between the same ports: the sequence
// number of TCP, the checksum of UDP; 0 if there is none.
func more(p *Packet) uint32 {
	if p.l4 == 0 || len(p.Raw) < p.l4+8 {
		return 0
	}
	switch b := p.Raw[p.l4:]; p.proto {
	case protoTCP:
		return binary.BigEndian.Uint32(b[4:])
	case protoUDP:
		return uint32(binary.BigEndian.Uint16(b[6:]))
	}
	return 0
}
