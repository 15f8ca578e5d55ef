package output

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func TestFormatDuration(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 s"},
		{870, "870 ns"},
		{1500, "1.50 µs"},
		{999_499, "999 µs"},
		{999_500, "1.00 ms"},
		{12_345_678, "12.3 ms"},
		{99_949_999, "99.9 ms"},
		{99_950_000, "100 ms"},
		{999_499_999, "999 ms"},
		{999_500_000, "1.00 s"},
		{59_949 * time.Millisecond, "59.9 s"},
		{59_950 * time.Millisecond, "1 min"},
		{125 * time.Second, "2 min 5 s"},
		{2 * time.Hour, "2 h"},
		{200 * time.Minute, "3 h 20 min"},
		{50 * time.Hour, "2 d 2 h"},
		{-12_345_678, "-12.3 ms"},
		{math.MinInt64, "-106751 d 23 h"},
	} {
		if got := FormatDuration(tt.d); got != tt.want {
			t.Errorf("%d: %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestAppendMillis(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0"}, {1, "0.000001"}, {50 * time.Microsecond, "0.05"}, {time.Millisecond, "1"},
		{12_345_678, "12.345678"}, {12_000_010, "12.00001"}, {-1_500_000, "-1.5"},
		{math.MaxInt64, "9223372036854.775807"}, {math.MinInt64, "-9223372036854.775807"},
	} {
		if got := string(appendMillis(nil, tt.d)); got != tt.want {
			t.Errorf("%d: %s, want %s", tt.d, got, tt.want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		d := time.Duration(rng.Int64() >> rng.IntN(60))
		got, err := strconv.ParseFloat(string(appendMillis(nil, d)), 64)
		if want := float64(d) / 1e6; err != nil || math.Abs(got-want) > 1e-15*want {
			t.Fatalf("%d: %v, %v", d, got, err)
		}
	}
}

// The digits of ping's reply lines: microseconds, then three significant ones.
func TestAppendPingTime(t *testing.T) {
	for _, tt := range []struct {
		us   int64
		want string
	}{
		{0, "0.000"}, {7, "0.007"}, {44, "0.044"}, {307, "0.307"}, {999, "0.999"},
		{1000, "1.00"}, {1004, "1.00"}, {1005, "1.01"}, {9994, "9.99"}, {9995, "10.0"},
		{10_550, "10.6"}, {99_949, "99.9"}, {99_950, "100"}, {124_841, "125"},
		{1_000_499, "1000"}, {1_000_500, "1001"}, {3_600_000_000, "3600000"},
	} {
		if got := string(appendPingTime(nil, time.Duration(tt.us)*time.Microsecond)); got != tt.want {
			t.Errorf("%d µs: %s, want %s", tt.us, got, tt.want)
		}
	}
}

func TestAppendFpingTime(t *testing.T) {
	for _, tt := range []struct {
		ms   float64
		want string
	}{
		{0.016, "0.016"}, {0.9994, "0.999"}, {1.5, "1.50"}, {10.44, "10.4"}, {104.4, "104"},
		{99999, "99999"}, {math.NaN(), "-"},
	} {
		if got := string(appendFpingTime(nil, tt.ms)); got != tt.want {
			t.Errorf("%v ms: %s, want %s", tt.ms, got, tt.want)
		}
	}
}

// An endless run keeps the last RTTs of each target, whatever comes in between.
func TestRTTRow(t *testing.T) {
	show := func(r *rttRow) string {
		if len(r.ms) == 0 {
			return ""
		}
		return string(r.appendTo(nil))
	}
	for _, tt := range []struct {
		keep int
		seqs []uint64
		want string
	}{
		{0, []uint64{1, 2, 3}, " 1.00 2.00 3.00"},
		{0, []uint64{3, 1}, " 1.00 - 3.00"},
		{4, []uint64{1, 2}, " 1.00 2.00"},
		{4, []uint64{1, 2, 3, 4, 5, 6}, " 3.00 4.00 5.00 6.00"},
		{4, []uint64{1, 2, 3, 4, 6, 5}, " 3.00 4.00 5.00 6.00"},
		{4, []uint64{5, 1, 6, 3}, " 3.00 - 5.00 6.00"},
		{4, []uint64{1, 2, 50, 49}, " - - 49.0 50.0"},
	} {
		var r rttRow
		for _, s := range tt.seqs {
			r.put(s, float32(s), tt.keep)
		}
		if got := show(&r); got != tt.want {
			t.Errorf("keep %d, %v: %q, want %q", tt.keep, tt.seqs, got, tt.want)
		}
	}
}

func ExampleFormatDuration() {
	fmt.Println(FormatDuration(12_345_678 * time.Nanosecond))
	// Output: 12.3 ms
}
