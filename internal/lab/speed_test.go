package lab

import (
	"bytes"
	"testing"
)

// BenchmarkHops is one packet over 20 hops and its answer, in memory.
func BenchmarkHops(b *testing.B) {
	for _, bench := range []struct {
		name string
		ttl  uint8
	}{{"Target", 64}, {"Hop20", 20}} {
		for _, target := range targets {
			name := bench.name + "/IPv6"
			if target.Is4() {
				name = bench.name + "/IPv4"
			}
			b.Run(name, func(b *testing.B) {
				m := Topology{Hops: path(20), LogLimit: 1}.Memory()
				defer m.Close()
				raw := bytes.Clone(new(packer).datagram(header{src: m.Source(target), dst: target, ttl: bench.ttl}, 40000, 33434, make([]byte, 32)))
				b.ReportAllocs()
				for b.Loop() {
					if err := m.Send(raw); err != nil {
						b.Fatal(err)
					}
					for len(m.Receive()) > 0 {
						<-m.Receive()
					}
				}
			})
		}
	}
}
