package output

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// appendStatistics appends the block at the end of a run for one target: ping's
// lines, then ours. After a path-MTU search it is the conclusion alone: packets
// sent to be too large are no loss.
func (w *vocabulary) appendStatistics(b []byte, s *stats.Summary) []byte {
	if s.PathMTU != nil {
		b = append(b, "\n--- "...)
		b = appendEscaped(b, s.Target.Name)
		b = append(b, " path MTU search ---\n"...)
		if s.Error != nil {
			return appendUntested(b, s)
		}
		return appendPathMTU(b, s.PathMTU)
	}
	b = append(b, "\n--- "...)
	b = appendEscaped(b, s.Target.Name)
	b = append(b, ' ')
	b = append(b, w.title...)
	b = append(b, " statistics ---\n"...)
	b = w.appendCounts(b, s)
	b = append(b, '\n')
	if s.RTT != nil {
		b = append(b, "rtt min/avg/max/mdev = "...)
		b = appendTimes(b, s.RTT.Min, s.RTT.Mean, s.RTT.Max, s.RTT.StdDev)
		b = append(b, " ms"...)
	}
	b = append(b, '\n') // as ping: an empty line where there is no rtt
	if s.Error != nil {
		b = appendUntested(b, s)
	}
	return appendOwnLine(b, s)
}

// appendUntested appends why s has nothing to tell.
func appendUntested(b []byte, s *stats.Summary) []byte {
	b = append(b, "could not test: "...)
	b = appendEscaped(b, s.Error.Error())
	return append(b, '\n')
}

// appendCounts appends "3 packets transmitted, 3 received, 0% packet loss, time 801ms".
func (w *vocabulary) appendCounts(b []byte, s *stats.Summary) []byte {
	b = fmt.Appendf(b, "%d %s, %d received", s.Sent, w.sent, s.Received)
	for _, c := range [...]struct {
		n    uint64
		name string
	}{{s.Duplicates, "duplicates"}, {s.Corrupt, "corrupted"}, {s.Errors, "errors"}, {s.Retrans, "retransmissions"}} {
		if c.n > 0 {
			b = fmt.Appendf(b, ", +%d %s", c.n, c.name)
		}
	}
	if s.HasLoss {
		b = fmt.Appendf(b, ", %.6g%% %s", s.LossPercent, w.loss)
	}
	if s.Sent > 0 {
		b = fmt.Appendf(b, ", time %dms", s.Span/time.Millisecond)
	}
	return b
}

// appendTimes appends durations in milliseconds, separated as ping does: 0.1/0.2.
func appendTimes(b []byte, times ...time.Duration) []byte {
	for i, d := range times {
		if i > 0 {
			b = append(b, '/')
		}
		b = appendThousandths(b, d)
	}
	return b
}

// appendOwnLine appends what ping does not tell, in one line, as far as there is any.
func appendOwnLine(b []byte, s *stats.Summary) []byte {
	start := len(b)
	next := func() []byte {
		if len(b) > start {
			b = append(b, ", "...)
		}
		return b
	}
	if s.RTT != nil {
		b = append(next(), "p50/p95/p99 = "...)
		b = appendTimes(b, s.RTT.P50, s.RTT.P95, s.RTT.P99)
		b = append(b, " ms"...)
	}
	if s.HasJitter {
		b = append(next(), "jitter "...)
		b = append(appendThousandths(b, s.Jitter), " ms"...)
	}
	if s.RTT != nil && s.Received > 1 {
		b = append(next(), "first "...)
		b = append(appendThousandths(b, s.RTT.First), " ms"...)
	}
	if s.Outage != nil {
		b = append(next(), "longest outage "...)
		b = append(b, outageText(s.Outage)...)
		b = appendOutages(b, s)
	}
	for _, c := range [...]struct {
		n    uint64
		text string
	}{
		{s.Late, "late"}, {s.Reordered, "reordered"}, {s.Truncated, "truncated"},
		{s.WrongSource, "from a different address"}, {s.Pending, "pending"}, {s.Failed, "not sent"},
	} {
		if c.n > 0 {
			b = fmt.Appendf(next(), "%d %s", c.n, c.text)
		}
	}
	if len(b) > start {
		b = append(b, '\n')
	}
	return b
}

// outageText says how long and when, in local time: "2.40 s (3 probes from
// 2024-05-01 12:00:01 to 12:00:04)". One not over has no length yet.
func outageText(o *stats.Outage) string {
	const clock = "15:04:05"
	probes := strconv.FormatUint(o.Probes, 10) + " probes"
	if o.Probes == 1 {
		probes = "1 probe"
	}
	from, to := o.From.Local(), o.To.Local()
	since := from.Format(time.DateOnly + " " + clock)
	if o.Ongoing {
		return probes + " (since " + since + ", not over)"
	}
	until := to.Format(clock)
	if from.Format(time.DateOnly) != to.Format(time.DateOnly) {
		until = to.Format(time.DateOnly + " " + clock)
	}
	return FormatDuration(o.Length) + " (" + probes + " from " + since + " to " + until + ")"
}

// appendOutages appends what there is to say of outages beside the longest:
// ", ends ±500 ms, 3 outages of 7.00 s in all".
func appendOutages(b []byte, s *stats.Summary) []byte {
	if s.Outages.Uncertainty > 0 {
		b = append(b, ", ends ±"...)
		b = append(b, FormatDuration(s.Outages.Uncertainty)...)
	}
	if s.Outages.N > 1 {
		b = fmt.Appendf(b, ", %d outages of %s in all", s.Outages.N, FormatDuration(s.Outages.Total))
	}
	return b
}

// appendPathMTU appends what a path-MTU search concluded.
func appendPathMTU(b []byte, m *probe.PathMTU) []byte {
	if m.Partial {
		return fmt.Appendf(b, "path MTU at least %d: the search could not be finished\n", m.MTU)
	}
	if m.MTU == 0 {
		b = append(b, "path MTU unknown: no size was answered"...)
	} else {
		b = fmt.Appendf(b, "path MTU %d: ", m.MTU)
		switch {
		case m.Local:
			b = append(b, "the limit of this host's own link"...)
		case m.From.IsValid():
			b = append(b, "named by "...)
			b = m.From.AppendTo(b)
		default:
			b = append(b, "no larger packet was answered"...)
		}
	}
	if m.BlackHole {
		b = append(b, " (black hole: larger packets vanish without an error)"...)
	}
	return append(b, '\n')
}

// appendSnapshot appends the line with which ping answers SIGQUIT, behind the
// target's name where there are several.
func (w *vocabulary) appendSnapshot(b []byte, s *stats.Summary, named bool) []byte {
	if named {
		b = appendEscaped(b, s.Target.Name)
		b = append(b, ": "...)
	}
	b = fmt.Appendf(b, "%d/%d %s", s.Received, s.Sent, w.many)
	if s.HasLoss {
		b = fmt.Appendf(b, ", %d%% loss", int(math.Floor(s.LossPercent)))
	}
	if s.RTT != nil {
		b = append(b, ", min/avg/ewma/max = "...)
		b = appendTimes(b, s.RTT.Min, s.RTT.Mean, s.RTT.EWMA, s.RTT.Max)
		b = append(b, " ms"...)
	}
	return append(b, '\n')
}
