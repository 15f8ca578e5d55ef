package ports

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of one list. Every port of both transports, each by its number and with a
// prefix, is under a million bytes long.
const (
	maxLength = 1 << 20 // bytes
	maxNamed  = 1 << 20 // ports named, repeated ones counted again
)

// Error is what is wrong with a list of ports, in one line, and how to mend it.
type Error struct {
	Text string // lower case, without a full stop
	Hint string // never empty
}

func (e *Error) Error() string { return e.Text }

// Parse reads a list of ports, items separated by commas:
//
//	443            a number, 1 to 65535
//	8000-8100      a range; -1024 and 60000- are open at one end, - is all ports
//	https          the name of a service
//	@web           the ports of a group
//	top:100        so many common infrastructure ports
//
// Each is of the transport def, unless it says another for itself: u:53, t:53-99,
// 53/udp. Spaces around commas and hyphens do not matter. The result is in the order
// of the list, each port once. Errors are of type *Error.
func Parse(list string, def Proto) ([]Port, error) {
	if strings.TrimSpace(list) == "" {
		return nil, &Error{"no ports given", help}
	}
	if len(list) > maxLength {
		return nil, &Error{fmt.Sprintf("the list of ports is longer than %d bytes", maxLength), "ranges make it shorter: 8000-8100, or - for all"}
	}
	c := collector{seen: new(set)}
	for item := range strings.SplitSeq(list, ",") {
		if err := c.item(strings.TrimSpace(item), def); err != nil {
			return nil, err
		}
	}
	return c.ports, nil
}

// collector gathers the ports of a list.
type collector struct {
	ports []Port
	seen  *set
	named int
}

// item adds what one item names.
func (c *collector) item(item string, def Proto) *Error {
	what, proto, err := transport(item, def)
	if err != nil {
		return err
	}
	lower := strings.ToLower(what)
	switch {
	case what == "":
		return &Error{"an item of the list of ports is empty", "one comma between two ports: 22,80"}
	case what[0] == '@':
		return c.group(lower[1:], proto)
	case strings.HasPrefix(lower, "top:"):
		return c.top(what, proto)
	case isRange(what):
		return c.span(what, proto)
	}
	n, ok := Lookup(what, proto)
	if !ok {
		return unknown(what, proto)
	}
	return c.add(proto, n)
}

// transport takes a prefix or suffix that names the transport off an item.
func transport(item string, def Proto) (what string, proto Proto, err *Error) {
	what, proto = item, def
	said := 0
	if before, after, ok := strings.Cut(item, ":"); ok {
		before = strings.TrimSpace(before)
		if before == "U" || before == "T" {
			// Who writes it so may mean the next items too, as scanners have it:
			// taken for our prefix, it would be a silent mistake.
			small := strings.ToLower(before)
			return "", def, &Error{
				fmt.Sprintf("the prefix %s: is unknown", before),
				fmt.Sprintf("%s: in a small letter, for each item it holds for: %s:53,%s:161", small, small, small),
			}
		}
		if p, ok := protoNamed(strings.ToLower(before)); ok {
			what, proto = strings.TrimSpace(after), p
			said++
		}
	}
	if i := strings.LastIndexByte(what, '/'); i >= 0 {
		if p, ok := protoNamed(strings.ToLower(strings.TrimSpace(what[i+1:]))); ok {
			what, proto = strings.TrimSpace(what[:i]), p
			said++
		}
	}
	if said > 1 {
		return "", def, &Error{quote(item) + " names its transport twice", "either u:53 or 53/udp"}
	}
	return what, proto, nil
}

func protoNamed(s string) (Proto, bool) {
	switch s {
	case "t", "tcp":
		return TCP, true
	case "u", "udp":
		return UDP, true
	}
	return 0, false
}

// isRange reports whether s is of digits, hyphens and spaces alone: a number or a
// range, or meant to be. Names have a letter.
func isRange(s string) bool {
	return strings.Trim(s, "0123456789- \t") == "" && strings.ContainsAny(s, "0123456789-")
}

// span adds a number or a range.
func (c *collector) span(s string, proto Proto) *Error {
	from, to, isSpan := strings.Cut(s, "-")
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if !isSpan {
		to = from
	}
	first, last := 1, 65535
	for _, end := range []struct {
		s string
		n *int
	}{{from, &first}, {to, &last}} {
		if end.s == "" {
			continue
		}
		if strings.ContainsAny(end.s, "- \t") {
			return &Error{quote(s) + " is no port and no range", hintSpan(end.s)}
		}
		n, err := strconv.ParseUint(end.s, 10, 16)
		if err != nil {
			return &Error{fmt.Sprintf("port %s is out of range", shorten(end.s)), "ports go from 1 to 65535"}
		}
		*end.n = int(n)
	}
	switch {
	case first == 0 && isSpan && last > 0:
		return &Error{"port 0 is reserved and cannot be probed", fmt.Sprintf("did you mean 1-%d?", last)}
	case first == 0 || last == 0:
		return &Error{"port 0 is reserved and cannot be probed", "ports go from 1 to 65535"}
	case first > last:
		return &Error{fmt.Sprintf("the range %d-%d runs backwards", first, last), fmt.Sprintf("did you mean %d-%d?", last, first)}
	}
	for n := first; n <= last; n++ {
		if err := c.add(proto, uint16(n)); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) group(name string, proto Proto) *Error {
	for _, g := range Groups() {
		if g.Name != name {
			continue
		}
		own := g.Of(proto)
		if len(own) == 0 {
			return &Error{
				fmt.Sprintf("the group @%s has no %s port", name, proto),
				fmt.Sprintf("its %s ports are %s@%s", proto.other(), proto.other().prefix(), name),
			}
		}
		return c.add(proto, own...)
	}
	return unknownGroup(name)
}

func (c *collector) top(s string, proto Proto) *Error {
	digits := strings.TrimSpace(s[len("top:"):])
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return &Error{quote(s) + " does not say how many", "a number follows: top:100"}
	}
	numbers, e := top(int(n), proto)
	if e != nil {
		return e
	}
	return c.add(proto, numbers...)
}

// add adds ports that are not there yet.
func (c *collector) add(proto Proto, numbers ...uint16) *Error {
	if c.named += len(numbers); c.named > maxNamed {
		return &Error{"the list names the same ports again and again", "all ports are -, those of udp u:-"}
	}
	for _, n := range numbers {
		if p := (Port{proto, n}); c.seen.add(p) {
			c.ports = append(c.ports, p)
		}
	}
	return nil
}
