package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/net/idna"

	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/sweep"
)

// parser reads targets as the flags say.
func (f *hostFlags) parser() sweep.Parser {
	p := sweep.Parser{Broadcast: f.broadcast, Zone: f.iface, ToASCII: idna.Lookup.ToASCII}
	switch f.network() {
	case "ip4":
		p.Family = 4
	case "ip6":
		p.Family = 6
	}
	return p
}

// parseTargets reads the TARGET arguments.
func (f *hostFlags) parseTargets(verb string, args []string) ([]sweep.Spec, error) {
	if len(args) == 0 && f.file == "" {
		return nil, usage(fmt.Sprintf("as in netprobe %s 192.0.2.0/24; from stdin: -f -; see netprobe help %[1]s", verb), "%s needs a target", verb)
	}
	p := f.parser()
	specs := make([]sweep.Spec, len(args))
	for i, arg := range args {
		var err error
		if specs[i], err = p.Parse(arg); err != nil {
			return nil, f.badTarget(arg, err)
		}
		if err := checkZone(specs[i].Range.First); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

// badTarget says why arg is no target of this run.
func (f *hostFlags) badTarget(arg string, err error) error {
	any := f.parser()
	any.Family = 0
	if _, ofOther := any.Parse(arg); ofOther == nil {
		only, other := "IPv4", "IPv6"
		if f.network() == "ip6" {
			only, other = other, only
		}
		return usage(fmt.Sprintf("leave out -%c or the %s source address", only[3], only), "%q is %s in a run with %s only", arg, other, only)
	}
	return usage(targetHint(arg), "%q: %v", arg, err)
}

// targetHint says what to write instead of arg.
func targetHint(arg string) string {
	first, last, isRange := strings.Cut(arg, "-")
	a, errA := netip.ParseAddr(first)
	b, errB := netip.ParseAddr(last)
	info, err := os.Stat(arg)
	switch {
	case arg == "-":
		return "targets from stdin are -f -"
	case isRange && errA == nil && errB == nil && b.Less(a) && a.Is4() == b.Is4():
		return fmt.Sprintf("the lower address comes first: %v-%v", b, a)
	case a.IsLinkLocalUnicast() && a.Zone() == "" || strings.HasPrefix(strings.ToLower(arg), "fe80:"):
		return "name the interface with -I; " + interfaceHint()
	case strings.Contains(arg, "://"), strings.Count(arg, ":") == 1 && !strings.Contains(arg, "/"):
		return hostHint(arg, nil)
	case err == nil && !info.IsDir():
		return fmt.Sprintf("targets from a file are -f %q", arg)
	}
	return "a target is an address, a name, a network (192.0.2.0/24, 2001:db8::/112) or a range (192.0.2.1-192.0.2.99)"
}

// excluded returns what --exclude and --exclude-file leave out; nil for nothing.
func (f *hostFlags) excluded() (*probe.RangeSet, error) {
	if len(f.exclude)+len(f.excludeFiles) == 0 {
		return nil, nil
	}
	const hint = "addresses, networks and ranges, as in 192.0.2.1, 198.51.100.0/24 or 192.0.2.1-192.0.2.99"
	set := &probe.RangeSet{}
	for _, text := range f.exclude {
		r, err := sweep.ParseExclude(text)
		if err != nil {
			return nil, usage(hint, "--exclude: %q: %v", text, err)
		}
		set.Add(r)
	}
	for _, name := range f.excludeFiles {
		if err := readExclude(name, set); err != nil {
			if _, ok := errors.AsType[*sweep.LineError](err); ok {
				return nil, usage(hint, "%v", err)
			}
			return nil, usage("", "cannot read --exclude-file: %v", err)
		}
	}
	return set, nil
}

func readExclude(name string, set *probe.RangeSet) error {
	file, err := openAsCaller(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return sweep.ReadExclude(file, name, set)
}

// A list is the targets of -f.
type list struct {
	io.Reader          // nil without -f
	name      string   // for messages
	file      *os.File // a regular file, which can be read again; nil for a stream
	close     func() error
}

// openList opens the file of -f.
func (f *hostFlags) openList(stdin io.Reader) (*list, error) {
	l := &list{name: f.file, close: func() error { return nil }}
	switch f.file {
	case "":
		return l, nil
	case "-":
		l.Reader, l.name = stdin, "stdin"
		return l, nil
	}
	file, err := openAsCaller(f.file)
	if err != nil {
		return nil, usage("", "cannot read targets: %v", err)
	}
	l.Reader, l.close = file, file.Close
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = errors.New("it is a directory")
	case info.Mode().IsRegular():
		l.file = file
	case f.resume != "":
		err = errors.New("--resume needs a file that can be read again")
	}
	if err != nil {
		file.Close()
		return nil, usage("", "cannot read targets from %q: %v", f.file, err)
	}
	return l, nil
}

// families are those of the addresses of specs, and for what is still to be
// read or looked up those that the flags leave.
func (f *hostFlags) families(specs []sweep.Spec) []rawsock.Family {
	v4, v6 := f.file != "", f.file != ""
	for _, s := range specs {
		named := !s.Range.First.IsValid()
		v4 = v4 || named || s.Range.First.Is4()
		v6 = v6 || named || s.Range.First.Is6()
	}
	return rawsock.Families(v4 && f.network() != "ip6", v6 && f.network() != "ip4")
}
