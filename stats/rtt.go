package stats

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// exactSamples is how many round-trip times are kept as they are, so that
	// the percentiles of a short run are exact.
	exactSamples = 128
	// histogramDigits gives buckets no wider than 1/128 of their value: a
	// percentile read from the middle of one is within 0.4 %.
	histogramDigits = 2
	subBucketBits   = 8 // log2 of the sub-buckets that histogramDigits needs (2*10^2, rounded up to 256)
	// ewmaWeight is the weight of the newest value in the moving average, the
	// one of ping and of TCP (RFC 6298, section 2).
	ewmaWeight = 8
)

// distribution is the streaming distribution of round-trip times: exact count,
// mean, extremes and deviation; percentiles exact while there are at most
// exactSamples values, then from a sparse histogram whose size follows the
// number of distinct values (about 6 bytes for each 1 % step seen).
type distribution struct {
	n         uint64
	min, max  time.Duration
	first     time.Duration // of the lowest sequence number seen
	firstSeq  uint64
	mean, m2  float64 // Welford's running mean and sum of squared differences, ns and ns²
	ewma      float64 // ns
	samples   []time.Duration
	histogram *hdrhistogram.PackedHistogram // nil while samples suffice
}

func (d *distribution) add(rtt time.Duration, seq uint64) {
	rtt = max(rtt, 0)
	if d.n == 0 {
		d.min, d.max, d.first, d.firstSeq, d.ewma = rtt, rtt, rtt, seq, float64(rtt)
	}
	d.n++
	d.min, d.max = min(d.min, rtt), max(d.max, rtt)
	if seq < d.firstSeq {
		d.first, d.firstSeq = rtt, seq
	}
	delta := float64(rtt) - d.mean
	d.mean += delta / float64(d.n)
	d.m2 += delta * (float64(rtt) - d.mean)
	d.ewma += (float64(rtt) - d.ewma) / ewmaWeight
	d.keep(rtt)
}

func (d *distribution) keep(rtt time.Duration) {
	if d.histogram == nil {
		if len(d.samples) < exactSamples {
			d.samples = append(d.samples, rtt)
			return
		}
		// Any value a Duration can hold fits: the sparse form pays for the
		// buckets in use, not for the range.
		d.histogram = hdrhistogram.NewPacked(1, math.MaxInt64, histogramDigits)
		for _, s := range d.samples {
			_ = d.histogram.RecordValue(int64(s))
		}
		d.samples = nil
	}
	_ = d.histogram.RecordValue(int64(rtt)) // fails only for negative values
}

// percentiles fills out with the values at the given ranks of 0..1 (nearest
// rank: the smallest value with at least that share of all values at or below
// it). qs must ascend.
func (d *distribution) percentiles(qs []float64, out []time.Duration) {
	if d.histogram == nil {
		sorted := slices.Clone(d.samples)
		slices.Sort(sorted)
		for i, q := range qs {
			out[i] = sorted[rank(q, d.n)-1]
		}
		return
	}
	i, seen := 0, uint64(0)
	for value, count := range d.histogram.ForEachBucket {
		seen += uint64(count)
		for i < len(qs) && seen >= rank(qs[i], d.n) {
			out[i] = min(max(middle(value), d.min), d.max)
			i++
		}
		if i == len(qs) {
			return
		}
	}
}

// rank is the 1-based position of quantile q among n values.
func rank(q float64, n uint64) uint64 {
	return min(max(uint64(math.Ceil(q*float64(n))), 1), n)
}

// middle returns the middle of the histogram bucket that starts at low.
func middle(low int64) time.Duration {
	width := int64(1) << max(bits.Len64(uint64(low))-subBucketBits, 0)
	return time.Duration(low + width/2)
}

// RTT describes the round-trip times of all replies that came in time.
type RTT struct {
	Min, Mean, Max     time.Duration // exact
	P50, P90, P95, P99 time.Duration // exact up to 128 replies, then within 1 %
	StdDev             time.Duration // of the population: ping's mdev
	First              time.Duration // of the first probe answered, in the order of sending
	EWMA               time.Duration // moving average, each new value weighing 1/8
}

func (d *distribution) summary() *RTT {
	if d.n == 0 {
		return nil
	}
	var p [4]time.Duration
	d.percentiles([]float64{0.50, 0.90, 0.95, 0.99}, p[:])
	return &RTT{
		Min: d.min, Mean: time.Duration(math.Round(d.mean)), Max: d.max,
		P50: p[0], P90: p[1], P95: p[2], P99: p[3],
		StdDev: time.Duration(math.Round(math.Sqrt(max(d.m2, 0) / float64(d.n)))),
		First:  d.first,
		EWMA:   time.Duration(math.Round(d.ewma)),
	}
}
