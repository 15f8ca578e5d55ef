package main

import (
	"fmt"
	"math"
)

// measure is one thing that is measured and what netprobe must reach in it.
type measure struct {
	name, title string
	unit        string
	digits      int  // after the point
	abs         bool // values are errors: show their size, and the median with its sign
	goal        goal
}

// goal is a target for netprobe. The zero value is none.
type goal struct {
	text string
	met  func(own, peer figures) bool
	peer string // tool whose figures met is given; it has no target itself
	best bool   // peer is how the names of several begin: that with the largest median counts
}

// atMost is the goal of a time in seconds.
func atMost(limit float64) goal {
	return goal{
		text: fmt.Sprintf("median <= %v s", limit),
		met:  func(own, _ figures) bool { return own.median <= limit },
	}
}

// atMostTimes is the goal of what must not exceed so much of a peer's.
func atMostTimes(factor float64, peer string) goal {
	return goal{
		text: fmt.Sprintf("median <= %v x %s", factor, peer), peer: peer,
		met: func(own, peer figures) bool { return own.median <= factor*peer.median },
	}
}

// near is the goal of what must differ from a value by no more than a part of it.
func near(value, part float64) goal {
	text := fmt.Sprintf("median %v", value)
	if part > 0 {
		text += fmt.Sprintf(" ± %v %%", 100*part)
	}
	return goal{text: text, met: func(own, _ figures) bool { return math.Abs(own.median-value) <= part*value }}
}

var (
	none = goal{text: "none", met: func(own, _ figures) bool { return own.maximum == 0 }}
	// mostly is for what is found with a confidence of 95 %: not every time.
	mostly = goal{text: "median 0", met: func(own, _ figures) bool { return own.median == 0 }}
)

var rttGoal = goal{text: "p99 <= 5 µs", met: func(own, _ figures) bool { return own.p99 <= 5 }}

// connectGoal is that of round-trip times by TCP_INFO, which the kernel has in
// whole µs: one more for its resolution.
var connectGoal = goal{text: "p99 <= 10 µs + 1 µs", met: func(own, _ figures) bool { return own.p99 <= 11 }}

var queryGoal = goal{text: "p99 <= 10 µs", met: func(own, _ figures) bool { return own.p99 <= 10 }}

var smallGoal = goal{text: "max < 64 MB", met: func(own, _ figures) bool { return own.maximum < 64 }}
