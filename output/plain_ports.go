package output

import (
	"net/netip"
	"strconv"
	"strings"

	"netprobe/probe"
)

// portWords are those of probes to ports, by kind.
var portWords = map[string]*vocabulary{
	"tcp": wordsOfPorts("tcp", "connected to ", "connect"),
	"udp": wordsOfPorts("udp", "udp-reply from ", ""),
	"dns": wordsOfPorts("dns", "answer from ", ""),
}

func wordsOfPorts(kind, answered, timed string) *vocabulary {
	return &vocabulary{
		title: kind, seq: "seq=", sent: "probes transmitted", loss: "probe loss", many: "probes", answered: answered, timed: timed,
		header: (*plain).appendAsked, answer: (*plain).appendAnswered, rejection: (*plain).appendRejected,
	}
}

// appendAsked appends "TCP host:443 (addr): a probe every 1.00 s, timeout 3.50 s".
func (v *plain) appendAsked(b []byte, t *probe.Target) []byte {
	b = append(b, strings.ToUpper(v.words.title)...)
	b = append(b, ' ')
	b = appendEscaped(b, t.Name)
	if t.Err != nil {
		return appendNoAddress(b, t)
	}
	if v.rows[t.ID].named {
		b = append(b, " ("...)
		b = t.Addr.Addr().AppendTo(b)
		b = append(b, ')')
	}
	if v.h.Source != "" || v.h.Interface != "" {
		b = v.appendWay(append(b, ' '))
	}
	b = append(b, ": a probe every "...)
	b = append(b, FormatDuration(v.h.Interval)...)
	b = append(b, ", timeout "...)
	b = append(b, FormatDuration(v.h.Timeout)...)
	return append(b, '\n')
}

// appendAnswered appends "connected to host:443 (addr): seq=1 time=10.5 ms", the
// oddities of the answer, and what was learned above the transport.
func (v *plain) appendAnswered(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	if l := r.Fault(); l != nil {
		return v.appendFaulty(b, r, l)
	}
	b = append(b, v.words.answered...)
	b = v.appendPeer(b, r)
	b = append(b, ": "...)
	b = v.appendTaken(b, r)
	for _, m := range [...]struct {
		set  bool
		text string
	}{
		{r.Flags.Has(probe.Dup), " (DUP!)"},
		{r.Flags.Has(probe.WrongSource), " (DIFFERENT ADDRESS!)"},
		{r.Flags.Has(probe.Reordered), " (reordered)"},
		{r.Flags.Has(probe.Truncated), " (truncated)"},
		{r.Status == probe.Late, " (late)"},
	} {
		if m.set {
			b = append(b, m.text...)
		}
	}
	if l := layersOf(r); l != nil {
		b = v.words.appendLayers(b, l)
	}
	return append(b, '\n')
}

// appendFaulty appends "seq=2 failed at tls: certificate expired 3 days ago
// (time=10.5 ms tls=4.56 ms)": who answered, but not as it should.
func (v *plain) appendFaulty(b []byte, r *probe.Result, l *probe.Layers) []byte {
	b = append(b, v.words.seq...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = appendFault(append(b, ' '), l)
	b = append(b, " (time="...)
	b = appendPingTime(b, r.RTT)
	b = append(b, " ms"...)
	b = v.appendAgain(b, r)
	b = v.words.appendSteps(b, l)
	b = append(b, ')')
	b = v.appendSubject(b, r.Target)
	return append(b, '\n')
}

// appendRejected appends "refused by addr:443 (rst): seq=2 time=0.400 ms", or who
// else said why it cannot be reached.
func (v *plain) appendRejected(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	switch {
	case !r.From.IsValid(): // the system does not tell who
		b = append(b, "unreachable"...)
	case r.Status == probe.Refused:
		b = v.appendPeer(append(b, "refused by "...), r)
	case r.Status == probe.Expired:
		b = r.From.AppendTo(append(b, "expired at "...))
	default:
		b = v.appendSender(append(b, "rejected by "...), r.Target, r.From)
	}
	b = append(b, " ("...)
	b = append(b, r.Reason.String()...)
	b = append(b, "): "...)
	b = v.appendTaken(b, r)
	if r.Status != probe.Refused {
		b = v.appendSubject(b, r.Target)
	}
	return append(b, '\n')
}

// appendBadReply appends "bad reply for seq=2: the answer is not ntp: too short".
func (v *plain) appendBadReply(b []byte, r *probe.Result) []byte {
	b = appendEpoch(b, v.o)
	b = append(b, "bad reply for "...)
	b = append(b, v.words.seq...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = v.appendSubject(b, r.Target)
	b = append(b, ": "...)
	b = appendEscaped(b, bounded(layersOf(r).Why))
	return append(b, '\n')
}

// appendTaken appends "seq=1 time=10.5 ms", and where a SYN was sent again how
// often and how long that took in all: "retrans=1 wall=1013 ms".
func (v *plain) appendTaken(b []byte, r *probe.Result) []byte {
	b = append(b, v.words.seq...)
	b = strconv.AppendUint(b, r.Seq, 10)
	if r.From.IsValid() {
		b = append(b, " time="...)
		b = appendPingTime(b, r.RTT)
		b = append(b, " ms"...)
	}
	return v.appendAgain(b, r)
}

// appendAgain appends " retrans=1 wall=1013 ms" where a SYN was sent again.
func (v *plain) appendAgain(b []byte, r *probe.Result) []byte {
	if r.Retrans > 0 {
		b = append(b, " retrans="...)
		b = strconv.AppendUint(b, uint64(r.Retrans), 10)
		b = append(b, " wall="...)
		b = appendPingTime(b, r.RTT+r.Host)
		b = append(b, " ms"...)
	}
	return b
}

// appendPeer appends who answered r: the target with its port, behind its name
// if names are wanted, or the address of somebody else.
func (v *plain) appendPeer(b []byte, r *probe.Result) []byte {
	t := r.Target
	switch {
	case r.From != t.Addr.Addr():
		return r.From.AppendTo(b)
	case v.h.Numeric || !v.rows[t.ID].named:
		return netip.AddrPortFrom(r.From, t.Addr.Port()).AppendTo(b)
	}
	b = appendEscaped(b, t.Name)
	b = append(b, " ("...)
	b = r.From.AppendTo(b)
	return append(b, ')')
}
