package tcpprobe

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Statuses are HTTP status codes to expect; nil means those below 400.
type Statuses []codes

// codes are those from to to, both included.
type codes struct{ from, to int }

// ParseStatuses reads codes, classes and ranges, separated by commas:
// "200,204,3xx,401-403".
func ParseStatuses(text string) (Statuses, error) {
	var s Statuses
	for part := range strings.SplitSeq(text, ",") {
		c, ok := parseCodes(strings.ToLower(strings.TrimSpace(part)))
		if !ok {
			return nil, fmt.Errorf("%q is no HTTP status: write a code (200), a class (2xx) or a range (200-299)", part)
		}
		s = append(s, c)
	}
	return s, nil
}

func parseCodes(part string) (c codes, ok bool) {
	if class, ok := strings.CutSuffix(part, "xx"); ok {
		if len(class) != 1 || class[0] < '1' || class[0] > '5' {
			return c, false
		}
		from := int(class[0]-'0') * 100
		return codes{from, from + 99}, true
	}
	from, to, ranged := strings.Cut(part, "-")
	if !ranged {
		to = from
	}
	if c.from, ok = parseCode(from); !ok {
		return c, false
	}
	if c.to, ok = parseCode(to); !ok || c.from > c.to {
		return c, false
	}
	return c, true
}

// parseCode reads a status code: three digits, of which the first says more
// (RFC 9110, section 15).
func parseCode(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil && len(text) == 3 && n >= 100 && n <= 599
}

// String returns s as ParseStatuses reads it.
func (s Statuses) String() string {
	var parts []string
	for _, c := range s {
		switch {
		case c.from == c.to:
			parts = append(parts, strconv.Itoa(c.from))
		case c.from%100 == 0 && c.to == c.from+99:
			parts = append(parts, strconv.Itoa(c.from/100)+"xx")
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", c.from, c.to))
		}
	}
	return strings.Join(parts, ",")
}

func (s Statuses) has(code int) bool {
	for _, c := range s {
		if c.from <= code && code <= c.to {
			return true
		}
	}
	return len(s) == 0 && code < 400
}

// CheckPath says what keeps path from being asked for by HTTP: it starts with a
// slash and has neither spaces nor what is not ASCII.
func CheckPath(path string) error {
	switch {
	case strings.Contains(path, "://"):
		return fmt.Errorf("%q is a whole URL: give the path alone, as in /health", path)
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("path %q does not start with /", path)
	case len(path) > maxPath:
		return fmt.Errorf("a path has at most %d bytes", maxPath)
	}
	for _, b := range []byte(path) {
		if b <= ' ' || b > '~' {
			return fmt.Errorf("path %q has a character that must be percent-encoded: write %%%02X for it", path, b)
		}
		if b == '#' {
			return fmt.Errorf("path %q has a fragment (#), which is never sent", path)
		}
	}
	return nil
}

// maxPath is how long a path may be: servers take at least as much of a request
// line (RFC 9112, section 3).
const maxPath = 8000

// Unescape reads text to send: \r, \n, \t, \0, \\ and \xHH stand for bytes.
func Unescape(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		if i++; i == len(text) {
			return "", errors.New(`a backslash ends the text: write \\ for one`)
		}
		switch at := strings.IndexByte(`rnt0\"'`, text[i]); {
		case at >= 0:
			b.WriteByte("\r\n\t\x00\\\"'"[at])
		case text[i] == 'x':
			if i+2 >= len(text) {
				return "", errors.New(`\x needs two hexadecimal digits`)
			}
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				return "", errors.New(`\x needs two hexadecimal digits`)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c: there are \r \n \t \0 \\ and \xHH`, text[i])
		}
	}
	return b.String(), nil
}
