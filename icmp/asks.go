package icmp

import (
	"math"
	"net/netip"
	"time"

	"netprobe/probe"
)

// askState is where a probe of a Sweep stands.
type askState uint8

const (
	askFree       askState = iota
	askWaiting             // its timeout has not passed
	askSilent              // it has, and the host is to be asked again
	askSuperseded          // the host was asked again: the ask next further on speaks for it
	askOverdue             // the timeout of the last one passed; still listening
	askAnswered            // the host's outcome is an answer; kept to know further ones
	askDecided             // the host has another outcome; kept to know late answers
	askTold                // a late answer after that was told
)

// ask is one probe of a Sweep from its registration, before it leaves, until its
// place is taken by another. It fits a cache line.
type ask struct {
	n     uint64 // number of the probe in its lane, from 1
	addr  netip.Addr
	index uint64        // of the Candidate
	sent  time.Duration // since the start of the run
	tx    int64         // kernel timestamp of its departure, ns since 1970; 0 if unknown
	next  uint32        // superseded: how many probes later the host was asked again
	try   uint8         // number of the probe at its host, from 1
	state askState
	held  bool // there is something in asks.held
	named bool // there is something in asks.names
}

// undecided reports whether the ask speaks for a host without an outcome.
func (a *ask) undecided() bool {
	return a.state == askWaiting || a.state == askSilent || a.state == askOverdue
}

// maxAsks bounds the table of one family: 32 MB. It is full only if that many
// probes leave within the timeouts of one host; then the sender waits.
const maxAsks = 1 << 19

// minAsks is how many are remembered at least, so that duplicates and late
// answers are known as such for a while however quick the others answer.
const minAsks = 1 << 14

// asks is the table of what is in flight in one family. The slot of a probe is its
// wire number modulo the size of the table. The table doubles when the next slot still speaks for a
// host, so memory follows what is in flight.
type asks struct {
	wires
	table []ask
	n     uint64   // number of the newest probe
	due   []uint64 // by try: newest probe known not to wait for its timeout as such
	gone  uint64   // newest probe known not to wait for the end of its late window
	again []uint64 // silent hosts to be asked again, in the order of their timeouts
	held  map[uint64]*heldAnswers
	names map[uint64]string // of hosts that have one, by probe
}

// heldAnswers are answers that decide nothing before the timeout: a better one
// may come.
type heldAnswers struct {
	responder  *probe.Result // the first answer from another address
	responders probe.Responders
	err        *probe.Result // an ICMP error that could have been forged
	bad        *probe.Result // a reply of the host that is not to our request
}

// maxResponders bounds the addresses remembered that answer for another one.
const maxResponders = 64

func newAsks(tries int) asks { return asks{due: make([]uint64, tries)} }

func (as *asks) slot(n uint64) *ask {
	return &as.table[n%as.space()%uint64(len(as.table))]
}

// at returns probe n if the table still has it.
func (as *asks) at(n uint64) *ask {
	if len(as.table) == 0 {
		return nil
	}
	if a := as.slot(n); a.n == n && a.state != askFree {
		return a
	}
	return nil
}

// byWire returns the probe with that wire number if the table still has it.
func (as *asks) byWire(wire uint32) *ask {
	if len(as.table) == 0 || uint64(wire) >= as.space() {
		return nil
	}
	a := &as.table[uint64(wire)%uint64(len(as.table))]
	if a.state == askFree || a.n%as.space() != uint64(wire) {
		return nil
	}
	return a
}

// current returns the ask that speaks for the host of a; nil if it is forgotten.
func (as *asks) current(a *ask) *ask {
	for a != nil && a.state == askSuperseded {
		a = as.at(a.n + uint64(a.next))
	}
	return a
}

// vacancy says whether there is a place for a probe.
type vacancy uint8

const (
	vacant      vacancy = iota
	awaitsEnd           // not before a probe that waits has an answer or runs out of time
	awaitsRetry         // not before a silent host is asked again, in its own place
)

// room finds a place for a probe that repeats probe prev; 0 for one that repeats
// none. In a full table numbers are left out whose places are taken by silent
// hosts: those get theirs free by being asked again, which needs a place, too.
func (as *asks) room(prev uint64) vacancy {
	if len(as.table) == 0 {
		as.table = make([]ask, min(minAsks, as.space()))
	}
	for as.taken(as.slot(as.n+1)) && as.grow() {
	}
	for skip := range uint64(len(as.table)) {
		switch a := as.slot(as.n + 1 + skip); {
		case !as.taken(a),
			a.state == askSuperseded, // its answer will be a stranger's
			prev != 0 && a.n == prev: // likewise
			as.n += skip
			return vacant
		case a.state != askSilent:
			return awaitsEnd
		}
	}
	return awaitsRetry
}

// taken reports whether a is of a host without an outcome.
func (as *asks) taken(a *ask) bool {
	if a.state == askSuperseded {
		a = as.current(a)
	}
	return a != nil && a.undecided()
}

// add registers the next probe, which repeats probe prev, in the place that room
// found for it; the caller fills it in. It reports whether that was prev's own:
// then only the new probe speaks for the host.
func (as *asks) add(prev uint64) (a *ask, own bool) {
	as.n++
	a = as.slot(as.n)
	own = prev != 0 && a.n == prev
	var held *heldAnswers
	if own && a.held {
		held = as.held[prev]
	}
	as.forget(a)
	*a = ask{n: as.n, state: askWaiting}
	if held != nil {
		as.held[a.n], a.held = held, true
	}
	return a, own
}

// forget drops what is remembered beside a.
func (as *asks) forget(a *ask) {
	if a.held {
		delete(as.held, a.n)
	}
	if a.named {
		delete(as.names, a.n)
	}
	a.held, a.named = false, false
}

// grow doubles the table, up to its limit.
func (as *asks) grow() bool {
	old := as.table
	if uint64(len(old)) >= min(as.space(), maxAsks) {
		return false
	}
	as.table = make([]ask, 2*len(old))
	for i := range old {
		if old[i].state != askFree {
			*as.slot(old[i].n) = old[i]
		}
	}
	return true
}

// supersede lets b, which was sent after a, speak for the host of a.
func (as *asks) supersede(a, b *ask) {
	if a.held {
		as.held[b.n], b.held = as.held[a.n], true
		delete(as.held, a.n)
		a.held = false
	}
	if b.n-a.n > math.MaxUint32 { // numbers were left out
		as.forget(a)
		a.state = askFree
		return
	}
	a.state, a.next = askSuperseded, uint32(b.n-a.n)
}

// hold returns the place for answers to the host of a that decide nothing yet.
func (as *asks) hold(a *ask) *heldAnswers {
	if as.held == nil {
		as.held = map[uint64]*heldAnswers{}
	}
	h := as.held[a.n]
	if h == nil {
		h = &heldAnswers{}
		as.held[a.n], a.held = h, true
	}
	return h
}

// release takes what was held for the host of a; never nil.
func (as *asks) release(a *ask) *heldAnswers {
	if !a.held {
		return &noAnswers
	}
	h := as.held[a.n]
	delete(as.held, a.n)
	a.held = false
	return h
}

var noAnswers heldAnswers

// name remembers what the host of a is called.
func (as *asks) name(a *ask, name string) {
	if name == "" {
		return
	}
	if as.names == nil {
		as.names = map[uint64]string{}
	}
	as.names[a.n], a.named = name, true
}

// nameOf is the name of the host of a.
func (as *asks) nameOf(a *ask) string {
	if !a.named {
		return ""
	}
	return as.names[a.n]
}

// firstWaiting moves the mark of a try past probes that no longer wait as such
// and returns the next one, nil if there is none. Probes leave in the order of
// their numbers and those of one try wait equally long, so marks that only move
// forward are all it takes.
func (as *asks) firstWaiting(try int) *ask {
	for as.due[try] < as.n {
		a := as.at(as.due[try] + 1)
		if a != nil && a.state == askWaiting && int(a.try) == try {
			return a
		}
		as.due[try]++
	}
	return nil
}

// firstOverdue is firstWaiting for the end of the late window.
func (as *asks) firstOverdue(try int) *ask {
	for as.gone < as.n {
		a := as.at(as.gone + 1)
		if a != nil && int(a.try) == try && (a.state == askWaiting || a.state == askOverdue) {
			return a
		}
		as.gone++
	}
	return nil
}

// nextSilent takes the next host to be asked again; nil if there is none.
func (as *asks) nextSilent() *ask {
	for len(as.again) > 0 {
		a := as.at(as.again[0])
		as.again = as.again[1:]
		if a != nil && a.state == askSilent {
			return a
		}
	}
	as.again = nil
	return nil
}
