package sweep

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"netprobe/probe"
)

// A Stage is one kind of probe of a Cascade.
type Stage struct {
	Kind string // icmp, tcp or udp
	Port uint16 // 0 for icmp

	// Sweeper returns what asks the hosts of src in this way, once.
	Sweeper func(src probe.Source) (probe.Prober, error)
}

// String is how --ping spells the stage.
func (s Stage) String() string {
	if s.Port == 0 {
		return s.Kind
	}
	return fmt.Sprintf("%s:%d", s.Kind, s.Port)
}

// A Cascade asks hosts in several ways, one after the other: those that stay
// silent in one Stage, or for which a firewall refuses to pass it, are asked in
// the next. Each host still has one outcome: that of the first Stage that gets
// an answer, with the probes that took, else the refusal, else silence,
// with the number of probes in all.
//
// A Stage that is slower than the one before holds that one back, so what waits
// between the two is bounded.
type Cascade struct {
	stages  []Stage
	probers []probe.Prober
	queues  []*queue // queues[i] feeds stage i; queues[0] wraps the first Source

	mu   sync.Mutex
	open map[hostKey]*passed // hosts that are beyond the first stage
}

// hostKey tells the hosts of a sweep apart: several addresses of a name share an
// index.
type hostKey struct {
	index int
	addr  netip.Addr
}

// passed is what is known of a host that a stage passed on.
type passed struct {
	probes  uint64        // sent so far
	refusal *probe.Result // what a firewall said; nil if nobody did
	decided bool          // an answer to an earlier stage came after all
}

// NewCascade returns a Cascade over stages for the hosts of first. Errors are
// those of Stage.Sweeper.
func NewCascade(first probe.Source, stages ...Stage) (*Cascade, error) {
	c := &Cascade{stages: stages, open: map[hostKey]*passed{}}
	for i := range stages {
		q := &queue{}
		if i == 0 {
			q.first = first
		} else {
			q.prev = c.queues[i-1]
			q.prev.next = q
		}
		c.queues = append(c.queues, q)
	}
	for i, s := range stages {
		var src probe.Source = c.queues[i]
		if len(stages) == 1 {
			src = first
		}
		p, err := s.Sweeper(src)
		if err != nil {
			return nil, err
		}
		c.probers = append(c.probers, p)
	}
	return c, nil
}

// Probe implements probe.Prober. If one stage fails, all end.
func (c *Cascade) Probe(ctx context.Context, emit func(probe.Result)) error {
	if len(c.probers) == 1 {
		return c.probers[0].Probe(ctx, emit)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs := make([]error, len(c.probers))
	var stages sync.WaitGroup
	for i, p := range c.probers {
		stages.Go(func() {
			errs[i] = p.Probe(ctx, func(r probe.Result) { c.take(i, r, emit) })
			if errs[i] != nil {
				cancel(errs[i])
			}
			if i+1 < len(c.queues) {
				c.queues[i+1].end()
			}
		})
	}
	stages.Wait()
	for _, q := range c.queues[1:] {
		c.abandon(q.rest(), emit)
	}
	return errors.Join(errs...)
}

// take judges what stage i found out about a host.
func (c *Cascade) take(i int, r probe.Result, emit func(probe.Result)) {
	key := hostKey{r.Target.ID, r.Target.Addr.Addr()}
	c.mu.Lock()
	r, tell := c.judge(i, key, r)
	c.mu.Unlock()
	if tell {
		emit(r)
	}
}

// judge returns what is to be told of r; the caller holds mu.
func (c *Cascade) judge(i int, key hostKey, r probe.Result) (_ probe.Result, tell bool) {
	p := c.open[key]
	if !r.Outcome() {
		// An answer to an earlier stage, while a later one still asks, decides.
		// Not one from another address, behind which there may be many.
		if !r.Interim || r.Status != probe.Late || p == nil || p.decided || r.Flags.Has(probe.WrongSource) {
			return r, true
		}
		p.decided = true
		r.Interim = false
		return r, true
	}
	last := i == len(c.stages)-1
	if !last && passes(&r) {
		c.pass(i, key, p, &r)
		return r, false
	}
	if p == nil {
		return r, true
	}
	delete(c.open, key)
	if p.decided {
		return r, false
	}
	if r.Status != probe.Lost && r.Status != probe.Pending {
		return r, true
	}
	r.Seq += p.probes
	if r.Status == probe.Lost && p.refusal != nil {
		refusal := *p.refusal
		refusal.Target, refusal.Seq = r.Target, r.Seq
		return refusal, true
	}
	return r, true
}

// passes reports whether a host with the outcome r is asked in another way:
// nobody answered, or only a firewall that does not pass this kind.
func passes(r *probe.Result) bool {
	switch r.Status {
	case probe.Lost:
		return true
	case probe.Unreachable:
		switch r.Reason {
		case probe.NetProhibited, probe.HostProhibited, probe.AdminProhibited, probe.ProtoUnreachable, probe.PortUnreachable:
			return true
		}
	}
	return false
}

// pass hands a host on to the stage after i.
func (c *Cascade) pass(i int, key hostKey, p *passed, r *probe.Result) {
	if p == nil {
		p = &passed{}
		c.open[key] = p
	}
	if p.decided {
		delete(c.open, key)
		return
	}
	p.probes += r.Seq
	if r.Status == probe.Unreachable && p.refusal == nil {
		p.refusal = new(*r)
	}
	c.queues[i+1].put(probe.Candidate{Index: uint64(r.Target.ID), Addr: key.addr, Name: r.Target.Name})
}

// abandon ends hosts that no stage took any more.
func (c *Cascade) abandon(hosts []probe.Candidate, emit func(probe.Result)) {
	for _, h := range hosts {
		t := probe.Target{ID: int(h.Index), Name: h.Name, Addr: netip.AddrPortFrom(h.Addr, 0)}
		c.mu.Lock()
		p := c.open[hostKey{t.ID, h.Addr}]
		delete(c.open, hostKey{t.ID, h.Addr})
		c.mu.Unlock()
		if p == nil || !p.decided {
			r := probe.Result{Target: &t, Status: probe.Pending, Reason: probe.Canceled}
			if p != nil {
				r.Seq = p.probes
			}
			emit(r)
		}
	}
}

// queueLimit is how many hosts may wait between two stages before the earlier
// one takes no new hosts.
const queueLimit = 1 << 14

// queue is the Source of one stage.
type queue struct {
	first probe.Source // of the whole cascade; nil for a later stage
	prev  *queue       // of the stages before and after; nil at the ends
	next  *queue

	mu    sync.Mutex
	hosts []probe.Candidate
	ended bool   // no more will be put
	held  bool   // the stage before was told to wait
	wake  func() // the stage; nil before Notify
}

// Next implements probe.Source.
func (q *queue) Next() (probe.Candidate, probe.Supply) {
	if q.next != nil && q.next.behind() {
		return probe.Candidate{}, probe.Later
	}
	if q.first != nil {
		return q.first.Next()
	}
	h, supply, room := q.take()
	if room {
		q.prev.call()
	}
	return h, supply
}

// take is Next for a later stage. Room says that the stage before waits and need
// not any longer.
func (q *queue) take() (h probe.Candidate, s probe.Supply, room bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.hosts) > 0:
		h, q.hosts = q.hosts[0], q.hosts[1:]
	case q.ended:
		return h, probe.Over, false
	default:
		return h, probe.Later, false
	}
	if room = q.held && len(q.hosts) < queueLimit/2; room {
		q.held = false
	}
	return h, probe.Ready, room
}

// behind reports whether the stage before must wait.
func (q *queue) behind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.hosts) >= queueLimit {
		q.held = true
	}
	return q.held
}

// Notify implements probe.Source.
func (q *queue) Notify(wake func()) {
	q.mu.Lock()
	q.wake = wake
	q.mu.Unlock()
	if q.first != nil {
		q.first.Notify(wake)
	}
}

// call wakes the stage.
func (q *queue) call() {
	q.mu.Lock()
	wake := q.wake
	q.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// put gives the stage another host.
func (q *queue) put(h probe.Candidate) {
	q.mu.Lock()
	q.hosts = append(q.hosts, h)
	q.mu.Unlock()
	q.call()
}

// end says that no more will be put.
func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.call()
}

// rest takes what nobody took.
func (q *queue) rest() []probe.Candidate {
	q.mu.Lock()
	defer q.mu.Unlock()
	hosts := q.hosts
	q.hosts = nil
	return hosts
}
