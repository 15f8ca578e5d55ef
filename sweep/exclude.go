package sweep

import (
	"errors"
	"io"
	"strings"

	"netprobe/probe"
)

// ParseExclude reads what is not to be asked: an address, a network or a range,
// written as for Parser.Parse. Of a network, the network and broadcast addresses
// are excluded as well. Names are refused: which addresses they have may change
// while the sweep runs. What no sweep asks anyway, such as multicast, may be
// excluded. Link-local addresses without a zone are meant in every zone.
//
// Errors say what is wrong, without the text.
func ParseExclude(s string) (probe.Range, error) {
	if addr, length, ok := strings.Cut(s, "/"); ok {
		n, err := parseNetwork(addr, length)
		return n.all(), err
	}
	if first, last, ok := cutRange(s); ok {
		return parseRange(first, last)
	}
	if a, err := parseAddr(s); err == nil {
		return probe.Range{First: a, Last: a}, nil
	}
	if _, err := probe.ParseHost(s, func(s string) (string, error) { return "name", nil }); err == nil {
		return probe.Range{}, errors.New("a name cannot be excluded, only addresses")
	}
	return probe.Range{}, errors.New("not an address, a network or a range")
}

// ReadExclude puts what a file lists, in the line format of targets, into set.
// name is the file's, for errors; those about its content are *LineErrors.
func ReadExclude(r io.Reader, name string, set *probe.RangeSet) error {
	var first error
	err := readTargets(r, func(line int, text string, tooLong error) bool {
		x, err := probe.Range{}, tooLong
		if err == nil {
			x, err = ParseExclude(text)
		}
		if err != nil {
			first = &LineError{Name: name, Line: line, Text: bounded(text), Err: err}
			return false
		}
		set.Add(x)
		return true
	})
	if first != nil {
		return first
	}
	return err
}
