package output

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// cell is a text and its colour, "" for none.
type cell struct{ text, color string }

// column is one column of a grid.
type column struct {
	title string
	right bool // numbers are aligned to the right
	drop  int  // where the terminal is narrow, the column with the highest drop goes first; 0 stays
	least int  // width down to which it is cut when no more columns can go, the rightmost first; 0 is never cut
}

// gap is what stands between columns.
const gap = "  "

// grid is a table of text, laid out.
type grid struct {
	look    Options
	columns []column
	cells   [][]cell // by row, then column
	widths  []int    // by column; set by fit
}

// fit makes the grid at most cols cells wide: columns of less interest go first,
// then others are cut. 0 means as wide as need be.
func (g *grid) fit(cols int) {
	g.measure()
	for cols > 0 && g.width() > cols && g.dropOne() {
	}
	for i := len(g.columns) - 1; i >= 0; i-- {
		over := g.width() - cols
		if least := g.columns[i].least; cols > 0 && over > 0 && least > 0 {
			g.widths[i] = min(g.widths[i], max(g.widths[i]-over, least))
		}
	}
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
		text = g.look.paint(c.color, text)
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
