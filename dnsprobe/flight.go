package dnsprobe

import (
	"math/rand/v2"
	"time"

	"netprobe/probe"
)

// A flight is one query that has no outcome yet.
type flight struct {
	server   int
	question int
	seq      uint64
	lag      time.Duration
	first    time.Time // its first attempt; zero until then

	attempts []attempt // by UDP, in order
	told     []probe.DNSAttempt
	strays   []probe.DNSStray
	strayN   int
	overdue  int // attempts whose timeout has passed
	cookies  int // times the server wanted another cookie
	decided  bool
}

// attempt is one datagram.
type attempt struct {
	id     uint16
	sent   time.Duration
	at     time.Time
	tx     int64 // when the kernel let it go, ns since 1970; 0 if unknown
	gone   bool  // its late window is over, or it was answered: the id is free
	told   int   // its place in flight.told
	cookie []byte
}

// maxTold is how many strays of a query are kept.
const maxTold = 8

// stray notes what came instead of an answer.
func (f *flight) stray(s probe.DNSStray) {
	if f.strayN++; len(f.strays) < maxTold {
		f.strays = append(f.strays, s)
	}
}

// slot is what is known of an id at one family's socket.
type slot struct {
	flight   *flight // nil if nobody waits for it
	attempt  int
	server   int
	seq      uint64 // of the last query with it
	answered bool   // it was answered: whatever comes now is a duplicate
}

// ids are those of a socket.
type ids struct {
	slots []slot
	used  int
}

const idSpace = 1 << 16

func newIDs() *ids { return &ids{slots: make([]slot, idSpace)} }

// randomID draws an id that nobody can guess.
func randomID() uint16 { return uint16(rand.Uint32()) }

// take finds an id for an attempt of f; false if all are in use.
func (t *ids) take(f *flight, k int) (uint16, bool) {
	if t.used == idSpace {
		return 0, false
	}
	id := randomID()
	for t.slots[id].flight != nil {
		id++ // what follows a random one is as good while there are few in use
	}
	t.used++
	t.slots[id] = slot{flight: f, attempt: k, server: f.server, seq: f.seq}
	return id, true
}

// free lets go of the id of an attempt.
func (t *ids) free(a *attempt, answered bool) {
	if a.gone {
		return
	}
	a.gone = true
	t.used--
	s := &t.slots[a.id]
	s.flight, s.answered = nil, answered
}

// A deadline is an instant at which an attempt matters once more.
type deadline struct {
	at time.Duration
	f  *flight
	k  int
}

// deadlines is a queue: all wait equally long, so the first in is the first due.
type deadlines struct {
	q    []deadline
	head int
}

func (d *deadlines) push(x deadline) { d.q = append(d.q, x) }

// next returns when the first is due; probe.Never if there is none.
func (d *deadlines) next() time.Duration {
	for d.head < len(d.q) {
		x := &d.q[d.head]
		if !x.f.decided && !x.f.attempts[x.k].gone {
			return x.at
		}
		d.pop()
	}
	return probe.Never
}

func (d *deadlines) pop() deadline {
	x := d.q[d.head]
	d.q[d.head] = deadline{}
	d.head++
	if d.head > 1024 && d.head*2 > len(d.q) {
		d.q = append(d.q[:0], d.q[d.head:]...)
		d.head = 0
	}
	return x
}
