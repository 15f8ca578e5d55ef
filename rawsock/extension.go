package rawsock

import (
	"encoding/binary"
	"net/netip"
)

// An ICMP extension structure (RFC 4884, section 7) follows the quoted packet:
//
//	 0               1               2               3
//	+-------+-------+---------------+---------------+---------------+
//	|   2   |          reserved     |            checksum           |
//	+-------+-------+---------------+---------------+---------------+
//	|             length            |     class     |    sub-type   |
//	+---------------+---------------+---------------+---------------+
//	|  object payload ...
//
// Length counts the object with these 4 octets. Where the quoted packet ends is
// said by an octet of the ICMP header; routers older than the RFC leave that 0
// and put the structure behind 128 octets of quote (section 5.5).
const (
	extensionVersion = 2
	extensionHeader  = 4
	objectHeader     = 4
	oldQuote         = 128

	classMPLS, typeLabels = 1, 1 // RFC 4950, section 3
	classInterface        = 2    // RFC 5837, section 4
)

// What one message can tell. No router has more to say; whoever claims to is
// cut short.
const (
	maxObjects    = 32
	maxLabels     = 16
	maxInterfaces = 8
)

// splitExtension parts what an ICMP error quotes from the extension structure
// behind it, which is empty if there is none.
func splitExtension(f Family, b []byte) (quote, ext []byte) {
	rest := b[EchoHeaderLen:]
	n, ok := quoteLength(f, b)
	if !ok {
		return rest, nil
	}
	if n > 0 {
		if n > len(rest) {
			return rest, nil
		}
		if !extensionValid(rest[n:], true) {
			return rest[:n], nil
		}
		return rest[:n], rest[n:]
	}
	if len(rest) > oldQuote && extensionValid(rest[oldQuote:], quotedTotal(f, rest) <= oldQuote) {
		return rest[:oldQuote], rest[oldQuote:]
	}
	return rest, nil
}

// quoteLength returns how many octets of quote the length field of an ICMP error
// claims, 0 for a field left empty. It reports whether this type has one.
func quoteLength(f Family, b []byte) (n int, ok bool) {
	if f == IPv6 {
		return int(b[4]) * 8, b[0] == typeUnreachable6 || b[0] == typeExceeded6
	}
	return int(b[5]) * 4, b[0] == typeUnreachable4 || b[0] == typeExceeded4 || b[0] == typeParameter4
}

// quotedTotal is the length of the quoted packet as its own header claims it.
func quotedTotal(f Family, b []byte) int {
	switch {
	case f == IPv4 && len(b) >= headerLen4:
		return int(binary.BigEndian.Uint16(b[2:]))
	case f == IPv6 && len(b) >= headerLen6:
		return headerLen6 + int(binary.BigEndian.Uint16(b[4:]))
	}
	return 0
}

// extensionValid reports whether b is an extension structure by its version and
// checksum. None was computed if that is 0, which is believed only if b can be
// nothing else.
func extensionValid(b []byte, bare bool) bool {
	if len(b) < extensionHeader+objectHeader || b[0]>>4 != extensionVersion {
		return false
	}
	if b[2] == 0 && b[3] == 0 {
		return bare
	}
	return validSum(b)
}

// parseExtension reads the objects of a valid extension structure, or of none.
func (r *Reply) parseExtension(b []byte) {
	if len(b) < extensionHeader {
		return
	}
	b = b[extensionHeader:]
	for range maxObjects {
		if len(b) < objectHeader {
			return
		}
		n := int(binary.BigEndian.Uint16(b))
		if n < objectHeader || n > len(b) {
			return
		}
		body := b[objectHeader:n]
		switch class, sub := b[2], b[3]; {
		case class == classMPLS && sub == typeLabels:
			r.addLabels(body)
		case class == classInterface:
			r.addInterface(sub, body)
		}
		b = b[n:]
	}
}

// addLabels reads a label stack (RFC 3032, section 2.1).
func (r *Reply) addLabels(b []byte) {
	for ; len(b) >= 4 && len(r.MPLS) < maxLabels; b = b[4:] {
		v := binary.BigEndian.Uint32(b)
		r.MPLS = append(r.MPLS, Label{Label: v >> 12, TC: uint8(v >> 9 & 7), Bottom: v>>8&1 != 0, TTL: uint8(v)})
	}
}

// The sub-objects that the sub-type of an Interface Information Object says
// are there, in this order (RFC 5837, section 4.1).
const (
	hasIndex     = 8
	hasAddr      = 4
	hasName      = 2
	hasMTU       = 1
	roleShift    = 6
	longestName  = 64 // with its length octet
	afi4, afi6   = 1, 2
	afiHeaderLen = 4
)

// addInterface reads an Interface Information Object; one that contradicts itself
// is left out.
func (r *Reply) addInterface(sub uint8, b []byte) {
	if len(r.Interfaces) == maxInterfaces {
		return
	}
	var name []byte
	i := InterfaceInfo{Role: sub >> roleShift}
	ok := true
	if ok && sub&hasIndex != 0 {
		i.Index, b, ok = cutUint32(b)
	}
	if ok && sub&hasAddr != 0 {
		i.Addr, b, ok = cutAddr(b)
	}
	if ok && sub&hasName != 0 {
		name, b, ok = cutName(b)
	}
	if ok && sub&hasMTU != 0 {
		var mtu uint32
		mtu, _, ok = cutUint32(b)
		i.MTU = int(min(mtu, 1<<31-1))
	}
	if ok {
		r.appendInterface(i, name)
	}
}

// appendInterface keeps the string that was in this place before if it is the
// same: a router tells its name again and again.
func (r *Reply) appendInterface(i InterfaceInfo, name []byte) {
	n := len(r.Interfaces)
	if n < cap(r.Interfaces) {
		if old := r.Interfaces[:n+1][n].Name; old == string(name) {
			i.Name = old
		}
	}
	if len(i.Name) != len(name) {
		i.Name = string(name)
	}
	r.Interfaces = append(r.Interfaces, i)
}

func cutUint32(b []byte) (v uint32, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(b), b[4:], true
}

// cutAddr reads an Interface IP Address Sub-Object (RFC 5837, section 4.2).
func cutAddr(b []byte) (a netip.Addr, rest []byte, ok bool) {
	if len(b) < afiHeaderLen {
		return a, nil, false
	}
	afi := binary.BigEndian.Uint16(b)
	b = b[afiHeaderLen:]
	switch {
	case afi == afi4 && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b)), b[4:], true
	case afi == afi6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b)), b[16:], true
	}
	return a, nil, false
}

// cutName reads an Interface Name Sub-Object (RFC 5837, section 4.3): its
// length with this octet and the padding, then the name, padded with NUL.
func cutName(b []byte) (name, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n := int(b[0])
	if n == 0 || n > longestName || n > len(b) {
		return nil, nil, false
	}
	name, rest = b[1:n], b[n:]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	return name, rest, true
}
