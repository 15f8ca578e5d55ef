package rawsock

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"netprobe/internal/lab"
)

// onPath runs f for each protocol, family and kind of Tracer on topo, with a
// target of that family.
func onPath(t *testing.T, topo lab.Topology, f func(t *testing.T, tr *Tracer, target netip.Addr)) {
	t.Helper()
	for _, kind := range []Kind{Raw, Datagram} {
		for _, proto := range protos {
			if kind == Datagram && proto == TCP {
				continue
			}
			for _, target := range []netip.Addr{target4, target6} {
				t.Run(fmt.Sprintf("%v %v IPv%d", kind, proto, FamilyOf(target)), func(t *testing.T) {
					l := lab.Start(t, topo)
					l.Must(l.PingGroups(0, 0))
					f(t, traceIn(t, l, TracerConfig{Family: FamilyOf(target), Proto: proto, Kind: kind}), target)
				})
			}
		}
	}
}

// ask sends one probe and returns what answers it.
func (t *Tracer) ask(tb testing.TB, p Probe) Reply {
	tb.Helper()
	if n, err := t.Send([]Probe{p}); n != 1 || err != nil {
		tb.Fatalf("sent %d, %v", n, err)
	}
	got, left := replies(tb, t, 1, 1)
	if left[0].Key != p.Key || got[0].Stamp < left[0].Stamp {
		tb.Errorf("left %+v, answered %+v", left, got)
	}
	return got[0]
}

// What a hop tells beside its address is heard on every kind of socket, whether
// it says where its quote ends or not.
func TestTracerExtensions(t *testing.T) {
	labels := []lab.Label{{Label: 24001, TC: 5, TTL: 1}, {Label: 17, Bottom: true, TTL: 254}}
	faces := []lab.Interface{{Role: 0, Index: 7, Addr: netip.MustParseAddr("192.0.2.77"), Name: "ge-0/0/1", MTU: 9000}, {Role: 2, Name: "xe-1"}}
	for _, quote := range []lab.Quote{{}, {NoLength: true}, {Transport: 8}, {Transport: 8, NoLength: true}, {Transport: 24}} {
		t.Run(fmt.Sprintf("%d octets quoted, length told %v", quote.Transport, !quote.NoLength), func(t *testing.T) {
			topo := lab.Topology{Hops: []lab.Hop{{Addrs: routers, MPLS: labels, Interfaces: faces, Quote: quote}}}
			onPath(t, topo, func(t *testing.T, tr *Tracer, target netip.Addr) {
				for _, size := range []int{0, 400} {
					p := tr.probe(target, 1, 7)
					p.Size = size
					r := tr.ask(t, p)
					if r.From != routerOf(target) || r.Event != Error || r.Flow != tr.Flow() {
						t.Errorf("size %d: %+v", size, r)
					}
					checkTold(t, &r)
					checkNumbers(t, tr, &p, &r, quote.Transport)
				}
			})
		})
	}
}

func checkTold(t *testing.T, r *Reply) {
	t.Helper()
	if want := []Label{{24001, 5, false, 1}, {17, 0, true, 254}}; !slices.Equal(r.MPLS, want) {
		t.Errorf("labels %v", r.MPLS)
	}
	want := []InterfaceInfo{{0, 7, netip.MustParseAddr("192.0.2.77"), "ge-0/0/1", 9000}, {Role: 2, Name: "xe-1"}}
	if !slices.Equal(r.Interfaces, want) {
		t.Errorf("interfaces %+v", r.Interfaces)
	}
}

// checkNumbers fails unless r tells that it is about p, with so many octets of
// transport header quoted, 0 for plenty.
func checkNumbers(t *testing.T, tr *Tracer, p *Probe, r *Reply, quoted int) {
	t.Helper()
	plenty := quoted == 0 || quoted >= 16
	raw := tr.Kind() == Raw
	if r.HasN != (raw || tr.Proto() == ICMP) || r.HasN && r.N != p.N {
		t.Errorf("number %d, %v", r.N, r.HasN)
	}
	if r.HasCookie != (plenty && tr.Proto() != TCP) || r.HasCookie && r.Cookie != p.Cookie {
		t.Errorf("cookie %#x, %v", r.Cookie, r.HasCookie)
	}
	if r.HasIPID != (raw && p.To.Is4()) || r.HasIPID && r.IPID != p.N {
		t.Errorf("IP ID %d, %v", r.IPID, r.HasIPID)
	}
	if r.Quoted.Dst != p.To {
		t.Errorf("quoted %+v", r.Quoted)
	}
}

// An offloading sender's unfinished checksum, options and extension headers in
// the quote: the other number still tells which probe it was.
func TestTracerOddQuotes(t *testing.T) {
	quotes := map[string]lab.Quote{
		"unfinished checksum": {BrokenSum: true},
		"options":             {Options: []byte{148, 4, 0, 0}},
		"extension headers":   {Extensions: []lab.Extension{lab.HopByHop, lab.DestOptions}},
	}
	for name, quote := range quotes {
		t.Run(name, func(t *testing.T) {
			onPath(t, lab.Topology{Hops: []lab.Hop{{Addrs: routers, Quote: quote}}}, func(t *testing.T, tr *Tracer, target netip.Addr) {
				p := tr.probe(target, 1, 7)
				r := tr.ask(t, p)
				if r.From != routerOf(target) || r.HasCookie != (tr.Proto() != TCP) || r.HasCookie && r.Cookie != p.Cookie || r.HasIPID && r.IPID != 7 {
					t.Errorf("%+v", r)
				}
				if broken := name == "unfinished checksum" && tr.Proto() != ICMP && tr.Kind() == Raw; broken == (r.Quoted.Sum == 7) && tr.Proto() == UDP && tr.Kind() == Raw {
					t.Errorf("quoted checksum %#x", r.Quoted.Sum)
				}
			})
		})
	}
}

// Hops' errors of all kinds are told with type, code and MTU.
func TestTracerErrors(t *testing.T) {
	for name, e := range map[string]lab.ICMPError{
		"host unreachable": lab.HostUnreachable, "admin prohibited": lab.AdminProhibited, "protocol unreachable": lab.ProtoUnreachable,
		"too big": lab.TooBig(1300), "net unreachable": lab.NetUnreachable, "parameter problem": lab.ParameterProblem,
	} {
		t.Run(name, func(t *testing.T) {
			onPath(t, lab.Topology{Hops: []lab.Hop{{Addrs: routers, Error: e}}}, func(t *testing.T, tr *Tracer, target netip.Addr) {
				want := e.V4
				if target.Is6() {
					want = e.V6
				}
				// A size beyond the MTU that is then known leaves all the same.
				for n := range uint16(3) {
					p := tr.probe(target, 9, n+1)
					p.Size = 1400
					r := tr.ask(t, p)
					if r.Event != Error || (lab.Code{Type: r.Type, Code: r.Code}) != want || r.MTU != e.MTU || r.From != routerOf(target) {
						t.Errorf("%+v", r)
					}
					checkNumbers(t, tr, &p, &r, 0)
				}
			})
		})
	}
}

// A whole path is seen with one burst, all hops and the target.
func TestTracerPath(t *testing.T) {
	var hops []lab.Hop
	for i := range 12 {
		hops = append(hops, lab.Hop{Addrs: lab.Addrs(fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("2001:db8:100::%x", i+1))})
	}
	topo := lab.Topology{Hops: hops, Hosts: []lab.Host{{TCP: []uint16{33434}, UDP: []uint16{33434}}}}
	onPath(t, topo, func(t *testing.T, tr *Tracer, target netip.Addr) {
		seePath(t, tr, target)
		if tr.Kind() == Datagram && tr.Proto() == ICMP && target.Is6() {
			tr.plain = true // as before Linux 5.18
			seePath(t, tr, target)
		}
	})
}

// seePath fails unless all 12 hops and the target answer.
func seePath(t *testing.T, tr *Tracer, target netip.Addr) {
	t.Helper()
	var ps []Probe
	for ttl := range uint8(14) {
		ps = append(ps, tr.probe(target, ttl+1, uint16(ttl)+1))
	}
	if n, err := tr.Send(ps); n != len(ps) || err != nil {
		t.Fatalf("sent %d, %v", n, err)
	}
	got, left := replies(t, tr, 14, 14)
	if len(got) != 14 || len(left) != 14 {
		t.Errorf("%d answers, %d departures", len(got), len(left))
	}
	seen := map[netip.Addr]int{}
	for _, r := range got {
		seen[r.From]++
		if (r.From == target) != (r.Event == Echo) || r.Flow != tr.Flow() {
			t.Errorf("%+v", r)
		}
	}
	if len(seen) != 13 || seen[target] != 2 {
		t.Errorf("heard %v", seen)
	}
}

// Behind a translator, and in the quotes of one that mends them badly, a probe
// is still known by its other numbers.
func TestTracerNAT(t *testing.T) {
	for name, nat := range map[string]lab.NAT{
		"mended": {}, "unmended": {LeaveAddr: true, LeavePort: true, LeaveSum: true},
	} {
		t.Run(name, func(t *testing.T) {
			topo := lab.Topology{Hops: []lab.Hop{
				{Addrs: routers, NAT: &nat},
				{Addrs: lab.Addrs("198.51.100.2", "2001:db8:100::2")},
			}}
			onPath(t, topo, func(t *testing.T, tr *Tracer, target netip.Addr) {
				if tr.Kind() == Datagram && name == "unmended" {
					t.Skip("the kernel does not know the quote for ours")
				}
				p := tr.probe(target, 2, 7)
				r := tr.ask(t, p)
				if r.From != routerOf(target).Next() || r.HasCookie && r.Cookie != p.Cookie || r.HasIPID && r.IPID != p.N {
					t.Errorf("%+v", r)
				}
				changed := r.Flow != p.Flow
				if changed != (name == "unmended") || r.Quoted.Seen && (r.Quoted.Src != p.From) != changed {
					t.Errorf("flow %d, quoted %+v", r.Flow, r.Quoted)
				}
			})
		})
	}
}
