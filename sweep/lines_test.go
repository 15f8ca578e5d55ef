package sweep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// collect reads a list and returns its targets as "line:text", or
// "line!text" for what is wrong.
func collect(r io.Reader) ([]string, error) {
	var all []string
	err := readTargets(r, func(line int, text string, err error) bool {
		sep := ":"
		if err != nil {
			sep = "!"
		}
		all = append(all, fmt.Sprint(line, sep, text))
		return true
	})
	return all, err
}

func TestLines(t *testing.T) {
	exact := strings.Repeat("a", maxLine)
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"one", "a\n", []string{"1:a"}},
		{"no newline at the end", "a\nb", []string{"1:a", "2:b"}},
		{"blank lines", "\n \t\n\na\n\n", []string{"4:a"}},
		{"several on a line", " a  b\tc \n", []string{"1:a", "1:b", "1:c"}},
		{"CRLF", "a\r\nb\r\n\r\n", []string{"1:a", "2:b"}},
		{"CRLF cut off", "a\r", []string{"1:a"}},
		{"comments", "# x\na # b\nc#d\n#\n", []string{"2:a", "3:c"}},
		{"byte order mark", "\xef\xbb\xbfa\n\xef\xbb\xbfb\n", []string{"1:a", "2:\xef\xbb\xbfb"}},
		{"bytes", "a\x00b \xff\n", []string{"1:a\x00b", "1:\xff"}},
		{"longest line", exact + "\nb\n", []string{"1:" + exact, "2:b"}},
		{"longest line, CRLF", exact + "\r\nb\n", []string{"1:" + exact, "2:b"}},
		{"line too long", exact + "a\nb\n", []string{"1!" + exact[:maxText], "2:b"}},
		{"line too long after a return", exact + "\ra\nb\n", []string{"1!" + exact[:maxText], "2:b"}},
		{"comment too long", "a#" + exact + "\nb\n", []string{"1!a#" + exact[2:maxText], "2:b"}},
		{"too long at the end", "b\n" + exact + exact, []string{"1:b", "2!" + exact[:maxText]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":                strings.NewReader(tt.in),
				"by bytes":             iotest.OneByteReader(strings.NewReader(tt.in)),
				"halves":               iotest.HalfReader(strings.NewReader(tt.in)),
				"data and end at once": iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				if got, err := collect(r); err != nil || !slices.Equal(got, tt.want) {
					t.Errorf("%s: %.300q, %v; want %.300q", name, got, err, tt.want)
				}
			}
		})
	}
}

func TestLinesReadErrors(t *testing.T) {
	broken := errors.New("broken")
	got, err := collect(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || !slices.Equal(got, []string{"1:a"}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := collect(nothing{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

// nothing reads nothing for ever.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func TestBounded(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a", "a"},
		{strings.Repeat("a", 300), strings.Repeat("a", 256)},
		{strings.Repeat("a", 255) + "\u00fc", strings.Repeat("a", 255)},
		{strings.Repeat("\xbf", 300), strings.Repeat("\xbf", 252)},
	} {
		if got := bounded(tt.in); got != tt.want {
			t.Errorf("%q of %d bytes: %d", tt.in[:1], len(tt.in), len(got))
		}
	}
}

// FuzzLines cuts a list anywhere: its targets stay the same.
func FuzzLines(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbf10.0.0.0/24 a # b\r\n\nc"), uint16(3))
	f.Add([]byte("#\n#\r"), uint16(1))
	f.Add(bytes.Repeat([]byte("a"), maxLine+2), uint16(maxLine))
	f.Add(append(bytes.Repeat([]byte("a"), maxLine), "\r\n\r"...), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		want, err := collect(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		at := int(cut) % (len(b) + 1)
		got, err := collect(io.MultiReader(bytes.NewReader(b[:at]), iotest.HalfReader(bytes.NewReader(b[at:]))))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q, %v; want %q", at, got, err, want)
		}
		for _, s := range want {
			if len(s) > maxLine+20 || strings.ContainsAny(s[strings.IndexAny(s, ":!"):], "\n") {
				t.Fatalf("%q", s)
			}
		}
	})
}
