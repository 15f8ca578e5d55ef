package udpprobe

import (
	"crypto/rand"
	"encoding/binary"
)

// appendPayload appends a datagram that whoever serves port is bound to answer,
// and that asks for nothing worth having; for ports without one, nothing.
func appendPayload(b []byte, port uint16) []byte {
	switch port {
	case 53:
		return appendQuestion(b, flagRD, nil, typeNS)
	case 123:
		return appendNTP(b)
	case 5353:
		return appendQuestion(b, 0, services, typePTR)
	}
	return b
}

// What a DNS query is made of (RFC 1035, section 4.1).
const (
	flagRD  = 0x0100 // recursion desired: some resolvers ignore queries without
	typeNS  = 2
	typePTR = 12
	classIN = 1
)

// services are the labels of the name whose PTR records list what a host
// announces (RFC 6763, section 9). A multicast DNS responder answers a query to
// its own address, from another port than 5353, by unicast, with the query's ID
// (RFC 6762, sections 5.5 and 6.7).
var services = []string{"_services", "_dns-sd", "_udp", "local"}

// appendQuestion appends a DNS query with a random ID and one question; no
// labels mean the root, whose name servers every server knows.
func appendQuestion(b []byte, flags uint16, labels []string, typ uint16) []byte {
	b = append(b, random(2)...)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0) // one question, nothing else
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, typ)
	return binary.BigEndian.AppendUint16(b, classIN)
}

// ntpClient is leap indicator 0, version 4, mode 3 (RFC 5905, section 7.3).
const ntpClient = 0<<6 | 4<<3 | 3

// appendNTP appends an NTP client packet without extensions. Its transmit timestamp
// is random, as the server only returns it (RFC 9109 asks for ports that cannot be
// guessed; the same goes for this).
func appendNTP(b []byte) []byte {
	b = append(b, ntpClient)
	b = append(b, make([]byte, 39)...)
	return append(b, random(8)...)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
