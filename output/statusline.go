package output

import (
	"io"
	"sync"
)

// eraseLine goes to the start of the line and clears it.
const eraseLine = "\r\x1b[K"

// StatusLine shares a terminal between lines that stay and one that is redrawn
// below them, where the two are written to different files (stdout and stderr)
// that are the same terminal. Its methods are safe for concurrent use.
//
// Only Write waits for the terminal, when that is stopped (Ctrl-S): Set and
// Close leave the drawing to whoever is writing.
type StatusLine struct {
	lines, status io.Writer

	mu     sync.Mutex
	idle   sync.Cond // busy has become false
	busy   bool      // somebody writes to the terminal
	want   string    // what is to stand in the last line
	drawn  string    // what stands there
	closed bool
}

// NewStatusLine returns a StatusLine of which Write goes to lines and the line
// that is redrawn to status, a terminal. If lines is another file than that
// terminal, do not write it through the StatusLine.
func NewStatusLine(lines, status io.Writer) *StatusLine {
	s := &StatusLine{lines: lines, status: status}
	s.idle.L = &s.mu
	return s
}

// Write writes p, one or more whole lines, above the status line.
func (s *StatusLine) Write(p []byte) (int, error) { return s.above(s.lines, p) }

// Messages returns a writer of whole lines to status, above the status line.
func (s *StatusLine) Messages() io.Writer { return statusMessages{s} }

type statusMessages struct{ s *StatusLine }

func (m statusMessages) Write(p []byte) (int, error) { return m.s.above(m.s.status, p) }

func (s *StatusLine) above(w io.Writer, p []byte) (int, error) {
	s.mu.Lock()
	for s.busy {
		s.idle.Wait()
	}
	s.busy = true
	standing := s.drawn != ""
	s.drawn = ""
	s.mu.Unlock()
	if standing {
		_, _ = io.WriteString(s.status, eraseLine)
	}
	n, err := w.Write(p)
	s.draw()
	return n, err
}

// Set shows line, which must be narrower than the terminal, instead of the one
// before. After Close it does nothing.
func (s *StatusLine) Set(line string) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.want = line
	s.redraw()
}

// Close erases the line for good. Lines are still written.
func (s *StatusLine) Close() {
	s.mu.Lock()
	s.closed, s.want = true, ""
	s.redraw()
}

// redraw unlocks s, and draws unless somebody else is about to.
func (s *StatusLine) redraw() {
	busy := s.busy
	s.busy = true
	s.mu.Unlock()
	if !busy {
		s.draw()
	}
}

// draw brings the terminal to what is wanted, and gives it free.
func (s *StatusLine) draw() {
	for {
		s.mu.Lock()
		want := s.want
		if want == s.drawn {
			s.busy = false
			s.idle.Signal()
			s.mu.Unlock()
			return
		}
		erase := s.drawn != ""
		s.drawn = want
		s.mu.Unlock()
		text := want
		if erase {
			text = eraseLine + want
		}
		_, _ = io.WriteString(s.status, text)
	}
}
