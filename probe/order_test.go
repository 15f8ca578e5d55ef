package probe

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// TestOrderBijection takes every size to 5,000: each number comes once.
func TestOrderBijection(t *testing.T) {
	const sizes = 5000
	var seen [sizes]uint64 // by number: the last size and seed in which it came
	round := uint64(0)
	seeds := []uint64{0, 1, 0xfeedface}
	for n := uint64(1); n <= sizes; n++ {
		for i, seed := range seeds {
			if n > 1000 && n%uint64(len(seeds)) != uint64(i) {
				continue // large sizes take turns
			}
			round++
			o := NewOrder(n, seed, false)
			for i := range n {
				v := o.At(i)
				if v >= n || seen[v] == round {
					t.Fatalf("size %d, seed %d: position %d has %d, which is out of range or came before", n, seed, i, v)
				}
				seen[v] = round
				if i%16 == n%16 && o.Index(v) != i {
					t.Fatalf("size %d, seed %d: %d is at position %d, not %d", n, seed, v, i, o.Index(v))
				}
			}
		}
	}
}

// TestOrderInverse samples large sizes both ways. A function with an inverse is
// a bijection.
func TestOrderInverse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n, samples := range map[uint64]int{
		1 << 32: 1_000_000, 1<<32 + 1: 20_000, 1<<24 - 2: 20_000, 1 << 20: 20_000, 3 << 40: 20_000,
		1 << 63: 20_000, 1<<63 + 1: 20_000, math.MaxUint64: 20_000,
	} {
		o := NewOrder(n, rng.Uint64(), false)
		for range samples {
			x := rng.Uint64N(n)
			if v := o.At(x); v >= n || o.Index(v) != x {
				t.Fatalf("size %d: At(%d) is %d, Index of that %d", n, x, v, o.Index(v))
			}
			if i := o.Index(x); i >= n || o.At(i) != x {
				t.Fatalf("size %d: Index(%d) is %d, At of that %d", n, x, i, o.At(i))
			}
		}
	}
}

// TestOrderExhaustive proves the bijection for all of IPv4.
func TestOrderExhaustive(t *testing.T) {
	if os.Getenv("NETPROBE_EXHAUSTIVE") != "1" {
		t.Skip("takes a quarter of an hour and 512 MB: set NETPROBE_EXHAUSTIVE=1")
	}
	start := time.Now()
	seen := make([]uint64, 1<<32/64)
	o := NewOrder(1<<32, 1, false)
	for i := range uint64(1 << 32) {
		v := o.At(i)
		if v >= 1<<32 || seen[v/64]&(1<<(v%64)) != 0 {
			t.Fatalf("position %d has %d, which is out of range or came before", i, v)
		}
		seen[v/64] |= 1 << (v % 64)
	}
	t.Logf("%v", time.Since(start))
}

// TestOrderForever holds the permutation to what it was when it was first used:
// machines of several versions may share a sweep, and states outlive versions.
func TestOrderForever(t *testing.T) {
	for _, tt := range []struct {
		n, seed uint64
		want    []uint64
	}{
		{1, 7, []uint64{0}},
		{10, 7, []uint64{5, 6, 2, 1, 7, 0}},
		{1000, 1, []uint64{0x3b7, 0x2a8, 0x3b2, 0x1db, 0xe2, 0x393}},
		{1 << 20, 0, []uint64{0xcc845, 0x53f30, 0x88dd, 0x65ecb, 0xd3acc, 0xe17b9}},
		{1 << 20, 1, []uint64{0xadab0, 0x59a0, 0xdaf3f, 0x12a49, 0x972a7, 0x97c52}},
		{1 << 32, 1, []uint64{0xaa58d4cf, 0x4efe0c94, 0x57679b22, 0x94ca2464, 0xab116af4, 0x1db97c7}},
		{math.MaxUint64, 1, []uint64{
			0x44ee078e9bf187f2, 0x57c460cb856f8d3b, 0xc15b1c9fa3403c30, 0x56f20082035e8ffb, 0xb18d14d5d759a971, 0x59cdb8558e22d3d6,
		}},
	} {
		o := NewOrder(tt.n, tt.seed, false)
		var got []uint64
		for i := range min(tt.n, 6) {
			got = append(got, o.At(i))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("size %d, seed %d: %#v, want %#v", tt.n, tt.seed, got, tt.want)
		}
	}
}

func TestOrderOrdered(t *testing.T) {
	o := NewOrder(1000, 5, true)
	for i := range uint64(1000) {
		if o.At(i) != i || o.Index(i) != i {
			t.Fatalf("position %d has %d", i, o.At(i))
		}
	}
}

func TestOrderBeyond(t *testing.T) {
	for name, f := range map[string]func(){
		"At":       func() { NewOrder(5, 1, false).At(5) },
		"Index":    func() { NewOrder(5, 1, false).Index(5) },
		"At none":  func() { NewOrder(0, 1, false).At(0) },
		"the zero": func() { Order{}.At(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("took a position there is none")
				}
			}()
			f()
		})
	}
}

// TestOrderSpread lets chance be the judge of how the order of a /12 treats its
// 4,096 networks of 256. With k = 4,096 networks and m positions, the number of
// pairs in the same network is close to normal.
func TestOrderSpread(t *testing.T) {
	const n, nets = 1 << 20, 1 << 12
	for _, seed := range []uint64{0, 1, math.MaxUint64} {
		o := NewOrder(n, seed, false)
		order := make([]uint16, n)
		for i := range order {
			order[i] = uint16(o.At(uint64(i)) >> 8)
		}
		// Positions i and i+lag: n/nets pairs by chance, variance about the same.
		mean := float64(n) / nets
		for _, lag := range []int{1, 2, 3, 4, 7, 8, 16, 32, 64, 256} {
			pairs := 0
			for i := range n - lag {
				if order[i] == order[i+lag] {
					pairs++
				}
			}
			if limit := mean + 6*math.Sqrt(mean); float64(pairs) > limit {
				t.Errorf("seed %d: %d pairs at distance %d in the same network, chance gives %.0f", seed, pairs, lag, mean)
			}
		}
		// Any 65,536 positions in a row: 16 in each network by chance.
		for from := 0; from < n; from += 1 << 16 {
			var hits [nets]int
			for _, net := range order[from : from+1<<16] {
				hits[net]++
			}
			chi := 0.0
			for _, h := range hits {
				chi += float64((h-16)*(h-16)) / 16
			}
			if limit := nets + 6*math.Sqrt(2*nets); chi > limit {
				t.Errorf("seed %d: positions from %d on are spread over networks with chi² %.0f, chance gives %d", seed, from, chi, nets)
			}
		}
	}
}

// TestOrderSeeds counts at how many positions two seeds agree: once, by chance.
func TestOrderSeeds(t *testing.T) {
	const n = 1 << 16
	for seed := range uint64(20) {
		a, b := NewOrder(n, seed, false), NewOrder(n, seed+1, false)
		same := 0
		for i := range uint64(n) {
			if a.At(i) == b.At(i) {
				same++
			}
		}
		if same > 12 {
			t.Errorf("seeds %d and %d agree at %d positions", seed, seed+1, same)
		}
	}
}

func TestShard(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 16, 100, 1000} {
		for _, part := range []struct{ base, n uint64 }{{0, 0}, {0, 1}, {0, 1000}, {1, 999}, {17, 5}, {99_999, 1234}} {
			owner := make(map[uint64]uint64)
			for i := uint64(1); i <= n; i++ {
				s := Shard{i, n}
				first, count := s.Part(part.base, part.n)
				for k := range count {
					index := first + k*s.Step()
					if index < part.base || index >= part.base+part.n || owner[index] != 0 || !s.Owns(index) {
						t.Fatalf("shard %v of %d from %d: has %d", s, part.n, part.base, index)
					}
					owner[index] = i
				}
			}
			if uint64(len(owner)) != part.n {
				t.Fatalf("%d shards of %d from %d have %d", n, part.n, part.base, len(owner))
			}
		}
	}
}

func TestShardValid(t *testing.T) {
	for s, want := range map[Shard]bool{
		{}: true, {1, 1}: true, {1, 4}: true, {4, 4}: true, {5, 4}: false, {0, 4}: false, {1, 0}: false,
	} {
		if s.Valid() != want {
			t.Errorf("%d/%d: %t", s.I, s.N, !want)
		}
	}
}

func BenchmarkOrderAt(b *testing.B) {
	for _, n := range []uint64{254, 1 << 20, 1<<24 - 2, 1<<24 + 1, 1 << 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := NewOrder(n, 1, false)
			b.ReportAllocs()
			i, sum := uint64(0), uint64(0)
			for b.Loop() {
				sum += o.At(i)
				if i++; i == n {
					i = 0
				}
			}
			if sum == 1 {
				b.Log(sum)
			}
		})
	}
}
