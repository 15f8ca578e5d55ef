package probe

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var compareRanges = cmp.Comparer(func(a, b Range) bool { return a == b })

func TestRangeSet(t *testing.T) {
	const v6end = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	for _, tt := range []struct {
		name  string
		have  []Range
		add   Range
		fresh []Range
		want  []Range
	}{
		{"first", nil, span("192.0.2.1", "192.0.2.9"),
			[]Range{span("192.0.2.1", "192.0.2.9")}, []Range{span("192.0.2.1", "192.0.2.9")}},
		{"none", nil, Range{}, nil, nil},
		{"known", []Range{span("192.0.2.1", "192.0.2.9")}, span("192.0.2.1", "192.0.2.9"),
			nil, []Range{span("192.0.2.1", "192.0.2.9")}},
		{"around", []Range{span("192.0.2.4", "192.0.2.5")}, span("192.0.2.1", "192.0.2.9"),
			[]Range{span("192.0.2.1", "192.0.2.3"), span("192.0.2.6", "192.0.2.9")}, []Range{span("192.0.2.1", "192.0.2.9")}},
		{"between", []Range{span("192.0.2.1", "192.0.2.3"), span("192.0.2.7", "192.0.2.9")}, span("192.0.2.4", "192.0.2.6"),
			[]Range{span("192.0.2.4", "192.0.2.6")}, []Range{span("192.0.2.1", "192.0.2.9")}},
		{"apart", []Range{span("192.0.2.1", "192.0.2.3")}, span("192.0.2.5", "192.0.2.5"),
			[]Range{span("192.0.2.5", "192.0.2.5")}, []Range{span("192.0.2.1", "192.0.2.3"), span("192.0.2.5", "192.0.2.5")}},
		{"ends of IPv4", []Range{span("0.0.0.0", "0.0.0.0"), span("255.255.255.255", "255.255.255.255")},
			span("0.0.0.0", "255.255.255.255"),
			[]Range{span("0.0.0.1", "255.255.255.254")}, []Range{span("0.0.0.0", "255.255.255.255")}},
		{"ends of IPv6", []Range{span("::", "::"), span(v6end, v6end)}, span("::", v6end),
			[]Range{span("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")}, []Range{span("::", v6end)}},
		{"families do not touch", []Range{span("255.255.255.255", "255.255.255.255")}, span("::", "::1"),
			[]Range{span("::", "::1")}, []Range{span("255.255.255.255", "255.255.255.255"), span("::", "::1")}},
		{"zones are apart", []Range{span("fe80::1%a", "fe80::9%a"), span("fe80::1%c", "fe80::9%c")}, span("fe80::5%b", "fe80::20%b"),
			[]Range{span("fe80::5%b", "fe80::20%b")},
			[]Range{span("fe80::1%a", "fe80::9%a"), span("fe80::5%b", "fe80::20%b"), span("fe80::1%c", "fe80::9%c")}},
		{"no zone is a zone", []Range{span("fe80::1", "fe80::9")}, span("fe80::5%b", "fe80::20%b"),
			[]Range{span("fe80::5%b", "fe80::20%b")}, []Range{span("fe80::1", "fe80::9"), span("fe80::5%b", "fe80::20%b")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s RangeSet
			for _, r := range tt.have {
				s.Add(r)
			}
			if d := cmp.Diff(tt.fresh, s.Add(tt.add), compareRanges); d != "" {
				t.Errorf("fresh:\n%s", d)
			}
			if d := cmp.Diff(tt.want, slices.Collect(s.All()), compareRanges); d != "" {
				t.Errorf("set:\n%s", d)
			}
			if s.Len() != len(tt.want) {
				t.Errorf("length %d", s.Len())
			}
		})
	}
}

// TestRangeSetRandom compares a set with a table of all addresses of a /16.
func TestRangeSetRandom(t *testing.T) {
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s RangeSet
		var table [1 << 16]bool
		widest := []int{1, 1, 3, 20, 300, 5000}[seed]
		for range 4000 {
			first := rng.IntN(len(table))
			last := min(first+rng.IntN(widest), len(table)-1)
			var want []Range
			for i := first; i <= last; i++ {
				switch n := len(want); {
				case table[i]:
				case n > 0 && want[n-1].Last == at(i).Prev():
					want[n-1].Last = at(i)
				default:
					want = append(want, Range{at(i), at(i)})
				}
				table[i] = true
			}
			r := Range{at(first), at(last)}
			if got := s.Subtract(r); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %v less the set is %v, want %v", seed, r, got, want)
			}
			if first == last && seed%2 == 0 {
				if got := s.AddAddr(at(first)); got != (len(want) == 1) {
					t.Fatalf("seed %d: %v fresh: %t", seed, r, got)
				}
				continue
			}
			if got := s.Add(r); !slices.Equal(got, want) {
				t.Fatalf("seed %d: of %v were fresh %v, want %v", seed, r, got, want)
			}
		}
		checkRangeSet(t, &s)
		for i := range table {
			if s.Contains(at(i)) != table[i] {
				t.Fatalf("seed %d: contains %v: %t", seed, at(i), !table[i])
			}
		}
	}
}

// checkRangeSet checks what holds of every set.
func checkRangeSet(t *testing.T, s *RangeSet) {
	t.Helper()
	ranges := slices.Collect(s.All())
	if len(ranges) != s.Len() {
		t.Fatalf("%d ranges, but Len is %d", len(ranges), s.Len())
	}
	for i, r := range ranges {
		if r.Last.Less(r.First) || i > 0 && !ranges[i-1].Last.Next().Less(r.First) {
			t.Fatalf("%v follows %v", r, ranges[max(i-1, 0)])
		}
	}
	for _, c := range s.chunks {
		if len(c) == 0 || len(c) > maxChunk {
			t.Fatalf("a chunk of %d ranges", len(c))
		}
	}
}

func BenchmarkRangeSetAdd(b *testing.B) {
	const size = 1 << 17
	order := NewOrder(size, 1, false)
	b.ReportAllocs()
	for b.Loop() {
		var s RangeSet
		for i := range uint64(size) {
			v := order.At(i)
			a := netip.AddrFrom4([4]byte{10, byte(v >> 15), byte(v >> 7), byte(v << 1)})
			s.AddAddr(a)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/range")
}
