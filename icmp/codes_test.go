package icmp

import (
	"fmt"
	"testing"

	"netprobe/internal/lab"
	"netprobe/probe"
)

// code is an ICMP type and code.
type code [2]uint8

func (c code) lab() lab.Code { return lab.Code{Type: c[0], Code: c[1]} }

// meaning is what an ICMP type and code must be told as.
type meaning struct {
	status probe.Status
	reason probe.Reason
}

var (
	unreachable = func(r probe.Reason) meaning { return meaning{probe.Unreachable, r} }
	expired     = func(r probe.Reason) meaning { return meaning{probe.Expired, r} }
	noVerdict   = meaning{probe.Lost, probe.NoResponse}
)

// The codes of RFC 792, RFC 1812 section 5.2.7 and IANA's registry; those that
// nobody has assigned are unreachable all the same, for another reason.
var meanings4 = map[code]meaning{
	{3, 0}: unreachable(probe.NetUnreachable), {3, 1}: unreachable(probe.HostUnreachable),
	{3, 2}: unreachable(probe.ProtoUnreachable), {3, 3}: unreachable(probe.PortUnreachable),
	{3, 4}: unreachable(probe.FragNeeded), {3, 5}: unreachable(probe.ReasonOther),
	{3, 6}: unreachable(probe.NetUnreachable), {3, 7}: unreachable(probe.HostUnreachable),
	{3, 8}: unreachable(probe.ReasonOther), {3, 9}: unreachable(probe.NetProhibited),
	{3, 10}: unreachable(probe.HostProhibited), {3, 11}: unreachable(probe.NetUnreachable),
	{3, 12}: unreachable(probe.HostUnreachable), {3, 13}: unreachable(probe.AdminProhibited),
	{3, 14}: unreachable(probe.HostProhibited), {3, 15}: unreachable(probe.AdminProhibited),
	{3, 16}: unreachable(probe.ReasonOther), {3, 255}: unreachable(probe.ReasonOther),
	{11, 0}: expired(probe.TTLExceeded), {11, 1}: expired(probe.ReassemblyExceeded), {11, 2}: expired(probe.ReasonOther),
	{12, 0}: unreachable(probe.ParameterProblem), {12, 1}: unreachable(probe.ParameterProblem), {12, 2}: unreachable(probe.ParameterProblem),
	{4, 0}: noVerdict, // source quench, deprecated by RFC 6633
	{6, 0}: noVerdict, {255, 0}: noVerdict,
}

// The codes of RFC 4443 and IANA's registry.
var meanings6 = map[code]meaning{
	{1, 0}: unreachable(probe.NetUnreachable), {1, 1}: unreachable(probe.AdminProhibited),
	{1, 2}: unreachable(probe.NetUnreachable), {1, 3}: unreachable(probe.HostUnreachable),
	{1, 4}: unreachable(probe.PortUnreachable), {1, 5}: unreachable(probe.AdminProhibited),
	{1, 6}: unreachable(probe.NetProhibited), {1, 7}: unreachable(probe.ReasonOther), {1, 99}: unreachable(probe.ReasonOther),
	{2, 0}: unreachable(probe.PacketTooBig),
	{3, 0}: expired(probe.TTLExceeded), {3, 1}: expired(probe.ReassemblyExceeded), {3, 9}: expired(probe.ReasonOther),
	{4, 0}: unreachable(probe.ParameterProblem), {4, 1}: unreachable(probe.ParameterProblem), {4, 2}: unreachable(probe.ParameterProblem),
	{5, 0}: noVerdict, {100, 0}: noVerdict, {127, 0}: noVerdict,
}

func TestErrorCodes(t *testing.T) {
	for c, want := range meanings4 {
		testErrorCode(t, target4, c, want)
	}
	for c, want := range meanings6 {
		testErrorCode(t, target6, c, want)
	}
}

func testErrorCode(t *testing.T, addr string, c code, want meaning) {
	t.Run(fmt.Sprintf("%s %d.%d", addr, c[0], c[1]), func(t *testing.T) {
		e := lab.ICMPError{V4: c.lab(), V6: c.lab(), MTU: 1300}
		cfg := Config{Targets: targets(addr), Count: 1, Timeout: 100 * ms, Size: 56}
		rehearse(t, hopError(e, lab.Quote{}), cfg, func(t *testing.T, p *play) {
			rs := p.outcomes()
			if len(rs) != 1 || rs[0].Status != want.status || rs[0].Reason != want.reason {
				t.Fatalf("got %+v, want %+v", rs, want)
			}
			r := rs[0]
			if want == noVerdict {
				return
			}
			if r.From != same(addr, "198.51.100.1", "2001:db8:100::1") || r.Type != c[0] || r.Code != c[1] {
				t.Errorf("from %v, type %d code %d", r.From, r.Type, r.Code)
			}
			mtu := 0
			if r.Reason == probe.FragNeeded || r.Reason == probe.PacketTooBig {
				mtu = 1300
			}
			if r.MTU != mtu {
				t.Errorf("MTU %d, want %d", r.MTU, mtu)
			}
		})
	})
}

// Hops too far away answer with time exceeded, each for itself.
func TestTTLEnds(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		topo := host(lab.Host{})
		topo.Hops = []lab.Hop{{Addrs: hop1}, {Addrs: lab.Addrs("198.51.100.2", "2001:db8:100::2")}, {}}
		rehearseWith(t, topo, Config{Targets: targets(addr), Count: 1, Timeout: 100 * ms, Size: 56}, func(p *play) {
			for _, c := range p.socks {
				c.ttl = 2
			}
		}, func(t *testing.T, p *play) {
			r := p.results[0]
			if r.Status != probe.Expired || r.Reason != probe.TTLExceeded || r.From != same(addr, "198.51.100.2", "2001:db8:100::2") {
				t.Errorf("got %+v", r)
			}
			p.wantLogged()
		})
	})
}

// What is too large for the path says so, and how large it may be.
func TestTooBigForThePath(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		topo := host(lab.Host{})
		topo.Hops = []lab.Hop{{Addrs: hop1, Out: lab.Link{MTU: 1300}}}
		rehearseWith(t, topo, Config{Targets: targets(addr), Count: 2, Interval: 10 * ms, Timeout: 100 * ms, Size: 1400}, func(p *play) {
			for _, c := range p.socks {
				c.df = true
			}
		}, func(t *testing.T, p *play) {
			p.wantLogged()
			for _, r := range p.results {
				if r.Status != probe.Unreachable || r.MTU != 1300 || r.From != same(addr, "198.51.100.1", "2001:db8:100::1") {
					t.Errorf("got %+v", r)
				}
			}
		})
	})
}
