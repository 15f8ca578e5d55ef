package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// However little a router quotes and whatever it does to the checksum, its
// answer is matched, and to the right probe.
func TestShortAndBrokenQuotes(t *testing.T) {
	quotes := map[string]lab.Quote{
		"8 octets":                       {Transport: 8},
		"12 octets":                      {Transport: 12},
		"whole":                          {},
		"whole, with an unfinished sum":  {BrokenSum: true},
		"options and extension headers":  {Options: []byte{7, 7, 4, 0, 0, 0, 0}, Extensions: []lab.Extension{lab.HopByHop, lab.DestOptions}},
		"8 octets of an unfinished sum":  {Transport: 8, BrokenSum: true},
		"8 octets behind an IPv4 option": {Transport: 8, Options: []byte{1, 1, 1, 0}},
	}
	for name, q := range quotes {
		t.Run(name, func(t *testing.T) {
			everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
				if q.Transport == 8 && q.BrokenSum && proto == rawsock.UDP && addr == target6 {
					t.Skip("nothing is left of the number: RFC 4443 asks IPv6 routers to quote as much as fits")
				}
				topo := line(5, 4*ms)
				for i := range topo.Hops {
					topo.Hops[i].Quote = q
				}
				rehearse(t, topo, Config{Targets: targets(addr), Proto: proto}, func(t *testing.T, p *rehearsal) {
					agree(t, p, 5)
					for n := 1; n <= 5; n++ {
						wantRow(t, p.paths[0], n, hopOf(n, addr))
					}
				})
			})
		})
	}
}

// What hops tell beside their address comes through.
func TestWhatHopsTell(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		topo := line(4, 4*ms)
		labels := []lab.Label{{Label: 24001, TC: 5, TTL: 1}, {Label: 16, Bottom: true, TTL: 254}}
		topo.Hops[1].MPLS = labels
		topo.Hops[2].Interfaces = []lab.Interface{{Role: 2, Index: 7, Name: "xe-0/0/1", MTU: 9000, Addr: netip.MustParseAddr(hopOf(3, addr))}}
		tos := uint8(0x28)
		topo.Hops[1].TOS = &tos
		rehearse(t, topo, Config{Targets: targets(addr), Proto: proto, TOS: 0xb8}, func(t *testing.T, p *rehearsal) {
			path := p.paths[0]
			mpls := path.Hops[1].Probes[0].Detail.(*probe.Hop)
			want := []probe.Label{{Label: 24001, TC: 5, TTL: 1}, {Label: 16, Bottom: true, TTL: 254}}
			if !slices.Equal(mpls.MPLS, want) {
				t.Errorf("labels %+v", mpls.MPLS)
			}
			told := path.Hops[2].Probes[0].Detail.(*probe.Hop)
			if len(told.Interfaces) != 1 || told.Interfaces[0].Name != "xe-0/0/1" || told.Interfaces[0].Role != probe.Outgoing || told.Interfaces[0].MTU != 9000 {
				t.Errorf("interfaces %+v", told.Interfaces)
			}
			for i, want := range []uint8{0xb8, 0xb8, 0x28, 0x28} {
				q := path.Hops[i].Probes[0].Detail.(*probe.Hop).Quote
				if q == nil || q.TOS != want || q.TTL != 1 {
					t.Fatalf("hop %d quotes %+v", i+1, q)
				}
				if got := q.Rewritten&probe.RewroteTOS != 0; got != (want != 0xb8) {
					t.Errorf("hop %d: TOS rewritten is %v", i+1, got)
				}
			}
		})
	})
}

// A translator shows in what hops behind it quote, however much of that it
// mends, and costs no hop.
func TestTranslator(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		cases := map[string]struct {
			nat  lab.NAT
			seen bool
		}{
			"mends everything":          {lab.NAT{}, false},
			"leaves the address":        {lab.NAT{LeaveAddr: true}, true},
			"leaves the port":           {lab.NAT{LeavePort: true}, true},
			"leaves address and port":   {lab.NAT{LeaveAddr: true, LeavePort: true, LeaveSum: true}, true},
			"leaves the checksum":       {lab.NAT{LeaveSum: true}, true},
			"keeps ports, leaves quote": {lab.NAT{KeepPort: true, LeaveAddr: true, LeaveSum: true}, true},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				topo := line(5, 4*ms)
				topo.Hops[1].NAT = &c.nat
				rehearse(t, topo, Config{Targets: targets(addr), Proto: proto}, func(t *testing.T, p *rehearsal) {
					path := p.paths[0]
					for n := 1; n <= 5; n++ {
						wantRow(t, path, n, hopOf(n, addr))
					}
					wantRow(t, path, 6, addr)
					for i, h := range path.Hops[:5] {
						q := h.Probes[0].Detail.(*probe.Hop).Quote
						if q == nil {
							t.Fatalf("hop %d quotes nothing", i+1)
						}
						if i < 1 && q.Rewritten.NAT() {
							t.Errorf("hop %d quotes %v", i+1, q.Rewritten.AppendNames(nil))
						}
						if i >= 2 && c.seen && !q.Rewritten.NAT() {
							t.Errorf("hop %d shows no translator", i+1)
						}
						if !c.seen && q.Rewritten.NAT() {
							t.Errorf("hop %d shows %v", i+1, q.Rewritten.AppendNames(nil))
						}
					}
				})
			})
		}
	})
}

// A hundred targets are traced on the same sockets without mixing them up.
func TestManyTargets(t *testing.T) {
	everyKind(t, func(t *testing.T, proto rawsock.Proto, addr string) {
		var addrs []string
		for i := range 100 {
			a := netip.MustParseAddr(addr).AsSlice()
			a[len(a)-1] = byte(i + 1)
			b, _ := netip.AddrFromSlice(a)
			addrs = append(addrs, b.String())
		}
		topo := line(10, 5*ms)
		rehearse(t, topo, Config{Targets: targets(addrs...), Proto: proto}, func(t *testing.T, p *rehearsal) {
			for i, a := range addrs {
				path := p.paths[i]
				if path == nil || !path.Reached() || len(path.Hops) != 11 {
					t.Fatalf("%s: %+v", a, path)
				}
				wantRow(t, path, 11, a)
				wantRow(t, path, 10, hopOf(10, addr))
			}
		})
	})
}

// A run that is cut short says what it knows and blames nobody.
func TestCutShort(t *testing.T) {
	for cause, want := range map[error]probe.Stop{
		fmt.Errorf("deadline: %w", context.DeadlineExceeded): probe.StopDeadline,
		errors.New("signal"): probe.StopCanceled,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			time.AfterFunc(50*ms+warmUp, func() { stop(cause) })
			p := newRehearsal(t, line(19, 5*ms), Config{Targets: targets(target4)}).run(ctx)
			path := p.paths[0]
			if path.Stop != want || p.ends[0].Status != probe.Pending {
				t.Errorf("stop %v, status %v", path.Stop, p.ends[0].Status)
			}
			for n := 1; n <= 8; n++ {
				wantRow(t, path, n, hopOf(n, target4))
			}
			for _, r := range p.results {
				if r.Status == probe.Lost {
					t.Errorf("probe %d is lost", r.Seq)
				}
			}
		})
	}
}

// Packets that answer nobody's probes change nothing: answers to another run
// beside us, made-up errors, echoes with the wrong cookie.
func TestStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRehearsal(t, line(3, 4*ms), Config{Targets: targets(target4)})
		p.conn.alter = func(r *rawsock.Reply) {
			if r.Event == rawsock.Error && r.From == hopAddrs(2)[0] {
				r.Cookie ^= 1
			}
		}
		p.run(t.Context())
		wantRow(t, p.paths[0], 1, hopOf(1, target4))
		wantRow(t, p.paths[0], 2, "")
		wantRow(t, p.paths[0], 4, target4)
		if p.Counters().Strays < 3 {
			t.Errorf("%d strays", p.Counters().Strays)
		}
	})
}
