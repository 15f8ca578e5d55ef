package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxDoors bounds how many open ports a scan can be compared with.
const maxDoors = 1 << 20

// parsePorts reads numbers and ranges with commas between them.
func parsePorts(text string) ([]uint16, error) {
	var all []uint16
	for word := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(word, "-")
		if !ok {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("ports %q: %w", word, err)
		}
		if first == 0 || last < first {
			return nil, fmt.Errorf("ports %q: not a range from 1 to 65535", word)
		}
		for p := first; p <= last; p++ {
			all = append(all, uint16(p))
		}
	}
	return all, nil
}

// doors is what a tool said about ports, beside those that are really open.
type doors struct {
	open      map[netip.AddrPort]bool // whether it was named
	found     uint64                  // named, of these
	again     uint64                  // named a second time
	strangers uint64                  // said to be open, but not so
	all       bool                    // whether the output is to tell of all ports
	silent    bool                    // whether what is not open is silent
	decided   map[netip.AddrPort]bool // ports with a state; nil if the output does not tell of all
	unnamed   uint64                  // those with a state that have no line of their own
}

// parseDoors reads HOSTS=PORTS: the open ports, HOSTS as in parseCrowd.
func parseDoors(texts []string) (*doors, error) {
	d := &doors{open: make(map[netip.AddrPort]bool)}
	for _, text := range texts {
		hosts, list, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("%s: not HOSTS=PORTS", text)
		}
		c, err := parseCrowd(hosts)
		if err != nil {
			return nil, err
		}
		ports, err := parsePorts(list)
		if err != nil {
			return nil, err
		}
		if c.size*uint64(len(ports)) > maxDoors {
			return nil, fmt.Errorf("%s: more than %d ports", text, maxDoors)
		}
		for _, s := range c.spans {
			for i := range s.size() {
				for _, p := range ports {
					d.open[netip.AddrPortFrom(plus(s.first, uint32(i)), p)] = false
				}
			}
		}
	}
	return d, nil
}

// named notes that a tool calls a port open.
func (d *doors) named(at netip.AddrPort) {
	switch before, ok := d.open[at]; {
	case !ok:
		d.strangers++
	case before:
		d.again++
	default:
		d.open[at] = true
		d.found++
	}
}

// namedText is named for an address and a port as printed.
func (d *doors) namedText(host, port string) error {
	a, err := netip.ParseAddr(host)
	p, err2 := strconv.ParseUint(port, 10, 16)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	d.named(netip.AddrPortFrom(a, uint16(p)))
	return nil
}

func (d *doors) missing() uint64 { return uint64(len(d.open)) - d.found }

// undecided is how many of the ports asked have no state.
func (d *doors) undecided(asked uint64) uint64 {
	return asked - min(asked, uint64(len(d.decided))+d.unnamed)
}
