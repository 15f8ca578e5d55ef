package probe

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestScheduleOrder(t *testing.T) {
	s := NewSchedule(5)
	if _, due := s.Next(); due != Never {
		t.Errorf("a new schedule is due at %v", due)
	}
	for row, due := range map[int]time.Duration{0: 30, 1: 10, 2: 20, 3: 10, 4: 10} {
		s.Set(row, due)
	}
	var got []int
	for {
		row, due := s.Next()
		if due == Never {
			break
		}
		if due != s.Due(row) {
			t.Errorf("row %d is due at %v or %v", row, due, s.Due(row))
		}
		got = append(got, row)
		s.Set(row, Never)
	}
	if want := []int{1, 3, 4, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScheduleWithoutRows(t *testing.T) {
	if _, due := NewSchedule(0).Next(); due != Never {
		t.Errorf("due at %v", due)
	}
}

// The next row is always the first in the order of due times and rows.
func TestScheduleAgainstSort(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, rows := range []int{1, 2, 3, 10, 100} {
		s := NewSchedule(rows)
		due := make([]time.Duration, rows)
		for i := range due {
			due[i] = Never
		}
		for step := range 5000 {
			row := rnd.IntN(rows)
			if step%3 == 0 {
				row, _ = s.Next()
			}
			d := time.Duration(rnd.IntN(20)) // many ties
			if rnd.IntN(10) == 0 {
				d = Never
			}
			s.Set(row, d)
			due[row] = d
			want := 0
			for i := range due {
				if due[i] < due[want] {
					want = i
				}
			}
			if got, at := s.Next(); got != want || at != due[want] {
				t.Fatalf("%d rows, step %d: row %d at %v, want %d at %v", rows, step, got, at, want, due[want])
			}
		}
	}
}

func TestScheduleDoesNotAllocate(t *testing.T) {
	s := NewSchedule(100)
	var at time.Duration
	if n := testing.AllocsPerRun(1000, func() {
		row, _ := s.Next()
		at++
		s.Set(row, at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Phases ascend, stay within the interval, and fill it evenly where rows are many.
func TestPhase(t *testing.T) {
	const gap = 10 * time.Millisecond
	for _, interval := range []time.Duration{time.Nanosecond, 7 * time.Microsecond, time.Millisecond, time.Second, time.Hour} {
		for _, rows := range []int{1, 2, 3, 99, 100, 101, 1000, 65_536} {
			t.Run(fmt.Sprint(interval, rows), func(t *testing.T) {
				last := time.Duration(0)
				for row := range rows {
					at := Phase(row, rows, interval, gap)
					if at < last || at < 0 || row > 0 && at >= interval {
						t.Fatalf("row %d of %d starts at %v, the one before at %v", row, rows, at, last)
					}
					if ideal := time.Duration(float64(interval) / float64(rows) * float64(row)); interval/time.Duration(rows) < gap && ideal-at > interval/50+1 {
						t.Fatalf("row %d of %d starts at %v, far before %v", row, rows, at, ideal)
					}
					last = at
				}
				if got := Phase(0, rows, interval, gap); got != 0 {
					t.Errorf("the first row starts at %v", got)
				}
			})
		}
	}
	for row := range 3 {
		if got, want := Phase(row, 3, time.Second, gap), time.Duration(row)*gap; got != want {
			t.Errorf("row %d of 3 starts at %v, want %v", row, got, want)
		}
	}
}

// A row that was held up for a moment sends all it missed; after longer it goes on
// in its rhythm, without the rounds in between.
func TestFollow(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct{ due, interval, now, want time.Duration }{
		{0, time.Second, 0, time.Second},
		{0, time.Second, 300 * ms, time.Second},
		{0, 10 * ms, time.Second, 10 * ms},                               // caught up
		{0, 10 * ms, 1020 * ms, 1020 * ms},                               // more than a second behind
		{5 * ms, 10 * ms, time.Minute, time.Minute - 5*ms},               // in its rhythm, and never ahead of now
		{0, time.Minute, 3*time.Minute + 1, 3 * time.Minute},             // more than an interval behind
		{0, time.Minute, 2 * time.Minute, time.Minute},                   // not more
		{time.Second, time.Hour, 2 * time.Hour, time.Hour + time.Second}, // nor here
		{0, time.Nanosecond, 10 * time.Second, 10 * time.Second},         // the shortest there is
		{0, time.Nanosecond, time.Second + 1, time.Nanosecond},           // and not yet too far behind
		{0, time.Nanosecond, time.Second + 2, time.Second + 2*1},         // but now
	} {
		s := NewSchedule(1)
		s.Set(0, tt.due)
		s.Follow(0, tt.interval, tt.now)
		if got := s.Due(0); got != tt.want {
			t.Errorf("due %v, every %v, left at %v: due again at %v, want %v", tt.due, tt.interval, tt.now, got, tt.want)
		}
	}
}
