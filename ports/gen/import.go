package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// importRegistry takes from a copy of the "Service Name and Transport Protocol Port
// Number Registry" the facts that are needed, as the content of iana.csv: what has
// a name and a number, by TCP or UDP. The columns are found by their names, as
// IANA writes them or in short.
func importRegistry(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := readRegistry(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	slices.SortStableFunc(all, func(a, b assignment) int { return a.port - b.port })
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"port", "transport", "service", "rfc"})
	for _, a := range fold(all) {
		transport := "both"
		switch {
		case !a.in[udp]:
			transport = transports[tcp]
		case !a.in[tcp]:
			transport = transports[udp]
		}
		w.Write([]string{strconv.Itoa(a.port), transport, a.name, a.rfc})
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

var rfcReference = regexp.MustCompile(`\[RFC(\d+)\]`)

func readRegistry(r io.Reader) ([]assignment, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	header, err := rows.Read()
	if err != nil {
		return nil, err
	}
	column := func(names ...string) int {
		return slices.IndexFunc(header, func(h string) bool { return slices.Contains(names, strings.ToLower(h)) })
	}
	port, transport := column("port", "port number"), column("transport", "transport protocol")
	service, reference := column("service", "service name"), column("reference")
	last := max(port, transport, service, reference)
	if min(port, transport, service, reference) < 0 {
		return nil, errors.New("the columns port, transport, service and reference are not there")
	}
	var all []assignment
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(row) <= last {
			continue
		}
		proto := slices.Index(transports, row[transport])
		if proto < 0 || row[service] == "" || row[port] == "" {
			continue
		}
		from, to, ok := strings.Cut(row[port], "-")
		if !ok {
			to = from
		}
		a := assignment{name: row[service]}
		a.in[proto] = true
		if m := rfcReference.FindStringSubmatch(row[reference]); m != nil {
			a.rfc = m[1]
		}
		if all, err = spread(all, a, from, to); err != nil {
			return nil, err
		}
	}
}

// spread adds an assignment for each port of a range. Port 0 is reserved.
func spread(all []assignment, a assignment, from, to string) ([]assignment, error) {
	first, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is no port", from)
	}
	last, err := strconv.ParseUint(to, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is no port", to)
	}
	for n := max(first, 1); n <= last; n++ {
		a.port = int(n)
		all = append(all, a)
	}
	return all, nil
}

// fold makes one row of two that differ in the transport alone, where that does
// not change which name of a port comes first.
func fold(all []assignment) []assignment {
	var folded []assignment
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(a assignment) bool { return a.port != all[0].port })
		if n < 0 {
			n = len(all)
		}
		folded = append(folded, foldPort(all[:n])...)
		all = all[n:]
	}
	return folded
}

func foldPort(rows []assignment) []assignment {
	var folded []assignment
	for _, a := range rows {
		i := slices.IndexFunc(folded, func(b assignment) bool { return b.name == a.name && b.rfc == a.rfc })
		if i < 0 {
			folded = append(folded, a)
			continue
		}
		for proto, in := range a.in {
			folded[i].in[proto] = folded[i].in[proto] || in
		}
	}
	for proto := range transports {
		if first(rows, proto) != first(folded, proto) {
			return rows
		}
	}
	return folded
}

func first(rows []assignment, proto int) string {
	for _, a := range rows {
		if a.in[proto] {
			return a.name
		}
	}
	return ""
}
