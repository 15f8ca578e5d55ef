package payload

import (
	"encoding/binary"
	"encoding/hex"

	"netprobe/probe"
)

// snmp asks an SNMPv3 engine for its ID (RFC 3414, section 4): a request of no
// user to no engine, which the engine must answer with a report. It takes no
// community and reads nothing.
var snmp = Protocol{
	Name: "snmp", Ports: []uint16{161},
	ask:   appendDiscovery,
	parse: parseSNMP,
}

// Tags of BER (X.690) and of SNMP's PDUs (RFC 3416, section 3).
const (
	berInteger  = 0x02
	berOctets   = 0x04
	berSequence = 0x30
	pduGet      = 0xa0
	pduReport   = 0xa8
)

const (
	snmpV3     = 3
	snmpMax    = 65507 // the largest message we take: what a UDP datagram carries
	reportable = 0x04  // RFC 3412, section 6.4
	usm        = 3     // the user-based security model (RFC 3411, section 5)
)

// msgID is the number of a message, 31 bits (RFC 3412, section 6.2).
func msgID(t *Transaction) int { return int(binary.BigEndian.Uint32(t.Nonce[:]) & 0x7fffffff) }

func appendDiscovery(b []byte, t *Transaction) []byte {
	global := berAppend(nil, berSequence,
		berInt(msgID(t)), berInt(snmpMax), berTLV(berOctets, []byte{reportable}), berInt(usm))
	security := berAppend(nil, berSequence,
		berTLV(berOctets, nil), berInt(0), berInt(0), // engine ID, boots, time
		berTLV(berOctets, nil), berTLV(berOctets, nil), berTLV(berOctets, nil)) // user, authentication, privacy
	pdu := berAppend(nil, pduGet, berInt(msgID(t)), berInt(0), berInt(0), berTLV(berSequence, nil))
	scoped := berAppend(nil, berSequence, berTLV(berOctets, nil), berTLV(berOctets, nil), pdu) // context engine, context
	return berAppend(b, berSequence, berInt(snmpV3), global, berTLV(berOctets, security), scoped)
}

// berAppend appends a value made of parts, all shorter than 256 octets together.
func berAppend(b []byte, tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = append(b, tag)
	if n > 127 {
		b = append(b, 0x81)
	}
	b = append(b, byte(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func berTLV(tag byte, value []byte) []byte { return berAppend(nil, tag, value) }

// berInt is n, which is not negative, in as few octets as hold it and its sign.
func berInt(n int) []byte {
	v := binary.BigEndian.AppendUint64(nil, uint64(n))
	for len(v) > 1 && v[0] == 0 && v[1] < 0x80 {
		v = v[1:]
	}
	return berTLV(berInteger, v)
}

// ber reads values one after the other; bad is set once one is not there.
type ber struct {
	rest []byte
	bad  bool
}

// next returns the contents of the next value, which must have that tag.
func (r *ber) next(tag byte) []byte {
	got, value := r.any()
	if got != tag {
		r.bad = true
		return nil
	}
	return value
}

func (r *ber) any() (tag byte, value []byte) {
	b := r.rest
	if r.bad || len(b) < 2 {
		r.bad = true
		return 0, nil
	}
	n, at := int(b[1]), 2
	if n > 0x7f {
		more := n & 0x7f
		if more == 0 || more > 3 || len(b) < 2+more { // no datagram is longer
			r.bad = true
			return 0, nil
		}
		n, at = 0, 2+more
		for _, c := range b[2:at] {
			n = n<<8 | int(c)
		}
	}
	if len(b)-at < n {
		r.bad = true
		return 0, nil
	}
	r.rest = b[at+n:]
	return b[0], b[at : at+n]
}

// int returns the next value, an integer of at most 64 bits.
func (r *ber) int() int {
	v := r.next(berInteger)
	if len(v) == 0 || len(v) > 8 {
		r.bad = true
		return 0
	}
	n := int64(int8(v[0]))
	for _, c := range v[1:] {
		n = n<<8 | int64(c)
	}
	return int(n)
}

func (r *ber) inner(tag byte) *ber { return &ber{rest: r.next(tag), bad: r.bad} }

func parseSNMP(b []byte, t *Transaction) ([]probe.Fact, error) {
	m := (&ber{rest: b}).inner(berSequence)
	if version := m.int(); m.bad {
		return nil, malformed("no SNMP message")
	} else if version != snmpV3 {
		return nil, malformed("SNMP version %d", version)
	}
	global := m.inner(berSequence)
	id := global.int()
	security := m.inner(berOctets).inner(berSequence)
	engine, boots, seconds := security.next(berOctets), security.int(), security.int()
	scoped := m.inner(berSequence)
	scoped.next(berOctets)
	scoped.next(berOctets)
	pdu, _ := scoped.any()
	switch {
	case m.bad || global.bad || security.bad || scoped.bad:
		return nil, errMalformed
	case pdu == pduGet:
		return nil, errRequest
	case pdu != pduReport:
		return nil, malformed("a PDU %#02x, not a report", pdu)
	case id != msgID(t):
		return nil, errForeign
	case len(engine) < 5 || len(engine) > 32: // RFC 3411, section 5: SnmpEngineID
		return nil, malformed("an engine ID of %d octets", len(engine))
	}
	var f facts
	f.add("snmp_engine_id", hex.EncodeToString(engine))
	// The first four octets are the number that IANA gave the maker of the engine.
	f.add("snmp_enterprise", int(binary.BigEndian.Uint32(engine)&0x7fffffff))
	f.add("snmp_engine_boots", boots)
	f.add("snmp_engine_time_s", seconds)
	return f, nil
}
