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

// The second opinion: the same packets as build.go and tcp.go build and parse.go
// parses, by github.com/gopacket/gopacket.

// serialize puts an IP header before what.
func serialize(h header, proto uint8, what ...gopacket.SerializableLayer) []byte {
	ip := h.layer(layers.IPProtocol(proto))
	if t, ok := what[0].(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := t.SetNetworkLayerForChecksum(ip); err != nil {
			panic(err)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append([]gopacket.SerializableLayer{ip}, what...)...); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// networkLayer is a header of IPv4 or IPv6.
type networkLayer interface {
	gopacket.SerializableLayer
	gopacket.NetworkLayer
}

func (h header) layer(proto layers.IPProtocol) networkLayer {
	src, dst := net.IP(h.src.AsSlice()), net.IP(h.dst.AsSlice())
	if h.src.Is4() {
		return &layers.IPv4{Version: 4, TTL: h.ttl, TOS: h.tos, Protocol: proto, SrcIP: src, DstIP: dst}
	}
	return &layers.IPv6{Version: 6, HopLimit: h.ttl, TrafficClass: h.tos, NextHeader: proto, SrcIP: src, DstIP: dst}
}

// serializeICMP builds an ICMP message of the family of h, with what behind its
// first word (IPv6) or the second (IPv4).
func serializeICMP(h header, code Code, second uint32, body []byte) []byte {
	if h.src.Is4() {
		return serialize(h, protoICMP, &layers.ICMPv4{
			TypeCode: layers.CreateICMPv4TypeCode(code.Type, code.Code), Id: uint16(second >> 16), Seq: uint16(second),
		}, gopacket.Payload(body))
	}
	return serializeICMPv6(h, code, gopacket.Payload(binary.BigEndian.AppendUint32(nil, second)), gopacket.Payload(body))
}

func serializeICMPv6(h header, code Code, rest ...gopacket.SerializableLayer) []byte {
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(code.Type, code.Code)}
	return serialize(h, protoICMPv6, append([]gopacket.SerializableLayer{icmp}, rest...)...)
}

// errLenient is for what gopacket takes and parse does not: an IPv4 packet of
// total length 0, as captures show those that a network card was to cut. On a
// link there is none, and a router drops it.
var errLenient = errors.New("total length 0")

// opine is parse by gopacket.
func opine(p *Packet) (*fragment, error) {
	if len(p.Raw) == 0 {
		return nil, errors.New("empty")
	}
	switch p.Raw[0] >> 4 {
	case 4:
		return opine4(p)
	case 6:
		return opine6(p)
	}
	return nil, fmt.Errorf("version %d", p.Raw[0]>>4)
}

func opine4(p *Packet) (*fragment, error) {
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(p.Raw, gopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint16(p.Raw[2:]) == 0 {
		return nil, errLenient
	}
	p.Raw = p.Raw[:len(ip.Contents)+len(ip.Payload)]
	p.Src, _ = netip.AddrFromSlice(ip.SrcIP)
	p.Dst, _ = netip.AddrFromSlice(ip.DstIP)
	p.TTL, p.proto, p.l4 = ip.TTL, uint8(ip.Protocol), len(ip.Contents)
	if ip.NextLayerType() == gopacket.LayerTypeFragment {
		return &fragment{
			id: uint32(ip.Id), offset: 8 * int(ip.FragOffset),
			more: ip.Flags&layers.IPv4MoreFragments != 0, start: p.l4,
		}, nil
	}
	return nil, opineTransport(p)
}

func opine6(p *Packet) (*fragment, error) {
	var ip layers.IPv6
	if err := ip.DecodeFromBytes(p.Raw, gopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	if ip.Length == 0 {
		return nil, errors.New("jumbogram")
	}
	p.Raw = p.Raw[:min(len(p.Raw), 40+int(ip.Length))]
	p.Src, _ = netip.AddrFromSlice(ip.SrcIP)
	p.Dst, _ = netip.AddrFromSlice(ip.DstIP)
	p.TTL = ip.HopLimit
	next, at, named := ip.NextHeader, 40, 6
	for {
		switch next {
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination:
			var x layers.IPv6ExtensionSkipper
			if err := x.DecodeFromBytes(p.Raw[at:], gopacket.NilDecodeFeedback); err != nil {
				return nil, err
			}
			next, named, at = x.NextHeader, at, at+len(x.Contents)
		case layers.IPProtocolIPv6Fragment:
			var x layers.IPv6Fragment
			if err := x.DecodeFromBytes(p.Raw[at:], gopacket.NilDecodeFeedback); err != nil {
				return nil, err
			}
			p.proto, p.l4 = uint8(x.NextHeader), at+len(x.Contents)
			return &fragment{
				id: x.Identification, offset: 8 * int(x.FragmentOffset), more: x.MoreFragments, start: p.l4, next: named,
			}, nil
		default:
			p.proto, p.l4 = uint8(next), at
			return nil, opineTransport(p)
		}
	}
}

func opineTransport(p *Packet) error {
	b := p.Raw[p.l4:]
	switch {
	case p.proto == protoICMP && p.Src.Is4():
		return opineICMPv4(p, b)
	case p.proto == protoICMPv6 && p.Src.Is6():
		return opineICMPv6(p, b)
	case p.proto == protoTCP, p.proto == protoUDP:
		return opinePorts(p, b)
	}
	return nil
}

func opineICMPv4(p *Packet, b []byte) error {
	var m layers.ICMPv4
	if err := m.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		return err
	}
	p.ICMP = Code{m.TypeCode.Type(), m.TypeCode.Code()}
	p.ID, p.Seq = m.Id, m.Seq
	switch p.ICMP.Type {
	case layers.ICMPv4TypeEchoRequest:
		p.Kind = EchoRequest
	case layers.ICMPv4TypeEchoReply:
		p.Kind = EchoReply
	case layers.ICMPv4TypeRedirect:
		p.Kind = Redirect
	case layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4TypeSourceQuench,
		layers.ICMPv4TypeTimeExceeded, layers.ICMPv4TypeParameterProblem:
		p.Kind = Error
	}
	return nil
}

func opineICMPv6(p *Packet, b []byte) error {
	var m layers.ICMPv6
	if err := m.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		return err
	}
	p.ICMP = Code{m.TypeCode.Type(), m.TypeCode.Code()}
	switch {
	case p.ICMP.Type == layers.ICMPv6TypeEchoRequest:
		p.Kind = EchoRequest
	case p.ICMP.Type == layers.ICMPv6TypeEchoReply:
		p.Kind = EchoReply
	case p.ICMP.Type == layers.ICMPv6TypeRedirect:
		p.Kind = Redirect
		return nil
	case p.ICMP.Type < 128: // RFC 4443 section 2.1
		p.Kind = Error
		return nil
	default:
		return nil
	}
	var echo layers.ICMPv6Echo
	if err := echo.DecodeFromBytes(m.Payload, gopacket.NilDecodeFeedback); err != nil {
		return err
	}
	p.ID, p.Seq = echo.Identifier, echo.SeqNumber
	return nil
}

// opinePorts reads no more than gopacket's UDP layer does of both protocols: a
// quoted TCP header may end behind the ports and the sequence number. Nor has it
// a say about the length field of UDP, which no router reads.
func opinePorts(p *Packet, b []byte) error {
	var udp layers.UDP
	if err := udp.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil && len(b) < 8 {
		return err
	}
	p.Kind = UDP
	if p.proto == protoTCP {
		p.Kind = TCP
	}
	p.ID, p.Seq = uint16(udp.SrcPort), uint16(udp.DstPort)
	return nil
}

// opineTCP is Packet.tcp by gopacket.
func opineTCP(p *Packet) (tcpHeader, bool) {
	var tcp layers.TCP
	if tcp.DecodeFromBytes(p.Raw[p.l4:], gopacket.NilDecodeFeedback) != nil {
		return tcpHeader{}, false
	}
	t := tcpHeader{
		from: uint16(tcp.SrcPort), to: uint16(tcp.DstPort), seq: tcp.Seq, ack: tcp.Ack,
		window: tcp.Window, data: len(tcp.Payload),
	}
	for bit, set := range [...]bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG, tcp.ECE, tcp.CWR} {
		if set {
			t.flags |= 1 << bit
		}
	}
	return t, true
}
