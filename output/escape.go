package output

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Escape returns s with everything escaped that could change how a terminal or
// a reader sees the rest: control characters, invalid UTF-8, line and paragraph
// separators, and format characters (among them those that reverse the
// direction of text). They become \n, \x1b or \u202e; what is printable stays,
// the backslash included, so that escaping twice changes nothing.
func Escape(s string) string {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if unsafeRune(r, n) {
			return string(appendEscaped(make([]byte, 0, len(s)+16), s))
		}
		i += n
	}
	return s
}

// appendEscaped appends s as Escape returns it.
func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case !unsafeRune(r, n):
			dst = append(dst, s[i:i+n]...)
		case r == utf8.RuneError && n == 1:
			dst = appendHexByte(dst, s[i])
		default:
			quoted := strconv.AppendQuoteRuneToASCII(nil, r) // '\u202e'
			dst = append(dst, quoted[1:len(quoted)-1]...)
		}
		i += n
	}
	return dst
}

func appendHexByte(dst []byte, b byte) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'x', hex[b>>4], hex[b&15])
}

// unsafeRune reports whether r, decoded from n bytes, must not be shown as it is.
func unsafeRune(r rune, n int) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	case r == utf8.RuneError:
		return n == 1
	}
	return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r)
}
