package tcpprobe

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"netprobe/probe"
)

// postgres asks for TLS by an SSLRequest, a length and a code, which is answered
// by a single byte. Nothing but the handshake may follow it.
func (t *talk) postgres() *fault {
	const sslRequest = 1234<<16 | 5679
	request := binary.BigEndian.AppendUint32(nil, 8)
	if f := t.say(string(binary.BigEndian.AppendUint32(request, sslRequest))); f != nil {
		return f
	}
	answer, err := t.in.ReadByte()
	if err != nil {
		return t.w.broken(err, probe.BadReply)
	}
	switch answer {
	case 'S':
		return nil
	case 'N':
		return badf("the server has no TLS (ssl is off)")
	case 'E':
		return badf("the server turns us away: %s", t.postgresError())
	}
	said := []byte{answer}
	if n := t.in.Buffered(); n > 0 {
		rest, _ := t.in.Peek(min(n, maxFirst))
		said = append(said, rest...)
	}
	return badf("answered in something that is not PostgreSQL: %s", excerpt(said))
}

// postgresError reads the message of an ErrorResponse whose first byte is read.
func (t *talk) postgresError() string {
	var length [4]byte
	if _, err := io.ReadFull(t.in, length[:]); err != nil {
		return "no reason given"
	}
	n := int(binary.BigEndian.Uint32(length[:])) - len(length)
	if n < 0 || n > maxLine {
		// Servers before 7.4, and those that could not fork, send plain text
		// (PostgreSQL documentation, protocol flow, start-up).
		return postgresText(length[:], t)
	}
	body := make([]byte, n)
	n, _ = io.ReadFull(t.in, body)
	if text := parsePostgresError(body[:n]); text != "" {
		return text
	}
	return "no reason given"
}

func postgresText(start []byte, t *talk) string {
	rest, _ := t.in.Peek(min(t.in.Buffered(), maxFirst))
	text, _, _ := strings.Cut(string(start)+string(rest), "\x00")
	return excerpt([]byte(text))
}

// parsePostgresError returns the message among the fields of an ErrorResponse,
// each a type byte and a string that ends with a zero; empty if there is none.
func parsePostgresError(body []byte) string {
	for field := range strings.SplitSeq(string(body), "\x00") {
		if text, ok := strings.CutPrefix(field, "M"); ok {
			return excerpt([]byte(text))
		}
	}
	return ""
}

// mysql reads the handshake that the server begins with and asks for TLS by an
// answer that breaks off where the user's name would follow.
func (t *talk) mysql() *fault {
	packet, seq, f := t.packet()
	if f != nil {
		return f
	}
	h, err := parseMySQLHandshake(packet)
	if err != nil {
		return badf("%v", err)
	}
	t.w.learn("starttls_server", h.version)
	if h.capabilities&mysqlSSL == 0 {
		return badf("the server has no TLS")
	}
	return t.say(string(sslRequest(h, seq+1)))
}

// packet reads one packet: three bytes of length, the lowest first, a number,
// and that many bytes.
func (t *talk) packet() (body []byte, seq byte, f *fault) {
	var head [4]byte
	if n, err := io.ReadFull(t.in, head[:]); err != nil {
		if n > 0 {
			return nil, 0, badf("answered in something that is not MySQL: %s", excerpt(head[:n]))
		}
		return nil, 0, t.w.broken(err, probe.BadReply)
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n == 0 || n > maxLine {
		rest, _ := t.in.Peek(min(t.in.Buffered(), maxFirst))
		return nil, 0, badf("answered in something that is not MySQL: %s", excerpt(append(head[:], rest...)))
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(t.in, body); err != nil {
		return nil, 0, t.w.broken(err, probe.BadReply)
	}
	return body, head[3], nil
}

// Capabilities of the MySQL protocol.
const (
	mysqlProtocol41   = 1 << 9
	mysqlSSL          = 1 << 11
	mysqlSecureConn   = 1 << 15
	mysqlPluginAuth   = 1 << 19
	mysqlErrorPacket  = 0xff
	mysqlProtocolV10  = 10
	mysqlVersionBound = 128
)

// mysqlHandshake is what is needed of a server's handshake, version 10:
//
//	1 version, server's version, 0, 4 thread, 8 of the salt, 1 filler, 2 low capabilities,
//	1 character set, 2 status, 2 high capabilities, ...
type mysqlHandshake struct {
	version      string
	capabilities uint32
}

func parseMySQLHandshake(b []byte) (h mysqlHandshake, err error) {
	if len(b) > 2 && b[0] == mysqlErrorPacket {
		code := binary.LittleEndian.Uint16(b[1:])
		text := b[3:]
		if len(text) > 6 && text[0] == '#' { // an SQL state of five characters
			text = text[6:]
		}
		return h, fmt.Errorf("the server turns us away: error %d: %s", code, excerpt(text))
	}
	notMySQL := fmt.Errorf("answered in something that is not MySQL: %s", excerpt(b))
	if len(b) == 0 || b[0] != mysqlProtocolV10 {
		return h, notMySQL
	}
	version, rest, ok := strings.Cut(string(b[1:]), "\x00")
	const low, high = 4 + 8 + 1, 4 + 8 + 1 + 2 + 1 + 2
	if !ok || len(version) > mysqlVersionBound || len(rest) < low+2 {
		return h, notMySQL
	}
	h.version = version
	h.capabilities = uint32(rest[low]) | uint32(rest[low+1])<<8
	if len(rest) >= high+2 {
		h.capabilities |= uint32(rest[high])<<16 | uint32(rest[high+1])<<24
	}
	return h, nil
}

// sslRequest is the packet that asks for TLS: capabilities, the longest packet
// we take, a character set, and 23 bytes of nothing.
func sslRequest(h mysqlHandshake, seq byte) []byte {
	const utf8mb4, length = 45, 32
	want := uint32(mysqlProtocol41 | mysqlSSL | mysqlSecureConn | mysqlPluginAuth)
	b := []byte{length, 0, 0, seq}
	b = binary.LittleEndian.AppendUint32(b, want&(h.capabilities|mysqlSSL))
	b = binary.LittleEndian.AppendUint32(b, 1<<24-1)
	b = append(b, utf8mb4)
	return append(b, make([]byte, 23)...)
}
