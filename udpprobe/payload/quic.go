package payload

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"netprobe/probe"
)

// quic offers a version that is reserved never to exist (RFC 9000, section 15), to
// which a server answers with the list of those it has (section 6.1): no
// handshake, no keys, no state.
//
//	|1|1| ... |       Version (4)      | DCID Len (1) | DCID ... | SCID Len (1) | SCID ... |
var quic = Protocol{
	Name: "quic", Ports: []uint16{443, 853, 8443},
	ask: func(b []byte, t *Transaction) []byte {
		start := len(b)
		b = append(b, quicLong|quicFixed|t.Nonce[0]&0x3f)
		for _, r := range t.Nonce[1:5] {
			b = append(b, r&0xf0|0x0a) // 0x?a?a?a?a
		}
		b = append(append(b, quicID), t.Nonce[5:5+quicID]...)
		b = append(append(b, quicID), t.Nonce[5+quicID:5+2*quicID]...)
		// Servers ignore smaller datagrams of versions they do not know (section 5.2.2).
		return append(b, make([]byte, quicMin-(len(b)-start))...)
	},
	parse: parseQUIC,
}

const (
	quicLong  = 0x80 // the long header (RFC 8999, section 5.1)
	quicFixed = 0x40
	quicID    = 8 // octets of our connection IDs; at least 8 for a first destination (section 7.2)
	quicMin   = 1200
)

func parseQUIC(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < 7 {
		return nil, errShort
	}
	if b[0]&quicLong == 0 {
		return nil, malformed("a short header")
	}
	if v := binary.BigEndian.Uint32(b[1:]); v != 0 {
		return nil, malformed("version %#x where 0 says version negotiation", v)
	}
	dcid, rest, ok1 := quicTake(b[5:])
	scid, rest, ok2 := quicTake(rest)
	switch {
	case !ok1 || !ok2:
		return nil, malformed("a connection ID is cut short")
	case !bytes.Equal(dcid, t.Nonce[5+quicID:5+2*quicID]) || !bytes.Equal(scid, t.Nonce[5:5+quicID]):
		return nil, errForeign
	case len(rest) == 0 || len(rest)%4 != 0:
		return nil, malformed("%d octets of versions", len(rest))
	}
	var versions []string
	for ; len(rest) > 0 && len(versions) < maxList; rest = rest[4:] {
		if v := binary.BigEndian.Uint32(rest); v&0x0f0f0f0f != 0x0a0a0a0a { // else reserved, to keep clients on their toes
			versions = append(versions, quicVersion(v))
		}
	}
	var f facts
	f.list("quic_versions", versions)
	return f, nil
}

// quicTake splits a connection ID off b.
func quicTake(b []byte) (id, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	end := 1 + int(b[0])
	return b[1:end], b[end:], true
}

// quicVersion names a version (RFC 9000, section 15; RFC 9369, section 3.1; IANA's
// registry). Drafts of version 1 were 0xff0000XX.
func quicVersion(v uint32) string {
	switch {
	case v == 1:
		return "v1"
	case v == 0x6b3343cf:
		return "v2"
	case v>>8 == 0xff0000:
		return fmt.Sprintf("draft-%02d", v&0xff)
	}
	return fmt.Sprintf("%#08x", v)
}
