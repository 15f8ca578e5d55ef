package rawsock

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/net/bpf"
)

// passes runs the filter of an inlet of a Tracer on a whole packet.
func passes(t *testing.T, probed Proto, flow uint16, b []byte) bool {
	t.Helper()
	return passesProgram(t, b, func(f Family, heard uint8) []bpf.Instruction { return tracerFilter(f, heard, probed, flow) })
}

// passesProgram runs a filter on a whole packet, in a machine that runs the very
// program the kernel gets.
func passesProgram(t *testing.T, b []byte, program func(f Family, heard uint8) []bpf.Instruction) bool {
	t.Helper()
	h, body, ok := parsePacket(b)
	if !ok {
		t.Fatalf("% x: not a packet", b)
	}
	f := IPv4
	if b[0]>>4 == 6 {
		f, b = IPv6, body
	}
	vm, err := bpf.NewVM(program(f, h.proto))
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(b)
	if err != nil || n != 0 && n < 1<<16 {
		t.Fatalf("kept %d octets, %v", n, err)
	}
	return n != 0
}

// The filters let through answers to our flows, and errors about our protocol.
func TestTracerFilter(t *testing.T) {
	eachProbe(t, func(t *testing.T, proto Proto, p Probe) {
		const flow = 61000
		for _, tc := range []struct {
			flow uint16
			ours bool
		}{{flow, true}, {flow + 1, true}, {flow + MaxFlows - 1, true}, {flow - 1, false}, {flow + MaxFlows, false}, {0, false}, {65535, false}} {
			p.Flow = tc.flow
			if got := passes(t, proto, flow, targetAnswer(t, proto, &p)); got != tc.ours {
				t.Errorf("an answer to flow %d passes: %v", tc.flow, got)
			}
			q := AppendProbe(nil, proto, &p)
			for _, quote := range [][]byte{q, q[:len(q)-10]} {
				if !passes(t, proto, flow, exceeded(t, &p, quote)) {
					t.Errorf("an error about flow %d does not pass", tc.flow)
				}
			}
		}
		// The last flows of all.
		p.Flow = 65535
		if !passes(t, proto, 65000, targetAnswer(t, proto, &p)) {
			t.Error("flow 65535 does not pass the filter from 65000 on")
		}
		for _, other := range protos {
			if other != proto && passes(t, proto, flow, exceeded(t, &p, AppendProbe(nil, other, &p))) {
				t.Errorf("an error about %v passes", other)
			}
		}
		p.Flow = flow
		if proto != ICMP && passes(t, proto, flow, echoReply(t, &p, []byte("0123456789"))) {
			t.Error("an echo reply passes")
		}
		if q := icmpProbe(p); passes(t, proto, flow, q) {
			t.Error("an echo request passes")
		}
		if p.To.Is6() {
			q := AppendProbe(nil, proto, &p)
			b := append(append(append([]byte{}, q[:40]...), q[6], 0, 0, 0, 0, 0, 0, 0), q[40:]...)
			b[6] = extDestination
			if !passes(t, proto, flow, exceeded(t, &p, b)) {
				t.Error("an error about a packet with an extension header does not pass")
			}
		}
	})
}

// icmpProbe is an echo request as p.
func icmpProbe(p Probe) []byte { return AppendProbe(nil, ICMP, &p) }

// targetAnswer is how the target of p answers.
func targetAnswer(t *testing.T, proto Proto, p *Probe) []byte {
	t.Helper()
	switch proto {
	case UDP:
		return answer(t, p, p.To, layers.IPProtocolUDP,
			&layers.UDP{SrcPort: layers.UDPPort(p.Port), DstPort: layers.UDPPort(p.Flow)}, gopacket.Payload("hi"))
	case TCP:
		return answer(t, p, p.To, layers.IPProtocolTCP,
			&layers.TCP{SrcPort: layers.TCPPort(p.Port), DstPort: layers.TCPPort(p.Flow), SYN: true, ACK: true})
	}
	return echoReply(t, p, []byte("0123456789"))
}

// IPv4 options in an answer move what the filter looks at.
func TestTracerFilterBehindOptions(t *testing.T) {
	p := Probe{From: me4, To: target4, Flow: 61000, N: 1, Cookie: 1}
	quote := gopacket.Payload(AppendProbe(nil, ICMP, &p))
	ip := &layers.IPv4{Version: 4, TTL: 57, Protocol: layers.IPProtocolICMPv4, SrcIP: net.IP{198, 51, 100, 9}, DstIP: p.From.AsSlice(),
		Options: []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}}
	b := built(t, ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(11, 0)}, quote)
	var r Reply
	if !passes(t, ICMP, 61000, b) || !ParseReply(b, ICMP, &r) || r.N != 1 || r.From != netip.MustParseAddr("198.51.100.9") {
		t.Errorf("%+v", &r)
	}
	if passes(t, UDP, 61000, b) {
		t.Error("passes for UDP")
	}
}
