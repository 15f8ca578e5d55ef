package output_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/output/outputtest"
	"netprobe/probe"
)

// randomTrace returns a run of a few traces with every kind of outcome an engine
// may emit, and names of any bytes.
func randomTrace(rng *rand.Rand) *scenario {
	s := &scenario{name: "random", end: output.End{StoppedBy: "signal", Exit: rng.IntN(4), Time: start.Add(time.Minute)}}
	proto := []string{"icmp", "udp", "tcp"}[rng.IntN(3)]
	names := map[netip.Addr]string{}
	s.header = output.Header{
		ID: randomText(rng), Verb: "trace", Host: randomText(rng), Socket: "raw", Start: start, Planned: -1,
		Numeric: rng.IntN(3) == 0,
		Trace: &output.TraceHeader{
			Proto: proto, Flow: testFlow, Count: rng.IntN(5), Monitor: rng.IntN(3) == 0, Blind: []string{randomText(rng)},
			Name: func(a netip.Addr) (string, bool) { name, ok := names[a]; return name, ok },
		},
	}
	for id := range 1 + rng.IntN(4) {
		t := host(id, randomText(rng), "203.0.113.7")
		switch rng.IntN(5) {
		case 0:
			t = host(id, randomText(rng), "")
		case 1:
			t.Addr = netip.MustParseAddrPort("[2001:db8::7]:0")
		}
		s.target = append(s.target, t)
		if t.Err == nil {
			s.result = append(s.result, randomPath(rng, t, proto, names, s.header.Trace.Monitor)...)
		}
	}
	s.header.Targets = s.target
	return s
}

func randomPath(rng *rand.Rand, t *probe.Target, proto string, names map[netip.Addr]string, monitor bool) []probe.Result {
	w := newWalk(t, proto)
	w.path.First = 1 + uint8(rng.IntN(3))
	w.path.Names = names
	stop := probe.StopReached
	for range rng.IntN(12) {
		w.hop("")
		h := w.last()
		h.Balance, h.MTU = probe.Balance(rng.IntN(4)), rng.IntN(3)*700
		if rng.IntN(3) == 0 {
			h.Loss = &probe.HopLoss{Kind: probe.LossKind(rng.IntN(6)), Percent: 100 * rng.Float64(), Rate: rng.Float64() * 10, Burst: rng.IntN(8)}
		}
		for range rng.IntN(6) {
			w.probe(randomHop(rng, t, names), randomTime(rng), func(r *probe.Result, hop *probe.Hop) { randomDetail(rng, r, hop) })
		}
	}
	if len(w.path.Hops) == 0 || rng.IntN(3) == 0 {
		stop = probe.Stop(1 + rng.IntN(6))
	} else {
		w.hop(t.Addr.Addr().String(), ms(1), noTime, ms(3))
	}
	if rng.IntN(2) == 0 {
		randomLinks(rng, w.path)
	}
	if rng.IntN(3) == 0 {
		w.path.MTU, w.path.MTUHop = &probe.PathMTU{MTU: rng.IntN(3) * 700, BlackHole: rng.IntN(2) == 0, Partial: rng.IntN(4) == 0}, uint8(rng.IntN(4))
	}
	rng.Shuffle(len(w.results), func(i, j int) { w.results[i], w.results[j] = w.results[j], w.results[i] })
	results := w.end(stop)
	if monitor {
		for i := range w.path.Hops {
			w.path.Hops[i].Probes = nil
		}
	}
	return results
}

func randomHop(rng *rand.Rand, t *probe.Target, names map[netip.Addr]string) string {
	from := fmt.Sprintf("198.51.100.%d", rng.IntN(20))
	if t.Addr.Addr().Is6() {
		from = fmt.Sprintf("2001:db8:1::%x", rng.IntN(20))
	}
	names[addr(from)] = randomText(rng)
	return from
}

func randomTime(rng *rand.Rand) time.Duration {
	if rng.IntN(4) == 0 {
		return noTime
	}
	return time.Duration(rng.ExpFloat64() * 2e7)
}

func randomDetail(rng *rand.Rand, r *probe.Result, hop *probe.Hop) {
	if !r.From.IsValid() {
		switch rng.IntN(4) {
		case 0:
			r.Status, r.Reason = probe.Pending, probe.Canceled
		case 1:
			r.Status, r.Reason, r.Err, r.Sent = probe.Failed, probe.NoBuffers, errors.New(randomText(rng)), time.Time{}
		}
		return
	}
	if rng.IntN(4) == 0 {
		r.Status, r.Reason, r.Type, r.Code = probe.Unreachable, probe.Reason(rng.IntN(32)), uint8(rng.Uint32()), uint8(rng.Uint32())
	}
	r.TTL = uint8(rng.Uint32())
	hop.Flow += uint16(rng.IntN(3))
	hop.Size += rng.IntN(2) * 1000
	hop.Quote = nil
	if rng.IntN(2) == 0 {
		hop.Quote = &probe.Quote{TTL: uint8(rng.IntN(3)), TOS: uint8(rng.Uint32()), Rewritten: probe.Rewrite(rng.IntN(64))}
	}
	for range rng.IntN(3) {
		hop.MPLS = append(hop.MPLS, probe.Label{Label: rng.Uint32N(1 << 20), TC: uint8(rng.IntN(8)), Bottom: rng.IntN(2) == 0, TTL: uint8(rng.Uint32())})
		hop.Interfaces = append(hop.Interfaces, probe.Interface{Role: probe.InterfaceRole(rng.IntN(4)), Name: randomText(rng), MTU: rng.IntN(2)})
	}
}

// randomLinks links what stands in neighbouring hops, and what does not.
func randomLinks(rng *rand.Rand, p *probe.Path) {
	for range rng.IntN(200) {
		l := probe.PathLink{TTL: uint8(rng.IntN(256)), Flows: rng.IntN(9)}
		if len(p.Hops) > 1 && rng.IntN(9) > 0 {
			i := rng.IntN(len(p.Hops) - 1)
			l.TTL = p.Hops[i].TTL
			if from := p.Hops[i].Addrs(); len(from) > 0 {
				l.From = from[rng.IntN(len(from))]
			}
			if to := p.Hops[i+1].Addrs(); len(to) > 0 {
				l.To = to[rng.IntN(len(to))]
			}
		}
		p.Links = append(p.Links, l)
	}
}

func TestRandomTraces(t *testing.T) {
	for seed := range uint64(40) {
		s := randomTrace(rand.New(rand.NewPCG(seed, 4)))
		out := map[string]*bytes.Buffer{}
		var views []output.View
		for _, format := range output.TraceFormats() {
			out[format] = &bytes.Buffer{}
			v, err := output.NewTraceView(format, out[format], output.Options{Probes: true})
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, v)
		}
		if err := s.play(nil, views...); err != nil {
			t.Fatal(err)
		}
		if _, err := outputtest.Run(out["json"].Bytes()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		probes := 0
		for i := range s.result {
			if _, ok := s.result[i].Detail.(*probe.Hop); ok {
				probes++
			}
		}
		rows, err := csv.NewReader(bytes.NewReader(out["csv"].Bytes())).ReadAll()
		if err != nil || len(rows) != probes+1 {
			t.Fatalf("seed %d: %d CSV rows, %v, want %d", seed, len(rows), err, probes+1)
		}
		for format, b := range out {
			if text := b.String(); text != readable([]byte(text)) {
				t.Fatalf("seed %d: control characters in %s", seed, format)
			}
		}
	}
}

// However small the terminal, a frame fits it, and what stays in the end is the
// finished traces and nothing of the frames before them.
func TestTraceTableOnScreen(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := randomTrace(rng)
		sc := &screen{t: t, cols: 10 + rng.IntN(150), rows: 5 + rng.IntN(20)}
		v, err := output.NewTraceView("table", sc, output.Options{
			Terminal: true, Color: rng.IntN(2) == 0, Size: func() (int, int) { return sc.cols, sc.rows },
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.play(func(r *output.Report, i int) {
			if err := r.Refresh(start.Add(time.Duration(i) * time.Second)); err != nil {
				t.Error(err)
			}
			for _, l := range sc.lines {
				if w := cells(l); w > sc.cols {
					t.Fatalf("seed %d: %d cells wide, the terminal has %d: %q", seed, w, sc.cols, l)
				}
			}
		}, v)
		if err != nil {
			t.Fatal(err)
		}
		traces := 0
		for _, l := range sc.lines {
			if strings.HasPrefix(l, "netprobe trace:") {
				t.Errorf("seed %d: of an earlier frame: %q", seed, l)
			}
			if strings.HasPrefix(l, "trace to") || strings.HasPrefix(l, "trace") && sc.cols < 12 {
				traces++
			}
		}
		want := 0
		for _, tg := range s.target {
			if tg.Err == nil {
				want++
			}
		}
		if sc.hidden || traces != want {
			t.Errorf("seed %d: %d traces left standing, want %d, cursor hidden %t:\n%s", seed, traces, want, sc.hidden, strings.Join(sc.lines, "\n"))
		}
	}
}
