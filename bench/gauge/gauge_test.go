package main

import (
	"bytes"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	tests := []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"median of 100", hundred, .5, 50},
		{"p99 of 100", hundred, .99, 99},
		{"maximum", hundred, 1, 100},
		{"p99 of few is the maximum", []float64{1, 2, 3}, .99, 3},
		{"median of an even number is the lower one", []float64{1, 2}, .5, 1},
		{"one value", []float64{7}, .01, 7},
		{"none", nil, .5, math.NaN()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := quantile(tt.values, tt.q)
			if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
				t.Errorf("quantile(%v) = %v, want %v", tt.q, got, tt.want)
			}
		})
	}
}

func TestSummarizeErrors(t *testing.T) {
	got := summarize([]float64{-3, 1, -2}, true)
	want := figures{n: 3, mean: 2, median: 2, p99: 3, maximum: 3, bias: -2}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseReadings(t *testing.T) {
	tests := []struct {
		name, output string
		want         []reading
	}{
		{"ping", "PING 192.0.2.2 (192.0.2.2) 56(84) bytes of data.\n" +
			"64 bytes from 192.0.2.2: icmp_seq=1 ttl=64 time=0.052 ms\n" +
			"64 bytes from 192.0.2.2: icmp_seq=3 ttl=64 time=12.3 ms\n" +
			"rtt min/avg/max/mdev = 0.052/0.052/0.052/0.000 ms\n",
			[]reading{{probe: 0, rtt: 52}, {probe: 2, rtt: 12300}}},
		{"ping counts a duplicate once", "64 bytes from 192.0.2.2: icmp_seq=1 ttl=64 time=0.060 ms (DUP!)\n", nil},
		{"fping", "192.0.2.2 : [0], 64 bytes, 0.041 ms (0.041 avg, 0% loss)\n192.0.2.2 : [1], timed out (0.041 avg, 50% loss)\n",
			[]reading{{probe: 0, rtt: 41}}},
		{"netprobe", `{"v":1,"record":"run","clock":"kernel"}
{"record":"probe","seq":1,"status":"reply","rtt_ms":0.020125,"clock":"kernel"}
{"record":"probe","seq":2,"status":"lost","rtt_ms":null,"clock":null}
{"record":"probe","seq":3,"status":"reply","rtt_ms":1.5,"clock":"user"}
{"record":"summary","sent":3,"rtt_ms":{"min":0.02,"max":1.5}}
`, []reading{{probe: 0, rtt: 20.125, kernel: true}, {probe: 2, rtt: 1500}}},
		{"nping", "SENT (0.5120s) TCP 192.0.2.1:15379 > 192.0.2.2:443 S ttl=64 id=3883 iplen=40  seq=1567248129 win=1480\n" +
			"RCVD (0.5125s) TCP 192.0.2.2:443 > 192.0.2.1:15379 SA ttl=64 id=0 iplen=44  seq=1 win=64240 <mss 1460>\n" +
			"SENT (0.6s) TCP 192.0.2.1:15379 > 192.0.2.2:443 S ttl=64 id=3883 iplen=40  seq=1567248129 win=1480\n" +
			"RCVD (0.6001s) TCP 192.0.2.2:443 > 192.0.2.1:15379 RA ttl=64 id=0 iplen=40  seq=0 win=0\n" +
			"SENT (0.75s) TCP 192.0.2.1:15379 > 192.0.2.2:443 S ttl=64 id=3883 iplen=40  seq=1567248129 win=1480\n" +
			"RCVD (1s) TCP 192.0.2.2:443 > 192.0.2.1:15379 SA ttl=64 id=0 iplen=44  seq=1 win=64240 <mss 1460>\n",
			[]reading{{probe: 0, rtt: 500}, {probe: 2, rtt: 250000}}},
		{"dig", ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 5\n;; Query time: 93 usec\n;; SERVER: 192.0.2.2#53(192.0.2.2) (UDP)\n;; Query time: 1204 usec\n",
			[]reading{{probe: 0, rtt: 93}, {probe: 1, rtt: 1204}}},
		{"netprobe's answers of name servers", `{"record":"dns","seq":2,"status":"reply","question":{"name":"a.example."},"rtt_ms":0.0315,"clock":"kernel"}
{"record":"dns","seq":3,"status":"lost","rtt_ms":null,"clock":null}
{"record":"summary","received":1,"rtt_ms":{"min":0.02,"max":1.5}}
`, []reading{{probe: 1, rtt: 31.5, kernel: true}}},
	}
	near := func(a, b reading) bool { // nping's times are differences
		return a.probe == b.probe && a.kernel == b.kernel && math.Abs(a.rtt-b.rtt) < 1e-6
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseReadings(strings.NewReader(tt.output), "rtt_ms")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, tt.want, near) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseReadingsField(t *testing.T) {
	got, err := parseReadings(strings.NewReader(`{"record":"probe","seq":1,"status":"reply","rtt_ms":0.02,"host_ms":0.25,"clock":"kernel"}
{"record":"probe","seq":2,"status":"reply","rtt_ms":0.02,"host_ms":null,"clock":"user"}
`), "host_ms")
	if want := []reading{{probe: 0, rtt: 250, kernel: true}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := parseReadings(strings.NewReader(`{"record":"probe","seq":1,"status":"reply"}`), "host_ms"); err == nil {
		t.Error("a record without the time asked for passed")
	}
}

func TestParseReadingsRejectsBrokenRecord(t *testing.T) {
	if _, err := parseReadings(strings.NewReader(`{"record":"probe","status":"reply","rtt_ms":"1"}`+"\n"), "rtt_ms"); err == nil {
		t.Error("an RTT that is no number was accepted")
	}
}

// at is an instant so many µs after the start of a capture.
func at(us int) time.Time { return time.Unix(1000, int64(us)*1000) }

// capture builds a pcap file.
type capture struct {
	t *testing.T
	bytes.Buffer
	w *pcapgo.Writer
}

func newCapture(t *testing.T) *capture {
	c := &capture{t: t}
	c.w = pcapgo.NewWriterNanos(&c.Buffer)
	if err := c.w.WriteFileHeader(128, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *capture) put(us int, reply bool, id, seq uint16, v6 bool) {
	c.t.Helper()
	near, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if v6 {
		near, far = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	if reply {
		near, far = far, near
	}
	packet := []gopacket.SerializableLayer{&layers.Ethernet{
		SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4,
	}}
	if v6 {
		packet[0].(*layers.Ethernet).EthernetType = layers.EthernetTypeIPv6
		kind := layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)
		if reply {
			kind = layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoReply, 0)
		}
		packet = append(packet, &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolICMPv6, SrcIP: near.AsSlice(), DstIP: far.AsSlice()},
			&layers.ICMPv6{TypeCode: kind}, &layers.ICMPv6Echo{Identifier: id, SeqNumber: seq})
	} else {
		kind := layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0)
		if reply {
			kind = layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, 0)
		}
		packet = append(packet, &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: near.AsSlice(), DstIP: far.AsSlice()},
			&layers.ICMPv4{TypeCode: kind, Id: id, Seq: seq})
	}
	c.write(us, packet)
}

// putUDP appends a datagram from a port of the prober to one of the target, or back.
func (c *capture) putUDP(us int, back bool, near, far layers.UDPPort, payload string) {
	c.t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: near, DstPort: far}
	if back {
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
		udp.SrcPort, udp.DstPort = far, near
	}
	c.write(us, []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}, ip, udp, gopacket.Payload(payload),
	})
}

// putTCP appends a packet from a port of the prober to one of the target, or back.
func (c *capture) putTCP(us int, back bool, near, far layers.TCPPort, tcp layers.TCP) {
	c.t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	tcp.SrcPort, tcp.DstPort = near, far
	if back {
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
		tcp.SrcPort, tcp.DstPort = far, near
	}
	c.write(us, []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}, ip, &tcp,
	})
}

func (c *capture) write(us int, packet []gopacket.SerializableLayer) {
	c.t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, packet...); err != nil {
		c.t.Fatal(err)
	}
	n := len(b.Bytes())
	if err := c.w.WritePacket(gopacket.CaptureInfo{Timestamp: at(us), CaptureLength: n, Length: n}, b.Bytes()); err != nil {
		c.t.Fatal(err)
	}
}

// each tells visit every packet, as a capture that is running does.
func (c *capture) each(visit func([]byte, gopacket.CaptureInfo) error) error {
	packets, err := pcapgo.NewReader(&c.Buffer)
	if err != nil {
		return err
	}
	for {
		data, info, err := packets.ReadPacketData()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(data, info); err != nil {
			return err
		}
	}
}

func TestParseCapture(t *testing.T) {
	c := newCapture(t)
	c.put(0, false, 7, 1, false)
	c.put(10, false, 7, 2, false)
	c.put(25, true, 7, 2, false) // overtakes
	c.put(30, true, 7, 1, false)
	c.put(31, true, 7, 1, false) // duplicate
	c.put(32, true, 8, 1, false) // never asked
	c.put(40, false, 7, 3, false)
	c.put(50, false, 7, 1, true) // the same numbers, another family
	c.put(58, true, 7, 1, true)
	got, err := parseCapture(&c.Buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := []exchange{{at(0), at(30)}, {at(10), at(25)}, {at(40), time.Time{}}, {at(50), at(58)}}
	same := func(a, b exchange) bool { return a.sent.Equal(b.sent) && a.answered.Equal(b.answered) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseCaptureOfHandshakes(t *testing.T) {
	c := newCapture(t)
	syn, ack := layers.TCP{SYN: true, Seq: 100}, layers.TCP{SYN: true, ACK: true, Seq: 7, Ack: 101}
	c.putTCP(0, false, 40000, 443, syn)
	c.putTCP(1, true, 40000, 443, layers.TCP{SYN: true, ACK: true, Ack: 102}) // to another SYN
	c.putTCP(30, true, 40000, 443, ack)
	c.putTCP(31, false, 40000, 443, layers.TCP{ACK: true, Seq: 101, Ack: 8})
	c.putTCP(32, false, 40000, 443, layers.TCP{RST: true, Seq: 101})
	c.putTCP(40, true, 40000, 443, ack)    // a duplicate
	c.putTCP(100, false, 40001, 443, syn)  // lost, and
	c.putTCP(1000, false, 40001, 443, syn) // sent again
	c.putTCP(1020, true, 40001, 443, ack)  //
	c.putTCP(2000, false, 40002, 444, syn) // refused
	c.putTCP(2010, true, 40002, 444, layers.TCP{RST: true, ACK: true, Ack: 101})
	c.putTCP(3000, false, 40000, 443, layers.TCP{SYN: true, Seq: 500}) // the port again
	c.putTCP(3015, true, 40000, 443, layers.TCP{SYN: true, ACK: true, Ack: 501})
	got, err := parseCapture(&c.Buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := []exchange{{at(0), at(30)}, {at(1000), at(1020)}, {at(2000), time.Time{}}, {at(3000), at(3015)}}
	same := func(a, b exchange) bool { return a.sent.Equal(b.sent) && a.answered.Equal(b.answered) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseCaptureOfQueries(t *testing.T) {
	c := newCapture(t)
	const answer = "\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
	const question = "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	c.putUDP(0, false, 40000, 53, "\x00\x07"+question)
	c.putUDP(5, false, 40000, 53, "\x00\x08"+question)
	c.putUDP(10, true, 40000, 53, "\x00\x09"+answer) // to nobody
	c.putUDP(12, true, 40001, 53, "\x00\x07"+answer) // to another port
	c.putUDP(20, true, 40000, 53, "\x00\x08"+answer)
	c.putUDP(30, true, 40000, 53, "\x00\x07"+answer)
	c.putUDP(31, true, 40000, 53, "\x00\x07"+answer)    // a duplicate
	c.putUDP(40, false, 40000, 53, "\x00\x07\x01")      // too short
	c.putUDP(41, false, 40000, 123, "\x00\x01"+answer)  // another protocol
	c.putUDP(50, false, 40000, 53, "\x00\x07"+question) // the id again
	got, err := parseCapture(&c.Buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := []exchange{{at(0), at(30)}, {at(5), at(20)}, {at(50), time.Time{}}}
	same := func(a, b exchange) bool { return a.sent.Equal(b.sent) && a.answered.Equal(b.answered) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseCaptureCutShort(t *testing.T) {
	c := newCapture(t)
	c.put(0, false, 7, 1, false)
	c.put(9, true, 7, 1, false)
	got, err := parseCapture(bytes.NewReader(c.Bytes()[:c.Len()-5]))
	if err != nil || len(got) != 1 || !got[0].answered.IsZero() {
		t.Errorf("got %v, %v; want the request alone", got, err)
	}
}

func TestRTTErrors(t *testing.T) {
	captured := []exchange{{at(0), at(30)}, {sent: at(100)}, {at(200), at(220)}}
	got, err := rttErrors(captured, []reading{{probe: 0, rtt: 28}, {probe: 1, rtt: 50}, {probe: 2, rtt: 25}})
	if want := []float64{-2, 5}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := rttErrors(captured, []reading{{probe: 3, rtt: 1}}); err == nil {
		t.Error("a probe that was not captured passed")
	}
	if _, err := rttErrors(captured, nil); err == nil {
		t.Error("no answers at all passed")
	}
}

func TestWireTimes(t *testing.T) {
	got := wireTimes([]exchange{{at(0), at(30)}, {sent: at(100)}, {at(200), at(220)}})
	if want := []float64{30, 20}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestClockNotes(t *testing.T) {
	kernel, user := reading{kernel: true}, reading{}
	if got := clockNotes([]reading{kernel, user}); len(got) != 1 {
		t.Errorf("one of two by user clock: got %q", got)
	}
	if got := clockNotes([]reading{user, user}); got != nil {
		t.Errorf("a tool that does not tell: got %q", got)
	}
}

func TestFirstPackets(t *testing.T) {
	captured := []exchange{{sent: at(5000)}, {sent: at(5100)}, {sent: at(21000)}}
	got, err := firstPackets(captured, []start{{"a", at(2000)}, {"b", at(20000)}})
	want := map[string][]float64{"a": {3}, "b": {1}}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := firstPackets(captured, []start{{"a", at(2000)}, {"b", at(6000)}, {"c", at(20000)}}); err == nil {
		t.Error("a start without a packet of its own passed")
	}
}

func TestParseStarts(t *testing.T) {
	got, err := parseStarts(strings.NewReader("1795372654.273147 netprobe raw\n1795372655.5 ping\n"))
	want := []start{{"netprobe raw", time.UnixMicro(1795372654273147)}, {"ping", time.UnixMicro(1795372655500000)}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := parseStarts(strings.NewReader("now ping\n")); err == nil {
		t.Error("a line without a number passed")
	}
}

func TestGaps(t *testing.T) {
	got := gaps([]exchange{{sent: at(0)}, {sent: at(10000)}, {sent: at(21000)}})
	if want := []float64{10, 11}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParsePeak(t *testing.T) {
	if got := parsePeak([]byte("Name:\tx\nVmPeak:\t 9999 kB\nVmHWM:\t    2500 kB\nVmRSS:\t 1 kB\n")); got != 2500*1024 {
		t.Errorf("got %v, want %v", got, 2500*1024)
	}
	if got := parsePeak([]byte("Name:\tx\nState:\tZ (zombie)\n")); got != 0 {
		t.Errorf("zombie: got %v, want 0", got)
	}
}

func TestSamplesJoin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "samples")
	for _, s := range []sample{
		{Measure: "cpu", Tool: "netprobe", Values: []float64{1}, Notes: []string{"x"}},
		{Measure: "cpu", Tool: "fping", Values: []float64{3}},
		{Measure: "cpu", Tool: "netprobe", Values: []float64{2}, Notes: []string{"x"}},
	} {
		if err := appendSample(file, s); err != nil {
			t.Fatal(err)
		}
	}
	got := samplesOf(t, file)
	want := []sample{{"cpu", "netprobe", []float64{1, 2}, []string{"x"}}, {"cpu", "fping", []float64{3}, nil}}
	if !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// samplesOf reads a file of samples.
func samplesOf(t *testing.T, file string) []sample {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	samples, err := readSamples(f)
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name    string
		samples []sample
		want    []string // verdict of each row
	}{
		{"error within", []sample{{"rtt-idle", "netprobe raw", []float64{-5, 2}, nil}}, []string{"PASS"}},
		{"error beyond, below zero", []sample{{"rtt-idle", "netprobe raw", []float64{-5.1, 2}, nil}}, []string{"FAIL"}},
		{"peers have no target", []sample{{"rtt-idle", "ping", []float64{40}, nil}}, []string{""}},
		{"not measured", []sample{{"rtt-quota", "netprobe", nil, []string{"no quota here"}}}, []string{"skipped"}},
		{"ratio", []sample{{"cpu", "netprobe", []float64{15}, nil}, {"cpu", "fping", []float64{10}, nil}}, []string{"PASS", ""}},
		{"ratio beyond", []sample{{"cpu", "netprobe", []float64{15.1}, nil}, {"cpu", "fping", []float64{10}, nil}}, []string{"FAIL", ""}},
		{"nothing to compare with", []sample{{"cpu", "netprobe", []float64{1}, nil}}, []string{"FAIL"}},
		{"the best of several", []sample{
			{"s1m-rate", "netprobe -o plain", []float64{86}, nil}, {"s1m-rate", "netprobe -o json", []float64{84}, nil},
			{"s1m-rate", "yardstick, 1 thread", []float64{90}, nil}, {"s1m-rate", "yardstick, 2 threads", []float64{100}, nil},
		}, []string{"PASS", "FAIL", "", ""}},
		{"no yardstick", []sample{{"s1m-rate", "netprobe -o plain", []float64{1e6}, nil}}, []string{"FAIL"}},
		{"own peer", []sample{{"list6-wall", "netprobe IPv4", []float64{10}, nil}, {"list6-wall", "netprobe IPv6", []float64{12}, nil}}, []string{"", "PASS"}},
		{"own peer, beyond", []sample{{"list6-wall", "netprobe IPv6", []float64{12.1}, nil}, {"list6-wall", "netprobe IPv4", []float64{10}, nil}}, []string{"FAIL", ""}},
		{"exactly", []sample{{"dark-packets", "netprobe", []float64{40000}, nil}}, []string{"PASS"}},
		{"one too many", []sample{{"dark-packets", "netprobe", []float64{40001}, nil}}, []string{"FAIL"}},
		{"too fast is not in time", []sample{{"pace-wall", "netprobe", []float64{9.8}, nil}}, []string{"FAIL"}},
		{"gap", []sample{{"pace-gap", "netprobe", []float64{9, 11.009}, nil}}, []string{"PASS"}},
		{"within the resolution", []sample{{"handshake-idle", "netprobe", []float64{-11, 2}, nil}, {"handshake-idle", "wall clock", []float64{80}, nil}}, []string{"PASS", ""}},
		{"of two ways to ask each has its own", []sample{
			{"drop-wall", "netprobe", []float64{2.9}, nil}, {"drop-wall", "netprobe --syn", []float64{2.5, 3}, nil}, {"drop-wall", "nmap -sT", []float64{12}, nil},
		}, []string{"PASS", "FAIL", ""}},
		{"half of a peer's, and a limit", []sample{{"lifted-wall", "netprobe", []float64{.04, 1.9}, nil}, {"lifted-wall", "nmap -sU", []float64{.1}, nil}}, []string{"PASS", ""}},
		{"beyond the limit", []sample{{"lifted-wall", "netprobe", []float64{.04, .04, 2}, nil}, {"lifted-wall", "nmap -sU", []float64{.1}, nil}}, []string{"FAIL", ""}},
		{"more than half", []sample{{"lifted-wall", "netprobe", []float64{.06}, nil}, {"lifted-wall", "nmap -sU", []float64{.1}, nil}}, []string{"FAIL", ""}},
		{"an ETA that is too short", []sample{{"told-eta", "netprobe, 60 ports", []float64{-10.5}, nil}}, []string{"FAIL"}},
		{"as little as a peer", []sample{{"burst-load", "netprobe", []float64{30}, nil}, {"burst-load", "dnsperf", []float64{30}, nil}}, []string{"PASS", ""}},
		{"unknown measure", []sample{{"colour", "netprobe", []float64{1}, nil}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, missed := table(tt.samples)
			var got []string
			fails := 0
			for _, row := range rows[1:] {
				v := row[slices.Index(header, "verdict")]
				got = append(got, v)
				if v == "FAIL" {
					fails++
				}
			}
			if !slices.Equal(got, tt.want) || missed != fails {
				t.Errorf("verdicts %q, %d missed; want %q", got, missed, tt.want)
			}
		})
	}
}

func TestReportExitCode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "samples")
	var out, errs bytes.Buffer
	if code := run([]string{"add", "-samples", file, "-measure", "size", "-tool", "netprobe", "6.2"}, &out, &errs); code != 0 {
		t.Fatalf("add: exit %d, %s", code, &errs)
	}
	if code := run([]string{"report", "-samples", file}, &out, &errs); code != 0 || !strings.Contains(out.String(), "PASS") {
		t.Errorf("report: exit %d, %s%s", code, &out, &errs)
	}
	if code := run([]string{"add", "-samples", file, "-measure", "size", "-tool", "netprobe", "12.5"}, &out, &errs); code != 0 {
		t.Fatalf("add: exit %d, %s", code, &errs)
	}
	if code := run([]string{"report", "-samples", file}, &out, &errs); code != 1 {
		t.Errorf("report of a missed target: exit %d, want 1", code)
	}
	if code := run([]string{"measure"}, &out, &errs); code != 2 {
		t.Errorf("unknown subcommand: exit %d, want 2", code)
	}
}
