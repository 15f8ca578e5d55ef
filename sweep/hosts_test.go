package sweep

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"netprobe/probe"
)

// specs parses what a command line lists.
func specs(tb testing.TB, texts ...string) []Spec {
	tb.Helper()
	var all []Spec
	for _, s := range texts {
		spec, err := Parser{}.Parse(s)
		if err != nil {
			tb.Fatalf("%q: %v", s, err)
		}
		all = append(all, spec)
	}
	return all
}

// excludes makes a set of what is to be left out.
func excludes(tb testing.TB, texts ...string) *probe.RangeSet {
	tb.Helper()
	var set probe.RangeSet
	for _, s := range texts {
		r, err := ParseExclude(s)
		if err != nil {
			tb.Fatalf("%q: %v", s, err)
		}
		set.Add(r)
	}
	return &set
}

func newHosts(tb testing.TB, cfg Config) *Hosts {
	tb.Helper()
	h, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// drain takes all there is without waiting.
func drain(tb testing.TB, h *Hosts) []probe.Candidate {
	tb.Helper()
	var all []probe.Candidate
	for {
		c, supply := h.Next()
		if supply == probe.Over {
			return all
		}
		if supply == probe.Later {
			tb.Fatal("there is more to wait for")
		}
		all = append(all, c)
	}
}

func addrs(all []probe.Candidate) []string {
	var texts []string
	for _, c := range all {
		texts = append(texts, c.Addr.String())
	}
	return texts
}

func TestHostsInOrder(t *testing.T) {
	for _, tt := range []struct {
		name          string
		list, exclude []string
		want          string
	}{
		{"as written", []string{"192.0.2.9", "192.0.2.4/30", "2001:db8::/126", "192.0.2.1"}, nil,
			"192.0.2.9 192.0.2.5 192.0.2.6 2001:db8:: 2001:db8::1 2001:db8::2 2001:db8::3 192.0.2.1"},
		{"once", []string{"192.0.2.5", "192.0.2.4-9", "192.0.2.6-11", "192.0.2.5"}, nil,
			"192.0.2.5 192.0.2.4 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9 192.0.2.10 192.0.2.11"},
		{"not excluded", []string{"192.0.2.0/28", "192.0.2.20", "192.0.2.21"}, []string{"192.0.2.4/30", "192.0.2.1", "192.0.2.9-20"},
			"192.0.2.2 192.0.2.3 192.0.2.8 192.0.2.21"},
		{"excluded in all zones", []string{"fe80::%b/125"}, []string{"fe80::2-fe80::5", "fe80::6%b", "fe80::7%c"},
			"fe80::%b fe80::1%b fe80::7%b"},
		{"excluded in all zones, one", []string{"fe80::2%b", "fe80::3%b"}, []string{"fe80::2"}, "fe80::3%b"},
		{"all excluded", []string{"192.0.2.4/30"}, []string{"192.0.2.0/24"}, ""},
		{"nothing", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHosts(t, Config{Specs: specs(t, tt.list...), Exclude: excludes(t, tt.exclude...), Ordered: true})
			planned, known := h.Planned()
			all := drain(t, h)
			if got := strings.Join(addrs(all), " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for i, c := range all {
				if c.Index != uint64(i) || c.Name != "" {
					t.Errorf("%d is %+v", i, c)
				}
			}
			if !known || planned != uint64(len(all)) || h.Taken() != planned {
				t.Errorf("planned %d (%t), taken %d", planned, known, h.Taken())
			}
			if _, supply := h.Next(); supply != probe.Over {
				t.Error("more after the end")
			}
		})
	}
}

// TestHostsShards has several machines sweep the same targets, each in an order
// of its own: together they ask each host once, at the same index.
func TestHostsShards(t *testing.T) {
	list := specs(t, "10.0.0.0/22", "192.0.2.0/26", "2001:db8::/120", "198.51.100.7")
	whole := make(map[uint64]netip.Addr)
	for _, c := range drain(t, newHosts(t, Config{Specs: list, Ordered: true})) {
		whole[c.Index] = c.Addr
	}
	for _, n := range []uint64{1, 2, 3, 4, 5, 8, 64, 1341, 1342, 2000} {
		seen := make(map[uint64]netip.Addr)
		for i := uint64(1); i <= n; i++ {
			h := newHosts(t, Config{Specs: list, Seed: i * 77, Ordered: i%5 == 4, Shard: probe.Shard{I: i, N: n}})
			planned, _ := h.Planned()
			part := drain(t, h)
			if uint64(len(part)) != planned {
				t.Fatalf("shard %d/%d: planned %d, has %d", i, n, planned, len(part))
			}
			for _, c := range part {
				if seen[c.Index].IsValid() || whole[c.Index] != c.Addr {
					t.Fatalf("shard %d/%d: %v again, or %v wrong", i, n, seen[c.Index], c)
				}
				seen[c.Index] = c.Addr
			}
		}
		if len(seen) != len(whole) {
			t.Fatalf("%d shards have %d of %d", n, len(seen), len(whole))
		}
	}
	if _, err := New(Config{Shard: probe.Shard{I: 3, N: 2}}); err == nil {
		t.Error("took shard 3 of 2")
	}
}

func TestHostsSeed(t *testing.T) {
	list := specs(t, "10.0.0.0/20")
	order := func(seed uint64, ordered bool) []string {
		return addrs(drain(t, newHosts(t, Config{Specs: list, Seed: seed, Ordered: ordered})))
	}
	if !slices.Equal(order(1, false), order(1, false)) {
		t.Error("the same seed gives another order")
	}
	if slices.Equal(order(1, false), order(2, false)) || slices.Equal(order(1, false), order(1, true)) {
		t.Error("seeds do not matter")
	}
	if !slices.Equal(order(1, true), order(2, true)) {
		t.Error("seeds matter to the natural order")
	}
}

func TestHostsTooMany(t *testing.T) {
	for _, tt := range []struct {
		list, exclude []string
		max           uint64
		err           string
	}{
		{list: []string{"2001:db8::/64"}, err: "2001:db8::/64 has 18,446,744,073,709,551,616 addresses, more than 16,777,216"},
		{list: []string{"2001:db8::/64"}, max: 1<<64 - 1,
			err: "2001:db8::/64 has 18,446,744,073,709,551,616 addresses, more than " + grouped(strconv.Itoa(math.MaxInt))},
		{list: []string{"2000::/3"}, err: "2000::/3 has 42,535,295,865,117,307,932,921,825,928,971,026,432 addresses, more than 16,777,216"},
		{list: []string{"10.0.0.0/7"}, err: "10.0.0.0/7 has 33,554,430 addresses, more than 16,777,216"},
		{list: []string{"192.0.2.0/24", "198.51.100.0/24"}, max: 300, err: "with 198.51.100.0/24 there are 508 addresses, more than 300"},
		{list: []string{"192.0.2.1", "web"}, max: 1, err: "with web there are 2 addresses, more than 1"},
		{list: []string{"192.0.2.1", "192.0.2.2"}, max: 1, err: "with 192.0.2.2 there are 2 addresses, more than 1"},
		{list: []string{"2001:db8::/64", "192.0.2.1"}, exclude: []string{"2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"}, max: 1,
			err: "with 192.0.2.1 there are 2 addresses, more than 1"},
		{list: []string{"10.0.0.0/8"}},
		{list: []string{"192.0.2.0/24", "192.0.2.0/25", "192.0.2.7"}, max: 254},
		{list: []string{"2001:db8::/64"}, exclude: []string{"2001:db8::/65", "2001:db8::8000:0:0:0/66"}, max: 1 << 62},
	} {
		_, err := New(Config{Specs: specs(t, tt.list...), Exclude: excludes(t, tt.exclude...), MaxHosts: tt.max})
		if tt.err == "" {
			if err != nil {
				t.Errorf("%q: %v", tt.list, err)
			}
			continue
		}
		if e, ok := errors.AsType[*TooManyError](err); !ok || e.Error() != tt.err {
			t.Errorf("%q: error %v\nwant %s", tt.list, err, tt.err)
		}
	}
}

// TestListerBounds lists more small networks than are remembered: all are
// listed, large networks once even so.
func TestListerBounds(t *testing.T) {
	l := newLister(&Config{MaxHosts: 1 << 40})
	b := l.batch(true)
	add := func(first string, i, size uint64) {
		start := probe.Range{First: netip.MustParseAddr(first)}.At(i)
		if err := l.add(Spec{Range: probe.Range{First: start, Last: probe.Range{First: start}.At(size - 1)}}, b); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(maxSeen + 1000) {
		add("2001:db8::", i*2, 1)
	}
	if l.seen.Len() != maxSeen || l.hosts != maxSeen+1000 {
		t.Fatalf("%d ranges remembered of %d", l.seen.Len(), l.hosts)
	}
	before := l.hosts
	add("2001:db8::", 0, 1)
	add("2001:db8::", 2, 1)
	if l.hosts != before {
		t.Error("what is remembered was listed again")
	}
	for range 2 {
		add("2001:db8:1::", 0, bigRange)
		add("2001:db8:1::", 7, 3)
	}
	if l.hosts != before+bigRange {
		t.Error("a large network was listed again")
	}
	for range 2 {
		add("2001:db8:2::", 0, 2)
	}
	if l.hosts != before+bigRange+4 {
		t.Error("small networks are remembered without bound")
	}
	for i := range maxNames + 1 {
		host := probe.Host{Name: "x", Lookup: fmt.Sprint("h", i)}
		if err := l.add(Spec{Host: host}, b); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.names) != maxNames {
		t.Errorf("%d names remembered", len(l.names))
	}
}

func TestHostsStop(t *testing.T) {
	h := newHosts(t, Config{Specs: specs(t, "192.0.2.0/24")})
	h.Next()
	h.Stop()
	h.Stop()
	if _, supply := h.Next(); supply != probe.Over || h.Taken() != 1 {
		t.Errorf("after Stop %v, taken %d", supply, h.Taken())
	}
	if err := h.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	for _, list := range []string{"10.0.0.0/8", "2001:db8::/108"} {
		h := newHosts(t, Config{Specs: specs(t, list)})
		h.Next()
		if n := testing.AllocsPerRun(10_000, func() { h.Next() }); n != 0 {
			t.Errorf("%s: %v allocations", list, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("10.%d.%d.0/24", i/100, i%100*2)
	}
	singles := make([]string, 50_000)
	for i := range singles {
		singles[i] = fmt.Sprintf("10.%d.%d.%d", i>>15, i>>7&255, i&127*2)
	}
	for _, bb := range []struct {
		name string
		list []string
	}{
		{"an IPv4 network", []string{"10.0.0.0/8"}},
		{"an IPv6 network", []string{"2001:db8::/104"}},
		{"1000 networks", many},
		{"50000 addresses", singles},
	} {
		list := specs(b, bb.list...)
		b.Run(bb.name, func(b *testing.B) {
			h := newHosts(b, Config{Specs: list})
			b.ReportAllocs()
			for b.Loop() {
				if _, supply := h.Next(); supply == probe.Over {
					h = newHosts(b, Config{Specs: list})
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	var text strings.Builder
	const lines = 1 << 17
	for i := range lines {
		fmt.Fprintf(&text, "10.%d.%d.%d\n", i>>16&255, i*7>>8&255, i*7&255)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check(Config{File: strings.NewReader(text.String())}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}
