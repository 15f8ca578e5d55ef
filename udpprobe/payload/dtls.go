package payload

import (
	"encoding/binary"

	"netprobe/probe"
)

// dtls says hello as a client of DTLS 1.2 without a cookie (RFC 6347, section
// 4.2.1), which a server answers with one to be repeated, or with its own hello, or
// with an alert.
//
//	| type | version (2) | epoch (2) | sequence number (6) | length (2) |    record
//	| type | length (3) | message_seq (2) | fragment_offset (3) | fragment_length (3) |    handshake
//
// A HelloVerifyRequest repeats our record's sequence number, which here is drawn
// anew each time. Hellos and alerts repeat nothing: what they match is the port we
// asked from.
var dtls = Protocol{
	Name: "dtls", Ports: []uint16{2083, 4433, 4740, 5349, 5684, 6514, 10161},
	ask:   appendHello,
	parse: parseDTLS,
}

const (
	dtlsRecord    = 13
	dtlsHandshake = 12

	// Content types.
	dtlsAlert = 21
	dtlsShake = 22

	// Handshake types.
	dtlsClientHello = 1
	dtlsServerHello = 2
	dtlsHelloVerify = 3
)

// ciphers are what any server has something of: ECDHE and DHE with AES-GCM or
// ChaCha20, for ECDSA and RSA, RSA alone, and the pre-shared keys of constrained
// devices (RFC 7252, section 9.1.3).
var ciphers = []uint16{
	0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca9, 0xcca8, 0x009e, 0xc009, 0xc013, 0xc014, 0xc0ae, 0xc0ac, 0x009c, 0x002f, 0x0035,
	0xc0a8, 0x00a8, 0xc037,
	0x00ff, // renegotiation is secured (RFC 5746, section 3.3)
}

// helloExtensions are supported_groups, ec_point_formats, signature_algorithms
// (RFC 8422, section 5.1; RFC 5246, section 7.4.1.4.1) and extended_master_secret
// (RFC 7627).
var helloExtensions = []byte{
	0, 10, 0, 8, 0, 6, 0, 29, 0, 23, 0, 24, // x25519, secp256r1, secp384r1
	0, 11, 0, 2, 1, 0,
	0, 13, 0, 14, 0, 12, 4, 3, 5, 3, 8, 4, 4, 1, 5, 1, 2, 1,
	0, 23, 0, 0,
}

func appendHello(b []byte, t *Transaction) []byte {
	var hello []byte
	hello = append(hello, 0xfe, 0xfd) // DTLS 1.2
	hello = append(hello, t.Nonce[8:40]...)
	hello = append(hello, 0, 0) // no session, no cookie
	hello = binary.BigEndian.AppendUint16(hello, uint16(2*len(ciphers)))
	for _, c := range ciphers {
		hello = binary.BigEndian.AppendUint16(hello, c)
	}
	hello = append(hello, 1, 0) // no compression
	hello = binary.BigEndian.AppendUint16(hello, uint16(len(helloExtensions)))
	hello = append(hello, helloExtensions...)

	n := uint16(len(hello))
	b = append(b, dtlsShake, 0xfe, 0xff, 0, 0) // the first record is of version 1.0, as 1.2 asks for
	b = append(b, dtlsSeq(t)...)
	b = binary.BigEndian.AppendUint16(b, dtlsHandshake+n)
	b = append(b, dtlsClientHello, 0)
	b = binary.BigEndian.AppendUint16(b, n)
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, n)
	return append(b, hello...)
}

// dtlsSeq is the number of our record: 48 bits, the upper ones 0 so that those
// after it have room.
func dtlsSeq(t *Transaction) []byte { return append([]byte{0, 0}, t.Nonce[:4]...) }

func parseDTLS(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < dtlsRecord {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b[11:]))
	switch {
	case b[1] != 0xfe || dtlsVersions[b[2]] == "":
		return nil, malformed("record version %#02x%02x", b[1], b[2])
	case b[3] != 0 || b[4] != 0:
		return nil, malformed("an epoch that was never agreed on")
	case n > len(b)-dtlsRecord:
		return nil, malformed("the record is cut short")
	}
	body := b[dtlsRecord : dtlsRecord+n]
	switch b[0] {
	case dtlsAlert:
		return dtlsAlerted(b, body)
	case dtlsShake:
		return dtlsAnswered(b, body, t)
	}
	return nil, malformed("content type %d", b[0])
}

func dtlsAlerted(b, body []byte) ([]probe.Fact, error) {
	if len(body) != 2 || body[0] != 1 && body[0] != 2 {
		return nil, malformed("no alert")
	}
	var f facts
	f.add("dtls_version", dtlsVersions[b[2]])
	f.add("dtls_alert", named(alerts, body[1]))
	return f, nil
}

// dtlsAnswered reads a handshake message, of which the first fragment has all
// that counts.
func dtlsAnswered(b, body []byte, t *Transaction) ([]probe.Fact, error) {
	if len(body) < dtlsHandshake+3 {
		return nil, errShort
	}
	hello := body[dtlsHandshake:]
	if body[0] == dtlsClientHello {
		return nil, errRequest
	}
	if hello[0] != 0xfe || dtlsVersions[hello[1]] == "" {
		return nil, malformed("version %#02x%02x", hello[0], hello[1])
	}
	var f facts
	switch body[0] {
	case dtlsHelloVerify:
		if [6]byte(b[5:]) != [6]byte(dtlsSeq(t)) {
			return nil, errForeign
		}
		cookie := int(hello[2])
		if cookie != len(hello)-3 {
			return nil, malformed("a cookie that is cut short")
		}
		// Its version is 1.0 whatever is agreed on later (RFC 6347, section 4.2.1).
		f.add("dtls_answer", "hello verify request")
		f.add("dtls_cookie_bytes", cookie)
	case dtlsServerHello:
		f.add("dtls_answer", "server hello")
		f.add("dtls_version", dtlsVersions[hello[1]])
	default:
		return nil, malformed("handshake type %d", body[0])
	}
	return f, nil
}

// dtlsVersions are names by the second octet; the first is 0xfe.
var dtlsVersions = map[byte]string{0xff: "DTLS 1.0", 0xfd: "DTLS 1.2", 0xfc: "DTLS 1.3"}

// alerts are what a server may say to a hello (RFC 5246, section 7.2; RFC 8446,
// section 6).
var alerts = map[byte]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure",
	42: "bad_certificate", 47: "illegal_parameter", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
	90: "user_canceled", 109: "missing_extension", 110: "unsupported_extension", 112: "unrecognized_name",
	115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol",
}
