package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"netprobe/stats"
)

func TestValues(t *testing.T) {
	duration := func(lo, hi time.Duration) func() (pflag.Value, func() string) {
		return func() (pflag.Value, func() string) {
			d := new(time.Duration)
			return durationValue{d, lo, hi}, func() string { return d.String() }
		}
	}
	integer := func(lo, hi int64) func() (pflag.Value, func() string) {
		return func() (pflag.Value, func() string) {
			n := new(int)
			return intValue{n, lo, hi}, func() string { return fmt.Sprint(*n) }
		}
	}
	interval, count, octet := duration(time.Millisecond, year), integer(1, 1<<31-1), integer(0, 255)
	rate := func() (pflag.Value, func() string) {
		r := new(float64)
		return rateValue{r}, func() string { return fmt.Sprint(*r) }
	}
	dscp := func() (pflag.Value, func() string) {
		n := new(int)
		return dscpValue{n}, func() string { return fmt.Sprint(*n) }
	}
	pattern := func() (pflag.Value, func() string) {
		p := new([]byte)
		return patternValue{p}, func() string { return fmt.Sprintf("%x", *p) }
	}
	source := func() (pflag.Value, func() string) {
		a := new(netip.Addr)
		return addrValue{a}, func() string { return a.String() }
	}
	sweep := func() (pflag.Value, func() string) {
		r := &sweepRange{step: 1}
		return sweepValue{r}, func() string { return fmt.Sprint(r.first, r.last, r.step, r.count()) }
	}
	word := func() (pflag.Value, func() string) {
		w := new(string)
		return wordValue{w, []string{"up", "down"}}, func() string { return *w }
	}
	toggle := func() (pflag.Value, func() string) {
		b := new(bool)
		return switchValue{b}, func() string { return fmt.Sprint(*b) }
	}
	condition := func() (pflag.Value, func() string) {
		c := new(*stats.Condition)
		return &conditionValue{p: c}, func() string { return fmt.Sprint(*c != nil) }
	}
	const refused = "-" // Set must fail
	for _, tt := range []struct {
		name string
		new  func() (pflag.Value, func() string)
		want map[string]string // by what the user writes
	}{
		{"durations", interval, map[string]string{
			"1": "1s", "0.2": "200ms", ".5": "500ms", "200ms": "200ms", "1m30s": "1m30s", "1h": "1h0m0s", "0.001": "1ms", "31536000": "8760h0m0s",
			"0": refused, "-1": refused, "-1s": refused, "": refused, "1 s": refused, "abc": refused, "NaN": refused, "inf": refused, "1e3": refused,
			"0x10": refused, "31536001": refused, "8761h": refused, "99999999999999999999": refused, "1.2.3": refused, ".": refused, "0.0000001": refused,
		}},
		{"counts", count, map[string]string{
			"1": "1", "2147483647": "2147483647", "0x10": "16", "0X10": "16", "010": "10",
			"0": refused, "-1": refused, "": refused, "1.5": refused, "2147483648": refused, "1_000": refused, "0x": refused, "99999999999999999999": refused, "0xffffffffffffffffff": refused,
		}},
		{"octets", octet, map[string]string{"0": "0", "255": "255", "0xB8": "184", "256": refused, "0x100": refused, "-0x1": refused}},
		{"rates", rate, map[string]string{
			"max": "0", "100": "100", "0.5": "0.5", "1e3": "1000",
			"0": refused, "-1": refused, "nan": refused, "inf": refused, "1e9": refused, "fast": refused, "": refused,
		}},
		{"codepoints", dscp, map[string]string{
			"ef": "184", "EF": "184", "af41": "136", "cs7": "224", "be": "0", "le": "4", "46": "184", "0x2e": "184",
			"64": refused, "-1": refused, "af44": refused, "": refused,
		}},
		{"patterns", pattern, map[string]string{
			"ff": "ff", "00FF": "00ff", "000102030405060708090a0b0c0d0e0f": "000102030405060708090a0b0c0d0e0f",
			"": refused, "f": refused, "xy": refused, "000102030405060708090a0b0c0d0e0f10": refused, "0xff": refused,
		}},
		{"sources", source, map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "eth0": refused, "": refused}},
		{"sweeps", sweep, map[string]string{
			"0-10": "0 10 1 11", "100-1000/300": "100 1000 300 4", "5-5": "5 5 1 1", "0-65527": "0 65527 1 65528",
			"10-5": refused, "5": refused, "-": refused, "": refused, "a-b": refused, "-5-10": refused, "0-10/0": refused, "0-10/": refused, "0-65528": refused, "1--2": refused, "0-10/-1": refused,
		}},
		{"words", word, map[string]string{"up": "up", "down": "down", "Up": refused, "": refused, "sideways": refused}},
		{"switches", toggle, map[string]string{"true": "true", "false": "false", "maybe": refused, "": refused}},
		{"conditions", condition, map[string]string{"loss>2%": "true", "loss>2%,p95>40ms": "true", "loss": refused, "": refused}},
	} {
		for in, want := range tt.want {
			t.Run(tt.name+"/"+in, func(t *testing.T) {
				v, got := tt.new()
				before := got()
				err := v.Set(in)
				switch {
				case want == refused && err == nil:
					t.Fatalf("accepted as %s", got())
				case want == refused && (err.Error() == "" || got() != before):
					t.Fatalf("error %q, value %s", err, got())
				case want != refused && (err != nil || got() != want):
					t.Fatalf("got %s, %v, want %s", got(), err, want)
				}
			})
		}
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", time.Minute: "1m", time.Hour: "1h",
		time.Hour + time.Second: "1h0m1s", year: "8760h", 200 * time.Millisecond: "200ms", 10 * time.Minute: "10m",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}
