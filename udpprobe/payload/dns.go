package payload

import (
	"encoding/binary"
	"slices"

	"netprobe/probe"
)

// dns asks for the name servers of the root, whom every resolver and every
// server that answers strangers at all knows; the others say REFUSED.
var dns = Protocol{
	Name: "dns", Ports: []uint16{53},
	ask: func(b []byte, t *Transaction) []byte { return appendQuestion(b, t, flagRD, nil, typeNS) },
	parse: func(reply []byte, t *Transaction) ([]probe.Fact, error) {
		m, err := parseMessage(reply, t, flagRD, nil, typeNS)
		if err != nil {
			return nil, err
		}
		var f facts
		f.add("dns_rcode", named(rcodes, m.rcode()))
		f.add("dns_recursion", m.flags&flagRA != 0)
		if m.flags&flagAA != 0 {
			f.add("dns_authoritative", true)
		}
		if m.flags&flagTC != 0 {
			f.add("dns_truncated", true)
		}
		return f, nil
	},
}

// What a DNS message is made of (RFC 1035, section 4.1; the flags and rcodes of
// later RFCs as IANA lists them).
const (
	flagQR     = 0x8000
	flagOpcode = 0x7800
	flagAA     = 0x0400
	flagTC     = 0x0200
	flagRD     = 0x0100 // recursion desired: some resolvers ignore queries without
	flagRA     = 0x0080

	typeNS  = 2
	typePTR = 12
	classIN = 1

	dnsHeader = 12
)

var rcodes = map[uint8]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
	6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
}

// appendQuestion appends a query with one question for a name; no labels mean
// the root.
func appendQuestion(b []byte, t *Transaction, flags uint16, labels []string, typ uint16) []byte {
	b = append(b, t.Nonce[:2]...)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0) // one question, nothing else
	b = appendName(b, labels)
	b = binary.BigEndian.AppendUint16(b, typ)
	return binary.BigEndian.AppendUint16(b, classIN)
}

func appendName(b []byte, labels []string) []byte {
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0)
}

// message is a DNS message that was read as an answer.
type message struct {
	flags   uint16
	counts  [4]int // of questions, answers, authorities, additionals
	records []record
}

func (m *message) rcode() uint8 { return uint8(m.flags & 0xf) }

// record is one resource record. Offsets are into the datagram.
type record struct {
	name       int
	typ        uint16
	data, next int // RDATA is from data up to next
}

// parseMessage reads the answer to a question, which it must repeat (RFC 5452,
// section 9.1). Servers that did not understand it may leave the question out.
func parseMessage(b []byte, t *Transaction, flags uint16, labels []string, typ uint16) (m message, err error) {
	m, next, err := parseHeader(b, t)
	if err != nil {
		return m, err
	}
	switch {
	case m.counts[0] == 1:
		want := appendQuestion(nil, t, flags, labels, typ)[dnsHeader:]
		if len(b) < next+len(want) || !equalFold(b[next:next+len(want)], want) {
			return m, errForeign
		}
		next += len(want)
	case m.counts[0] != 0 || m.rcode() == 0:
		return m, malformed("%d questions", m.counts[0])
	}
	return m, m.walk(b, next)
}

// parseHeader reads the header of an answer to t.
func parseHeader(b []byte, t *Transaction) (m message, next int, err error) {
	if len(b) < dnsHeader {
		return m, 0, errShort
	}
	m.flags = binary.BigEndian.Uint16(b[2:])
	for i := range m.counts {
		m.counts[i] = int(binary.BigEndian.Uint16(b[4+2*i:]))
	}
	switch {
	case m.flags&flagQR == 0:
		return m, 0, errRequest
	case m.flags&flagOpcode != 0:
		return m, 0, malformed("opcode %d", m.flags&flagOpcode>>11)
	case [2]byte(b) != [2]byte(t.Nonce[:]):
		return m, 0, errForeign
	}
	return m, dnsHeader, nil
}

// walk finds the records from next on. A truncated message may end anywhere.
func (m *message) walk(b []byte, next int) error {
	n := m.counts[1] + m.counts[2] + m.counts[3]
	for i := range n {
		r, ok := readRecord(b, next)
		if !ok {
			if m.flags&flagTC != 0 {
				return nil
			}
			return malformed("record %d of %d is cut short", i+1, n)
		}
		m.records = append(m.records, r)
		next = r.next
	}
	return nil
}

func readRecord(b []byte, at int) (r record, ok bool) {
	fixed, ok := skipName(b, at)
	if !ok || len(b) < fixed+10 {
		return r, false
	}
	r = record{name: at, typ: binary.BigEndian.Uint16(b[fixed:]), data: fixed + 10}
	r.next = r.data + int(binary.BigEndian.Uint16(b[fixed+8:]))
	return r, r.next <= len(b)
}

// skipName returns where the name at at ends. It follows no pointer, so that it
// cannot be led in circles.
func skipName(b []byte, at int) (end int, ok bool) {
	for at < len(b) {
		switch n := int(b[at]); {
		case n == 0:
			return at + 1, true
		case n >= 0xc0:
			return at + 2, at+2 <= len(b)
		case n > 63:
			return 0, false
		default:
			at += 1 + n
		}
	}
	return 0, false
}

// readName reads the name at at as text. Pointers must lead back (RFC 1035,
// section 4.1.4), each further than the last, so that reading ends.
func readName(b []byte, at int) (name string, ok bool) {
	limit := at
	for at < len(b) {
		n := int(b[at])
		switch {
		case n == 0:
			return name, true
		case n >= 0xc0:
			if at+2 > len(b) {
				return "", false
			}
			to := n&0x3f<<8 | int(b[at+1])
			if to >= limit {
				return "", false
			}
			at, limit = to, to
		case n > 63 || at+1+n > len(b) || len(name)+n > 254:
			return "", false
		default:
			if name != "" {
				name += "."
			}
			name += string(b[at+1 : at+1+n])
			at += 1 + n
		}
	}
	return "", false
}

// equalFold compares what may hold a name: letters alike in either case (RFC
// 1035, section 2.3.3).
func equalFold(a, b []byte) bool {
	return slices.EqualFunc(a, b, func(x, y byte) bool { return lower(x) == lower(y) })
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
