package crew

import "netprobe/probe"

// An Allowance is how many tries this host bears at a time: fewer after it
// lacked something, then slowly more again. Its methods are for one goroutine at
// a time.
type Allowance struct {
	limit int     // never more
	now   float64 // at present; at least 1
	each  int     // descriptors that one try takes
}

// NewAllowance returns one for at most limit tries (0 means MaxLimit), which take
// each descriptors.
func NewAllowance(limit, each int) Allowance {
	if limit <= 0 {
		limit = MaxLimit
	}
	each = max(each, 1)
	return Allowance{limit: limit, now: float64(limit), each: each}
}

// Room is how many tries there may be at a time.
func (a *Allowance) Room() int {
	return max(1, min(a.limit, int(a.now), budget.share(a.each)))
}

// Learn draws from the answer to a try what this host bears, while open tries
// were under way, and reports whether it lacked something.
func (a *Allowance) Learn(r *probe.Result, open int) (short bool) {
	if !Shortage(r) {
		if a.now < float64(a.limit) {
			a.now += 1 / a.now
		}
		return false
	}
	// Descriptors tell exactly how many there are: as many as others hold now.
	others := float64(open - 1)
	if r.Reason != probe.NoDescriptors {
		others /= 2
	}
	a.now = max(1, min(a.now, others))
	return true
}
