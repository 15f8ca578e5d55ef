package output

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

const (
	hostWidth  = 15 // an IPv4 address: what the column of hosts is never cut below
	notesWidth = 28 // of notes, before columns are dropped for more of them
	notesLeast = 12
)

// hopColumn is one column of a trace.
type hopColumn struct {
	column
	value func(s *hopLine) cell
}

// hopLine is one line of a trace: a hop, or a further address of it.
type hopLine struct {
	h    *hopRow
	host *hopHost // nil if nobody answered
	more bool     // not the first line of the hop
	sum  stats.Summary
	loss float64 // see pathLoss
	name string
}

func (l *hopLine) time(d time.Duration, ok bool) cell {
	if !ok {
		return cell{"-", dim}
	}
	return millisCell(d)
}

// ofHost shows a time of one address.
func ofHost(f func(*hopHost) time.Duration) func(*hopLine) cell {
	return func(l *hopLine) cell {
		if l.host == nil {
			return cell{"-", dim}
		}
		return millisCell(f(l.host))
	}
}

// ofHop shows a time of all answers of the hop, in its first line.
func ofHop(f func(l *hopLine) (time.Duration, bool)) func(*hopLine) cell {
	return func(l *hopLine) cell {
		if l.more {
			return cell{}
		}
		d, ok := f(l)
		return l.time(d, ok)
	}
}

func ofRTT(f func(*stats.RTT) time.Duration) func(*hopLine) cell {
	return ofHop(func(l *hopLine) (time.Duration, bool) {
		if l.sum.RTT == nil {
			return 0, false
		}
		return f(l.sum.RTT), true
	})
}

var ttlColumn = hopColumn{column{title: "hop", right: true}, func(l *hopLine) cell {
	if l.more {
		return cell{}
	}
	return cell{strconv.Itoa(int(l.h.ttl)), ""}
}}

var hostColumn = hopColumn{column{title: "host", least: hostWidth}, func(l *hopLine) cell {
	switch {
	case l.host != nil:
		return cell{l.name, ""}
	case l.h.silent():
		return cell{"no answer", dim}
	}
	return cell{"…", dim}
}}

var lossColumn = hopColumn{column{title: "loss", right: true}, func(l *hopLine) cell {
	if l.more {
		return cell{}
	}
	text, color := lossCellOf(l.h, l.loss)
	return cell{text, color}
}}

var notesColumn = hopColumn{column{title: "notes", least: notesLeast}, func(*hopLine) cell { return cell{} }}

// probeColumns are those of a trace, monitorColumns those of a monitored path.
var (
	probeColumns = []hopColumn{
		ttlColumn, hostColumn, lossColumn,
		{column{title: "best", right: true, drop: 2}, ofHost(func(o *hopHost) time.Duration { return o.best })},
		{column{title: "avg ms", right: true}, ofHost((*hopHost).mean)},
		{column{title: "worst", right: true, drop: 3}, ofHost(func(o *hopHost) time.Duration { return o.worst })},
		notesColumn,
	}
	monitorColumns = []hopColumn{
		ttlColumn, hostColumn, lossColumn,
		{column{title: "sent", right: true, drop: 6}, func(l *hopLine) cell {
			if l.more {
				return cell{}
			}
			return number(l.sum.Sent)
		}},
		{column{title: "last", right: true, drop: 2}, ofHop(func(l *hopLine) (time.Duration, bool) { return l.h.last, l.host != nil })},
		{column{title: "avg ms", right: true}, ofRTT(func(r *stats.RTT) time.Duration { return r.Mean })},
		{column{title: "best", right: true, drop: 4}, ofRTT(func(r *stats.RTT) time.Duration { return r.Min })},
		{column{title: "worst", right: true, drop: 3}, ofRTT(func(r *stats.RTT) time.Duration { return r.Max })},
		{column{title: "stddev", right: true, drop: 8}, ofRTT(func(r *stats.RTT) time.Duration { return r.StdDev })},
		{column{title: "jitter", right: true, drop: 7}, ofHop(func(l *hopLine) (time.Duration, bool) { return l.sum.Jitter, l.sum.HasJitter })},
		{column{title: "p95", right: true, drop: 5}, ofRTT(func(r *stats.RTT) time.Duration { return r.P95 })},
		notesColumn,
	}
)

// lossCellOf returns what stands in the column of loss: a share only where
// packets on their way to the target may have been lost.
func lossCellOf(h *hopRow, loss float64) (text, color string) {
	if h.verdict != nil {
		switch h.verdict.Kind {
		case probe.RateLimited:
			return "limited", dim
		case probe.SilentHop:
			return "silent", dim
		case probe.HopLossOnly:
			return "hop only", dim
		case probe.PathLoss:
			return percentText(h.verdict.Percent / 100), red
		}
	}
	own, ok := h.lossFraction()
	switch {
	case !ok:
		return "-", dim
	case len(h.hosts) == 0:
		return "silent", dim
	case own == 0:
		return "0%", ""
	case loss == 0:
		return "hop only", dim
	}
	return percentText(loss), yellow
}

// grid returns the lines of the hops, the titles first, in at most cols cells; 0
// means as wide as need be.
func (v *traceTable) grid(rows []*hopRow, cols int) []string {
	columns := probeColumns
	if v.t.Monitor {
		columns = monitorColumns
	}
	g := &grid{look: v.o}
	for _, c := range columns {
		g.columns = append(g.columns, c.column)
	}
	shown, tail := foldTail(rows)
	var notes [][]string
	loss, n := pathLoss(rows), newNoter(v.t)
	for i, h := range shown {
		all, hosts := n.hop(h, loss[i])
		for j, line := range v.hopLines(h, loss[i]) {
			cells := make([]cell, len(columns))
			for k, c := range columns {
				cells[k] = c.value(&line)
			}
			var mine []string
			if j < len(hosts) {
				mine = append(mine, hosts[j]...)
			}
			if j == 0 {
				mine = append(mine, all...)
			}
			g.cells, notes = append(g.cells, cells), append(notes, mine)
		}
	}
	if tail != "" {
		cells := make([]cell, len(columns))
		cells[0].text, cells[1] = tail, cell{"no answer", dim}
		g.cells, notes = append(g.cells, cells), append(notes, nil)
	}
	return g.withNotes(notes, cols)
}

// hopLines returns the lines of a hop: one, or one for each address.
func (v *traceTable) hopLines(h *hopRow, loss float64) []hopLine {
	first := hopLine{h: h, sum: h.summary(), loss: loss}
	if len(h.hosts) == 0 {
		return []hopLine{first}
	}
	var out []hopLine
	for i := range h.hosts {
		l := first
		l.host, l.more, l.name = &h.hosts[i], i > 0, v.names.host(h.hosts[i].addr)
		out = append(out, l)
	}
	return out
}

// foldTail takes two or more silent hops at the end together: "16-30".
func foldTail(rows []*hopRow) (shown []*hopRow, tail string) {
	n := len(rows)
	for n > 0 && len(rows[n-1].hosts) == 0 {
		n--
	}
	var silent []*hopRow
	for _, h := range rows[n:] {
		if h.silent() {
			silent = append(silent, h)
		}
	}
	if len(silent) < 2 {
		return slices.Concat(rows[:n], silent), ""
	}
	return rows[:n], fmt.Sprintf("%d-%d", silent[0].ttl, silent[len(silent)-1].ttl)
}

// withNotes lays the grid out with notes in its last column, which take as many
// lines as they need.
func (g *grid) withNotes(notes [][]string, cols int) []string {
	last, longest := len(g.columns)-1, 0
	for i := range notes {
		width := visibleWidth(strings.Join(notes[i], ", "))
		longest = max(longest, width)
		g.cells[i][last].text = strings.Repeat("n", min(width, notesWidth))
	}
	g.fit(cols)
	last = len(g.columns) - 1
	if cols == 0 {
		g.widths[last] = max(longest, g.widths[last])
	} else {
		g.widths[last] = max(g.widths[last], cols-g.width()+g.widths[last])
	}
	var cells [][]cell
	for i, line := range g.cells {
		parts := wrap(strings.Join(notes[i], ", "), g.widths[last])
		line[last].text = parts[0]
		cells = append(cells, line)
		for _, part := range parts[1:] {
			next := make([]cell, len(g.columns))
			next[last].text = part
			cells = append(cells, next)
		}
	}
	g.cells = cells
	lines := g.lines()
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// wrap breaks text between words into lines of at most width cells, at least
// one; 0 means that there is no limit. A word alone may be wider.
func wrap(text string, width int) []string {
	if width <= 0 {
		return []string{text}
	}
	lines := []string{""}
	for word := range strings.SplitSeq(text, " ") {
		current := &lines[len(lines)-1]
		switch {
		case *current == "":
			*current = word
		case visibleWidth(*current)+1+visibleWidth(word) <= width:
			*current += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
