package sweep

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A list of targets is text: targets separated by blanks and newlines. What
// follows a # on its line is a comment. A byte order mark in front and carriage
// returns are taken for blanks.

const (
	maxLine = 4096 // bytes of a line, without its end
	maxText = 256  // bytes of a target in messages
)

var errLongLine = fmt.Errorf("line longer than %d bytes", maxLine)

// LineError says which target of a file is wrong.
type LineError struct {
	Name string // of the file
	Line int    // from 1
	Text string // the target, raw, at most 256 bytes
	Err  error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s:%d: %q: %v", e.Name, e.Line, e.Text, e.Err)
}
func (e *LineError) Unwrap() error { return e.Err }

// lines finds the targets in a text that comes in pieces, cut anywhere.
type lines struct {
	// target is told each target and its line, from 1. err is set, and text the
	// beginning of the line, if that was too long to be read. It returns whether
	// to go on.
	target func(line int, text string, err error) bool

	done int    // lines ended
	part []byte // the line begun
	long bool   // the line begun is too long; the rest of it is skipped
}

// feed takes the next piece. It reports whether target wants to go on.
func (l *lines) feed(piece []byte) bool {
	for {
		line, rest, ended := bytes.Cut(piece, []byte{'\n'})
		if len(l.part) > 0 || !ended || l.long {
			line = l.join(line)
		}
		if !ended {
			return true
		}
		if !l.end(line) {
			return false
		}
		piece = rest
	}
}

// finish ends the last line, which may lack a newline.
func (l *lines) finish() bool {
	if len(l.part) == 0 && !l.long {
		return true
	}
	return l.end(l.part)
}

// join puts more of a line behind what there is of it, and returns all of it.
func (l *lines) join(more []byte) []byte {
	if room := maxLine + 1 - len(l.part); len(more) > room {
		l.long = true
		more = more[:max(room, 0)]
	}
	l.part = append(l.part, more...)
	return l.part
}

func (l *lines) end(line []byte) bool {
	l.done++
	long := l.long
	l.part, l.long = l.part[:0], false
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if l.done == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if long || len(line) > maxLine {
		return l.target(l.done, bounded(string(line)), errLongLine)
	}
	line, _, _ = bytes.Cut(line, []byte{'#'})
	for text := range bytes.FieldsFuncSeq(line, blank) {
		if !l.target(l.done, string(text), nil) {
			return false
		}
	}
	return true
}

func blank(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\v' || r == '\f' }

// readTargets reads a whole list of targets; see lines for target.
func readTargets(r io.Reader, target func(line int, text string, err error) bool) error {
	l := lines{target: target}
	buf := make([]byte, pieceSize)
	for idle := 0; ; {
		n, err := r.Read(buf)
		if !l.feed(buf[:n]) {
			return nil
		}
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case err == io.EOF:
			l.finish()
			return nil
		case err != nil:
			return err
		case idle == maxIdle:
			return io.ErrNoProgress
		}
	}
}

const (
	pieceSize = 32 << 10
	maxIdle   = 100 // reads in a row that give nothing
)

// bounded cuts text to what messages show of a target.
func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.Clone(text[:n])
}
