package lab

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// BenchmarkTUN is one packet through a TUN device, over up to 20 hops, and its
// answer back into the kernel.
func BenchmarkTUN(b *testing.B) {
	hops := path(20)
	for i := range hops {
		hops[i].Out.Delay, hops[i].Back.Delay = 2500*time.Microsecond, 2500*time.Microsecond
	}
	l := Start(b, Topology{Hops: hops, Hosts: []Host{{At: At("203.0.113.0/24")}}, LogLimit: 1})
	var conn *ipv4.PacketConn
	l.Do(func() {
		c, err := net.ListenPacket("udp4", ":0")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		conn = ipv4.NewPacketConn(c)
	})
	const batch = 64
	messages := make([]ipv4.Message, batch)
	for i := range messages {
		messages[i] = ipv4.Message{
			Buffers: [][]byte{make([]byte, 32)},
			Addr:    &net.UDPAddr{IP: net.IPv4(203, 0, 113, byte(i+1)), Port: 33434},
		}
	}
	done := func() int { return int(l.Log().Totals().Unlogged) / 2 }
	b.ReportAllocs()
	b.ResetTimer()
	sent := 0
	for sent < b.N {
		if err := conn.SetTTL(1 + sent/batch%20); err != nil {
			b.Fatal(err)
		}
		n, err := conn.WriteBatch(messages[:min(batch, b.N-sent)], 0)
		if err != nil {
			b.Fatal(err)
		}
		sent += n
		for sent-done() > 5000 {
			runtime.Gosched()
		}
	}
	for end := time.Now().Add(10 * time.Second); done() < sent-1; {
		if time.Now().After(end) {
			b.Fatalf("%d of %d answered", done(), sent)
		}
		time.Sleep(time.Millisecond)
	}
}
