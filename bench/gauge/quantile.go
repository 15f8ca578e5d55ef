package main

import (
	"math"
	"slices"
)

// quantile returns the q'th quantile (0 < q <= 1) of sorted values by the
// nearest-rank method: always a value that was measured. NaN if there is none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// mean returns the arithmetic mean; NaN if there are no values.
func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// figures sum up the values of one row of the table.
type figures struct {
	n                                int
	mean, median, p99, maximum, bias float64 // bias: median with its sign
}

// summarize returns the figures of values; of their absolute values if abs.
func summarize(values []float64, abs bool) figures {
	sorted := slices.Sorted(slices.Values(values))
	f := figures{n: len(values), bias: quantile(sorted, .5)}
	if abs {
		for i, v := range sorted {
			sorted[i] = math.Abs(v)
		}
		slices.Sort(sorted)
	}
	f.mean, f.median, f.p99, f.maximum = mean(sorted), quantile(sorted, .5), quantile(sorted, .99), quantile(sorted, 1)
	return f
}
