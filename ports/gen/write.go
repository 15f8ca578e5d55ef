package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

// table is what the program embeds: five sections with an empty line between,
// read by ports/table.go.
//
//	groups          web<TAB>HTTP, HTTPS and QUIC, ...
//	infrastructure  443 t https alias alias @web @vpn    by rank; the first of a port names it
//	top:N of tcp    numbers in order
//	top:N of udp
//	registry        1 b tcpmux                           by port; t, u or b for both
func table(in *inputs, ranked [2][]place) []byte {
	var b bytes.Buffer
	for _, g := range in.groups {
		fmt.Fprintf(&b, "%s\t%s\n", g.name, g.about)
	}
	b.WriteByte('\n')
	for proto := range ranked {
		for _, s := range infrastructure(in, proto) {
			words := append([]string{strconv.Itoa(s.port), transports[proto][:1], s.name}, s.aliases...)
			for _, g := range s.groups {
				words = append(words, "@"+g)
			}
			fmt.Fprintln(&b, strings.Join(words, " "))
		}
	}
	for _, places := range ranked {
		b.WriteByte('\n')
		for i, p := range places {
			// Short lines make readable diffs.
			if i > 0 && i%20 == 0 {
				b.WriteByte('\n')
			} else if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.Itoa(p.port))
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	for _, a := range in.registry {
		in := "b"
		switch {
		case !a.in[udp]:
			in = "t"
		case !a.in[tcp]:
			in = "u"
		}
		fmt.Fprintln(&b, a.port, in, a.name)
	}
	return b.Bytes()
}

// published is the list top:N takes from, with where each line comes from.
func published(ranked [2][]place) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"rank", "port", "transport", "service", "provenance", "source"})
	for proto, places := range ranked {
		for i, p := range places {
			w.Write([]string{strconv.Itoa(i + 1), strconv.Itoa(p.port), transports[proto], p.service, p.provenance, p.source})
		}
	}
	w.Flush()
	return b.Bytes()
}
