package icmp

import (
	"time"

	"netprobe/probe"
)

// state is where a probe stands between leaving and being forgotten.
type state uint8

const (
	free     state = iota
	waiting        // no outcome yet
	overdue        // the timeout passed; still listening for a late answer
	answered       // outcome Reply or Late; kept to know duplicates
	decided        // any other outcome
)

// flight is one probe from its registration, before it leaves, until its place
// is taken by another. It is kept small: a run may have a million of them.
type flight struct {
	n     uint64 // number of the probe in its lane, from 1
	t     *probe.Target
	seq   uint64
	sent  time.Duration // since the start of the run
	tx    int64         // kernel timestamp of its departure, ns since 1970; 0 if unknown
	lag   uint32        // how late it left, µs
	size  uint16        // payload bytes
	state state
	held  bool // an answer that proves nothing by itself waits in flights.held
}

func (f *flight) open() bool { return f.state == waiting || f.state == overdue }

// flights is the table of what is in flight in one family. The slot of a probe is
// its wire number modulo the size of the table, which doubles when the next slot
// is not decided yet. So memory follows what is in flight.
type flights struct {
	wires
	table []flight
	n     uint64 // number of the newest probe
	due   uint64 // newest probe known not to wait for its timeout
	gone  uint64 // newest probe known not to wait for the end of its late window
	held  map[uint64]held
}

// held is an answer that could have been forged: it counts only if nothing
// better comes.
type held struct {
	probe.Result
	final bool // wait for the end of the late window, not only for the timeout
}

func (fs *flights) slot(n uint64) *flight {
	return &fs.table[n%fs.space()%uint64(len(fs.table))]
}

// at returns probe n if the table still has it.
func (fs *flights) at(n uint64) *flight {
	if len(fs.table) == 0 {
		return nil
	}
	if f := fs.slot(n); f.n == n && f.state != free {
		return f
	}
	return nil
}

// onWire returns the probe with the index'th identifier and sequence number
// seq if the table still has it.
func (fs *flights) onWire(index int, seq uint16) *flight {
	if index >= len(fs.ids) {
		return nil
	}
	return fs.byWire(uint32(index)<<16 | uint32(seq))
}

func (fs *flights) byWire(wire uint32) *flight {
	if len(fs.table) == 0 || uint64(wire) >= fs.space() {
		return nil
	}
	f := &fs.table[uint64(wire)%uint64(len(fs.table))]
	if f.state == free || f.n%fs.space() != uint64(wire) {
		return nil
	}
	return f
}

// add registers the next probe; nil if as many are in flight as there are wire
// numbers. The caller fills it in.
func (fs *flights) add() *flight {
	if len(fs.table) == 0 {
		fs.table = make([]flight, 256)
	}
	for fs.slot(fs.n + 1).open() {
		if !fs.grow() {
			return nil
		}
	}
	fs.n++
	f := fs.slot(fs.n)
	if f.held {
		delete(fs.held, f.n)
	}
	*f = flight{n: fs.n, state: waiting}
	return f
}

// grow doubles the table, up to the wire space.
func (fs *flights) grow() bool {
	old := fs.table
	if uint64(len(old)) >= fs.space() {
		return false
	}
	fs.table = make([]flight, 2*len(old))
	for i := range old {
		if old[i].state != free {
			*fs.slot(old[i].n) = old[i]
		}
	}
	return true
}

// hold keeps an answer to f that proves nothing by itself. The first stays.
func (fs *flights) hold(f *flight, h held) {
	if f.held {
		return
	}
	if fs.held == nil {
		fs.held = map[uint64]held{}
	}
	f.held = true
	fs.held[f.n] = h
}

// release takes the held answer of f, if there is one.
func (fs *flights) release(f *flight) (held, bool) {
	if !f.held {
		return held{}, false
	}
	h := fs.held[f.n]
	delete(fs.held, f.n)
	f.held = false
	return h, true
}
