package dnsprobe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// usualZones is a net without faults.
var usualZones = map[string]string{
	".":                 "test NS a.nic.test.\ntest NS b.nic.test.\na.nic.test A 192.0.2.2\nb.nic.test A 192.0.2.3\nb.nic.test AAAA 2001:db8::3\n",
	"test.":             "example NS ns1.example.test.\nexample NS ns2.example.test.\nns1.example A 192.0.2.4\nns2.example A 192.0.2.5\nglueless NS ns.sub.example.test.\nhost NS ns.host\nns.host A 192.0.2.6\n",
	"example.test.":     "www A 192.0.2.80\nwww A 192.0.2.81\nalias CNAME www\nfar CNAME www.host.test.\nc1 CNAME c2\nc2 CNAME c1\nd1 CNAME c1.host.test.\nold DNAME host.test.\ntxt TXT hello\nsub NS ns.sub\nns.sub A 192.0.2.7\n",
	"sub.example.test.": "www A 192.0.2.82\nns A 192.0.2.7\n",
	"host.test.":        "ns A 192.0.2.6\nwww A 192.0.2.83\nc1 CNAME d1.example.test.\n",
	"glueless.test.":    "www A 192.0.2.84\n",
}

var usualServers = map[string]string{
	"192.0.2.1": ".", "192.0.2.2": "test.", "192.0.2.3": "test.", "2001:db8::3": "test.",
	"192.0.2.4": "example.test.", "192.0.2.5": "example.test.", "192.0.2.6": "host.test.", "192.0.2.7": "sub.example.test. glueless.test.",
}

// lines tells the steps, each on a line.
func (p Path) lines() []string {
	var out []string
	for _, s := range p.Steps {
		var line strings.Builder
		line.WriteString(fmt.Sprintf("%s%s @%s %s %s: %v", strings.Repeat("  ", s.Depth), s.Zone, s.Addr.Addr(), s.Name, s.Type, s.Kind))
		if s.To != "" {
			line.WriteString(" to " + s.To)
		}
		if s.Why != "" {
			line.WriteString(", " + s.Why)
		}
		if s.Next != "" {
			line.WriteString(", next " + s.Next)
		}
		for _, r := range s.Refused {
			line.WriteString(", refused " + r)
		}
		out = append(out, line.String())
	}
	if p.Broke != nil {
		out = append(out, fmt.Sprintf("broke at %s: %s", p.Broke.Zone, p.Broke.Why))
	}
	return out
}

func (p Path) answers() []string {
	var out []string
	for _, a := range p.Answer {
		f := strings.Fields(a)
		out = append(out, strings.Join(append([]string{f[0]}, f[3:]...), " "))
	}
	return out
}

func TestWalk(t *testing.T) {
	for _, tt := range []struct {
		label      string
		name, typ  string
		family     int
		max        int
		change     func(*testNet)
		lines      []string
		answer     []string
		rcode      string
		took       time.Duration // all queries; not compared if zero
		brokeLocal bool
	}{
		{
			label: "three referrals", name: "www.example.test",
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test",
				"example.test @192.0.2.4 www.example.test A: answer",
			},
			answer: []string{"www.example.test. A 192.0.2.80", "www.example.test. A 192.0.2.81"},
			rcode:  "NOERROR", took: 3 * time.Millisecond,
		},
		{
			label: "alias in the zone", name: "alias.example.test",
			lines: []string{
				". @192.0.2.1 alias.example.test A: referral to test",
				"test @192.0.2.2 alias.example.test A: referral to example.test",
				"example.test @192.0.2.4 alias.example.test A: alias to www.example.test",
				"example.test @192.0.2.4 www.example.test A: answer",
			},
			answer: []string{"alias.example.test. CNAME www.example.test.", "www.example.test. A 192.0.2.80", "www.example.test. A 192.0.2.81"},
			rcode:  "NOERROR",
		},
		{
			label: "alias to another zone", name: "far.example.test",
			lines: []string{
				". @192.0.2.1 far.example.test A: referral to test",
				"test @192.0.2.2 far.example.test A: referral to example.test",
				"example.test @192.0.2.4 far.example.test A: alias to www.host.test",
				"test @192.0.2.2 www.host.test A: referral to host.test",
				"host.test @192.0.2.6 www.host.test A: answer",
			},
			answer: []string{"far.example.test. CNAME www.host.test.", "www.host.test. A 192.0.2.83"},
			rcode:  "NOERROR",
		},
		{
			label: "DNAME", name: "www.old.example.test",
			lines: []string{
				". @192.0.2.1 www.old.example.test A: referral to test",
				"test @192.0.2.2 www.old.example.test A: referral to example.test",
				"example.test @192.0.2.4 www.old.example.test A: alias to www.host.test",
				"test @192.0.2.2 www.host.test A: referral to host.test",
				"host.test @192.0.2.6 www.host.test A: answer",
			},
			answer: []string{"www.old.example.test. CNAME www.host.test.", "www.host.test. A 192.0.2.83"},
			rcode:  "NOERROR",
		},
		{
			label: "no such name", name: "nothing.example.test",
			lines: []string{
				". @192.0.2.1 nothing.example.test A: referral to test",
				"test @192.0.2.2 nothing.example.test A: referral to example.test",
				"example.test @192.0.2.4 nothing.example.test A: no such name",
			},
			rcode: "NXDOMAIN",
		},
		{
			label: "no such data", name: "www.example.test", typ: "MX",
			lines: []string{
				". @192.0.2.1 www.example.test MX: referral to test",
				"test @192.0.2.2 www.example.test MX: referral to example.test",
				"example.test @192.0.2.4 www.example.test MX: no such data",
			},
			rcode: "NOERROR",
		},
		{
			label: "DS is asked above", name: "sub.example.test", typ: "DS",
			lines: []string{
				". @192.0.2.1 sub.example.test DS: referral to test",
				"test @192.0.2.2 sub.example.test DS: referral to example.test",
				"example.test @192.0.2.4 sub.example.test DS: no such data",
			},
			rcode: "NOERROR",
		},
		{
			label: "server without address", name: "www.glueless.test",
			lines: []string{
				". @192.0.2.1 www.glueless.test A: referral to test",
				"test @192.0.2.2 www.glueless.test A: referral to glueless.test",
				"  test @192.0.2.2 ns.sub.example.test A: referral to example.test",
				"  example.test @192.0.2.4 ns.sub.example.test A: referral to sub.example.test",
				"  sub.example.test @192.0.2.7 ns.sub.example.test A: answer",
				"glueless.test @192.0.2.7 www.glueless.test A: answer",
			},
			answer: []string{"www.glueless.test. A 192.0.2.84"},
			rcode:  "NOERROR",
		},
		{
			label: "a silent server", name: "www.example.test",
			change: func(n *testNet) { n.silent["192.0.2.4"] = true },
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test",
				"example.test @192.0.2.4 www.example.test A: no answer, no answer within 2s, next ns2.example.test (192.0.2.5)",
				"example.test @192.0.2.5 www.example.test A: answer",
			},
			answer: []string{"www.example.test. A 192.0.2.80", "www.example.test. A 192.0.2.81"},
			rcode:  "NOERROR",
		},
		{
			label: "all servers silent", name: "www.example.test",
			change: func(n *testNet) { n.silent["192.0.2.4"], n.fault["192.0.2.5"] = true, errRefusedPort },
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test",
				"example.test @192.0.2.4 www.example.test A: no answer, no answer within 2s, next ns2.example.test (192.0.2.5)",
				"example.test @192.0.2.5 www.example.test A: no answer, connection refused",
				"broke at example.test: none of its servers led further: ns1.example.test (192.0.2.4): no answer within 2s; ns2.example.test (192.0.2.5): connection refused",
			},
		},
		{
			label: "lame and refusing servers", name: "www.example.test",
			change: func(n *testNet) {
				n.rewrite["192.0.2.4"] = func(m *dns.Msg, _ string) { *m = dns.Msg{} }
				n.rewrite["192.0.2.5"] = func(m *dns.Msg, _ string) { *m = dns.Msg{}; m.Rcode = dns.RcodeServerFailure }
			},
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test",
				"example.test @192.0.2.4 www.example.test A: lame, its answer is neither authoritative nor a referral, next ns2.example.test (192.0.2.5)",
				"example.test @192.0.2.5 www.example.test A: refused, it answered SERVFAIL",
				"broke at example.test: none of its servers led further: ns1.example.test (192.0.2.4): its answer is neither authoritative nor a referral; ns2.example.test (192.0.2.5): it answered SERVFAIL",
			},
		},
		{
			label: "upward and sideways referrals", name: "www.example.test",
			change: func(n *testNet) {
				n.rewrite["192.0.2.4"] = func(m *dns.Msg, _ string) {
					*m = dns.Msg{Ns: []dns.RR{mustRR(n.t, ". 60 IN NS a.root.test.")}, Extra: []dns.RR{mustRR(n.t, "a.root.test. 60 IN A 198.51.100.1")}}
				}
				n.rewrite["192.0.2.5"] = func(m *dns.Msg, _ string) {
					*m = dns.Msg{Ns: []dns.RR{mustRR(n.t, "example.test. 60 IN NS ns1.example.test.")}}
				}
			},
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test",
				"example.test @192.0.2.4 www.example.test A: lame, it refers upward, to ., next ns2.example.test (192.0.2.5)",
				"example.test @192.0.2.5 www.example.test A: lame, it refers to the servers of example.test, of which it is to be one",
				"broke at example.test: none of its servers led further: ns1.example.test (192.0.2.4): it refers upward, to .; ns2.example.test (192.0.2.5): it refers to the servers of example.test, of which it is to be one",
			},
		},
		{
			label: "somebody answers in place of the root", name: "www.example.test",
			change: func(n *testNet) {
				n.rewrite["192.0.2.1"] = func(m *dns.Msg, _ string) {
					*m = dns.Msg{Answer: []dns.RR{mustRR(n.t, "www.example.test. 60 IN A 198.51.100.1")}}
					m.RecursionAvailable = true
				}
			},
			lines: []string{
				". @192.0.2.1 www.example.test A: lame, it answered as a resolver, not as a server of . (or something on the way answers in its place)",
				"broke at .: none of its servers led further: 192.0.2.1:53: it answered as a resolver, not as a server of . (or something on the way answers in its place)",
			},
		},
		{
			label: "glue from outside", name: "www.example.test",
			change: func(n *testNet) {
				n.rewrite["192.0.2.2"] = func(m *dns.Msg, name string) {
					if !strings.HasSuffix(name, "example.test.") {
						return
					}
					m.Ns = []dns.RR{mustRR(n.t, "example.test. 60 IN NS ns.bank.example."), mustRR(n.t, "example.test. 60 IN NS ns1.example.test.")}
					m.Extra = []dns.RR{mustRR(n.t, "ns.bank.example. 60 IN A 198.51.100.1"), mustRR(n.t, "ns1.example.test. 60 IN A 192.0.2.4"),
						mustRR(n.t, "ns1.example.test. 60 IN A 224.0.0.1"), mustRR(n.t, "unasked.example.test. 60 IN A 198.51.100.2")}
				}
			},
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test, refused address of ns.bank.example, which is outside of test" +
					", refused address 224.0.0.1 of ns1.example.test, which is no host's",
				"example.test @192.0.2.4 www.example.test A: answer",
			},
			answer: []string{"www.example.test. A 192.0.2.80", "www.example.test. A 192.0.2.81"},
			rcode:  "NOERROR",
		},
		{
			label: "records from outside", name: "far.example.test",
			change: func(n *testNet) {
				n.rewrite["192.0.2.4"] = func(m *dns.Msg, _ string) {
					m.Answer = append(m.Answer, mustRR(n.t, "www.host.test. 60 IN A 198.51.100.1"))
				}
			},
			lines: []string{
				". @192.0.2.1 far.example.test A: referral to test",
				"test @192.0.2.2 far.example.test A: referral to example.test",
				"example.test @192.0.2.4 far.example.test A: alias to www.host.test, refused www.host.test A, which is outside of example.test",
				"test @192.0.2.2 www.host.test A: referral to host.test",
				"host.test @192.0.2.6 www.host.test A: answer",
			},
			answer: []string{"far.example.test. CNAME www.host.test.", "www.host.test. A 192.0.2.83"},
			rcode:  "NOERROR",
		},
		{
			label: "aliases in a circle", name: "c1.example.test",
			lines: []string{
				". @192.0.2.1 c1.example.test A: referral to test",
				"test @192.0.2.2 c1.example.test A: referral to example.test",
				"example.test @192.0.2.4 c1.example.test A: alias to c2.example.test",
				"example.test @192.0.2.4 c2.example.test A: alias to c1.example.test",
				"broke at example.test: aliases lead in a circle: c1.example.test again",
			},
			answer: []string{"c1.example.test. CNAME c2.example.test.", "c2.example.test. CNAME c1.example.test."},
			rcode:  "NOERROR",
		},
		{
			label: "servers that need each other", name: "www.x.test",
			change: func(n *testNet) {
				z := n.zones["test."]
				z.add(mustRR(n.t, "x.test. 60 IN NS ns.y.test."))
				z.add(mustRR(n.t, "y.test. 60 IN NS ns.x.test."))
			},
			lines: []string{
				". @192.0.2.1 www.x.test A: referral to test",
				"test @192.0.2.2 www.x.test A: referral to x.test",
				"  test @192.0.2.2 ns.y.test A: referral to y.test",
				"broke at x.test: none of its servers led further: address of ns.y.test not found: y.test: none of its servers led further: " +
					"address of ns.x.test not found: x.test: none of its servers led further: ns.y.test is needed to find its own address",
			},
		},
		{
			label: "a server inside of its zone without glue", name: "www.x.test",
			change: func(n *testNet) { n.zones["test."].add(mustRR(n.t, "x.test. 60 IN NS ns.x.test.")) },
			lines: []string{
				". @192.0.2.1 www.x.test A: referral to test",
				"test @192.0.2.2 www.x.test A: referral to x.test",
				"broke at x.test: none of its servers led further: ns.x.test is inside of x.test, and no address of it came from above",
			},
		},
		{
			label: "IPv6 only", name: "www.example.test", family: 6,
			change: func(n *testNet) { n.at["2001:db8::1"] = []string{"."} },
			lines: []string{
				". @2001:db8::1 www.example.test A: referral to test",
				"test @2001:db8::3 www.example.test A: referral to example.test",
				"broke at example.test: no server of it has an IPv6 address",
			},
		},
		{
			label: "no route from here", name: "www.example.test",
			change: func(n *testNet) { n.fault["192.0.2.1"] = errNoRoute },
			lines: []string{
				". @192.0.2.1 www.example.test A: not asked, could not ask from this host: network is unreachable",
				"broke at .: none of its servers could be asked: 192.0.2.1:53: could not ask from this host: network is unreachable",
			},
			brokeLocal: true,
		},
		{
			label: "too many queries", name: "www.example.test", max: 2,
			lines: []string{
				". @192.0.2.1 www.example.test A: referral to test",
				"test @192.0.2.2 www.example.test A: referral to example.test",
				"broke at example.test: more than 2 queries needed",
			},
		},
	} {
		t.Run(tt.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNet(t, usualZones, usualServers)
				if tt.change != nil {
					tt.change(n)
				}
				root := "192.0.2.1"
				if tt.family == 6 {
					root = "2001:db8::1"
				}
				begin := time.Now()
				p, err := Walk(t.Context(), WalkConfig{
					Name: tt.name, Type: tt.typ, Root: netip.AddrPortFrom(netip.MustParseAddr(root), 0), Family: tt.family, MaxQueries: tt.max,
					exchange: n.exchange, order: func(s []nameserver) {
						slices.SortFunc(s, func(a, b nameserver) int { return strings.Compare(a.name, b.name) })
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				got := p.lines()
				if diff := cmp.Diff(tt.lines, got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.answer, p.answers()); diff != "" {
					t.Error(diff)
				}
				if p.Broke == nil && p.Rcode != tt.rcode {
					t.Errorf("rcode %q, want %q", p.Rcode, tt.rcode)
				}
				if p.Broke != nil && p.Broke.Local != tt.brokeLocal {
					t.Errorf("broke locally: %v", p.Broke.Local)
				}
				if tt.took != 0 && (p.Took != tt.took || time.Since(begin) != tt.took) {
					t.Errorf("took %v, in %v, want %v", p.Took, time.Since(begin), tt.took)
				}
			})
		})
	}
}

// TestWalkHostile asks servers that send a walk around for ever: it ends after
// its queries.
func TestWalkHostile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t, map[string]string{".": ""}, nil)
		n.rewrite["192.0.2.1"] = func(m *dns.Msg, name string) {
			*m = dns.Msg{}
			zone := suffixOf(name, 1)
			for i := range 50 { // each name needs the addresses of fifty others
				m.Ns = append(m.Ns, mustRR(t, fmt.Sprintf("%s 60 IN NS ns%d.%s%s", zone, i, "x"+strings.ReplaceAll(name, ".", "x")[:min(len(name), 40)], ".other.")))
			}
		}
		p, err := Walk(t.Context(), WalkConfig{Name: "www.test", Root: netip.MustParseAddrPort("192.0.2.1:53"), exchange: n.exchange})
		if err != nil {
			t.Fatal(err)
		}
		if p.Broke == nil || len(p.Steps) > maxWalkQueries {
			t.Errorf("%d steps, broke %v", len(p.Steps), p.Broke)
		}
	})
}

func TestRootHints(t *testing.T) {
	if len(rootHints) != 13 {
		t.Errorf("%d root servers", len(rootHints))
	}
	for _, h := range rootHints {
		if len(h.addrs) != 2 || !h.addrs[0].Is4() || !h.addrs[1].Is6() {
			t.Errorf("%v", h)
		}
	}
}
