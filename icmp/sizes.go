package icmp

import "netprobe/probe"

// sizeSweep walks payload sizes, the same for every target.
type sizeSweep struct{ first, last, step int }

// NewSizes returns a Sizer that walks payload sizes from first to last bytes by
// step (1 if that is not positive), then starts again.
func NewSizes(first, last, step int) Sizer { return sizeSweep{first, max(first, last), max(step, 1)} }

func (s sizeSweep) Size(_ *probe.Target, seq uint64) (int, bool) {
	n := uint64((s.last-s.first)/s.step) + 1
	return s.first + int((seq-1)%n)*s.step, true
}

func (sizeSweep) Learn(*probe.Result) {}

// MaxSize is the largest payload of the sweep.
func (s sizeSweep) MaxSize() int { return s.last }
