package output_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"netprobe/output"
	"netprobe/probe"
)

const testFlow = 61234

// walk records the trace of one target.
type walk struct {
	target  *probe.Target
	path    *probe.Path
	seq     uint64
	results []probe.Result
}

func newWalk(t *probe.Target, proto string) *walk {
	p := &probe.Path{
		Target: t, Proto: proto, Source: addr("192.0.2.100"), Flow: testFlow, First: 1, ID: "5c0ffee5",
		Started: start, Elapsed: 124 * time.Millisecond,
	}
	if t.Addr.Addr().Is6() {
		p.Source = addr("2001:db8::100")
	}
	switch proto {
	case "udp":
		p.Port = 33434
	case "tcp":
		p.Port = 443
	}
	return &walk{target: t, path: p}
}

// noTime stands for the time of a probe that nobody answered.
const noTime = time.Duration(-1)

func ms(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }

// probe appends a probe to the last hop.
func (w *walk) probe(from string, rtt time.Duration, change ...func(*probe.Result, *probe.Hop)) {
	h := &w.path.Hops[len(w.path.Hops)-1]
	w.seq++
	hop := &probe.Hop{TTL: h.TTL, Flow: testFlow, Size: 60}
	r := probe.Result{
		Target: w.target, Seq: w.seq, Reason: probe.NoResponse, Size: 40, Detail: hop,
		Sent: start.Add(time.Duration(w.seq) * 200 * time.Microsecond), Lag: 3 * time.Microsecond,
	}
	if rtt != noTime {
		r.From, r.RTT, r.Clock, r.TTL = addr(from), rtt, probe.Kernel, 255-h.TTL+1
		if r.From == w.target.Addr.Addr() {
			r.Status, r.Reason, r.TTL = probe.Reply, probe.EchoReply, 64-h.TTL+1
			h.Target = true
			if r.From.Is6() {
				r.Type = 129
			}
		} else {
			r.Status, r.Reason, r.Type = probe.Expired, probe.TTLExceeded, 11
			if r.From.Is6() {
				r.Type = 3
			}
			hop.Quote = &probe.Quote{TTL: 1}
		}
	}
	for _, f := range change {
		f(&r, hop)
	}
	h.Probes = append(h.Probes, r)
	w.results = append(w.results, r)
}

// hop appends a hop with a probe for each time.
func (w *walk) hop(from string, rtts ...time.Duration) *walk { return w.hopWith(from, nil, rtts...) }

func (w *walk) hopWith(from string, change func(*probe.Result, *probe.Hop), rtts ...time.Duration) *walk {
	w.path.Hops = append(w.path.Hops, probe.PathHop{TTL: w.path.First + uint8(len(w.path.Hops))})
	for _, rtt := range rtts {
		if change != nil && rtt != noTime {
			w.probe(from, rtt, change)
		} else {
			w.probe(from, rtt)
		}
	}
	return w
}

func (w *walk) silent(n int) *walk {
	for range n {
		w.hop("", noTime, noTime, noTime)
	}
	return w
}

func (w *walk) last() *probe.PathHop { return &w.path.Hops[len(w.path.Hops)-1] }

// end concludes the trace and returns all its Results.
func (w *walk) end(stop probe.Stop) []probe.Result {
	w.path.Stop = stop
	r := probe.Result{Target: w.target, Detail: w.path, Reason: probe.NoResponse}
	switch stop {
	case probe.StopReached:
		r.Status = probe.Reply
		for _, p := range w.last().Probes {
			if p.From == w.target.Addr.Addr() {
				r.From, r.RTT, r.Reason, r.Clock = p.From, p.RTT, p.Reason, p.Clock
				break
			}
		}
	case probe.StopUnreachable:
		for i := range w.results {
			if p := &w.results[i]; p.Status == probe.Unreachable {
				r.Status, r.Reason, r.From, r.RTT, r.Type, r.Code = p.Status, p.Reason, p.From, p.RTT, p.Type, p.Code
			}
		}
	case probe.StopCanceled, probe.StopDeadline:
		r.Status, r.Reason = probe.Pending, probe.Canceled
	case probe.StopFailed:
		r.Status, r.Reason = probe.Failed, probe.NoRoute
		r.Err = &net.OpError{Op: "send", Net: "ip4:icmp", Err: syscall.ENETUNREACH}
	}
	return append(w.results, r)
}

// traceScenarios returns all recorded traces.
func traceScenarios() []*scenario {
	all := []*scenario{
		tracePlainPath(), traceSilent(), traceECMP(), traceManyWays(), traceLabels(), traceRewritten(), traceMTU(), traceBlackHole(),
		traceFirewalled(), traceUnreachable(), traceSix(), traceSeveral(), traceVerdicts(), traceMonitor(), traceHostile(), traceCanceled(),
	}
	for _, s := range all {
		h := &s.header
		h.ID, h.Verb, h.Version, h.Host, h.Start, h.Targets = "r1", "trace", "0.1.0", "box", start, s.target
		h.Socket, h.Clock, h.Planned = "raw", probe.Kernel, -1
		if h.Trace == nil {
			h.Trace = &output.TraceHeader{}
		}
		if h.Trace.Proto == "" {
			h.Trace.Proto = "icmp"
		}
		h.Trace.Flow, h.Trace.Max = testFlow, 30
		if s.end.StoppedBy == "" {
			s.end.StoppedBy = "done"
		}
		s.end.Time = start.Add(2 * time.Second)
	}
	return all
}

func traced(name string, header *output.TraceHeader, t *probe.Target, results []probe.Result) *scenario {
	return &scenario{name: "trace-" + name, header: output.Header{Trace: header}, target: []*probe.Target{t}, result: results}
}

func labNames(list ...string) map[netip.Addr]string {
	names := map[netip.Addr]string{}
	for i := 0; i < len(list); i += 2 {
		names[addr(list[i])] = list[i+1]
	}
	return names
}

func tracePlainPath() *scenario {
	t := host(0, "server.lab", "203.0.113.7")
	w := newWalk(t, "icmp")
	w.hop("192.0.2.1", ms(0.512), ms(0.498), ms(0.6034))
	w.hop("198.51.100.2", ms(5.711), ms(5.719), ms(5.702))
	w.hop("198.51.100.3", ms(12.34), ms(11.9), ms(12.001))
	w.hop("203.0.113.7", ms(23.4), ms(23.1), ms(23.9))
	w.path.Names = labNames("192.0.2.1", "gw.lab", "198.51.100.3", "core1.isp.lab", "203.0.113.7", "server.lab")
	return traced("path", nil, t, w.end(probe.StopReached))
}

// traceSilent has a silent hop, one far slower than the path, loss that does not
// go on and an answer of the target to a probe sent beyond it.
func traceSilent() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	w.hop("192.0.2.1", ms(0.5), noTime, ms(0.6)).silent(1)
	w.hop("198.51.100.3", ms(601.2), ms(600.1), ms(1200.7))
	w.hop("203.0.113.7", ms(16.1), ms(16.2), ms(16.3))
	beyond := func(r *probe.Result, hop *probe.Hop) { hop.TTL = 5 }
	w.probe("203.0.113.7", ms(16.4), beyond)
	w.probe("", noTime, beyond)
	return traced("silent", nil, t, w.end(probe.StopReached))
}

func traceECMP() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "udp")
	flow := func(n uint16) func(*probe.Result, *probe.Hop) {
		return func(_ *probe.Result, hop *probe.Hop) { hop.Flow += n }
	}
	w.hop("192.0.2.1", ms(1), ms(1.1), ms(1.2)).hop("198.51.100.1", ms(2), ms(2.1), ms(2.2))
	w.last().Balance = probe.BalancePerFlow
	w.probe("198.51.100.2", ms(2.5), flow(1))
	w.probe("198.51.100.3", ms(2.6), flow(2))
	w.probe("198.51.100.1", ms(2.4), flow(3))
	w.hop("198.51.100.11", ms(3), ms(3.1), noTime)
	w.probe("198.51.100.12", ms(3.5), flow(1))
	w.hop("203.0.113.1", ms(4), ms(4.1), ms(4.2))
	refused := func(r *probe.Result, _ *probe.Hop) {
		r.Status, r.Reason, r.Type, r.Code = probe.Refused, probe.PortUnreachable, 3, 3
	}
	w.hopWith("203.0.113.7", refused, ms(5), ms(5.1), ms(5.2))
	link := func(ttl uint8, from, to string, flows int) {
		l := probe.PathLink{TTL: ttl, Flows: flows}
		l.From, _ = netip.ParseAddr(from)
		l.To, _ = netip.ParseAddr(to)
		w.path.Links = append(w.path.Links, l)
	}
	link(1, "192.0.2.1", "198.51.100.1", 5)
	link(1, "192.0.2.1", "198.51.100.3", 3)
	link(1, "192.0.2.1", "198.51.100.2", 4)
	link(2, "198.51.100.1", "198.51.100.11", 5)
	link(2, "198.51.100.2", "198.51.100.12", 4)
	link(2, "198.51.100.3", "", 3)
	link(3, "198.51.100.11", "203.0.113.1", 5)
	link(3, "198.51.100.12", "203.0.113.1", 4)
	link(3, "", "203.0.113.1", 3)
	link(4, "203.0.113.1", "203.0.113.7", 12)
	w.path.Names = labNames("198.51.100.11", "ten\"\\.lab")
	return traced("ecmp", &output.TraceHeader{Proto: "udp", Port: 33434, Paths: true}, t, w.end(probe.StopReached))
}

// traceManyWays has more ways than lines are drawn, balanced packet by packet,
// and nobody asked which hop follows which.
func traceManyWays() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	w.hop("192.0.2.1", ms(1))
	for ttl := range 2 {
		w.hop("")
		w.last().Balance = probe.BalancePerPacket
		for i := range 8 {
			w.probe(fmt.Sprintf("198.51.100.%d", 10*ttl+i+1), ms(2))
		}
	}
	w.hop("203.0.113.7", ms(3))
	for _, a := range w.path.Hops[1].Addrs() {
		w.path.Links = append(w.path.Links, probe.PathLink{TTL: 1, From: addr("192.0.2.1"), To: a, Flows: 8})
		for _, b := range w.path.Hops[2].Addrs() {
			w.path.Links = append(w.path.Links, probe.PathLink{TTL: 2, From: a, To: b, Flows: 1})
		}
	}
	for _, b := range w.path.Hops[2].Addrs() {
		w.path.Links = append(w.path.Links, probe.PathLink{TTL: 3, From: b, To: addr("203.0.113.7"), Flows: 8})
	}
	w.path.Incomplete = true
	return traced("ways", &output.TraceHeader{Paths: true}, t, w.end(probe.StopReached))
}

func traceLabels() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	stack := func(labels ...probe.Label) func(*probe.Result, *probe.Hop) {
		return func(_ *probe.Result, hop *probe.Hop) { hop.MPLS = labels }
	}
	told := func(_ *probe.Result, hop *probe.Hop) {
		hop.Interfaces = []probe.Interface{
			{Role: probe.Incoming, Index: 3, Addr: addr("198.51.100.1"), Name: "ge-0/0/1", MTU: 9000},
			{Role: probe.Outgoing, Name: "ae7\x1b[31m"}, {Role: probe.NextHopRole, Addr: addr("198.51.100.2")},
		}
	}
	w.hopWith("192.0.2.1", told, ms(1), ms(1), ms(1))
	w.hopWith("198.51.100.2", stack(probe.Label{Label: 24001, Bottom: true, TTL: 1}), ms(15.954), ms(15.9), noTime)
	w.hopWith("198.51.100.3", stack(probe.Label{Label: 16, TC: 5, TTL: 1}, probe.Label{Label: 1048575, Bottom: true, TTL: 254}), ms(16), ms(16), ms(16))
	w.hop("203.0.113.7", ms(20), ms(20), ms(20))
	return traced("mpls", nil, t, w.end(probe.StopReached))
}

// traceRewritten has an address translator, a router that clears DSCP, one that
// does not count down, and a way back longer than the way there.
func traceRewritten() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "udp")
	quote := func(q probe.Quote, replyTTL uint8) func(*probe.Result, *probe.Hop) {
		return func(r *probe.Result, hop *probe.Hop) { hop.Quote, r.TTL = &q, replyTTL }
	}
	nat := probe.RewroteSource | probe.RewroteSourcePort
	w.hopWith("192.0.2.1", quote(probe.Quote{TTL: 1, TOS: 184}, 64), ms(1), ms(1), ms(1))
	w.hopWith("198.51.100.2", quote(probe.Quote{TTL: 1, TOS: 184, Rewritten: nat}, 254), ms(2), ms(2), ms(2))
	w.hopWith("198.51.100.3", quote(probe.Quote{TTL: 1, Rewritten: nat | probe.RewroteTOS}, 253), ms(3), ms(3), ms(3))
	w.hopWith("198.51.100.4", quote(probe.Quote{TTL: 2, Rewritten: nat | probe.RewroteTOS | probe.RewroteChecksum}, 245), ms(4), ms(4), ms(4))
	w.hopWith("203.0.113.7", func(r *probe.Result, hop *probe.Hop) {
		r.Status, r.Reason, r.TTL = probe.Reply, probe.UDPReply, 54
	}, ms(5), ms(5), ms(5))
	return traced("rewritten", &output.TraceHeader{Proto: "udp", Port: 33434, TOS: 184}, t, w.end(probe.StopReached))
}

func traceMTU() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	big := func(r *probe.Result, hop *probe.Hop) {
		hop.Size, r.Status, r.Reason, r.Type, r.Code, r.MTU = 1500, probe.Unreachable, probe.FragNeeded, 3, 4, 1400
	}
	w.hop("192.0.2.1", ms(1), ms(1), ms(1))
	w.last().MTU = 1500
	w.hop("198.51.100.2", ms(2), ms(2), ms(2))
	w.last().MTU = 1500
	w.hop("198.51.100.3", ms(3), ms(3), ms(3))
	w.probe("198.51.100.2", ms(2.1), big)
	w.last().MTU = 1400
	w.hop("203.0.113.7", ms(4), ms(4), ms(4))
	w.last().MTU = 1400
	w.probe("", noTime, func(_ *probe.Result, hop *probe.Hop) { hop.Size = 1450 })
	w.path.MTU, w.path.MTUHop = &probe.PathMTU{MTU: 1400, From: addr("198.51.100.2")}, 2
	return traced("mtu", &output.TraceHeader{MTU: true}, t, w.end(probe.StopReached))
}

func traceBlackHole() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	w.hop("192.0.2.1", ms(1), ms(1), ms(1)).hop("203.0.113.7", ms(4), ms(4), ms(4))
	w.path.MTU, w.path.MTUHop = &probe.PathMTU{MTU: 1372, BlackHole: true}, 1
	return traced("black-hole", &output.TraceHeader{MTU: true}, t, w.end(probe.StopReached))
}

func traceFirewalled() *scenario {
	t := host(0, "server.lab", "203.0.113.7")
	w := newWalk(t, "icmp")
	w.hop("192.0.2.1", ms(1), ms(1), ms(1)).silent(1).hop("198.51.100.9", ms(9), ms(9), ms(9)).silent(8)
	s := traced("firewalled", &output.TraceHeader{Blind: []string{"address translation", "quoted TTL and TOS"}}, t, w.end(probe.StopGap))
	s.end.Exit = 1
	return s
}

func traceUnreachable() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "tcp")
	code := func(reason probe.Reason, n uint8) func(*probe.Result, *probe.Hop) {
		return func(r *probe.Result, _ *probe.Hop) {
			r.Status, r.Reason, r.Type, r.Code = probe.Unreachable, reason, 3, n
		}
	}
	w.hop("192.0.2.1", ms(1), ms(1), ms(1))
	w.hopWith("198.51.100.2", code(probe.AdminProhibited, 13), ms(3075.708), ms(3075.667))
	w.probe("198.51.100.2", ms(3), code(probe.HostUnreachable, 1))
	for n, reason := range []probe.Reason{probe.NetUnreachable, probe.HostUnreachable, probe.ProtoUnreachable, probe.PortUnreachable} {
		w.probe("198.51.100.3", ms(4), code(reason, uint8(n)))
	}
	s := traced("unreachable", &output.TraceHeader{Proto: "tcp", Port: 443, Count: 10}, t, w.end(probe.StopUnreachable))
	s.end.Exit = 1
	return s
}

func traceSix() *scenario {
	t := host(0, "six.lab", "2001:db8:7::7")
	w := newWalk(t, "tcp")
	w.hop("2001:db8::1", ms(1), ms(1), ms(1)).silent(1)
	w.hopWith("2001:db8:7::7", func(r *probe.Result, _ *probe.Hop) { r.Status, r.Reason, r.Type = probe.Refused, probe.RST, 0 }, ms(4), ms(4), ms(4))
	w.path.Names = labNames("2001:db8::1", "gw6.lab")
	return traced("six", &output.TraceHeader{Proto: "tcp", Port: 443}, t, w.end(probe.StopReached))
}

func traceSeveral() *scenario {
	a, b := host(0, "one.lab", "203.0.113.7"), host(1, "nosuch.example", "")
	c, d := host(2, "203.0.113.9", "203.0.113.9"), host(3, "203.0.113.10", "203.0.113.10")
	one := newWalk(a, "icmp").hop("192.0.2.1", ms(1), ms(1), ms(1)).hop("203.0.113.7", ms(2), ms(2), noTime)
	two := newWalk(c, "icmp").hop("192.0.2.1", ms(1), ms(1), ms(1)).silent(29)
	three := newWalk(d, "icmp")
	three.path.Elapsed = 0
	s := &scenario{name: "trace-several", target: []*probe.Target{a, b, c, d}, end: output.End{Exit: 3, Notes: []string{"path changed\x07 at hop 2"}}}
	s.result = append(s.result, one.results...)
	s.result = append(s.result, two.results...)
	s.result = append(s.result, two.end(probe.StopMaxTTL)[len(two.results)])
	s.result = append(s.result, one.end(probe.StopReached)[len(one.results)])
	s.result = append(s.result, three.end(probe.StopFailed)...)
	return s
}

func traceVerdicts() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	verdict := func(l probe.HopLoss) { w.last().Loss = &l }
	w.hop("192.0.2.1", ms(1), ms(1), ms(1), ms(1), noTime, noTime)
	verdict(probe.HopLoss{Kind: probe.RateLimited, Percent: 33.3, Rate: 1, Burst: 6})
	w.silent(1)
	verdict(probe.HopLoss{Kind: probe.SilentHop, Percent: 100})
	w.hop("198.51.100.3", ms(3), ms(3), noTime, ms(3))
	verdict(probe.HopLoss{Kind: probe.HopLossOnly, Percent: 25})
	w.hop("198.51.100.4", ms(4), ms(4), ms(4), noTime)
	verdict(probe.HopLoss{Kind: probe.PathLoss, Percent: 12.4})
	w.hop("203.0.113.7", ms(4), noTime, ms(4), ms(4))
	verdict(probe.HopLoss{Kind: probe.LossUnknown, Percent: 25})
	return traced("verdicts", &output.TraceHeader{Count: 4, Verdict: true}, t, w.end(probe.StopReached))
}

// traceMonitor has a hop that loses though the path does not, a path that
// changes, and a target that loses.
func traceMonitor() *scenario {
	t := host(0, "server.lab", "203.0.113.7")
	w := newWalk(t, "icmp")
	for range 4 {
		w.hop("")
	}
	for round := range 10 {
		for ttl := range 4 {
			w.path.Hops = w.path.Hops[:ttl+1]
			later := func(r *probe.Result, _ *probe.Hop) { r.Sent = r.Sent.Add(time.Duration(round) * time.Second) }
			rtt := ms(float64(ttl+1)*5 + float64(round%3))
			switch {
			case ttl == 0 && round%2 == 1, ttl == 3 && round == 4:
				w.probe("", noTime, later)
			case ttl == 1:
				w.probe("", noTime, later)
			case ttl == 2 && round > 6:
				w.probe("198.51.100.33", rtt, later)
			default:
				w.probe([]string{"192.0.2.1", "", "198.51.100.3", "203.0.113.7"}[ttl], rtt, later)
			}
			w.path.Hops = w.path.Hops[:4]
		}
	}
	results := w.end(probe.StopReached)
	for i := range w.path.Hops {
		w.path.Hops[i].Probes = nil
	}
	w.path.Names = labNames("192.0.2.1", "gw.lab")
	w.path.Elapsed = 10 * time.Second
	s := traced("monitor", &output.TraceHeader{Monitor: true, Count: 10}, t, results)
	s.header.Trace.Name = func(a netip.Addr) (string, bool) { return w.path.Names[a], true }
	return s
}

func traceHostile() *scenario {
	t := host(0, "\x1b[2J\u202eevil\nname", "203.0.113.7")
	w := newWalk(t, "icmp")
	w.hop("192.0.2.1", ms(1), ms(1), ms(1)).hop("198.51.100.2", ms(2), ms(2), ms(2)).hop("203.0.113.7", ms(3), ms(3), ms(3))
	w.path.Names = labNames(
		"192.0.2.1", "\x1b]0;owned\x07a b\r\n 9  198.51.100.66  1.000 ms",
		"198.51.100.2", strings.Repeat("\x9b\"\\,", 16<<10),
		"203.0.113.7", "=cmd|'/C calc'!A1 名前\xff",
	)
	s := traced("hostile", &output.TraceHeader{Blind: []string{"\x1bnothing"}}, t, w.end(probe.StopReached))
	s.header.Host = "box"
	return s
}

// traceCanceled was stopped while probes were under way.
func traceCanceled() *scenario {
	t := host(0, "203.0.113.7", "203.0.113.7")
	w := newWalk(t, "icmp")
	open := func(r *probe.Result, _ *probe.Hop) { r.Status, r.Reason = probe.Pending, probe.Canceled }
	w.hop("192.0.2.1", ms(1), ms(1), ms(1)).hop("198.51.100.2", ms(2))
	w.probe("", noTime, open)
	w.hop("")
	w.probe("", noTime, open)
	w.hop("") // never probed
	s := traced("canceled", nil, t, w.end(probe.StopCanceled))
	s.end = output.End{StoppedBy: "signal", Exit: 1}
	return s
}
