package probe

import (
	"math/bits"
	"time"
)

// rttSpan is how many answers the distribution of round-trip times remembers;
// older ones count half, a quarter, and so on.
const rttSpan = 2048

// rtts is the distribution of recent round-trip times. A mean and a deviation
// would not do: hosts near and far make two humps, and a mean that follows the
// last few answers wanders between them.
type rtts struct {
	count  [192]uint32 // by quarter octave of about a microsecond
	total  uint32
	median time.Duration // rounded up, as late; valid if known
	late   time.Duration // all but one in a hundred answers come sooner
}

// known tells whether there were enough answers to tell anything.
func (r *rtts) known() bool { return r.total >= enough }

func (r *rtts) add(d time.Duration) {
	r.count[rttBucket(d)]++
	r.total++
	if r.total >= rttSpan {
		r.total = 0
		for i := range r.count {
			r.count[i] /= 2
			r.total += r.count[i]
		}
	}
	if r.total <= 64 || r.total%64 == 0 {
		r.median, r.late = r.quantile(1, 2), r.quantile(99, 100)
	}
}

// quantile returns what the part num/den of all round-trip times does not
// exceed, rounded up by at most a quarter.
func (r *rtts) quantile(num, den uint32) time.Duration {
	left := (r.total*num + den - 1) / den
	for i, n := range r.count {
		if n >= left {
			return rttUpper(i)
		}
		left -= n
	}
	return rttUpper(len(r.count) - 1)
}

// rttBucket returns the bucket of d: four for each doubling.
func rttBucket(d time.Duration) int {
	v := uint64(max(d, 0))>>10 + 4
	n := bits.Len64(v)
	return min((n-3)<<2|int(v>>(n-3)&3), len(rtts{}.count)-1)
}

// rttUpper returns the upper end of bucket i.
func rttUpper(i int) time.Duration {
	return time.Duration((uint64(i&3)+5)<<(i>>2)-4) << 10
}
