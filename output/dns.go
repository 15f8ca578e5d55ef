package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// DNSHeader is what a run of DNS queries is about to do.
type DNSHeader struct {
	Stats      *stats.DNS
	Transports []string // by target ID
	Queries    int      // to each server
	Rounds     int      // how often each question is asked
	Expected   string   // the rcode that is wanted; NOERROR if empty
	Timeout    time.Duration
}

var dnsFormats = []format{
	{"table", newDNSTable},
	{"short", newDNSShort},
	{"json", newDNSJSON},
	{"csv", newDNSCSV},
}

// DNSFormats returns the names that NewDNSView knows.
func DNSFormats() []string { return formatNames(dnsFormats) }

// NewDNSView returns a View of DNS queries in the given format that writes whole
// lines to w. It is told outcomes whose Detail is a *probe.DNS.
func NewDNSView(format string, w io.Writer, o Options) (View, error) {
	return newView(dnsFormats, format, w, o)
}

// wanted is the rcode that is no news.
func (h *DNSHeader) wanted() string {
	if h.Expected == "" {
		return "NOERROR"
	}
	return h.Expected
}

// verdictOf is the word for a query in front of its line: the rcode, or what came
// instead.
func (h *DNSHeader) verdictOf(r *probe.Result, d *probe.DNS) cell {
	switch {
	case d.Answer != nil && r.Status == probe.Late:
		return cell{d.Answer.Rcode + " late", yellow}
	case d.Answer != nil && d.Answer.Rcode == h.wanted() && len(d.Unmet) == 0:
		return cell{d.Answer.Rcode, green}
	case d.Answer != nil:
		return cell{d.Answer.Rcode, red}
	}
	switch r.Status {
	case probe.Failed:
		return cell{"not asked", yellow}
	case probe.Pending:
		return cell{"undecided", dim}
	}
	return cell{"no answer", red}
}

// dnsWhy says why a query has no answer, for people, not escaped.
func dnsWhy(r *probe.Result, d *probe.DNS, timeout time.Duration) string {
	var last *probe.DNSAttempt
	if n := len(d.Attempts); n > 0 {
		last = &d.Attempts[n-1]
	}
	switch r.Status {
	case probe.Failed:
		if r.Err != nil {
			return r.Err.Error()
		}
		return r.Reason.String()
	case probe.Pending:
		return "the run ended first"
	case probe.Refused, probe.Unreachable, probe.Expired:
		if r.From.IsValid() {
			return r.Reason.String() + " from " + r.From.String()
		}
		return r.Reason.String()
	}
	why := r.Reason.String()
	if last != nil && last.Why != "" {
		return why + ": " + last.Why + failedPhase(last)
	}
	if n := len(d.Attempts); n > 1 {
		return fmt.Sprintf("%s to %d attempts, %s each", why, n, FormatDuration(timeout))
	}
	return why + " within " + FormatDuration(timeout)
}

// failedPhase is where an attempt by a connection came to its end.
func failedPhase(a *probe.DNSAttempt) string {
	if len(a.Phases) == 0 {
		return ""
	}
	p := a.Phases[len(a.Phases)-1]
	return fmt.Sprintf(" (%s, after %s)", p.Name, FormatDuration(p.Took))
}

// phaseWords lists phases with their times, if there is more than one.
func phaseWords(phases []probe.Step) string {
	if len(phases) < 2 {
		return ""
	}
	var words []string
	for _, p := range phases {
		words = append(words, p.Name+" "+FormatDuration(p.Took))
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// dnsNotes are what else is worth a line about a query, not escaped.
func dnsNotes(r *probe.Result, d *probe.DNS) []string {
	var notes []string
	notes = append(notes, attemptNotes(r, d)...)
	if d.Answer != nil && d.Answer.EDNS != nil {
		for _, e := range d.Answer.EDNS.Errors {
			notes = append(notes, edeWords(e))
		}
	}
	for _, s := range d.Strays {
		line := "not accepted: " + s.Why
		if s.What != "" {
			line += " (" + s.What + ")"
		}
		notes = append(notes, fmt.Sprintf("%s from %v after %s", line, s.From, FormatDuration(s.At)))
	}
	if n := d.StrayN - len(d.Strays); n > 0 {
		notes = append(notes, fmt.Sprintf("not accepted: %d more like this", n))
	}
	return append(notes, d.Unmet...)
}

// edeWords is an extended error: "extended error 6 (DNSSEC Bogus): text".
func edeWords(e probe.DNSError) string {
	line := fmt.Sprintf("extended error %d", e.Code)
	if e.Name != "" {
		line += " (" + e.Name + ")"
	}
	if e.Text != "" {
		line += ": " + e.Text
	}
	return line
}

// attemptNotes tell of the attempts before the one that decided a query.
func attemptNotes(r *probe.Result, d *probe.DNS) []string {
	var notes []string
	for i, a := range d.Attempts {
		last := i == len(d.Attempts)-1
		switch {
		case a.Truncated && !last:
			notes = append(notes, fmt.Sprintf("truncated by %s after %s (%d bytes), asked again by %s", a.Transport, FormatDuration(a.RTT), a.Size, d.Attempts[i+1].Transport))
		case a.Rcode == "BADCOOKIE" && !last:
			notes = append(notes, fmt.Sprintf("server wanted its cookie after %s, asked again with it", FormatDuration(a.RTT)))
		case !last && a.Status == probe.Lost && (d.Answer != nil || r.Status == probe.Refused):
			notes = append(notes, fmt.Sprintf("attempt %d of %d by %s was not answered", i+1, len(d.Attempts), a.Transport))
		case a.Status == probe.Late:
			notes = append(notes, fmt.Sprintf("attempt %d was answered late", i+1))
		}
	}
	return notes
}

// dnsFacts is what is shown of an answer beside its records, not escaped.
func dnsFacts(d *probe.DNS) string {
	m := d.Answer
	words := []string{strings.Join(m.Flags, " "), fmt.Sprintf("%d bytes", m.Size)}
	if m.Opcode != "QUERY" {
		words = append(words, "opcode "+m.Opcode)
	}
	if e := m.EDNS; e != nil {
		words = append(words, fmt.Sprintf("edns %d", e.UDPSize))
		if e.DO {
			words = append(words, "do")
		}
		if e.HasNSID {
			words = append(words, "nsid "+e.NSID)
		}
		switch {
		case e.CookieOK && e.Cookie != "":
			words = append(words, "cookie good")
		case e.Cookie != "":
			words = append(words, "cookie bad")
		}
		if e.Subnet.IsValid() {
			words = append(words, fmt.Sprintf("subnet %v scope /%d", e.Subnet, e.Scope))
		}
	}
	return strings.Join(words, ", ")
}

// questionText is "www.example. A", with the class unless that is IN.
func questionText(q probe.DNSQuestion) string {
	if q.Class != "IN" && q.Class != "" {
		return q.Name + " " + q.Class + " " + q.Type
	}
	return q.Name + " " + q.Type
}
