package main

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The transports are numbered as in package ports.
const (
	tcp = iota
	udp
)

var transports = []string{tcp: "tcp", udp: "udp"}

// inputs are the three files that people write.
type inputs struct {
	groups   []group
	services []service    // by port, transport and rank, as in the file
	registry []assignment // by port; several names of one port in the registry's order
}

type group struct{ name, about string }

// service is a row of infrastructure.csv.
type service struct {
	port, proto, rank int
	name              string
	aliases, groups   []string
	source            string
}

// assignment is a row of iana.csv.
type assignment struct {
	port int
	in   [2]bool // by transport
	name string
	rfc  string // number of the RFC the registry refers to; empty if none
}

func readInputs(dir string) (*inputs, error) {
	in := new(inputs)
	for _, f := range []struct {
		name   string
		header []string
		row    func(r []string) error
	}{
		{"groups.csv", []string{"name", "about"}, in.group},
		{"infrastructure.csv", []string{"port", "transport", "service", "aliases", "groups", "rank", "source"}, in.service},
		{"iana.csv", []string{"port", "transport", "service", "rfc"}, in.assignment},
	} {
		if err := readCSV(filepath.Join(dir, f.name), f.header, f.row); err != nil {
			return nil, err
		}
	}
	return in, in.check()
}

// readCSV hands the rows of a file to row, and says which line row does not like.
func readCSV(name string, header []string, row func([]string) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	rows, err := r.ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], header) {
		return fmt.Errorf("%s: the first line is not %s", name, strings.Join(header, ","))
	}
	for i, fields := range rows[1:] {
		if err := row(fields); err != nil {
			return fmt.Errorf("%s: line %d: %w", name, i+2, err)
		}
	}
	return nil
}

var groupName = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

func (in *inputs) group(r []string) error {
	if !groupName.MatchString(r[0]) || r[1] == "" || strings.ContainsAny(r[1], "\t\n") {
		return fmt.Errorf("group %q has no proper name or text", r[0])
	}
	in.groups = append(in.groups, group{r[0], r[1]})
	return nil
}

// serviceName is stricter than the registry: a name that looks like nothing else
// in a list of ports, and fits a column.
var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,23}$`)

func (in *inputs) service(r []string) error {
	s := service{name: r[2], aliases: strings.Fields(r[3]), groups: strings.Fields(r[4]), source: r[6]}
	var err error
	if s.port, err = portNumber(r[0]); err != nil {
		return err
	}
	if s.proto = slices.Index(transports, r[1]); s.proto < 0 {
		return fmt.Errorf("transport %q is neither tcp nor udp", r[1])
	}
	if s.rank, err = strconv.Atoi(r[5]); err != nil || s.rank < 1 {
		return fmt.Errorf("rank %q is no positive number", r[5])
	}
	for _, name := range append([]string{s.name}, s.aliases...) {
		if !serviceName.MatchString(name) {
			return fmt.Errorf("%q is no service name", name)
		}
	}
	if u, err := url.Parse(s.source); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("source %q is no URL", s.source)
	}
	in.services = append(in.services, s)
	return nil
}

func (in *inputs) assignment(r []string) error {
	a := assignment{name: r[2], rfc: r[3]}
	var err error
	if a.port, err = portNumber(r[0]); err != nil {
		return err
	}
	switch proto := slices.Index(transports, r[1]); {
	case proto >= 0:
		a.in[proto] = true
	case r[1] == "both":
		a.in = [2]bool{true, true}
	default:
		return fmt.Errorf("transport %q is not tcp, udp or both", r[1])
	}
	if a.name == "" || strings.ContainsAny(a.name, " \t\n") {
		return fmt.Errorf("%q is no service name", a.name)
	}
	in.registry = append(in.registry, a)
	return nil
}

func portNumber(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return int(n), nil
}

// check finds what no row shows by itself.
func (in *inputs) check() error {
	known := map[string]bool{}
	for _, g := range in.groups {
		if known[g.name] {
			return fmt.Errorf("groups.csv: %s is there twice", g.name)
		}
		known[g.name] = true
	}
	var names [2]map[string]bool
	for proto := range names {
		names[proto] = map[string]bool{}
	}
	for _, s := range in.services {
		for _, g := range s.groups {
			if !known[g] {
				return fmt.Errorf("infrastructure.csv: %s is in the unknown group %q", s.name, g)
			}
		}
		for _, name := range append([]string{s.name}, s.aliases...) {
			if names[s.proto][name] {
				return fmt.Errorf("infrastructure.csv: the %s name %s is there twice", transports[s.proto], name)
			}
			names[s.proto][name] = true
		}
	}
	if !slices.IsSortedFunc(in.services, byPort) {
		return fmt.Errorf("infrastructure.csv is not sorted by port, transport and rank")
	}
	if !slices.IsSortedFunc(in.registry, func(a, b assignment) int { return a.port - b.port }) {
		return fmt.Errorf("iana.csv is not sorted by port")
	}
	return nil
}
