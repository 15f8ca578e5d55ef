package udpprobe

import (
	"net"
	"testing"
	"time"

	"netprobe/internal/crew"
	"netprobe/udpprobe/payload"
	"netprobe/udpprobe/payload/payloadtest"
)

// BenchmarkAsk asks an NTP server on loopback: a socket, a question, an answer.
func BenchmarkAsk(b *testing.B) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(payloadtest.Answer("ntp", buf[:n], 0), from)
		}
	}()
	asker := NewAsker(Config{Proto: payload.ByName("ntp")})
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	b.ReportAllocs()
	for b.Loop() {
		asker.Ask(b.Context(), crew.Try{To: to, N: 1, Timeout: time.Second})
	}
}
