package snippet

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "\r\nhello \r\nyou": "hello", strings.Repeat("ä", 80): strings.Repeat("ä", 38) + "...",
		strings.Repeat("x", Max): strings.Repeat("x", Max), strings.Repeat("x", Max+1): strings.Repeat("x", Max-3) + "...",
	} {
		if got := Line([]byte(in)); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestReadable(t *testing.T) {
	for in, want := range map[string]bool{"": false, "220 mail\r\n": true, "\x1b[2J": false, "\xff": false, "a\tb": true} {
		if Readable([]byte(in)) != want {
			t.Errorf("%q: %v", in, !want)
		}
	}
}
