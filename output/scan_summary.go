package output

import (
	"fmt"
	"strings"
	"time"

	"netprobe/stats"
)

// appendScanSummary appends the lines that end a scan for people.
func appendScanSummary(b []byte, o Options, h *Header, e *End) []byte {
	s := h.Scan.Stats.Summary()
	b = appendScanCounts(b, o, &s, e.Time.Sub(h.Start))
	if s.Hosts > fewHosts && s.HostsOpen < s.Hosts {
		b = appendBarren(b, &s)
	}
	for _, line := range ScanNotes(h, e) {
		b = append(append(b, line...), '\n')
	}
	return appendNotes(b, e)
}

// tally is one number of a summary and what it counts.
type tally struct {
	n     uint64
	word  string
	color string
}

// appendTallies appends those that are not 0: "63 open, 1,217 closed".
func appendTallies(b []byte, o Options, tallies []tally) []byte {
	at := len(b)
	for _, t := range tallies {
		if t.n == 0 {
			continue
		}
		if len(b) > at {
			b = append(b, ", "...)
		}
		b = append(b, o.paint(t.color, grouped(t.n)+" "+t.word)...)
	}
	return b
}

// appendScanCounts appends "256 hosts, 5,120 ports in 2.31 s (7,890 probes,
// 3,415/s): 63 open, 1,217 closed, 3,840 filtered".
func appendScanCounts(b []byte, o Options, s *stats.ScanSummary, elapsed time.Duration) []byte {
	if s.Hosts != 1 {
		b = append(appendCount(b, s.Hosts, "host"), ", "...)
	}
	b = appendCount(b, s.Ports, "port")
	b = append(append(b, " in "...), FormatDuration(max(elapsed, 0))...)
	b = append(b, " ("...)
	b = appendCount(b, s.Probes.Sent, "probe")
	if s.Probes.Sent > 0 && elapsed > 0 {
		b = append(b, ", "...)
		b = append(b, perSecond(float64(s.Probes.Sent)/elapsed.Seconds())...)
	}
	b = append(b, "): "...)
	if s.Open == 0 {
		b = append(b, "0 open"...)
		if s.Ports > 0 {
			b = append(b, ", "...)
		}
	}
	b = appendTallies(b, o, []tally{
		{s.Open, "open", green}, {s.Closed, "closed", ""}, {s.Filtered, "filtered", ""}, {s.OpenFiltered, "open|filtered", ""},
		{s.Failed, "not tested", yellow}, {s.Pending, "not decided", yellow},
	})
	return append(b, '\n')
}

// appendBarren appends "190 hosts without an open port: 10 closed, 180 silent".
func appendBarren(b []byte, s *stats.ScanSummary) []byte {
	b = appendCount(b, s.Hosts-s.HostsOpen, "host")
	b = append(b, " without an open port: "...)
	b = appendTallies(b, Options{}, []tally{
		{s.HostsClosed, "closed", ""}, {s.HostsRejected, "rejected", ""}, {s.HostsSilent, "silent", ""},
		{s.HostsUntested, "not tested", ""}, {s.HostsUndecided, "not decided", ""},
	})
	return append(b, '\n')
}

// ScanNotes returns what a scan has to say to people beyond its counts, a line
// each: views that print nothing but ports have no place for it.
func ScanNotes(h *Header, e *End) []string {
	s := h.Scan.Stats.Summary()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if n, known := h.Scan.undecided(&s); n > 0 {
		more := ""
		if !known {
			more = ", and those of hosts still to be listed"
		}
		add("not decided: %s%s (%s)", portsOf(n), more, whyStopped(h.Scan, e))
	}
	for _, f := range s.Failures {
		add("not tested: %s (%s: %s), the first at %s", portsOf(f.Count), f.Reason, appendFailureText(nil, f.Reason, f.Err), hostText(f.First))
	}
	if s.FailuresOther > 0 {
		add("not tested: %s for still other reasons", portsOf(s.FailuresOther))
	}
	if s.UnresolvedAll > 0 {
		var names []stats.SweepHost
		for _, f := range s.Unresolved {
			names = append(names, f.First)
		}
		add("not tested: %s without an address: %s", counted(s.UnresolvedAll, "name"), listed(names))
	}
	if s.Retried > 0 {
		add("%s answered a retry only", portsOf(s.Retried))
	}
	if s.LateAnswers > 0 {
		add("%s", lateAnswers(&s))
	}
	return appendDifferences(lines, &s)
}

// undecided returns how many ports have no verdict, those never asked among
// them; known is false if nobody knows how many these are.
func (h *ScanHeader) undecided(s *stats.ScanSummary) (n uint64, known bool) {
	n, known = s.Pending, true
	if h.Progress == nil {
		return n, known
	}
	switch p := h.Progress(); {
	case !p.Known:
		return n, false
	case p.Planned > s.Ports:
		n += p.Planned - s.Ports
	}
	return n, known
}

// whyStopped says why a scan ended before it was done.
func whyStopped(h *ScanHeader, e *End) string {
	switch e.StoppedBy {
	case "signal":
		return "interrupted"
	case "output":
		return "nobody reads any more"
	case "done", "deadline":
		if h.Budget > 0 {
			return "the budget of " + spanText(h.Budget) + " is over"
		}
	}
	return "the run ended before"
}

// spanText returns a span that somebody chose: "30 s", "1.50 s".
func spanText(d time.Duration) string {
	if d%time.Second == 0 {
		return wholeSeconds(d)
	}
	return FormatDuration(d)
}

// lateAnswers returns "2 answers came when their ports were given up: 192.0.2.7:443
// (a longer -W finds them)".
func lateAnswers(s *stats.ScanSummary) string {
	var ports []string
	for _, p := range s.AnsweredLate[:min(len(s.AnsweredLate), maxListed)] {
		ports = append(ports, scannedPort(p))
	}
	more := ""
	if len(s.AnsweredLate) > maxListed {
		more = " and others"
	}
	return fmt.Sprintf("%s came after %s given up: %s%s (a longer -W finds %s)", counted(s.LateAnswers, "answer"),
		plural(int(min(s.LateAnswers, 2)), "its port was", "their ports were"), strings.Join(ports, ", "), more,
		plural(len(s.AnsweredLate), "it", "them"))
}

// appendDifferences appends how the open ports of hosts differ from those
// expected, a line for each of the first hosts.
func appendDifferences(lines []string, s *stats.ScanSummary) []string {
	for i, d := range s.Differences {
		if i == maxListed {
			break
		}
		lines = append(lines, hostText(d.SweepHost)+": "+Escape(d.Difference.String()))
	}
	if s.Differing > maxListed {
		more := s.Differing - maxListed
		lines = append(lines, fmt.Sprintf("%s more %s from what was expected", grouped(more), plural(int(min(more, 2)), "host differs", "hosts differ")))
	}
	return lines
}
