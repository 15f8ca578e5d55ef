package stats_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepHost returns the i'th address of a sweep, some of them IPv6, some with a name.
func sweepHost(i int) *probe.Target {
	t := &probe.Target{ID: i}
	a := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
	if i%5 == 4 {
		b := netip.MustParseAddr("2001:db8::").As16()
		b[7], b[15] = byte(i>>8), byte(i)
		a = netip.AddrFrom16(b)
	}
	t.Addr = netip.AddrPortFrom(a, 0)
	if i%7 == 0 {
		t.Name = fmt.Sprintf("host%d.example", i)
	}
	return t
}

func other(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}) }

// model is the plain way to count a sweep: everything is kept.
type model struct {
	state              map[netip.Addr]stats.HostState
	tries              map[netip.Addr]uint64
	status             map[netip.Addr]probe.Status
	responders         map[netip.Addr]map[netip.Addr]bool
	least              map[netip.Addr]int // responders a sweeper counted itself
	late               map[netip.Addr]bool
	rtts               []time.Duration
	duplicates, lates  uint64
	retried, elsewhere uint64
	failed             map[string]uint64
}

func newModel() *model {
	return &model{
		state: map[netip.Addr]stats.HostState{}, tries: map[netip.Addr]uint64{}, status: map[netip.Addr]probe.Status{},
		responders: map[netip.Addr]map[netip.Addr]bool{}, least: map[netip.Addr]int{}, late: map[netip.Addr]bool{},
		failed: map[string]uint64{},
	}
}

func (m *model) heard(a, from netip.Addr) {
	if m.responders[a] == nil {
		m.responders[a] = map[netip.Addr]bool{}
	}
	m.responders[a][from] = true
}

func (m *model) record(r *probe.Result) {
	a := r.Target.Addr.Addr()
	switch {
	case r.Interim:
		if r.Status == probe.Late {
			m.lates++
			m.late[a] = true
		}
		return
	case r.Flags.Has(probe.Dup):
		m.duplicates++
		if r.From != a {
			m.heard(a, r.From)
		}
		return
	}
	m.tries[a], m.status[a] = r.Seq, r.Status
	m.state[a] = map[probe.Status]stats.HostState{
		probe.Lost: stats.HostSilent, probe.Reply: stats.HostAlive, probe.Late: stats.HostAlive, probe.Refused: stats.HostAlive,
		probe.Unreachable: stats.HostUnreachable, probe.Expired: stats.HostUnreachable,
		probe.Pending: stats.HostPending, probe.Failed: stats.HostFailed,
	}[r.Status]
	if d, ok := r.Detail.(*probe.Responders); ok && d.Count > 1 && m.state[a] == stats.HostAlive {
		m.state[a] = stats.HostAmplifier
		m.least[a] = d.Count
		for _, from := range d.Addrs {
			m.heard(a, from)
		}
	}
	switch m.state[a] {
	case stats.HostFailed:
		m.failed[r.Reason.String()+": "+r.Err.Error()]++
	case stats.HostAlive:
		if r.Seq > 1 {
			m.retried++
		}
		if r.From != a {
			m.elsewhere++
		}
		if r.Status != probe.Late {
			m.rtts = append(m.rtts, r.RTT)
		}
	}
}

// count returns how many hosts are in a state, in the subnet p if that is valid.
func (m *model) count(s stats.HostState, p netip.Prefix) (n uint64) {
	for a, state := range m.state {
		if state == s && (!p.IsValid() || p.Contains(a)) {
			n++
		}
	}
	return n
}

func (m *model) amplified() (n uint64) {
	for a, from := range m.responders {
		if max(len(from), m.least[a]) > 1 {
			n++
		}
	}
	return n
}

// randomOutcome returns how the i'th host of a random sweep ends, and what comes
// after that.
func randomOutcome(rng *rand.Rand, i int) []probe.Result {
	t := sweepHost(i)
	r := probe.Result{Target: t, Seq: 1 + rng.Uint64N(3), Status: probe.Status(rng.IntN(8)), Sent: time.Now()}
	answered := false
	switch r.Status {
	case probe.Reply, probe.Late, probe.Refused:
		answered = true
		r.From, r.RTT = t.Addr.Addr(), time.Duration(rng.ExpFloat64()*1e7)
		switch rng.IntN(6) {
		case 0:
			r.From = other(i)
			r.Flags |= probe.WrongSource
		case 1:
			d := &probe.Responders{Count: 1 + rng.IntN(100)}
			for j := range min(d.Count, 40) {
				d.Addrs = append(d.Addrs, other(j))
			}
			r.Detail, r.From = d, d.Addrs[0]
			r.Flags |= probe.WrongSource
		}
	case probe.Unreachable, probe.Expired:
		r.From, r.RTT = other(i), time.Millisecond
	case probe.Pending:
		r.Seq = rng.Uint64N(3)
	case probe.Failed:
		r.Seq, r.Reason = rng.Uint64N(2), probe.Reason(rng.IntN(4))
		r.Err = []error{errors.New("one"), os.NewSyscallError("sendmmsg", syscall.ENOBUFS)}[rng.IntN(2)]
	}
	out := []probe.Result{r}
	for range rng.IntN(4) {
		extra := r
		extra.Detail = nil
		switch {
		case answered && rng.IntN(3) > 0:
			extra.Flags |= probe.Dup
			extra.From = []netip.Addr{t.Addr.Addr(), other(rng.IntN(5))}[rng.IntN(2)]
		case rng.IntN(2) == 0:
			extra.Interim, extra.Status = true, probe.Late
		default:
			extra.Interim, extra.Status = true, probe.Lost
		}
		out = append(out, extra)
	}
	return out
}

// Whatever the order of Results, the counts are those of keeping everything.
func TestSweepAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 4))
		s, m := stats.NewSweep(24, 64), newModel()
		var results []probe.Result
		for i := range rng.IntN(900) {
			results = append(results, randomOutcome(rng, i)...)
		}
		for i := range results {
			s.Record(&results[i])
			m.record(&results[i])
			if i%97 == 0 {
				s.Subnets() // sorting in between changes nothing
			}
		}
		compareModel(t, seed, s, m)
		compareSubnets(t, seed, s, m)
	}
}

func compareModel(t *testing.T, seed uint64, s *stats.Sweep, m *model) {
	t.Helper()
	sum := s.Summary()
	all, alive := s.Hosts()
	none := netip.Prefix{}
	got := []uint64{
		sum.Hosts, all, alive, sum.Alive, sum.Amplifiers, sum.Unreachable, sum.Silent, sum.Failed, sum.Pending,
		sum.Duplicates, sum.LateAnswers, sum.Retried, sum.Elsewhere, sum.AmplifiedTotal, uint64(len(sum.AnsweredLate)),
	}
	hosts := uint64(len(m.state))
	want := []uint64{
		hosts, hosts, m.count(stats.HostAlive, none), m.count(stats.HostAlive, none), m.count(stats.HostAmplifier, none),
		m.count(stats.HostUnreachable, none), m.count(stats.HostSilent, none), m.count(stats.HostFailed, none), m.count(stats.HostPending, none),
		m.duplicates, m.lates, m.retried, m.elsewhere, m.amplified(), uint64(len(m.late)),
	}
	if !slices.Equal(got, want) {
		t.Fatalf("seed %d: got %d, want %d", seed, got, want)
	}
	var probes uint64
	for _, n := range m.tries {
		probes += n
	}
	if sum.Probes != probes || sum.Received+sum.Lost+sum.Late+sum.Errors+sum.Undecided != probes || sum.Lost > probes {
		t.Fatalf("seed %d: %d probes, want %d: %+v", seed, sum.Probes, probes, sum)
	}
	for _, a := range sum.Amplified {
		if want := max(min(len(m.responders[a.Addr]), stats.MaxResponders), m.least[a.Addr]); a.Count != want {
			t.Fatalf("seed %d: %d answered for %v, want %d", seed, a.Count, a.Addr, want)
		}
		if a.Alive != (m.state[a.Addr] == stats.HostAlive) {
			t.Fatalf("seed %d: %v alive %v, is %v", seed, a.Addr, a.Alive, m.state[a.Addr])
		}
	}
	failed := map[string]uint64{}
	for _, f := range sum.Failures {
		failed[f.Reason.String()+": "+f.Err.Error()] = f.Count
	}
	if diff := gocmp.Diff(m.failed, failed); diff != "" {
		t.Fatalf("seed %d: failures (-want +got):\n%s", seed, diff)
	}
	if (sum.RTT == nil) != (len(m.rtts) == 0) || sum.RTT != nil && (sum.RTT.Min != slices.Min(m.rtts) || sum.RTT.Max != slices.Max(m.rtts)) {
		t.Fatalf("seed %d: rtt %+v of %v", seed, sum.RTT, m.rtts)
	}
}

func compareSubnets(t *testing.T, seed uint64, s *stats.Sweep, m *model) {
	t.Helper()
	rows := s.Subnets()
	if !slices.IsSortedFunc(rows, func(a, b *stats.Subnet) int { return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr())) }) {
		t.Fatalf("seed %d: subnets are not in order: %v", seed, rows)
	}
	var sum uint64
	for _, n := range rows {
		sum += n.Hosts()
		for state := stats.HostSilent; state <= stats.HostPending; state++ {
			if got, want := n.Count(state), m.count(state, n.Prefix); got != want {
				t.Fatalf("seed %d: %v has %d %v, want %d", seed, n.Prefix, got, state, want)
			}
		}
	}
	if sum != uint64(len(m.state)) {
		t.Fatalf("seed %d: subnets have %d hosts of %d", seed, sum, len(m.state))
	}
}

// Hosts of which there is no subnet are counted as others: a family that was not
// asked for, a name without address.
func TestSweepOthers(t *testing.T) {
	s := stats.NewSweep(16, 0)
	for _, target := range []*probe.Target{sweepHost(0), sweepHost(4), {Name: "nosuch.example"}} {
		s.Record(&probe.Result{Target: target, Seq: 1, Status: probe.Lost})
	}
	rows := s.Subnets()
	if len(rows) != 2 || rows[0].Prefix.String() != "198.51.0.0/16" || rows[0].Hosts() != 1 || rows[1].Prefix.IsValid() || rows[1].Hosts() != 2 {
		t.Errorf("subnets %+v", rows)
	}
	if rows := stats.NewSweep(0, 0).Subnets(); rows != nil {
		t.Errorf("subnets nobody asked for: %v", rows)
	}
}

// Hosts that failed in the same way are one failure, whatever address their
// error names; the first of each is told.
func TestSweepFailures(t *testing.T) {
	s := stats.NewSweep(0, 0)
	fail := func(i int, reason probe.Reason, err error) bool {
		s.Record(&probe.Result{Target: sweepHost(i), Status: probe.Failed, Reason: reason, Err: err})
		return s.NewFailure()
	}
	var fresh []bool
	for i := range 3 {
		fresh = append(fresh, fail(i, probe.NoRoute, fmt.Errorf("connect %d: %w", i, syscall.EHOSTUNREACH)))
	}
	fresh = append(fresh, fail(3, probe.NoBuffers, nil), fail(4, probe.NoRoute, errors.New("a")), fail(5, probe.NoRoute, errors.New("a")))
	if want := []bool{true, false, false, true, true, false}; !slices.Equal(fresh, want) {
		t.Errorf("first of its kind: %v, want %v", fresh, want)
	}
	for i := range 100 {
		fail(100+i, probe.ReasonOther, fmt.Errorf("host %d", i))
	}
	sum := s.Summary()
	if len(sum.Failures) != 32 || sum.FailuresOther != 100-(32-3) || sum.Failed != 106 || sum.Failures[0].Count != 3 {
		t.Errorf("%d failures, %d others, %d hosts failed", len(sum.Failures), sum.FailuresOther, sum.Failed)
	}
	if f := sum.Failures[0]; f.First.Addr != sweepHost(0).Addr.Addr() || f.First.Name != "host0.example" {
		t.Errorf("first host %+v", f.First)
	}
}

// However many hosts there are to name, names stay few and counts exact.
func TestSweepBounds(t *testing.T) {
	s := stats.NewSweep(0, 0)
	const hosts, from = 6000, 70
	for i := range hosts {
		target := sweepHost(i)
		r := probe.Result{Target: target, Seq: 1, Status: probe.Reply, From: other(0), Detail: &probe.Responders{Count: 2, Addrs: []netip.Addr{other(0), other(1)}}}
		s.Record(&r)
		late := probe.Result{Target: target, Interim: true, Status: probe.Late, From: other(0)}
		s.Record(&late)
		s.Record(&late)
	}
	for i := range from {
		s.Record(&probe.Result{Target: sweepHost(0), Seq: 1, Status: probe.Reply, From: other(i), Flags: probe.Dup})
	}
	sum := s.Summary()
	if sum.Amplifiers != hosts || sum.AmplifiedTotal != hosts || sum.LateAnswers != 2*hosts || sum.Duplicates != from {
		t.Errorf("counts %+v", sum)
	}
	if len(sum.Amplified) != stats.MaxNamed || len(sum.AnsweredLate) != stats.MaxNamed {
		t.Errorf("%d and %d named", len(sum.Amplified), len(sum.AnsweredLate))
	}
	if a := sum.Amplified[0]; a.Count != stats.MaxResponders || len(a.From) != stats.MaxResponders {
		t.Errorf("%d answered, %d named", a.Count, len(a.From))
	}
}

// An engine that leaves the number of tries out still sent something.
func TestSweepProbes(t *testing.T) {
	s := stats.NewSweep(0, 0)
	for i, st := range []probe.Status{probe.Lost, probe.Reply, probe.Unreachable, probe.Pending, probe.Failed} {
		r := probe.Result{Target: sweepHost(i), Status: st}
		if st == probe.Failed {
			r.Err = errors.New("no")
		}
		s.Record(&r)
	}
	if sum := s.Summary(); sum.Probes != 3 || sum.Lost != 1 || sum.Undecided != 0 {
		t.Errorf("%+v", sum)
	}
}

// How far a sweep is may be asked at any time.
func TestSweepHostsConcurrently(t *testing.T) {
	s := stats.NewSweep(0, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 2000 {
			s.Record(&probe.Result{Target: sweepHost(i), Seq: 1, Status: probe.Reply})
		}
	}()
	for {
		if all, alive := s.Hosts(); alive > all {
			t.Fatalf("%d of %d hosts alive", alive, all)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestHostStateNames(t *testing.T) {
	for s, want := range map[stats.HostState]string{
		stats.HostSilent: "silent", stats.HostAlive: "alive", stats.HostAmplifier: "amplifier",
		stats.HostUnreachable: "unreachable", stats.HostFailed: "failed", stats.HostPending: "pending",
	} {
		if s.String() != want {
			t.Errorf("%v, want %v", s, want)
		}
	}
}
