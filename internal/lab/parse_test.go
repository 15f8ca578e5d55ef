package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

// agree fails unless parse and gopacket find the same in raw.
func agree(t *testing.T, raw []byte) {
	t.Helper()
	own, other := Packet{Raw: bytes.Clone(raw)}, Packet{Raw: bytes.Clone(raw)}
	f, err := parse(&own)
	g, opinion := opine(&other)
	if errors.Is(opinion, errLenient) {
		if err == nil {
			t.Errorf("%x: total length 0 was taken", raw)
		}
		return
	}
	if (err == nil) != (opinion == nil) {
		t.Fatalf("%x: %v, gopacket: %v", raw, err, opinion)
	}
	if err != nil && !errors.Is(err, errMalformed) {
		t.Errorf("%x: %v is not malformed", raw, err)
	}
	if !reflect.DeepEqual(f, g) {
		t.Fatalf("%x: fragment %+v, gopacket: %+v", raw, f, g)
	}
	// What of a packet cut short was read is used too.
	if !reflect.DeepEqual(own, other) {
		t.Fatalf("%x:\n%+v, gopacket:\n%+v", raw, own, other)
	}
	if !bytes.Equal(own.Raw, raw[:len(own.Raw)]) {
		t.Fatalf("%x was changed to %x", raw, own.Raw)
	}
	if own.Kind != TCP {
		return
	}
	s, whole := own.tcp()
	if o, other := opineTCP(&own); s != o || whole != other {
		t.Fatalf("%x: segment %+v %v, gopacket: %+v %v", raw, s, whole, o, other)
	}
}

// extended returns an IPv6 packet with extension headers put into it; an IPv4
// packet with options.
func extended(chance *rand.Rand, raw []byte) []byte {
	if raw[0]>>4 == 4 {
		options := [][]byte{nil, {1, 1, 1, 0}, {0x94, 4, 0, 0}, {7, 7, 4, 1, 2, 3, 4, 0}, {0, 9, 9, 9}}
		head := Quote{Options: options[chance.IntN(len(options))]}.header4(raw[:20])
		return append(head, raw[20:]...)
	}
	var list []Extension
	for range chance.IntN(4) {
		list = append(list, []Extension{HopByHop, Routing, Fragment, DestOptions}[chance.IntN(4)])
	}
	head := Quote{Extensions: list}.header6(raw[:40])
	return append(head, raw[40:]...)
}

// damaged returns raw with some octets changed, or shorter, or longer.
func damaged(chance *rand.Rand, raw []byte) []byte {
	raw = slices.Clone(raw)
	for range chance.IntN(4) {
		i := chance.IntN(len(raw))
		if chance.IntN(2) == 0 {
			i = chance.IntN(min(len(raw), 64)) // where the headers are
		}
		raw[i] = byte(chance.UintN(256)) >> chance.IntN(9)
	}
	switch chance.IntN(4) {
	case 0:
		return raw[:chance.IntN(len(raw))]
	case 1:
		return append(raw, make([]byte, chance.IntN(9))...)
	}
	return raw
}

// TestParseAgrees: of random packets of every kind, whole, in fragments and
// damaged, gopacket reads the same.
func TestParseAgrees(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	kinds := make(map[Kind]int)
	for range 20_000 {
		raw := extended(chance, randomPacket(chance).build(new(packer)))
		agree(t, raw)
		p := Packet{Raw: raw}
		if _, err := parse(&p); err != nil {
			t.Fatalf("%x: %v", raw, err)
		}
		kinds[p.Kind]++
		agree(t, damaged(chance, raw))
		if p.Src.Is4() && raw[0] == 0x45 || p.Src.Is6() && p.l4 == 40 {
			for _, piece := range cut(raw, 8*(1+chance.IntN(20))) {
				agree(t, piece)
				agree(t, damaged(chance, piece))
			}
		}
	}
	for k := range Kind(len(kindNames)) {
		if kinds[k] < 100 {
			t.Errorf("%d packets of kind %v", kinds[k], k)
		}
	}
}

// FuzzParse: whatever the octets, gopacket reads the same in them.
func FuzzParse(f *testing.F) {
	chance := rand.New(rand.NewPCG(3, 4))
	for range 64 {
		raw := extended(chance, randomPacket(chance).build(new(packer)))
		f.Add(raw)
		f.Add(damaged(chance, raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { agree(t, raw) })
}

// TestParseOdd is of packets for which agreement alone would not show that the
// case was met.
func TestParseOdd(t *testing.T) {
	four := new(packer).datagram(header{src: targets[0], dst: targets[0], ttl: 9}, 1, 2, []byte("12345678"))
	six := new(packer).datagram(header{src: targets[1], dst: targets[1], ttl: 9}, 1, 2, []byte("12345678"))
	hop := func(options ...byte) []byte {
		b := append(bytes.Clone(six[:40]), six[6], byte(len(options)+2)/8-1)
		b[6] = uint8(HopByHop)
		b = append(append(b, options...), six[40:]...)
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		return b
	}
	with := func(raw []byte, at int, octets ...byte) []byte {
		raw = bytes.Clone(raw)
		copy(raw[at:], octets)
		return raw
	}
	option := func(octets ...byte) []byte {
		raw := append(append(bytes.Clone(four[:20]), octets...), four[20:]...)
		return with(raw, 0, 0x46, 0, 0, byte(len(raw)))
	}
	cases := []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", nil, errVersion},
		{"version 5", with(four, 0, 0x55), errVersion},
		{"IPv4", four, nil},
		{"IPv4 cut in the transport header", four[:27], errTransport},
		{"IPv4 cut in the header", four[:19], errHeader},
		{"header of 16 octets", with(four, 0, 0x44), errHeader},
		{"header longer than the packet", with(four, 0, 0x4f), errHeader},
		{"total length of less than a header", with(four, 2, 0, 19), errHeader},
		{"total length 0", with(four, 2, 0, 0), errHeader},
		{"total length beyond the packet", with(four, 2, 0xff), nil},
		{"option of length 1", option(7, 1, 0, 0), errOptions},
		{"option longer than the header", option(1, 7, 4, 0), errOptions},
		{"option without length", option(1, 1, 1, 7), errOptions},
		{"option behind the end of the list", option(0, 7, 1, 0), nil},
		{"IPv6", six, nil},
		{"IPv6 cut in the header", six[:39], errHeader},
		{"no payload", with(six, 4, 0, 0), errHeader},
		{"hop-by-hop cut short", with(six, 6, uint8(HopByHop), 9, 0)[:47], errOptions},
		{"router alert", hop(5, 2, 0, 0, 0, 0), nil},
		{"jumbo payload", hop(jumboPayload, 4, 0, 1, 0, 0), errOptions},
		{"option beyond its header", hop(5, 5, 0, 0, 0, 0), errOptions},
		{"Pad1 only", hop(0, 0, 0, 0, 0, 0), nil},
		{"routing cut short", with(six, 6, uint8(Routing))[:47], errExtension},
		{"routing beyond the packet", with(with(six, 6, uint8(Routing)), 41, 9), errExtension},
		{"fragment header cut short", with(six, 6, uint8(Fragment))[:47], errExtension},
		{"no next header", with(six, 6, 59), nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p := Packet{Raw: bytes.Clone(tc.raw)}
			if _, err := parse(&p); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			agree(t, tc.raw)
		})
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		h := header{src: target, dst: target, ttl: 9}
		k := new(packer)
		p := Packet{Raw: bytes.Clone(k.echo(h, EchoRequest, 1, 2, make([]byte, 56)))}
		n := testing.AllocsPerRun(100, func() {
			if _, err := parse(&p); err != nil {
				t.Fatal(err)
			}
			k.echo(h, EchoReply, p.ID, p.Seq, p.payload())
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
