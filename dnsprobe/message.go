package dnsprobe

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"netprobe/probe"
)

// decode reads a whole answer. No message may take the process down with it,
// whatever the library makes of it.
func decode(b []byte, cookie []byte) (m *probe.DNSMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("it cannot be read: %v", p)
		}
	}()
	var msg dns.Msg
	if err := msg.Unpack(b); err != nil && !msg.Truncated {
		return nil, err
	}
	m = &probe.DNSMessage{
		Rcode: rcodeName(msg.Rcode), Flags: flagNames(b), Opcode: opcodeName(msg.Opcode), Size: len(b),
		Answers: records(msg.Answer), Authority: records(msg.Ns), Additional: records(msg.Extra),
	}
	if opt := msg.IsEdns0(); opt != nil {
		m.EDNS = options(opt, cookie)
	}
	return m, nil
}

// headerBits are the flags of a header by their bits, in the order of the wire.
var headerBits = []struct {
	bit  uint16
	name string
}{{bitQR, "qr"}, {1 << 10, "aa"}, {bitTC, "tc"}, {bitRD, "rd"}, {1 << 7, "ra"}, {1 << 6, "z"}, {bitAD, "ad"}, {bitCD, "cd"}}

func flagNames(b []byte) []string {
	names := []string{}
	flags := binary.BigEndian.Uint16(b[2:])
	for _, h := range headerBits {
		if flags&h.bit != 0 {
			names = append(names, h.name)
		}
	}
	return names
}

func opcodeName(op int) string {
	if name, ok := dns.OpcodeToString[op]; ok {
		return name
	}
	return "OPCODE" + strconv.Itoa(op)
}

// records renders all but OPT, whose fields mean something else.
func records(rrs []dns.RR) []probe.DNSRecord {
	out := []probe.DNSRecord{}
	for _, rr := range rrs {
		if h := rr.Header(); h.Rrtype != dns.TypeOPT {
			out = append(out, probe.DNSRecord{
				Name: h.Name, Class: className(h.Class), Type: typeName(h.Rrtype), TTL: h.Ttl, Data: dataOf(rr),
			})
		}
	}
	return out
}

// dataOf is the text of rr after its header.
func dataOf(rr dns.RR) string {
	text, head := rr.String(), rr.Header().String()
	if data, ok := strings.CutPrefix(text, head); ok {
		return data
	}
	// Types the library does not know have a header of their own: TYPE and CLASS
	// with numbers, then the data.
	if parts := strings.SplitN(text, "\t", 5); len(parts) == 5 {
		return parts[4]
	}
	return text
}

// options reads what an OPT record says.
func options(opt *dns.OPT, cookie []byte) *probe.DNSOptions {
	o := &probe.DNSOptions{Version: int(opt.Version()), UDPSize: int(opt.UDPSize()), DO: opt.Do()}
	for _, option := range opt.Option {
		switch e := option.(type) {
		case *dns.EDNS0_NSID:
			o.NSID, o.HasNSID = nsidText(e.Nsid), true
		case *dns.EDNS0_EDE:
			o.Errors = append(o.Errors, probe.DNSError{
				Code: int(e.InfoCode), Name: dns.ExtendedErrorCodeToString[e.InfoCode], Text: e.ExtraText,
			})
		case *dns.EDNS0_COOKIE:
			o.Cookie = e.Cookie[min(len(e.Cookie), 2*cookieLen):]
			o.CookieOK = len(cookie) >= cookieLen && strings.HasPrefix(e.Cookie, hex.EncodeToString(cookie[:cookieLen]))
		case *dns.EDNS0_SUBNET:
			if a, ok := netip.AddrFromSlice(e.Address); ok {
				if e.Family == 1 {
					a = a.Unmap()
				}
				o.Subnet, o.Scope = netip.PrefixFrom(a, int(e.SourceNetmask)), int(e.SourceScope)
			}
		case *dns.EDNS0_PADDING:
			o.Padding = len(e.Padding)
		default:
			o.Others = append(o.Others, strconv.Itoa(int(option.Option())))
		}
	}
	return o
}

// nsidText turns the octets of an NSID, in hexadecimal, into text if all are
// printable.
func nsidText(h string) string {
	b, err := hex.DecodeString(h)
	if err != nil || len(b) == 0 {
		return h
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return h
		}
	}
	return string(b)
}

// questionWords says what a question out of a message asks, for people.
func questionWords(q []byte) string {
	name, at, err := dns.UnpackDomainName(q, 0)
	if err != nil || at+4 != len(q) {
		return "unreadable"
	}
	return name + " " + typeName(binary.BigEndian.Uint16(q[at:]))
}
