package output

import (
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
	"netprobe/stats"
)

// cell is a text and its colour, "" for none.
type cell struct{ text, color string }

// column is one column of the table.
type column struct {
	title string
	right bool // numbers are aligned to the right
	drop  int  // where the terminal is narrow, the column with the highest drop goes first; 0 stays
	live  bool // only while the table is redrawn
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

var columns = []column{
	{"target", false, 0, false, func(_ *table, _ *rowState, s *stats.Summary) cell { return cell{Escape(s.Target.Name), ""} }},
	{"address", false, 8, false, addressCell},
	{"sent", true, 1, false, func(_ *table, _ *rowState, s *stats.Summary) cell { return number(s.Sent) }},
	{"recv", true, 3, false, func(_ *table, _ *rowState, s *stats.Summary) cell { return number(s.Received) }},
	{"loss", true, 0, false, lossCell},
	{"last ms", true, 2, false, lastCell},
	{"min", true, 7, false, rtt(func(r *stats.RTT) time.Duration { return r.Min })},
	{"avg", true, 0, false, rtt(func(r *stats.RTT) time.Duration { return r.Mean })},
	{"p95", true, 4, false, rtt(func(r *stats.RTT) time.Duration { return r.P95 })},
	{"max", true, 7, false, rtt(func(r *stats.RTT) time.Duration { return r.Max })},
	{"jitter", true, 6, false, jitterCell},
	{"history", false, 5, true, (*table).historyCell},
	{"state", false, 0, false, stateCell},
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
		return cell{"● down " + s.reason.String(), red}
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
			b.WriteString(v.paint(red, "x"))
			continue
		}
		level := float64(d-low) / float64(spread) * float64(len(bars)-1)
		b.WriteRune(bars[min(int(level+0.5), len(bars)-1)])
	}
	return cell{b.String(), ""}
}

// grid is the text of the table, laid out.
type grid struct {
	table   *table
	columns []column
	cells   [][]cell // by row, then column
	widths  []int    // by column
}

const (
	gap        = "  " // between columns
	stateWidth = 6    // "● down", without the reason
	nameWidth  = 8    // of which a name is still told from others
)

// layout lays the rows of ids out in at most cols cells: columns of less
// interest go first, then reasons and names are cut. 0 means as wide as need be.
func (v *table) layout(ids []int, cols int) *grid {
	g := &grid{table: v}
	for _, c := range columns {
		if !c.live || v.live() {
			g.columns = append(g.columns, c)
		}
	}
	rows := v.set.Rows()
	for _, id := range ids {
		sum := rows[id].Summary()
		line := make([]cell, len(g.columns))
		for i, c := range g.columns {
			line[i] = c.value(v, &v.states[id], &sum)
		}
		g.cells = append(g.cells, line)
	}
	g.measure()
	for cols > 0 && g.width() > cols && g.dropOne() {
	}
	for _, part := range []struct{ column, least int }{
		{len(g.columns) - 1, stateWidth}, {0, nameWidth},
	} {
		if over := g.width() - cols; cols > 0 && over > 0 {
			w := &g.widths[part.column]
			*w = min(*w, max(*w-over, part.least))
		}
	}
	return g
}

func (g *grid) measure() {
	g.widths = make([]int, len(g.columns))
	for i, c := range g.columns {
		g.widths[i] = runewidth.StringWidth(c.title)
		for _, line := range g.cells {
			g.widths[i] = max(g.widths[i], visibleWidth(line[i].text))
		}
	}
}

func (g *grid) width() int {
	total := len(gap) * (len(g.columns) - 1)
	for _, w := range g.widths {
		total += w
	}
	return total
}

// dropOne removes the column of least interest, the rightmost of several.
func (g *grid) dropOne() bool {
	least := -1
	for i, c := range g.columns {
		if c.drop > 0 && (least < 0 || c.drop >= g.columns[least].drop) {
			least = i
		}
	}
	if least < 0 {
		return false
	}
	g.columns = append(g.columns[:least:least], g.columns[least+1:]...)
	g.widths = append(g.widths[:least:least], g.widths[least+1:]...)
	for i, line := range g.cells {
		g.cells[i] = append(line[:least:least], line[least+1:]...)
	}
	return true
}

// lines returns the line of titles and one for each row.
func (g *grid) lines() []string {
	titles := make([]cell, len(g.columns))
	for i, c := range g.columns {
		titles[i] = cell{c.title, dim}
	}
	out := []string{g.line(titles)}
	for _, row := range g.cells {
		out = append(out, g.line(row))
	}
	return out
}

func (g *grid) line(cells []cell) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString(gap)
		}
		text := c.text
		if visibleWidth(text) > g.widths[i] {
			tail := "…"
			if i == len(cells)-1 {
				tail = ""
			}
			text = runewidth.Truncate(text, g.widths[i], tail)
		}
		pad := strings.Repeat(" ", max(g.widths[i]-visibleWidth(text), 0))
		text = g.table.paint(c.color, text)
		switch {
		case g.columns[i].right:
			b.WriteString(pad + text)
		case i == len(cells)-1:
			b.WriteString(text)
		default:
			b.WriteString(text + pad)
		}
	}
	return b.String()
}

// spans yields the parts of s without colours, each with the colour escape
// that follows it.
func spans(s string) iter.Seq2[string, string] {
	return func(yield func(plain, escape string) bool) {
		for s != "" {
			plain, rest, found := strings.Cut(s, "\x1b[")
			escape := ""
			if found {
				end := strings.IndexByte(rest, 'm') + 1
				escape = "\x1b[" + rest[:end]
				s = rest[end:]
			} else {
				s = ""
			}
			if !yield(plain, escape) {
				return
			}
		}
	}
}
