package output

import (
	"fmt"
	"strconv"

	"netprobe/probe"
)

// ICMP types of errors (RFC 792) and of ICMPv6 errors (RFC 4443).
const (
	icmpUnreachable  = 3
	icmpSourceQuench = 4
	icmpTimeExceeded = 11
	icmpParameter    = 12

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4

	codeFragNeeded = 4 // of icmpUnreachable
)

// unreachableTexts are ping's words for destination unreachable, by code (RFC
// 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
var unreachableTexts = [...]string{
	"Destination Net Unreachable",
	"Destination Host Unreachable",
	"Destination Protocol Unreachable",
	"Destination Port Unreachable",
	"Frag needed and DF set",
	"Source Route Failed",
	"Destination Net Unknown",
	"Destination Host Unknown",
	"Source Host Isolated",
	"Destination Net Prohibited",
	"Destination Host Prohibited",
	"Destination Net Unreachable for Type of Service",
	"Destination Host Unreachable for Type of Service",
	"Packet filtered",
	"Precedence Violation",
	"Precedence Cutoff",
}

// unreachable6Texts are ping's words by code, except for the last ones (RFC
// 4443 section 3.1, RFC 8883 for 8), which ping does not know.
var unreachable6Texts = [...]string{
	"No route",
	"Administratively prohibited",
	"Beyond scope of source address",
	"Address unreachable",
	"Port unreachable",
	"Source address failed policy",
	"Reject route",
	"Error in source routing header",
	"Headers too long",
}

var exceededTexts = [...]string{"Time to live exceeded", "Frag reassembly time exceeded"}
var exceeded6Texts = [...]string{"Hop limit", "Defragmentation failure"}
var parameter6Texts = [...]string{"Wrong header field", "Unknown header", "Unknown option"}

// appendICMPError appends what the ICMP error that decided r says, in ping's
// words where it has any.
func appendICMPError(b []byte, r *probe.Result) []byte {
	if r.From.Is4() {
		return appendICMP4Error(b, r)
	}
	return appendICMP6Error(b, r)
}

func appendICMP4Error(b []byte, r *probe.Result) []byte {
	switch r.Type {
	case icmpUnreachable:
		b = appendByCode(b, unreachableTexts[:], r.Code, "Dest Unreachable, Bad Code: %d")
		if r.Code == codeFragNeeded {
			b = append(b, " (mtu = "...)
			b = strconv.AppendInt(b, int64(r.MTU), 10)
			b = append(b, ')')
		}
		return b
	case icmpSourceQuench:
		return append(b, "Source Quench"...)
	case icmpTimeExceeded:
		return appendByCode(b, exceededTexts[:], r.Code, "Time exceeded, Bad Code: %d")
	case icmpParameter:
		return append(b, "Parameter problem"...)
	}
	return fmt.Appendf(b, "Bad ICMP type: %d", r.Type)
}

func appendICMP6Error(b []byte, r *probe.Result) []byte {
	switch r.Type {
	case icmp6Unreachable:
		b = append(b, "Destination unreachable: "...)
		return appendByCode(b, unreachable6Texts[:], r.Code, "Unknown code %d")
	case icmp6TooBig:
		b = append(b, "Packet too big: mtu="...)
		return strconv.AppendInt(b, int64(r.MTU), 10)
	case icmp6TimeExceeded:
		b = append(b, "Time exceeded: "...)
		return appendByCode(b, exceeded6Texts[:], r.Code, "code=%d")
	case icmp6Parameter:
		b = append(b, "Parameter problem: "...)
		return appendByCode(b, parameter6Texts[:], r.Code, "code=%d")
	}
	return fmt.Appendf(b, "unknown icmp type: %d", r.Type)
}

// appendByCode appends texts[code], or unknown with the code in it.
func appendByCode(b []byte, texts []string, code uint8, unknown string) []byte {
	if int(code) < len(texts) {
		return append(b, texts[code]...)
	}
	return fmt.Appendf(b, unknown, code)
}
