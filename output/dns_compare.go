package output

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"netprobe/probe"
	"netprobe/stats"
)

// sortedRcodes returns the names by how often they came.
func sortedRcodes(n map[string]uint64) []string {
	return slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b))
	})
}

// appendComparisons appends what servers said side by side.
func appendComparisons(b []byte, d *stats.DNS, o Options) []byte {
	kept, differ, more := d.Differences()
	for i := range kept {
		if i > 0 {
			b = append(b, '\n')
		}
		b = appendComparison(b, &kept[i], o)
	}
	if more > 0 {
		b = fmt.Appendf(b, "\nand %d more questions with different answers\n", more)
	}
	if len(kept) == 0 {
		return b
	}
	if differ == 0 {
		return append(b, "\nall servers agree\n"...)
	}
	return b
}

func appendComparison(b []byte, c *stats.DNSComparison, o Options) []byte {
	b = append(b, o.paint(bold, Escape(questionText(c.Question)))...)
	b = append(b, '\n')
	g := grid{look: o, columns: []column{
		{"server", false, 0, nameWidth}, {"rcode", false, 0, 0}, {"ms", true, 2, 0}, {"ttl", true, 1, 0}, {"answer", false, 0, nameWidth}, {"differs in", false, 0, stateWidth},
	}}
	for i := range c.Answers {
		g.cells = append(g.cells, comparisonRow(c, i))
	}
	cols := 0
	if o.Terminal && o.Size != nil {
		cols, _ = o.Size()
	}
	g.fit(cols)
	for _, l := range g.lines() {
		b = append(append(b, strings.TrimRight(l, " ")...), '\n')
	}
	return b
}

func comparisonRow(c *stats.DNSComparison, i int) []cell {
	a, ref := &c.Answers[i], &c.Answers[c.Reference]
	none := cell{"-", dim}
	row := []cell{{Escape(a.Target.Name), ""}, none, none, none, none, {}}
	switch {
	case a.Rcode != "":
		row[1], row[2] = cell{Escape(a.Rcode), ""}, millisCell(a.RTT)
	case a.Status == probe.Failed:
		row[1] = cell{"not asked", yellow}
	default:
		row[1] = cell{"no answer", red}
	}
	if len(a.Set) > 0 {
		row[3] = cell{strconv.FormatUint(uint64(a.TTL), 10), ""}
		few := a.Set[:min(len(a.Set), maxInLine)]
		text := strings.Join(few, ", ")
		if n := len(a.Set) - len(few); n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		row[4] = cell{Escape(text), ""}
	} else if a.Serial != "" {
		row[4] = cell{Escape("serial " + a.Serial), ""}
	}
	if words := differenceWords(a, ref); words != "" {
		row[5] = cell{Escape(words), red}
		if len(a.Different) == 1 && a.Different[0] == "ttl" {
			row[5].color = dim // caches count it down
		}
	}
	return row
}

// differenceWords says in what a differs from the reference, not escaped.
func differenceWords(a, ref *stats.DNSAnswer) string {
	var words []string
	for _, d := range a.Different {
		switch d {
		case "answer":
			words = append(words, "answer: "+a.Reason.String())
		case "rcode":
			words = append(words, "rcode: "+a.Rcode+" not "+ref.Rcode)
		case "serial":
			words = append(words, "serial: "+a.Serial+" not "+ref.Serial)
		case "ttl":
			words = append(words, fmt.Sprintf("ttl: %d not %d", a.TTL, ref.TTL))
		case "records":
			var changes []string
			for _, x := range a.Extra[:min(len(a.Extra), maxInLine)] {
				changes = append(changes, "+"+x)
			}
			for _, x := range a.Missing[:min(len(a.Missing), maxInLine)] {
				changes = append(changes, "-"+x)
			}
			words = append(words, "records: "+strings.Join(changes, " "))
		}
	}
	return strings.Join(words, "; ")
}
