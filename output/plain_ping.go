package output

import (
	"strconv"

	"netprobe/probe"
)

// pingWords are those of ping, line for line.
var pingWords = vocabulary{
	title: "ping", seq: "icmp_seq=", sent: "packets transmitted", loss: "packet loss", many: "packets",
	header: (*plain).appendPing, answer: (*plain).appendEcho, rejection: (*plain).appendICMP,
}

// appendPing appends "PING host (addr) 56(84) bytes of data.", or for IPv6
// "PING host(addr) 56 data bytes".
func (v *plain) appendPing(b []byte, t *probe.Target) []byte {
	b = append(b, "PING "...)
	b = appendEscaped(b, t.Name)
	if t.Err != nil {
		return appendNoAddress(b, t)
	}
	four := t.Addr.Addr().Is4()
	if four {
		b = append(b, " ("...)
		b = t.Addr.Addr().AppendTo(b)
	} else {
		b = append(b, '(')
		b = v.appendSender(b, t, t.Addr.Addr())
	}
	b = append(b, ") "...)
	if v.h.Source != "" || v.h.Interface != "" {
		b = append(v.appendWay(b), ": "...)
	}
	b = strconv.AppendInt(b, int64(v.h.Size), 10)
	if !four {
		return append(b, " data bytes\n"...)
	}
	const headers = 20 + 8 // IPv4 without options, ICMP
	b = append(b, '(')
	b = strconv.AppendInt(b, int64(v.h.Size+headers), 10)
	return append(b, ") bytes of data.\n"...)
}

// appendEcho appends "64 bytes from addr: icmp_seq=1 ttl=57 time=10.5 ms" and
// the oddities of the answer.
func (v *plain) appendEcho(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = strconv.AppendInt(b, int64(r.Size), 10)
	b = append(b, " bytes from "...)
	b = v.appendSender(b, r.Target, r.From)
	b = append(b, ": icmp_seq="...)
	b = strconv.AppendUint(b, r.Seq, 10)
	if r.TTL > 0 {
		b = append(b, " ttl="...)
		b = strconv.AppendUint(b, uint64(r.TTL), 10)
	}
	if r.Flags.Has(probe.Truncated) { // where ping gives no time either
		b = append(b, " (truncated)"...)
	} else {
		b = append(b, " time="...)
		b = appendPingTime(b, r.RTT)
		b = append(b, " ms"...)
	}
	for _, m := range [...]struct {
		set  bool
		text string
	}{
		{r.Flags.Has(probe.Dup), " (DUP!)"},
		{r.Flags.Has(probe.Corrupt), " (CORRUPT!)"},
		{r.Flags.Has(probe.WrongSource), " (DIFFERENT ADDRESS!)"},
		{r.Flags.Has(probe.Reordered), " (reordered)"},
		{r.Status == probe.Late, " (late)"},
	} {
		if m.set {
			b = append(b, m.text...)
		}
	}
	return append(b, '\n')
}

// appendICMP appends "From gateway icmp_seq=3 Destination Host Unreachable".
func (v *plain) appendICMP(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = append(b, "From "...)
	b = v.appendSender(b, r.Target, r.From)
	b = append(b, " icmp_seq="...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, ' ')
	b = appendICMPError(b, r)
	b = v.appendSubject(b, r.Target)
	return append(b, '\n')
}
