// Package sweep owns which hosts a sweep asks and how far it got: the targets
// users list (networks, ranges, addresses, names, files and pipes of them),
// what is left out, the order, one machine's share, and the state from which an
// interrupted sweep goes on. How a host is asked is the engines' matter.
//
// The one thing that surprises: nothing is expanded. Every address of the sweep
// has an index, its place in the list as written, but the list is ranges only.
// Which address comes next is computed from the index at the next position of a
// probe.Order. So a sweep is resumed by a position, and split by the remainder
// of the index.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"strings"

	"netprobe/probe"
)

// DefaultMaxHosts is how many addresses a sweep may have unless told otherwise:
// those of an IPv4 /8.
const DefaultMaxHosts = 1 << 24

// Config says what to sweep. The zero value sweeps nothing.
type Config struct {
	Specs    []Spec    // of the command line
	File     io.Reader // more targets, see the package's line format; nil for none
	FileName string    // of File, for messages
	Steady   bool      // File is a regular file: always the same to read
	Listing  *Listing  // what Check found in Specs and File; nil if nobody checked
	Parser   Parser    // of what File lists

	Exclude *probe.RangeSet // never asked; nil for none
	Seed    uint64          // of the order
	Ordered bool            // in the order written, not shuffled
	Shard   probe.Shard     // the part of the sweep this machine has

	MaxHosts uint64 // addresses and names in all shards together; 0 means DefaultMaxHosts

	// Lookup returns the addresses of a name, within 5 s. Hosts calls it for up
	// to 256 names at once. Nil asks the system.
	Lookup func(ctx context.Context, h probe.Host) ([]netip.Addr, error)
	All    bool // ask every address of a name, not only the first

	// Bad is told what is not asked: a target of File that cannot be swept
	// (line from 1), or a name without an address (line 0). text is raw, at most
	// 256 bytes. Calls come one at a time, from Run's goroutines. Nil for nobody.
	Bad func(line int, text string, err error)

	From *State // go on where an earlier run stopped; nil from the start

	batch int // of tests: instead of batchSize
}

// full returns how many entries make a batch full.
func (c *Config) full() int {
	if c.batch != 0 {
		return c.batch
	}
	return batchSize
}

// ErrExcluded is inside the error Bad is told of a name all of whose addresses
// are excluded.
var ErrExcluded = errors.New("excluded")

// TooManyError says that a target has more addresses, or makes the sweep have
// more, than Config.MaxHosts allows.
type TooManyError struct {
	Text string   // the target, as written
	Size *big.Int // addresses it has that are neither excluded nor listed before
	Sum  *big.Int // with those listed before it
	Max  uint64
}

func (e *TooManyError) Error() string {
	limit := grouped(fmt.Sprint(e.Max))
	if e.Sum.Cmp(e.Size) == 0 || e.Size.Cmp(new(big.Int).SetUint64(e.Max)) > 0 {
		return fmt.Sprintf("%s has %s addresses, more than %s", e.Text, grouped(e.Size.String()), limit)
	}
	return fmt.Sprintf("with %s there are %s addresses, more than %s", e.Text, grouped(e.Sum.String()), limit)
}

// grouped puts commas between groups of three digits.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// maxHosts returns MaxHosts with its default.
func (c *Config) maxHosts() uint64 {
	if c.MaxHosts == 0 {
		return DefaultMaxHosts
	}
	return min(c.MaxHosts, math.MaxInt) // an index becomes the ID of a Target
}
