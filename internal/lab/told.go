package lab

import "encoding/binary"

// Classes of extension objects: RFC 4950 section 3, RFC 5837 section 4.
const (
	classMPLS      = 1
	classInterface = 2
)

// What an interface object holds, by the bits of its C-Type (RFC 5837 section 4.1).
const (
	hasIndex = 1 << 3
	hasAddr  = 1 << 2
	hasName  = 1 << 1
	hasMTU   = 1 << 0
)

// A quote before extensions is 128 octets at least (RFC 4884 section 3).
const minOriginal = 128

// maxTold is what the smallest error has room for beside that.
const maxTold = maxError4 - 20 - 8 - minOriginal

// told returns the extension structure of RFC 4884 section 7 with what a router
// tells; nil if that is nothing.
func told(stack []Label, interfaces []Interface) []byte {
	if len(stack) == 0 && len(interfaces) == 0 {
		return nil
	}
	b := []byte{2 << 4, 0, 0, 0} // version 2, checksum to come
	if len(stack) > 0 {
		b = appendObject(b, classMPLS, 1, labelStack(stack))
	}
	for _, i := range interfaces {
		kind, body := i.object()
		b = appendObject(b, classInterface, kind, body)
	}
	binary.BigEndian.PutUint16(b[2:], ones(0).plus(b).checksum())
	return b
}

// appendObject appends an extension object (RFC 4884 section 8).
func appendObject(b []byte, class, kind uint8, body []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(body)))
	return append(append(b, class, kind), body...)
}

// labelStack returns the entries of an MPLS label stack (RFC 3032 section 2.1).
func labelStack(stack []Label) []byte {
	var b []byte
	for _, l := range stack {
		entry := l.Label<<12 | uint32(l.TC)<<9 | uint32(l.TTL)
		if l.Bottom {
			entry |= 1 << 8
		}
		b = binary.BigEndian.AppendUint32(b, entry)
	}
	return b
}

// object returns C-Type and payload of an interface information object.
func (i Interface) object() (kind uint8, b []byte) {
	kind = i.Role << 6
	if i.Index != 0 {
		kind |= hasIndex
		b = binary.BigEndian.AppendUint32(b, i.Index)
	}
	if i.Addr.IsValid() {
		kind |= hasAddr
		family := byte(1) // IANA address family numbers: 1 is IPv4, 2 IPv6
		if i.Addr.Is6() {
			family = 2
		}
		b = append(append(b, 0, family, 0, 0), i.Addr.AsSlice()...)
	}
	if i.Name != "" {
		kind |= hasName
		name := append([]byte{0}, i.Name...)
		for len(name)%4 != 0 {
			name = append(name, 0)
		}
		name[0] = byte(len(name))
		b = append(b, name...)
	}
	if i.MTU != 0 {
		kind |= hasMTU
		b = binary.BigEndian.AppendUint32(b, uint32(i.MTU))
	}
	return kind, b
}

// tells reports whether errors with that type have room for extensions (RFC
// 4884 section 4).
func (e ICMPError) tells(v4 bool) bool {
	if v4 {
		return e.V4.Type == unreachable4 || e.V4.Type == exceeded4 || e.V4.Type == parameter4
	}
	return e.V6.Type == unreachable6 || e.V6.Type == exceeded6
}

// extended returns a quote of p with extensions behind it, and the quote's
// length for the field of RFC 4884: in words of unit octets, which are 4 or 8.
func (q Quote) extended(p *Packet, limit, unit int, told []byte) (quote []byte, words int) {
	quote = q.quoted(p, (limit-len(told))/unit*unit)
	if q.NoLength {
		quote = quote[:min(len(quote), minOriginal)]
	}
	size := max(minOriginal, (len(quote)+unit-1)/unit*unit)
	quote = append(quote, make([]byte, size-len(quote))...)
	if !q.NoLength {
		words = size / unit
	}
	return append(quote, told...), words
}
