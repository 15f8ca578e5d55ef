package stats

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"netprobe/probe"
)

const (
	// FewPorts is how many ports of a group a ScanHost keeps one by one where
	// they are of little interest: closed, filtered, silent. Of more, their number.
	FewPorts = 5
	// MaxOpenRows bounds how many open ports of a host are kept with what they
	// said: some hosts answer at every port. Of more, their numbers.
	MaxOpenRows = 1000
	// maxGroups bounds how many groups of a host are told apart by who answered
	// and why; the rest is told apart by state.
	maxGroups = 16
)

// PortRow is what is kept of one port.
type PortRow struct {
	Port   uint16
	TTL    uint8         // of the answer; 0 if unknown
	Heard  bool          // there was an answer: RTT is valid
	Tries  uint32        // probes that were sent to it
	RTT    time.Duration // of the probe that was answered
	Layers *probe.Layers // what the answer said; nil if nothing was asked
}

// groupKey is what the ports of a group have in common.
type groupKey struct {
	State   probe.PortState
	Reason  probe.Reason
	From    netip.Addr // who said so, if that was not the host itself; else invalid
	UDP     bool
	Pending bool  // State is PortUnknown since the run ended first
	Several bool  // for several reasons, or by several senders, more than are told apart
	failure uint8 // kind of failure, by Scan; 0 in other groups
}

// PortGroup is the ports of one host of which the same is to be said. Each port
// is in exactly one.
type PortGroup struct {
	groupKey
	Err   error // why they could not be tested: that of the first; nil in other groups
	Count int

	rows    []PortRow
	folded  bool     // there are too many for rows
	numbers *portSet // nil until one is needed
}

// Rows returns the ports in ascending order, nil if there are too many to keep
// them one by one. The slice is valid as long as the ScanHost.
func (g *PortGroup) Rows() []PortRow {
	if g.folded {
		return nil
	}
	slices.SortFunc(g.rows, func(a, b PortRow) int { return cmp.Compare(a.Port, b.Port) })
	return g.rows
}

// Ports returns the numbers of the ports in ascending order. Of a group that is
// neither open nor could not be tested they are known only where Rows are.
func (g *PortGroup) Ports() []uint16 {
	if g.listed() {
		return g.numbers.sorted()
	}
	var ports []uint16
	for _, r := range g.Rows() {
		ports = append(ports, r.Port)
	}
	return ports
}

// listed reports whether all numbers are kept.
func (g *PortGroup) listed() bool {
	return g.State == probe.PortOpen || g.State == probe.PortUnknown && !g.Pending
}

// add counts the port of r; limit is how many are kept one by one.
func (g *PortGroup) add(r *probe.Result, limit int) {
	g.Count++
	port := r.Target.Addr.Port()
	if g.listed() {
		if g.numbers == nil {
			g.numbers = new(portSet)
		}
		g.numbers.add(port)
	}
	switch {
	case g.folded:
		return
	case len(g.rows) == limit:
		g.folded, g.rows = true, g.rows[:0]
		return
	}
	row := PortRow{Port: port, TTL: r.TTL, Tries: uint32(min(r.Seq, 1<<32-1)), Layers: layersOf(r)}
	if row.Heard = heard(r); row.Heard {
		row.RTT = r.RTT
	}
	g.rows = append(g.rows, row)
}

// heard reports whether an answer decided r.
func heard(r *probe.Result) bool { return r.From.IsValid() && r.Status != probe.Lost }

// layersOf returns a copy of what the answer of r said.
func layersOf(r *probe.Result) *probe.Layers {
	d, _ := r.Detail.(*probe.ScannedHost)
	if d == nil || d.Layers == nil {
		return nil
	}
	l := *d.Layers
	l.Phases, l.Facts = slices.Clone(l.Phases), slices.Clone(l.Facts)
	return &l
}

// ScanHost counts the ports of one host.
type ScanHost struct {
	ID    int
	Name  string     // as the user wrote it; empty if that was an address or a range
	Addr  netip.Addr // invalid for a name without address
	Err   error      // why it has none; it has no ports then
	Ports int        // that this run asks
	Left  int        // of them without an outcome so far
	Tells bool       // UDP: it says which ports are closed

	states   [probe.PortOpenFiltered + 1]uint32
	statuses [probe.Failed + 1]uint64
	probes   uint64
	cut      uint64 // pending ports that had been asked
	retried  uint64
	rtts     distribution
	up       bool         // it answered itself
	first    probe.Reason // its first answer
	firstTTL uint8
	groups   []PortGroup
	last     int // group of the last port
	missing  []MissingPort
	differs  *Difference // from what was expected; nil unless something was
}

// reset makes h a host of which nothing is known, and keeps its room.
func (h *ScanHost) reset() {
	groups, samples := h.groups, h.rtts.samples[:0]
	for i := range groups {
		g := &groups[i]
		clear(g.rows)
		if g.rows = g.rows[:0]; cap(g.rows) > 2*MaxOpenRows {
			g.rows = nil
		}
		if g.numbers != nil {
			g.numbers.reset()
		}
	}
	*h = ScanHost{groups: groups[:0]}
	h.rtts.samples = samples
}

// add counts the port of r, an outcome; failure is the kind of its failure, if it
// is one.
func (h *ScanHost) add(r *probe.Result, state probe.PortState, udp bool, failure int, all bool) {
	d, _ := r.Detail.(*probe.ScannedHost)
	h.Ports, h.Left = d.Ports, d.Left
	h.Tells = h.Tells || d.Tells
	h.states[state]++
	h.statuses[r.Status]++
	probes, cut := probesOf(r)
	h.probes += probes
	if cut {
		h.cut++
	}
	own := !r.From.IsValid() || r.From == h.Addr
	switch r.Status {
	case probe.Reply, probe.Late, probe.Refused:
		if own && !h.up {
			h.up, h.first, h.firstTTL = true, r.Reason, r.TTL
		}
		if r.Seq > 1 {
			h.retried++
		}
		if own && heard(r) && r.Status != probe.Late {
			h.rtts.add(r.RTT, r.Seq)
		}
	}
	h.group(r, state, udp, failure, own).add(r, rowLimit(state, all))
}

// rowLimit is how many ports of a group are kept one by one.
func rowLimit(state probe.PortState, all bool) int {
	switch {
	case all:
		return 1 << 16
	case state == probe.PortOpen:
		return MaxOpenRows
	}
	return FewPorts
}

// group returns the group of r.
func (h *ScanHost) group(r *probe.Result, state probe.PortState, udp bool, failure int, own bool) *PortGroup {
	key := groupKey{State: state, Reason: r.Reason, UDP: udp, Pending: r.Status == probe.Pending}
	if heard(r) && !own {
		key.From = r.From
	}
	if r.Status == probe.Failed {
		key.failure, key.Several = uint8(failure), failure == maxFailures
	}
	if h.last < len(h.groups) && h.groups[h.last].groupKey == key {
		return &h.groups[h.last]
	}
	if g := h.find(key); g != nil {
		return g
	}
	if len(h.groups) >= maxGroups {
		key = groupKey{State: state, UDP: udp, Pending: key.Pending, Several: true}
		if g := h.find(key); g != nil {
			return g
		}
	}
	h.last = len(h.groups)
	if h.last < cap(h.groups) { // with the room of an earlier one
		h.groups = h.groups[:h.last+1]
		g := &h.groups[h.last]
		*g = PortGroup{groupKey: key, Err: r.Err, rows: g.rows, numbers: g.numbers}
		return g
	}
	h.groups = append(h.groups, PortGroup{groupKey: key, Err: r.Err})
	return &h.groups[h.last]
}

func (h *ScanHost) find(key groupKey) *PortGroup {
	for i := range h.groups {
		if h.groups[i].groupKey == key {
			h.last = i
			return &h.groups[i]
		}
	}
	return nil
}

// Groups returns the groups in the order in which people want to see them: open
// ports, those that could not be tested, then the others, small groups first. It
// is valid until the next Record.
func (h *ScanHost) Groups() []*PortGroup {
	list := make([]*PortGroup, 0, len(h.groups))
	for i := range h.groups {
		list = append(list, &h.groups[i])
	}
	slices.SortStableFunc(list, func(a, b *PortGroup) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Count, b.Count),
			cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason), a.From.Compare(b.From))
	})
	return list
}

func (g *PortGroup) rank() int {
	switch {
	case g.State == probe.PortOpen:
		return 0
	case g.Pending:
		return 3
	case g.State == probe.PortUnknown:
		return 1
	}
	return 2
}

// Count returns how many ports are in that state.
func (h *ScanHost) Count(s probe.PortState) int { return int(h.states[s]) }

// Pending returns how many ports have no verdict: the run ended first, or goes on.
func (h *ScanHost) Pending() int { return int(h.statuses[probe.Pending]) + h.Left }

// Failed returns how many ports could not be tested.
func (h *ScanHost) Failed() int { return int(h.statuses[probe.Failed]) }

// Up reports whether the host itself answered.
func (h *ScanHost) Up() bool { return h.up }

// First returns the first answer of a host that is Up, with its TTL, 0 if that is
// unknown.
func (h *ScanHost) First() (probe.Reason, uint8) { return h.first, h.firstTTL }

// Open returns the numbers of the open ports in ascending order.
func (h *ScanHost) Open() []uint16 {
	var open []uint16
	groups := 0
	for i := range h.groups {
		if g := &h.groups[i]; g.State == probe.PortOpen {
			open = append(open, g.Ports()...)
			groups++
		}
	}
	if groups > 1 {
		slices.Sort(open)
		open = slices.Compact(open)
	}
	return open
}

// RTT describes the round-trip times of what the host itself answered in time;
// nil if that was nothing.
func (h *ScanHost) RTT() *RTT { return h.rtts.summary() }

// Differs says how the open ports differ from those expected; nil if nothing was
// expected.
func (h *ScanHost) Differs() *Difference { return h.differs }

// Probes counts what was sent to the host, as ScanSummary does for the run.
func (h *ScanHost) Probes() ProbeCounts { return countProbes(h.probes, h.cut, &h.statuses) }

// Retried returns how many ports answered a later probe than the first.
func (h *ScanHost) Retried() uint64 { return h.retried }

// Kind returns what is to be said of the host in a word.
func (h *ScanHost) Kind() ScanKind {
	rejected := h.statuses[probe.Unreachable] + h.statuses[probe.Expired]
	switch {
	case h.states[probe.PortOpen] > 0:
		return ScanOpen
	case h.up:
		return ScanClosed
	case rejected > 0 || h.statuses[probe.Refused] > 0:
		return ScanRejected
	case h.statuses[probe.Lost] > 0:
		return ScanSilent
	case h.Err != nil || h.statuses[probe.Failed] > 0:
		return ScanUntested
	}
	return ScanUndecided
}

// ScanKind is what a scan says of a host as a whole.
type ScanKind uint8

const (
	ScanOpen      ScanKind = iota // has an open port
	ScanClosed                    // answered, and has none
	ScanRejected                  // did not answer itself; somebody rejects
	ScanSilent                    // nobody answered
	ScanUntested                  // could not be tested
	ScanUndecided                 // the run ended before anything was known
	scanKinds
)
