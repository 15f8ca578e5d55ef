package payload

import (
	"encoding/binary"
	"strings"

	"netprobe/probe"
)

// memcached asks for the version, which takes as many octets to answer as to ask:
// nothing that is worth forging a source address for. In front of the text stand
// four numbers of 16 bits (memcached's protocol.txt, "UDP protocol"): request ID,
// sequence number, how many datagrams there are, and zero.
var memcached = Protocol{
	Name: "memcached", Ports: []uint16{11211},
	ask: func(b []byte, t *Transaction) []byte {
		b = append(b, t.Nonce[0], t.Nonce[1], 0, 0, 0, 1, 0, 0)
		return append(b, "version\r\n"...)
	},
	parse: parseMemcached,
}

const memcachedHeader = 8

func parseMemcached(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < memcachedHeader {
		return nil, errShort
	}
	seq, all := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])
	text, end := strings.CutSuffix(string(b[memcachedHeader:]), "\r\n")
	version, ok := strings.CutPrefix(text, "VERSION ")
	refused := strings.HasPrefix(text, "ERROR") || strings.HasPrefix(text, "SERVER_ERROR ") || strings.HasPrefix(text, "CLIENT_ERROR ")
	switch {
	case text == "version":
		return nil, errRequest
	case seq != 0 || all != 1 || !end || !ok && !refused:
		return nil, malformed("no answer to a memcached command")
	case [2]byte(b) != [2]byte(t.Nonce[:]):
		return nil, errForeign
	}
	var f facts
	f.text("memcached_version", version)
	if refused {
		f.text("memcached_error", text)
	}
	return f, nil
}
