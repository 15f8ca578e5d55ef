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
	data string // as it was given; empty if any will do
	key  string // what equal data has in common
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
	if strings.ContainsAny(data, "\n\r") || strings.TrimSpace(data) == "" {
		return e, errors.New("no data of a record")
	}
	e.data = strings.TrimSpace(data)
	words := []string{e.data}
	var err error
	if typ != dns.TypeTXT || e.data[0] == '"' { // else all of it is one string
		words, err = newZoneFile(e.data).words()
	}
	if err == nil {
		e.key, err = dataKey(typ, words)
	}
	if err != nil {
		return e, fmt.Errorf("not the data of a record of type %s", typeName(typ))
	}
	return e, nil
}

// dataKey returns what data has in common with that it is equal to.
func dataKey(typ uint16, words []string) (string, error) {
	fields, err := readData(typ, words)
	return strings.Join(fields, "\x00"), err
}

// meets reports whether the data of a record that came is as e wants it.
func (e *Expectation) meets(data string) bool {
	words, err := newZoneFile(data).words()
	if err != nil {
		return false
	}
	key, err := dataKey(e.typ, words)
	return err == nil && key == e.key
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
	if m != nil {
		for _, rr := range m.Answers {
			if rr.Type == name {
				got = append(got, rr.Data)
			}
		}
	}
	missing, extra := false, slices.Clone(got)
	for _, e := range es {
		if e.typ == typ && e.data != "" {
			want = append(want, e.data)
			missing = missing || !slices.ContainsFunc(got, e.meets)
			extra = slices.DeleteFunc(extra, e.meets)
		}
	}
	switch {
	case len(want) == 0 && len(got) == 0:
		return "expected " + name + ", got none"
	case len(want) == 0 || !missing && len(extra) == 0:
		return ""
	case len(got) == 0:
		got = []string{"none"}
	}
	return fmt.Sprintf("expected %s %s, got %s", name, strings.Join(want, " "), strings.Join(got, " "))
}
