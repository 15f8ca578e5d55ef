package tcpprobe

import (
	"strings"
	"testing"
	"time"
)

func TestParseStatuses(t *testing.T) {
	for _, tc := range []struct {
		text string
		in   []int
		out  []int
	}{
		{"200", []int{200}, []int{199, 201}},
		{"2XX, 301", []int{200, 299, 301}, []int{300, 302, 400}},
		{"200-204,404", []int{200, 202, 204, 404}, []int{205, 403}},
	} {
		s, err := ParseStatuses(tc.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range tc.in {
			if !s.has(c) {
				t.Errorf("%s has no %d", tc.text, c)
			}
		}
		for _, c := range tc.out {
			if s.has(c) {
				t.Errorf("%s has %d", tc.text, c)
			}
		}
	}
	for _, text := range []string{"", "20", "2000", "600", "099", "6xx", "0xx", "xx", "2x", "204-200", "200-", "-200", "200,", "+20", "ok"} {
		if s, err := ParseStatuses(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
	if s := Statuses(nil); !s.has(204) || !s.has(302) || s.has(404) || s.has(500) {
		t.Error("none means below 400")
	}
}

func FuzzParseStatuses(f *testing.F) {
	f.Add("200,3xx,401-403")
	f.Add("2xx,,")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStatuses(text)
		if err != nil {
			return
		}
		again, err := ParseStatuses(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%q is %v, then %v: %v", text, s, again, err)
		}
	})
}

func TestCheckPath(t *testing.T) {
	for path, why := range map[string]string{
		"/": "", "/a/b?c=d&e=%20": "", "/~x": "",
		"":                                 "does not start with /",
		"health":                           "does not start with /",
		"http://www.example.com/x":         "whole URL",
		"/a b":                             "write %20",
		"/a\r\nHost: x":                    "write %0D",
		"/ä":                               "write %C3",
		"/a#b":                             "fragment",
		"/" + strings.Repeat("a", maxPath): "at most",
	} {
		err := CheckPath(path)
		if (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%.20q: %v", path, err)
		}
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{
		"": "", `PING\r\n`: "PING\r\n", `\x00\xfF\t\0\\`: "\x00\xff\t\x00\\", `"'`: `"'`, `\"\'`: `"'`, "ä": "ä",
	} {
		if got, err := Unescape(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{`\`, `\x`, `\x1`, `\xg0`, `\x+1`, `\q`, `\u00e4`} {
		if got, err := Unescape(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`PING\r\n`)
	f.Add(`\x0`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Unescape(text)
		if err == nil && len(got) > len(text) {
			t.Errorf("%q: %q", text, got)
		}
	})
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		3 * time.Second: "3 s", 1500 * time.Millisecond: "1.5 s", 300 * time.Millisecond: "300 ms", 1234567 * time.Nanosecond: "1.23 ms",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
