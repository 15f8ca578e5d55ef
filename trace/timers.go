package trace

import (
	"container/heap"
	"time"

	"netprobe/probe"
)

// timers are the flights whose wait runs, the next to end first.
type timers []*flight

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].end() < t[j].end() }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(*flight)) }
func (t *timers) Pop() any {
	old := *t
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return f
}

// end is when the wait of f is over.
func (f *flight) end() time.Duration { return f.sent + f.wait }

// next is when the first wait ends; Never if none runs.
func (t *timers) next() time.Duration {
	for len(*t) > 0 && ((*t)[0].state != inFlight || (*t)[0].track.over) {
		heap.Pop(t)
	}
	if len(*t) == 0 {
		return probe.Never
	}
	return (*t)[0].end()
}
