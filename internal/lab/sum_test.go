package lab

import (
	"math/rand/v2"
	"testing"

	"github.com/gopacket/gopacket"
)

// TestSumAgrees: gopacket finds the same checksum, whatever the length, and
// wherever the sum is interrupted at an even place.
func TestSumAgrees(t *testing.T) {
	chance := rand.New(rand.NewPCG(9, 10))
	for range 20_000 {
		b := randomOctets(chance)
		want := gopacket.FoldChecksum(gopacket.ComputeChecksum(b, 0))
		if got := ones(0).plus(b).checksum(); got != want {
			t.Fatalf("%x: %04x, gopacket: %04x", b, got, want)
		}
		at := chance.IntN(len(b)/2+1) * 2
		if got := ones(0).plus(b[:at]).plus(b[at:]).checksum(); got != want {
			t.Fatalf("%x in two parts: %04x, gopacket: %04x", b, got, want)
		}
	}
}

// TestSumOfNothing: only zeros have the sum 0; everything else that amounts to
// it has 0xffff.
func TestSumOfNothing(t *testing.T) {
	cases := []struct {
		b    []byte
		want uint16
	}{
		{nil, 0},
		{make([]byte, 64), 0},
		{[]byte{0xff, 0xff}, 0xffff},
		{[]byte{0xff, 0xfe, 0, 1}, 0xffff},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0xff00},
	}
	for _, tc := range cases {
		if got := ones(0).plus(tc.b).fold(); got != tc.want {
			t.Errorf("%x: %04x, want %04x", tc.b, got, tc.want)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	data := make([]byte, 1500)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		ones(0).plus(data).checksum()
	}
}
