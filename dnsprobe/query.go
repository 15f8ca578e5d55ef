package dnsprobe

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/miekg/dns"
)

// Bits of the second 16 of a header (RFC 1035, section 4.1.1; RFC 4035).
const (
	bitQR = 1 << 15
	bitTC = 1 << 9
	bitRD = 1 << 8
	bitAD = 1 << 5
	bitCD = 1 << 4
)

const headerLen = 12

// Codes of EDNS options.
const (
	optNSID    = 3
	optSubnet  = 8
	optCookie  = 10
	optPadding = 12
)

// cookieLen is the length of a client cookie, and with what a server adds it is
// at most cookieMax (RFC 7873, section 4).
const (
	cookieLen = 8
	cookieMax = 40
)

// padTo is what queries are padded to a multiple of where nobody is to learn their
// length (RFC 8467, section 4.1).
const padTo = 128

// A form is a query but for its id, its cookie and its padding.
type form struct {
	wire     []byte // header and question, then the OPT record up to its last option
	question []byte // of wire: name, type and class
	opt      int    // where in wire the OPT record's data length stands; 0 without OPT
	cookie   bool
}

// newForm writes down what q and o ask for.
func newForm(q Question, o *Options) *form {
	b := make([]byte, headerLen, 512)
	flags := uint16(0)
	if !o.NoRecursion {
		flags |= bitRD
	}
	if o.CD {
		flags |= bitCD
	} else if !o.NoEDNS {
		flags |= bitAD // the answer's AD is wanted (RFC 6840, section 5.7)
	}
	binary.BigEndian.PutUint16(b[2:], flags)
	b[5] = 1 // one question
	name := make([]byte, 256)
	n, _ := dns.PackDomainName(q.name, name, 0, nil, false) // checked by NewQuestion
	b = append(b, name[:n]...)
	b = binary.BigEndian.AppendUint16(b, q.typ)
	b = binary.BigEndian.AppendUint16(b, q.class)
	f := &form{}
	end := len(b)
	if !o.NoEDNS {
		b[11] = 1 // one additional record
		b, f.opt = appendOPT(b, o)
		f.cookie = o.Cookie
	}
	f.wire, f.question = b, b[headerLen:end]
	return f
}

// appendOPT appends an OPT record (RFC 6891, section 6.1.2) and returns where the
// length of its data stands.
func appendOPT(b []byte, o *Options) ([]byte, int) {
	size := o.UDPSize
	if size == 0 {
		size = DefaultUDPSize
	}
	b = append(b, 0) // the root
	b = binary.BigEndian.AppendUint16(b, dns.TypeOPT)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	ttl := uint32(0)
	if o.DO {
		ttl = 1 << 15
	}
	b = binary.BigEndian.AppendUint32(b, ttl)
	at := len(b)
	b = append(b, 0, 0)
	if !o.NoNSID {
		b = appendOption(b, optNSID, nil)
	}
	if o.Subnet.IsValid() {
		b = appendOption(b, optSubnet, subnetOption(o))
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b, at
}

func appendOption(b []byte, code uint16, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// subnetOption is the client subnet with no more octets of the address than the
// prefix has (RFC 7871, section 6).
func subnetOption(o *Options) []byte {
	p := o.Subnet.Masked()
	family := byte(1)
	if p.Addr().Is6() {
		family = 2
	}
	b := []byte{0, family, byte(p.Bits()), 0}
	return append(b, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
}

// append appends the query with this id and, if it has cookies, this one; padded
// where pad is set.
func (f *form) append(b []byte, id uint16, cookie []byte, pad bool) []byte {
	start := len(b)
	b = append(b, f.wire...)
	binary.BigEndian.PutUint16(b[start:], id)
	if f.opt == 0 {
		return b
	}
	if f.cookie {
		b = appendOption(b, optCookie, cookie)
	}
	if pad {
		n := len(b) - start + 4
		b = appendOption(b, optPadding, make([]byte, (padTo-n%padTo)%padTo))
	}
	at := start + f.opt
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// newCookie draws a client cookie.
func newCookie() []byte {
	b := make([]byte, cookieLen)
	_, _ = rand.Read(b) // never fails
	return b
}
