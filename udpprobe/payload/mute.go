package payload

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"

	"netprobe/probe"
)

// radius asks whether a server is alive (Status-Server, RFC 5997). Servers
// discard what is not signed with the secret they share with the client (RFC 5997,
// section 3; RFC 2865, section 3), so only one without a secret would answer.
var radius = Protocol{
	Name: "radius", Ports: []uint16{1812, 1813, 1645, 1646},
	Mute:  "radius answers only clients that know its secret",
	ask:   appendStatusServer,
	parse: parseRADIUS,
}

const (
	radiusHeader       = 20 // code, identifier, length, authenticator
	radiusStatusServer = 12
	radiusMaxLen       = 4096
	radiusMessageAuth  = 80 // RFC 3579, section 3.2
)

func appendStatusServer(b []byte, t *Transaction) []byte {
	start := len(b)
	b = append(b, radiusStatusServer, t.Nonce[0], 0, radiusHeader+18)
	b = append(b, t.Nonce[1:17]...)
	b = append(b, radiusMessageAuth, 18)
	sign := hmac.New(md5.New, nil) // an empty secret
	sign.Write(b[start:])
	sign.Write(make([]byte, md5.Size)) // itself counts as zeros
	return sign.Sum(b)
}

func parseRADIUS(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < radiusHeader {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	name, ok := map[byte]string{2: "access-accept", 3: "access-reject", 5: "accounting-response", 11: "access-challenge"}[b[0]]
	switch {
	case b[0] == radiusStatusServer:
		return nil, errRequest
	case !ok:
		return nil, malformed("code %d", b[0])
	case n < radiusHeader || n > radiusMaxLen || n > len(b): // what follows is padding (RFC 2865, section 3)
		return nil, malformed("a length of %d in a datagram of %d bytes", n, len(b))
	case b[1] != t.Nonce[0] || !authentic(b[:n], t):
		return nil, errForeign
	}
	return []probe.Fact{{Name: "radius_code", Value: name}}, nil
}

// authentic checks the response authenticator: MD5 of the response with the
// request's authenticator in its place, and the secret, of which there is none
// (RFC 2865, section 3).
func authentic(b []byte, t *Transaction) bool {
	sum := md5.New()
	sum.Write(b[:4])
	sum.Write(t.Nonce[1:17])
	sum.Write(b[radiusHeader:])
	return [md5.Size]byte(sum.Sum(nil)) == [md5.Size]byte(b[4:])
}

// wireguard begins a handshake with keys that no peer knows: what does not carry
// a MAC made with the responder's public key is dropped in silence ("WireGuard:
// Next Generation Kernel Network Tunnel", sections 5.3 and 5.4.4).
var wireguard = Protocol{
	Name: "wireguard", Ports: []uint16{51820},
	Mute: "wireguard never answers strangers",
	ask: func(b []byte, t *Transaction) []byte {
		b = append(b, 1, 0, 0, 0)
		start := len(b)
		b = append(b, t.Nonce[:4]...) // our index
		for len(b)-start+4 < wgInitiation {
			b = append(b, t.Nonce[4:4+min(80, wgInitiation-4-(len(b)-start))]...)
		}
		return b
	},
	parse: func(b []byte, t *Transaction) ([]probe.Fact, error) {
		name, at := "", 0
		switch {
		case len(b) == wgResponse && [4]byte(b) == [4]byte{2}:
			name, at = "handshake response", 8 // after the responder's own index
		case len(b) == wgCookie && [4]byte(b) == [4]byte{3}:
			name, at = "cookie reply", 4
		case len(b) == wgInitiation && b[0] == 1:
			return nil, errRequest
		default:
			return nil, malformed("no WireGuard message")
		}
		if [4]byte(b[at:]) != [4]byte(t.Nonce[:]) {
			return nil, errForeign
		}
		return []probe.Fact{{Name: "wireguard_answer", Value: name}}, nil
	},
}

// Lengths of messages (the same, sections 5.4.2, 5.4.3 and 5.4.7).
const (
	wgInitiation = 148
	wgResponse   = 92
	wgCookie     = 64
)

// syslog goes one way (RFC 5426, section 3): there is no answer. What is sent is
// empty: a closed port says so all the same, and nothing is written to anybody's
// log.
var syslog = Protocol{
	Name: "syslog", Ports: []uint16{514},
	Mute:  "syslog has no answers",
	ask:   func(b []byte, _ *Transaction) []byte { return b },
	parse: func([]byte, *Transaction) ([]probe.Fact, error) { return nil, malformed("syslog has no answers") },
}
