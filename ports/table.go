package ports

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"netprobe/internal/packed"
)

// embedded is data/table.txt, which gen makes of data; gen/write.go says how it is
// laid out.
//
//go:embed data/table.txt.flate
var embedded []byte

// table is the embedded one, parsed.
type table struct {
	groups   []Group
	services []service        // by rank; the first of a port names it
	ranked   [protos][]uint16 // what top:N takes from
	registry []assignment     // by number; the first of a port names it
	named    map[Port]string  // the name each port of services has
}

// service is a row of the list of infrastructure ports.
type service struct {
	port   Port
	names  []string // the name, then aliases
	groups []string // groups it is in
}

// assignment is a row of IANA's registry.
type assignment struct {
	number uint16
	in     [protos]bool
	name   string
}

// data parses the embedded table when it is first needed: a few milliseconds.
var data = sync.OnceValue(func() *table {
	t, err := parseTable(string(packed.Unpack(embedded)))
	if err != nil {
		panic("ports: the embedded table: " + err.Error()) // a test parses it
	}
	return t
})

func parseTable(s string) (*table, error) {
	t := &table{named: map[Port]string{}}
	sections := strings.Split(strings.TrimSuffix(s, "\n"), "\n\n")
	parsers := []func(line string) error{
		t.parseGroup, t.parseService,
		func(line string) error { return t.parseRanked(TCP, line) },
		func(line string) error { return t.parseRanked(UDP, line) },
		t.parseAssignment,
	}
	if len(sections) != len(parsers) {
		return nil, fmt.Errorf("%d sections", len(sections))
	}
	for i, parse := range parsers {
		for line := range strings.SplitSeq(sections[i], "\n") {
			if err := parse(line); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
		}
	}
	t.fillGroups()
	return t, nil
}

func (t *table) parseGroup(line string) error {
	name, about, ok := strings.Cut(line, "\t")
	if !ok {
		return strconv.ErrSyntax
	}
	t.groups = append(t.groups, Group{Name: name, About: about})
	return nil
}

func (t *table) parseService(line string) error {
	words := strings.Split(line, " ")
	if len(words) < 3 {
		return strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(words[0], 10, 16)
	if err != nil {
		return err
	}
	s := service{port: Port{TCP, uint16(n)}}
	if words[1] == "u" {
		s.port.Proto = UDP
	}
	for _, w := range words[2:] {
		if g, ok := strings.CutPrefix(w, "@"); ok {
			s.groups = append(s.groups, g)
		} else {
			s.names = append(s.names, w)
		}
	}
	t.services = append(t.services, s)
	if _, ok := t.named[s.port]; !ok {
		t.named[s.port] = s.names[0]
	}
	return nil
}

func (t *table) parseRanked(proto Proto, line string) error {
	for w := range strings.SplitSeq(line, " ") {
		n, err := strconv.ParseUint(w, 10, 16)
		if err != nil {
			return err
		}
		t.ranked[proto] = append(t.ranked[proto], uint16(n))
	}
	return nil
}

func (t *table) parseAssignment(line string) error {
	number, rest, _ := strings.Cut(line, " ")
	in, name, ok := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || !ok {
		return cmp.Or(err, strconv.ErrSyntax)
	}
	t.registry = append(t.registry, assignment{uint16(n), [protos]bool{TCP: in != "u", UDP: in != "t"}, name})
	return nil
}

// fillGroups puts the ports into their groups, each once, by rank.
func (t *table) fillGroups() {
	for i := range t.groups {
		g := &t.groups[i]
		for _, s := range t.services {
			if slices.Contains(s.groups, g.Name) && !slices.Contains(g.Ports, s.port) {
				g.Ports = append(g.Ports, s.port)
			}
		}
	}
}
