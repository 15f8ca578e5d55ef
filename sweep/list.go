package sweep

import (
	"math"
	"math/big"
	"math/bits"
	"net/netip"
	"sort"
	"strings"

	"netprobe/probe"
)

const (
	// batchSize is how many ranges and names of File are put into an order
	// together. It never changes: resumed sweeps count on it.
	batchSize = 1 << 16

	// Ranges are remembered, so that nothing is asked twice, until there are
	// maxSeen; those of bigRange addresses and more are remembered even then.
	// With maxHosts that bounds what is remembered. Names: the first maxNames.
	maxSeen  = 1 << 17
	bigRange = 256
	maxNames = 1 << 16
)

// batch is a part of the sweep with an order of its own: hosts with consecutive
// indices, from base on.
type batch struct {
	base, hosts uint64
	entries     []entry
	names       []name // those of entries that are names
	listed      bool   // it is of File
}

// entry is a range or a name. It reaches to the next entry's start.
type entry struct {
	start uint64     // index of the first host
	first netip.Addr // invalid for a name
}

type name struct {
	index uint64
	host  probe.Host
}

// at returns the address of the host with an index, or an invalid one if that
// has a name.
func (b *batch) at(index uint64) netip.Addr {
	e := &b.entries[b.entry(index)]
	if !e.first.IsValid() {
		return netip.Addr{}
	}
	return probe.Range{First: e.first}.At(index - e.start)
}

// entry returns which of entries has the host with an index: the last that does
// not start beyond it.
func (b *batch) entry(index uint64) int {
	if uint64(len(b.entries)) == b.hosts { // single addresses and names
		return int(index - b.base)
	}
	low, high := 0, len(b.entries)
	for high-low > 1 {
		if mid := (low + high) / 2; b.entries[mid].start > index {
			high = mid
		} else {
			low = mid
		}
	}
	return low
}

// name returns the name of the host with an index that has one.
func (b *batch) name(index uint64) name {
	return b.names[sort.Search(len(b.names), func(i int) bool { return b.names[i].index >= index })]
}

func (b *batch) addRange(r probe.Range) {
	b.entries = append(b.entries, entry{b.base + b.hosts, r.First})
	b.hosts += r.Size()
}

func (b *batch) addName(h probe.Host) {
	index := b.base + b.hosts
	b.names = append(b.names, name{index, h})
	b.entries = append(b.entries, entry{start: index})
	b.hosts++
}

// lister turns targets into batches: it gives hosts their indices, and leaves
// out what is excluded and what was listed before.
type lister struct {
	exclude *probe.RangeSet
	max     uint64
	hosts   uint64 // indices given
	seen    probe.RangeSet
	names   map[string]struct{}
}

func newLister(c *Config) *lister {
	l := &lister{exclude: c.Exclude, max: c.maxHosts(), names: make(map[string]struct{})}
	if l.exclude == nil {
		l.exclude = new(probe.RangeSet)
	}
	return l
}

// batch returns a new batch, of what is listed from now on.
func (l *lister) batch(listed bool) *batch { return &batch{base: l.hosts, listed: listed} }

// add puts s into b. On an error, which is a *TooManyError, nothing is added.
func (l *lister) add(s Spec, b *batch) error {
	switch {
	case !s.Range.IsValid():
		return l.addName(s, b)
	case s.Range.First == s.Range.Last:
		return l.addAddr(s, b)
	}
	fresh := l.fresh(s.Range)
	var size uint64
	for _, r := range fresh {
		sum, carry := bits.Add64(size, r.Size(), 0)
		if size = sum; carry != 0 {
			size = math.MaxUint64
		}
	}
	if err := l.room(s, size, fresh); err != nil {
		return err
	}
	for _, r := range fresh {
		b.addRange(r)
	}
	l.hosts += size
	if s.Range.Size() >= bigRange || l.seen.Len() < maxSeen {
		l.seen.Add(s.Range)
	}
	return nil
}

// addAddr is add for a single address, without allocating.
func (l *lister) addAddr(s Spec, b *batch) error {
	a := s.Range.First
	if l.excluded(a) || l.seen.Contains(a) {
		return nil
	}
	if err := l.room(s, 1, nil); err != nil {
		return err
	}
	b.addRange(s.Range)
	l.hosts++
	if l.seen.Len() < maxSeen {
		l.seen.AddAddr(a)
	}
	return nil
}

func (l *lister) addName(s Spec, b *batch) error {
	key := strings.ToLower(strings.TrimSuffix(s.Host.Lookup, "."))
	if _, ok := l.names[key]; ok {
		return nil
	}
	if err := l.room(s, 1, nil); err != nil {
		return err
	}
	b.addName(s.Host)
	l.hosts++
	if len(l.names) < maxNames {
		l.names[key] = struct{}{}
	}
	return nil
}

// room checks that there is room for s, which has size hosts: one, or those of
// fresh.
func (l *lister) room(s Spec, size uint64, fresh []probe.Range) error {
	if size <= l.max && l.hosts <= l.max-size && size != math.MaxUint64 {
		return nil
	}
	exact := new(big.Int)
	for _, r := range fresh {
		exact.Add(exact, r.Count())
	}
	if fresh == nil {
		exact.SetUint64(size)
	}
	sum := new(big.Int).SetUint64(l.hosts)
	return &TooManyError{Text: bounded(s.Text), Size: exact, Sum: sum.Add(sum, exact), Max: l.max}
}

// fresh returns the parts of r that are neither excluded nor listed before.
func (l *lister) fresh(r probe.Range) []probe.Range {
	var fresh []probe.Range
	for _, wanted := range l.wanted(r) {
		fresh = append(fresh, l.seen.Subtract(wanted)...)
	}
	return fresh
}

// wanted returns the parts of r that are not excluded. What is excluded without
// a zone is excluded in all.
func (l *lister) wanted(r probe.Range) []probe.Range {
	zone := r.First.Zone()
	if zone == "" {
		return l.exclude.Subtract(r)
	}
	var wanted []probe.Range
	for _, part := range l.exclude.Subtract(unzoned(r)) {
		part = probe.Range{First: part.First.WithZone(zone), Last: part.Last.WithZone(zone)}
		wanted = append(wanted, l.exclude.Subtract(part)...)
	}
	return wanted
}

func (l *lister) excluded(a netip.Addr) bool {
	return l.exclude.Contains(a) || a.Zone() != "" && l.exclude.Contains(a.WithZone(""))
}
