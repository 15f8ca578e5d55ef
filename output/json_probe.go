package output

import (
	"net/netip"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"time"

	"netprobe/probe"
)

var flagNames = probe.FlagNames()

// appendProbe appends the probe record of r. There may be a hundred thousand a
// second: it allocates nothing.
func (v *jsonView) appendProbe(b []byte, r *probe.Result) []byte {
	left := r.Sent
	if left.IsZero() {
		left = time.Now() // it never left: when that was found out
	}
	b = append(b, `{"v":1,"record":"probe","time":`...)
	b = appendTime(b, left)
	b = append(b, v.mid...)
	b = appendString(b, r.Target.Name)
	b = append(b, `,"addr":`...)
	b = appendAddr(b, r.Target.Addr.Addr())
	b = append(b, `,"port":`...)
	b = appendUintOrNull(b, uint64(v.portOf(r.Target)), v.portOf(r.Target) != 0)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"status":"`...)
	b = append(b, r.Status.String()...)
	b = append(b, `","reason":"`...)
	b = append(b, r.Reason.String()...)
	b = append(b, `","from":`...)
	b = appendAddr(b, answerer(r))
	b = appendAnswer(b, r)
	b = append(b, `,"flags":`...)
	b = appendFlags(b, r.Flags)
	b = append(b, `,"lag_ms":`...)
	b = appendMillisOrNull(b, r.Lag, !r.Sent.IsZero())
	b = v.appendProtocol(b, r)
	b = append(b, `,"error":`...)
	b = appendFailure(b, r)
	if l := layersOf(r); l != nil {
		b = appendLayerFields(b, l)
	}
	if hop, ok := r.Detail.(*probe.Hop); ok {
		b = append(b, `,"hop_ttl":`...)
		b = strconv.AppendUint(b, uint64(hop.TTL), 10)
		b = append(b, `,"flow":`...)
		b = strconv.AppendUint(b, uint64(hop.Flow), 10)
	}
	return append(b, "}\n"...)
}

// answerer is who answered r. What was sent back without a proof that it is an
// answer is none, whoever claims to have sent it.
func answerer(r *probe.Result) netip.Addr {
	if r.Status == probe.Lost {
		return netip.Addr{}
	}
	return r.From
}

// appendAnswer appends what is known of the answer, null where there was none.
func appendAnswer(b []byte, r *probe.Result) []byte {
	answered := answerer(r).IsValid()
	b = append(b, `,"rtt_ms":`...)
	b = appendMillisOrNull(b, r.RTT, answered)
	b = append(b, `,"clock":`...)
	if answered {
		b = append(b, '"')
		b = append(b, r.Clock.String()...)
		b = append(b, '"')
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"host_ms":`...)
	b = appendMillisOrNull(b, r.Host, answered && (r.Clock == probe.Kernel || r.Retrans > 0))
	b = append(b, `,"ttl":`...)
	b = appendUintOrNull(b, uint64(r.TTL), r.TTL > 0)
	b = append(b, `,"size_bytes":`...)
	return appendUintOrNull(b, uint64(max(r.Size, 0)), r.Size > 0)
}

// appendProtocol appends the fields that only some protocols have.
func (v *jsonView) appendProtocol(b []byte, r *probe.Result) []byte {
	b = append(b, `,"icmp":`...)
	b = appendICMP(b, r, v.kind)
	b = append(b, `,"mtu":`...)
	b = appendUintOrNull(b, uint64(max(r.MTU, 0)), r.MTU > 0)
	b = append(b, `,"retrans":`...)
	b = appendUintOrNull(b, uint64(r.Retrans), v.kind == "tcp" && v.h.Trace == nil && !r.Sent.IsZero())
	b = append(b, `,"phases_ms":`...)
	return appendPhases(b, layersOf(r))
}

// appendICMP appends {"type":...,"code":...}, null unless an ICMP message decided r.
func appendICMP(b []byte, r *probe.Result, proto string) []byte {
	if !hasICMP(r, proto) {
		return append(b, "null"...)
	}
	b = append(b, `{"type":`...)
	b = strconv.AppendUint(b, uint64(r.Type), 10)
	b = append(b, `,"code":`...)
	b = strconv.AppendUint(b, uint64(r.Code), 10)
	return append(b, '}')
}

// appendFailure appends {"code":...,"text":...}, null unless r is Failed.
func appendFailure(b []byte, r *probe.Result) []byte {
	if r.Status != probe.Failed {
		return append(b, "null"...)
	}
	b = append(b, `{"code":"`...)
	b = append(b, r.Reason.String()...)
	b = append(b, `","text":`...)
	text := r.Reason.String()
	if r.Err != nil {
		text = r.Err.Error()
	}
	b = appendString(b, text)
	return append(b, '}')
}

func appendFlags(b []byte, f probe.Flags) []byte {
	b = append(b, '[')
	for i, n := range flagNames {
		if f&(1<<i) == 0 {
			continue
		}
		if b[len(b)-1] != '[' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, n...)
		b = append(b, '"')
	}
	return append(b, ']')
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, "null"...)
	}
	if a.Zone() != "" {
		return appendString(b, a.String())
	}
	b = append(b, '"')
	b = a.AppendTo(b)
	return append(b, '"')
}

func appendUintOrNull(b []byte, n uint64, ok bool) []byte {
	if !ok {
		return append(b, "null"...)
	}
	return strconv.AppendUint(b, n, 10)
}

func appendMillisOrNull(b []byte, d time.Duration, ok bool) []byte {
	if !ok {
		return append(b, "null"...)
	}
	return appendMillis(b, d)
}

// appendString appends s as a JSON string (RFC 8259, section 7). Bytes that are
// not UTF-8 become U+FFFD, as JSON cannot hold them; everything a terminal must
// not see is escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
		case unsafeRune(r, n):
			b = appendUnicodeEscape(b, r)
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

// appendHardened appends JSON text with its unsafe characters escaped.
func appendHardened(b []byte, text string) []byte {
	for _, r := range text {
		if unsafeRune(r, utf8.RuneLen(r)) {
			b = appendUnicodeEscape(b, r)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// appendUnicodeEscape appends \u00e4, or a surrogate pair for what needs one.
func appendUnicodeEscape(b []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return appendUnicodeEscape(appendUnicodeEscape(b, high), low)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
