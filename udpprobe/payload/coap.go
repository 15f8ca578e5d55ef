package payload

import (
	"bytes"
	"fmt"

	"netprobe/probe"
)

// coap asks for the list of resources of a CoAP server (RFC 7252, sections 3 and
// 7.2): a confirmable GET of /.well-known/core, which must at least be
// acknowledged or reset.
//
//	|Ver| T |  TKL  |      Code     |          Message ID           |
//	|   Token (TKL bytes) ...       |   Options ...  0xff  Payload
var coap = Protocol{
	Name: "coap", Ports: []uint16{5683},
	ask: func(b []byte, t *Transaction) []byte {
		b = append(b, coapVersion<<6|coapToken, coapGet, t.Nonce[0], t.Nonce[1])
		b = append(b, t.Nonce[2:2+coapToken]...)
		// Uri-Path is option 11, twice; the second has a delta of 0.
		b = append(append(b, 11<<4|11), ".well-known"...)
		return append(append(b, 0<<4|4), "core"...)
	},
	parse: parseCoAP,
}

const (
	coapVersion = 1
	coapToken   = 8 // octets, the most there may be
	coapHeader  = 4
	coapGet     = 0x01

	// Message types.
	coapConfirmable    = 0
	coapNonConfirmable = 1
	coapReset          = 3
)

func parseCoAP(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < coapHeader {
		return nil, errShort
	}
	version, typ, tokenLen, code := b[0]>>6, b[0]>>4&3, int(b[0]&0xf), b[1]
	class, empty := code>>5, code == 0
	sameID := [2]byte(b[2:]) == [2]byte(t.Nonce[:])
	rest := b[coapHeader:]
	switch {
	case version != coapVersion:
		return nil, malformed("CoAP version %d", version)
	case tokenLen > coapToken || tokenLen > len(rest):
		return nil, malformed("a token of %d octets", tokenLen)
	case class == 0 && !empty, empty && typ == coapConfirmable: // the latter is a ping
		return nil, errRequest
	case empty && len(rest) > 0 || !empty && class != 2 && class != 4 && class != 5:
		return nil, malformed("code %s", coapCode(code))
	case typ == coapReset && !empty || typ == coapNonConfirmable && empty:
		return nil, malformed("type %d with code %s", typ, coapCode(code))
	}
	// A piggybacked response has ID and token of the request; one that comes on
	// its own, the token (section 5.3.2).
	separate := typ == coapConfirmable || typ == coapNonConfirmable
	token := rest[:tokenLen]
	if !separate && !sameID || !empty && !bytes.Equal(token, t.Nonce[2:2+coapToken]) {
		return nil, errForeign
	}
	size, err := coapPayload(rest[tokenLen:])
	if err != nil {
		return nil, err
	}
	var f facts
	f.add("coap_code", coapCode(code))
	if typ == coapReset {
		f.add("coap_reset", true)
	}
	if size > 0 {
		f.add("coap_payload_bytes", size)
	}
	return f, nil
}

// coapCode writes a code as people know it, like 2.05.
func coapCode(c byte) string { return fmt.Sprintf("%d.%02d", c>>5, c&0x1f) }

// coapPayload skips the options (section 3.1) and returns the size of what
// follows them.
func coapPayload(b []byte) (int, error) {
	for len(b) > 0 {
		if b[0] == 0xff {
			if len(b) == 1 {
				return 0, malformed("a payload marker without a payload")
			}
			return len(b) - 1, nil
		}
		delta, n := int(b[0]>>4), int(b[0]&0xf)
		_, rest, ok1 := coapExtended(delta, b[1:])
		n, rest, ok2 := coapExtended(n, rest)
		if !ok1 || !ok2 || n > len(rest) {
			return 0, malformed("an option is cut short")
		}
		b = rest[n:]
	}
	return 0, nil
}

// coapExtended reads the rest of a delta or length whose nibble is n.
func coapExtended(n int, b []byte) (int, []byte, bool) {
	switch {
	case n == 13 && len(b) >= 1:
		return 13 + int(b[0]), b[1:], true
	case n == 14 && len(b) >= 2:
		return 269 + int(b[0])<<8 + int(b[1]), b[2:], true
	}
	return n, b, n < 13
}
