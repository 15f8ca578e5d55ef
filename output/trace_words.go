package output

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
)

const (
	clipBytes = 1024 // of text from outside that are looked at
	clipCells = 255  // of it that are shown: no host name is longer (RFC 1035, section 2.3.4)
)

// clip returns text from outside, escaped and cut to what a name may be.
func clip(s string) string {
	return runewidth.Truncate(Escape(bounded(s)), clipCells, "…")
}

// bounded returns text from outside cut to what anybody looks at.
func bounded(s string) string { return s[:min(len(s), clipBytes)] }

// names tells the names of addresses.
type names struct {
	of     map[netip.Addr]string                      // of a finished path
	lookup func(netip.Addr) (name string, known bool) // while it is under way; may be nil
	none   bool                                       // addresses only
}

// name returns the name of a, escaped, or "" if it has none or none is known.
func (n *names) name(a netip.Addr) string { return clip(n.raw(a)) }

// raw returns the name of a as it came, but no longer than a name can be.
func (n *names) raw(a netip.Addr) string {
	if n.none || !a.IsValid() {
		return ""
	}
	name := n.of[a]
	if name == "" && n.lookup != nil {
		name, _ = n.lookup(a)
	}
	return bounded(name)
}

// host returns "name (addr)", or the address alone where there is no name.
func (n *names) host(a netip.Addr) string {
	addr := Escape(a.String())
	if name := n.name(a); name != "" {
		return name + " (" + addr + ")"
	}
	return addr
}

// annotation returns what traceroute shows behind the time of an answer that is
// no time-exceeded and not the target's: "!N" and the like, "" for nothing.
func annotation(r *probe.Result) string {
	if r.Status != probe.Unreachable && r.Reason != probe.ProtoUnreachable {
		return ""
	}
	if r.Reason == probe.FragNeeded || r.Reason == probe.PacketTooBig {
		return "!F-" + strconv.Itoa(r.MTU)
	}
	if r.From.Is4() {
		return annotation4(r)
	}
	return annotation6(r)
}

// annotation4 names the codes of RFC 792, RFC 1122 section 3.2.2.1 and RFC 1812
// section 5.2.7.1.
func annotation4(r *probe.Result) string {
	if r.Type != icmpUnreachable {
		return fmt.Sprintf("!<%d-%d>", r.Type, r.Code)
	}
	switch r.Code {
	case 0, 6, 8, 11:
		return "!N"
	case 1, 7, 12:
		return "!H"
	case 2:
		return "!P"
	case 4:
		return "!F-" + strconv.Itoa(r.MTU)
	case 5:
		return "!S"
	case 9, 10, 13:
		return "!X"
	case 14:
		return "!V"
	case 15:
		return "!C"
	}
	return fmt.Sprintf("!<%d>", r.Code)
}

// annotation6 names the codes of RFC 4443.
func annotation6(r *probe.Result) string {
	switch {
	case r.Type == icmp6Parameter && r.Code == 1: // unrecognized next header
		return "!P"
	case r.Type == icmp6TooBig:
		return "!F-" + strconv.Itoa(r.MTU)
	case r.Type != icmp6Unreachable:
		return fmt.Sprintf("!<%d-%d>", r.Type, r.Code)
	}
	switch r.Code {
	case 0:
		return "!N"
	case 1, 5, 6:
		return "!X"
	case 2:
		return "!S"
	case 3:
		return "!H"
	}
	return fmt.Sprintf("!<%d>", r.Code)
}

// labelStack returns "MPLS:L=24001,E=0,S=1,T=1", the labels separated by slashes.
func labelStack(labels []probe.Label) string {
	b := []byte("MPLS:")
	for i, l := range labels {
		if i > 0 {
			b = append(b, '/')
		}
		b = fmt.Appendf(b, "L=%d,E=%d,S=%d,T=%d", l.Label, l.TC, bottomBit(l), l.TTL)
	}
	return string(b)
}

func bottomBit(l probe.Label) int {
	if l.Bottom {
		return 1
	}
	return 0
}

// returnHops estimates how many hops an answer took to come back, from the TTL
// with which it arrived: hosts start with 64, 128 or 255. 0 if that is unknown.
func returnHops(ttl uint8) int {
	for _, start := range [...]int{64, 128, 255} {
		if ttl > 0 && int(ttl) <= start {
			return start - int(ttl) + 1
		}
	}
	return 0
}

// interfaceText returns `in ge-0/0/1 (index 3, 192.0.2.1, MTU 1500)`.
func interfaceText(i *probe.Interface) string {
	word := [...]string{"in", "in, part", "out", "next hop"}[i.Role&3]
	var more []string
	if i.Index > 0 {
		more = append(more, fmt.Sprintf("index %d", i.Index))
	}
	if i.Addr.IsValid() {
		more = append(more, Escape(i.Addr.String()))
	}
	if i.MTU > 0 {
		more = append(more, fmt.Sprintf("MTU %d", i.MTU))
	}
	text := word
	if i.Name != "" {
		text += " " + clip(i.Name)
	} else if len(more) > 0 {
		text, more = text+" "+more[0], more[1:]
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}

// lossText returns a verdict in words, "" if there is nothing to say: that a
// hop is silent says its row.
func lossText(l *probe.HopLoss) string {
	switch {
	case l == nil:
		return ""
	case l.Kind == probe.RateLimited:
		text := "rate-limited"
		if l.Rate > 0 {
			text += " ~" + rateText(l.Rate) + "/s"
		}
		if l.Burst > 0 {
			text += " burst " + strconv.Itoa(l.Burst)
		}
		return text
	case l.Kind == probe.PathLoss:
		return "loss " + spaced(percentText(l.Percent/100)) + " from here on"
	case l.Kind == probe.HopLossOnly:
		return spaced(percentText(l.Percent/100)) + " unanswered here, none lost beyond"
	}
	return ""
}

// rateText returns an estimated rate no more exactly than it is known: "0.5",
// "1", "9.5", "23".
func rateText(rate float64) string {
	digits := 1
	if rate >= 10 {
		digits = 0
	}
	return strings.TrimSuffix(strconv.FormatFloat(rate, 'f', digits, 64), ".0")
}

// spaced sets the percent sign off, as running text has it.
func spaced(percent string) string { return strings.Replace(percent, "%", " %", 1) }

// percentText returns a share of 0..1 as "12%"; neither 0% nor 100% unless it is.
func percentText(share float64) string {
	p := share * 100
	switch {
	case p > 0 && p < 1:
		return strconv.FormatFloat(max(p, 0.01), 'f', 2, 64) + "%"
	case p > 99 && p < 100:
		return "99%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "%"
}

// seconds returns d as "0.124 s". No time in the lines below a trace is in
// milliseconds: what parses traceroute takes those for probes.
func seconds(d time.Duration) string {
	if d >= time.Minute {
		return FormatDuration(d)
	}
	return strconv.FormatFloat(max(d, 0).Seconds(), 'f', 3, 64) + " s"
}
