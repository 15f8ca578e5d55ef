package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Protocol numbers that the simulator handles.
const (
	protoICMP   = uint8(layers.IPProtocolICMPv4)
	protoICMPv6 = uint8(layers.IPProtocolICMPv6)
	protoUDP    = uint8(layers.IPProtocolUDP)
	protoTCP    = uint8(layers.IPProtocolTCP)
)

var errMalformed = errors.New("lab: malformed IP packet")

// codec takes packets apart and puts them together. It reuses its layers and
// its buffer, so it serves one packet at a time.
type codec struct {
	ip4   layers.IPv4
	ip6   layers.IPv6
	icmp4 layers.ICMPv4
	icmp6 layers.ICMPv6
	echo6 layers.ICMPv6Echo
	frag  layers.IPv6Fragment
	tcp   layers.TCP
	buf   gopacket.SerializeBuffer
	out   layers.IPv4 // what is built, apart from what was parsed
	out6  layers.IPv6
}

func newCodec() *codec { return &codec{buf: gopacket.NewSerializeBuffer()} }

// fragment is what an IP fragment says about itself.
type fragment struct {
	id     uint32
	offset int // bytes
	more   bool
	start  int // where its part of the payload begins in Raw
	next   int // IPv6: offset of the Next Header octet that names the fragment header
}

// parse fills p from p.Raw, which it trims to the length in the IP header. A
// fragment is told by a non-nil second result; its transport is not parsed.
func (c *codec) parse(p *Packet) (*fragment, error) {
	if len(p.Raw) == 0 {
		return nil, errMalformed
	}
	switch p.Raw[0] >> 4 {
	case 4:
		return c.parse4(p)
	case 6:
		return c.parse6(p)
	}
	return nil, errMalformed
}

func (c *codec) parse4(p *Packet) (*fragment, error) {
	if err := c.ip4.DecodeFromBytes(p.Raw, gopacket.NilDecodeFeedback); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	p.Raw = p.Raw[:min(len(p.Raw), int(c.ip4.Length))]
	p.Src, _ = netip.AddrFromSlice(c.ip4.SrcIP)
	p.Dst, _ = netip.AddrFromSlice(c.ip4.DstIP)
	p.TTL, p.proto, p.l4 = c.ip4.TTL, uint8(c.ip4.Protocol), int(c.ip4.IHL)*4
	if c.ip4.FragOffset != 0 || c.ip4.Flags&layers.IPv4MoreFragments != 0 {
		return &fragment{
			id: uint32(c.ip4.Id), offset: int(c.ip4.FragOffset) * 8,
			more: c.ip4.Flags&layers.IPv4MoreFragments != 0, start: p.l4,
		}, nil
	}
	return nil, c.transport(p)
}

func (c *codec) parse6(p *Packet) (*fragment, error) {
	if err := c.ip6.DecodeFromBytes(p.Raw, gopacket.NilDecodeFeedback); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	p.Raw = p.Raw[:min(len(p.Raw), 40+int(c.ip6.Length))]
	p.Src, _ = netip.AddrFromSlice(c.ip6.SrcIP)
	p.Dst, _ = netip.AddrFromSlice(c.ip6.DstIP)
	p.TTL = c.ip6.HopLimit
	next, at, named := p.Raw[6], 40, 6
	for {
		switch next {
		case uint8(HopByHop), uint8(Routing), uint8(DestOptions):
			if len(p.Raw) < at+8 || len(p.Raw) < at+8*(int(p.Raw[at+1])+1) {
				return nil, errMalformed
			}
			next, named, at = p.Raw[at], at, at+8*(int(p.Raw[at+1])+1)
			continue
		case uint8(Fragment):
			if err := c.frag.DecodeFromBytes(p.Raw[at:], gopacket.NilDecodeFeedback); err != nil {
				return nil, fmt.Errorf("%w: %w", errMalformed, err)
			}
			p.proto, p.l4 = uint8(c.frag.NextHeader), at+8
			return &fragment{
				id: c.frag.Identification, offset: int(c.frag.FragmentOffset) * 8,
				more: c.frag.MoreFragments, start: at + 8, next: named,
			}, nil
		}
		p.proto, p.l4 = next, at
		return nil, c.transport(p)
	}
}

// transport fills Kind, ICMP, ID and Seq from the transport header.
func (c *codec) transport(p *Packet) error {
	b := p.Raw[p.l4:]
	p.Kind, p.ICMP, p.ID, p.Seq = Other, Code{}, 0, 0
	switch {
	case p.proto == protoICMP && p.Src.Is4():
		if err := c.icmp4.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		p.ICMP = Code{c.icmp4.TypeCode.Type(), c.icmp4.TypeCode.Code()}
		p.Kind = kind4(p.ICMP.Type)
		p.ID, p.Seq = c.icmp4.Id, c.icmp4.Seq
	case p.proto == protoICMPv6 && p.Src.Is6():
		if err := c.icmp6.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		p.ICMP = Code{c.icmp6.TypeCode.Type(), c.icmp6.TypeCode.Code()}
		p.Kind = kind6(p.ICMP.Type)
		if p.Kind != EchoRequest && p.Kind != EchoReply {
			break
		}
		if err := c.echo6.DecodeFromBytes(c.icmp6.Payload, gopacket.NilDecodeFeedback); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		p.ID, p.Seq = c.echo6.Identifier, c.echo6.SeqNumber
	case p.proto == protoUDP || p.proto == protoTCP:
		if len(b) < 8 {
			return errMalformed
		}
		p.Kind = UDP
		if p.proto == protoTCP {
			p.Kind = TCP
		}
		p.ID, p.Seq = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	return nil
}

func kind4(t uint8) Kind {
	switch t {
	case layers.ICMPv4TypeEchoRequest:
		return EchoRequest
	case layers.ICMPv4TypeEchoReply:
		return EchoReply
	case layers.ICMPv4TypeRedirect:
		return Redirect
	case layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4TypeSourceQuench,
		layers.ICMPv4TypeTimeExceeded, layers.ICMPv4TypeParameterProblem:
		return Error
	}
	return Other
}

func kind6(t uint8) Kind {
	switch {
	case t == layers.ICMPv6TypeEchoRequest:
		return EchoRequest
	case t == layers.ICMPv6TypeEchoReply:
		return EchoReply
	case t == layers.ICMPv6TypeRedirect:
		return Redirect
	case t < 128: // RFC 4443 section 2.1
		return Error
	}
	return Other
}

// header is the IP header of a packet to build.
type header struct {
	src, dst netip.Addr
	ttl, tos uint8
}

// echo builds an echo request or reply.
func (c *codec) echo(h header, kind Kind, id, seq uint16, payload []byte) []byte {
	if h.src.Is4() {
		t := uint8(layers.ICMPv4TypeEchoReply)
		if kind == EchoRequest {
			t = layers.ICMPv4TypeEchoRequest
		}
		icmp := &c.icmp4
		*icmp = layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(t, 0), Id: id, Seq: seq}
		return c.build(h, protoICMP, icmp, gopacket.Payload(payload))
	}
	t := uint8(layers.ICMPv6TypeEchoReply)
	if kind == EchoRequest {
		t = layers.ICMPv6TypeEchoRequest
	}
	c.echo6 = layers.ICMPv6Echo{Identifier: id, SeqNumber: seq}
	return c.icmpv6(h, Code{Type: t}, &c.echo6, gopacket.Payload(payload))
}

// icmp4Error builds an ICMPv4 message whose second word is rest.
func (c *codec) icmp4Error(h header, code Code, rest uint32, quote []byte) []byte {
	icmp := &c.icmp4
	*icmp = layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(code.Type, code.Code),
		Id:       uint16(rest >> 16), Seq: uint16(rest),
	}
	return c.build(h, protoICMP, icmp, gopacket.Payload(quote))
}

// icmp6Error builds an ICMPv6 error whose second word is rest.
func (c *codec) icmp6Error(h header, code Code, rest uint32, quote []byte) []byte {
	word := binary.BigEndian.AppendUint32(nil, rest)
	return c.icmpv6(h, code, gopacket.Payload(word), gopacket.Payload(quote))
}

// redirect6 builds an ICMPv6 redirect (RFC 4861 section 4.5) to gateway.
func (c *codec) redirect6(h header, gateway, dst netip.Addr, quote []byte) []byte {
	// The option's length counts units of 8 octets and its data starts after
	// 6 reserved ones (section 4.6.3).
	data := append(make([]byte, 6), quote...)
	data = data[:len(data)-len(quote)%8]
	return c.icmpv6(h, Code{Type: layers.ICMPv6TypeRedirect}, &layers.ICMPv6Redirect{
		TargetAddress: gateway.AsSlice(), DestinationAddress: dst.AsSlice(),
		Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptRedirectedHeader, Data: data}},
	})
}

func (c *codec) icmpv6(h header, code Code, rest ...gopacket.SerializableLayer) []byte {
	c.icmp6 = layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(code.Type, code.Code)}
	return c.build(h, protoICMPv6, append([]gopacket.SerializableLayer{&c.icmp6}, rest...)...)
}

// network is an IP header to build.
type network interface {
	gopacket.SerializableLayer
	gopacket.NetworkLayer
}

// summed is a layer whose checksum covers the IP addresses.
type summed interface {
	SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
}

// datagram builds a UDP datagram.
func (c *codec) datagram(h header, from, to uint16, payload []byte) []byte {
	udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	return c.build(h, protoUDP, udp, gopacket.Payload(payload))
}

// handshake answers p, a TCP segment with SYN, by SYN and ACK (RFC 9293
// section 3.5).
func (c *codec) handshake(h header, p *Packet) []byte {
	// The initial sequence number is the sender's own choice: one that tells
	// the connection, and is never the one it answers.
	isn := ^c.tcp.Seq ^ uint32(p.ID)<<16
	return c.build(h, protoTCP, &layers.TCP{
		SrcPort: c.tcp.DstPort, DstPort: c.tcp.SrcPort, Seq: isn, Ack: c.tcp.Seq + 1,
		SYN: true, ACK: true, Window: 65535,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{1460 >> 8, 1460 & 0xff}}},
	})
}

// refusal answers p, a TCP segment to a port that is closed, by an RST; nil if
// that is none to answer (RFC 9293 section 3.5.2).
func (c *codec) refusal(h header, p *Packet) []byte {
	if !c.segment(p) || c.tcp.RST {
		return nil
	}
	rst := &layers.TCP{SrcPort: c.tcp.DstPort, DstPort: c.tcp.SrcPort, RST: true}
	if c.tcp.ACK {
		rst.Seq = c.tcp.Ack
		return c.build(h, protoTCP, rst)
	}
	length := uint32(len(c.tcp.Payload))
	for _, flag := range [...]bool{c.tcp.SYN, c.tcp.FIN} {
		if flag {
			length++
		}
	}
	rst.ACK, rst.Ack = true, c.tcp.Seq+length
	return c.build(h, protoTCP, rst)
}

// segment takes the TCP header of p apart, into c.tcp. It reports whether it
// is whole.
func (c *codec) segment(p *Packet) bool {
	return p.Kind == TCP && c.tcp.DecodeFromBytes(p.Raw[p.l4:], gopacket.NilDecodeFeedback) == nil
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

// build puts an IP header before what. The result is valid until the next call.
func (c *codec) build(h header, proto uint8, what ...gopacket.SerializableLayer) []byte {
	src, dst := net.IP(h.src.AsSlice()), net.IP(h.dst.AsSlice())
	var ip network
	if h.src.Is4() {
		c.out = layers.IPv4{
			Version: 4, TTL: h.ttl, TOS: h.tos, Protocol: layers.IPProtocol(proto), SrcIP: src, DstIP: dst,
		}
		ip = &c.out
	} else {
		c.out6 = layers.IPv6{
			Version: 6, HopLimit: h.ttl, TrafficClass: h.tos, NextHeader: layers.IPProtocol(proto), SrcIP: src, DstIP: dst,
		}
		ip = &c.out6
	}
	if t, ok := what[0].(summed); ok {
		// It fails for a layer that is not IP only.
		_ = t.SetNetworkLayerForChecksum(ip)
	}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	all := append([]gopacket.SerializableLayer{ip}, what...)
	if err := gopacket.SerializeLayers(c.buf, opts, all...); err != nil {
		// Every layer here is made by this file: only a size can be wrong, and
		// no packet is answered by a larger one than an IP length can say.
		panic("lab: serialize: " + err.Error())
	}
	return c.buf.Bytes()
}

// tos returns the TOS or traffic class octet of an IP packet.
func tos(raw []byte) uint8 {
	if raw[0]>>4 == 4 {
		return raw[1]
	}
	return raw[0]<<4 | raw[1]>>4
}

// setTTL writes the TTL or hop limit and mends the IPv4 header checksum.
func setTTL(raw []byte, ttl uint8) {
	if raw[0]>>4 == 6 {
		raw[7] = ttl
		return
	}
	raw[8] = ttl
	sumHeader4(raw)
}

// setTOS writes the TOS or traffic class octet and mends the IPv4 header checksum.
func setTOS(raw []byte, tos uint8) {
	if raw[0]>>4 == 6 {
		raw[0], raw[1] = 6<<4|tos>>4, tos<<4|raw[1]&0x0f
		return
	}
	raw[1] = tos
	sumHeader4(raw)
}

// sumHeader4 writes the checksum of an IPv4 header.
func sumHeader4(raw []byte) {
	raw[10], raw[11] = 0, 0
	hlen := int(raw[0]&0xf) * 4
	binary.BigEndian.PutUint16(raw[10:], gopacket.FoldChecksum(gopacket.ComputeChecksum(raw[:hlen], 0)))
}

// mayFragment reports whether routers may cut the packet: IPv4 without DF.
func mayFragment(raw []byte) bool { return raw[0]>>4 == 4 && raw[6]&0x40 == 0 }
