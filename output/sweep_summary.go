package output

import (
	"fmt"
	"time"

	"netprobe/stats"
)

// maxListed bounds how many hosts a line of the summary names.
const maxListed = 10

// appendSweepSummary appends the lines that end a sweep for people.
func appendSweepSummary(b []byte, o Options, h *Header, e *End) []byte {
	s := h.Sweep.summary()
	b = appendSweepCounts(b, o, &s, e.Time.Sub(h.Start))
	if s.RTT != nil {
		b = append(b, "rtt min/avg/p95/max = "...)
		b = appendTimes(b, s.RTT.Min, s.RTT.Mean, s.RTT.P95, s.RTT.Max)
		b = append(b, " ms\n"...)
	}
	for _, line := range SweepNotes(h, e) {
		b = append(append(b, line...), '\n')
	}
	return appendNotes(b, e)
}

// appendSweepCounts appends "254 hosts in 2.31 s (508 packets, 220/s): 17 alive,
// 3 unreachable, 234 silent".
func appendSweepCounts(b []byte, o Options, s *stats.SweepSummary, elapsed time.Duration) []byte {
	b = appendCount(b, s.Hosts, "host")
	b = append(b, " in "...)
	b = append(b, FormatDuration(max(elapsed, 0))...)
	b = append(b, " ("...)
	b = appendCount(b, s.Probes, "packet")
	if s.Probes > 0 && elapsed > 0 {
		b = append(b, ", "...)
		b = append(b, perSecond(float64(s.Probes)/elapsed.Seconds())...)
	}
	b = append(b, "): "...)
	color := ""
	if s.Alive > 0 {
		color = green
	}
	b = append(b, o.paint(color, grouped(s.Alive)+" alive")...)
	for _, c := range [...]struct {
		n     uint64
		word  string
		color string
	}{
		{s.Unreachable, "unreachable", red}, {s.Silent, "silent", ""}, {s.Amplifiers, "broadcast", yellow},
		{s.Failed, "not tested", yellow}, {s.Pending, "undecided", ""},
	} {
		if c.n > 0 {
			b = append(b, ", "...)
			b = append(b, o.paint(c.color, grouped(c.n)+" "+c.word)...)
		}
	}
	return append(b, '\n')
}

// SweepNotes returns what a sweep has to say to people beyond its counts, a
// line each: views that print nothing but hosts have no place for it.
func SweepNotes(h *Header, e *End) []string {
	s := h.Sweep.summary()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if h.Sweep.Progress != nil && e.StoppedBy != "done" {
		switch p := h.Sweep.Progress(); {
		case !p.Known:
			add("stopped early: nobody knows how many more hosts there were to ask")
		case p.Planned > p.Asked:
			add("stopped early: %s of %s not asked", grouped(p.Planned-p.Asked), counted(p.Planned, "host"))
		}
	}
	if s.Retried > 0 {
		add("%s answered a retry only", counted(s.Retried, "host"))
	}
	if s.Elsewhere > 0 {
		add("%s answered from another address than the one asked", counted(s.Elsewhere, "host"))
	}
	if s.Duplicates > 0 {
		add("%s", counted(s.Duplicates, "duplicate answer"))
	}
	lines = appendAmplified(lines, &s)
	if n := len(s.AnsweredLate); n > 0 {
		add("%s: %s (a longer -W finds %s)", lateHosts(n), listed(s.AnsweredLate), plural(n, "it", "them"))
	}
	for _, f := range s.Failures {
		add("not tested: %s: %s", counted(f.Count, "host"), appendFailureText(nil, f.Reason, f.Err))
	}
	if s.FailuresOther > 0 {
		add("not tested: %s for still other reasons", counted(s.FailuresOther, "host"))
	}
	return lines
}

func counted(n uint64, noun string) string { return string(appendCount(nil, n, noun)) }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// lateHosts returns "2 hosts answered after they were given up", with "at least"
// where no more were kept.
func lateHosts(n int) string {
	text := counted(uint64(n), "host") + " answered after " + plural(n, "it was", "they were") + " given up"
	if n >= stats.MaxNamed {
		return "at least " + text
	}
	return text
}

// listed returns the names of the first hosts: "192.0.2.7, 192.0.2.9 and 3 more".
func listed(hosts []stats.SweepHost) string {
	text := ""
	for i, h := range hosts {
		if i == maxListed {
			return text + " and " + grouped(uint64(len(hosts)-i)) + " more"
		}
		if i > 0 {
			text += ", "
		}
		text += hostText(h)
	}
	return text
}

// appendAmplified appends "192.0.2.255 is a broadcast address: 17 hosts answered
// for it" for the first of them.
func appendAmplified(lines []string, s *stats.SweepSummary) []string {
	for i, a := range s.Amplified {
		if i == maxListed {
			break
		}
		n := counted(uint64(a.Count), "host")
		if a.Alive {
			n = counted(uint64(a.Count), "other host")
			lines = append(lines, hostText(a.SweepHost)+" answered, and "+n+" answered for it")
			continue
		}
		lines = append(lines, hostText(a.SweepHost)+" is a broadcast address: "+n+" answered for it")
	}
	if s.AmplifiedTotal > maxListed {
		more := s.AmplifiedTotal - maxListed
		lines = append(lines, "for "+grouped(more)+" more addresses several hosts answered")
	}
	return lines
}
