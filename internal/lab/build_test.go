package lab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// built is a packet by our own hand, and by that of gopacket.
type built struct {
	name  string
	build func(*packer) []byte
	other func() []byte
}

func randomAddr(chance *rand.Rand, like netip.Addr) netip.Addr {
	b := make([]byte, like.BitLen()/8)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// randomOctets returns up to 200, sometimes all ones or zeros, for which
// checksums have their corner.
func randomOctets(chance *rand.Rand) []byte {
	b := make([]byte, chance.IntN(200))
	fill := chance.IntN(4)
	for i := range b {
		switch fill {
		case 0:
		case 1:
			b[i] = 0xff
		default:
			b[i] = byte(chance.Uint32())
		}
	}
	return b
}

// randomPacket returns a packet of any kind that the simulator builds.
func randomPacket(chance *rand.Rand) built {
	like := targets[chance.IntN(len(targets))]
	h := header{
		src: randomAddr(chance, like), dst: randomAddr(chance, like),
		ttl: byte(chance.Uint32()), tos: byte(chance.Uint32()),
	}
	kinds := []func(*rand.Rand, header) built{randomEcho, randomICMP, randomRedirect, randomDatagram, randomSegment, randomAnswer}
	return kinds[chance.IntN(len(kinds))](chance, h)
}

func randomEcho(chance *rand.Rand, h header) built {
	id, seq, payload := uint16(chance.Uint32()), uint16(chance.Uint32()), randomOctets(chance)
	kind, t4, t6 := EchoRequest, layers.ICMPv4TypeEchoRequest, layers.ICMPv6TypeEchoRequest
	if chance.IntN(2) == 0 {
		kind, t4, t6 = EchoReply, layers.ICMPv4TypeEchoReply, layers.ICMPv6TypeEchoReply
	}
	return built{"echo",
		func(k *packer) []byte { return k.echo(h, kind, id, seq, payload) },
		func() []byte {
			if h.src.Is4() {
				return serialize(h, protoICMP, &layers.ICMPv4{
					TypeCode: layers.CreateICMPv4TypeCode(uint8(t4), 0), Id: id, Seq: seq,
				}, gopacket.Payload(payload))
			}
			return serializeICMPv6(h, Code{Type: uint8(t6)}, &layers.ICMPv6Echo{Identifier: id, SeqNumber: seq}, gopacket.Payload(payload))
		},
	}
}

// randomICMP is an ICMP error, or any other ICMP message.
func randomICMP(chance *rand.Rand, h header) built {
	types := []uint8{1, 2, 3, 4, 11, 12, byte(chance.Uint32())}
	code := Code{types[chance.IntN(len(types))], byte(chance.Uint32())}
	second, quote := chance.Uint32(), randomOctets(chance)
	return built{"ICMP",
		func(k *packer) []byte { return k.icmp(h, code, second, quote) },
		func() []byte { return serializeICMP(h, code, second, quote) },
	}
}

func randomRedirect(chance *rand.Rand, h header) built {
	gateway, dst, quote := randomAddr(chance, h.src), randomAddr(chance, h.src), randomOctets(chance)
	if h.src.Is4() {
		b := gateway.As4()
		second := binary.BigEndian.Uint32(b[:])
		return built{"redirect",
			func(k *packer) []byte { return k.icmp(h, Code{redirect4, 1}, second, quote) },
			func() []byte { return serializeICMP(h, Code{layers.ICMPv4TypeRedirect, 1}, second, quote) },
		}
	}
	return built{"redirect",
		func(k *packer) []byte { return k.redirect6(h, gateway, dst, quote) },
		func() []byte {
			// What gopacket calls data includes 6 reserved octets (RFC 4861 section 4.6.3).
			data := append(make([]byte, 6), quote[:len(quote)-len(quote)%8]...)
			return serializeICMPv6(h, Code{Type: layers.ICMPv6TypeRedirect}, &layers.ICMPv6Redirect{
				TargetAddress: gateway.AsSlice(), DestinationAddress: dst.AsSlice(),
				Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptRedirectedHeader, Data: data}},
			})
		},
	}
}

func randomDatagram(chance *rand.Rand, h header) built {
	from, to, payload := uint16(chance.Uint32()), uint16(chance.Uint32()), randomOctets(chance)
	return built{"datagram",
		func(k *packer) []byte { return k.datagram(h, from, to, payload) },
		func() []byte {
			udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
			return serialize(h, protoUDP, udp, gopacket.Payload(payload))
		},
	}
}

func randomTCP(chance *rand.Rand) tcpHeader {
	return tcpHeader{
		from: uint16(chance.Uint32()), to: uint16(chance.Uint32()), seq: chance.Uint32(), ack: chance.Uint32(),
		flags: byte(chance.Uint32()), window: uint16(chance.Uint32()), data: chance.IntN(100),
	}
}

// layer returns t as gopacket has it.
func (t tcpHeader) layer() *layers.TCP {
	return &layers.TCP{
		SrcPort: layers.TCPPort(t.from), DstPort: layers.TCPPort(t.to), Seq: t.seq, Ack: t.ack, Window: t.window,
		FIN: t.flags&1 != 0, SYN: t.flags&2 != 0, RST: t.flags&4 != 0, PSH: t.flags&8 != 0,
		ACK: t.flags&16 != 0, URG: t.flags&32 != 0, ECE: t.flags&64 != 0, CWR: t.flags&128 != 0,
	}
}

func randomSegment(chance *rand.Rand, h header) built {
	t := randomTCP(chance)
	return built{"segment",
		func(k *packer) []byte { return k.tcp(h, t) },
		func() []byte { return serialize(h, protoTCP, t.layer()) },
	}
}

// randomAnswer is a handshake or a refusal.
func randomAnswer(chance *rand.Rand, h header) built {
	t := randomTCP(chance)
	answer := &layers.TCP{SrcPort: layers.TCPPort(t.to), DstPort: layers.TCPPort(t.from)}
	if chance.IntN(2) == 0 {
		answer.SYN, answer.ACK, answer.Window = true, true, 65535
		answer.Seq, answer.Ack = ^t.seq^uint32(t.from)<<16, t.seq+1
		answer.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}}
		return built{"handshake",
			func(k *packer) []byte { return k.handshake(h, t) },
			func() []byte { return serialize(h, protoTCP, answer) },
		}
	}
	t.flags &^= flagRST
	answer.RST = true
	switch was := t.layer(); {
	case was.ACK:
		answer.Seq = t.ack
	default:
		answer.ACK, answer.Ack = true, t.seq+uint32(t.data)
		for _, takesOne := range []bool{was.SYN, was.FIN} {
			if takesOne {
				answer.Ack++
			}
		}
	}
	return built{"refusal",
		func(k *packer) []byte { return k.refusal(h, t) },
		func() []byte { return serialize(h, protoTCP, answer) },
	}
}

// TestBuildAgrees: gopacket builds the same octets.
func TestBuildAgrees(t *testing.T) {
	chance := rand.New(rand.NewPCG(5, 6))
	var k packer // in which each packet finds what the last one left
	names := make(map[string]int)
	for range 50_000 {
		b := randomPacket(chance)
		names[b.name]++
		if own, other := b.build(&k), b.other(); !bytes.Equal(own, other) {
			t.Fatalf("%s:\n%x, gopacket:\n%x", b.name, own, other)
		}
	}
	for _, name := range []string{"echo", "ICMP", "redirect", "datagram", "segment", "handshake", "refusal"} {
		if names[name] < 1000 {
			t.Errorf("%d of %s", names[name], name)
		}
	}
}

// TestBuildRefusesJumbo: what no IP length can say is not built.
func TestBuildRefusesJumbo(t *testing.T) {
	for _, target := range targets {
		h := header{src: target, dst: target, ttl: 1}
		room := maxLength - 8
		if target.Is4() {
			room -= 20
		}
		payload := make([]byte, room+1)
		if raw := new(packer).datagram(h, 1, 2, payload[:room]); len(raw) < maxLength {
			t.Errorf("%d octets", len(raw))
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v: built", target)
				}
			}()
			new(packer).datagram(h, 1, 2, payload)
		}()
	}
}

func TestLabelStackAgrees(t *testing.T) {
	chance := rand.New(rand.NewPCG(7, 8))
	for range 1000 {
		var stack []Label
		var entries []gopacket.SerializableLayer
		for range chance.IntN(5) {
			l := Label{Label: chance.Uint32N(1 << 20), TC: byte(chance.UintN(8)), Bottom: chance.IntN(2) == 0, TTL: byte(chance.Uint32())}
			stack = append(stack, l)
			entries = append(entries, &layers.MPLS{Label: l.Label, TrafficClass: l.TC, StackBottom: l.Bottom, TTL: l.TTL})
		}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{}, entries...); err != nil {
			t.Fatal(err)
		}
		if own := labelStack(stack); !bytes.Equal(own, buf.Bytes()) {
			t.Fatalf("%+v: %x, gopacket: %x", stack, own, buf.Bytes())
		}
	}
}

// TestExtensionsAgree: gopacket follows the extension headers that quotes get,
// through all their options.
func TestExtensionsAgree(t *testing.T) {
	h := header{src: targets[1], dst: targets[1], ttl: 1}
	raw := new(packer).echo(h, EchoRequest, 7, 8, []byte("payload!"))
	list := []Extension{HopByHop, DestOptions, Routing, DestOptions}
	whole := append(Quote{Extensions: list}.header6(raw[:40]), raw[40:]...)
	p := gopacket.NewPacket(whole, layers.LayerTypeIPv6, gopacket.Default)
	if failure := p.ErrorLayer(); failure != nil {
		t.Fatal(failure.Error())
	}
	want := []gopacket.LayerType{
		layers.LayerTypeIPv6, layers.LayerTypeIPv6HopByHop, layers.LayerTypeIPv6Destination, layers.LayerTypeIPv6Routing,
		layers.LayerTypeIPv6Destination, layers.LayerTypeICMPv6, layers.LayerTypeICMPv6Echo, gopacket.LayerTypePayload,
	}
	var got []gopacket.LayerType
	for _, l := range p.Layers() {
		got = append(got, l.LayerType())
	}
	if !slices.Equal(got, want) {
		t.Errorf("layers %v, want %v", got, want)
	}
	if echo, ok := p.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo); !ok || echo.Identifier != 7 || echo.SeqNumber != 8 {
		t.Errorf("echo %+v", echo)
	}
}
