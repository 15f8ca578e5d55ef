// Package payload holds, for each UDP protocol that netprobe speaks, the one
// harmless question that whoever serves it is bound to answer, and what an answer
// to that very question looks like. It knows no socket.
//
// What surprises: who answers nobody. Some services (WireGuard, RADIUS, syslog)
// keep silent to strangers by design; Mute says why, so that their silence is not
// taken for anything. And some protocols echo nothing of a question in some
// answers (a DTLS alert, a TFTP error): then the port that was asked from, which
// nobody can guess, is all that an answer matches.
package payload

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"netprobe/probe"
)

// A Protocol is one question and what its answers look like. It has no state.
type Protocol struct {
	Name  string
	Ports []uint16 // where it is asked unless somebody says otherwise; IANA's assignments
	Mute  string   // why services answer no stranger, for people; empty if they do

	// AnyPort says that services answer from a port of their own choosing (RFC
	// 1350, section 4), which a connected socket never hears.
	AnyPort bool

	ask   func(b []byte, t *Transaction) []byte
	parse func(reply []byte, t *Transaction) ([]probe.Fact, error)
}

// A Transaction is one question on the wire. Its Nonce makes it one that nobody
// can guess; each protocol takes as much of it as its fields have room for.
type Transaction struct {
	Nonce   [96]byte
	Local   netip.AddrPort // where it leaves from, as far as known; some protocols name it (SIP)
	To      netip.AddrPort
	Sent    time.Time // when it left, with the monotonic reading
	Arrived time.Time // when the reply that is parsed arrived, likewise
}

// Renew makes t a new transaction.
func (t *Transaction) Renew() { rand.Read(t.Nonce[:]) }

// Append appends the datagram that asks t.
func (p *Protocol) Append(b []byte, t *Transaction) []byte { return p.ask(b, t) }

// Parse reads a whole datagram as an answer to t. It returns what is worth
// telling of it, in the order in which people want it, or why it is none: not the
// protocol at all, or an answer to somebody else. Strings are bounded and not
// escaped; nothing it returns refers to reply.
func (p *Protocol) Parse(reply []byte, t *Transaction) ([]probe.Fact, error) {
	if len(reply) == 0 {
		return nil, errEmpty
	}
	return p.parse(reply, t)
}

// protocols are all there are, in the order in which people are told of them.
var protocols = []*Protocol{
	&dns, &ntp, &snmp, &stun, &sip, &ike, &coap, &dtls, &quic, &tftp, &netbios, &mdns, &memcached,
	&radius, &wireguard, &syslog,
}

// ByName returns the protocol of that name; nil if there is none.
func ByName(name string) *Protocol {
	for _, p := range protocols {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Names returns the names of all protocols.
func Names() []string {
	var names []string
	for _, p := range protocols {
		names = append(names, p.Name)
	}
	return names
}

// ByPort returns the protocol that is asked at port; nil if there is none.
func ByPort(port uint16) *Protocol { return byPort[port] }

var byPort = func() map[uint16]*Protocol {
	m := map[uint16]*Protocol{}
	for _, p := range protocols {
		for _, port := range p.Ports {
			m[port] = p
		}
	}
	return m
}()

// Errors that say what is wrong with a reply, for people. Parsers add nothing
// from the wire that is not a number.
var (
	errEmpty     = errors.New("an empty datagram")
	errShort     = errors.New("too short")
	errForeign   = errors.New("not an answer to our question")
	errRequest   = errors.New("a question, not an answer")
	errMalformed = errors.New("malformed")
)

func malformed(format string, args ...any) error { return fmt.Errorf(format, args...) }

// facts collects what an answer says.
type facts []probe.Fact

func (f *facts) add(name string, value any) { *f = append(*f, probe.Fact{Name: name, Value: value}) }

// text adds a string from the network unless it is empty. Control characters stay:
// who prints it escapes them.
func (f *facts) text(name, value string) {
	if value != "" {
		f.add(name, bounded(value))
	}
}

// list adds a list of strings from the network unless it is empty.
func (f *facts) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	values = slices.Clone(values[:min(len(values), maxList)])
	for i, v := range values {
		values[i] = bounded(v)
	}
	f.add(name, values)
}

// maxText and maxList bound what is kept of what the network says.
const (
	maxText = 128
	maxList = 32
)

func bounded(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "..."
	}
	return s
}

// named returns the name of n, or the number itself where it has none.
func named[N ~uint8 | ~uint16 | ~int](names map[N]string, n N) string {
	if s, ok := names[n]; ok {
		return s
	}
	return fmt.Sprint(int(n))
}
