package icmp

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

const ms = time.Millisecond

// Targets of the scenarios, one of each family; every address of these
// prefixes is a host's unless a topology says otherwise.
const (
	target4 = "203.0.113.7"
	target6 = "2001:db8:7::7"
)

// targets makes one target per address.
func targets(addrs ...string) []*probe.Target {
	var ts []*probe.Target
	for i, a := range addrs {
		ts = append(ts, targetAt(i, a))
	}
	return ts
}

// targetAt makes the target of row id.
func targetAt(id int, addr string) *probe.Target {
	return &probe.Target{ID: id, Name: addr, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 0)}
}

// play is one run of the engine over a network.
type play struct {
	*network
	*Engine
	t       *testing.T
	results []probe.Result
	at      []time.Duration // when results[i] was emitted, since the start of the run
	ended   time.Duration   // when Probe returned, since the start of the run
	emitted func(probe.Result)
}

// newPlay prepares a run with one raw socket per family. It must be called in a
// synctest bubble.
func newPlay(t *testing.T, topo lab.Topology, cfg Config) *play {
	t.Helper()
	p := newPlayWithout(t, topo, cfg)
	p.addSockets(p.idsNeeded())
	return p
}

// newPlayWithout prepares a run without sockets.
func newPlayWithout(t *testing.T, topo lab.Topology, cfg Config) *play {
	t.Helper()
	e, err := newEngine(cfg, newTimerAlarm())
	if err != nil {
		t.Fatal(err)
	}
	return &play{t: t, network: newNetwork(t, topo), Engine: e}
}

// addSockets opens one raw socket per family the targets have.
func (p *play) addSockets(ids uint16) {
	for _, f := range familiesOf(p.cfg.Targets) {
		p.addPort(p.lane(f), p.socket(f, 0x4000, ids))
	}
}

// lane makes the lane of a family. This host's own routes are not asked.
func (p *play) lane(f rawsock.Family) *lane { return &lane{family: f, home: home{until: probe.Never}} }

// run lets the engine probe until it ends or ctx does, then checks what holds
// for every run.
func (p *play) run(ctx context.Context) *play {
	p.t.Helper()
	err := p.Probe(ctx, func(r probe.Result) {
		p.results = append(p.results, r)
		p.at = append(p.at, time.Since(p.start))
		if p.emitted != nil {
			p.emitted(r)
		}
	})
	p.ended = time.Since(p.start)
	p.network.close()
	if err != nil {
		p.t.Errorf("run: %v", err)
	}
	p.check()
	return p
}

// rehearse runs cfg over topo in virtual time and hands the play to look.
func rehearse(t *testing.T, topo lab.Topology, cfg Config, look func(*testing.T, *play)) {
	t.Helper()
	rehearseWith(t, topo, cfg, func(*play) {}, look)
}

// rehearseWith is rehearse with something to prepare before the run.
func rehearseWith(t *testing.T, topo lab.Topology, cfg Config, prepare func(*play), look func(*testing.T, *play)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, topo, cfg)
		prepare(p)
		look(t, p.run(t.Context()))
	})
}

// probeID is one probe of a run.
type probeID struct {
	target int
	seq    uint64
}

// check verifies what holds whatever the network does: each probe has exactly
// one outcome, at most one interim result before it, further answers only after
// an answer; sequence numbers have no gaps; every field is valid when it says.
func (p *play) check() {
	p.t.Helper()
	outcome := map[probeID]probe.Status{}
	interim := map[probeID]bool{}
	last := map[int]uint64{}
	failed := 0
	for _, r := range p.results {
		id := probeID{r.Target.ID, r.Seq}
		status, decided := outcome[id]
		switch {
		case r.Interim:
			if decided || interim[id] || r.Status != probe.Lost || r.Reason != probe.NoResponse {
				p.t.Errorf("%v: interim %v after decided %v, interim %v", id, r.Status, decided, interim[id])
			}
			interim[id] = true
		case r.Flags.Has(probe.Dup):
			if !decided || status != probe.Reply && status != probe.Late {
				p.t.Errorf("%v: a duplicate of what was %v, decided %v", id, status, decided)
			}
		case decided:
			p.t.Errorf("%v: two outcomes, %v and %v", id, status, r.Status)
		default:
			outcome[id] = r.Status
			last[r.Target.ID] = max(last[r.Target.ID], r.Seq)
			if r.Status == probe.Failed {
				failed++
			}
		}
		p.checkFields(&r)
	}
	for target, n := range last {
		for seq := uint64(1); seq <= n; seq++ {
			if _, ok := outcome[probeID{target, seq}]; !ok {
				p.t.Errorf("target %d: no outcome of probe %d", target, seq)
			}
		}
	}
	for id := range interim {
		if _, ok := outcome[id]; !ok {
			p.t.Errorf("%v: interim, but no outcome", id)
		}
	}
	// Linux takes IPv6 packets it has no address for: they count as sent there.
	if got, want := p.Counters().Sent, uint64(len(outcome)-failed); got < want || got > want && p.network != nil {
		p.t.Errorf("%d sent, but %d outcomes of packets", got, want)
	}
	p.checkTable()
}

// checkFields verifies the fields of one result.
func (p *play) checkFields(r *probe.Result) {
	p.t.Helper()
	id := probeID{r.Target.ID, r.Seq}
	bad := func(format string, args ...any) {
		p.t.Helper()
		p.t.Errorf("probe %v, %v: "+format, append([]any{id, r.Status}, args...)...)
	}
	if (r.Status == probe.Failed) != (r.Err != nil) {
		bad("error %v", r.Err)
	}
	if r.Status == probe.Failed && r.Sent.IsZero() == false && r.Reason != probe.NoBuffers {
		bad("sent at %v", r.Sent)
	}
	if r.Status != probe.Failed && r.Sent.IsZero() {
		bad("never sent")
	}
	answered := r.Status == probe.Reply || r.Status == probe.Late || r.Status == probe.Unreachable || r.Status == probe.Expired
	if answered && !r.From.IsValid() {
		bad("from nobody")
	}
	if r.RTT < 0 || r.Host < 0 || r.Lag < 0 || r.Clock == probe.User && r.Host != 0 {
		bad("RTT %v, host %v, lag %v, clock %v", r.RTT, r.Host, r.Lag, r.Clock)
	}
	if r.Status == probe.Reply && !r.Flags.Has(probe.Dup) && r.RTT > p.cfg.Timeout {
		bad("RTT %v", r.RTT)
	}
	if r.Status == probe.Late && (r.RTT <= p.cfg.Timeout || r.RTT > p.cfg.Timeout+p.cfg.Late) {
		bad("RTT %v", r.RTT)
	}
	if r.Flags.Has(probe.WrongSource) == (r.From == r.Target.Addr.Addr()) && r.Status == probe.Reply {
		bad("from %v with flags %v", r.From, r.Flags)
	}
}

// checkTable verifies that nothing is left behind.
func (p *play) checkTable() {
	p.t.Helper()
	if p.open != 0 {
		p.t.Errorf("%d probes are still open", p.open)
	}
	for i := range p.rows {
		if p.rows[i].open != 0 {
			p.t.Errorf("row %d: %d probes are still open", i, p.rows[i].open)
		}
	}
	for f, l := range p.lanes {
		if len(l.held) != 0 {
			p.t.Errorf("IPv%d: %d answers are still held", f, len(l.held))
		}
	}
}

// tally counts the results of a run.
type tally struct {
	Sent, Received, Late, Lost, Errors, Failed, Pending, Duplicates, Reordered int
}

func (p *play) tally() tally {
	var c tally
	for _, r := range p.results {
		switch {
		case r.Interim:
			continue
		case r.Flags.Has(probe.Dup):
			c.Duplicates++
			continue
		}
		if r.Flags.Has(probe.Reordered) {
			c.Reordered++
		}
		if r.Status != probe.Failed {
			c.Sent++
		}
		switch r.Status {
		case probe.Reply:
			c.Received++
		case probe.Late:
			c.Late++
		case probe.Lost:
			c.Lost++
		case probe.Unreachable, probe.Expired:
			c.Errors++
		case probe.Failed:
			c.Failed++
		case probe.Pending:
			c.Pending++
		}
	}
	return c
}

// tallyOf is what a faultless prober counts in a run that ended by itself.
func tallyOf(c lab.Counts) tally {
	return tally{
		Sent: c.Sent, Received: c.Received, Late: c.Late, Lost: c.Lost, Errors: c.Errors,
		Duplicates: c.Duplicates, Reordered: c.Reordered,
	}
}

// wantLogged fails unless the run counted what the simulator's log says.
func (p *play) wantLogged() {
	p.t.Helper()
	if got, want := p.tally(), tallyOf(p.mem.Log().Count(p.cfg.Timeout, p.cfg.Late)); got != want {
		p.t.Errorf("counted %+v, the network did %+v", got, want)
	}
}

// outcomes returns the outcomes of a run.
func (p *play) outcomes() []probe.Result {
	var rs []probe.Result
	for _, r := range p.results {
		if r.Outcome() {
			rs = append(rs, r)
		}
	}
	return rs
}

// departures returns when the probes to a target left, since the start of the
// run, by sequence number.
func (p *play) departures(target int) []time.Duration {
	at := map[uint64]time.Duration{}
	var n uint64
	for _, r := range p.outcomes() {
		if r.Target.ID == target {
			at[r.Seq] = r.Sent.Sub(p.start)
			n = max(n, r.Seq)
		}
	}
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = at[uint64(i+1)]
	}
	return list
}

// families runs f for a target of each family.
func families(t *testing.T, f func(t *testing.T, addr string)) {
	t.Run("IPv4", func(t *testing.T) { f(t, target4) })
	t.Run("IPv6", func(t *testing.T) { f(t, target6) })
}

// same returns the address of addr's family.
func same(addr, v4, v6 string) netip.Addr {
	if rawsock.FamilyOf(netip.MustParseAddr(addr)) == rawsock.IPv4 {
		return netip.MustParseAddr(v4)
	}
	return netip.MustParseAddr(v6)
}
