package icmp

import (
	"container/heap"
	"time"

	"netprobe/probe"
)

// turn is a probe about to be sent.
type turn struct {
	who     probe.Candidate
	lane    *sweepLane
	prev    uint64        // the probe that speaks for the host until then, in the same lane; 0 if none does
	try     uint8         // number of the probe at its host, from 1
	at      time.Duration // not before then
	refused time.Duration // when the kernel first had no room for it; 0 if it never was tried
}

// turns are probes that must wait, the next one first.
type turns []turn

// maxTurns bounds the hosts whose subnet must wait while others are asked.
const maxTurns = 1 << 14

func (ts *turns) put(t turn) { heap.Push(ts, t) }

// next returns when the first of them may be sent.
func (ts turns) next() time.Duration {
	if len(ts) == 0 {
		return probe.Never
	}
	return ts[0].at
}

func (ts *turns) take() turn { return heap.Pop(ts).(turn) }

func (ts turns) Len() int           { return len(ts) }
func (ts turns) Less(i, j int) bool { return ts[i].at < ts[j].at }
func (ts turns) Swap(i, j int)      { ts[i], ts[j] = ts[j], ts[i] }
func (ts *turns) Push(x any)        { *ts = append(*ts, x.(turn)) }
func (ts *turns) Pop() any {
	old := *ts
	t := old[len(old)-1]
	*ts = old[:len(old)-1]
	return t
}
