package rawsock

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"

	"golang.org/x/net/icmp"
)

// fuzzProbes are the probes that seeds are about.
func fuzzProbes() []Probe {
	var list []Probe
	for _, to := range []netip.Addr{target4, target6} {
		list = append(list, Probe{From: mine(to), To: to, Port: 33434, TTL: 7, Flow: 0xf123, N: 0x0203, Cookie: 0x1122334455667788, Size: 150})
	}
	return list
}

func FuzzParseReply(f *testing.F) {
	for _, p := range fuzzProbes() {
		for _, proto := range protos {
			q := AppendProbe(nil, proto, &p)
			f.Add(q, uint8(proto))
			f.Add(exceeded(f, &p, q), uint8(proto))
			f.Add(exceeded(f, &p, q[:48]), uint8(proto))
			f.Add(extended(f, &p, q, extensions(&p)...), uint8(proto))
			f.Add(echoReply(f, &p, []byte("0123456789")), uint8(proto))
		}
	}
	dirty := Reply{MPLS: make([]Label, 3, 7), Interfaces: make([]InterfaceInfo, 2, 5), N: 7, HasCookie: true}
	f.Fuzz(func(t *testing.T, b []byte, number uint8) {
		proto := protos[int(number)%len(protos)]
		if number == uint8(TCP) || number == uint8(UDP) || number == uint8(ICMP) {
			proto = Proto(number)
		}
		b = resum(bytes.Clone(b)[:len(b):len(b)])
		var fresh Reply
		before := bytes.Clone(b)
		ok := ParseReply(b, proto, &fresh)
		if !bytes.Equal(b, before) {
			t.Error("the packet was changed")
		}
		// What r held before makes no difference.
		if ok != ParseReply(b, proto, &dirty) || ok && !sameReply(&fresh, &dirty) {
			t.Errorf("read %+v, then %+v", &fresh, &dirty)
		}
		if !ok {
			return
		}
		saneReply(t, proto, b, &fresh)
		secondOpinion(t, b, &fresh)
	})
}

// Whatever objects a valid extension structure holds, what is read of them is
// bounded, and x/net/icmp reads the same labels where it reads any.
func FuzzParseExtension(f *testing.F) {
	for _, p := range fuzzProbes() {
		q := AppendProbe(nil, ICMP, &p)
		_, body, _ := parsePacket(extended(f, &p, q, extensions(&p)...))
		if _, ext := splitExtension(FamilyOf(p.To), body); len(ext) > 0 {
			f.Add(ext[extensionHeader:])
		}
	}
	f.Add([]byte{0, 4, 2, 15, 0, 8, 1, 1, 5, 0xdc, 0x11, 1})
	p := fuzzProbes()[0]
	q := AppendProbe(nil, ICMP, &p)
	quote := append(q, make([]byte, 152-len(q))...)
	f.Fuzz(func(t *testing.T, objects []byte) {
		ext := append([]byte{extensionVersion << 4, 0, 0, 0}, objects[:min(len(objects), 2000)]...)
		binary.BigEndian.PutUint16(ext[2:], ^sum(ext))
		b := icmpError(t, &p, typeExceeded4, 0, uint32(len(quote)/4)<<16, append(quote[:len(quote):len(quote)], ext...))
		var r Reply
		if !ParseReply(b, ICMP, &r) {
			t.Fatal("not read")
		}
		saneReply(t, ICMP, b, &r)
		secondOpinion(t, b, &r)
	})
}

func sameReply(a, b *Reply) bool {
	x, y := *a, *b
	x.MPLS, y.MPLS = append([]Label(nil), x.MPLS...), append([]Label(nil), y.MPLS...)
	x.Interfaces, y.Interfaces = append([]InterfaceInfo(nil), x.Interfaces...), append([]InterfaceInfo(nil), y.Interfaces...)
	return reflect.DeepEqual(x, y)
}

// saneReply fails unless what was read from b can be.
func saneReply(t *testing.T, proto Proto, b []byte, r *Reply) {
	t.Helper()
	switch r.Event {
	case Echo:
		if r.Quoted.Seen || r.HasIPID || len(r.MPLS)+len(r.Interfaces) != 0 || r.MTU != 0 {
			t.Errorf("an answer of the target: %+v", r)
		}
	case Error, Redirect:
		if !r.Quoted.Seen || r.Quoted.Src.Is4() != r.From.Is4() || r.Quoted.Dst.Is4() != r.From.Is4() || r.HasIPID != r.From.Is4() || r.TCPFlags != 0 {
			t.Errorf("an error: %+v", r)
		}
	default:
		t.Errorf("event %d", r.Event)
	}
	if r.Proto != proto || !r.From.IsValid() || r.MTU < 0 || r.MTU > 1<<16+headerLen6 || r.Size < 8 || len(r.MPLS) > maxLabels || len(r.Interfaces) > maxInterfaces {
		t.Errorf("%x: %+v", b, r)
	}
	for _, l := range r.MPLS {
		if l.Label > 0xfffff || l.TC > 7 {
			t.Errorf("label %+v", l)
		}
	}
	for _, i := range r.Interfaces {
		if i.Role > 3 || len(i.Name) >= longestName || i.MTU < 0 {
			t.Errorf("interface %+v", i)
		}
	}
}

// secondOpinion compares label stacks with those that x/net/icmp finds.
func secondOpinion(t *testing.T, b []byte, r *Reply) {
	t.Helper()
	h, body, _ := parsePacket(b)
	if r.Event != Error || h.total != h.len+len(body) {
		return
	}
	m, err := icmp.ParseMessage(int(h.proto), body)
	if err != nil {
		return
	}
	var ext []icmp.Extension
	switch m := m.Body.(type) {
	case *icmp.DstUnreach:
		ext = m.Extensions
	case *icmp.TimeExceeded:
		ext = m.Extensions
	case *icmp.ParamProb:
		ext = m.Extensions
	}
	var labels []Label
	for _, e := range ext {
		if s, ok := e.(*icmp.MPLSLabelStack); ok && s.Class == classMPLS && s.Type == typeLabels {
			for _, l := range s.Labels {
				labels = append(labels, Label{Label: uint32(l.Label), TC: uint8(l.TC), Bottom: l.S, TTL: uint8(l.TTL)})
			}
		}
	}
	// It takes some of what we do not trust: a checksum of 0 behind a quote
	// that goes on, objects behind one that lies.
	if len(labels) > 0 && len(r.MPLS) > 0 && !reflect.DeepEqual(labels[:min(len(labels), len(r.MPLS))], r.MPLS[:min(len(labels), len(r.MPLS))]) {
		t.Errorf("labels %v, x/net/icmp reads %v", r.MPLS, labels)
	}
}

// Whatever is built is read again, however little of it is quoted.
func FuzzProbeRoundTrip(f *testing.F) {
	f.Add(uint8(0), true, uint16(0xf123), uint16(7), uint16(33434), uint64(0x1122334455667788), uint16(60), uint16(8), uint8(1), uint8(0))
	f.Add(uint8(1), false, uint16(0xffff), uint16(0xfffe), uint16(0), ^uint64(0), uint16(1500), uint16(500), uint8(255), uint8(255))
	f.Add(uint8(2), true, uint16(0), uint16(1), uint16(443), uint64(1), uint16(0), uint16(18), uint8(0), uint8(0xb8))
	f.Fuzz(func(t *testing.T, which uint8, four bool, flow, n, port uint16, cookie uint64, size, keep uint16, ttl, tos uint8) {
		proto := protos[int(which)%len(protos)]
		to := target6
		if four {
			to = target4
		}
		p := Probe{From: mine(to), To: to, Port: port, TTL: ttl, TOS: tos, Flow: flow, N: min(max(n, 1), 0xfffe), Cookie: max(cookie, 1), Size: int(size)}
		q := AppendProbe(nil, proto, &p)
		if len(q) != wantSize(proto, &p) {
			t.Errorf("%d octets of %d", len(q), size)
		}
		h, body, ok := parsePacket(q)
		if !ok || !h.sumAddsUp(FamilyOf(to), body) {
			t.Fatalf("checksum of % x", q)
		}
		kept := min(max(int(keep), 8), len(body), 400)
		var r Reply
		if !ParseReply(exceeded(t, &p, q[:h.len+kept]), proto, &r) {
			t.Fatal("not read")
		}
		// A quote with extensions is long enough to have them.
		checkQuoted(t, proto, &p, &r, kept)
		if !ParseReply(extended(t, &p, q[:min(len(q), 500)], extensions(&p)...), proto, &r) || len(r.MPLS) != 2 || len(r.Interfaces) != 2 || r.N != p.N {
			t.Errorf("with extensions: %+v", &r)
		}
	})
}
