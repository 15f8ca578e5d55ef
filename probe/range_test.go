package probe

import (
	"math"
	"math/big"
	"net/netip"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func span(first, last string) Range { return Range{addr(first), addr(last)} }

func TestRange(t *testing.T) {
	two64 := new(big.Int).Lsh(big.NewInt(1), 64)
	two128 := new(big.Int).Lsh(big.NewInt(1), 128)
	for _, tt := range []struct {
		name  string
		r     Range
		size  uint64
		count *big.Int
		text  string
	}{
		{"none", Range{}, 0, big.NewInt(0), "no range"},
		{"one", span("192.0.2.1", "192.0.2.1"), 1, big.NewInt(1), "192.0.2.1"},
		{"some", span("192.0.2.1", "192.0.3.0"), 256, big.NewInt(256), "192.0.2.1-192.0.3.0"},
		{"all of IPv4", span("0.0.0.0", "255.255.255.255"), 1 << 32, big.NewInt(1 << 32), "0.0.0.0-255.255.255.255"},
		{"IPv6", span("2001:db8::1", "2001:db8::ff"), 255, big.NewInt(255), "2001:db8::1-2001:db8::ff"},
		{"zone", span("fe80::1%a", "fe80::2%a"), 2, big.NewInt(2), "fe80::1%a-fe80::2%a"},
		{"across 64 bits", span("2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"), 2, big.NewInt(2),
			"2001:db8::ffff:ffff:ffff:ffff-2001:db8:0:1::"},
		{"one less than 2^64", span("2001:db8::", "2001:db8::ffff:ffff:ffff:fffe"), math.MaxUint64,
			new(big.Int).Sub(two64, big.NewInt(1)), "2001:db8::-2001:db8::ffff:ffff:ffff:fffe"},
		{"2^64", span("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"), math.MaxUint64, two64,
			"2001:db8::-2001:db8::ffff:ffff:ffff:ffff"},
		{"all of IPv6", PrefixRange(netip.MustParsePrefix("::/0")), math.MaxUint64, two128,
			"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.r.Size(); got != tt.size {
				t.Errorf("size %d, want %d", got, tt.size)
			}
			if got := tt.r.Count(); got.Cmp(tt.count) != 0 {
				t.Errorf("count %v, want %v", got, tt.count)
			}
			if got := tt.r.String(); got != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			if tt.size == 0 {
				return
			}
			if got := tt.r.At(0); got != tt.r.First {
				t.Errorf("starts with %v", got)
			}
			if got := tt.r.At(tt.size - 1); tt.size < math.MaxUint64 && got != tt.r.Last {
				t.Errorf("ends with %v", got)
			}
			if !tt.r.Contains(tt.r.First) || !tt.r.Contains(tt.r.Last) {
				t.Error("does not contain its ends")
			}
		})
	}
}

func TestRangeContains(t *testing.T) {
	r := span("fe80::2%a", "fe80::4%a")
	for s, want := range map[string]bool{
		"fe80::1%a": false, "fe80::2%a": true, "fe80::3%a": true, "fe80::4%a": true, "fe80::5%a": false,
		"fe80::3": false, "fe80::3%b": false, "192.0.2.3": false,
	} {
		if got := r.Contains(addr(s)); got != want {
			t.Errorf("%s: %t", s, got)
		}
	}
	if (Range{}).Contains(netip.Addr{}) {
		t.Error("no range contains no address")
	}
}

func TestPrefixRange(t *testing.T) {
	for s, want := range map[string]Range{
		"192.0.2.77/24":     span("192.0.2.0", "192.0.2.255"),
		"192.0.2.77/32":     span("192.0.2.77", "192.0.2.77"),
		"192.0.2.77/31":     span("192.0.2.76", "192.0.2.77"),
		"0.0.0.0/0":         span("0.0.0.0", "255.255.255.255"),
		"2001:db8::5/112":   span("2001:db8::", "2001:db8::ffff"),
		"2001:db8::5/64":    span("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"),
		"2001:db8::5/63":    span("2001:db8::", "2001:db8:0:1:ffff:ffff:ffff:ffff"),
		"2001:db8::5/128":   span("2001:db8::5", "2001:db8::5"),
		"2001:db8:8::99/48": span("2001:db8:8::", "2001:db8:8:ffff:ffff:ffff:ffff:ffff"),
	} {
		if got := PrefixRange(netip.MustParsePrefix(s)); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
}
