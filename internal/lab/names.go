package lab

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// namePort is where resolvers listen.
const namePort = 53

// nameTTL is how long answers may be kept, in seconds.
const nameTTL = 60

// maxNameAnswer is the longest answer over UDP (RFC 1035 section 4.2.1).
const maxNameAnswer = 512

// names is what the resolvers know. Its keys are in lower case with a final dot.
type names struct {
	servers []netip.Addr
	forward map[string][]netip.Addr
	reverse map[string]string
}

// newNames returns nil if t has no resolvers.
func newNames(t *Topology) *names {
	servers := t.resolvers()
	if len(servers) == 0 {
		return nil
	}
	n := &names{servers: servers, forward: make(map[string][]netip.Addr), reverse: make(map[string]string)}
	for a, name := range t.Names {
		key := strings.ToLower(name) + "."
		n.forward[key] = append(n.forward[key], a)
		n.reverse[reverseName(a)] = name + "."
	}
	for _, addrs := range n.forward {
		slices.SortFunc(addrs, netip.Addr.Compare) // a map has no order
	}
	return n
}

// reverseName is where the PTR record of a is: RFC 1035 section 3.5, RFC 3596
// section 2.5.
func reverseName(a netip.Addr) string {
	var b strings.Builder
	for _, x := range slices.Backward(a.AsSlice()) {
		if a.Is4() {
			b.WriteString(strconv.Itoa(int(x)) + ".")
			continue
		}
		const digits = "0123456789abcdef"
		b.Write([]byte{digits[x&0xf], '.', digits[x>>4], '.'})
	}
	if a.Is4() {
		return b.String() + "in-addr.arpa."
	}
	return b.String() + "ip6.arpa."
}

// asked reports whether p is a datagram for one of the resolvers.
func (n *names) asked(p *Packet) bool {
	return n != nil && p.Kind == UDP && p.Seq == namePort && slices.Contains(n.servers, p.Dst)
}

// answerName takes p, a datagram for a resolver, and answers it if it is a query.
func (s *sim) answerName(p *Packet) {
	defer s.release(p)
	message, err := s.names.answer(p.payload())
	if err != nil {
		s.log.count(&s.log.totals.Ignored)
		return
	}
	s.log.count(&s.log.totals.Queries)
	raw := s.packer.datagram(header{src: p.Dst, dst: p.Src, ttl: 64}, p.Seq, p.ID, message)
	if s.topo.NameDelay == 0 {
		s.deliverName(raw)
		return
	}
	raw = slices.Clone(raw)
	s.events.push(event{at: s.clock + s.topo.NameDelay, do: func() { s.deliverName(raw) }})
}

func (s *sim) deliverName(raw []byte) {
	if !s.deliver(raw) {
		s.log.count(&s.log.totals.Overflow)
	}
}

// answer returns the answer to a DNS query. It fails for what is none.
func (n *names) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	asked, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	if asked.Response {
		return nil, errMalformed
	}
	head := dnsmessage.Header{
		ID: asked.ID, Response: true, OpCode: asked.OpCode, Authoritative: true,
		RecursionDesired: asked.RecursionDesired, RecursionAvailable: true,
	}
	q, err := p.Question()
	switch {
	case asked.OpCode != 0:
		head.RCode = dnsmessage.RCodeNotImplemented
		return (&dnsmessage.Message{Header: head}).Pack()
	case err != nil:
		head.RCode = dnsmessage.RCodeFormatError
		return (&dnsmessage.Message{Header: head}).Pack()
	}
	message := dnsmessage.Message{Header: head, Questions: []dnsmessage.Question{q}}
	known := false
	if message.Answers, known = n.lookup(q); !known {
		message.RCode = dnsmessage.RCodeNameError
	}
	return packed(&message)
}

// packed returns message, without the answers that are too many for a datagram.
func packed(message *dnsmessage.Message) ([]byte, error) {
	for {
		b, err := message.Pack()
		if err != nil || len(b) <= maxNameAnswer || len(message.Answers) == 0 {
			return b, err
		}
		message.Answers = message.Answers[:len(message.Answers)-1]
	}
}

// lookup returns the records asked for, and whether there is such a name.
func (n *names) lookup(q dnsmessage.Question) (records []dnsmessage.Resource, known bool) {
	key := strings.ToLower(q.Name.String())
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: nameTTL}
	addrs, isName := n.forward[key]
	target, isReverse := n.reverse[key]
	if q.Class != dnsmessage.ClassINET {
		return nil, isName || isReverse
	}
	for _, a := range addrs {
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			records = append(records, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			records = append(records, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if isReverse && q.Type == dnsmessage.TypePTR {
		if name, err := dnsmessage.NewName(target); err == nil {
			records = append(records, dnsmessage.Resource{Header: head, Body: &dnsmessage.PTRResource{PTR: name}})
		}
	}
	return records, isName || isReverse
}
