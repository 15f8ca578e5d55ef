package icmp

import (
	"bytes"

	"netprobe/probe"
	"netprobe/rawsock"
)

// payload is what echo requests of a run carry: the cookie of each, then the
// same pattern in all.
type payload struct {
	pattern []byte // repeated; nil counts up as ping does
	octets  []byte // as many of them as were needed so far
}

// template returns size octets of the pattern.
func (p *payload) template(size int) []byte {
	for i := len(p.octets); i < size; i++ {
		b := byte(i)
		if len(p.pattern) > 0 {
			b = p.pattern[i%len(p.pattern)]
		}
		p.octets = append(p.octets, b)
	}
	return p.octets[:size]
}

// verify compares the payload of an echo reply with what the request carried:
// size octets that start with cookie. Proven says that the cookie is there; a
// payload too short for one is compared whole.
func (p *payload) verify(m *rawsock.Message, size int, cookie []byte) (flags probe.Flags, proven bool) {
	cookie = cookie[:min(size, len(cookie))]
	proven = bytes.HasPrefix(m.Payload, cookie)
	if m.BadSum {
		flags |= probe.Corrupt
	}
	if len(m.Payload) < size {
		flags |= probe.Truncated
	}
	if !proven {
		if len(m.Payload) >= len(cookie) {
			flags |= probe.Corrupt
		}
		return flags, false
	}
	rest := m.Payload[len(cookie):]
	if len(m.Payload) > size || !bytes.HasPrefix(p.template(size)[len(cookie):], rest) {
		flags |= probe.Corrupt
	}
	return flags, true
}
