package dnsprobe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"netprobe/probe"
)

// An Expectation is what the records of one type in an answer must be.
type Expectation struct {
	typ  uint16
	data string // normalized; empty if any will do
}

// ParseExpectation reads "A=192.0.2.7", or "A" if any record of that type will do.
func ParseExpectation(text string) (Expectation, error) {
	name, data, given := strings.Cut(text, "=")
	typ, ok := parseType(strings.TrimSpace(name))
	if !ok || typ == dns.TypeANY {
		return Expectation{}, fmt.Errorf("%q is not a record type", name)
	}
	e := Expectation{typ: typ}
	if !given {
		return e, nil
	}
	// A line break would start another record, a dollar sign a directive.
	if strings.ContainsAny(data, "\n\r") || strings.TrimSpace(data) == "" {
		return e, errors.New("no data of a record")
	}
	if typ == dns.TypeTXT && !strings.HasPrefix(data, `"`) {
		data = `"` + strings.ReplaceAll(data, `"`, `\"`) + `"`
	}
	rr, err := dns.NewRR(fmt.Sprintf(". 0 IN %s %s", typeName(typ), data))
	if err != nil || rr == nil {
		return e, fmt.Errorf("not the data of a record of type %s", typeName(typ))
	}
	e.data = dataOf(rr)
	return e, nil
}

// unmet says in which way m is not as all of es want it: of each type the records
// must be exactly those given. Those of a type count for the questions of that type;
// if none asks for it, for all.
func unmet(es []Expectation, q Question, asked []Question, m *probe.DNSMessage) []string {
	var lines []string
	var seen []uint16
	for _, e := range es {
		if slices.Contains(seen, e.typ) || !applies(e.typ, q, asked) {
			continue
		}
		seen = append(seen, e.typ)
		if line := unmetOf(es, e.typ, m); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func applies(typ uint16, q Question, asked []Question) bool {
	return q.typ == typ || !slices.ContainsFunc(asked, func(o Question) bool { return o.typ == typ })
}

func unmetOf(es []Expectation, typ uint16, m *probe.DNSMessage) string {
	name := typeName(typ)
	var want, got []string
	for _, e := range es {
		if e.typ == typ && e.data != "" {
			want = append(want, e.data)
		}
	}
	if m != nil {
		for _, rr := range m.Answers {
			if rr.Type == name {
				got = append(got, rr.Data)
			}
		}
	}
	if len(want) == 0 {
		if len(got) == 0 {
			return "expected " + name + ", got none"
		}
		return ""
	}
	missing, extra := difference(want, got), difference(got, want)
	if len(missing)+len(extra) == 0 {
		return ""
	}
	text := "none"
	if len(got) > 0 {
		text = strings.Join(got, " ")
	}
	return fmt.Sprintf("expected %s %s, got %s", name, strings.Join(want, " "), text)
}

// difference returns what is in a and not in b; names are compared without regard
// to case.
func difference(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y string) bool { return strings.EqualFold(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}
