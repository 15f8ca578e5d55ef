// Package snippet shortens what somebody on the network said to what fits into a
// message for people. It is bounded then, not escaped: package output does that.
package snippet

import "strings"

// Max is how many bytes of what was said fit into a message.
const Max = 80

// Line returns the first line of what was said, shortened.
func Line(said []byte) string {
	text := strings.TrimLeft(string(said[:min(len(said), 4*Max)]), "\r\n\t ")
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		text = text[:i]
	}
	return Clip(strings.TrimRight(text, " \t"), Max)
}

// Clip shortens text to n bytes, the mark of it included, without cutting a
// character in two.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	const mark = "..."
	n -= len(mark)
	for n > 0 && text[n]&0xc0 == 0x80 {
		n--
	}
	return text[:n] + mark
}

// Readable reports whether said is text that a person can read.
func Readable(said []byte) bool {
	for _, b := range said {
		if (b < ' ' || b > '~') && b != '\r' && b != '\n' && b != '\t' {
			return false
		}
	}
	return len(said) > 0
}
