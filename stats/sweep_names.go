package stats

import (
	"net/netip"
	"slices"

	"netprobe/probe"
)

const (
	// MaxNamed bounds how many hosts of a kind a Sweep names; the rest is counted.
	MaxNamed = 1000
	// MaxResponders bounds how many of those who answered for one address are kept.
	MaxResponders = 64
	// maxWatched bounds for how many addresses those who give extra answers are
	// told apart. A network that doubles every packet must not cost a table of
	// all its hosts.
	maxWatched = 4 * MaxNamed
)

// namedHosts is a list of different hosts, as far as there is room.
type namedHosts struct {
	hosts []SweepHost
	known map[netip.Addr]struct{}
}

func (l *namedHosts) add(t *probe.Target) {
	addr := t.Addr.Addr()
	if _, ok := l.known[addr]; ok || len(l.hosts) == MaxNamed {
		return
	}
	if l.known == nil {
		l.known = make(map[netip.Addr]struct{})
	}
	l.known[addr] = struct{}{}
	l.hosts = append(l.hosts, SweepHost{t.Name, addr})
}

// Amplifier is an address for which several others answered.
type Amplifier struct {
	SweepHost
	Alive bool         // it answered itself as well, and counts as alive
	Count int          // different addresses that answered for it; of more than 64 at least that many
	From  []netip.Addr // the first of them, at most 64
}

// responders are those who answered for one address.
type responders struct {
	Amplifier
	listed bool
}

// amplifiers finds the addresses for which several others answer: from their
// outcome, or from extra answers.
type amplifiers struct {
	watched map[netip.Addr]*responders
	named   []*responders // the first MaxNamed of those found
	found   uint64
}

// watch returns what is known about the host of r, nil if there is no room.
func (a *amplifiers) watch(r *probe.Result) *responders {
	addr := r.Target.Addr.Addr()
	if w := a.watched[addr]; w != nil {
		return w
	}
	if len(a.watched) == maxWatched {
		return nil
	}
	if a.watched == nil {
		a.watched = make(map[netip.Addr]*responders)
	}
	w := &responders{Amplifier: Amplifier{SweepHost: SweepHost{r.Target.Name, addr}, Alive: true}}
	a.watched[addr] = w
	return w
}

// outcome notes an address whose outcome already says that it is an amplifier.
func (a *amplifiers) outcome(r *probe.Result) {
	w := a.watch(r)
	if w == nil {
		a.found++
		return
	}
	w.Alive = false
	a.merge(w, r.Detail.(*probe.Responders))
	a.judge(w)
}

// extra notes who gave an extra answer.
func (a *amplifiers) extra(r *probe.Result) {
	detail, _ := r.Detail.(*probe.Responders)
	other := r.From.IsValid() && r.From != r.Target.Addr.Addr()
	if !other && detail == nil {
		return
	}
	w := a.watch(r)
	if w == nil {
		return
	}
	if other {
		w.heard(r.From)
	}
	if detail != nil {
		a.merge(w, detail)
	}
	a.judge(w)
}

// merge adds what a sweeper counted itself.
func (a *amplifiers) merge(w *responders, d *probe.Responders) {
	for _, from := range d.Addrs {
		w.heard(from)
	}
	w.Count = max(w.Count, d.Count)
}

// heard notes an answer from another address. Beyond MaxResponders nobody can
// tell a new one from one known.
func (w *responders) heard(from netip.Addr) {
	if len(w.From) == MaxResponders || slices.Contains(w.From, from) {
		return
	}
	w.From = append(w.From, from)
	w.Count = max(w.Count, len(w.From))
}

// judge lists w once it is an amplifier.
func (a *amplifiers) judge(w *responders) {
	if w.listed || w.Count < 2 {
		return
	}
	w.listed = true
	a.found++
	if len(a.named) < MaxNamed {
		a.named = append(a.named, w)
	}
}

// list returns those named, in the order in which they were found.
func (a *amplifiers) list() []Amplifier {
	var list []Amplifier
	for _, w := range a.named {
		named := w.Amplifier
		named.From = slices.Clone(w.From)
		list = append(list, named)
	}
	return list
}
