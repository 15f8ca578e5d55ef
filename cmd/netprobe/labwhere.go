package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netprobe/internal/lab/labfile"
	"netprobe/output"
)

// printNetworks lists the built-in networks.
func printNetworks(w io.Writer) error {
	for _, name := range labfile.List() {
		file, err := labfile.Load(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%-10s %s\n", name, file.About); err != nil {
			return err
		}
	}
	return nil
}

// printWhere says where a command runs, or the shell of somebody who gave none.
func printWhere(w io.Writer, f *labfile.File, command []string, shell bool) {
	title := "lab " + f.Name
	if f.About != "" {
		title += ": " + f.About
	}
	fmt.Fprintln(w, output.Escape(title))
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "  %-7s  %s\n", what, output.Escape(fmt.Sprintf(format, args...)))
	}
	line("here", "%s", join(f.Prober()))
	for i, target := range f.Targets {
		what := ""
		if i == 0 {
			what = "targets"
		}
		if i == mostTargets {
			line(what, "and %d more", len(f.Targets)-i)
			break
		}
		line(what, "%s (%s)", target, join(f.Addrs(target)))
	}
	p := f.Path()
	line("path", "%s, %s there and back", span(p.Least, p.Most, hops), span(p.Fastest, p.Slowest, milliseconds))
	if shell {
		line("shell", "%s, exit leaves the network", command[0])
	} else {
		line("command", "%s", strings.Join(command, " "))
	}
	fmt.Fprintln(w)
}

// mostTargets is how many names of hosts a header shows.
const mostTargets = 6

// join lists addresses, those of IPv4 first.
func join(addrs []netip.Addr) string {
	var words []string
	for _, a := range slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare) {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// span is one value or two.
func span[T comparable](least, most T, show func(T) (number, unit string)) string {
	n, unit := show(most)
	if least != most {
		m, _ := show(least)
		n = m + " to " + n
	}
	return n + " " + unit
}

func hops(n int) (number, unit string) {
	if n == 1 {
		return "1", "hop"
	}
	return fmt.Sprint(n), "hops"
}

func milliseconds(d time.Duration) (number, unit string) {
	return fmt.Sprintf("%.3g", float64(d)/float64(time.Millisecond)), "ms"
}
