package crew

import (
	"math"
	"sync/atomic"

	"netprobe/rawsock"
)

// reserve is how many descriptors are left to the rest of the process; where
// there are few, half of them.
const reserve = 64

// budget shares the descriptors of the process among the crews that run.
var budget descriptors

// Join makes whoever asks by sockets beside a Crew, with an Allowance of its own,
// one of those that share the descriptors of the process, until it calls leave.
func Join() (leave func()) {
	budget.join()
	return budget.leave
}

type descriptors struct {
	crews atomic.Int32
	limit atomic.Int64 // of the process; 0 if there is none
}

// join is called when a crew starts, and asks for the limit anew.
func (d *descriptors) join() {
	d.limit.Store(int64(rawsock.Descriptors()))
	d.crews.Add(1)
}

func (d *descriptors) leave() { d.crews.Add(-1) }

// share is how many hosts one of the crews may ask at a time, if asking takes
// each descriptors.
func (d *descriptors) share(each int) int {
	limit := d.limit.Load()
	if limit == 0 {
		return math.MaxInt32
	}
	return int(limit-min(reserve, limit/2)) / (each * max(1, int(d.crews.Load())))
}
