package lab

import "encoding/binary"

// Control bits of TCP (RFC 9293 section 3.1).
const (
	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagACK = 1 << 4
)

// tcpHeader is the header of a TCP segment, without its options.
type tcpHeader struct {
	from, to uint16
	seq, ack uint32
	flags    uint8
	window   uint16
	data     int // octets behind the header
}

// tcp takes the TCP header of p, whose Kind is TCP, apart. It reports false
// if that is not whole. Nobody asks for the options: they are skipped unread.
func (p *Packet) tcp() (tcpHeader, bool) {
	b := p.Raw[p.l4:]
	if len(b) < 20 {
		return tcpHeader{}, false
	}
	offset := int(b[12]>>4) * 4
	if offset < 20 || offset > len(b) {
		return tcpHeader{}, false
	}
	return tcpHeader{
		from: binary.BigEndian.Uint16(b), to: binary.BigEndian.Uint16(b[2:]),
		seq: binary.BigEndian.Uint32(b[4:]), ack: binary.BigEndian.Uint32(b[8:]),
		flags: b[13], window: binary.BigEndian.Uint16(b[14:]), data: len(b) - offset,
	}, true
}

// has reports whether one of flags is set.
func (t tcpHeader) has(flags uint8) bool { return t.flags&flags != 0 }

// space returns how many sequence numbers the segment takes (RFC 9293 section 3.4).
func (t tcpHeader) space() uint32 {
	n := uint32(t.data)
	if t.has(flagSYN) {
		n++
	}
	if t.has(flagFIN) {
		n++
	}
	return n
}

// tcp builds a TCP segment (RFC 9293 section 3.1) with options, whose length is
// a multiple of 4, and without data.
func (k *packer) tcp(h header, t tcpHeader, options ...byte) []byte {
	b := k.begin(h, protoTCP)
	b = binary.BigEndian.AppendUint16(b, t.from)
	b = binary.BigEndian.AppendUint16(b, t.to)
	b = binary.BigEndian.AppendUint32(b, t.seq)
	b = binary.BigEndian.AppendUint32(b, t.ack)
	b = append(b, byte(20+len(options))/4<<4, t.flags)
	b = binary.BigEndian.AppendUint16(b, t.window)
	b = append(b, 0, 0, 0, 0) // checksum, and no urgent data
	return k.seal(append(b, options...), h, protoTCP)
}

// handshake answers t, which has SYN, by SYN and ACK (RFC 9293 section 3.5)
// with the maximum segment size of an Ethernet (option 2, section 3.2).
func (k *packer) handshake(h header, t tcpHeader) []byte {
	// The initial sequence number is the sender's own choice: one that tells
	// the connection, and is never the one it answers.
	isn := ^t.seq ^ uint32(t.from)<<16
	answer := tcpHeader{from: t.to, to: t.from, seq: isn, ack: t.seq + 1, flags: flagSYN | flagACK, window: 65535}
	return k.tcp(h, answer, 2, 4, 1460>>8, 1460&0xff)
}

// refusal answers t, which came to a port that is closed, by an RST; nil if t
// is none to answer (RFC 9293 section 3.5.2).
func (k *packer) refusal(h header, t tcpHeader) []byte {
	if t.has(flagRST) {
		return nil
	}
	rst := tcpHeader{from: t.to, to: t.from, flags: flagRST}
	if t.has(flagACK) {
		rst.seq = t.ack
	} else {
		rst.flags, rst.ack = flagRST|flagACK, t.seq+t.space()
	}
	return k.tcp(h, rst)
}
