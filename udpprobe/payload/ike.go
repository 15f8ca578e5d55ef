package payload

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"netprobe/probe"
)

// ike asks to begin an IKE_SA (IKE_SA_INIT, RFC 7296, section 1.2), which a
// responder agrees to, or says why not; either is an answer, and neither leaves
// more behind than a half-open SA that it forgets by itself.
//
//	|              initiator's SPI (8)              |
//	|              responder's SPI (8)              |
//	| next payload | version | exchange |   flags   |
//	|      message ID (4)     |      length (4)     |
var ike = Protocol{
	Name: "ike", Ports: []uint16{500, natPort},
	ask:   appendInit,
	parse: parseIKE,
}

// natPort carries ESP, too: four zeros tell IKE from it (RFC 3948, section 2.2).
const natPort = 4500

const (
	ikeHeader   = 28
	ikeVersion  = 0x20
	ikeInit     = 34   // IKE_SA_INIT
	ikeFromInit = 0x08 // flags: sent by the initiator of the SA
	ikeResponse = 0x20

	// Payload types (section 3.2).
	ikeSA     = 33
	ikeKE     = 34
	ikeNonce  = 40
	ikeNotify = 41
)

// transforms are what is proposed, by type and ID (section 3.3.2): what any
// implementation has something of (RFC 8247).
var transforms = []struct {
	typ byte
	id  uint16
	key uint16 // length in bits; 0 where it is fixed
}{
	{1, 12, 256}, {1, 12, 128}, // ENCR_AES_CBC
	{2, 5, 0}, {2, 2, 0}, // PRF_HMAC_SHA2_256, PRF_HMAC_SHA1
	{3, 12, 0}, {3, 2, 0}, // AUTH_HMAC_SHA2_256_128, AUTH_HMAC_SHA1_96
	{4, curve25519, 0}, {4, 19, 0}, {4, 14, 0}, // and the groups ECP-256 and MODP-2048
}

// curve25519 is the group whose public keys are any 32 octets (RFC 8031, section
// 3.1; RFC 7748, section 5), so that none need be computed.
const curve25519 = 31

func appendInit(b []byte, t *Transaction) []byte {
	if t.To.Port() == natPort {
		b = append(b, 0, 0, 0, 0)
	}
	start := len(b)
	b = append(b, t.Nonce[:8]...)
	b = append(b, make([]byte, 8)...)
	b = append(b, ikeSA, ikeVersion, ikeInit, ikeFromInit, 0, 0, 0, 0, 0, 0, 0, 0)
	b = appendPayload(b, ikeKE, proposal())
	b = appendPayload(b, ikeNonce, append([]byte{0, curve25519, 0, 0}, t.Nonce[8:40]...))
	b = appendPayload(b, 0, t.Nonce[40:72])
	binary.BigEndian.PutUint32(b[start+24:], uint32(len(b)-start))
	return b
}

// appendPayload appends a payload that one of the type next follows.
func appendPayload(b []byte, next byte, body []byte) []byte {
	b = append(b, next, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(body)))
	return append(b, body...)
}

// proposal is one proposal of all transforms (sections 3.3.1 to 3.3.5).
func proposal() []byte {
	var list []byte
	for i, tr := range transforms {
		more, attr := byte(3), []byte(nil)
		if i == len(transforms)-1 {
			more = 0
		}
		if tr.key != 0 {
			attr = binary.BigEndian.AppendUint16([]byte{0x80, 14}, tr.key)
		}
		list = append(list, more, 0, 0, byte(8+len(attr)), tr.typ, 0)
		list = binary.BigEndian.AppendUint16(list, tr.id)
		list = append(list, attr...)
	}
	head := []byte{0, 0, 0, 0, 1, 1, 0, byte(len(transforms))} // the last, number 1, for IKE, without an SPI
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(list)))
	return append(head, list...)
}

func parseIKE(b []byte, t *Transaction) ([]probe.Fact, error) {
	if t.To.Port() == natPort {
		if len(b) < 4 || [4]byte(b) != [4]byte{} {
			return nil, malformed("no IKE, but ESP")
		}
		b = b[4:]
	}
	if len(b) < ikeHeader {
		return nil, errShort
	}
	major, minor := b[17]>>4, b[17]&0xf
	switch {
	case major != 1 && major != 2:
		return nil, malformed("IKE version %d.%d", major, minor)
	case int(binary.BigEndian.Uint32(b[24:])) != len(b):
		return nil, malformed("a length of %d in a datagram of %d bytes", binary.BigEndian.Uint32(b[24:]), len(b))
	case [8]byte(b) != [8]byte(t.Nonce[:]):
		return nil, errForeign
	case major == 2 && b[19]&ikeResponse == 0:
		return nil, errRequest
	case major == 2 && b[18] != ikeInit:
		return nil, malformed("exchange type %d", b[18])
	}
	var f facts
	f.add("ike_version", fmt.Sprintf("%d.%d", major, minor))
	if major == 2 { // older ones only say that they are
		notes, err := ikeNotes(b)
		if err != nil {
			return nil, err
		}
		f.list("ike_notify", notes)
	}
	if [8]byte(b[8:]) != [8]byte{} {
		f.add("ike_responder_spi", hex.EncodeToString(b[8:16]))
	}
	return f, nil
}

// ikeNotes walks the payloads of a message and returns what it notifies of.
func ikeNotes(b []byte) (notes []string, err error) {
	next, rest := b[16], b[ikeHeader:]
	for next != 0 {
		if len(rest) < 4 {
			return nil, malformed("payload %d is cut short", next)
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < 4 || n > len(rest) {
			return nil, malformed("payload %d is cut short", next)
		}
		// Protocol, length of an SPI, type (section 3.10).
		if next == ikeNotify && n >= 8 && len(notes) < maxList {
			notes = append(notes, named(ikeNotifies, binary.BigEndian.Uint16(rest[6:])))
		}
		next, rest = rest[0], rest[n:]
	}
	return notes, nil
}

// ikeNotifies are types of notifications (section 3.10.1 and IANA's registry).
var ikeNotifies = map[uint16]string{
	1: "UNSUPPORTED_CRITICAL_PAYLOAD", 4: "INVALID_IKE_SPI", 5: "INVALID_MAJOR_VERSION", 7: "INVALID_SYNTAX",
	9: "INVALID_MESSAGE_ID", 14: "NO_PROPOSAL_CHOSEN", 17: "INVALID_KE_PAYLOAD", 24: "AUTHENTICATION_FAILED",
	43: "TEMPORARY_FAILURE", 16388: "NAT_DETECTION_SOURCE_IP", 16389: "NAT_DETECTION_DESTINATION_IP",
	16390: "COOKIE", 16404: "MULTIPLE_AUTH_SUPPORTED", 16406: "REDIRECT_SUPPORTED", 16407: "REDIRECT",
	16418: "CHILDLESS_IKEV2_SUPPORTED", 16430: "IKEV2_FRAGMENTATION_SUPPORTED", 16431: "SIGNATURE_HASH_ALGORITHMS",
}
