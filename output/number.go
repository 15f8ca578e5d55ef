package output

import (
	"strconv"
	"time"
)

// FormatDuration returns d as people read it: three significant digits and a
// unit ("870 ns", "123 µs", "12.3 ms", "1.50 s"), from a minute on whole
// seconds ("2 min 5 s", "3 h 20 min").
func FormatDuration(d time.Duration) string {
	if d < 0 {
		return "-" + FormatDuration(-max(d, -time.Duration(1<<63-1)))
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + " ns"
	case d < 999500*time.Nanosecond:
		return significant(d, time.Microsecond) + " µs"
	case d < 999500*time.Microsecond:
		return significant(d, time.Millisecond) + " ms"
	case d < 59950*time.Millisecond:
		return significant(d, time.Second) + " s"
	}
	s := int64(d.Round(time.Second) / time.Second) // Round does not overflow
	switch {
	case s < 3600:
		return twoUnits(s/60, " min", s%60, " s")
	case s < 86400:
		return twoUnits(s/3600, " h", s%3600/60, " min")
	}
	return twoUnits(s/86400, " d", s%86400/3600, " h")
}

func twoUnits(a int64, aUnit string, b int64, bUnit string) string {
	text := strconv.FormatInt(a, 10) + aUnit
	if b > 0 {
		text += " " + strconv.FormatInt(b, 10) + bUnit
	}
	return text
}

// significant returns d in the given unit with three significant digits.
func significant(d, unit time.Duration) string {
	v := float64(d) / float64(unit)
	digits := 2
	switch {
	case v >= 99.95:
		digits = 0
	case v >= 9.995:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// appendMillis appends d in milliseconds, to the nanosecond, without trailing
// zeros: 12.345678, 3, 0.05.
func appendMillis(dst []byte, d time.Duration) []byte {
	if d < 0 {
		dst = append(dst, '-')
		d = -max(d, -time.Duration(1<<63-1))
	}
	dst = strconv.AppendInt(dst, int64(d/time.Millisecond), 10)
	fraction := int64(d % time.Millisecond)
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale := int64(time.Millisecond / 10); fraction > 0; scale /= 10 {
		dst = append(dst, byte('0'+fraction/scale))
		fraction %= scale
	}
	return dst
}

// appendThousandths appends d in milliseconds with three decimals, cut off as
// in ping's statistics: 10.550.
func appendThousandths(dst []byte, d time.Duration) []byte {
	us := int64(d / time.Microsecond)
	dst = strconv.AppendInt(dst, us/1000, 10)
	us %= 1000
	return append(dst, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}

// appendPingTime appends d in milliseconds as ping's reply lines have it:
// microseconds below 1 ms, then three significant digits. ping knows nothing
// finer than a microsecond; what is finer is cut off here as in its statistics,
// so that a line and the minimum below it agree.
func appendPingTime(dst []byte, d time.Duration) []byte {
	us := int64(d / time.Microsecond)
	switch {
	case us < 1000:
		return appendThousandths(dst, time.Duration(us)*time.Microsecond)
	case us < 9995:
		us = (us + 5) / 10
		dst = strconv.AppendInt(dst, us/100, 10)
		return append(dst, '.', byte('0'+us/10%10), byte('0'+us%10))
	case us < 99950:
		us = (us + 50) / 100
		dst = strconv.AppendInt(dst, us/10, 10)
		return append(dst, '.', byte('0'+us%10))
	}
	return strconv.AppendInt(dst, (us+500)/1000, 10)
}
