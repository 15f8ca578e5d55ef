package trace

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// Targets of the scenarios, one of each family.
const (
	target4 = "203.0.113.7"
	target6 = "2001:db8:7::7"
)

// targets makes one target per address.
func targets(addrs ...string) []*probe.Target {
	var ts []*probe.Target
	for i, a := range addrs {
		ts = append(ts, &probe.Target{ID: i, Name: a, Addr: netip.AddrPortFrom(netip.MustParseAddr(a), 0)})
	}
	return ts
}

// labConn is a conn on the in-memory lab: a raw socket that stamps packets.
type labConn struct {
	t     testing.TB
	mem   *lab.Memory
	proto rawsock.Proto
	fail  func(rawsock.Probe) error   // what Send answers for a probe; may be nil
	alter func(*rawsock.Reply)        // what a kind of socket makes of a reply; may be nil
	lose  func(ip []byte) (lost bool) // packets that this socket does not see; may be nil
	woken func()

	stampless bool // no departure is stamped, and so none wakes the engine

	mu       sync.Mutex
	arrived  []arrival
	departed []rawsock.Reply
	pumped   sync.WaitGroup
}

type arrival struct {
	ip []byte
	at time.Time
}

func newLabConn(t testing.TB, mem *lab.Memory, proto rawsock.Proto, woken func()) *labConn {
	c := &labConn{t: t, mem: mem, proto: proto, woken: woken}
	c.pumped.Go(func() {
		for ip := range mem.Receive() {
			c.mu.Lock()
			c.arrived = append(c.arrived, arrival{ip, time.Now()})
			c.mu.Unlock()
			c.woken()
		}
	})
	return c
}

func (c *labConn) Kind() rawsock.Kind { return rawsock.Raw }
func (c *labConn) KernelClock() bool  { return true }
func (c *labConn) Dropped() uint32    { return 0 }
func (c *labConn) Close() error       { return nil }

func (c *labConn) Send(ps []rawsock.Probe) (int, error) {
	for i := range ps {
		if c.fail != nil {
			if err := c.fail(ps[i]); err != nil {
				return i, err
			}
		}
		if err := c.mem.Send(rawsock.AppendProbe(nil, c.proto, &ps[i])); err != nil {
			c.t.Errorf("send: %v", err)
		}
		if c.stampless {
			continue
		}
		c.mu.Lock()
		c.departed = append(c.departed, rawsock.Reply{Event: rawsock.Stamp, Key: ps[i].Key, Stamp: time.Now().UnixNano()})
		c.mu.Unlock()
		c.woken()
	}
	return len(ps), nil
}

func (c *labConn) Drain(visit func(*rawsock.Reply)) error {
	c.mu.Lock()
	arrived, departed := c.arrived, c.departed
	c.arrived, c.departed = nil, nil
	c.mu.Unlock()
	for i := range departed {
		visit(&departed[i])
	}
	for _, a := range arrived {
		if c.lose != nil && c.lose(a.ip) {
			continue
		}
		r := rawsock.Reply{}
		if !rawsock.ParseReply(a.ip, c.proto, &r) {
			continue
		}
		r.Arrived, r.Stamp = time.Now(), a.at.UnixNano()
		if c.alter != nil {
			c.alter(&r)
		}
		visit(&r)
	}
	return nil
}

// timerAlarm is an alarm in the time of a testing/synctest bubble.
type timerAlarm struct{ kick chan struct{} }

func newTimerAlarm() timerAlarm { return timerAlarm{make(chan struct{}, 1)} }

func (a timerAlarm) Wait(d time.Duration) (readable bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.kick:
	}
	return true
}

func (a timerAlarm) Wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

func (timerAlarm) Close() error { return nil }

// rehearsal is one run of the engine over the in-memory lab.
type rehearsal struct {
	*Engine
	t       *testing.T
	mem     *lab.Memory
	conn    *labConn
	results []probe.Result      // of probes
	paths   map[int]*probe.Path // conclusions by target
	ends    map[int]probe.Result
	took    time.Duration
}

// newPlay prepares a run. It must be called in a synctest bubble.
func newRehearsal(t *testing.T, topo lab.Topology, cfg Config) *rehearsal {
	t.Helper()
	a := newTimerAlarm()
	e := newEngine(cfg, a)
	p := &rehearsal{t: t, Engine: e, mem: topo.Memory(), paths: map[int]*probe.Path{}, ends: map[int]probe.Result{}}
	e.linkMTU = func(netip.Addr) int { return 1500 }
	e.route = func(dst netip.Addr) (netip.Addr, error) { return p.mem.Source(dst), nil }
	p.conn = newLabConn(t, p.mem, e.cfg.Proto, a.Wake)
	for _, f := range familiesOf(cfg.Targets) {
		e.addLane(f, p.conn, 62000)
	}
	return p
}

// run lets the engine probe until it ends or ctx does.
func (p *rehearsal) run(ctx context.Context) *rehearsal {
	p.t.Helper()
	err := p.Probe(ctx, func(r probe.Result) {
		if path, ok := r.Detail.(*probe.Path); ok {
			p.paths[r.Target.ID] = path
			p.ends[r.Target.ID] = r
			return
		}
		p.results = append(p.results, r)
	})
	if err != nil {
		p.t.Errorf("run: %v", err)
	}
	p.took = time.Since(p.start)
	p.mem.Close()
	p.conn.pumped.Wait()
	p.check()
	return p
}

// check verifies what holds whatever the network does: each probe has exactly
// one outcome, numbers have no gaps, a hop's details are there.
func (p *rehearsal) check() {
	p.t.Helper()
	type id struct {
		target int
		seq    uint64
	}
	seen := map[id]bool{}
	last := map[int]uint64{}
	for _, r := range p.results {
		if _, ok := r.Detail.(*probe.Hop); !ok {
			p.t.Errorf("probe %d has %T as its detail", r.Seq, r.Detail)
		}
		if !r.Outcome() {
			continue
		}
		k := id{r.Target.ID, r.Seq}
		if seen[k] {
			p.t.Errorf("probe %v has two outcomes", k)
		}
		seen[k] = true
		last[k.target] = max(last[k.target], r.Seq)
	}
	for t, n := range last {
		for seq := range n {
			if !seen[id{t, seq + 1}] {
				p.t.Errorf("probe %d of target %d has no outcome", seq+1, t)
			}
		}
	}
}

// rehearse runs cfg over topo in virtual time and hands the rehearsal to look.
func rehearse(t *testing.T, topo lab.Topology, cfg Config, look func(*testing.T, *rehearsal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { look(t, newRehearsal(t, topo, cfg).run(t.Context())) })
}
