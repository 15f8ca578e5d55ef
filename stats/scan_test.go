package stats_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"netprobe/probe"
	"netprobe/stats"
)

// scanTarget returns a port of the i'th host.
func scanTarget(i int, port uint16) *probe.Target {
	t := sweepHost(i)
	t.Addr = netip.AddrPortFrom(t.Addr.Addr(), port)
	return t
}

// portOutcome returns the outcome of a port.
func portOutcome(i int, port uint16, status probe.Status, reason probe.Reason) probe.Result {
	r := probe.Result{Target: scanTarget(i, port), Seq: 1, Status: status, Reason: reason}
	switch status {
	case probe.Reply, probe.Late, probe.Refused:
		r.From, r.RTT, r.TTL = r.Target.Addr.Addr(), time.Millisecond, 64
	case probe.Unreachable, probe.Expired:
		r.From, r.RTT, r.TTL = other(1), time.Millisecond, 255
	case probe.Failed:
		r.Seq, r.Err = 0, syscall.EMFILE
	}
	return r
}

// portModel is the plain way to count a scan: everything is kept.
type portModel struct {
	results map[int][]probe.Result
	planned map[int]int
	tells   map[int]bool
}

func (m *portModel) count(udp bool, hosts ...int) (states map[probe.PortState]int, open map[int][]uint16, sent, retried uint64, rtts []time.Duration) {
	states, open = map[probe.PortState]int{}, map[int][]uint16{}
	for _, i := range hosts {
		for _, r := range m.results[i] {
			s := probe.StateOfPort(&r, udp)
			states[s]++
			if s == probe.PortOpen {
				open[i] = append(open[i], r.Target.Addr.Port())
			}
			switch r.Status {
			case probe.Failed, probe.Pending:
				sent += r.Seq
			default:
				sent += max(r.Seq, 1)
			}
			own := r.From == r.Target.Addr.Addr()
			switch r.Status {
			case probe.Reply, probe.Refused:
				if own {
					rtts = append(rtts, r.RTT)
				}
				fallthrough
			case probe.Late:
				if r.Seq > 1 {
					retried++
				}
			}
		}
		slices.Sort(open[i])
	}
	return states, open, sent, retried, rtts
}

// randomPort returns any outcome of a port.
func randomPort(rng *rand.Rand, i int, port uint16) probe.Result {
	statuses := []probe.Status{
		probe.Lost, probe.Lost, probe.Reply, probe.Late, probe.Unreachable, probe.Expired, probe.Refused, probe.Refused, probe.Refused,
		probe.Pending, probe.Failed,
	}
	reasons := []probe.Reason{probe.RST, probe.PortUnreachable, probe.AdminProhibited, probe.NoResponse}
	r := portOutcome(i, port, statuses[rng.IntN(len(statuses))], reasons[rng.IntN(len(reasons))])
	r.Seq = rng.Uint64N(4)
	switch {
	case r.Status == probe.Failed:
		r.Err = errors.New(fmt.Sprint("no ", rng.IntN(3)))
	case r.From.IsValid():
		r.RTT = time.Duration(rng.IntN(1e9))
		if rng.IntN(4) == 0 {
			r.From = other(rng.IntN(40))
		}
	}
	return r
}

// Whatever comes, in whatever order, the counts are those of counting everything.
func TestScanCounts(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		udp := rng.IntN(2) == 0
		s := stats.NewScan(stats.ScanConfig{UDP: udp, All: rng.IntN(4) == 0})
		m := &portModel{results: map[int][]probe.Result{}, planned: map[int]int{}, tells: map[int]bool{}}
		hosts := 1 + rng.IntN(40)
		var order []probe.Result
		for i := range hosts {
			n := 1 + rng.IntN(60)
			m.planned[i] = n
			asked := n
			if rng.IntN(4) == 0 { // the run ends before all of them are
				asked = rng.IntN(n)
			}
			for _, p := range rng.Perm(n)[:asked] {
				order = append(order, randomPort(rng, i, uint16(p+1)))
			}
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		done := 0
		for _, r := range order {
			i := r.Target.ID
			m.results[i] = append(m.results[i], r)
			m.tells[i] = m.tells[i] || rng.IntN(50) == 0
			d := &probe.ScannedHost{Ports: m.planned[i], Left: m.planned[i] - len(m.results[i]), Tells: m.tells[i]}
			r.Detail = d
			s.Record(&r)
			h := s.Done()
			if (h != nil) != (d.Left == 0) {
				t.Fatalf("seed %d: %d ports left, done %v", seed, d.Left, h)
			}
			if h != nil {
				done++
				checkHost(t, seed, h, m, i, udp)
			}
		}
		if s.Close(); s.Done() != nil {
			t.Fatalf("seed %d: a host that was cut off is done", seed)
		}
		s.Close() // once more changes nothing
		for _, h := range s.CutOff() {
			checkHost(t, seed, h, m, h.ID, udp)
		}
		if done+len(s.CutOff()) != len(m.results) {
			t.Fatalf("seed %d: %d hosts done, %d cut off, want %d", seed, done, len(s.CutOff()), len(m.results))
		}
		checkScan(t, seed, s, m, udp)
	}
}

func checkHost(t *testing.T, seed uint64, h *stats.ScanHost, m *portModel, i int, udp bool) {
	t.Helper()
	states, open, sent, retried, rtts := m.count(udp, i)
	want := sweepHost(i)
	if h.ID != i || h.Name != want.Name || h.Addr != want.Addr.Addr() || h.Ports != m.planned[i] || h.Left != m.planned[i]-len(m.results[i]) || h.Tells != m.tells[i] {
		t.Fatalf("seed %d: host %+v", seed, h)
	}
	total := 0
	for s := probe.PortUnknown; s <= probe.PortOpenFiltered; s++ {
		total += h.Count(s)
		if h.Count(s) != states[s] {
			t.Fatalf("seed %d, host %d: %d ports %v, want %d", seed, i, h.Count(s), s, states[s])
		}
	}
	if total+h.Left != h.Ports {
		t.Fatalf("seed %d, host %d: %d ports, counts say %d", seed, i, h.Ports, total+h.Left)
	}
	if diff := gocmp.Diff(open[i], h.Open()); diff != "" {
		t.Fatalf("seed %d, host %d: open (-want +got):\n%s", seed, i, diff)
	}
	p := h.Probes()
	if p.Sent != sent || h.Retried() != retried || p.Received+p.Lost+p.Late+p.Errors+p.Undecided != sent {
		t.Fatalf("seed %d, host %d: %+v, %d retried, want %d sent, %d retried", seed, i, p, h.Retried(), sent, retried)
	}
	if rtt := h.RTT(); (rtt != nil) != (len(rtts) > 0) || rtt != nil && (rtt.Min != slices.Min(rtts) || rtt.Max != slices.Max(rtts)) {
		t.Fatalf("seed %d, host %d: RTT %+v of %v", seed, i, rtt, rtts)
	}
	checkGroups(t, seed, h, m.results[i], udp)
}

// checkGroups holds the groups of h against its Results: each port is in one,
// with what came of it.
func checkGroups(t *testing.T, seed uint64, h *stats.ScanHost, results []probe.Result, udp bool) {
	t.Helper()
	byPort := map[uint16]probe.Result{}
	for _, r := range results {
		byPort[r.Target.Addr.Port()] = r
	}
	n, seen := 0, map[uint16]bool{}
	for _, g := range h.Groups() {
		n += g.Count
		if rows := g.Rows(); rows != nil && len(rows) != g.Count {
			t.Fatalf("seed %d: %d rows of %d ports", seed, len(rows), g.Count)
		}
		if (g.State == probe.PortOpen || g.State == probe.PortUnknown && !g.Pending) && len(g.Ports()) != g.Count {
			t.Fatalf("seed %d: %d numbers of %d ports %v", seed, len(g.Ports()), g.Count, g.State)
		}
		for _, row := range g.Rows() {
			r := byPort[row.Port]
			if seen[row.Port] || probe.StateOfPort(&r, udp) != g.State || uint64(row.Tries) != r.Seq || row.Heard && row.RTT != r.RTT {
				t.Fatalf("seed %d: row %+v of %v for %+v", seed, row, g.State, r)
			}
			seen[row.Port] = true
			if !g.Several && (g.Reason != r.Reason || g.Pending != (r.Status == probe.Pending) || (g.Err != nil) != (r.Err != nil)) {
				t.Fatalf("seed %d: group %+v has %+v", seed, g, r)
			}
		}
	}
	if n != len(results) {
		t.Fatalf("seed %d: %d ports in groups, want %d", seed, n, len(results))
	}
}

func checkScan(t *testing.T, seed uint64, s *stats.Scan, m *portModel, udp bool) {
	t.Helper()
	var hosts []int
	planned, failed, left := 0, uint64(0), 0
	for i, results := range m.results {
		hosts = append(hosts, i)
		planned += m.planned[i]
		left += m.planned[i] - len(results)
		for _, r := range results {
			if r.Status == probe.Failed {
				failed++
			}
		}
	}
	states, open, sent, retried, rtts := m.count(udp, hosts...)
	sum := s.Summary()
	kinds := sum.HostsOpen + sum.HostsClosed + sum.HostsRejected + sum.HostsSilent + sum.HostsUntested + sum.HostsUndecided
	withOpen := uint64(0)
	for _, p := range open {
		if len(p) > 0 {
			withOpen++
		}
	}
	if sum.Hosts != uint64(len(hosts)) || kinds != sum.Hosts || sum.HostsOpen != withOpen {
		t.Fatalf("seed %d: %d hosts, %d by kind, %d open, want %d, %d open", seed, sum.Hosts, kinds, sum.HostsOpen, len(hosts), withOpen)
	}
	got := []uint64{sum.Ports, sum.Open, sum.Closed, sum.Filtered, sum.OpenFiltered, sum.Failed, sum.Pending, sum.Retried, sum.Probes.Sent}
	want := []uint64{
		uint64(planned), uint64(states[probe.PortOpen]), uint64(states[probe.PortClosed]), uint64(states[probe.PortFiltered]),
		uint64(states[probe.PortOpenFiltered]), failed, uint64(states[probe.PortUnknown]+left) - failed, retried, sent,
	}
	if !slices.Equal(got, want) {
		t.Fatalf("seed %d: %v, want %v", seed, got, want)
	}
	if all, o := s.Decided(); all != uint64(planned-left) || o != sum.Open {
		t.Fatalf("seed %d: %d decided, %d open", seed, all, o)
	}
	if sum.RTT != nil && (sum.RTT.Min != slices.Min(rtts) || sum.RTT.Max != slices.Max(rtts)) || (sum.RTT == nil) != (len(rtts) == 0) {
		t.Fatalf("seed %d: RTT %+v", seed, sum.RTT)
	}
	var failures uint64
	for _, f := range sum.Failures {
		failures += f.Count
	}
	if failures+sum.FailuresOther != failed {
		t.Fatalf("seed %d: %d failures by kind, want %d", seed, failures, failed)
	}
}

// Results that are no outcomes change no count of ports.
func TestScanExtras(t *testing.T) {
	s := stats.NewScan(stats.ScanConfig{})
	r := portOutcome(0, 80, probe.Lost, probe.NoResponse)
	r.Detail = &probe.ScannedHost{Ports: 1}
	s.Record(&r)
	for range 3 {
		late := portOutcome(0, 80, probe.Late, probe.SynAck)
		late.Interim, late.Detail = true, r.Detail
		s.Record(&late)
	}
	waiting := portOutcome(0, 80, probe.Lost, probe.NoResponse)
	waiting.Interim = true
	s.Record(&waiting)
	dup := portOutcome(0, 80, probe.Reply, probe.SynAck)
	dup.Flags = probe.Dup
	s.Record(&dup)
	sum := s.Summary()
	if sum.Ports != 1 || sum.Filtered != 1 || sum.LateAnswers != 3 || sum.Duplicates != 1 || len(sum.AnsweredLate) != 1 || sum.Hosts != 1 {
		t.Errorf("%+v", sum)
	}
	for port := range uint16(100) {
		late := portOutcome(1, port, probe.Late, probe.SynAck)
		late.Interim = true
		s.Record(&late)
	}
	if n := len(s.Summary().AnsweredLate); n != 32 {
		t.Errorf("%d ports named, want 32", n)
	}
}

// A name without address is a host that was not tested, and has no ports.
func TestScanUnresolved(t *testing.T) {
	s := stats.NewScan(stats.ScanConfig{Expect: stats.Expect(22)})
	for i := range 40 {
		err := fmt.Errorf("no host %d", i)
		s.Record(&probe.Result{Target: &probe.Target{Name: fmt.Sprint(i), Err: err}, Status: probe.Failed, Reason: probe.ResolveFailed, Err: err})
		if h := s.Done(); h == nil || h.Err != err || h.Kind() != stats.ScanUntested || s.NewFailure() != (i < 32) {
			t.Errorf("host %d: %+v, new %v", i, h, s.NewFailure())
		}
	}
	if sum := s.Summary(); sum.Hosts != 40 || sum.HostsUntested != 40 || sum.Ports != 0 || sum.UnresolvedAll != 40 || len(sum.Unresolved) != 32 || sum.Differing != 40 {
		t.Errorf("%+v", sum)
	}
	if d := s.Summary().Differences[0].Difference; !d.Undecided() {
		t.Errorf("%q is no difference we know of", d.String())
	}
}

// However many senders and reasons there are, groups stay few and counts exact.
func TestScanGroupsBounded(t *testing.T) {
	s := stats.NewScan(stats.ScanConfig{})
	const n = 2000
	for i := range n {
		r := portOutcome(0, uint16(i+1), probe.Unreachable, probe.AdminProhibited)
		r.From, r.Detail = other(i), &probe.ScannedHost{Ports: n, Left: n - i - 1}
		if i%10 == 9 {
			r = portOutcome(0, uint16(i+1), probe.Failed, probe.ReasonOther)
			r.Err, r.Detail = fmt.Errorf("reason %d", i), &probe.ScannedHost{Ports: n, Left: n - i - 1}
		}
		s.Record(&r)
	}
	h := s.Done()
	total := 0
	for _, g := range h.Groups() {
		total += g.Count
		if g.Several && g.State == probe.PortUnknown && len(g.Ports()) != g.Count {
			t.Errorf("%d of %d numbers", len(g.Ports()), g.Count)
		}
	}
	if len(h.Groups()) > 18 || total != n || h.Failed() != n/10 {
		t.Errorf("%d groups of %d ports, %d failed", len(h.Groups()), total, h.Failed())
	}
}

// The memory of a scan is that of its hosts in progress, and small: neither a host
// of all ports nor 65,536 hosts cost what their ports would one by one.
func TestScanMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s := stats.NewScan(stats.ScanConfig{})
	for port := 65535; port > 0; port-- {
		r := portOutcome(0, uint16(port), probe.Refused, probe.RST)
		if port%3 == 0 {
			r = portOutcome(0, uint16(port), probe.Reply, probe.SynAck)
		}
		r.Detail = &probe.ScannedHost{Ports: 65535, Left: port - 1}
		if s.Record(&r); port == 2 {
			if used := int64(heap() - before); used > 256<<10 {
				t.Errorf("%d bytes for a host of 65,535 ports", used)
			}
		}
	}
	if n := len(s.Done().Open()); n != 65535/3 {
		t.Errorf("%d open", n)
	}
	before = heap()
	s = stats.NewScan(stats.ScanConfig{})
	const hosts, ports = 1 << 14, 10 // all in progress at once
	for port := range ports {
		for i := range hosts {
			r := portOutcome(i, uint16(port+1), probe.Refused, probe.RST)
			r.Target.Name = ""
			r.Detail = &probe.ScannedHost{Ports: ports, Left: ports - port - 1}
			s.Record(&r)
		}
		if port == ports-2 {
			if each := int64(heap()-before) / hosts; each > 1200 {
				t.Errorf("%d bytes for each of %d hosts in progress", each, hosts)
			}
		}
	}
	if used := int64(heap() - before); used > 2<<20 {
		t.Errorf("%d bytes when all hosts are done", used)
	}
	if sum := s.Summary(); sum.Hosts != hosts || sum.Closed != hosts*ports {
		t.Errorf("%+v", sum)
	}
}

func TestAppendPorts(t *testing.T) {
	for _, tt := range []struct {
		ports []uint16
		most  int
		want  string
	}{
		{nil, 0, ""},
		{[]uint16{22}, 0, "22"},
		{[]uint16{22, 23}, 0, "22,23"},
		{[]uint16{0, 1, 2, 80, 8000, 8001, 8002, 65534, 65535}, 0, "0-2,80,8000-8002,65534,65535"},
		{[]uint16{1, 3, 5, 7, 8, 9}, 2, "1,3 and 4 more"},
		{[]uint16{1, 3}, 2, "1,3"},
	} {
		if got := string(stats.AppendPorts(nil, tt.ports, tt.most)); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.ports, got, tt.want)
		}
	}
}

func TestExpectation(t *testing.T) {
	type ports = map[uint16]probe.Result
	from := func(r probe.Result, a netip.Addr) probe.Result {
		r.From = a
		return r
	}
	for _, tt := range []struct {
		name      string
		expect    []uint16
		ports     ports
		left      int
		want      string
		undecided bool
	}{
		{"met", []uint16{443, 22, 22}, ports{22: portOutcome(0, 22, probe.Reply, probe.SynAck), 443: portOutcome(0, 443, probe.Late, probe.SynAck), 80: portOutcome(0, 80, probe.Refused, probe.RST)}, 0, "", false},
		{"none expected, none open", nil, ports{80: portOutcome(0, 80, probe.Refused, probe.RST)}, 0, "", false},
		{"none expected", nil, ports{80: portOutcome(0, 80, probe.Reply, probe.SynAck)}, 0, "open and not expected: 80", false},
		{"both", []uint16{22, 443}, ports{22: portOutcome(0, 22, probe.Reply, probe.SynAck), 443: portOutcome(0, 443, probe.Lost, probe.NoResponse), 8080: portOutcome(0, 8080, probe.Reply, probe.SynAck)}, 0,
			"open and not expected: 8080; expected and not open: 443 (filtered, no-response)", false},
		{"same verdict", []uint16{1, 2, 3, 5}, ports{
			1: portOutcome(0, 1, probe.Refused, probe.RST), 2: portOutcome(0, 2, probe.Refused, probe.RST), 3: portOutcome(0, 3, probe.Refused, probe.RST),
			5: from(portOutcome(0, 5, probe.Unreachable, probe.AdminProhibited), other(9)),
		}, 0, "expected and not open: 1-3 (closed, rst), 5 (filtered, admin-prohibited from 203.0.0.9)", false},
		{"unknown", []uint16{22, 23}, ports{22: portOutcome(0, 22, probe.Failed, probe.NoDescriptors), 23: portOutcome(0, 23, probe.Pending, probe.Canceled)}, 0,
			"expected and not open: 22 (not tested, no-descriptors), 23 (not decided)", true},
		{"never asked", []uint16{22}, ports{80: portOutcome(0, 80, probe.Lost, probe.NoResponse)}, 1, "expected and not open: 22 (not asked)", true},
		{"unknown, but another is closed", []uint16{22, 23}, ports{22: portOutcome(0, 22, probe.Failed, probe.NoDescriptors), 23: portOutcome(0, 23, probe.Refused, probe.RST)}, 0,
			"expected and not open: 22 (not tested, no-descriptors), 23 (closed, rst)", false},
	} {
		s := stats.NewScan(stats.ScanConfig{Expect: stats.Expect(tt.expect...)})
		left := len(tt.ports) + tt.left
		var h *stats.ScanHost
		for _, r := range tt.ports {
			left--
			r.Detail = &probe.ScannedHost{Ports: len(tt.ports) + tt.left, Left: left}
			s.Record(&r)
			h = s.Done()
		}
		if s.Close(); h == nil {
			h = s.CutOff()[0]
		}
		d := h.Differs()
		if got := d.String(); got != tt.want || d.Met() != (tt.want == "") || d.Undecided() != tt.undecided {
			t.Errorf("%s: %q, met %v, undecided %v, want %q", tt.name, got, d.Met(), d.Undecided(), tt.want)
		}
		want := uint64(1)
		if tt.want == "" {
			want = 0
		}
		if sum := s.Summary(); sum.Differing != want || uint64(len(sum.Differences)) != want {
			t.Errorf("%s: %d hosts differ", tt.name, sum.Differing)
		}
	}
	if got := stats.Expect(443, 22, 443).Ports(); !slices.Equal(got, []uint16{22, 443}) {
		t.Errorf("ports %v", got)
	}
}

// How far a scan is may be asked at any time.
func TestScanDecidedConcurrently(t *testing.T) {
	s := stats.NewScan(stats.ScanConfig{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 2000 {
			r := portOutcome(i, 22, probe.Reply, probe.SynAck)
			r.Detail = &probe.ScannedHost{Ports: 1}
			s.Record(&r)
		}
	}()
	for {
		if all, open := s.Decided(); open > all {
			t.Fatalf("%d of %d ports open", open, all)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// The addresses of a name have its ID, and are hosts of their own.
func TestScanAddressesOfName(t *testing.T) {
	s := stats.NewScan(stats.ScanConfig{})
	done := map[netip.Addr][]uint16{}
	for left := 2; left >= 0; left-- {
		for i := 1; i <= 3; i++ {
			r := portOutcome(i, uint16(10*i+left), probe.Reply, probe.Connected)
			r.Target.ID, r.Target.Name = 7, "host.example"
			r.Detail = &probe.ScannedHost{Ports: 3, Left: left}
			if i == 3 && left == 0 {
				continue // the run is cut
			}
			s.Record(&r)
			if h := s.Done(); h != nil {
				done[h.Addr] = h.Open()
			}
		}
	}
	s.Close()
	want := map[netip.Addr][]uint16{
		scanTarget(1, 0).Addr.Addr(): {10, 11, 12},
		scanTarget(2, 0).Addr.Addr(): {20, 21, 22},
	}
	if diff := gocmp.Diff(want, done, gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if cut := s.CutOff(); len(cut) != 1 || cut[0].Addr != scanTarget(3, 0).Addr.Addr() || cut[0].Left != 1 {
		t.Errorf("cut off: %v", cut)
	}
}
