package probe

import (
	"container/heap"
	"math"
	"time"
)

// Never is the due time of a row that has nothing left to send.
const Never = time.Duration(math.MaxInt64)

// Schedule is the send order of a run with many rounds: which row is due next,
// and when. Times are durations since the start of the run, so the schedule is
// absolute: a late wake-up never shifts what follows. Rows due at the same time
// come in row order. It is not safe for concurrent use.
type Schedule struct {
	due  []time.Duration // by row
	heap []int           // rows, the next one first
	pos  []int           // by row: its index in heap
}

// NewSchedule returns a schedule of rows 0 to rows-1, none of them due.
func NewSchedule(rows int) *Schedule {
	s := &Schedule{due: make([]time.Duration, rows), heap: make([]int, rows), pos: make([]int, rows)}
	for i := range rows {
		s.due[i], s.heap[i], s.pos[i] = Never, i, i
	}
	return s
}

// Next returns the row that is due next and when; Never if there is none.
func (s *Schedule) Next() (row int, due time.Duration) {
	if len(s.heap) == 0 {
		return 0, Never
	}
	return s.heap[0], s.due[s.heap[0]]
}

// Due returns when row is due.
func (s *Schedule) Due(row int) time.Duration { return s.due[row] }

// Set makes row due at the given time.
func (s *Schedule) Set(row int, due time.Duration) {
	s.due[row] = due
	heap.Fix((*scheduleHeap)(s), s.pos[row])
}

// Follow makes row due an interval after it was, now that its probe left. Where
// that is too long ago, the rounds missed meanwhile are left out.
func (s *Schedule) Follow(row int, interval, now time.Duration) {
	due := s.due[row] + interval
	if behind := now - due; behind > max(catchUp, interval) {
		due += behind / interval * interval
	}
	s.Set(row, due)
}

// catchUp is how far behind a row may fall and still send all it missed, so that
// `-i 0.01 -c 1000` takes 10 s on a busy machine too. Beyond that (the process
// was stopped, the machine slept) the missed rounds are left out.
const catchUp = time.Second

// CatchUpRate is how many probes per second leave at most while rounds missed are
// sent after all: a burst would overflow somebody's queue, and the target would be
// blamed for it. The schedule itself never needs so many.
func CatchUpRate(rows int, interval time.Duration) float64 {
	return max(1000, 4*float64(rows)/interval.Seconds())
}

// Phase returns when the first probe of a row is due: rows start at most gap
// apart and are spread evenly over interval where they are many. Phases fall on
// a grid of a fiftieth of the interval (at most 20 ms), so that many rows cost
// few wake-ups.
func Phase(row, rows int, interval, gap time.Duration) time.Duration {
	if rows < 2 {
		return 0
	}
	step := min(gap, interval/time.Duration(rows))
	at := time.Duration(row) * step
	if step == gap {
		return at
	}
	// Multiplying before dividing keeps the spread exact for many rows.
	at = time.Duration(float64(interval) * float64(row) / float64(rows))
	if grid := min(interval/50, 20*time.Millisecond); grid > 0 {
		at -= at % grid
	}
	return at
}

// scheduleHeap hides the methods of heap.Interface from users of Schedule.
type scheduleHeap Schedule

func (h *scheduleHeap) Len() int { return len(h.heap) }

func (h *scheduleHeap) Less(i, j int) bool {
	a, b := h.heap[i], h.heap[j]
	return h.due[a] < h.due[b] || h.due[a] == h.due[b] && a < b
}

func (h *scheduleHeap) Swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.pos[h.heap[i]], h.pos[h.heap[j]] = i, j
}

// Push and Pop are never called: rows neither join nor leave.
func (h *scheduleHeap) Push(any) {}
func (h *scheduleHeap) Pop() any { return nil }
