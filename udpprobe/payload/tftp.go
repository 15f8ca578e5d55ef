package payload

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"netprobe/probe"
)

// tftp asks for a file that nobody has (RFC 1350, section 5). An answer comes from
// a port that the server picks for the transfer (section 4) and repeats nothing:
// the port that was asked from is what it matches.
var tftp = Protocol{
	Name: "tftp", Ports: []uint16{69}, AnyPort: true,
	ask: func(b []byte, t *Transaction) []byte {
		b = append(b, 0, tftpRead)
		b = append(b, "netprobe-"...)
		b = hex.AppendEncode(b, t.Nonce[:8])
		return append(b, "\x00octet\x00"...)
	},
	parse: parseTFTP,
}

const (
	tftpRead  = 1
	tftpData  = 3
	tftpError = 5

	tftpHeader = 4
	tftpBlock  = 512
)

var tftpErrors = map[uint16]string{
	0: "other", 1: "file not found", 2: "access violation", 3: "disk full", 4: "illegal operation",
	5: "unknown transfer ID", 6: "file already exists", 7: "no such user", 8: "option negotiation", // RFC 2347
}

func parseTFTP(b []byte, _ *Transaction) ([]probe.Fact, error) {
	if len(b) < tftpHeader {
		return nil, errShort
	}
	op, n := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	var f facts
	switch {
	case op == tftpData && n == 1 && len(b) <= tftpHeader+tftpBlock:
		f.add("tftp_data_bytes", len(b)-tftpHeader) // it has files for whatever name
		return f, nil
	case op != tftpError:
		return nil, malformed("opcode %d", op)
	}
	text, _, whole := bytes.Cut(b[tftpHeader:], []byte{0})
	if !whole {
		return nil, malformed("an error text without an end")
	}
	f.add("tftp_error", named(tftpErrors, n))
	f.text("tftp_text", string(text))
	return f, nil
}
