package payload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"netprobe/probe"
)

// netbios asks for the status of a node: the names it holds (RFC 1002, sections
// 4.2.17 and 4.2.18). It is a DNS message, but an answer does not repeat the
// question: it names it in its one record.
var netbios = Protocol{
	Name: "netbios", Ports: []uint16{137},
	ask:   func(b []byte, t *Transaction) []byte { return appendQuestion(b, t, 0, []string{wildcard}, typeNBStat) },
	parse: parseNetBIOS,
}

const typeNBStat = 0x21

// wildcard is "*" and fifteen zeros, each half octet a letter from A on (RFC
// 1001, section 14.1; RFC 1002, section 4.2.17).
const wildcard = "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

const (
	nbName  = 15          // characters of a name; a suffix that tells its kind follows
	nbEntry = nbName + 3  // with suffix and flags
	nbGroup = 0x8000      // flag of a name that several nodes hold
	nbUnit  = len("\x00") // number of names
)

func parseNetBIOS(reply []byte, t *Transaction) ([]probe.Fact, error) {
	m, next, err := parseHeader(reply, t)
	if err != nil {
		return nil, err
	}
	if m.counts[0] != 0 || m.counts[1] != 1 {
		return nil, malformed("%d questions and %d answers", m.counts[0], m.counts[1])
	}
	if err := m.walk(reply, next); err != nil {
		return nil, err
	}
	if len(m.records) == 0 {
		return nil, errShort
	}
	r := m.records[0]
	if name, ok := readName(reply, r.name); r.typ != typeNBStat || !ok || name != wildcard {
		return nil, errForeign
	}
	data := reply[r.data:r.next]
	if len(data) < nbUnit || len(data) < nbUnit+int(data[0])*nbEntry {
		return nil, malformed("the list of names is cut short")
	}
	return nodeFacts(data), nil
}

// nodeFacts reads the data of a node status, which is long enough for its names.
func nodeFacts(data []byte) []probe.Fact {
	n, data := int(data[0]), data[nbUnit:]
	var names []string
	for i := range min(n, maxList) {
		e := data[i*nbEntry:]
		s := fmt.Sprintf("%s<%02x>", bytes.TrimRight(e[:nbName], " \x00"), e[nbName])
		if binary.BigEndian.Uint16(e[nbName+1:])&nbGroup != 0 {
			s += " group"
		}
		names = append(names, s)
	}
	var f facts
	f.list("netbios_names", names)
	// The statistics begin with the unit ID, which is the MAC address; Samba has none.
	if rest := data[n*nbEntry:]; len(rest) >= 6 && [6]byte(rest) != [6]byte{} {
		f.add("netbios_mac", net.HardwareAddr(rest[:6]).String())
	}
	return f
}
