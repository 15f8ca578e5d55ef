package output

import (
	"fmt"
	"iter"
	"strings"

	"github.com/mattn/go-runewidth"
)

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
)

// screen is the part of a terminal on which lines are redrawn in place.
type screen struct {
	look  Options
	drawn []int // widths of the lines that the next frame replaces
}

// size returns the size of the terminal in cells, never less than one row fits in.
func (s *screen) size() (cols, rows int) {
	cols, rows = 80, 24
	if s.look.Size != nil {
		if c, r := s.look.Size(); c > 0 && r > 0 {
			cols, rows = c, r
		}
	}
	return max(cols, 10), max(rows, 5)
}

// detach leaves what is on the screen as it is: the next frame goes below it.
func (s *screen) detach() { s.drawn = s.drawn[:0] }

// replace appends to b what turns the lines on the screen into lines. None of
// them is wider than cols, so none wraps now; but those drawn before may, if
// the terminal has become narrower. The cursor is hidden only meanwhile: a
// process may be stopped or killed at any time, and must not leave it hidden.
func (s *screen) replace(b []byte, lines []string, cols int) []byte {
	b = append(b, hideCursor...)
	above := 0
	for _, width := range s.drawn {
		above += max(1, (width+cols-1)/cols)
	}
	if above > 0 {
		b = fmt.Appendf(b, "\x1b[%dA\r", above)
	}
	s.drawn = s.drawn[:0]
	for _, l := range lines {
		l = fit(l, cols)
		s.drawn = append(s.drawn, visibleWidth(l))
		// Cleared first: behind a line as wide as the terminal, clearing to the
		// end of the line would take its last character.
		b = append(b, "\x1b[K"...)
		b = append(b, l...)
		b = append(b, '\n')
	}
	b = append(b, "\x1b[J"...)
	return append(b, showCursor...)
}

// ANSI colours (ECMA-48, SGR).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint returns text in the given colour, if colours are wanted.
func (o Options) paint(color, text string) string {
	if !o.Color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// visibleWidth returns the width of s in cells without its colours.
func visibleWidth(s string) int {
	width := 0
	for plain := range spans(s) {
		width += runewidth.StringWidth(plain)
	}
	return width
}

// fit cuts s to at most cols cells, keeping its colours.
func fit(s string, cols int) string {
	if visibleWidth(s) <= cols {
		return s
	}
	var b []byte
	for plain, escape := range spans(s) {
		part := runewidth.Truncate(plain, max(cols, 0), "")
		cols -= runewidth.StringWidth(part)
		b = append(b, part...)
		b = append(b, escape...)
	}
	return string(b)
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
