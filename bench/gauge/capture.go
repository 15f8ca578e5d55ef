package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// exchange is one request in a capture, an echo request, a SYN or a DNS query, and the first
// answer to it.
type exchange struct {
	sent     time.Time
	answered time.Time // zero if no answer was captured
}

// wire is the round-trip time in µs. Only an answered exchange has one.
func (x exchange) wire() float64 { return float64(x.answered.Sub(x.sent)) / float64(time.Microsecond) }

// echo is what an echo request and the reply to it have in common.
type echo struct {
	prober, target netip.Addr
	id, seq        uint16
}

// handshake is what a SYN and the SYN-ACK to it have in common.
type handshake struct {
	prober, target netip.AddrPort
	isn            uint32 // initial sequence number
}

// query is what a DNS query by UDP and the answer to it have in common.
type query struct {
	prober, server netip.AddrPort
	id             uint16
}

// readCapture returns the exchanges of a pcap file in the order of their
// requests.
func readCapture(file string) ([]exchange, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseCapture(bufio.NewReader(f))
}

func parseCapture(r io.Reader) ([]exchange, error) {
	packets, err := pcapgo.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	var all []exchange
	open := make(map[any]int) // index in all of the request not yet answered
	for {
		data, info, err := packets.ReadPacketData()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all, nil // the capture may end in the middle of a packet
		}
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		p := gopacket.NewPacket(data, packets.LinkType(), gopacket.DecodeOptions{NoCopy: true})
		key, reply, again, ok := readRequest(p)
		if !ok {
			continue
		}
		i, known := open[key]
		switch {
		case reply && known:
			all[i].answered = info.Timestamp
			delete(open, key)
		case reply: // a duplicate, or nobody asked
		case known && again:
			all[i].sent = info.Timestamp
		default:
			open[key] = len(all)
			all = append(all, exchange{sent: info.Timestamp})
		}
	}
}

// readRequest reads a request or an answer: what they have in common, which of
// them it is, and whether a request that comes twice is one that was sent again.
func readRequest(p gopacket.Packet) (key any, reply, again, ok bool) {
	if e, reply, ok := readEcho(p); ok {
		return e, reply, false, true
	}
	if h, reply, ok := readHandshake(p); ok {
		return h, reply, true, true
	}
	q, reply, ok := readQuery(p)
	return q, reply, true, ok
}

// readEcho reads an echo request or reply, IPv4 or IPv6.
func readEcho(p gopacket.Packet) (e echo, reply, ok bool) {
	src, dst := ends(p)
	if icmp, is := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); is {
		switch icmp.TypeCode.Type() {
		case layers.ICMPv4TypeEchoRequest:
			return echo{src, dst, icmp.Id, icmp.Seq}, false, true
		case layers.ICMPv4TypeEchoReply:
			return echo{dst, src, icmp.Id, icmp.Seq}, true, true
		}
	} else if icmp, is := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); is && len(icmp.LayerPayload()) >= 4 {
		id := binary.BigEndian.Uint16(icmp.LayerPayload())
		seq := binary.BigEndian.Uint16(icmp.LayerPayload()[2:])
		switch icmp.TypeCode.Type() {
		case layers.ICMPv6TypeEchoRequest:
			return echo{src, dst, id, seq}, false, true
		case layers.ICMPv6TypeEchoReply:
			return echo{dst, src, id, seq}, true, true
		}
	}
	return echo{}, false, false
}

// readHandshake reads a SYN or SYN-ACK, over IPv4 or IPv6.
func readHandshake(p gopacket.Packet) (h handshake, reply, ok bool) {
	tcp, is := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !is || !tcp.SYN || tcp.RST {
		return handshake{}, false, false
	}
	src, dst := ends(p)
	from, to := netip.AddrPortFrom(src, uint16(tcp.SrcPort)), netip.AddrPortFrom(dst, uint16(tcp.DstPort))
	if tcp.ACK {
		return handshake{to, from, tcp.Ack - 1}, true, true
	}
	return handshake{from, to, tcp.Seq}, false, true
}

// readQuery reads a DNS query or the answer to one, by UDP.
func readQuery(p gopacket.Packet) (q query, reply, ok bool) {
	const dnsPort, headerLen, qr = 53, 12, 0x80 // RFC 1035, section 4.1.1
	udp, is := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !is || len(udp.Payload) < headerLen {
		return query{}, false, false
	}
	src, dst := ends(p)
	from, to := netip.AddrPortFrom(src, uint16(udp.SrcPort)), netip.AddrPortFrom(dst, uint16(udp.DstPort))
	id := binary.BigEndian.Uint16(udp.Payload)
	switch reply = udp.Payload[2]&qr != 0; {
	case reply && from.Port() == dnsPort:
		return query{to, from, id}, true, true
	case !reply && to.Port() == dnsPort:
		return query{from, to, id}, false, true
	}
	return query{}, false, false
}

// ends returns who sent a packet to whom.
func ends(p gopacket.Packet) (src, dst netip.Addr) {
	if ip, is := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); is {
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
	} else if ip, is := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); is {
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
	}
	return src, dst
}

// watch tells visit what passes an interface until stop is called, which returns
// once visit is called no more, or until ctx ends.
func watch(ctx context.Context, device string, visit func([]byte, gopacket.CaptureInfo) error) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- tap(ctx, device, func() { close(ready) }, visit) }()
	stop = func() error {
		cancel()
		return <-done
	}
	select {
	case <-ready:
		return stop, nil
	case err := <-done:
		cancel()
		return nil, err
	}
}

// runCapture writes what passes an interface to a pcap file until it is told to
// end by SIGTERM.
func runCapture(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("gauge capture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	device := flags.String("interface", "", "`NAME` of the interface")
	file := flags.String("pcap", "", "`FILE` to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := os.Create(*file)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(f)
	pcap := pcapgo.NewWriterNanos(buffered)
	err = pcap.WriteFileHeader(128, layers.LinkTypeEthernet)
	if err == nil {
		err = tap(ctx, *device, func() { fmt.Fprintln(stdout, "ready") }, func(data []byte, info gopacket.CaptureInfo) error {
			return pcap.WritePacket(info, data)
		})
	}
	return errors.Join(err, buffered.Flush(), f.Close())
}
