package rawsock

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Layout of what AppendProbe builds behind the IP header, in octets.
const (
	cookieAt   = 8             // of the transport header of ICMP and UDP
	balanceAt  = cookieAt + 8  // the 2 octets that make the checksum come out
	shortestUD = balanceAt + 2 // of an echo request or UDP datagram that holds all of that

	synLen       = 40 // header with the options that hosts send with a SYN
	synBalanceAt = 30 // low half of the timestamp value

	flagFIN, flagSYN, flagRST, flagACK = 1, 2, 4, 16 // RFC 9293, section 3.1

	longestPayload = 1<<16 - 1 // of IPv6, and IPv4 packets as a whole
)

// AppendProbe appends p as a whole IP packet of the family of p.To, IP header
// first, and returns the longer slice. It does not allocate if b has room.
//
// The IPv4 packet is not to be fragmented. A size above what holds the numbers
// is filled with zeros, as payload: so a TCP SYN longer than 60 octets (80 for
// IPv6) carries data, and an RST then acknowledges these as well.
func AppendProbe(b []byte, proto Proto, p *Probe) []byte {
	head, limit := headerLen4, longestPayload
	if !p.To.Is4() {
		head, limit = headerLen6, headerLen6+longestPayload
	}
	total := min(max(p.Size, head+proto.shortest()), limit)
	at := len(b)
	b = slices.Grow(b, total)[:at+total]
	ip := b[at:]
	clear(ip)
	if p.To.Is4() {
		putHeader4(ip, proto, p)
	} else {
		putHeader6(ip, proto, p)
	}
	putTransport(ip[head:], proto, p)
	return b
}

// shortest is the length of the shortest transport header and payload of a
// probe.
func (p Proto) shortest() int {
	if p == TCP {
		return synLen
	}
	return shortestUD
}

// number is the protocol's number in an IP header of family f.
func (p Proto) number(f Family) uint8 {
	if p == ICMP && f == IPv6 {
		return protoICMP6
	}
	return uint8(p)
}

func putHeader4(b []byte, proto Proto, p *Probe) {
	b[0], b[1] = 4<<4|headerLen4/4, p.TOS
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], p.N)
	b[6] = 0x40 // don't fragment
	b[8], b[9] = p.TTL, proto.number(IPv4)
	if p.From.Is4() {
		from := p.From.As4()
		copy(b[12:], from[:])
	}
	to := p.To.As4()
	copy(b[16:], to[:])
	binary.BigEndian.PutUint16(b[10:], ^sum(b[:headerLen4]))
}

func putHeader6(b []byte, proto Proto, p *Probe) {
	binary.BigEndian.PutUint32(b, 6<<28|uint32(p.TOS)<<20|uint32(p.Flow))
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-headerLen6))
	b[6], b[7] = proto.number(IPv6), p.TTL
	if p.From.Is6() {
		from := p.From.As16()
		copy(b[8:], from[:])
	}
	to := p.To.As16()
	copy(b[24:], to[:])
}

// putTransport writes the transport header and payload of p into b, which is
// all zero.
func putTransport(b []byte, proto Proto, p *Probe) {
	sumAt, balance, want := 2, balanceAt, p.Flow
	switch proto {
	case UDP:
		sumAt, want = 6, p.N
		binary.BigEndian.PutUint16(b, p.Flow)
		binary.BigEndian.PutUint16(b[2:], p.Port)
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		binary.BigEndian.PutUint64(b[cookieAt:], p.Cookie)
	case TCP:
		sumAt, balance, want = 16, synBalanceAt, p.N
		putSYN(b, p)
	default:
		b[0] = echoType(FamilyOf(p.To))
		binary.BigEndian.PutUint16(b[4:], p.Flow)
		binary.BigEndian.PutUint16(b[6:], p.N)
		binary.BigEndian.PutUint64(b[cookieAt:], p.Cookie)
	}
	// With the checksum in its place, whatever makes the sum of all -0 makes
	// that checksum right.
	binary.BigEndian.PutUint16(b[sumAt:], want)
	s := sum(b)
	if proto != ICMP || p.To.Is6() {
		s = add(s, pseudoSum(p.From, p.To, proto.number(FamilyOf(p.To)), len(b)))
	}
	binary.BigEndian.PutUint16(b[balance:], ^s)
}

// putSYN writes a SYN with the options that hosts of today send: some
// firewalls drop one without.
func putSYN(b []byte, p *Probe) {
	binary.BigEndian.PutUint16(b, p.Flow)
	binary.BigEndian.PutUint16(b[2:], p.Port)
	binary.BigEndian.PutUint16(b[4:], p.N)
	binary.BigEndian.PutUint16(b[6:], uint16(p.Cookie))
	b[12], b[13] = synLen/4<<4, flagSYN
	binary.BigEndian.PutUint16(b[14:], 64240) // window
	mss := uint16(1460)
	if p.To.Is6() {
		mss = 1440
	}
	o := b[headerLenTCP:]
	o[0], o[1] = 2, 4 // maximum segment size (RFC 9293, section 3.7.1)
	binary.BigEndian.PutUint16(o[2:], mss)
	o[4], o[5] = 4, 2  // selective acknowledgements permitted (RFC 2018)
	o[6], o[7] = 8, 10 // timestamps (RFC 7323, section 3.2)
	binary.BigEndian.PutUint16(o[8:], uint16(p.Cookie>>16))
	o[16] = 1                     // no operation
	o[17], o[18], o[19] = 3, 3, 7 // window scale (RFC 7323, section 2.2)
}

// headerLenTCP is the length of a TCP header without options.
const headerLenTCP = 20

// add is the one's complement sum of two of them.
func add(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s>>16 + s&0xffff)
}

// pseudoSum is the sum of the pseudo-header of a transport header and payload
// of n octets (RFC 9293, section 3.1; RFC 8200, section 8.1). An address that
// is not of the family of dst counts as zero.
func pseudoSum(src, dst netip.Addr, proto uint8, n int) uint16 {
	var b [headerLen6]byte
	if dst.Is4() {
		if src.Is4() {
			a := src.As4()
			copy(b[:], a[:])
		}
		a := dst.As4()
		copy(b[4:], a[:])
	} else {
		if src.Is6() {
			a := src.As16()
			copy(b[:], a[:])
		}
		a := dst.As16()
		copy(b[16:], a[:])
	}
	binary.BigEndian.PutUint32(b[32:], uint32(n))
	b[39] = proto
	return sum(b[:])
}
