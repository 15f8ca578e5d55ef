package output

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"www.example.net", "www.example.net"},
		{"größe 名前 😀", "größe 名前 😀"},
		{"a\nb\tc\rd\x00", `a\nb\tc\rd\x00`},
		{"\x1b[31mred\x7f", `\x1b[31mred\x7f`},
		{"\u009b31m", `\u009b31m`},
		{"\u202egnp.exe", `\u202egnp.exe`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"line\u2028par\u2029", `line\u2028par\u2029`},
		{"\xff\xfeok\xc3", `\xff\xfeok\xc3`},
		{"\ufffd", "\ufffd"},
		{"\U000e0041tag", `\U000e0041tag`},
		{`already \x1b`, `already \x1b`},
		{"no-break\u00a0space", "no-break\u00a0space"},
	} {
		if got := Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[2J\u202e\xff\u2028\U000e0041")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q: not valid UTF-8: %q", s, got)
		}
		for i, r := range got {
			if unsafeRune(r, utf8.RuneLen(r)) {
				t.Fatalf("%q: %U left at %d", s, r, i)
			}
		}
		if again := Escape(got); again != got {
			t.Fatalf("%q: escaped twice: %q", got, again)
		}
		if appended := string(appendEscaped([]byte("x"), s)); appended != "x"+got {
			t.Fatalf("appended %q, want %q", appended, "x"+got)
		}
		if field := string(appendField(nil, s)); strings.ContainsAny(field, "\r\n") {
			t.Fatalf("%q: CSV field ends the line: %q", s, field)
		}
	})
}
