package payload

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"netprobe/probe"
)

// stun asks from which address a binding request came (RFC 8489, sections 2 and 5).
var stun = Protocol{
	Name: "stun", Ports: []uint16{3478},
	ask: func(b []byte, t *Transaction) []byte {
		b = binary.BigEndian.AppendUint16(b, stunBinding)
		b = append(b, 0, 0) // no attributes
		b = binary.BigEndian.AppendUint32(b, stunCookie)
		return append(b, t.Nonce[:12]...)
	},
	parse: parseSTUN,
}

const (
	stunCookie  = 0x2112a442
	stunHeader  = 20
	stunBinding = 0x0001
	stunSuccess = 0x0101
	stunError   = 0x0111

	// Attributes (section 18.3).
	stunMapped    = 0x0001
	stunErrorCode = 0x0009
	stunXORMapped = 0x0020
	stunSoftware  = 0x8022
)

func parseSTUN(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < stunHeader {
		return nil, errShort
	}
	typ := binary.BigEndian.Uint16(b)
	switch n := int(binary.BigEndian.Uint16(b[2:])); {
	case binary.BigEndian.Uint32(b[4:]) != stunCookie:
		return nil, malformed("no magic cookie")
	case typ == stunBinding:
		return nil, errRequest
	case typ != stunSuccess && typ != stunError:
		return nil, malformed("message type %#04x", typ)
	case n%4 != 0 || n != len(b)-stunHeader:
		return nil, malformed("a length of %d in a datagram of %d bytes", n, len(b))
	case [12]byte(b[8:]) != [12]byte(t.Nonce[:]):
		return nil, errForeign
	}
	a, err := readAttributes(b)
	if err != nil {
		return nil, err
	}
	if typ == stunSuccess && !a.mapped.IsValid() {
		return nil, malformed("a success without an address")
	}
	var f facts
	if typ == stunError {
		f.text("stun_error", a.failure)
	}
	if a.mapped.IsValid() {
		f.add("stun_mapped", a.mapped.String())
	}
	f.text("stun_software", a.software)
	return f, nil
}

// attributes are those of an answer that count here.
type attributes struct {
	mapped            netip.AddrPort
	failure, software string
}

func readAttributes(b []byte) (a attributes, err error) {
	for rest := b[stunHeader:]; len(rest) > 0; {
		typ, n := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if n > len(rest)-4 {
			return a, malformed("attribute %#04x is cut short", typ)
		}
		value := rest[4 : 4+n]
		switch typ {
		case stunXORMapped:
			a.mapped = stunAddr(value, b[4:stunHeader])
		case stunMapped:
			// For who knows but the old attribute; the other one translators leave alone.
			if !a.mapped.IsValid() {
				a.mapped = stunAddr(value, nil)
			}
		case stunErrorCode:
			if n >= 4 {
				a.failure = fmt.Sprintf("%d %s", int(value[2]&7)*100+int(value[3]), value[4:])
			}
		case stunSoftware:
			a.software = string(value)
		}
		rest = rest[4+(n+3)&^3:] // lengths are those without padding, and the whole is a multiple of 4
	}
	return a, nil
}

// stunAddr reads an address attribute (sections 14.1 and 14.2), XORed with the
// cookie and transaction unless mask is nil. It is invalid if malformed.
func stunAddr(v, mask []byte) netip.AddrPort {
	if len(v) != 8 && len(v) != 20 || int(v[1]) != map[int]int{8: 1, 20: 2}[len(v)] {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(v[2:])
	addr := append([]byte{}, v[4:]...)
	if mask != nil {
		port ^= stunCookie >> 16
		for i := range addr {
			addr[i] ^= mask[i]
		}
	}
	a, _ := netip.AddrFromSlice(addr)
	return netip.AddrPortFrom(a, port)
}
