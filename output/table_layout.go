package output

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// tableColumn is one column of the table.
type tableColumn struct {
	column
	live  bool   // only while the table is redrawn
	kind  string // only of probes of this kind; empty for all
	value func(v *table, s *rowState, sum *stats.Summary) cell
}

func rtt(f func(*stats.RTT) time.Duration) func(*table, *rowState, *stats.Summary) cell {
	return func(_ *table, _ *rowState, sum *stats.Summary) cell {
		if sum.RTT == nil {
			return cell{"-", dim}
		}
		return millisCell(f(sum.RTT))
	}
}

func millisCell(d time.Duration) cell { return cell{string(appendPingTime(nil, d)), ""} }

func number(n uint64) cell { return cell{strconv.FormatUint(n, 10), ""} }

var columns = []tableColumn{
	{column{"target", false, 0, nameWidth}, false, "", func(_ *table, _ *rowState, s *stats.Summary) cell { return cell{Escape(s.Target.Name), ""} }},
	{column{"address", false, 8, 0}, false, "", addressCell},
	{column{"sent", true, 1, 0}, false, "", func(_ *table, _ *rowState, s *stats.Summary) cell { return number(s.Sent) }},
	{column{"recv", true, 3, 0}, false, "", func(_ *table, _ *rowState, s *stats.Summary) cell { return number(s.Received) }},
	{column{"loss", true, 0, 0}, false, "", lossCell},
	{column{"last ms", true, 2, 0}, false, "", lastCell},
	{column{"min", true, 7, 0}, false, "", rtt(func(r *stats.RTT) time.Duration { return r.Min })},
	{column{"avg", true, 0, 0}, false, "", rtt(func(r *stats.RTT) time.Duration { return r.Mean })},
	{column{"p95", true, 4, 0}, false, "", rtt(func(r *stats.RTT) time.Duration { return r.P95 })},
	{column{"max", true, 7, 0}, false, "", rtt(func(r *stats.RTT) time.Duration { return r.Max })},
	{column{"jitter", true, 6, 0}, false, "", jitterCell},
	{column{"retrans", true, 4, 0}, false, "tcp", func(_ *table, _ *rowState, s *stats.Summary) cell { return number(s.Retrans) }},
	{column{"downtime", true, 9, 0}, false, "", downtimeCell},
	{column{"history", false, 5, 0}, true, "", (*table).historyCell},
	{column{"state", false, 0, stateWidth}, false, "", stateCell},
}

func addressCell(_ *table, _ *rowState, s *stats.Summary) cell {
	if a := s.Target.Addr.Addr(); a.IsValid() {
		return cell{Escape(a.String()), ""}
	}
	return cell{"-", dim}
}

func lossCell(_ *table, _ *rowState, s *stats.Summary) cell {
	switch {
	case !s.HasLoss:
		return cell{"-", dim}
	case s.LossPercent == 0:
		return cell{"0%", ""}
	case s.LossPercent == 100:
		return cell{"100%", red}
	}
	// Neither 0 % nor 100 % unless it is.
	percent := min(max(s.LossPercent, 0.01), 99.9)
	digits := 2
	if percent >= 10 {
		digits = 1
	}
	return cell{strconv.FormatFloat(percent, 'f', digits, 64) + "%", yellow}
}

func lastCell(_ *table, s *rowState, _ *stats.Summary) cell {
	if !s.answered || s.condition == down {
		return cell{"-", dim}
	}
	return millisCell(s.last)
}

func jitterCell(_ *table, _ *rowState, s *stats.Summary) cell {
	if !s.HasJitter {
		return cell{"-", dim}
	}
	return millisCell(s.Jitter)
}

// downtimeCell is how long the target was away in all, and how often if not
// once. A single probe without an answer, and none after it, has no length.
func downtimeCell(_ *table, _ *rowState, s *stats.Summary) cell {
	switch o := s.Outages; {
	case o.N == 0:
		return cell{"-", dim}
	case o.Total == 0:
		return cell{"1 probe", ""}
	case o.N == 1:
		return cell{FormatDuration(o.Total), ""}
	default:
		return cell{strconv.Itoa(o.N) + "x " + FormatDuration(o.Total), ""}
	}
}

func stateCell(_ *table, s *rowState, sum *stats.Summary) cell {
	switch {
	case errors.Is(sum.Target.Err, probe.ErrNotYet):
		return cell{"○ resolving", dim}
	case sum.Target.Err != nil:
		return cell{"○ not resolved", yellow}
	}
	switch s.condition {
	case up:
		return cell{"● up", green}
	case tardy:
		return cell{"● late", yellow}
	case down:
		return cell{"● down " + s.why(), red}
	case untested:
		return cell{"○ not sent " + s.reason.String(), yellow}
	}
	return cell{"○ waiting", dim}
}

// historyCell draws the last round-trip times between their own minimum and
// maximum; x is a probe without an answer in time.
func (v *table) historyCell(s *rowState, _ *stats.Summary) cell {
	n := min(s.outcomes, historyLength)
	low, high := time.Duration(-1), time.Duration(0)
	for i := range n {
		if d := s.history[i]; d != noAnswer {
			if low < 0 || d < low {
				low = d
			}
			high = max(high, d)
		}
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	// A range of at least half the minimum: noise must not look like waves.
	spread := max(high-low, low/2, 1)
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", int(historyLength-n)))
	for i := range n {
		d := s.history[(s.outcomes-n+i)%historyLength]
		if d == noAnswer {
			b.WriteString(v.o.paint(red, "x"))
			continue
		}
		level := float64(d-low) / float64(spread) * float64(len(bars)-1)
		b.WriteRune(bars[min(int(level+0.5), len(bars)-1)])
	}
	return cell{b.String(), ""}
}

const (
	stateWidth = 6 // "● down", without the reason
	nameWidth  = 8 // of which a name is still told from others
)

// layout lays the rows of ids out in at most cols cells; 0 means as wide as
// need be.
func (v *table) layout(ids []int, cols int) *grid {
	g := &grid{look: v.o}
	var values []tableColumn
	for _, c := range columns {
		if (!c.live || v.live()) && (c.kind == "" || c.kind == kindOf(v.h.Verb)) {
			values = append(values, c)
			g.columns = append(g.columns, c.column)
		}
	}
	rows := v.set.Rows()
	for _, id := range ids {
		sum := rows[id].Summary()
		line := make([]cell, len(values))
		for i, c := range values {
			line[i] = c.value(v, &v.states[id], &sum)
		}
		g.cells = append(g.cells, line)
	}
	g.fit(cols)
	return g
}
